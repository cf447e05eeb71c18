//! How a server is verified, with libpq's meanings (PostgreSQL documentation, "SSL Support").

use rustls::{
    DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        ClientConfig, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
        verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use std::{net::Ipv4Addr, sync::Arc};

mod binding;
mod client;

pub use binding::server_end_point;
pub use client::{ClientCertificate, Unusable};

/// How to encrypt to one server.
#[derive(Clone, Debug)]
pub struct Tls {
    /// rustls' configuration, shared by all connections.
    pub config: Arc<ClientConfig>,
    /// The name that goes into the handshake, and that VerifyFull compares.
    pub name: ServerName<'static>,
    /// Whether the server's certificate is checked against a CA: nothing less protects a
    /// password that is sent as it is.
    pub verified: bool,
    /// TLS mode in a word, for the report.
    pub word: &'static str,
    /// What the server is shown, if it asks.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// How far the server's certificate is checked.
#[derive(Clone, Debug)]
pub enum Verification {
    /// Not at all.
    None,
    /// It must come from one of these authorities.
    Chain(Authorities),
    /// It must also be made out to the host.
    Full(Authorities),
}

/// Certificates that are trusted.
#[derive(Clone, Debug)]
pub struct Authorities {
    roots: Arc<RootCertStore>,
    /// The same as they came: a server may show one of them itself.
    certificates: Arc<Vec<CertificateDer<'static>>>,
}

impl Authorities {
    /// Reads certificates in PEM. `None` if there is none that can be used.
    #[must_use]
    pub fn from_pem(pem: &str) -> Option<Self> {
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().ok()?;
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(certificates.iter().cloned());
        (usable > 0).then(|| Self { roots: Arc::new(roots), certificates: Arc::new(certificates) })
    }
}

impl Tls {
    /// Encryption to `host`. `None`: the host has no name that a certificate could be made out
    /// to, and the mode wants one.
    #[must_use]
    pub fn new(
        host: &str,
        verification: Verification,
        word: &'static str,
        certificate: Option<Arc<ClientCertificate>>,
    ) -> Option<Self> {
        let verified = !matches!(verification, Verification::None);
        let name = match ServerName::try_from(host.to_owned()) {
            Ok(name) => name,
            Err(_) if matches!(verification, Verification::Full(_)) => return None,
            // An address is not sent (RFC 6066, section 3), and nobody compares it here.
            Err(_) => ServerName::from(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            Verifier { algorithms: provider.signature_verification_algorithms, verification };
        let config =
            config(provider)?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &certificate {
            Some(certificate) => {
                let certificate = Arc::clone(certificate);
                config.with_client_cert_resolver(certificate)
            }
            None => config.with_no_client_auth(),
        };
        // Every lane is to be a connection of its own, with the same handshake as any other.
        config.resumption = Resumption::disabled();
        Some(Self { config: Arc::new(config), name, verified, word, certificate })
    }
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn config(provider: Arc<CryptoProvider>) -> Option<Builder> {
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()
}

/// Checks what the mode asks for, and always that the peer holds the certificate's key.
#[derive(Debug)]
struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    verification: Verification,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authorities = match &self.verification {
            Verification::None => return Ok(ServerCertVerified::assertion()),
            Verification::Chain(authorities) | Verification::Full(authorities) => authorities,
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        // A self-signed certificate that is its own authority is common on PostgreSQL servers
        // and fine for libpq; webpki refuses authorities as servers.
        if !authorities.certificates.iter().any(|ca| ca == end_entity) {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &authorities.roots,
                intermediates,
                now,
                self.algorithms.all,
            )?;
        }
        if matches!(self.verification, Verification::Full(_)) {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
