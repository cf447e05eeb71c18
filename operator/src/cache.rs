//! What the API server said last of one kind of object, our own writes included.
//!
//! A watch lags behind a write by milliseconds. An operator that decides from the watch alone
//! creates things twice in that gap; this cache takes the answers to its own writes too, and keeps
//! whichever version is newer.

use crate::kind::Kind;
use kube::{Resource, ResourceExt, runtime::watcher::Event};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Objects of one kind by namespace and name.
pub(crate) struct Cache<K>(Mutex<State<K>>);

type Objects<K> = BTreeMap<(String, String), Arc<K>>;

struct State<K> {
    objects: Objects<K>,
    /// Objects of a list that is still coming in.
    listed: Objects<K>,
    /// The newest version that the watch has told of: it tells in the order of versions.
    seen: u64,
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self(Mutex::new(State { objects: BTreeMap::new(), listed: BTreeMap::new(), seen: 0 }))
    }
}

impl<K: Kind> Cache<K> {
    /// Takes in what the watch says.
    pub(crate) fn observe(&self, event: Event<K>) {
        let mut state = self.lock();
        match event {
            Event::Apply(object) => {
                state.seen = state.seen.max(version(&object));
                keep_newer(&mut state.objects, Arc::new(object));
            }
            Event::Delete(object) => {
                state.seen = state.seen.max(version(&object));
                let known = state.objects.get(&key(&object));
                // A new object of the same name may already be known from our own write.
                if known.is_some_and(|known| known.uid() == object.uid()) {
                    state.objects.remove(&key(&object));
                }
            }
            Event::Init => state.listed.clear(),
            Event::InitApply(object) => keep_newer(&mut state.listed, Arc::new(object)),
            Event::InitDone => {
                let listed = std::mem::take(&mut state.listed);
                let newest =
                    listed.values().map(|object| version(object.as_ref())).max().unwrap_or(0);
                let seen = state.seen.max(newest);
                state.seen = seen;
                let before = std::mem::replace(&mut state.objects, listed);
                // Written after the list was taken: the watch will say more of it. What it told of once and is not in
                // the list is gone, however new it was.
                for object in before.into_values().filter(|object| version(object.as_ref()) > seen)
                {
                    keep_newer(&mut state.objects, object);
                }
            }
        }
    }

    /// Takes in the answer to a write of ours.
    pub(crate) fn wrote(&self, mut object: K) -> Arc<K> {
        object.trim();
        let object = Arc::new(object);
        let mut state = self.lock();
        // Where the watch is past it and has it no more, it is gone again.
        let is_new = version(object.as_ref()) > state.seen;
        if is_new || state.objects.contains_key(&key(object.as_ref())) {
            keep_newer(&mut state.objects, object.clone());
        }
        object
    }

    /// Objects of a namespace whose names begin so. No others are looked at.
    pub(crate) fn named(&self, namespace: &str, prefix: &str) -> Vec<Arc<K>> {
        let state = self.lock();
        let from = (namespace.to_owned(), prefix.to_owned());
        let from = state.objects.range(from..);
        from.take_while(|((ns, name), _)| ns == namespace && name.starts_with(prefix))
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// All objects.
    pub(crate) fn all(&self) -> Vec<Arc<K>> {
        self.lock().objects.values().cloned().collect()
    }

    /// `object`, or a newer version of it that a write of ours left here. What the watch has caught
    /// up with is forgotten: for a kind whose objects somebody else keeps.
    pub(crate) fn newest(&self, object: Arc<K>) -> Arc<K> {
        let mut state = self.lock();
        let key = key(object.as_ref());
        match state.objects.get(&key) {
            Some(known)
                if known.uid() == object.uid()
                    && version(known.as_ref()) > version(object.as_ref()) =>
            {
                known.clone()
            }
            _ => {
                state.objects.remove(&key);
                object
            }
        }
    }

    /// Takes in that an object is gone.
    pub(crate) fn forget(&self, namespace: &str, name: &str) {
        self.lock().objects.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// A thread that panicked while it held the lock leaves nothing half done: every change above is
    /// one call on a map.
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep_newer<K: Resource>(objects: &mut Objects<K>, object: Arc<K>) {
    let known = objects.get(&key(object.as_ref()));
    if known.is_none_or(|known| version(known.as_ref()) <= version(object.as_ref())) {
        objects.insert(key(object.as_ref()), object);
    }
}

fn key<K: Resource>(object: &K) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Resource versions are numbers that grow: Kubernetes promises it since 1.35, and etcd has always
/// made them so.
fn version<K: Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_ref().and_then(|v| v.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};

    impl Kind for ConfigMap {}

    fn object(name: &str, uid: &str, version: u64) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: Some("ns".into()),
                uid: Some(uid.into()),
                resource_version: Some(version.to_string()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    fn versions(cache: &Cache<ConfigMap>) -> Vec<u64> {
        cache.named("ns", "").iter().map(|object| version(object.as_ref())).collect()
    }

    #[test]
    fn an_own_write_is_seen_at_once_and_an_old_event_does_not_undo_it() {
        let cache = Cache::default();
        cache.wrote(object("a", "1", 7));
        cache.observe(Event::Apply(object("a", "1", 6)));
        assert_eq!(versions(&cache), [7]);
    }

    #[test]
    fn names_are_found_by_how_they_begin() {
        let cache = Cache::default();
        for (name, version) in [("a-1", 1), ("a-2", 2), ("a-20", 3), ("aa-2", 4), ("b-2", 5)] {
            cache.wrote(object(name, "1", version));
        }
        let found =
            |ns, prefix| cache.named(ns, prefix).iter().map(|o| o.name_any()).collect::<Vec<_>>();
        assert_eq!(found("ns", "a-"), ["a-1", "a-2", "a-20"]);
        assert_eq!(found("ns", "a-2"), ["a-2", "a-20"]);
        assert!(found("other", "a-").is_empty());
    }

    #[test]
    fn the_deletion_of_a_namesake_is_not_ours() {
        let cache = Cache::default();
        cache.wrote(object("a", "2", 9));
        cache.observe(Event::Delete(object("a", "1", 8)));
        assert_eq!(versions(&cache), [9]);
    }

    #[test]
    fn a_list_forgets_what_is_gone_and_keeps_what_came_after_it() {
        let cache = Cache::default();
        cache.observe(Event::Apply(object("gone", "1", 3)));
        cache.wrote(object("new", "2", 9));
        cache.observe(Event::Init);
        cache.observe(Event::InitApply(object("there", "3", 5)));
        cache.observe(Event::InitDone);
        assert_eq!(versions(&cache), [9, 5]);
    }

    #[test]
    fn what_was_deleted_while_nobody_watched_is_gone_though_it_was_the_newest() {
        let cache = Cache::default();
        cache.observe(Event::Apply(object("gone", "1", 9)));
        cache.observe(Event::Init);
        cache.observe(Event::InitDone);
        assert!(versions(&cache).is_empty());
    }

    #[test]
    fn an_answer_that_comes_after_the_watch_told_of_the_end_brings_nothing_back() {
        let cache = Cache::default();
        cache.observe(Event::Apply(object("a", "1", 7)));
        cache.observe(Event::Delete(object("a", "1", 9)));
        cache.wrote(object("a", "1", 8));
        assert!(versions(&cache).is_empty());
        cache.wrote(object("b", "2", 10));
        assert_eq!(versions(&cache), [10]);
    }
}
