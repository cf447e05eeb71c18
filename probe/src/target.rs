//! Settings and mounted files in, an endpoint out.

use crate::{
    iam::TokenService,
    mounts::Mounted,
    password::Password,
    problem,
    tls::{Authorities, Tls, Verification},
};
use api::{
    iam::TokenRequest,
    report::Problem,
    secret_keys::Part,
    settings::TargetSettings,
    target::{Auth, TlsMode},
};
use certificate::certificate;
use parts::Parts;

mod certificate;
mod parts;
mod uri;

/// PostgreSQL's port.
const DEFAULT_PORT: u16 = 5432;

/// Where to connect, as whom, and how the way is secured.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// Role.
    pub user: String,
    /// How the login is proved.
    pub proof: Proof,
    /// TLS.
    pub encryption: Encryption,
    /// What else the Secret says of them, and what is put in its place in texts.
    pub hidden: Vec<(Password, &'static str)>,
}

/// How a login is proved.
#[derive(Clone, Debug)]
pub enum Proof {
    /// By the Secret's password. A server may let the role in without one.
    Password(Option<Password>),
    /// By a token, which is signed for each login.
    Token(TokenService),
}

/// Whether a connection is encrypted.
#[derive(Clone, Debug)]
pub enum Encryption {
    /// Never.
    Never,
    /// If the server can.
    IfOffered(Tls),
    /// Always.
    Always(Tls),
}

impl Endpoint {
    /// Puts an endpoint together. What the manifest says goes before the Secret.
    ///
    /// # Errors
    /// What is missing or can't be used, and what to do.
    pub fn new(target: &TargetSettings, mounted: &Mounted) -> Result<Self, Problem> {
        let parts = Parts::new(target, mounted)?;
        let host = parts.needed(Part::Host, target.host.as_deref())?;
        check_host(&target.secret_name, &host)?;
        let user = parts.needed(Part::User, target.user.as_deref())?;
        let database = match &target.database {
            Some(database) => database.clone(),
            // As libpq does.
            None => parts.find(Part::Database)?.unwrap_or(&user).to_owned(),
        };
        let port = match (target.port, parts.find(Part::Port)?) {
            (Some(port), _) => port,
            (None, None) => DEFAULT_PORT,
            (None, Some(port)) => parse_port(&target.secret_name, port)?,
        };
        let proof = match target.auth {
            Auth::Password => Proof::Password(parts.find(Part::Password)?.map(Password::new)),
            Auth::AwsIam => Proof::Token(TokenService { socket: mounted.iam_socket.clone() }),
        };
        Ok(Self {
            encryption: encryption(target, mounted, &parts, &host)?,
            proof,
            hidden: parts.hidden()?,
            host,
            port,
            database,
            user,
        })
    }

    /// Whether what proves its logins is there.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub fn check(&self) -> Result<(), Problem> {
        match &self.proof {
            Proof::Password(_) => Ok(()),
            Proof::Token(service) => service.check(),
        }
    }

    /// Whom a token for a login is for.
    #[must_use]
    pub fn token_request(&self) -> TokenRequest {
        TokenRequest { host: self.host.clone(), port: self.port, user: self.user.clone() }
    }

    /// What identifies this endpoint and its owner, with what stands for it in texts.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let password = match &self.proof {
            Proof::Password(Some(password)) => password.reveal(),
            // The next one is not known yet: the scrubber knows tokens by how they look.
            Proof::Password(None) | Proof::Token(_) => "",
        };
        let used = [
            (password, "<password>"),
            (&*self.user, "<user>"),
            (&*self.database, "<database>"),
            (&*self.host, "<host>"),
        ];
        used.into_iter().chain(self.hidden.iter().map(|(value, word)| (value.reveal(), *word)))
    }
}

/// libpq also takes lists of hosts and folders of Unix sockets.
fn check_host(secret: &str, host: &str) -> Result<(), Problem> {
    let what = match host {
        _ if host.contains(',') => "a list of several, and a probe measures one path",
        _ if host.starts_with(['/', '@']) => "a Unix socket, and a probe measures TCP",
        _ => return Ok(()),
    };
    Err(problem::invalid(&format!(
        "The host in Secret {secret} is {what}. Write spec.target.host and port."
    )))
}

