//! On which nodes the pods of a run are.

use api::{
    measurement::Placement,
    names::{ATTEMPT_LABEL, RUN_LABEL},
};
use k8s_openapi::{
    api::core::v1::{
        Affinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinity, PodAffinityTerm,
        PodAntiAffinity, WeightedPodAffinityTerm,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use std::collections::BTreeMap;

/// The user's affinity with ours. Pods of a run are kept on one node: otherwise a difference between
/// workloads could be one between nodes. Those that run side by side, in the Job of an attempt, find each
/// other; those that follow others are told `node`. Pods of an earlier attempt must not attract: they may
/// hang on a node that is lost.
pub(super) fn affinity(
    placement: Placement,
    user: Option<Affinity>,
    (run, attempt): (&str, i32),
    node: Option<&str>,
) -> Affinity {
    let labels = BTreeMap::from([
        (RUN_LABEL.to_owned(), run.to_owned()),
        (ATTEMPT_LABEL.to_owned(), attempt.to_string()),
    ]);
    let term = PodAffinityTerm {
        label_selector: Some(LabelSelector { match_labels: Some(labels), match_expressions: None }),
        topology_key: "kubernetes.io/hostname".to_owned(),
        ..PodAffinityTerm::default()
    };
    let mut affinity = user.unwrap_or_default();
    node.into_iter().for_each(|node| stay(&mut affinity, node));
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

/// Asks for one node. Of the user's terms one must hold, so each of them is narrowed.
fn stay(affinity: &mut Affinity, node: &str) {
    let nodes = affinity.node_affinity.get_or_insert_default();
    let required =
        nodes.required_during_scheduling_ignored_during_execution.get_or_insert_default();
    if required.node_selector_terms.is_empty() {
        required.node_selector_terms.push(NodeSelectorTerm::default());
    }
    for term in &mut required.node_selector_terms {
        term.match_fields.get_or_insert_default().push(NodeSelectorRequirement {
            key: "metadata.name".to_owned(),
            operator: "In".to_owned(),
            values: Some(vec![node.to_owned()]),
        });
    }
}
