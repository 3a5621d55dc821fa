//! Rules about the documents, as tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use kalshi_ingest::cli::Cli;
use kalshi_ingest::exit::Exit;

use super::{LAYERS, files, layer, read, root};

#[test]
fn the_reference_lists_every_exit_status() {
    let reference = read("docs/reference.md");
    for exit in Exit::ALL {
        let row = format!("| {} |", exit.code());
        assert!(reference.contains(&row), "the reference has no row {row:?} for {exit:?}");
    }
}

/// The most lines of the page that everybody reads first.
const README_LINES_MAX: usize = 120;

#[test]
fn the_readme_is_one_page() {
    let lines = read("README.md").lines().count();
    assert!(lines <= README_LINES_MAX, "the README has {lines} lines: what can move to docs/?");
}

/// The Markdown documents for people, each with its text.
fn pages() -> Vec<(String, String)> {
    let mut pages = files("docs", ".md");
    pages.extend(files("examples", ".md"));
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"] {
        pages.push((name.to_owned(), read(name)));
    }
    pages
}

/// The targets of all links that do not leave the repository.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.contains(char::is_whitespace))
}

/// The file that a link names, as a path from the root.
fn target(page: &str, link: &str) -> String {
    let path = link.split('#').next().unwrap_or_default();
    let mut found = PathBuf::from(page);
    if !path.is_empty() {
        found.pop();
    }
    for part in Path::new(path).components() {
        if part == Component::ParentDir {
            assert!(found.pop(), "{page}: {link} leaves the repository");
        } else {
            found.push(part);
        }
    }
    found.to_string_lossy().into_owned()
}

/// The anchor that a forge and mdBook make of a heading.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    let pages = pages();
    let mut looked = 0;
    for (name, text) in &pages {
        let folder = Path::new(name).parent().unwrap();
        for target in links(text) {
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let file =
                if path.is_empty() { root().join(name) } else { root().join(folder).join(path) };
            assert!(file.exists(), "{name}: {target} leads nowhere");
            if !fragment.is_empty() {
                let there = fs::read_to_string(&file).unwrap();
                let mut headings = there.lines().filter(|line| line.starts_with('#'));
                assert!(headings.any(|line| anchor(line) == fragment), "{name}: no {target}");
            }
            looked += 1;
        }
    }
    assert!(looked > 30, "{looked} links");
}

/// A workaround that is gone takes its report along, and none is without one.
#[test]
fn each_fault_of_a_library_has_a_report_and_the_place_that_works_around_it() {
    const PAGE: &str = "docs/upstream.md";
    let page = read(PAGE);
    let reports: BTreeSet<String> =
        page.lines().filter(|line| line.starts_with("## ")).map(anchor).collect();
    let mut linked = BTreeSet::new();
    for (name, text) in ["src", "crates"].map(|directory| files(directory, ".rs")).concat() {
        for link in text.split(&format!("{PAGE}#")).skip(1) {
            let link = link.split(|c: char| !c.is_alphanumeric() && c != '-').next().unwrap();
            assert!(reports.contains(link), "{name}: {PAGE} has no #{link}");
            linked.insert(link.to_owned());
        }
    }
    assert_eq!(linked, reports);
    assert!(!reports.is_empty());
}

#[test]
fn the_changelog_begins_with_this_version() {
    let changelog = read("CHANGELOG.md");
    let heading = changelog.lines().find(|line| line.starts_with("## [")).unwrap();
    let version = format!("## [{}]", env!("CARGO_PKG_VERSION"));
    assert!(heading.starts_with(&version), "{heading} is not {version}");
}

#[test]
fn every_dependency_has_its_reason_in_the_architecture() {
    let architecture = read("ARCHITECTURE.md");
    for manifest in ["Cargo.toml", "crates/pg-connect/Cargo.toml"].map(read) {
        let section = manifest.split("[dependencies]").nth(1).unwrap();
        let lines = section.split("\n[").next().unwrap().lines();
        for name in lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name) {
            assert!(architecture.contains(&format!("`{name}`")), "no reason is given for {name}");
        }
    }
}

#[test]
fn the_crontab_example_is_a_command_line_we_take() {
    let crontab = read("crontab.example");
    let lines: Vec<&str> = crontab.lines().filter(|line| line.contains("kalshi-ingest ")).collect();
    assert!(!lines.is_empty());
    for line in lines.iter().filter(|line| !line.starts_with("# ")) {
        let command = line.split("kalshi-ingest ").nth(1).unwrap();
        let words = std::iter::once("kalshi-ingest").chain(command.split_whitespace());
        let cli = Cli::read(words);
        assert!(cli.is_ok(), "{line}: {}", cli.unwrap_err());
    }
}

