use super::*;
use api::{
    report::ProblemReason,
    settings::{CaKind, CaSource},
    target::SecretKeys,
};
use rcgen::{CertificateParams, KeyPair};

fn keys(pairs: &[(&str, &str)]) -> Keys {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn target() -> TargetSettings {
    TargetSettings {
        secret_name: "pulp-db".into(),
        keys: SecretKeys::default(),
        host: None,
        port: None,
        database: None,
        user: None,
        tls_mode: None,
        ca: None,
    }
}

fn pulp() -> Vec<(&'static str, &'static str)> {
    vec![
        ("POSTGRES_HOST", "db.prod.example"),
        ("POSTGRES_PORT", "6543"),
        ("POSTGRES_DB_NAME", "pulp"),
        ("POSTGRES_USERNAME", "svc"),
        ("POSTGRES_PASSWORD", "s3cret\n"),
    ]
}

fn mounted(secret: &[(&str, &str)]) -> Mounted {
    Mounted { secret: keys(secret), ca: Keys::new() }
}

fn ca() -> String {
    let key = KeyPair::generate().unwrap();
    CertificateParams::default().self_signed(&key).unwrap().pem()
}

fn problem_of(target: &TargetSettings, mounted: &Mounted) -> (ProblemReason, String) {
    let problem = Endpoint::new(target, mounted).unwrap_err();
    (problem.reason, problem.message)
}

/// The mode in a word; `-` is for plain, `?` behind it for a fall-back.
fn mode_of(target: &TargetSettings, mounted: &Mounted) -> String {
    match Endpoint::new(target, mounted).unwrap().encryption {
        Encryption::Never => "-".to_owned(),
        Encryption::IfOffered(tls) => format!("{}?", tls.word),
        Encryption::Always(tls) => tls.word.to_owned(),
    }
}

#[test]
fn the_secret_of_pulp_operator_is_an_endpoint() {
    let endpoint = Endpoint::new(&target(), &mounted(&pulp())).unwrap();
    assert_eq!((endpoint.host.as_str(), endpoint.port), ("db.prod.example", 6543));
    assert_eq!((endpoint.database.as_str(), endpoint.user.as_str()), ("pulp", "svc"));
    assert_eq!(endpoint.password, Some(Password::new("s3cret")));
    assert!(!format!("{endpoint:?}").contains("s3cret"));
}

#[test]
fn the_manifest_goes_before_the_secret() {
    let target = TargetSettings {
        host: Some("proxy.example".into()),
        port: Some(7777),
        database: Some("other".into()),
        user: Some("probe".into()),
        ..target()
    };
    let endpoint = Endpoint::new(&target, &mounted(&pulp())).unwrap();
    assert_eq!((endpoint.host.as_str(), endpoint.port), ("proxy.example", 7777));
    assert_eq!((endpoint.database.as_str(), endpoint.user.as_str()), ("other", "probe"));
}

#[test]
fn without_a_database_it_is_the_roles_name_as_with_libpq() {
    let endpoint = Endpoint::new(&target(), &mounted(&[("host", "h"), ("user", "u")])).unwrap();
    assert_eq!((endpoint.database.as_str(), endpoint.port), ("u", 5432));
    assert_eq!(endpoint.password, None);
}

#[test]
fn a_missing_secret_or_key_names_what_was_seen_and_wanted() {
    let (reason, message) = problem_of(&target(), &mounted(&[]));
    assert_eq!(reason, ProblemReason::SecretNotFound);
    assert!(message.contains("pulp-db"), "{message}");

    let (reason, message) = problem_of(&target(), &mounted(&[("adres", "geheim"), ("user", "u")]));
    assert_eq!(reason, ProblemReason::SecretKeyMissing);
    assert!(message.contains("It has adres, user."), "{message}");
    assert!(message.contains("POSTGRES_HOST, db.host"), "{message}");
    assert!(message.contains("spec.target.keys.host, or write spec.target.host"));
    assert!(!message.contains("geheim"));

    let named = TargetSettings {
        keys: SecretKeys { password: Some("pw".into()), ..SecretKeys::default() },
        ..target()
    };
    let (reason, message) = problem_of(&named, &mounted(&pulp()));
    assert_eq!(reason, ProblemReason::SecretKeyMissing);
    assert!(message.contains("no key pw, which spec.target.keys.password names"));
}

#[test]
fn an_absent_mode_is_the_secrets_else_as_strict_as_can_be() {
    let ca = ca();
    let with = |extra: &[(&str, &str)]| {
        let mut secret = keys(&pulp());
        secret.extend(keys(extra));
        Mounted { secret, ca: Keys::new() }
    };
    assert_eq!(mode_of(&target(), &with(&[])), "Require");
    assert_eq!(mode_of(&target(), &with(&[("ca.crt", &ca)])), "VerifyFull");
    assert_eq!(mode_of(&target(), &with(&[("sslmode", "disable")])), "-");
    assert_eq!(mode_of(&target(), &with(&[("sslmode", "prefer")])), "Prefer?");
    let require = with(&[("sslmode", "require"), ("ca.crt", &ca)]);
    assert_eq!(mode_of(&target(), &require), "VerifyCA");
    let (reason, _) = problem_of(&target(), &with(&[("sslmode", "allow")]));
    assert_eq!(reason, ProblemReason::InvalidValue);
    let (reason, _) = problem_of(&target(), &with(&[("port", "80a"), ("POSTGRES_PORT", "x")]));
    assert_eq!(reason, ProblemReason::InvalidValue);
}

#[test]
fn verification_without_an_authority_says_what_to_write() {
    let full = TargetSettings { tls_mode: Some(TlsMode::VerifyFull), ..target() };
    let (reason, message) = problem_of(&full, &mounted(&pulp()));
    assert_eq!(reason, ProblemReason::CaNotFound);
    assert!(message.contains("spec.target.tls.caConfigMapName"), "{message}");

    let named = TargetSettings {
        ca: Some(CaSource { kind: CaKind::ConfigMap, name: "rds-ca".into(), key: "ca.crt".into() }),
        ..full
    };
    let (reason, message) = problem_of(&named, &mounted(&pulp()));
    assert_eq!(reason, ProblemReason::CaNotFound);
    assert!(message.starts_with("ConfigMap rds-ca is not there"), "{message}");
    let with = |pem: &str| Mounted { secret: keys(&pulp()), ca: keys(&[("ca.crt", pem)]) };
    assert_eq!(problem_of(&named, &with("no pem")).0, ProblemReason::CaNotFound);
    assert_eq!(mode_of(&named, &with(&ca())), "VerifyFull");
}
