//! How the demo is told: line by line as it happens, or with `--json` in one document at its end.

use std::cell::RefCell;

use serde_json::{Map, Value, json};

use super::house::House;
use crate::cli::{CliError, Output};

/// What is told of the demo.
pub struct Story<'a> {
    out: &'a Output,
    /// What was kept for the document.
    steps: RefCell<Vec<Value>>,
    shown: RefCell<Map<String, Value>>,
}

impl<'a> Story<'a> {
    /// One that is told through `out`.
    pub fn new(out: &'a Output) -> Self {
        Self { out, steps: RefCell::default(), shown: RefCell::default() }
    }

    /// Something for people alone.
    pub fn say(&self, text: &str) -> Result<(), CliError> {
        if self.out.mode().json { Ok(()) } else { self.out.text(text) }
    }

    /// A step that was done: by what, and what came of it.
    pub fn step(&self, step: &str, how: &str, answer: &str) -> Result<(), CliError> {
        self.steps.borrow_mut().push(json!({"step": step, "how": how, "answer": answer}));
        self.say(&format!("  {step:<42} {how:<42} {answer}\n"))
    }

    /// What a command answers; `name` is its place in the document.
    pub fn show(&self, name: &str, title: &str, house: &House, command: &[&str]) -> Result<(), CliError> {
        if !self.out.mode().json {
            return self.out.text(&format!("\n{title}:\n\n{}\n", house.command(command, b"")?));
        }
        let answer = house.command(&[&["--json"], command].concat(), b"")?;
        let answer = serde_json::from_str(&answer).unwrap_or_default();
        self.shown.borrow_mut().insert(name.to_owned(), answer);
        Ok(())
    }

    /// The document, with `--json`.
    pub fn end(&self, house: &House) -> Result<(), CliError> {
        if !self.out.mode().json {
            return Ok(());
        }
        let mut document = self.shown.take();
        document.insert("steps".to_owned(), json!(self.steps.take()));
        document.insert("state_root".to_owned(), json!(house.root()));
        document.insert("ingress".to_owned(), json!(house.ingress()));
        self.out.document(&Value::Object(document))
    }
}
