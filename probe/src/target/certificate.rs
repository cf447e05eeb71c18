//! The client certificate and its key: from the Secret that is named for them, else from the
//! target's own if it has them.

use super::parts;
use crate::{mounts::Mounted, problem, tls::ClientCertificate};
use api::{report::Problem, secret_keys::Part, settings::TargetSettings};
use std::sync::Arc;

pub(super) fn certificate(
    target: &TargetSettings,
    mounted: &Mounted,
) -> Result<Option<Arc<ClientCertificate>>, Problem> {
    let (name, secret) = match &target.certificate_secret {
        Some(name) if mounted.certificate.is_empty() => {
            return Err(problem::certificate_secret_not_found(name));
        }
        Some(name) => (name, &mounted.certificate),
        None => (&target.secret_name, &mounted.secret),
    };
    let find = |part| parts::key(name, secret, &target.keys, part);
    match (find(Part::Certificate)?, find(Part::PrivateKey)?) {
        (Some(certificate), Some(key)) => ClientCertificate::from_pem(certificate, key)
            .map(Some)
            .map_err(|unusable| problem::certificate_unusable(name, unusable)),
        (None, None) if target.certificate_secret.is_none() => Ok(None),
        (None, _) => Err(problem::half_a_certificate(name, Part::Certificate, secret)),
        (Some(_), None) => Err(problem::half_a_certificate(name, Part::PrivateKey, secret)),
    }
}
