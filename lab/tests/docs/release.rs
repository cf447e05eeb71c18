//! What a release needs: images by their version, workflows, the manifests of an image.

use crate::{documents, read, root, sh};
use lab::{cluster::require_lab, tools::tool};
use std::{fs, process::Command};

#[test]
fn images_in_the_documents_are_of_this_version() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for tag in text.split("/connection-probe:").skip(1) {
            let tag = tag.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').next().unwrap();
            let known = [env!("CARGO_PKG_VERSION"), "dev"].contains(&tag.trim_end_matches('.'));
            assert!(known, "{}: an image of version {tag}", document.display());
        }
    }
}

#[test]
fn the_workflows_are_valid_and_call_make_targets_that_exist() {
    let makefile = read("Makefile");
    let folder = fs::canonicalize(root().join(".github/workflows")).unwrap();
    let workflows: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    for workflow in &workflows {
        let text = fs::read_to_string(workflow).unwrap();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let text = lines.collect::<Vec<_>>().join("\n");
        for command in text.split(" make ").skip(1) {
            let words = command.split([' ', '\n']).filter(|word| !word.starts_with('-'));
            let target = words.map(|word| format!("\n{word}: ")).next().unwrap();
            assert!(makefile.contains(&target), "{}: make{target}", workflow.display());
        }
    }
    let said = Command::new(tool("actionlint")).args(&workflows).output().unwrap();
    let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.status.success(), "{text}");
}

#[test]
fn the_manifests_of_an_image_are_accepted() {
    require_lab();
    sh("! make -s deploy IMAGE=registry.example/connection-probe:0.1.0 | grep localhost/");
    sh(
        "make -s deploy IMAGE=registry.example/connection-probe:0.1.0 | kubectl apply --dry-run=server -f -",
    );
}
