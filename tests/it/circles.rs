//! No file looks at a file that looks back at it, directly or by way of others. So each file can be
//! read, moved and tested without the ones above it.
//!
//! The graph is drawn from the text: the paths in `use`, and paths that begin with `crate::` or
//! `super::`. A name that a module passes on with `pub use` leads to the file that defines it.
//!
//! A child that looks at its own parent is left out: it sees the parent's private fields, which is
//! why it is a child, and both are one subject in several files. The parent's other neighbours are
//! still counted with the child: see [`Crate::graph`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Where each crate's files are.
const CRATES: [&str; 3] = ["src", "simulator/src", "crates/pg-connect/src"];

/// A look from one file at another that closes a circle, and why it is still there.
struct Known {
    folder: &'static str,
    from: &'static str,
    to: &'static str,
    why: &'static str,
}

/// The looks that have to go for the last circles to be gone. This list only gets shorter.
const KNOWN: [Known; 4] = [
    known(
        "src",
        "domain/evidence",
        "domain/page",
        "evidence is read off a page, which has anchors",
    ),
    known("src", "kalshi/transport", "kalshi/client", "`Access` is defined beside the client"),
    known("src", "kalshi/rows", "kalshi/decode", "`cursor` and `excerpt` are defined there"),
    known("src", "kalshi/wire", "kalshi/rows", "`ListBody` is defined there, `Text` here"),
];

const fn known(
    folder: &'static str,
    from: &'static str,
    to: &'static str,
    why: &'static str,
) -> Known {
    Known { folder, from, to, why }
}

type Module = Vec<String>;
type Graph = BTreeMap<Module, BTreeSet<Module>>;

/// A name of another file's, or of this one.
struct Import {
    path: Vec<String>,
    name: String,
    is_passed_on: bool,
}

/// The modules of a crate with what each names.
struct Crate {
    modules: BTreeMap<Module, Vec<Import>>,
}

impl Crate {
    /// The crate with its files in this folder.
    fn read(root: &Path) -> Crate {
        let mut files = Vec::new();
        let mut open = vec![root.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|ending| ending == "rs") {
                    let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                    files.push((name, fs::read_to_string(&path).unwrap()));
                }
            }
        }
        Crate::of(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))
    }

    /// A crate of these files, each with its text.
    fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Crate {
        let mut modules: BTreeMap<Module, Vec<Import>> = BTreeMap::new();
        for (name, text) in files {
            if !is_test(name) {
                modules.entry(module_of(Path::new(name))).or_default().extend(imports(text));
            }
        }
        Crate { modules }
    }

    /// Which file looks at which, without the looks of children at their own parents.
    ///
    /// The parent stands for such a child as well: it has the child's looks besides its own. So a
    /// circle that leads through a child and its parent is still seen.
    fn graph(&self) -> Graph {
        let mut graph = self.looks();
        for child in self.modules.keys() {
            for above in 1..child.len() {
                let parent = &child[..above];
                let is_led_back = graph[child].contains(parent);
                if is_led_back {
                    graph.get_mut(child).unwrap().remove(parent);
                    let more: Vec<Module> = graph[child]
                        .iter()
                        .filter(|seen| !is_below(seen, parent))
                        .cloned()
                        .collect();
                    graph.get_mut(parent).unwrap().extend(more);
                }
            }
        }
        graph
    }

    /// Which file looks at which.
    fn looks(&self) -> Graph {
        let seen_by = |module: &Module, imports: &[Import]| {
            let looks = imports.iter().filter(|import| !import.is_passed_on);
            let seen = looks.filter_map(|import| self.definition(module, &import.path, 0));
            seen.filter(|seen| seen != module).collect()
        };
        let looks = self.modules.iter().map(|(module, imports)| (module, seen_by(module, imports)));
        looks.map(|(module, seen)| (module.clone(), seen)).collect()
    }

    /// The module that defines what `path` means in `here`; `None` for another crate's.
    fn definition(&self, here: &Module, path: &[String], depth: usize) -> Option<Module> {
        assert!(depth < 20, "{path:?} in {here:?} leads round in circles");
        let mut module: Module = here.clone();
        let mut rest = path;
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" => module.clear(),
                "super" => drop(module.pop()),
                "self" => {}
                name => {
                    let below = [&module[..], &[name.to_owned()]].concat();
                    if !self.modules.contains_key(&below) {
                        break;
                    }
                    module = below;
                }
            }
            rest = others;
        }
        let Some(name) = rest.first() else { return Some(module) };
        let is_ours = rest.len() < path.len();
        let passed = self.modules.get(&module)?.iter().find(|import| import.name == *name);
        match passed.filter(|import| import.path != path && is_ours) {
            Some(import) => {
                let found = self.definition(&module, &import.path, depth + 1);
                found.or(Some(module))
            }
            None => is_ours.then_some(module),
        }
    }
}

