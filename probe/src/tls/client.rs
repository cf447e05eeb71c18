//! The certificate by which the probe shows who it is.

use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// A certificate with its chain and private key.
#[derive(Debug)]
pub struct ClientCertificate {
    pair: SingleCertAndKey,
    shown: AtomicBool,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// No certificate in PEM, or a broken one.
    Certificate,
    /// No private key in PEM, or none of a kind that can sign.
    Key,
    /// The private key is protected by a password.
    EncryptedKey,
    /// The key is another certificate's.
    Pair,
}

impl ClientCertificate {
    /// Reads a certificate with its chain, and its key (PKCS #8, PKCS #1 or SEC 1), in PEM.
    ///
    /// # Errors
    /// What of them can't be used.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Arc<Self>, Unusable> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| Unusable::Certificate)?;
        if chain.is_empty() {
            return Err(Unusable::Certificate);
        }
        // RFC 7468's label, and the header of OpenSSL's older format.
        let encrypted = key.contains("BEGIN ENCRYPTED") || key.contains(",ENCRYPTED");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
        let key =
            key.map_err(|_| if encrypted { Unusable::EncryptedKey } else { Unusable::Key })?;
        let pair = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let pair = pair.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Unusable::Pair,
            rustls::Error::InvalidCertificate(_) => Unusable::Certificate,
            _ => Unusable::Key,
        })?;
        Ok(Arc::new(Self { pair: pair.into(), shown: AtomicBool::new(false) }))
    }

    /// Whether the server ever asked for it.
    pub fn was_shown(&self) -> bool {
        self.shown.load(Relaxed)
    }
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let pair = self.pair.resolve(issuers, schemes)?;
        self.shown.store(true, Relaxed);
        Some(pair)
    }

    fn has_certs(&self) -> bool {
        true
    }
}