/// The most lines of the map of the code.
const ARCHITECTURE_LINES_MAX: usize = 150;

#[test]
fn the_architecture_is_a_map() {
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(
        lines <= ARCHITECTURE_LINES_MAX,
        "ARCHITECTURE.md has {lines} lines: a reason is a record in docs/decisions"
    );
}

/// The modules that `mod.rs` has besides those of its tests.
fn modules(file: &str) -> BTreeSet<String> {
    let text = read(file);
    let lines: Vec<&str> = text.lines().collect();
    let is_tested = |at: usize| at > 0 && lines[at - 1] == "#[cfg(test)]";
    let named = (0..lines.len()).filter(|at| !is_tested(*at)).filter_map(|at| {
        let line = lines[at].trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        line.strip_prefix("mod ")?.split_once(';').map(|(name, _)| name.to_owned())
    });
    named.collect()
}

#[test]
fn the_architecture_names_every_module_once_in_the_order_of_the_layers() {
    let architecture = read("ARCHITECTURE.md");
    let section = architecture.split("\n## Layers\n").nth(1).unwrap();
    let block = section.split("```").nth(1).unwrap();
    let (mut above, mut listed) = ("", Vec::new());
    let mut parts: Vec<(&str, &str)> = Vec::new();
    for line in block.lines().skip(1) {
        let names = line.trim_start().split("  ").next().unwrap().split_whitespace();
        if line.starts_with(' ') {
            parts.extend(names.map(|name| (above, name)));
            continue;
        }
        for name in names {
            above = name.trim_end_matches('/');
            listed.push(above);
        }
    }
    let order: Vec<usize> = listed.iter().map(|name| layer(name)).collect();
    assert!(order.is_sorted(), "{listed:?}");
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.join(" ")
    };
    assert_eq!(sorted(listed), sorted(LAYERS.concat()));
    for module in ["domain", "driver", "kalshi", "store", "ingest", "serve", "app"] {
        let named = parts.iter().filter(|(above, _)| *above == module).map(|(_, name)| *name);
        let there = modules(&format!("src/{module}/mod.rs"));
        assert_eq!(sorted(named.collect()), sorted(there.iter().map(String::as_str).collect()));
    }
}

/// The most characters of a line of prose.
const WIDTH_MAX: usize = 120;

/// The lines outside of code blocks, with their numbers.
fn outside_of_code(text: &str) -> Vec<(usize, &str)> {
    let mut is_code = false;
    let is_outside = |(_, line): &(usize, &str)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(is_outside).collect()
}

/// Lines that are too wide and could be wrapped: a row of a table and a line of one link cannot.
fn wide(text: &str) -> Vec<usize> {
    let is_one_link = |line: &str| {
        let line = line.trim_start_matches(['*', '-', ' ', '!']);
        line.starts_with('[') && line.ends_with(')') && line.matches("](").count() == 1
    };
    let is_fixed = |line: &str| line.trim_start().starts_with('|') || is_one_link(line);
    let lines = outside_of_code(text).into_iter();
    let wide = lines.filter(|(_, line)| line.chars().count() > WIDTH_MAX && !is_fixed(line));
    wide.map(|(at, _)| at).collect()
}

/// Its sentences, each with its end.
fn sentences(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut found = Vec::new();
    while let Some(at) =
        [". ", "? ", "! ", ".* ", ".** "].iter().filter_map(|end| rest.find(end)).min()
    {
        let (sentence, after) = rest.split_at(at + 1);
        found.push(sentence);
        rest = after;
    }
    found.push(rest);
    found
}

/// Sentences that begin with a clause as their subject, as "What he says is true." does.
fn riddles(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for (_, line) in outside_of_code(text) {
        let line = line.trim_start();
        let inner = line.trim_start_matches(['*', '-', '>', '|', '#', ' ']);
        let inner = inner.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').trim_start();
        if line.is_empty() || inner.len() < line.len() {
            paragraphs.push(String::new());
        }
        if let Some(paragraph) = paragraphs.last_mut() {
            paragraph.push_str(inner);
            paragraph.push(' ');
        }
    }
    let cells = paragraphs.iter().flat_map(|paragraph| paragraph.split(" | "));
    let sentences = cells.flat_map(sentences);
    let is_riddle = |sentence: &&str| {
        let begins = ["What ", "Whatever ", "Who ", "Whoever ", "Whose "];
        begins.iter().any(|word| sentence.starts_with(word)) && !sentence.ends_with('?')
    };
    let bare = sentences.map(|sentence| sentence.trim_matches(['*', ' ']));
    bare.filter(is_riddle).map(str::to_owned).collect()
}

