//! The container that is added to a worker's pod.

use super::WatchWorkers;
use k8s_openapi::api::core::v1::{
    Capabilities, EphemeralContainer, Pod, SeccompProfile, SecurityContext,
};
use serde_json::{Value, json};

/// Its name begins so. A number follows: one that has ended can't be taken away, and its name stays.
pub(super) const PREFIX: &str = "watch-sockets-";
/// The user of our image, where the pod's own is root.
const USER: i64 = 65532;

/// The container for a pod: without environment, mounts and rights, so that the Pod Security Standard Restricted takes
/// it. It runs as the pod's user, which on OpenShift is the namespace's, or else as the image's.
pub(super) fn of(pod: &Pod, order: &WatchWorkers, image: &str) -> EphemeralContainer {
    let spec = pod.spec.as_ref();
    let known = spec.and_then(|spec| spec.ephemeral_containers.as_deref()).unwrap_or_default();
    let number = |name: &str| name.strip_prefix(PREFIX)?.parse::<u32>().ok();
    let last = known.iter().filter_map(|container| number(&container.name)).max().unwrap_or(0);
    let of_pod = spec.and_then(|spec| spec.security_context.as_ref()?.run_as_user);
    let ports = order.port.iter().flat_map(|port| ["--port".to_owned(), port.to_string()]);
    let args = ["watch-sockets", "--output", "lines", "--for"].map(str::to_owned).into_iter();
    let length = format!("{}ms", order.length.as_millis());
    EphemeralContainer {
        name: format!("{PREFIX}{}", last + 1),
        image: Some(image.to_owned()),
        command: Some(vec!["/connection-probe".to_owned()]),
        args: Some(args.chain([length]).chain(ports).collect()),
        target_container_name: order.container.clone(),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            run_as_user: of_pod.filter(|user| *user == 0).map(|_| USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..SecurityContext::default()
        }),
        ..EphemeralContainer::default()
    }
}

/// The change of the pod, as `kubectl debug` makes it: a strategic merge adds to the list.
pub(super) fn patch(container: &EphemeralContainer) -> Value {
    json!({ "spec": { "ephemeralContainers": [container] } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn order(args: &str) -> WatchWorkers {
        let words = ["kubectl-cprobe", "watch-workers"].into_iter().chain(args.split_whitespace());
        match Cli::try_parse_from(words).unwrap().command {
            Command::WatchWorkers(order) => order,
            other => panic!("{other:?}"),
        }
    }

    fn pod(spec: &Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "worker-0" }, "spec": spec })).unwrap()
    }

    #[test]
    fn the_container_has_no_rights_and_a_name_of_its_own() {
        let known = json!([{ "name": "debugger-x" }, { "name": "watch-sockets-2" }, { "name": "watch-sockets-x" }]);
        let pod = pod(&json!({ "containers": [], "ephemeralContainers": known }));
        let container = of(&pod, &order("worker-0 --for 90m --port 5432 -c worker"), "probe:1");
        let patch = patch(&container);
        assert_eq!(
            patch["spec"]["ephemeralContainers"],
            json!([{
                "name": "watch-sockets-3",
                "image": "probe:1",
                "command": ["/connection-probe"],
                "args": ["watch-sockets", "--output", "lines", "--for", "5400000ms", "--port", "5432"],
                "targetContainerName": "worker",
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] },
                    "readOnlyRootFilesystem": true,
                    "runAsNonRoot": true,
                    "seccompProfile": { "type": "RuntimeDefault" },
                },
            }])
        );
    }

    #[test]
    fn it_runs_as_the_pod_does_but_never_as_root() {
        let user = |id: Option<i64>| {
            let pod = pod(&json!({ "containers": [], "securityContext": { "runAsUser": id } }));
            of(&pod, &order("worker-0"), "probe:1").security_context.unwrap().run_as_user
        };
        assert_eq!([None, Some(0), Some(1_000_740_000)].map(user), [None, Some(USER), None]);
    }
}
