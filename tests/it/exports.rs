//! Exports: exact rows, claims that hold, files that change only with their rows, and a folder that is never half done.

mod folders;
mod interrupted;
mod losses;
mod streams;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kalshi_simulator::{Market, Rules, seeded_trades};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, StoredTrade, on_both_stores};

on_both_stores! {
    pooled:
    every_trade_is_in_exactly_one_file,
    a_file_of_a_market_has_an_encoded_name,
    a_late_trade_rewrites_its_file_alone,
    the_scores_are_those_of_completeness,
    a_window_without_trades_is_one_empty_file,
    other_tables_are_exported_too,
    a_series_is_complete_when_all_of_its_markets_are,
}

pub(super) const SECOND_US: i64 = 1_000_000;
pub(super) const HOUR_US: i64 = 3_600 * SECOND_US;
/// The beginning of the day of the exchange's clock.
pub(super) const MIDNIGHT_US: i64 = NOON_US / DAY_US * DAY_US;

pub(super) fn instant(us: i64) -> String {
    kalshi_ingest::domain::time::Timestamp::from_micros(us).to_string()
}

pub(super) fn date(us: i64) -> String {
    instant(us)[..10].to_owned()
}

/// Two markets of a series, each with trades on two days before today, all stored. The exchange's clock is at noon.
pub(super) fn bench_with_series(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    for (seed, market) in [(1, "KXS-A-1"), (2, "KXS-A-2")] {
        let opens = MIDNIGHT_US - 3 * DAY_US;
        bench.exchange.add_market(Market::new(market, "KXS-A", opens, NOON_US + DAY_US));
        let (from, until) = (MIDNIGHT_US - 2 * DAY_US, MIDNIGHT_US);
        bench.exchange.add_all(seeded_trades(seed, market, 700, from, until));
    }
    // Another market trades until now: so the exchange has shown all of these days.
    let (today, now) = (MIDNIGHT_US, NOON_US - SECOND_US);
    bench.exchange.add_all(seeded_trades(3, "KXZ", 50, today, now));
    assert_eq!(bench.main("markets", &["--series", "KXS"]), 0);
    assert_eq!(bench.pass(&["--series", "KXS"]), 0);
    bench.advance(SECOND_US);
    bench
}

/// A folder that does not exist yet.
pub(super) struct Place {
    folder: TempDir,
}

impl Place {
    pub(super) fn new() -> Place {
        Place { folder: TempDir::new().unwrap() }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Exports with these flags; the exit status and stderr.
    #[track_caller]
    pub(super) fn export(&self, bench: &Bench<'_>, flags: &[&str]) -> (Option<i32>, String) {
        let path = self.path();
        let to = ["--directory", path.to_str().unwrap()];
        let output = bench.process_of("export", &[&to, flags].concat());
        (output.status.code(), stderr(&output))
    }

    pub(super) fn manifest(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path().join("datapackage.json")).unwrap()).unwrap()
    }

    /// The files of the manifest, by path, with our facts. Their lengths and checksums are those of the manifest.
    #[track_caller]
    pub(super) fn files(&self) -> BTreeMap<String, Value> {
        let manifest = self.manifest();
        let mut files = BTreeMap::new();
        for resource in manifest["resources"].as_array().unwrap() {
            let path = resource["path"].as_str().unwrap();
            let bytes = fs::read(self.path().join(path)).unwrap();
            assert_eq!(resource["bytes"], bytes.len(), "{path}");
            let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
            let told = resource["hash"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            let bytes_told = |at: usize| u8::from_str_radix(&told[at..at + 2], 16).unwrap();
            let told: Vec<u8> = (0..told.len()).step_by(2).map(bytes_told).collect();
            assert_eq!(told, digest.as_ref(), "{path}");
            files.insert(path.to_owned(), resource["kalshi_ingest"].clone());
        }
        let on_disk = data_files(&self.path());
        assert_eq!(on_disk, files.keys().cloned().collect::<Vec<_>>(), "no file without its line");
        files
    }
}

/// The files below a folder that hold rows, as paths from it, sorted.
pub(super) fn data_files(folder: &Path) -> Vec<String> {
    let texts = ["README.md", "CITATION.cff", "schema.json", "datapackage.json"];
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                open.push(path);
            } else if !texts.contains(&&*name) {
                found.push(name);
            }
        }
    }
    found.sort();
    found
}

/// The rows of exported CSV without its head. No field of these tests has a quote or a line break in it.
pub(super) fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let fields =
        |line: &str| line.split(',').map(|field| field.trim_matches('"').to_owned()).collect();
    text.lines().skip(1).map(fields).collect()
}

