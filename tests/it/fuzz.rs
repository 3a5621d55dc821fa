//! The fuzz targets, bounded: each file of their corpus, and what becomes of it by a seed. The same
//! bytes every time; who has a nightly toolchain can have others, see `fuzz/`.

mod mutation;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use kalshi_ingest::fuzz::{FuzzTarget, TARGETS};

use mutation::Mutation;

/// How many inputs a target is given besides its corpus.
const INPUTS: u32 = 1_500;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The files of a corpus, sorted by name.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(fuzz().join("corpus").join(name));
    let files = files.unwrap_or_else(|error| panic!("{name} has no corpus: {error}"));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[track_caller]
fn give((name, target): FuzzTarget, bytes: &[u8]) {
    let ended = catch_unwind(|| target(bytes));
    assert!(ended.is_ok(), "{name} does not take {:?}", String::from_utf8_lossy(bytes));
}

#[test]
fn no_target_minds_what_it_is_given() {
    let inputs = std::env::var("FUZZ_INPUTS").ok().and_then(|text| text.parse().ok());
    for target in TARGETS {
        let corpus = corpus(target.0);
        for bytes in &corpus {
            give(target, bytes);
        }
        let mut mutation = Mutation::new(corpus, 7);
        for _ in 0..inputs.unwrap_or(INPUTS) {
            give(target, &mutation.next());
        }
    }
}

/// Long and deep, and many of everything: what takes more than its length shows here as a test that
/// does not end.
#[test]
fn no_target_minds_how_much_it_is_given() {
    const LONG: usize = 50_000;
    let many = |text: &str| text.repeat(LONG / text.len());
    for target in TARGETS {
        for unit in [
            "[", "{\"a\":", "9", "\\", "\"", "\u{0}", "{}", ",", "\n", " ", "é", "%4", "a.b", "[[",
            "'",
        ] {
            give(target, many(unit).as_bytes());
        }
        for file in corpus(target.0) {
            let text = String::from_utf8_lossy(&file).into_owned();
            // Behind each bracket and each quote, one after the other.
            for (at, letter) in text.char_indices().filter(|(_, c)| "[{:\"=".contains(*c)).take(4) {
                let (head, tail) = text.split_at(at + letter.len_utf8());
                for unit in ["[", "{\"a\":", "1", "{},"] {
                    let filling = many(unit);
                    give(target, [head, &filling, tail].concat().as_bytes());
                }
            }
        }
    }
}

/// Each has a target for cargo-fuzz that calls it, and there is no other.
#[test]
fn every_target_can_be_run_by_cargo_fuzz() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let source = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("kalshi_ingest::fuzz::run(\"{name}\", bytes)")), "{name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
    for folder in ["corpus", "fuzz_targets"] {
        assert_eq!(fs::read_dir(fuzz().join(folder)).unwrap().count(), TARGETS.len(), "{folder}");
    }
}
