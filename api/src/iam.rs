//! How a probe asks for tokens of AWS IAM: over a Unix socket, one line of JSON there and one back. So the probe has
//! no code of AWS's in it, and its container no credentials of an account.

use serde::{Deserialize, Serialize};

/// Where the sidecar of a probe pod listens.
pub const SOCKET: &str = "/run/connection-probe/iam.sock";

/// Whom a token is for. It is good for nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRequest {
    /// Host name of the endpoint, as AWS calls it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Role.
    pub user: String,
}

/// What comes back. It has no Debug: a token must not be printed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TokenAnswer {
    /// A token, which is a password for 15 minutes.
    Token(String),
    /// Why there is none.
    Error(String),
}