#[test]
fn prose_is_wrapped_and_has_no_riddles() {
    for (name, text) in pages() {
        let wide = wide(&text);
        assert!(wide.is_empty(), "{name}: lines {wide:?} are wider than {WIDTH_MAX}: wrap them");
        let riddles = riddles(&text);
        assert!(riddles.is_empty(), "{name}: name the subject first: {riddles:?}");
    }
}

#[test]
fn a_wide_line_and_a_riddle_are_seen() {
    let long = "word ".repeat(30);
    assert_eq!(wide(&format!("# Title\n\n{long}\n\n* {long}\n")), [3, 5]);
    let fixed = format!("| {long} |\n\n* [a {long}](b.md)\n\n```text\n{long}\n```\n");
    assert_eq!(wide(&fixed), [0; 0]);
    let text = "It is. What he\nsays is true.\n\n1. **Who comes is seen.**\n* What is it?\n";
    assert_eq!(riddles(text), ["What he says is true.", "Who comes is seen."]);
    assert_eq!(riddles("```sh\nWhat is this.\n```\nSay what it is.\n"), [""; 0]);
}

/// The pages of the book.
fn chapters() -> Vec<String> {
    let summary = read("docs/SUMMARY.md");
    links(&summary).map(|link| target("docs/SUMMARY.md", link)).collect()
}

#[test]
fn the_book_has_every_page_once() {
    let mut chapters = chapters();
    chapters.sort();
    let mut pages: Vec<String> = pages().into_iter().map(|(name, _)| name).collect();
    pages.retain(|name| name != "docs/SUMMARY.md");
    pages.sort();
    assert_eq!(chapters, pages);
}

#[test]
fn every_link_of_a_page_leads_somewhere_in_the_book_too() {
    let chapters = chapters();
    let script = read("docs/book");
    for page in &chapters {
        for link in links(&read(page)) {
            let file = target(page, link);
            if Path::new(&file).extension().is_some_and(|ending| ending == "md") {
                assert!(chapters.contains(&file), "{page}: {link} is no page of the book");
                continue;
            }
            assert!(root().join(&file).is_file(), "{page}: a book has no page for {link}");
            let top = file.split('/').next().unwrap();
            let is_copied = script.split_whitespace().any(|word| word == top);
            assert!(is_copied, "{page}: docs/book does not copy {link}");
        }
    }
}

#[test]
fn the_list_for_tools_names_the_documents() {
    let list = read("llms.txt");
    assert!(list.starts_with("# kalshi-ingest\n\n> "), "a title and a summary come first");
    let named: BTreeSet<String> = links(&list).map(|link| target("llms.txt", link)).collect();
    for file in &named {
        assert!(root().join(file).is_file(), "llms.txt: {file} does not exist");
    }
    let entries = list.lines().filter(|line| line.starts_with("- "));
    for entry in entries {
        assert!(entry.contains("): "), "{entry} does not say what it is about");
    }
    // The records of decisions and the runbooks are listed by pages of their own.
    let is_listed_elsewhere =
        |name: &str| name.starts_with("examples/runbooks/") || name.starts_with("docs/decisions/0");
    for (name, _) in pages() {
        assert!(named.contains(&name) || is_listed_elsewhere(&name), "llms.txt has no {name}");
    }
}

#[test]
fn the_index_lists_every_decision_under_its_title() {
    let index = read("docs/decisions/README.md");
    let index = index.split_whitespace().collect::<Vec<_>>().join(" ");
    let records = files("docs/decisions", ".md");
    for (name, text) in records.iter().filter(|(name, _)| !name.ends_with("README.md")) {
        let file = name.rsplit('/').next().unwrap();
        let number = file.split('-').next().unwrap();
        let title = text.lines().next().unwrap().strip_prefix(&format!("# {number}: ")).unwrap();
        let entry = format!("[{number}]({file}): {title}");
        assert!(index.contains(&entry), "docs/decisions/README.md has no {entry:?}");
        for heading in ["## Context", "## Decision", "## Consequences"] {
            assert!(text.contains(&format!("\n{heading}\n")), "{name} has no {heading}");
        }
    }
}
