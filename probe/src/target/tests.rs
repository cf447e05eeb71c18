use super::*;
use crate::{mounts::Keys, scrub::Scrubber};
use api::{
    report::ProblemReason,
    settings::{CaKind, CaSource},
    target::{Auth, SecretKeys},
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
        certificate_secret: None,
        auth: Auth::Password,
        read_pgbouncer_config: None,
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
    Mounted { secret: keys(secret), ..Mounted::default() }
}

fn ca() -> String {
    let key = KeyPair::generate().unwrap();
    CertificateParams::default().self_signed(&key).unwrap().pem()
}

fn problem_of(target: &TargetSettings, mounted: &Mounted) -> (ProblemReason, String) {
    let problem = Endpoint::new(target, mounted).unwrap_err();
    (problem.reason, problem.message)
}

fn password_of(endpoint: &Endpoint) -> Option<&str> {
    match &endpoint.proof {
        Proof::Password(password) => password.as_ref().map(Password::reveal),
        Proof::Token(_) => panic!("{endpoint:?}"),
    }
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
    assert_eq!(password_of(&endpoint), Some("s3cret"));
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
    assert_eq!(password_of(&endpoint), None);
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
    assert!(message.contains("no URI (uri, DATABASE_URL) with one"), "{message}");
    assert!(message.ends_with("or write spec.target.host."), "{message}");
    assert!(!message.contains("geheim"));

    let named = TargetSettings {
        keys: SecretKeys { password: Some("pw".into()), ..SecretKeys::default() },
        ..target()
    };
    let (reason, message) = problem_of(&named, &mounted(&pulp()));
    assert_eq!(reason, ProblemReason::SecretKeyMissing);
    assert!(message.contains("no key pw, which spec.target.keys.password names"));
}

const URI: &str = "postgresql://of_uri:pw%40uri@uri.example:1111/uri_db?sslmode=disable";

/// User, host, port, database, password and TLS mode.
fn summary(target: &TargetSettings, mounted: &Mounted) -> String {
    let endpoint = Endpoint::new(target, mounted).unwrap();
    let password = password_of(&endpoint).unwrap_or_default();
    let Endpoint { user, host, port, database, .. } = &endpoint;
    format!("{user} {host}:{port}/{database} {password} {}", mode_of(target, mounted))
}

#[test]
fn the_manifest_goes_before_a_key_and_a_key_before_the_uri() {
    let named = |keys| TargetSettings { keys, ..target() };
    let uri = Some("dsn".to_owned());
    let name = || SecretKeys { uri: uri.clone(), ..SecretKeys::default() };
    let host = Some("host".to_owned());
    for (target, secret, wanted) in [
        (target(), mounted(&[("uri", URI)]), "of_uri uri.example:1111/uri_db pw@uri -"),
        (
            target(),
            mounted(&[("uri", URI), ("host", "h"), ("sslmode", "require"), ("port", "")]),
            "of_uri h:1111/uri_db pw@uri Require",
        ),
        (
            TargetSettings { host: Some("proxy".into()), port: Some(2), ..target() },
            mounted(&[("uri", URI), ("host", "h"), ("password", "k")]),
            "of_uri proxy:2/uri_db k -",
        ),
        // A URI that the user names goes before keys that are only known, and not before named ones.
        (
            named(name()),
            mounted(&[("dsn", URI), ("uri", "x"), ("host", "h"), ("password", "k")]),
            "of_uri uri.example:1111/uri_db pw@uri -",
        ),
        (
            named(SecretKeys { host, ..name() }),
            mounted(&[("dsn", URI), ("host", "h"), ("port", "2")]),
            "of_uri h:1111/uri_db pw@uri -",
        ),
        (
            named(name()),
            mounted(&[("dsn", "postgresql://h/d"), ("user", "u"), ("sslmode", "prefer")]),
            "u h:5432/d  Prefer?",
        ),
        // What can't be read and is not needed does no harm.
        (
            target(),
            mounted(&[("uri", "amqp://x"), ("host", "h"), ("user", "u")]),
            "u h:5432/u  Require",
        ),
    ] {
        assert_eq!(summary(&target, &secret), wanted);
    }
}

