//! What a user expects of a run. It is judged, not measured: editing it starts nothing, and judges the last run anew.

use crate::schema;
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod judge;

pub use judge::{Expectation, Judged, judge, judge_each};

/// What is expected of the connections on the measured path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.minLifetime) || has(self.survives) || has(self.explains) || has(self.workloads)")
        .message("write minLifetime, survives, explains or workloads: nothing else is expected")
)]
pub struct Expect {
    /// Every connection lives at least so long, 1s to 24h. Unknown for one that was let go before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub min_lifetime: Option<Duration>,

    /// True: every connection answers at the end. False: at least one is cut, deaf, or refused a request, in each
    /// workload; that is how a timer is shown to be at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survives: Option<bool>,

    /// Ages at which connections of yours were cut, such as 40m49s; 1 to 10 of them. What was found must explain each:
    /// a limit on age by that age, an idle timer of 30:00 by 10:49 of activity before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::ages")]
    pub explains: Vec<Duration>,

    /// What is expected of single workloads, in place of `minLifetime` and `survives` above; 1 to 12 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 12), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"]
    ))]
    pub workloads: Vec<ExpectWorkload>,
}

/// What is expected of the connections of one workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpectWorkload {
    /// Name of the workload.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// Every connection of it lives at least so long, 1s to 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub min_lifetime: Option<Duration>,

    /// True: every connection of it answers at the end. False: at least one does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survives: Option<bool>,
}
