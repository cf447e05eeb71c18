//! What the documents name exists, and what users meet is named in them.

use crate::{documents, read, root};
use api::{
    ConnectionProbeRun,
    conditions::{State, Verdict, WaitingReason},
};
use kube::CustomResourceExt;
use std::fs;

/// Of every reason that a user can meet, docs/troubleshooting.md says what to do.
#[test]
fn every_reason_is_explained() {
    let text = read("docs/troubleshooting.md");
    let crd = serde_json::to_value(ConnectionProbeRun::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
    let workload = &schema["properties"]["workloads"]["items"]["properties"];
    let problem = &workload["report"]["properties"]["problem"]["properties"]["reason"]["enum"];
    let enums = [&schema["properties"]["endedEarly"]["enum"], problem];
    let enums = enums.iter().flat_map(|words| words.as_array().unwrap());
    let verdicts = [Verdict::Measured, Verdict::PartlyConclusive, Verdict::Inconclusive];
    let words: Vec<&str> = enums
        .map(|word| word.as_str().unwrap())
        .chain([WaitingReason::PodRefused, WaitingReason::NameConflict].map(|r| r.as_str()))
        .chain(verdicts.map(|verdict| verdict.as_str()))
        .chain([Verdict::ConnectFailed.as_str()])
        .chain([State::Invalid, State::Progressing, State::Suspended(None)].map(|s| s.reason()))
        .collect();
    for word in words {
        let known = text.lines().any(|line| {
            let cell = line.split(" | ").next().unwrap_or_default();
            line.starts_with('|') && cell.contains(&format!("`{word}`"))
        });
        assert!(known, "no row for {word}");
    }
}

/// Links between the documents, and from them into the repository.
#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for rest in text.split("](").skip(1) {
            let link = rest.split(')').next().unwrap();
            let path = link.split('#').next().unwrap();
            let there = path.contains("://") || document.parent().unwrap().join(path).exists();
            assert!(there, "{}: {link}", document.display());
        }
    }
}

#[test]
fn every_make_target_in_the_documents_exists() {
    let makefile = read("Makefile");
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for named in text.split("`make ").skip(1) {
            let target: String = named.chars().take_while(char::is_ascii_lowercase).collect();
            let exists = target.is_empty() || makefile.contains(&format!("\n{target}: "));
            assert!(exists, "{}: make {target}", document.display());
        }
    }
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let is_name = |word: &&str| {
        word.matches('_').count() > 2
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let files =
        |folder| fs::read_dir(root().join(folder)).unwrap().map(|file| file.unwrap().path());
    let tests = ["lab/tests", "lab/tests/forms", "probe/tests"].into_iter().flat_map(files);
    let code: String = tests.filter_map(|path| fs::read_to_string(path).ok()).collect();
    for document in ["README.md", "docs/evidence.md"] {
        let text = read(document);
        let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(is_name).collect();
        assert!(!named.is_empty(), "{document} names the tests that prove it");
        for name in named {
            // Or a setting of a server, with as many words, that a test makes.
            let (test, setting) = (format!("fn {name}()"), format!("{name} = "));
            assert!(code.contains(&test) || code.contains(&setting), "{document}: no test {name}");
        }
    }
}