fn parse_port(secret: &str, port: &str) -> Result<u16, Problem> {
    port.trim().parse().ok().filter(|port| *port > 0).ok_or_else(|| {
        problem::invalid(&format!(
            "The port in Secret {secret} is no number from 1 to 65535. Correct it, or write \
             spec.target.port."
        ))
    })
}

/// libpq's modes. Require with a CA at hand verifies like VerifyCA (PostgreSQL documentation, "SSL
/// Mode Descriptions"); Prefer verifies nothing. A token goes to nobody who was not verified.
fn encryption(
    target: &TargetSettings,
    mounted: &Mounted,
    parts: &Parts<'_>,
    host: &str,
) -> Result<Encryption, Problem> {
    let mode = match target.tls_mode {
        Some(mode) => Some(mode),
        None => sslmode(target, parts)?,
    };
    let by_token = target.auth == Auth::AwsIam;
    if by_token && matches!(mode, Some(TlsMode::Disable | TlsMode::Prefer)) {
        return Err(problem::token_wants_tls(&target.secret_name));
    }
    if mode == Some(TlsMode::Disable) {
        return Ok(Encryption::Never);
    }
    let authorities = authorities(target, mounted, parts)?;
    let mode = mode.unwrap_or(match authorities {
        None if !by_token => TlsMode::Require,
        _ => TlsMode::VerifyFull,
    });
    let wanted = |word| problem::ca_wanted(word, &target.secret_name);
    let (verification, word) = match (mode, authorities) {
        (TlsMode::Disable, _) => return Ok(Encryption::Never),
        (TlsMode::Prefer, _) => (Verification::None, "Prefer"),
        (TlsMode::Require, None) if by_token => return Err(wanted("Require with auth AwsIam")),
        (TlsMode::Require, None) => (Verification::None, "Require"),
        (TlsMode::Require | TlsMode::VerifyCA, Some(ca)) => (Verification::Chain(ca), "VerifyCA"),
        (TlsMode::VerifyFull, Some(ca)) => (Verification::Full(ca), "VerifyFull"),
        (TlsMode::VerifyCA, None) => return Err(wanted("VerifyCA")),
        (TlsMode::VerifyFull, None) => return Err(wanted("VerifyFull")),
    };
    let certificate = certificate(target, mounted)?;
    let tls = Tls::new(host, verification, word, certificate).ok_or_else(|| {
        problem::invalid(
            "The host is no name that a certificate can be made out to. Correct \
             spec.target.host, or write spec.target.tls.mode: VerifyCA.",
        )
    })?;
    Ok(match mode {
        TlsMode::Prefer => Encryption::IfOffered(tls),
        _ => Encryption::Always(tls),
    })
}

fn sslmode(target: &TargetSettings, parts: &Parts<'_>) -> Result<Option<TlsMode>, Problem> {
    let Some(sslmode) = parts.find(Part::Sslmode)? else {
        return Ok(None);
    };
    TlsMode::from_sslmode(sslmode.trim()).map(Some).ok_or_else(|| {
        problem::invalid(&format!(
            "The sslmode in Secret {} is none of disable, prefer, require, verify-ca, \
             verify-full. Correct it, or write spec.target.tls.mode.",
            target.secret_name
        ))
    })
}

/// The certificate authority that the manifest names, else the one in the Secret.
fn authorities(
    target: &TargetSettings,
    mounted: &Mounted,
    parts: &Parts<'_>,
) -> Result<Option<Authorities>, Problem> {
    let (pem, holder) = match &target.ca {
        Some(source) => match mounted.ca.get(&source.key) {
            Some(pem) => (pem.as_str(), format!("Key {} of {}", source.key, source.name)),
            None => return Err(problem::ca_not_found(source, &mounted.ca)),
        },
        None => match parts.find(Part::Ca)? {
            Some(pem) => (pem, format!("The CA in Secret {}", target.secret_name)),
            None => return Ok(None),
        },
    };
    match Authorities::from_pem(pem) {
        Some(authorities) => Ok(Some(authorities)),
        None => Err(problem::ca_unusable(&holder)),
    }
}

#[cfg(test)]
mod tests;
