//! An RDS Proxy on the way: where it is asked for its own facts, and as whom.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

pub mod evidence;
pub mod facts;
pub mod metrics;
pub mod overriding;
pub mod points;
pub mod request;

pub use evidence::{Evidence, RdsProxyStatus};
pub use overriding::Override;

/// The RDS Proxy on the measured path. A pod of its own asks AWS for the proxy's configuration, events, CloudWatch
/// metrics and log: before the run and after it. The operator never does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.serviceAccountName) != has(self.credentialsSecretName)")
        .message("write either serviceAccountName or credentialsSecretName: AWS is asked as that account")
)]
pub struct RdsProxy {
    /// Name of the proxy: DBProxyName.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z](-?[A-Za-z0-9]+)*$"))]
    pub name: String,

    /// Region of the proxy, such as us-east-1 or us-gov-west-1.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$"))]
    pub region: String,

    /// Name of a service account in the probe's namespace that AWS knows: by IRSA (its annotation
    /// eks.amazonaws.com/role-arn) or by EKS Pod Identity. docs/rds-proxy.md has the policies that its role needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_name")]
    pub service_account_name: Option<String>,

    /// Name of a Secret with `aws_access_key_id` and `aws_secret_access_key`, and `aws_session_token` where they are
    /// temporary. The kubelet mounts it; the operator never reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_name")]
    pub credentials_secret_name: Option<String>,

    /// Where to ask in place of AWS's public endpoints, for all of its services: for tests, or a gateway of yours.
    #[serde(default, rename = "endpointURL", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^https?://[A-Za-z0-9._:-]+/?$"))]
    pub endpoint_url: Option<String>,

    /// Another IdleClientTimeout for as long as the run lasts; what was there is put back.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub timeout_override: Option<Override>,
}
