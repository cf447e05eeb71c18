//! The dashboard's file.

use crate::path;
use serde_json::Value;
use std::fs;

pub(crate) const FILE: &str = "charts/connection-probe-operator/dashboards/connection-probe.json";

/// A query of a panel or an annotation.
pub(crate) struct Query {
    /// Whose.
    pub(crate) place: String,
    /// PromQL with the dashboard's variables.
    pub(crate) expression: String,
}

pub(crate) fn read() -> Value {
    serde_json::from_str(&fs::read_to_string(path(FILE)).unwrap()).unwrap()
}

pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Panels that show data.
pub(crate) fn panels(dashboard: &Value) -> Vec<&Value> {
    let shows = |panel: &&Value| panel["type"] != "row" && panel["type"] != "text";
    list(dashboard, "/panels").iter().filter(shows).collect()
}

/// Every query.
pub(crate) fn queries(dashboard: &Value) -> Vec<Query> {
    let of_panels = panels(dashboard).into_iter().flat_map(|panel| {
        list(panel, "/targets").iter().map(|target| Query {
            place: format!("{} {}", text(&panel["title"]), text(&target["refId"])),
            expression: text(&target["expr"]),
        })
    });
    let annotations = list(dashboard, "/annotations/list").iter().map(|annotation| Query {
        place: format!("annotation {}", text(&annotation["name"])),
        expression: text(&annotation["expr"]),
    });
    of_panels.chain(annotations).collect()
}

/// Variables that are filled by a query: the name, the series, the label.
pub(crate) fn variables(dashboard: &Value) -> Vec<(String, String, String)> {
    let queries = list(dashboard, "/templating/list").iter().filter(|v| v["type"] == "query");
    queries
        .map(|variable| {
            let query = text(&variable["query"]);
            let inner = query.strip_prefix("label_values(").and_then(|q| q.strip_suffix(')'));
            let (series, label) = inner.and_then(|q| q.rsplit_once(", ")).expect(&query);
            (text(&variable["name"]), series.to_owned(), label.to_owned())
        })
        .collect()
}

/// An expression as Grafana sends it, with all values of the variables chosen.
pub(crate) fn with_all(expression: &str) -> String {
    ["job", "namespace", "probe", "workload"]
        .iter()
        .fold(expression.to_owned(), |sent, name| sent.replace(&format!("\"${name}\""), "\".+\""))
        .replace("$__rate_interval", "20s")
        .replace("$__range", "15m")
}
