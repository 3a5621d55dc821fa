//! Kills, signals and full disks: the old state or the new one, and no work done twice.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use kalshi_simulator::{Market, Rules, seeded_trades};

use super::{HOUR_US, MIDNIGHT_US, Place, bench_with_series, data_files, instant};
use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    a_killed_export_goes_on_where_it_was,
    a_full_disk_leaves_the_folder_as_it_was,
    two_exports_do_not_share_a_folder,
}

/// A market with many days.
fn bench_with_days(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    let opens = MIDNIGHT_US - 40 * DAY_US;
    bench.exchange.add_market(Market::new("KXD-1-1", "KXD-1", opens, NOON_US + DAY_US));
    bench.exchange.add_all(seeded_trades(3, "KXD-1-1", 6_000, opens, MIDNIGHT_US));
    assert_eq!(bench.run("KXD-1-1", &["--since", &instant(opens)]), 0);
    bench
}

fn a_killed_export_goes_on_where_it_was(database: &Database) {
    let bench = bench_with_days(database);
    let place = Place::new();
    let path = place.path();
    let until = instant(MIDNIGHT_US);
    let flags = ["--market", "KXD-1-1", "--to", &until, "--directory", path.to_str().unwrap()];
    let journal = path.join(".export/journal.jsonl");
    let finished =
        || fs::read_to_string(&journal).map_or(0, |text| text.lines().count().saturating_sub(1));
    let mut killed_at = Vec::new();
    for _ in 0..20 {
        let before = finished();
        let mut child = bench
            .command_of("export", &flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while child.try_wait().unwrap().is_none() && finished() < before + 3 {
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if path.join("datapackage.json").exists() {
            break;
        }
        assert_eq!(
            data_files(&path).iter().filter(|name| !name.starts_with(".export/")).count(),
            0
        );
        assert!(finished() >= before, "no finished file is lost");
        killed_at.push(finished());
        if killed_at.len() == 4 {
            break;
        }
    }
    let (exit, said) = place.export(&bench, &["--market", "KXD-1-1", "--to", &until]);
    assert!(exit == Some(0) || exit == Some(6), "{said}");
    if let Some(done) = killed_at.last().filter(|done| **done > 0) {
        let left = place.files().len() - done;
        assert!(said.contains(&format!("writing {left} of ")), "{done} were finished: {said}");
    }
    let rows: u64 = place.files().values().map(|facts| facts["rows"].as_u64().unwrap()).sum();
    assert_eq!(rows, 6_000);
    assert!(!path.join(".export").exists());
}

fn a_full_disk_leaves_the_folder_as_it_was(database: &Database) {
    let bench = bench_with_series(database);
    let place = Place::new();
    let day = instant(MIDNIGHT_US - DAY_US);
    place.export(&bench, &["--series", "KXS", "--to", &day]);
    let before = place.files();
    let manifest = fs::read(place.path().join("datapackage.json")).unwrap();
    // Files may grow to so many blocks of 512 bytes, beyond which a write fails as on a full disk.
    let (path, until) = (place.path(), instant(MIDNIGHT_US));
    for blocks in [1, 8, 32] {
        let flags = ["--series", "KXS", "--to", &until, "--directory", path.to_str().unwrap()];
        let command = bench.command_of("export", &flags);
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut limited = Command::new("sh");
        limited.args(["-c", &script]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        let output = limited.output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{blocks} blocks: {said}");
        assert!(said.contains("failed; make room there"), "{said}");
        assert!(manifest == fs::read(place.path().join("datapackage.json")).unwrap(), "{blocks}");
        let left = data_files(&place.path());
        let parts: Vec<&String> = left.iter().filter(|name| !before.contains_key(*name)).collect();
        let is_ours = |name: &&&String| name.starts_with(".export/");
        assert_eq!(parts.iter().filter(is_ours).count(), parts.len(), "{parts:?}");
    }
    let (exit, said) = place.export(&bench, &["--series", "KXS", "--to", &instant(MIDNIGHT_US)]);
    assert!(exit == Some(0) || exit == Some(6), "room again: {said}");
    let rows: u64 = place.files().values().map(|facts| facts["rows"].as_u64().unwrap()).sum();
    assert_eq!(rows, 1_400);
}

fn two_exports_do_not_share_a_folder(database: &Database) {
    let bench = bench_with_series(database);
    let place = Place::new();
    fs::create_dir_all(place.path().join(".export")).unwrap();
    let held = fs::File::create(place.path().join(".export/lock")).unwrap();
    held.lock().unwrap();
    let (exit, said) = place.export(&bench, &["--series", "KXS"]);
    assert_eq!(exit, Some(2), "{said}");
    assert!(said.contains("another export writes"), "{said}");
    held.unlock().unwrap();
    let (exit, said) =
        place.export(&bench, &["--series", "KXS", "--to", &instant(MIDNIGHT_US - HOUR_US)]);
    assert!(exit == Some(0) || exit == Some(6), "{said}");
    assert_eq!(place.files().len(), 2);
}
