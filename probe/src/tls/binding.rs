//! Channel binding `tls-server-end-point` (RFC 5929, section 4): a hash of the server's
//! certificate goes into the login, so that nobody in between can pass it on.

use rustls::{ClientConnection, pki_types::CertificateDer};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::{
    Certificate,
    der::{Decode, oid::ObjectIdentifier, oid::db::rfc5912},
};

/// The binding of an established connection. `None`: the certificate is signed in a way for
/// which the RFC names no hash (Ed25519) or hides it in parameters (RSASSA-PSS); PostgreSQL's
/// own library can't bind those either.
#[must_use]
pub fn server_end_point(connection: &ClientConnection) -> Option<Vec<u8>> {
    hash(connection.peer_certificates()?.first()?)
}

fn hash(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    // The certificate's outer algorithm: what its issuer signed with.
    let parsed = Certificate::from_der(certificate).ok()?;
    Some(match digest(parsed.signature_algorithm.oid)? {
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// RFC 3279, section 2.2.3.
const ECDSA_WITH_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");

/// MD5 and SHA-1 are replaced by SHA-256, as the RFC says.
fn digest(algorithm: ObjectIdentifier) -> Option<Hash> {
    Some(match algorithm {
        rfc5912::MD_5_WITH_RSA_ENCRYPTION
        | rfc5912::SHA_1_WITH_RSA_ENCRYPTION
        | ECDSA_WITH_SHA_1
        | rfc5912::SHA_256_WITH_RSA_ENCRYPTION
        | rfc5912::ECDSA_WITH_SHA_256 => Hash::Sha256,
        rfc5912::SHA_384_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_384 => Hash::Sha384,
        rfc5912::SHA_512_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_512 => Hash::Sha512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

    fn hashed(algorithm: &'static SignatureAlgorithm) -> Option<usize> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["db.example".into()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        hash(certificate.der()).map(|hash| hash.len() * 8)
    }

    #[test]
    fn the_hash_is_that_of_the_certificates_signature() {
        assert_eq!(hashed(&rcgen::PKCS_ECDSA_P256_SHA256), Some(256));
        assert_eq!(hashed(&rcgen::PKCS_ECDSA_P384_SHA384), Some(384));
        assert_eq!(hashed(&rcgen::PKCS_ED25519), None);
    }
}
