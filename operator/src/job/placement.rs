//! On which nodes the pods of a run are.

use api::{measurement::Placement, names::RUN_LABEL};
use k8s_openapi::{
    api::core::v1::{
        Affinity, PodAffinity, PodAffinityTerm, PodAntiAffinity, WeightedPodAffinityTerm,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use std::collections::BTreeMap;

/// The user's affinity with ours. Pods that run side by side are kept on one node: otherwise a
/// difference between workloads could be one between nodes.
pub(super) fn affinity(placement: Placement, user: Option<Affinity>, run: &str) -> Affinity {
    let labels = BTreeMap::from([(RUN_LABEL.to_owned(), run.to_owned())]);
    let term = PodAffinityTerm {
        label_selector: Some(LabelSelector { match_labels: Some(labels), match_expressions: None }),
        topology_key: "kubernetes.io/hostname".to_owned(),
        ..PodAffinityTerm::default()
    };
    let mut affinity = user.unwrap_or_default();
    match placement {
        Placement::SameNode => {
            affinity.pod_affinity = Some(PodAffinity {
                required_during_scheduling_ignored_during_execution: Some(vec![term]),
                ..PodAffinity::default()
            });
        }
        Placement::Spread => {
            let anti = affinity.pod_anti_affinity.get_or_insert_with(PodAntiAffinity::default);
            anti.preferred_during_scheduling_ignored_during_execution
                .get_or_insert_default()
                .push(WeightedPodAffinityTerm { weight: 100, pod_affinity_term: term });
        }
    }
    affinity
}