#[test]
fn a_uri_that_cannot_be_used_says_why_and_not_what_it_is() {
    let dsn = SecretKeys { uri: Some("dsn".into()), ..SecretKeys::default() };
    let named = TargetSettings { keys: dsn, ..target() };
    for (target, secret, wanted) in [
        (target(), mounted(&[("uri", "jdbc:postgresql://geheim/d")]), "can't be read"),
        (
            named.clone(),
            mounted(&[("dsn", "postgresql://u:ge@heim@h"), ("host", "h"), ("user", "u")]),
            "can't be read",
        ),
        (
            named,
            mounted(&[("uri", URI)]),
            "no key dsn, which spec.target.keys.uri names. It has uri.",
        ),
        (target(), mounted(&[("uri", "postgresql://u@geheim1,geheim2:7/d")]), "a list of several"),
        (target(), mounted(&[("uri", "postgresql://u@%2Fgeheim/d")]), "a Unix socket"),
        (target(), mounted(&[("uri", "postgresql://u@h:geheim/d")]), "no number from 1 to 65535"),
        (target(), mounted(&[("uri", "postgresql://u@h/d?sslmode=geheim")]), "none of disable"),
        (target(), mounted(&[("uri", "postgresql://h/geheim")]), "has no user"),
    ] {
        let (_, message) = problem_of(&target, &secret);
        assert!(message.contains(wanted), "{wanted}: {message}");
        assert!(!message.contains("geheim"), "{message}");
    }
    // One host of its own makes a list usable.
    let proxy = TargetSettings { host: Some("proxy".into()), ..target() };
    let summary = summary(&proxy, &mounted(&[("uri", "postgresql://u:p@a,b/d")]));
    assert_eq!(summary, "u proxy:5432/d p Require");
}

#[test]
fn nothing_that_the_secret_says_is_shown_wherever_it_stands_and_whether_it_is_used() {
    let proxy = TargetSettings {
        host: Some("proxy.example".into()),
        user: Some("probe".into()),
        ..target()
    };
    let secret = mounted(&[("uri", URI), ("host", "db.example"), ("password", "hunter22")]);
    let endpoint = Endpoint::new(&proxy, &secret).unwrap();
    let scrubber = Scrubber::of([&endpoint].into_iter());
    assert_eq!(
        scrubber.clean(&format!(
            "{URI}; proxy.example db.example uri.example probe of_uri pw@uri hunter22 uri_db"
        )),
        "<uri>; <host> <host> <host> <user> <user> <password> <password> <database>"
    );
}

