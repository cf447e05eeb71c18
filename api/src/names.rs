//! Names, labels and annotations. A child's name is a function of what it is for, so creating it
//! twice is harmless.

use crate::rds_proxy::{overriding::Role, request::Moment};

/// The API group of both resources.
pub const GROUP: &str = "probes.pulpproject.org";
/// Value of `app.kubernetes.io/managed-by` on everything the operator makes.
pub const MANAGED_BY: &str = "connection-probe-operator";
/// Annotation that a user sets on a probe: a new value starts a run.
pub const REQUESTED_AT_ANNOTATION: &str = "probes.pulpproject.org/requestedAt";
/// Annotation that a user sets on a probe: the number of the run to end.
pub const CANCEL_ANNOTATION: &str = "probes.pulpproject.org/cancel";
/// Label on runs, Jobs and pods: the probe's name, cut and hashed if it is too long for a label.
pub const PROBE_LABEL: &str = "probes.pulpproject.org/probe";
/// Annotation on runs, Jobs and pods: the probe's whole name.
pub const PROBE_ANNOTATION: &str = "probes.pulpproject.org/probe-name";
/// Label on Jobs and pods: the run's name.
pub const RUN_LABEL: &str = "probes.pulpproject.org/run";
/// Label on Jobs and pods: the attempt, from 1.
pub const ATTEMPT_LABEL: &str = "probes.pulpproject.org/attempt";
/// Finalizer on probes and runs for which an RDS Proxy is, or may be, changed.
pub const OVERRIDE_FINALIZER: &str = "probes.pulpproject.org/rds-proxy-override";
/// Label on Jobs and pods that ask AWS about an RDS Proxy, `before` or `after` a run; or that change it for the run, as
/// its `guard`, or `restore` it.
pub const RDS_PROXY_LABEL: &str = "probes.pulpproject.org/rds-proxy";
/// Label that the Job controller sets on the pods of an Indexed Job.
pub const INDEX_LABEL: &str = "batch.kubernetes.io/job-completion-index";
/// Label and selector of everything that belongs to a probe.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// `<probe name cut to 40>-<5 hex of the probe's uid>-<number>`: at most 57 characters, so that
/// Jobs and pods can carry it as a label, and without dots: the Job's name becomes a host name. The uid
/// keeps the runs of a probe that was deleted and made again apart.
#[must_use]
pub fn run_name(probe: &str, uid: &str, number: i64) -> String {
    format!("{}{number}", run_prefix(probe, uid))
}

/// What the names of a probe's runs begin with. Rarely another probe's do, too.
#[must_use]
pub fn run_prefix(probe: &str, uid: &str) -> String {
    let hex: String = uid.chars().filter(char::is_ascii_hexdigit).take(5).collect();
    format!("{}-{hex}-", cut(probe, 40).replace('.', "-"))
}

/// `<run name>-<attempt>`.
#[must_use]
pub fn job_name(run: &str, attempt: i32) -> String {
    format!("{}{attempt}", job_prefix(run))
}

/// `<run name>-before` or `-after`: the Job that asks AWS then.
#[must_use]
pub fn rds_job_name(run: &str, moment: Moment) -> String {
    format!("{}{}", job_prefix(run), moment.as_str())
}

/// `<run name>-guard` or `-restore`: the Job that changes an RDS Proxy for the run, or puts it back.
#[must_use]
pub fn override_job_name(run: &str, role: Role) -> String {
    format!("{}{}", job_prefix(run), role.as_str())
}

/// What the names of a run's Jobs begin with.
#[must_use]
pub fn job_prefix(run: &str) -> String {
    format!("{run}-")
}

/// A probe's name as a label value: itself if it fits into 63 characters, else cut, with a hash of
/// the whole.
#[must_use]
pub fn probe_label(probe: &str) -> String {
    if probe.len() <= 63 {
        return probe.to_owned();
    }
    format!("{}-{:08x}", cut(probe, 54), fnv1a(probe))
}

/// The first `length` bytes of a name, not ending in a separator. Kubernetes names are ASCII.
fn cut(name: &str, length: usize) -> &str {
    name.get(..length).unwrap_or(name).trim_end_matches(['-', '.'])
}

/// FNV-1a, 32 bits: stable over versions and machines, which the standard hasher is not.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_runs_fit_a_label_and_a_pod_name() {
        let long = format!("{}.{}", "a".repeat(39), "b".repeat(213));
        let run = run_name(&long, "0f1e2d3c-aaaa", 1_234_567);
        assert_eq!(run, format!("{}-0f1e2-1234567", "a".repeat(39)));
        assert!(job_name(&run_name(&"x".repeat(253), "0f1e2d3c", 99_999), 99).len() <= 57);
        let run = run_name(&"x".repeat(253), "0f1e2d3c", 9_999_999);
        let of_aws = [rds_job_name(&run, Moment::Before), override_job_name(&run, Role::Restore)];
        assert!(
            of_aws.iter().all(|it| it.len() <= 63),
            "the Job controller labels its pods with it"
        );
        assert_eq!(run_name("pulp.955", "0f1e2d3c", 1), "pulp-955-0f1e2-1");
    }

    #[test]
    fn long_names_that_differ_at_the_end_have_different_labels() {
        let (a, b) = (format!("{}a", "x".repeat(80)), format!("{}b", "x".repeat(80)));
        assert!(probe_label(&a).len() <= 63);
        assert_ne!(probe_label(&a), probe_label(&b));
        assert_eq!(probe_label("pulp-955"), "pulp-955");
    }
}
