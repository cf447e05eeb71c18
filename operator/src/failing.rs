//! When to try again after a failure: ever later, each probe for itself, and not all of them at once.

use api::ConnectionProbe;
use kube::runtime::{reflector::ObjectRef, watcher::DefaultBackoff};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Probes whose last reconciliation failed.
#[derive(Default)]
pub(crate) struct Failing(Mutex<HashMap<ObjectRef<ConnectionProbe>, DefaultBackoff>>);

impl Failing {
    /// How long to wait after one more failure: about a second at first, half a minute to a minute in the
    /// end. kube's own schedule for watches, with jitter.
    pub(crate) fn failed(&self, probe: &ConnectionProbe) -> Duration {
        let mut failing = self.lock();
        failing.entry(ObjectRef::from_obj(probe)).or_default().next().unwrap_or_default()
    }

    /// It succeeded, or it is gone.
    pub(crate) fn forget(&self, probe: &ConnectionProbe) {
        self.lock().remove(&ObjectRef::from_obj(probe));
    }

    /// Every change is one call on a map: a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<ConnectionProbe>, DefaultBackoff>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn probe(name: &str) -> ConnectionProbe {
        ConnectionProbe::new(name, api::ConnectionProbeSpec::default())
    }

    #[test]
    fn each_probe_waits_ever_longer_until_it_succeeds() {
        let (failing, a) = (Failing::default(), probe("a"));
        let waits: Vec<_> = (0..20).map(|_| failing.failed(&a).as_millis()).collect();
        assert!((800..=1600).contains(&waits[0]), "{waits:?}");
        assert!((30_000..=60_000).contains(&waits[19]), "{waits:?}");
        assert!(failing.failed(&probe("b")).as_millis() <= 1600);
        failing.forget(&a);
        assert!(failing.failed(&a).as_millis() <= 1600);
    }

    #[test]
    fn probes_that_fail_together_do_not_try_again_together() {
        let failing = Failing::default();
        let waits = (0..100).map(|n| failing.failed(&probe(&n.to_string())).as_millis());
        assert!(waits.collect::<BTreeSet<_>>().len() > 50);
    }
}
