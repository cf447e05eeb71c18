//! What pods of other versions leave as their termination messages is understood: an operator is upgraded or rolled
//! back in the middle of a run.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    Report,
    inventory::Inventory,
    report::{Arm, Counts},
};
use serde_json::{Value, json};
use std::{fs, path::Path};

/// Where each version has a folder with messages that its pods left.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/messages");

/// Where each is, and what it says.
fn messages() -> Vec<(String, String)> {
    let versions = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let files = versions.flat_map(|version| fs::read_dir(version).unwrap());
    files
        .map(|file| file.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// What this version makes of a message.
fn understood(place: &str, message: &str) -> Value {
    let read = match Path::new(place).file_stem().unwrap() == "inventory" {
        true => Inventory::parse(message).map(|inventory| serde_json::to_value(inventory).unwrap()),
        false => Report::parse(message).map(|report| serde_json::to_value(report).unwrap()),
    };
    read.unwrap_or_else(|error| panic!("{place}: {error}"))
}

#[test]
fn nothing_of_an_older_message_is_lost() {
    let messages = messages();
    assert!(!messages.is_empty());
    for (place, message) in messages {
        let mut lost = Vec::new();
        lost_in(
            &serde_json::from_str(&message).unwrap(),
            &understood(&place, &message),
            "",
            &mut lost,
        );
        assert!(lost.is_empty(), "{place}: {lost:?}");
    }
}

/// Collects what was written and is not there, or otherwise. What is there beside it is new.
fn lost_in(written: &Value, read: &Value, path: &str, lost: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (name, value) in written {
                let there = read.get(name).unwrap_or(&Value::Null);
                lost_in(value, there, &format!("{path}.{name}"), lost);
            }
        }
        (Value::Array(written), Value::Array(read)) if written.len() == read.len() => {
            for (at, (written, read)) in written.iter().zip(read).enumerate() {
                lost_in(written, read, &format!("{path}[{at}]"), lost);
            }
        }
        _ if written != read => lost.push(format!("{path}: {written}, read as {read}")),
        _ => {}
    }
}

#[test]
fn a_report_of_0_1_0_says_what_it_said_then() {
    let message = fs::read_to_string(format!("{FOLDER}/0.1.0/ladder.json")).unwrap();
    let report = Report::parse(&message).unwrap();
    assert!(report.is_conclusive());
    let counts = |arm| report.arm(arm).unwrap().counts;
    assert_eq!(counts(Arm::Target), Counts { survived: 6, disconnected: 6, ..Counts::default() });
    assert_eq!(counts(Arm::Control), Counts { survived: 12, ..Counts::default() });
}

#[test]
fn what_a_newer_pod_adds_is_passed_over() {
    for (place, message) in messages() {
        let mut newer = serde_json::from_str(&message).unwrap();
        add_everywhere(&mut newer);
        assert_eq!(understood(&place, &newer.to_string()), understood(&place, &message), "{place}");
    }
}

fn add_everywhere(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(add_everywhere);
            fields.insert("fromTheFuture".into(), json!([{ "n": 1 }]));
        }
        Value::Array(items) => items.iter_mut().for_each(add_everywhere),
        _ => {}
    }
}
