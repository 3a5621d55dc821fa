//! Rules about the source, as tests.

mod documents;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 500;

/// The layers, lowest first: a module sees itself and the lower layers, two modules of one
/// layer do not see each other.
const LAYERS: [&[&str]; 12] = [
    &["failure"],
    &["domain"],
    &["exit", "words"],
    &["clock"],
    &["retry", "pace", "proxy"],
    &["driver", "kalshi", "store"],
    &["ingest", "cli"],
    &["report", "metrics", "manual", "dataset", "webhook", "progress", "watchlist"],
    &["config", "fuzz"],
    &["logging", "watchdog"],
    &["serve"],
    &["app"],
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Every file below `directory` with this ending, as paths from the root, with its text.
fn files(directory: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "nothing in {directory}");
    found
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|modules| modules.contains(&module))
        .unwrap_or_else(|| panic!("{module} is in no layer: add it to the table above"))
}

/// The code before its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

#[test]
fn layers_look_down_only() {
    for (name, text) in files("src", ".rs") {
        let module = name.trim_start_matches("src/").split(['/', '.']).next().unwrap();
        if ["lib", "main"].contains(&module) || name.ends_with("_tests.rs") {
            continue;
        }
        let own = layer(module);
        for part in without_tests(&text).split("crate::").skip(1) {
            let seen = part.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let is_below = seen == module || layer(seen) < own;
            assert!(is_below, "{name} looks up or sideways, at {seen}");
        }
    }
}

#[test]
fn the_list_of_modules_is_in_the_order_of_the_layers() {
    let lib = read("src/lib.rs");
    let listed: Vec<usize> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "))
        .map(|line| layer(line.split(';').next().unwrap()))
        .collect();
    assert_eq!(listed.len(), LAYERS.concat().len());
    assert!(listed.is_sorted(), "{listed:?}");
}

#[test]
fn domain_and_driver_name_no_io_no_clock_and_no_log() {
    let forbidden = [
        "std::fs",
        "std::io",
        "std::net",
        "std::thread",
        "std::env",
        "log::",
        "Utc::now",
        "Instant::now",
        "SystemTime",
        "ureq",
        "postgres",
        "rusqlite",
        "serde",
        "println",
    ];
    let pure = ["src/domain", "src/driver"].map(|directory| files(directory, ".rs"));
    for (name, text) in pure.concat() {
        if name.ends_with("_tests.rs") || name.ends_with("_properties.rs") {
            continue;
        }
        for word in forbidden {
            assert!(!without_tests(&text).contains(word), "{name} names {word}");
        }
    }
}

#[test]
fn no_file_is_longer_than_it_may_be() {
    for directory in ["src", "tests", "examples", "benches", "crates", "simulator", "simulate"] {
        for (name, text) in files(directory, ".rs") {
            let lines = text.lines().count();
            assert!(lines <= FILE_LINES_MAX, "{name} has {lines} lines: is it one subject?");
        }
    }
}

/// The words of a comment line; clap prints those of a command and of a flag, so they are held to it as well.
fn comment(line: &str) -> Option<&str> {
    let text = line.trim_start().strip_prefix("//")?;
    Some(text.trim_start_matches(['/', '!']).trim_start())
}

