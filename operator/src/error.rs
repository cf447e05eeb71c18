//! Failures of the operator. "Not ready", "invalid" and "done" are no failures: they are values of
//! the plan.

/// What failed, by step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A write to a child failed.
    #[error("could not {action}")]
    Act {
        /// What was to be done.
        action: &'static str,
        /// Why not.
        #[source]
        source: kube::Error,
    },
    /// A Job was planned for settings that can't be carried out.
    #[error("a Job was planned for settings that are refused: {0:?}")]
    Settings(api::settings::Invalid),
    /// A status could not be written.
    #[error("could not write a status")]
    Record(#[source] kube::Error),
    /// The plan did not come to rest.
    #[error("the plan did not come to rest")]
    Restless,
}

impl Error {
    /// One word, for metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Act { .. } => "Act",
            Self::Settings(_) => "Settings",
            Self::Record(error) if is_conflict(error) => "Conflict",
            Self::Record(_) => "Record",
            Self::Restless => "Restless",
        }
    }

    /// Whether a newer version of the object made the decision void: to be taken again, no failure.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Record(error) if is_conflict(error))
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}
