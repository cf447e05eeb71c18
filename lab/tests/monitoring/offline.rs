//! What can be said of the files themselves.

use crate::{
    dashboard::{self, list, text},
    path,
    prometheus::CONFIGURATION,
    promql, rules, run,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, process::Command};

const TESTS: &str = "lab/tests/monitoring";
const RUNBOOKS: &str = "docs/runbooks";

/// Series that a panel selects without the dashboard's job, each with its reason.
const WITHOUT_JOB: [(&str, &str); 9] = [
    ("connectionprobe_probe_lanes", "of probe pods, whose job is the PodMonitor's"),
    ("connectionprobe_probe_cuts_total", "likewise"),
    ("connectionprobe_probe_lanes_ended_total", "likewise"),
    ("connectionprobe_probe_uptime_seconds", "likewise"),
    (
        "process_cpu_seconds_total",
        "every process has it: joined with build_info, which has the job",
    ),
    ("process_open_fds", "likewise"),
    ("process_resident_memory_bytes", "likewise"),
    ("process_start_time_seconds", "likewise"),
    ("ALERTS", "Prometheus' own, and the alert of an absent operator has no job"),
];
/// Counters that a panel shows as they are.
const COUNTS: [(&str, &str); 2] = [
    ("connectionprobe_probe_cuts_total", "a pod lives for one run and counts from its start"),
    ("connectionprobe_probe_lanes_ended_total", "likewise"),
];

/// Labels that a PodMonitor does not give by itself.
const POD_LABELS: [(&str, &str); 2] = [
    ("__meta_kubernetes_pod_annotation_probes_pulpproject_org_probe_name", "probe"),
    ("__meta_kubernetes_pod_label_probes_pulpproject_org_run", "run"),
];

#[test]
fn the_dashboard_is_one_that_a_provisioner_can_load() {
    let dashboard = dashboard::read();
    assert_eq!(dashboard["uid"], "connection-probe", "links lead to it");
    assert_eq!(dashboard["id"], Value::Null, "Grafana gives it");
    assert_eq!(dashboard["editable"], false, "a change would be lost with the next load");
    assert_eq!(dashboard["schemaVersion"], 41);
    assert!(dashboard.get("__inputs").is_none(), "a sidecar does not fill them");
    let file = fs::read_to_string(path(dashboard::FILE)).unwrap();
    let formatted = serde_json::to_string_pretty(&dashboard).unwrap() + "\n";
    assert!(file == formatted, "{}: keys in order, indented by two", dashboard::FILE);
    assert!(file.len() < 512 * 1024, "half of what a ConfigMap holds: {}", file.len());

    let variables = list(&dashboard, "/templating/list");
    let source = &variables[0];
    assert_eq!((&source["type"], &source["query"]), (&"datasource".into(), &"prometheus".into()));
    assert_eq!((&source["name"], &source["label"]), (&"datasource".into(), &"Data source".into()));
    for variable in &variables[1..] {
        let name = &variable["name"];
        assert_eq!(variable["refresh"], 2, "{name} follows the chosen time");
        assert_eq!((&variable["multi"], &variable["includeAll"]), (&true.into(), &true.into()));
        assert_eq!(variable["allValue"], ".+", "{name}");
        assert_eq!(variable["datasource"]["uid"], "${datasource}", "{name}");
    }
    assert_eq!(dashboard::variables(&dashboard).len(), variables.len() - 1);
}