fn scaled(text: &str, decimals: usize) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap();
    assert_eq!(fraction.len(), decimals, "{text}");
    format!("{whole}{fraction}").parse().unwrap()
}

/// An exported trade in the form in which tests read stored ones.
pub(super) fn stored_form(row: &[String]) -> StoredTrade {
    let at = kalshi_ingest::domain::time::Timestamp::parse_rfc3339(&row[2]).unwrap().micros();
    let (price, yes_price) = (scaled(&row[4], 4), scaled(&row[5], 4));
    assert_eq!(yes_price, if row[3] == "yes" { price } else { 1_000_000 - price }, "{row:?}");
    let block = (!row[7].is_empty()).then(|| row[7] == "true");
    (row[1].clone(), row[0].clone(), row[3].clone(), price, scaled(&row[6], 2), at, block)
}

fn every_trade_is_in_exactly_one_file(database: &Database) {
    let bench = bench_with_series(database);
    let place = Place::new();
    let (exit, said) = place.export(&bench, &["--series", "KXS", "--to", &instant(MIDNIGHT_US)]);
    assert!(exit == Some(0) || exit == Some(6), "{said}");
    let files = place.files();
    let days = [2, 1].map(|ago| date(MIDNIGHT_US - ago * DAY_US));
    let expected = days.map(|day| format!("series=KXS/date={day}/trades.csv"));
    assert_eq!(files.keys().cloned().collect::<Vec<_>>(), expected);
    let mut all = Vec::new();
    for (path, facts) in &files {
        let rows = csv_rows(&fs::read_to_string(place.path().join(path)).unwrap());
        let keys: Vec<_> = rows.iter().map(|row| (&row[0], &row[2], &row[1])).collect();
        assert!(keys.is_sorted(), "{path} is sorted by market, time and id");
        assert!(rows.iter().all(|row| path.contains(&row[2][..10])), "{path} has its day alone");
        assert_eq!(facts["rows"], rows.len(), "{path}");
        let contracts: i64 = rows.iter().map(|row| scaled(&row[6], 2)).sum();
        assert_eq!(facts["contracts"], format!("{}.{:02}", contracts / 100, contracts % 100));
        all.extend(rows.iter().map(|row| stored_form(row)));
    }
    all.sort();
    assert_eq!(all.len(), 1_400);
    assert!(all == database.trades(), "every field of every trade");
    let ours = &place.manifest()["kalshi_ingest"];
    assert_eq!(
        (&ours["rows"], &ours["selection"]),
        (&1_400.into(), &serde_json::json!(["series:KXS"]))
    );
    for text in ["README.md", "CITATION.cff", "schema.json"] {
        assert!(place.path().join(text).exists(), "{text}");
    }
}

fn a_file_of_a_market_has_an_encoded_name(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let names = ["GDP-22 Q4-T2.5", "JOBLESS-C220,000", "FED-H>25"];
    for (seed, name) in (1..).zip(names) {
        bench.exchange.add_all(seeded_trades(
            seed,
            name,
            5,
            NOON_US - HOUR_US,
            NOON_US - 60 * SECOND_US,
        ));
    }
    let selected = r"GDP-22 Q4-T2.5,JOBLESS-C220\,000,FED-H>25";
    assert_eq!(bench.run(selected, &[]), 0);
    let place = Place::new();
    let flags = ["--market", selected, "--partition-by", "market", "--format", "jsonl"];
    let (exit, said) = place.export(&bench, &flags);
    assert!(exit == Some(0) || exit == Some(6), "{said}");
    let files = place.files();
    let series = files.keys().next().unwrap().split('/').next().unwrap().to_owned();
    let encoded = ["FED-H%3E25", "GDP-22%20Q4-T2.5", "JOBLESS-C220%2C000"];
    let expected = encoded.map(|name| format!("{series}/{name}.jsonl"));
    assert_eq!(files.keys().cloned().collect::<Vec<_>>(), expected);
    for (path, facts) in files {
        let text = fs::read_to_string(place.path().join(&path)).unwrap();
        let rows: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), 5, "{path}");
        assert!(rows.iter().all(|row| row["market_ticker"] == facts["market"]), "{path}");
    }
}

