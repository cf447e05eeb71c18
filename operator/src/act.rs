//! The act and record steps: the only code that writes to the API. Every call is harmless when
//! repeated, and every answer goes into the caches.

use crate::{
    controller::{Context, now},
    error::Error,
    job,
    kind::Kind,
    observe::owned_by,
    plan::Action,
};
use api::{
    ConnectionProbe, ConnectionProbeRun, ConnectionProbeRunStatus, ConnectionProbeStatus,
    names::OVERRIDE_FINALIZER,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

/// What became of an action.
pub(crate) enum Acted {
    /// It is done, or was done before.
    Done,
    /// Something that is not ours has the name. It was left alone.
    Foreign(String),
    /// The namespace is being deleted, and the probe with it.
    Terminating,
}

/// Carries out one action.
pub(crate) async fn act(
    context: &Context,
    probe: &ConnectionProbe,
    action: &Action,
) -> Result<Acted, Error> {
    let namespace = probe.namespace().unwrap_or_default();
    match action {
        Action::StartRun(run) => {
            if !run.finalizers().is_empty() {
                finalize(context, probe, true, |probe| context.world.probes.wrote(probe)).await?;
            }
            let made = create(context, &namespace, run.as_ref(), probe.uid()).await?;
            Ok(made.into_acted(|run| context.world.runs.wrote(run)))
        }
        Action::StartJob { run, attempt, workloads, node } => {
            let job = job::job(run, *attempt, workloads, node.as_deref());
            let job = job.map_err(Error::Settings)?;
            let made = create(context, &namespace, &job, run.uid()).await?;
            Ok(made.into_acted(|job| context.world.jobs.wrote(job)))
        }
        Action::AskAws { run, request } => {
            let made = create(context, &namespace, &job::asking(run, request), run.uid()).await?;
            Ok(made.into_acted(|job| context.world.jobs.wrote(job)))
        }
        Action::Override { run, order, role } => {
            let job = job::overriding(run, order, *role, now());
            let made = create(context, &namespace, &job, run.uid()).await?;
            Ok(made.into_acted(|job| context.world.jobs.wrote(job)))
        }
        Action::Release { run: Some(run) } => {
            finalize(context, run.as_ref(), false, |run| context.world.runs.wrote(run)).await
        }
        Action::Release { run: None } => {
            finalize(context, probe, false, |probe| context.world.probes.wrote(probe)).await
        }
        // Foreground: the Job stays until its pods are gone and have said their last words.
        Action::DeleteJob { name } => {
            let how = DeleteParams::foreground();
            delete(context, &namespace, name, &how, |job| context.world.jobs.wrote(job)).await
        }
        Action::DropJob { name } => {
            let how = DeleteParams::background();
            delete(context, &namespace, name, &how, |job| context.world.jobs.wrote(job)).await?;
            context.world.jobs.forget(&namespace, name);
            Ok(Acted::Done)
        }
        Action::DeleteRun { name } => {
            let how = DeleteParams::background();
            delete(context, &namespace, name, &how, |run| context.world.runs.wrote(run)).await
        }
    }
}

/// Holds an object until no proxy is changed for it any more, or lets it go: guarded by the version that the decision was
/// based on.
async fn finalize<K: Kind, T>(
    context: &Context,
    object: &K,
    held: bool,
    keep: impl FnOnce(K) -> T,
) -> Result<Acted, Error> {
    let others = object.finalizers().iter().filter(|it| *it != OVERRIDE_FINALIZER).cloned();
    let finalizers: Vec<_> = others.chain(held.then(|| OVERRIDE_FINALIZER.to_owned())).collect();
    if finalizers.len() == object.finalizers().len() {
        return Ok(Acted::Done);
    }
    let namespace = object.namespace().unwrap_or_default();
    let api = Api::<K>::namespaced(context.scope.client.clone(), &namespace);
    let patch = json!({
        "metadata": { "resourceVersion": object.resource_version(), "finalizers": finalizers }
    });
    match api.patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(patched) => {
            keep(patched);
            Ok(Acted::Done)
        }
        Err(error) if is(&error, 404) => Ok(Acted::Done),
        Err(source) => Err(Error::Act { action: "set finalizers", source }),
    }
}