#[test]
fn every_panel_says_what_it_shows() {
    let dashboard = dashboard::read();
    let (mut titles, mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in list(&dashboard, "/panels") {
        let title = text(&panel["title"]);
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: the id is taken");
        let side = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(side("x") + side("w") <= 24, "{title}: wider than the page");
        for x in side("x")..side("x") + side("w") {
            for y in side("y")..side("y") + side("h") {
                assert!(cells.insert((x, y)), "{title}: the place is taken");
            }
        }
    }
    for panel in dashboard::panels(&dashboard) {
        let title = text(&panel["title"]);
        assert!(!title.is_empty() && titles.insert(title.clone()), "{title}: the title is taken");
        assert!(!text(&panel["description"]).is_empty(), "{title}: no description");
        assert!(!text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(), "{title}: no unit");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        assert!(!list(panel, "/targets").is_empty(), "{title}: no query");
        for target in list(panel, "/targets") {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
    for annotation in list(&dashboard, "/annotations/list") {
        assert_eq!(annotation["datasource"]["uid"], "${datasource}", "{}", annotation["name"]);
    }
}

#[test]
fn queries_select_the_chosen_operator_and_look_at_counters_by_their_growth() {
    let dashboard = dashboard::read();
    let mut excepted = BTreeSet::new();
    for query in dashboard::queries(&dashboard) {
        let (place, expression) = (&query.place, &query.expression);
        for selector in promql::selectors(expression) {
            let name = selector.name.as_str();
            if !selector.matchers.unwrap_or_default().contains("job=~\"$job\"") {
                assert!(WITHOUT_JOB.iter().any(|(n, _)| *n == name), "{place}: {name} of any job");
                excepted.insert(name.to_owned());
            }
            let grows = ["_total", "_bucket"].iter().any(|end| name.ends_with(end));
            if grows
                && !expression.contains(&format!("rate({name}"))
                && !expression.contains(&format!("increase({name}"))
            {
                assert!(
                    COUNTS.iter().any(|(n, _)| *n == name),
                    "{place}: {name} without rate or increase"
                );
            }
        }
        for range in expression.split('[').skip(1).filter_map(|rest| rest.split(']').next()) {
            assert!(matches!(range, "$__rate_interval" | "$__range"), "{place}: [{range}]");
        }
    }
    for (name, _) in WITHOUT_JOB {
        assert!(excepted.contains(name), "no exception is needed for {name}");
    }
}

#[test]
fn prometheus_can_read_every_query() {
    let queries = dashboard::queries(&dashboard::read());
    let rules: Vec<Value> = queries
        .iter()
        .enumerate()
        .map(|(i, query)| {
            let expression = dashboard::with_all(&query.expression);
            assert!(!expression.contains('$'), "{}: an unknown variable", query.place);
            serde_json::json!({ "record": format!("query:{i}"), "expr": expression })
        })
        .collect();
    assert!(rules.len() > 50, "queries were found");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queries.json");
    let groups = serde_json::json!({ "groups": [{ "name": "queries", "rules": rules }] });
    fs::write(&file, groups.to_string()).unwrap();
    run(Command::new("promtool").args(["check", "rules"]).arg(&file));
}

#[test]
fn grafanas_own_types_know_every_field_of_the_dashboard() {
    let python = lab::tools::python("tests/monitoring/requirements.txt");
    let script = path(TESTS).join("schema.py");
    let unknown = run(Command::new(python).arg(script).arg(path(dashboard::FILE)));
    assert_eq!(unknown, "", "fields that Grafana would not read");
}

/// Every metric that the operator and the probe have.
fn catalogue() -> BTreeSet<String> {
    let page = fs::read_to_string(path("docs/metrics.md")).expect("docs/metrics.md is there");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split(['`', '{']).next());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    assert!(names.len() > 20, "metrics were found: {names:?}");
    names
}

#[test]
fn every_metric_that_is_asked_for_exists() {
    let known = catalogue();
    let dashboard = dashboard::read();
    let of_dashboard = dashboard::queries(&dashboard).into_iter().map(|q| q.expression);
    let of_variables = dashboard::variables(&dashboard).into_iter().map(|(_, series, _)| series);
    let of_rules = rules::rules().into_iter().map(|rule| text(&rule["expr"]));
    let mut asked = BTreeSet::new();
    for expression in of_dashboard.chain(of_variables).chain(of_rules) {
        for selector in promql::selectors(&expression) {
            if selector.name.starts_with("connectionprobe_") {
                let (name, family) = (&selector.name, promql::family(&selector.name));
                assert!(
                    known.contains(name) || known.contains(family),
                    "no metric {name}: {expression}"
                );
                asked.insert(selector.name);
            }
        }
    }
    assert!(asked.len() > 20, "metrics were asked for: {asked:?}");
}

#[test]
fn the_probe_pods_are_scraped_here_as_the_chart_has_them_scraped() {
    let chart =
        fs::read_to_string(path("charts/connection-probe-operator/templates/podmonitor.yaml"))
            .unwrap();
    for (source, label) in POD_LABELS {
        let there = format!("sourceLabels: [{source}]\n      targetLabel: {label}\n");
        assert!(chart.contains(&there), "the PodMonitor makes no {label} of {source}");
        let here = format!("source_labels: [{source}], target_label: {label} }}");
        assert!(CONFIGURATION.contains(&here), "nor does the Prometheus of these tests");
    }
}

#[test]
fn rules_say_what_they_should() {
    let tests = ["rules.test.yaml", "gone.test.yaml"].map(|name| path(TESTS).join(name));
    run(Command::new("promtool").args(["check", "rules"]).arg(path(rules::FILE)));
    run(Command::new("promtool").args(["test", "rules"]).args(tests));
}

#[test]
fn rules_hold_where_a_namespace_sees_only_its_own_series() {
    let folder = tempfile::tempdir().unwrap();
    rules::write_confined(&folder.path().join("rules.json"), "tools");
    let tests = ["rules.test.yaml", "confined.test.yaml"].map(|name| {
        let test = fs::read_to_string(path(TESTS).join(name)).unwrap();
        let confined = test.replace(&format!("../../../{}", rules::FILE), "rules.json");
        let file = folder.path().join(name);
        fs::write(&file, confined).unwrap();
        file
    });
    run(Command::new("promtool").args(["test", "rules"]).args(tests));
}

#[test]
fn every_alert_has_a_page_and_every_page_an_alert() {
    let file = fs::read_to_string(path(rules::FILE)).unwrap();
    assert_eq!(file.matches("2700").count(), 1, "the chart replaces it");
    let mut pages = BTreeSet::new();
    for rule in rules::alerts() {
        let name = text(&rule["alert"]);
        assert!(name.starts_with("ConnectionProbe"), "{name}");
        let severity = text(&rule["labels"]["severity"]);
        assert!(["info", "warning", "critical"].contains(&severity.as_str()), "{name}: {severity}");
        assert!(!text(&rule["for"]).is_empty(), "{name}: how long it must hold");
        for annotation in ["summary", "description"] {
            assert!(!text(&rule["annotations"][annotation]).is_empty(), "{name}: no {annotation}");
        }
        let page = format!("{RUNBOOKS}/{name}.md");
        assert_eq!(text(&rule["annotations"]["runbook_url"]), page);
        let text = fs::read_to_string(path(&page)).unwrap_or_else(|e| panic!("{page}: {e}"));
        assert!(text.starts_with(&format!("# {name}\n")), "{page} has the alert's name");
        pages.insert(format!("{name}.md"));
    }
    let there = fs::read_dir(path(RUNBOOKS)).unwrap();
    let there: BTreeSet<String> =
        there.map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, pages);
}
