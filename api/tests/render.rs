//! Runs as documents: two that were captured from a real PgBouncer, and one whose server is hostile.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    ConnectionProbeRun,
    expect::Expect,
    rds_proxy::RdsProxyStatus,
    render::{self, Format},
};
use serde_json::json;
use std::{fs, path::Path};

/// A run of the plan's workloads, captured from PgBouncer with `client_idle_timeout` of 20 s, as the operator
/// keeps it.
fn captured() -> ConnectionProbeRun {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs/timer-20s.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What a probe may expect of it: each word that there is for what came of it.
fn expect() -> Expect {
    serde_saphyr::from_str(
        "{ minLifetime: 15s, explains: [40s, 50s], workloads: [{ name: heartbeat, survives: true }, \
         { name: idle, survives: true }, { name: listen, survives: false }, { name: gone, survives: true }] }",
    )
    .unwrap()
}

/// What a server may send to do harm: to a page, to XML, to a table, to a terminal.
const HOSTILE: &str = "<script>alert(1)</script>]]>\"'&|`[x](http://evil)\u{1b}[2J\u{0}\u{b}\n# a @all http://evil\r\t\u{fffe}";

/// The same, but every text of a server is hostile.
fn hostile() -> ConnectionProbeRun {
    let mut run = captured();
    let status = run.status.as_mut().unwrap();
    status.summary = Some(format!("Run 1: {HOSTILE}"));
    for report in status.workloads.iter_mut().filter_map(|workload| workload.report.as_mut()) {
        for ending in report.arms.iter_mut().flat_map(|arm| &mut arm.endings) {
            ending.detail = Some(HOSTILE.to_owned());
            for message in ending.form.iter_mut().flat_map(|form| &mut form.messages) {
                message.text = HOSTILE.to_owned();
                message.routine = Some(HOSTILE.to_owned());
            }
        }
        for arm in &mut report.arms {
            arm.server.as_mut().unwrap().version = Some(HOSTILE.to_owned());
            arm.reconnect.get_or_insert_default().last_error = Some(HOSTILE.to_owned());
        }
    }
    for arm in &mut status.inventory.as_mut().unwrap().arms {
        arm.problem = Some(format!("{HOSTILE}\n```\n"));
    }
    for finding in &mut status.findings {
        finding.observed.push_str(HOSTILE);
        finding.evidence.push(HOSTILE.to_owned());
        finding.not_excluded.push(HOSTILE.to_owned());
        let experiment = finding.experiment.as_mut().unwrap();
        experiment.question = HOSTILE.to_owned();
        experiment.manifest = Some(format!("a: |\n  {HOSTILE}\n```\n"));
    }
    assert!(!status.findings.is_empty());
    status.rds_proxy = Some(proxy(HOSTILE));
    run
}

/// What AWS told of a proxy in the captured run's two minutes; `text`: whatever it says in words.
fn proxy(text: &str) -> RdsProxyStatus {
    let series = |metric: &str, values: &str| json!({ "metric": metric, "values": values });
    let evidence = json!({
        "takenAt": "2026-11-25T13:40:00Z",
        "proxy": {
            "status": text, "idleClientTimeoutSeconds": 20, "requireTls": true, "debugLogging": true,
            "measuredEndpoint": text, "iamAuth": text
        },
        "endpoints": [{ "name": text, "role": "READ_ONLY", "status": text }],
        "targets": [{ "kind": "RDS_INSTANCE", "role": text, "health": text }],
        "parameters": [{ "name": text, "value": text, "unit": "ms", "source": text }],
        "events": [{ "at": "2026-11-25T13:33:50Z", "about": text, "text": text }],
        "metrics": {
            "start": "2026-11-25T13:32:00Z", "periodSeconds": 60, "knownUntil": "2026-11-25T13:34:00Z",
            "series": [
                series("ClientConnections", "0 45 -"),
                series("DatabaseConnectionsBorrowLatency", "350 1250000 -"),
                series("DatabaseConnectionsCurrentlySessionPinned", "0 - 3"),
            ]
        },
        "log": { "wanted": 9, "found": 5, "ends": [{ "workload": "idle", "n": 5, "reason": text, "apartMs": 20 }] },
        "gaps": [{ "permission": "rds:DescribeDBProxyTargetGroups", "problem": text }],
    });
    let mut after = evidence.clone();
    after["proxy"]["idleClientTimeoutSeconds"] = json!(30);
    let told = json!({ "before": evidence, "after": after, "problem": text });
    serde_json::from_value(told).unwrap()
}

fn is_line(c: char) -> bool {
    c == '\n' || !c.is_control()
}

#[test]
fn a_ticket_has_everything_that_is_known() {
    insta::assert_snapshot!(render::run(&captured(), Some(&expect()), Format::Markdown));
}

#[test]
fn a_pipeline_reads_a_case_for_each_workload_and_path() {
    insta::assert_snapshot!(render::run(&captured(), Some(&expect()), Format::Junit));
}

#[test]
fn a_cut_fails_no_case_where_nothing_is_expected() {
    let suite = render::run(&captured(), None, Format::Junit);
    assert!(suite.contains("failures=\"0\" errors=\"0\""), "{suite}");
    assert!(suite.contains("<system-out>cut: yes (5 of 5), after 0:20"), "and it is told: {suite}");
}

#[test]
fn json_is_the_run_itself() {
    let json = render::run(&captured(), None, Format::Json);
    assert_eq!(serde_json::from_str::<ConnectionProbeRun>(&json).unwrap(), captured());
}

#[test]
fn a_page_stands_alone_and_draws_every_connection_that_is_told() {
    let page = render::run(&captured(), None, Format::Html);
    for outside in ["http://", "https://", " src=", " href=", "@import", "<script", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let urls: Vec<_> =
        page.split("url(").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    assert!(urls.iter().all(|url| *url == "#hatch"), "{urls:?}");
    let (lanes, others) =
        captured().status.unwrap().reports().flat_map(|report| &report.arms).fold(
            (0, 0),
            |(lanes, others), arm| {
                let more = |e: &&api::report::Ending| e.n > i32::try_from(e.lanes.len()).unwrap();
                let listed: usize = arm.endings.iter().map(|ending| ending.lanes.len()).sum();
                (lanes + listed, others + arm.endings.iter().filter(more).count())
            },
        );
    assert!(lanes > 40 && others > 0, "{lanes} {others}");
    assert_eq!(page.matches("<title>").count(), 1 + 2 * lanes + others);
}

#[test]
fn what_aws_counted_is_drawn_over_the_same_time_of_day() {
    let mut run = captured();
    let without = render::run(&run, None, Format::Html);
    run.status.as_mut().unwrap().rds_proxy = Some(proxy("said"));
    let page = render::run(&run, None, Format::Html);
    check_elements(&page);
    let steps = |page: &str| page.matches("class=\"step\"").count();
    assert_eq!((steps(&without), steps(&page)), (0, 3), "a chart for each metric with a value");
    let chart = page.split("aria-label=\"ClientConnections: 45 to 45\"").nth(1).unwrap();
    let chart = chart.split("</svg>").next().unwrap();
    // 13:33:25 to 13:34:18 is the axis: the minute before it is left of it, the one after it has no value.
    assert!(chart.contains("<path class=\"step\" d=\"M42 22H"), "{chart}");
    let times = |page: &str| -> Vec<String> {
        let times = page.split("class=\"time\"").skip(1);
        times.map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
    };
    let clock = times(&without)[0].clone();
    assert!(chart.contains(&clock[..clock.find(" y=").unwrap()]), "the same axis: {clock}");
    assert!(chart.contains("class=\"when\""), "cuts: {chart}");
}

/// Every opened element is closed, in order: as in XML, but for the void elements of HTML.
fn check_elements(page: &str) {
    let mut open = Vec::new();
    for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        let name = tag.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{tag}"),
            None if name.starts_with(['!', '?']) || name == "meta" => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn what_a_server_says_stays_text() {
    let run = hostile();
    for format in [Format::Html, Format::Junit] {
        let page = render::run(&run, None, format);
        check_elements(&page);
        assert!(!page.contains("<script"), "a script");
        assert!(!page.contains("]]>"), "an end of CDATA");
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt;]]&gt;&quot;'&amp;|"),
            "{page}"
        );
        assert!(page.chars().all(|c| is_line(c) && c != '\u{fffe}'), "XML can't say this");
    }
    let markdown = render::run(&run, Some(&expect()), Format::Markdown);
    assert!(markdown.chars().all(is_line));
    let table = render::run(&run, None, Format::Table);
    assert!(table.chars().all(is_line), "a terminal obeys what it is told");
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    for (text, columns) in [(&markdown, [7, 8]), (&table, [7, 7])] {
        for line in text.lines().filter(|line| line.starts_with('|')) {
            assert!(columns.contains(&cells(line)), "{line}");
        }
    }
    let lines: Vec<_> = markdown.lines().collect();
    let fences = lines.iter().filter(|line| line.starts_with("```")).count();
    let experiments = run.status.unwrap().findings.len();
    assert_eq!(fences, 2 * (1 + experiments), "{markdown}");
    // Outside of code nothing is left for Markdown to read, or for GitHub to make a link of.
    let (mut prose, mut in_fence) = (String::new(), false);
    for line in lines {
        in_fence ^= line.starts_with("```");
        if !in_fence && !line.starts_with("```") {
            prose += &format!("{line}\n");
        }
    }
    assert_eq!(prose.lines().filter(|line| line.starts_with("# ")).count(), 1, "{markdown}");
    for (i, part) in prose.split('`').enumerate().filter(|(i, _)| i % 2 == 0) {
        let active = part.match_indices('<').chain(part.match_indices('['));
        let escaped = |at: usize| part[..at].ends_with('\\');
        assert!(!part.contains("://") && !part.contains('@'), "part {i}: {part}");
        assert!(active.into_iter().all(|(at, _)| escaped(at)), "part {i}: {part}");
    }
}