fn is_test(file: &str) -> bool {
    ["tests.rs", "_properties.rs", "_model.rs", "_transcript.rs"]
        .iter()
        .any(|end| file.ends_with(end))
}

/// `a/mod.rs` and `a.rs` are the module `a`; the roots of a library and of its program are one.
fn module_of(file: &Path) -> Module {
    let file = file.with_extension("");
    let parts = file.iter().map(|part| part.to_string_lossy().into_owned());
    parts.filter(|part| !["mod", "lib", "main"].contains(&part.as_str())).collect()
}

/// The code before its unit tests, without comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let is_comment = |line: &str| line.trim_start().starts_with("//");
    let lines = text.lines().filter(|line| !is_comment(line));
    let lines = lines.map(|line| line.split(" // ").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// All that a file names of other files.
fn imports(text: &str) -> Vec<Import> {
    let code = code(text);
    let mut found = Vec::new();
    let mut body = String::new();
    let mut rest = code.as_str();
    while let Some((before, statement, after)) = next_use(rest) {
        let line = before.rsplit('\n').next().unwrap_or_default();
        let is_passed_on = line.contains("pub");
        body.push_str(before);
        expand(&[], statement, is_passed_on, &mut found);
        rest = after;
    }
    body.push_str(rest);
    for start in ["crate::", "super::"] {
        for (at, _) in body.match_indices(start) {
            let before = body[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || "_:$".contains(c)) {
                continue;
            }
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let path = body[at..].split(|c| !is_part(c)).next().unwrap_or_default();
            let path = path.split("::").filter(|part| !part.is_empty()).map(str::to_owned);
            found.push(Import { path: path.collect(), name: String::new(), is_passed_on: false });
        }
    }
    found
}

/// What stands before the next `use`, its tree, and what follows.
fn next_use(code: &str) -> Option<(&str, &str, &str)> {
    let at = code.match_indices("use ").map(|(at, _)| at).find(|at| {
        let before = code[..*at].rsplit('\n').next().unwrap_or_default().trim();
        before.is_empty() || before.starts_with("pub")
    })?;
    let tree = &code[at + "use ".len()..];
    let end = tree.find(';')?;
    Some((&code[..at], &tree[..end], &tree[end + 1..]))
}

/// The names in a tree of `use`.
fn expand(before: &[String], tree: &str, is_passed_on: bool, found: &mut Vec<Import>) {
    let tree = tree.trim();
    if let Some((head, group)) = tree.split_once('{') {
        let head = head.split("::").map(str::trim).filter(|part| !part.is_empty());
        let before: Vec<String> = before.iter().cloned().chain(head.map(str::to_owned)).collect();
        let group = group.trim_end().strip_suffix('}').unwrap_or(group);
        for branch in branches(group) {
            expand(&before, branch, is_passed_on, found);
        }
        return;
    }
    if tree.is_empty() {
        return;
    }
    let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
    let parts = path.split("::").map(|part| part.trim().to_owned());
    let mut path: Vec<String> = before.iter().cloned().chain(parts).collect();
    if path.last().is_some_and(|last| last == "self" && path.len() > 1) {
        path.pop();
    }
    let name = if alias.is_empty() {
        path.last().cloned().unwrap_or_default()
    } else {
        alias.trim().to_owned()
    };
    found.push(Import { path, name, is_passed_on });
}

/// The parts of a group, at its outermost commas.
fn branches(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts
}

/// All that can be reached from a file.
fn reached(graph: &Graph, from: &Module) -> BTreeSet<Module> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from.clone()]);
    while let Some(module) = open.pop() {
        for next in graph.get(&module).into_iter().flatten() {
            if reached.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    reached
}

/// The files that reach each other, together.
fn circles(graph: &Graph) -> BTreeSet<BTreeSet<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<Module>> =
        graph.keys().map(|module| (module, reached(graph, module))).collect();
    let around = |module: &Module| -> BTreeSet<Module> {
        reached[module].iter().filter(|other| reached[*other].contains(module)).cloned().collect()
    };
    graph.keys().map(around).filter(|circle| !circle.is_empty()).collect()
}

