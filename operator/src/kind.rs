//! What the operator watches and writes.

use api::{ConnectionProbe, ConnectionProbeRun};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Resource, core::NamespaceResourceScope};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// A namespaced kind that is known by its type.
pub(crate) trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Default
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Drops what nothing here reads: it would be kept for thousands of objects.
    fn trim(&mut self) {
        self.meta_mut().managed_fields = None;
    }
}

impl Kind for ConnectionProbe {}

impl Kind for ConnectionProbeRun {}

impl Kind for Pod {}

impl Kind for Job {
    fn trim(&mut self) {
        self.metadata.managed_fields = None;
        self.spec = None;
    }
}