#[test]
fn an_absent_mode_is_the_secrets_else_as_strict_as_can_be() {
    let ca = ca();
    let with = |extra: &[(&str, &str)]| {
        let mut secret = keys(&pulp());
        secret.extend(keys(extra));
        Mounted { secret, ..Mounted::default() }
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
    let with = |pem: &str| Mounted {
        secret: keys(&pulp()),
        ca: keys(&[("ca.crt", pem)]),
        ..Mounted::default()
    };
    assert_eq!(problem_of(&named, &with("no pem")).0, ProblemReason::CaNotFound);
    assert_eq!(mode_of(&named, &with(&ca())), "VerifyFull");
}

#[test]
fn a_token_goes_only_to_a_server_that_is_verified() {
    let iam = TargetSettings { auth: Auth::AwsIam, ..target() };
    let with = |extra: &[(&str, &str)]| mounted(&[&pulp()[..], extra].concat());
    let ca = ca();
    for (sslmode, wanted) in [("require", "VerifyCA"), ("verify-full", "VerifyFull")] {
        let secret = with(&[("sslmode", sslmode), ("ca.crt", &ca)]);
        assert_eq!(mode_of(&iam, &secret), wanted);
    }
    let endpoint = Endpoint::new(&iam, &with(&[("ca.crt", &ca)])).unwrap();
    assert!(matches!(endpoint.proof, Proof::Token(_)));
    assert!(matches!(&endpoint.encryption, Encryption::Always(tls) if tls.verified));
    // The Secret's password, which is of no use, is hidden none the less.
    let scrubber =
        Scrubber::of([&Endpoint::new(&iam, &with(&[("ca.crt", &ca)])).unwrap()].into_iter());
    assert_eq!(scrubber.clean("s3cret"), "<password>");

    for (extra, reason, wanted) in [
        (None, ProblemReason::CaNotFound, "TLS mode VerifyFull needs a certificate authority"),
        (Some("require"), ProblemReason::CaNotFound, "TLS mode Require with auth AwsIam needs"),
        (Some("prefer"), ProblemReason::InvalidValue, "only to a server that TLS has verified"),
        (Some("disable"), ProblemReason::InvalidValue, "only to a server that TLS has verified"),
    ] {
        let extra: Vec<_> = extra.iter().map(|mode| ("sslmode", *mode)).collect();
        let (is, message) = problem_of(&iam, &with(&extra));
        assert_eq!(is, reason, "{message}");
        assert!(message.contains(wanted), "{message}");
    }
}

#[test]
fn a_client_certificate_comes_from_its_own_secret_or_the_targets() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap().pem();
    let (key, other) = (key.serialize_pem(), KeyPair::generate().unwrap().serialize_pem());
    let own = |pairs: &[(&str, &str)]| {
        let secret = [&pulp()[..], pairs].concat();
        Mounted { secret: keys(&secret), ..Mounted::default() }
    };
    let apart =
        |pairs: &[(&str, &str)]| Mounted { certificate: keys(pairs), ..own(&[("tls.key", "no")]) };
    let named = TargetSettings { certificate_secret: Some("pulp-client".into()), ..target() };
    let names = SecretKeys { private_key: Some("k".into()), ..SecretKeys::default() };

    let has = |target: &TargetSettings, mounted: &Mounted| match Endpoint::new(target, mounted) {
        Ok(Endpoint { encryption: Encryption::Always(tls), .. }) => Ok(tls.certificate.is_some()),
        Ok(endpoint) => panic!("{endpoint:?}"),
        Err(problem) => Err((problem.reason.as_str(), problem.message)),
    };
    assert_eq!(has(&target(), &own(&[])), Ok(false));
    assert_eq!(has(&target(), &own(&[("tls.crt", &certificate), ("tls.key", &key)])), Ok(true));
    assert_eq!(
        has(&target(), &own(&[("certificates", &certificate), ("private-key", &key)])),
        Ok(true)
    );
    assert_eq!(has(&named, &apart(&[("tls.crt", &certificate), ("tls.key", &key)])), Ok(true));
    let by_name = TargetSettings { keys: names, ..named.clone() };
    assert_eq!(has(&by_name, &apart(&[("tls.crt", &certificate), ("k", &key)])), Ok(true));
    let plain = own(&[("tls.crt", "no"), ("tls.key", "no"), ("sslmode", "disable")]);
    assert_eq!(mode_of(&target(), &plain), "-");

    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let older = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (target, mounted, reason, wanted) in [
        (&named, own(&[]), "SecretNotFound", "spec.target.tls.certificateSecretName"),
        (
            &named,
            apart(&[("tls.crt", "")]),
            "SecretKeyMissing",
            "none of tls.crt, certificates. It has tls.crt.",
        ),
        (
            &by_name,
            apart(&[("tls.key", &key)]),
            "SecretKeyMissing",
            "Secret pulp-client has no key k",
        ),
        (
            &target(),
            own(&[("tls.crt", &certificate)]),
            "SecretKeyMissing",
            "no privateKey: none of tls.key, private-key",
        ),
        (&target(), own(&[("tls.key", &key)]), "SecretKeyMissing", "spec.target.keys.certificate."),
        (
            &named,
            apart(&[("tls.crt", "no"), ("tls.key", &key)]),
            "InvalidValue",
            "certificate can't be read",
        ),
        (
            &named,
            apart(&[("tls.crt", broken), ("tls.key", &key)]),
            "InvalidValue",
            "certificate can't be read",
        ),
        (
            &named,
            apart(&[("tls.crt", &certificate), ("tls.key", "no")]),
            "InvalidValue",
            "private key can't be read",
        ),
        (
            &named,
            apart(&[("tls.crt", &certificate), ("tls.key", encrypted)]),
            "InvalidValue",
            "is encrypted",
        ),
        (
            &named,
            apart(&[("tls.crt", &certificate), ("tls.key", older)]),
            "InvalidValue",
            "is encrypted",
        ),
        (
            &named,
            apart(&[("tls.crt", &certificate), ("tls.key", &other)]),
            "InvalidValue",
            "not that of the client",
        ),
    ] {
        let (seen, message) = has(target, &mounted).unwrap_err();
        assert!(seen == reason && message.contains(wanted), "{wanted}: {seen} {message}");
    }
}