#[test]
fn a_comment_names_its_subject_and_fits_its_width() {
    const WIDTH_MAX: usize = 120;
    let is_riddle = |text: &str| {
        let begins = ["What ", "Who ", "Whose "].iter().any(|word| text.starts_with(word));
        begins && !text.contains('?')
    };
    for directory in ["src", "crates", "simulator/src", "simulate/src"] {
        for (name, text) in files(directory, ".rs") {
            let lines = text.lines().enumerate();
            for (at, line) in lines.filter_map(|(at, line)| Some((at + 1, (line, comment(line)?))))
            {
                assert!(!is_riddle(line.1), "{name}:{at} begins without its subject: {}", line.1);
                let width = line.0.chars().count();
                assert!(width <= WIDTH_MAX, "{name}:{at} has {width} columns");
            }
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    let words = [["to", "do"].concat(), ["fix", "me"].concat(), ["x", "xx"].concat()];
    for directory in ["src", "tests", "examples", "crates", "simulator", "simulate", "sql"] {
        for ending in [".rs", ".sql"] {
            if directory == "sql" && ending == ".rs" || directory != "sql" && ending == ".sql" {
                continue;
            }
            for (name, text) in files(directory, ending) {
                let text = text.to_lowercase();
                for word in &words {
                    let found = text.split(|c: char| !c.is_alphanumeric()).any(|part| part == word);
                    assert!(!found, "{name} has a {word}");
                }
            }
        }
    }
}

/// Items that others than the program are there for.
const FOR_OTHERS: [&str; 3] = [
    "decode_page",    // benchmarks have no connection
    "to_environment", // tests turn the clock of a process of its own
    "on_sqlite",      // simulation keeps its database in memory
];

/// The compiler does not see that a public item is dead.
#[test]
fn the_program_uses_every_item_that_it_has() {
    const KINDS: [&str; 7] = ["fn", "const", "static", "struct", "enum", "type", "trait"];
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let code: Vec<String> = files("src", ".rs")
        .into_iter()
        .filter(|(name, _)| !name.ends_with("_tests.rs") && !name.ends_with("/tests.rs"))
        .flat_map(|(_, text)| {
            let lines = without_tests(&text).lines().map(|line| line.split("//").next());
            lines.map(|line| line.unwrap_or_default().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let words: Vec<&str> = code
        .iter()
        .flat_map(|line| line.split(|c| !is_word(c)))
        .filter(|w| !w.is_empty())
        .collect();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for word in &words {
        *times.entry(word).or_default() += 1;
    }
    // As in `pub fn name` and `pub(super) const fn name`.
    let is_public = |at: usize| words[at.saturating_sub(3)..at].contains(&"pub");
    let kinds = (1..words.len() - 1).filter(|at| KINDS.contains(&words[*at]) && is_public(*at));
    let defined = kinds.map(|at| words[at + 1]).filter(|name| !KINDS.contains(name));
    let unused: Vec<&str> =
        defined.filter(|name| times[name] == 1 && !FOR_OTHERS.contains(name)).collect();
    assert_eq!(unused, [""; 0], "nobody uses them");
}

#[test]
fn both_dialects_have_the_same_statements_in_one_order_and_all_are_used() {
    let names = |dialect: &str| -> Vec<(String, String)> {
        let named = |(file, text): (String, String)| {
            let table = file.rsplit('/').next().unwrap().trim_end_matches(".sql").to_owned();
            let names = text.lines().filter_map(|line| line.strip_prefix("-- name: "));
            names.map(|name| (table.clone(), name.to_owned())).collect::<Vec<_>>()
        };
        let mut all = files(&format!("sql/{dialect}"), ".sql");
        all.sort();
        all.into_iter().flat_map(named).collect()
    };
    assert_eq!(names("postgres"), names("sqlite"));
    let code: String = files("src/store", ".rs").into_iter().map(|(_, text)| text).collect();
    let code: String = code.split_whitespace().collect();
    for (table, name) in names("sqlite") {
        let is_in_both = code.contains(&format!("statement!(\"{table}\",\"{name}\")"));
        let is_in_each = ["postgres", "sqlite"]
            .iter()
            .all(|dialect| code.contains(&format!("sql!(\"{dialect}\",\"{table}\",\"{name}\")")));
        assert!(is_in_both || is_in_each, "{name} in {table}.sql is used by nobody");
    }
}

#[test]
fn both_dialects_have_the_same_migrations() {
    let names = |dialect: &str| -> BTreeSet<String> {
        let name = |(file, _): (String, String)| file.rsplit('/').next().unwrap().to_owned();
        files(&format!("sql/{dialect}/migrations"), ".sql").into_iter().map(name).collect()
    };
    assert_eq!(names("postgres"), names("sqlite"));
    assert!(!names("sqlite").is_empty());
}

#[test]
fn the_crates_know_nothing_of_this_program() {
    for ending in [".rs", ".toml", ".md"] {
        for (name, text) in files("crates", ending) {
            let text = text.to_lowercase();
            for word in ["kalshi", "trade", "market"] {
                assert!(!text.contains(word), "{name} names a {word}");
            }
        }
    }
}
