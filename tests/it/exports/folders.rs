//! Folders that are refused, and the mistakes of users.

use std::fs;

use super::{MIDNIGHT_US, Place, bench_with_series, instant};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    a_folder_belongs_to_one_export,
    a_foreign_folder_is_left_alone,
    a_name_of_which_nothing_is_stored_is_refused,
}

fn a_folder_belongs_to_one_export(database: &Database) {
    let bench = bench_with_series(database);
    let place = Place::new();
    let until = instant(MIDNIGHT_US);
    let flags = ["--series", "KXS", "--to", &*until];
    place.export(&bench, &flags);
    let before = fs::read(place.path().join("datapackage.json")).unwrap();
    for (other, word) in [
        (&["--market", "KXS-A-1"][..], "market:KXS-A-1"),
        (&["--series", "KXS", "--market", "KXS-A-1"], "series:KXS"),
        (&["--series", "KXS", "--format", "jsonl"], "--format"),
        (&["--series", "KXS", "--partition-by", "market"], "--partition-by"),
        (&["--series", "KXS", "--table", "markets"], "--table"),
        (&["--series", "KXS", "--shard", "0/2"], "--shard"),
    ] {
        let (exit, said) = place.export(&bench, &[other, &["--to", &until]].concat());
        assert_eq!(exit, Some(2), "{other:?}: {said}");
        assert!(said.contains("name another --directory") && said.contains(word), "{said}");
    }
    assert!(before == fs::read(place.path().join("datapackage.json")).unwrap());
    assert_eq!(place.files().len(), 2);
}

fn a_foreign_folder_is_left_alone(database: &Database) {
    let bench = bench_with_series(database);
    for (name, content) in [("README.md", "mine"), ("datapackage.json", "{\"name\": \"mine\"}")] {
        let place = Place::new();
        fs::create_dir(place.path()).unwrap();
        fs::write(place.path().join(name), content).unwrap();
        let (exit, said) = place.export(&bench, &["--series", "KXS"]);
        assert_eq!(exit, Some(2), "{name}: {said}");
        assert!(said.contains("name another --directory"), "{said}");
        assert_eq!(fs::read_to_string(place.path().join(name)).unwrap(), content);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing was added");
    }
    let place = Place::new();
    fs::write(place.path(), "a file").unwrap();
    let (exit, said) = place.export(&bench, &["--series", "KXS"]);
    assert_eq!(exit, Some(2), "{said}");
    assert_eq!(fs::read_to_string(place.path()).unwrap(), "a file");
}

fn a_name_of_which_nothing_is_stored_is_refused(database: &Database) {
    let bench = bench_with_series(database);
    for flags in [["--series", "KXTYPO"], ["--event", "KXTYPO"], ["--market", "KXTYPO"]] {
        let place = Place::new();
        let (exit, said) = place.export(&bench, &flags);
        assert_eq!(exit, Some(2), "{said}");
        assert!(said.contains("KXTYPO is stored; check its name"), "{said}");
        assert!(!place.path().exists(), "no folder is left");
    }
}

#[test]
fn windows_and_formats_that_cannot_be_are_refused_before_anything_is_opened() {
    let database = Database::sqlite();
    let bench = crate::support::bench::Bench::new(&database, kalshi_simulator::Rules::default());
    for (flags, word) in [
        (&["--market", "A", "--from", "2026-02-02", "--to", "2026-02-01"][..], "not after --from"),
        (&["--market", "A", "--from", "2020-01-01", "--to", "2026-02-01"], "before 2021"),
        (&["--market", "A", "--to", "2100-01-01"], "future"),
        (
            &["--market", "A", "--table", "raw-events", "--partition-by", "market"],
            "--partition-by day",
        ),
        (&[], "nothing is selected"),
    ] {
        let place = Place::new();
        let (exit, said) = place.export(&bench, flags);
        assert_eq!(exit, Some(2), "{flags:?}: {said}");
        assert!(said.contains(word), "{said}");
        assert!(!place.path().exists());
    }
}