fn a_late_trade_rewrites_its_file_alone(database: &Database) {
    let bench = bench_with_series(database);
    let place = Place::new();
    let flags = ["--series", "KXS", "--to", &instant(MIDNIGHT_US)];
    place.export(&bench, &flags);
    let before = place.files();
    let made = |path: &str| fs::metadata(place.path().join(path)).unwrap().modified().unwrap();
    let times: BTreeMap<&String, _> = before.keys().map(|path| (path, made(path))).collect();
    let manifest = fs::read(place.path().join("datapackage.json")).unwrap();
    let (_, said) = place.export(&bench, &flags);
    assert!(said.contains("writing 0 of 2 files"), "{said}");
    let again = fs::read(place.path().join("datapackage.json")).unwrap();
    assert!(manifest == again, "nothing new changes nothing");
    // Shown late, and found by completeness.
    let late = seeded_trades(9, "KXS-A-1", 1, MIDNIGHT_US - DAY_US + 1, MIDNIGHT_US - 1);
    bench.exchange.add_all(late);
    let window = ["--from", &instant(MIDNIGHT_US - 2 * DAY_US), "--to", &instant(MIDNIGHT_US)];
    let heal = [&["--series", "KXS", "--heal", "--min-score", "1"], &window[..]].concat();
    assert_eq!(bench.main("completeness", &heal), 0);
    let (_, said) = place.export(&bench, &flags);
    assert!(said.contains("writing 1 of 2 files"), "{said}");
    let after = place.files();
    let changed: Vec<&&String> = times.keys().filter(|path| made(path) != times[**path]).collect();
    let expected = format!("series=KXS/date={}/trades.csv", date(MIDNIGHT_US - DAY_US));
    assert_eq!(changed, [&&expected]);
    let rows = |facts: &Value| facts["rows"].as_u64().unwrap();
    assert_eq!(rows(&after[&expected]), rows(&before[&expected]) + 1);
}

fn the_scores_are_those_of_completeness(database: &Database) {
    let bench = bench_with_series(database);
    let day = [instant(MIDNIGHT_US - DAY_US), instant(MIDNIGHT_US)];
    let hour = instant(MIDNIGHT_US - 5 * HOUR_US);
    let trades = format!(
        "prediction_market_trades where market_ticker = 'KXS-A-1' and traded_at > '{}' and traded_at <= '{hour}'",
        instant(MIDNIGHT_US - 6 * HOUR_US)
    );
    database.execute(&format!("delete from {trades}"));
    let flags = ["--series", "KXS", "--from", &day[0], "--to", &day[1]];
    let output = bench.process_of("completeness", &[&flags[..], &["--output", "json"]].concat());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let place = Place::new();
    let (exit, said_too) = place.export(&bench, &["--series", "KXS", "--to", &day[1]]);
    assert!(exit == Some(0) || exit == Some(6), "{said_too}");
    let files = place.files();
    let of = |ago: i64| {
        &files[&format!("series=KXS/date={}/trades.csv", date(MIDNIGHT_US - ago * DAY_US))]
    };
    assert_eq!(of(2)["score"], Value::Null, "completeness never looked at that day");
    assert_eq!(of(2)["exchange"], Value::Null);
    let (score, expected) = (&of(1)["score"], &said["universe"]["score"]);
    let difference = score.as_f64().unwrap() - expected.as_f64().unwrap();
    assert!(difference.abs() < 2e-6 && score.as_f64().unwrap() < 1.0, "{score} and {expected}");
    assert_eq!(of(1)["exchange"]["contracts"], said["universe"]["exchange_quantity"]);
    assert_eq!(of(1)["exchange"]["of_window"], true);
    // Healed, the score is one, and the file has the rows again.
    assert_eq!(
        bench.main("completeness", &[&flags[..], &["--heal", "--min-score", "1"]].concat()),
        0
    );
    database.assert_counted();
    place.export(&bench, &["--series", "KXS", "--to", &day[1]]);
    let healed = place.files();
    let path = format!("series=KXS/date={}/trades.csv", date(MIDNIGHT_US - DAY_US));
    assert_eq!(healed[&path]["score"], 1.0);
    assert!(healed[&path]["rows"].as_u64() > of(1)["rows"].as_u64());
}