/// Deletes a child, or finds that it is gone. What goes slowly is kept as it is until it is gone.
async fn delete<K: Kind, T>(
    context: &Context,
    namespace: &str,
    name: &str,
    how: &DeleteParams,
    keep: impl FnOnce(K) -> T,
) -> Result<Acted, Error> {
    let api = Api::<K>::namespaced(context.scope.client.clone(), namespace);
    match api.delete(name, how).await {
        Ok(deleted) => {
            deleted.map_left(keep);
            Ok(Acted::Done)
        }
        Err(error) if is(&error, 404) => Ok(Acted::Done),
        Err(source) => Err(Error::Act { action: "delete a child", source }),
    }
}

/// What became of a child that was to be made.
enum Created<K> {
    Ours(Box<K>),
    Foreign(String),
    Terminating,
}

impl<K> Created<K> {
    fn into_acted<T>(self, keep: impl FnOnce(K) -> T) -> Acted {
        match self {
            Self::Ours(child) => {
                keep(*child);
                Acted::Done
            }
            Self::Foreign(object) => Acted::Foreign(object),
            Self::Terminating => Acted::Terminating,
        }
    }
}

/// Whether a creation was refused since the namespace is being deleted.
fn is_terminating(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// Creates a child, or finds that it is there: made by us before a crash, or by somebody else.
async fn create<K: Kind>(
    context: &Context,
    namespace: &str,
    child: &K,
    owner: Option<String>,
) -> Result<Created<K>, Error> {
    let api = Api::<K>::namespaced(context.scope.client.clone(), namespace);
    let failed = |source| Error::Act { action: "create a child", source };
    match api.create(&PostParams::default(), child).await {
        Ok(made) => Ok(Created::Ours(Box::new(made))),
        Err(kube::Error::Api(status)) if is_terminating(&status) => Ok(Created::Terminating),
        Err(error) if is(&error, 409) => {
            let there = api.get(&child.name_any()).await.map_err(failed)?;
            Ok(if owned_by(&there, owner.as_deref()) {
                Created::Ours(Box::new(there))
            } else {
                Created::Foreign(format!("{} {}", K::kind(&()), child.name_any()))
            })
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes the status of `run`, as it was when that was decided; `false`: it is gone. The pods of one that
/// has ended have nothing more to say.
pub(crate) async fn record_run(
    context: &Context,
    run: &ConnectionProbeRun,
    status: ConnectionProbeRunStatus,
) -> Result<bool, Error> {
    let namespace = run.namespace().unwrap_or_default();
    let ended = status.has_ended();
    let was_going = run.status.as_ref().is_none_or(|status| !status.has_ended());
    let run = ConnectionProbeRun { status: Some(status), ..run.clone() };
    let written = replace_status(context, &namespace, &run).await?;
    let written = written.map(|written| context.world.runs.wrote(written));
    if ended {
        written.iter().filter(|_| was_going).for_each(|run| context.scope.metrics.run_ended(run));
        context.world.pods.forget(&namespace, &run.name_any());
    }
    Ok(written.is_some())
}

/// Writes a probe's status; `false`: it is gone.
pub(crate) async fn record_probe(
    context: &Context,
    probe: &ConnectionProbe,
    status: ConnectionProbeStatus,
) -> Result<bool, Error> {
    let namespace = probe.namespace().unwrap_or_default();
    let probe = ConnectionProbe { status: Some(status), ..probe.clone() };
    let written = replace_status(context, &namespace, &probe).await?;
    Ok(written.map(|written| context.world.probes.wrote(written)).is_some())
}

/// Replaces a status, guarded by the resource version that the decision was based on. `None`: the
/// object is gone.
async fn replace_status<K: Kind>(
    context: &Context,
    namespace: &str,
    object: &K,
) -> Result<Option<K>, Error> {
    let api = Api::<K>::namespaced(context.scope.client.clone(), namespace);
    match api.replace_status(&object.name_any(), &PostParams::default(), object).await {
        Ok(written) => Ok(Some(written)),
        Err(error) if is(&error, 404) => Ok(None),
        Err(error) => Err(Error::Record(error)),
    }
}

fn is(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}