fn is_below(child: &[String], parent: &[String]) -> bool {
    parent.len() < child.len() && child.starts_with(parent)
}

/// The circles of a graph as text.
fn told(circles: &BTreeSet<BTreeSet<Module>>) -> Vec<String> {
    let names = |circle: &BTreeSet<Module>| {
        circle.iter().map(|module| module.join("/")).collect::<Vec<_>>().join(" ")
    };
    circles.iter().map(names).collect()
}

fn module(name: &str) -> Module {
    name.split('/').map(str::to_owned).collect()
}

#[test]
fn no_file_is_looked_at_by_what_it_looks_at() {
    for folder in CRATES {
        let read = Crate::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
        let mut graph = read.graph();
        assert!(graph.len() > 10, "{folder} has {} files", graph.len());
        let all = circles(&graph);
        for Known { from, to, why, .. } in KNOWN.iter().filter(|known| known.folder == folder) {
            let (from, to) = (module(from), module(to));
            let is_needed = all.iter().any(|circle| circle.contains(&from) && circle.contains(&to));
            let is_there = graph.get_mut(&from).is_some_and(|seen| seen.remove(&to));
            assert!(
                is_there && is_needed,
                "{folder}: {} closes no circle with {} any more ({why}); take it off the list",
                from.join("/"),
                to.join("/"),
            );
        }
        let left = told(&circles(&graph));
        assert!(
            left.is_empty(),
            "{folder}: files that look at each other, each line a circle: {left:#?}"
        );
    }
}

#[test]
fn a_circle_is_seen_however_it_is_written() {
    let circles_of =
        |files: &[(&str, &str)]| told(&circles(&Crate::of(files.iter().copied()).graph()));
    let quiet = [
        ("lib.rs", "mod a;\nmod b;\npub use b::B;"),
        ("a.rs", "use crate::b::B; // not crate::c\n//! crate::c\n"),
        ("b.rs", "pub struct B;\n#[cfg(test)]\nmod tests { use crate::a::A; }"),
        ("b_tests.rs", "use crate::a::A;"),
    ];
    assert_eq!(circles_of(&quiet), [""; 0]);
    for (name, text, why) in [
        ("b.rs", "use crate::a::A;", "a path"),
        ("b.rs", "use super::a::A;", "a neighbour"),
        ("b.rs", "use {std::io, crate::{a::{self as x, A}, c}};", "a tree"),
        ("b.rs", "fn f() { crate::a::go() }", "without use"),
        ("b.rs", "use crate::c::A;", "passed on by another"),
        ("b.rs", "use crate::c::Renamed;", "passed on by another name"),
        ("b/child.rs", "use crate::a::A;\nuse super::B;", "a child of it"),
    ] {
        let passing = ("c.rs", "pub use crate::a::A;\npub(crate) use crate::a::A as Renamed;");
        let mut files = vec![quiet[0], quiet[1], passing, (name, text)];
        files.extend(quiet.iter().filter(|(other, _)| *other == "b.rs" && name != "b.rs"));
        let found = circles_of(&files);
        assert_eq!(found, ["a b"], "{why}");
    }
    let family = [
        ("b/mod.rs", "mod child;\nuse child::x;\nstruct B { private: u8 }"),
        ("b/child.rs", "use super::B;"),
    ];
    assert_eq!(circles_of(&family), [""; 0], "a child may see its parent");
    let siblings = [("b/x.rs", "use super::y::Y;"), ("b/y.rs", "use super::x::X;")];
    assert_eq!(circles_of(&siblings), ["b/x b/y"], "but not its brother, who sees it");
}