fn a_window_without_trades_is_one_empty_file(database: &Database) {
    let bench = bench_with_series(database);
    let place = Place::new();
    let window = [instant(MIDNIGHT_US - 3 * DAY_US), instant(MIDNIGHT_US - 2 * DAY_US)];
    let flags = ["--series", "KXS", "--from", &window[0], "--to", &window[1]];
    let (exit, said) = place.export(&bench, &flags);
    assert!(exit == Some(0) || exit == Some(6), "{said}");
    let files = place.files();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["trades.csv"]);
    assert_eq!(files["trades.csv"]["rows"], 0);
    let text = fs::read_to_string(place.path().join("trades.csv")).unwrap();
    assert!(text.starts_with("market_ticker,trade_id,") && text.lines().count() == 1, "{text}");
    let without = &place.manifest()["kalshi_ingest"]["without_rows"];
    assert_eq!(
        (&without[0]["series"], &without[0]["from"]),
        (&"KXS".into(), &window[0].clone().into())
    );
    // With the days that have trades, the empty file goes.
    place.export(&bench, &["--series", "KXS", "--to", &instant(MIDNIGHT_US)]);
    let files = place.files();
    assert_eq!(files.len(), 2, "{files:?}");
    let ours = &place.manifest()["kalshi_ingest"];
    assert_eq!(ours["window"]["from"], window[0], "the window of a folder only grows");
    assert_eq!(ours["without_rows"][0]["until"], window[1]);
}

fn other_tables_are_exported_too(database: &Database) {
    let bench = bench_with_series(database);
    assert_eq!(bench.main("orderbooks", &["--series", "KXS"]), 0);
    bench.advance(SECOND_US);
    for (table, rows) in [("markets", 2), ("orderbooks", 2), ("raw-events", 1_400)] {
        let place = Place::new();
        let (exit, said) =
            place.export(&bench, &["--series", "KXS", "--table", table, "--format", "jsonl"]);
        assert_eq!(exit, Some(0), "{table}: {said}");
        let files = place.files();
        let mut found = 0;
        for (path, facts) in &files {
            let text = fs::read_to_string(place.path().join(path)).unwrap();
            for line in text.lines() {
                let row: Value = serde_json::from_str(line).unwrap();
                assert!(row["market_ticker"].as_str().unwrap().starts_with("KXS-A-"), "{row}");
                found += 1;
            }
            assert_eq!(
                (&facts["score"], &facts["complete"]),
                (&Value::Null, &Value::Null),
                "{table}"
            );
            assert_eq!(facts["final"], false, "{table}");
        }
        assert_eq!(found, rows, "{table}");
        assert_eq!(place.manifest()["kalshi_ingest"]["rows"], rows, "{table}");
    }
    let raw = database.texts("select cast(payload as text) as x from raw_kalshi_trade_events");
    let place = Place::new();
    place.export(&bench, &["--series", "KXS", "--table", "raw-events", "--format", "jsonl"]);
    let mut exported = Vec::new();
    for path in place.files().keys() {
        for line in fs::read_to_string(place.path().join(path)).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            exported.push(row["payload"].as_str().map(str::to_owned));
        }
    }
    exported.sort();
    let mut raw = raw;
    raw.sort();
    assert!(exported == raw, "byte for byte");
}

fn a_series_is_complete_when_all_of_its_markets_are(database: &Database) {
    let bench = bench_with_series(database);
    let place = Place::new();
    let (from, until) = (instant(MIDNIGHT_US - 3 * DAY_US), instant(MIDNIGHT_US));
    let flags = ["--series", "KXS", "--from", &from, "--to", &until];
    assert_eq!(bench.main("backfill", &flags), 0);
    let (exit, said) = place.export(&bench, &flags);
    assert_eq!(exit, Some(0), "{said}");
    let is_final = |place: &Place| {
        place.files().values().map(|facts| facts["final"] == true).collect::<Vec<_>>()
    };
    assert!(place.files().values().all(|facts| facts["complete"] == true), "{:?}", place.files());
    assert_eq!(is_final(&place), [true, false], "yesterday ended less than a day ago");
    bench.advance(13 * HOUR_US);
    let (exit, said) = place.export(&bench, &flags);
    assert_eq!(exit, Some(0), "{said}");
    assert_eq!(is_final(&place), [true, true]);
    // A market that appears later and was never read.
    let opens = MIDNIGHT_US;
    bench.exchange.add_market(Market::new("KXS-A-3", "KXS-A", opens, NOON_US + DAY_US));
    bench.main("markets", &["--series", "KXS"]);
    let known = "select count(*) as x from prediction_markets where market_ticker = 'KXS-A-3'";
    assert_eq!(database.number(known), 1);
    let (exit, said) = place.export(&bench, &flags);
    assert_eq!(exit, Some(6), "{said}");
    let complete: Vec<bool> =
        place.files().values().map(|facts| facts["complete"] == true).collect();
    assert_eq!(complete, [true, false], "the day before the new market opens: openings move");
}
