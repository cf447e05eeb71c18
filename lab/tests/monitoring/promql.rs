//! As much of PromQL as these tests need: which series an expression selects. Whether it is PromQL at all,
//! Prometheus itself says.

use std::ops::Range;

/// A metric of ours, or one that Prometheus makes, in an expression.
#[derive(Debug)]
pub(crate) struct Selector {
    /// Its name.
    pub(crate) name: String,
    /// Where the name stands.
    at: Range<usize>,
    /// What stands in the braces behind it.
    pub(crate) matchers: Option<String>,
}

/// Metrics that an expression selects.
pub(crate) fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut quoted = false;
    let mut begin = None;
    for (at, c) in expression.char_indices().chain([(expression.len(), ' ')]) {
        let in_word = !quoted && (c.is_ascii_alphanumeric() || c == '_' || c == '$');
        match (begin, in_word) {
            (None, true) => begin = Some(at),
            (Some(from), false) => {
                begin = None;
                let name = &expression[from..at];
                let braces =
                    expression[at..].strip_prefix('{').and_then(|rest| rest.split('}').next());
                if is_metric(name) {
                    let matchers = braces.map(str::to_owned);
                    found.push(Selector { name: name.to_owned(), at: from..at, matchers });
                }
            }
            _ => {}
        }
        quoted ^= c == '"';
    }
    found
}

fn is_metric(word: &str) -> bool {
    ["connectionprobe_", "process_"].iter().any(|prefix| word.starts_with(prefix))
        || matches!(word, "up" | "ALERTS")
}

/// The expression with every selector confined to a namespace, as a cluster's user workload monitoring does it.
pub(crate) fn confined(expression: &str, namespace: &str) -> String {
    let mut confined = expression.to_owned();
    for selector in selectors(expression).iter().rev() {
        let end = selector.at.end;
        match &selector.matchers {
            Some(_) => confined.insert_str(end + 1, &format!("namespace=\"{namespace}\", ")),
            None => confined.insert_str(end, &format!("{{namespace=\"{namespace}\"}}")),
        }
    }
    confined
}

/// The metric of a series: a histogram is one.
pub(crate) fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

#[test]
fn selectors_are_found_and_confined() {
    let expression = "max by (up_to) (connectionprobe_a{b=\"up\"}) - rate(connectionprobe_c_total[5m]) or absent(up)";
    let names: Vec<String> = selectors(expression).into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["connectionprobe_a", "connectionprobe_c_total", "up"]);
    assert_eq!(
        confined(expression, "n"),
        "max by (up_to) (connectionprobe_a{namespace=\"n\", b=\"up\"}) - \
         rate(connectionprobe_c_total{namespace=\"n\"}[5m]) or absent(up{namespace=\"n\"})"
    );
    assert_eq!(family("connectionprobe_a_bucket"), "connectionprobe_a");
}
