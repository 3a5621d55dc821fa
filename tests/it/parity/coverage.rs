//! No method without an operation, no operation that is never drawn, none that never meets anything.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::operations::Operation;
use super::{Seen, drawn};

/// What answers with nothing by its nature.
const SILENT: [&str; 3] = ["migrate", "release", "delete"];

/// The method that an operation calls: the last name before its values.
pub(super) fn method(operation: &Operation) -> String {
    let text = format!("{operation:?}");
    let head = text.split('{').next().unwrap();
    let name = head.split('(').next_back().unwrap();
    snake(name.trim_matches(|letter: char| !letter.is_alphanumeric()))
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The methods of `Store` and of the traits that it stands on, as the source has them.
fn methods() -> BTreeSet<String> {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store")).unwrap();
    let files = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let text: String = files.map(|path| fs::read_to_string(path).unwrap()).collect();
    let head = text.split("pub trait Store:").nth(1).unwrap().split('{').next().unwrap();
    let mut traits: Vec<&str> = head.split('+').map(str::trim).collect();
    traits.retain(|name| *name != "Send");
    traits.push("Store");
    let mut methods = BTreeSet::new();
    for name in traits {
        let begin = text
            .split(&format!("pub trait {name}"))
            .skip(1)
            .find(|rest| rest.starts_with([' ', ':']))
            .unwrap_or_else(|| panic!("src/store has no trait {name}"));
        let block = begin.split("\n}\n").next().unwrap();
        let names = block.lines().filter_map(|line| line.strip_prefix("    fn "));
        methods.extend(names.map(|line| line.split('(').next().unwrap().to_owned()));
    }
    methods
}

#[test]
fn every_method_of_the_stores_has_its_operation() {
    let methods = methods();
    assert!(methods.len() > 40, "{methods:?}");
    let mut drawn = BTreeSet::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..5_000 {
        let operation = drawn::operation().new_tree(&mut runner).unwrap().current();
        drawn.insert(method(&operation));
    }
    drawn.remove("release");
    drawn.remove("delete");
    assert_eq!(drawn, methods, "on the left the operations that are drawn");
    let dispatcher = read("tests/it/parity/dispatch.rs");
    for method in methods {
        let is_called = dispatcher.contains(&format!("store.{method}("));
        assert!(is_called, "tests/it/parity/dispatch.rs does not call {method}");
    }
}

impl Seen {
    /// A call that never met anything has compared nothing.
    pub(super) fn assert_something_of_all(&self) {
        for (method, [something, nothing, failed]) in &self.0 {
            let is_met = *something > 0 || SILENT.contains(&&**method) && nothing + failed > 0;
            assert!(is_met, "{method} was never answered with anything: {:#?}", self.0);
        }
        for word in ["inserted", "rejected", "conflicting", "overtaken"] {
            assert!(self.0.contains_key(&format!("commit: {word}")), "{word}: {:#?}", self.0);
        }
    }
}
