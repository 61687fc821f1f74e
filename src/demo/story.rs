//! The output of the demo: line by line as it happens, or with `--json` one document at the end.

use std::cell::RefCell;

use serde_json::{Map, Value, json};

use super::house::House;
use crate::cli::{CliError, Output};

/// The output of one run of the demo.
pub struct Story<'a> {
    out: &'a Output,
    /// The steps, kept for the document.
    steps: RefCell<Vec<Value>>,
    shown: RefCell<Map<String, Value>>,
}

impl<'a> Story<'a> {
    /// A story that is printed to `out`.
    pub fn new(out: &'a Output) -> Self {
        Self { out, steps: RefCell::default(), shown: RefCell::default() }
    }

    /// Prints text for people; nothing with `--json`.
    pub fn say(&self, text: &str) -> Result<(), CliError> {
        if self.out.mode().json { Ok(()) } else { self.out.text(text) }
    }

    /// Reports a completed step: how it was done, and the answer.
    pub fn step(&self, step: &str, how: &str, answer: &str) -> Result<(), CliError> {
        self.steps.borrow_mut().push(json!({"step": step, "how": how, "answer": answer}));
        self.say(&format!("  {step:<42} {how:<42} {answer}\n"))
    }

    /// Runs a command and shows its answer; `name` is its member in the document.
    pub fn show(&self, name: &str, title: &str, house: &House, command: &[&str]) -> Result<(), CliError> {
        if !self.out.mode().json {
            return self.out.text(&format!("\n{title}:\n\n{}\n", house.command(command, b"")?));
        }
        let answer = house.command(&[&["--json"], command].concat(), b"")?;
        let answer = serde_json::from_str(&answer).unwrap_or_default();
        self.shown.borrow_mut().insert(name.to_owned(), answer);
        Ok(())
    }

    /// Prints the document, with `--json`.
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
