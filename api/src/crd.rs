//! The two CustomResourceDefinitions as they are installed.

use crate::{ConnectionProbe, ConnectionProbeRun};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

/// The CRD of `ConnectionProbe`.
#[must_use]
pub fn connection_probe() -> CustomResourceDefinition {
    installed(ConnectionProbe::crd())
}

/// The CRD of `ConnectionProbeRun`.
#[must_use]
pub fn connection_probe_run() -> CustomResourceDefinition {
    installed(ConnectionProbeRun::crd())
}

/// Refuses null everywhere: `idle:` without braces is a mistake, and a nullable field would let it
/// pass as something that is there.
fn installed(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let schemas = crd
        .spec
        .versions
        .iter_mut()
        .filter_map(|version| version.schema.as_mut());
    schemas
        .filter_map(|schema| schema.open_api_v3_schema.as_mut())
        .for_each(refuse_null);
    crd
}

fn refuse_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema
        .properties
        .iter_mut()
        .flat_map(|fields| fields.values_mut())
        .for_each(refuse_null);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        refuse_null(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        refuse_null(values);
    }
}
