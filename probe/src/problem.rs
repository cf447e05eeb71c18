//! Every sentence about a configuration that can't be carried out: what was seen, what was
//! wanted, what to do. They name keys and never values.

use crate::{mounts::Keys, tls::Unusable};
use api::{
    report::{Problem, ProblemReason},
    secret_keys::{MissingKey, Part},
    settings::{CaKind, CaSource},
};
use std::path::Path;

/// The length that a report allows.
const MAX_MESSAGE: usize = 600;
/// Key names that are listed.
const MAX_KEYS: usize = 12;

fn problem(reason: ProblemReason, message: &str) -> Problem {
    Problem { reason, message: message.chars().take(MAX_MESSAGE).collect() }
}

/// A value that can't be used.
#[must_use]
pub fn invalid(message: &str) -> Problem {
    problem(ProblemReason::InvalidValue, message)
}

/// The Secret is not mounted, or it is empty.
#[must_use]
pub fn secret_not_found(name: &str) -> Problem {
    let message = format!(
        "Secret {name} is not there, or it is empty. Create it in the probe's namespace, or \
         correct spec.target.secretName."
    );
    problem(ProblemReason::SecretNotFound, &message)
}

/// A key that the user named is not there.
#[must_use]
pub fn named_key_missing(secret: &str, missing: &MissingKey, seen: &Keys) -> Problem {
    let message = format!(
        "Secret {secret} has no key {key}, which spec.target.keys.{word} names. It has {seen}.",
        key = missing.key,
        word = missing.part.word(),
        seen = listed(seen),
    );
    problem(ProblemReason::SecretKeyMissing, &message)
}

/// Nothing in the Secret or the manifest is this part, which can be written there.
#[must_use]
pub fn part_missing(secret: &str, part: Part, seen: &Keys) -> Problem {
    let word = part.word();
    let message = format!(
        "Secret {secret} has no {word}: none of {wanted}, and no URI ({uris}) with one. It has \
         {seen}. Name the right key in spec.target.keys.{word} or spec.target.keys.uri, or write \
         spec.target.{word}.",
        wanted = part.aliases().join(", "),
        uris = Part::Uri.aliases().join(", "),
        seen = listed(seen),
    );
    problem(ProblemReason::SecretKeyMissing, &message)
}

/// The Secret's URI is none of PostgreSQL's.
#[must_use]
pub fn uri_unreadable(secret: &str) -> Problem {
    invalid(&format!(
        "The URI in Secret {secret} can't be read. It must look like \
         postgresql://user:password@host:port/database?sslmode=require, with special characters \
         percent-encoded (@ is %40). Correct it, or name other keys in spec.target.keys."
    ))
}

/// The object that is to hold the CA lacks it.
#[must_use]
pub fn ca_not_found(source: &CaSource, seen: &Keys) -> Problem {
    let (kind, field) = match source.kind {
        CaKind::ConfigMap => ("ConfigMap", "caConfigMapName"),
        CaKind::Secret => ("Secret", "caSecretName"),
    };
    let CaSource { name, key, .. } = source;
    let message = if seen.is_empty() {
        format!(
            "{kind} {name} is not there, or it is empty. Create it in the probe's namespace, or \
             correct spec.target.tls.{field}."
        )
    } else {
        format!(
            "{kind} {name} has no key {key}. It has {seen}. Name the key with the certificate \
             authority in spec.target.tls.caKey.",
            seen = listed(seen)
        )
    };
    problem(ProblemReason::CaNotFound, &message)
}

/// Nobody hands out tokens.
#[must_use]
pub fn token_service_not_found(socket: &Path) -> Problem {
    let message = format!(
        "auth AwsIam takes its tokens from {socket}, and nobody listens there. In a pod: look at the \
         log of its container iam. By hand: start connection-probe-rds token --socket {socket}, and \
         name the same in --iam-socket.",
        socket = socket.display(),
    );
    problem(ProblemReason::TokenServiceNotFound, &message)
}

/// The Secret does without what a token needs.
#[must_use]
pub fn token_wants_tls(secret: &str) -> Problem {
    invalid(&format!(
        "auth AwsIam sends its token only to a server that TLS has verified, and the sslmode in Secret \
         {secret} verifies none. Write spec.target.tls.mode: VerifyFull and its CA."
    ))
}

/// There is a CA, but it holds no certificate.
#[must_use]
pub fn ca_unusable(holder: &str) -> Problem {
    let message = format!(
        "{holder} holds no usable certificate. Put the certificate authority there in PEM, with \
         its BEGIN CERTIFICATE and END CERTIFICATE lines."
    );
    problem(ProblemReason::CaNotFound, &message)
}

/// The mode needs a CA, and there is none.
#[must_use]
pub fn ca_wanted(mode: &str, secret: &str) -> Problem {
    let message = format!(
        "TLS mode {mode} needs a certificate authority, and there is none: the image has no \
         certificates of its own. Write spec.target.tls.caConfigMapName or caSecretName, or put \
         it into Secret {secret} under one of {wanted}.",
        wanted = Part::Ca.aliases().join(", "),
    );
    problem(ProblemReason::CaNotFound, &message)
}

/// The Secret that is to hold the client certificate is not mounted, or it is empty.
#[must_use]
pub fn certificate_secret_not_found(name: &str) -> Problem {
    let message = format!(
        "Secret {name}, which is to hold the client certificate, is not there, or it is empty. \
         Create it in the probe's namespace, or correct spec.target.tls.certificateSecretName."
    );
    problem(ProblemReason::SecretNotFound, &message)
}

/// A certificate without its key, or a key without its certificate.
#[must_use]
pub fn half_a_certificate(secret: &str, missing: Part, seen: &Keys) -> Problem {
    let word = missing.word();
    let message = format!(
        "A client certificate needs certificate and privateKey, and Secret {secret} has no {word}: \
         none of {wanted}. It has {seen}. Name the right key in spec.target.keys.{word}.",
        wanted = missing.aliases().join(", "),
        seen = listed(seen),
    );
    problem(ProblemReason::SecretKeyMissing, &message)
}

/// Certificate and key are there, and can't be used.
#[must_use]
pub fn certificate_unusable(secret: &str, unusable: Unusable) -> Problem {
    let message = match unusable {
        Unusable::Certificate => {
            "The client certificate can't be read. Put it there in PEM, with its BEGIN CERTIFICATE \
             and END CERTIFICATE lines, and its chain behind it."
        }
        Unusable::Key => {
            "The private key can't be read. Put it there in PEM, as PKCS #8, PKCS #1 or SEC 1."
        }
        Unusable::EncryptedKey => {
            "The private key is encrypted, and a probe knows no password for it. Put it there as it \
             is: openssl pkey -in KEY -out tls.key."
        }
        Unusable::Pair => {
            "The private key is not that of the client certificate. Put the certificate first, its \
             chain behind it, and its own key beside it."
        }
    };
    invalid(&format!("Secret {secret}: {message}"))
}

fn listed(keys: &Keys) -> String {
    if keys.is_empty() {
        return "no keys".to_owned();
    }
    let mut names: Vec<&str> = keys.keys().map(String::as_str).take(MAX_KEYS).collect();
    if keys.len() > MAX_KEYS {
        names.push("…");
    }
    names.join(", ")
}
