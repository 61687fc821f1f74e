//! The demo: what it shows, and that it leaves nothing behind however it ends.

use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{eventually, state_root};

/// Begins the demo; what it leaves behind would be in `folder`.
fn demo(folder: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palyra"));
    command.args(args).env("TMPDIR", folder).env("NO_COLOR", "1");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn a_demo_that_stays_up_leaves_nothing_behind_when_it_is_interrupted() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let folder = state_root();
        let mut demo = demo(folder.path(), &["demo", "--keep"]);
        let told = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(told.into_iter().any(|line| line.contains("its state root is then deleted")));
        assert!(!is_empty(folder.path()));
        assert!(Command::new("kill").args([signal, &demo.id().to_string()]).status().unwrap().success());
        eventually("it ends", || demo.try_wait().unwrap().is_some());
        assert_eq!((demo.wait().unwrap().code(), is_empty(folder.path())), (Some(0), true), "{signal}");
    }
}

#[test]
fn a_demo_whose_reader_goes_away_ends_and_leaves_nothing_behind() {
    let folder = state_root();
    let mut demo = demo(folder.path(), &["demo"]);
    drop(demo.stdout.take());
    let mut said = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((demo.wait().unwrap().code(), said.as_str()), (Some(0), ""));
    assert!(is_empty(folder.path()));
}

#[test]
fn with_json_the_demo_is_one_document() {
    let folder = state_root();
    let output = demo(folder.path(), &["--json", "demo"]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let answers: Vec<_> = told["steps"].as_array().unwrap().iter().map(|step| &step["answer"]).collect();
    assert!(answers.iter().any(|answer| answer.as_str().unwrap().starts_with("202 accepted")), "{told}");
    assert!(told["events"]["events"].as_array().unwrap().len() > 5, "{told}");
    assert_eq!(told["verification"]["verified"], true, "{told}");
}
