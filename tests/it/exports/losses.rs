//! Rows that leave the database do not leave the folder.

use std::fs;

use super::{HOUR_US, MIDNIGHT_US, Place, bench_with_series, date, instant};
use crate::support::bench::DAY_US;
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    a_published_file_outlives_its_rows,
    an_export_of_files_of_markets_needs_the_list_of_markets,
}

fn a_published_file_outlives_its_rows(database: &Database) {
    let bench = bench_with_series(database);
    let place = Place::new();
    let flags = [
        "--series",
        "KXS",
        "--from",
        &instant(MIDNIGHT_US - 2 * DAY_US),
        "--to",
        &instant(MIDNIGHT_US),
    ];
    assert_eq!(bench.main("backfill", &flags), 0);
    let (exit, said) = place.export(&bench, &flags);
    assert_eq!(exit, Some(0), "{said}");
    let before = place.files();
    let bytes = |path: &String| fs::read(place.path().join(path)).unwrap();
    let was: Vec<_> = before.keys().map(bytes).collect();
    // The first day is gone as by a dropped partition, and of the second one an hour.
    let gone = format!(
        "delete from prediction_market_trades where traded_at < '{}' or traded_at >= '{}' and traded_at < '{}'",
        instant(MIDNIGHT_US - DAY_US),
        instant(MIDNIGHT_US - 6 * HOUR_US),
        instant(MIDNIGHT_US - 3 * HOUR_US),
    );
    database.execute(&gone);
    for _ in 0..2 {
        let (exit, said) = place.export(&bench, &flags);
        assert_eq!(exit, Some(6), "{said}");
        let first = format!("series=KXS/date={}/trades.csv", date(MIDNIGHT_US - 2 * DAY_US));
        assert!(said.contains("2 files stay as they were published"), "{said}");
        assert!(said.contains(&first) && said.contains("--directory of a new folder"), "{said}");
        assert_eq!(place.files(), before, "each with its line");
        assert!(before.keys().map(bytes).eq(was.iter().cloned()), "byte for byte");
        let ours = &place.manifest()["kalshi_ingest"];
        assert_eq!(ours["without_rows"].as_array().unwrap().len(), 0, "a day with a file has rows");
        assert_eq!(ours["rows"], 1_400);
    }
    // A new folder has the rows that are there now.
    let anew = Place::new();
    let (_, said) = anew.export(&bench, &flags);
    assert!(!said.contains("stay as they were"), "{said}");
    assert_eq!(anew.files().len(), 1);
}

fn an_export_of_files_of_markets_needs_the_list_of_markets(database: &Database) {
    let bench = bench_with_series(database);
    let flags = [
        "--series",
        "KXS",
        "--from",
        &instant(MIDNIGHT_US - 2 * DAY_US),
        "--to",
        &instant(MIDNIGHT_US),
    ];
    assert_eq!(bench.main("backfill", &flags), 0);
    let by_market = [&flags[..], &["--partition-by", "market"]].concat();
    let place = Place::new();
    let (exit, said) = place.export(&bench, &by_market);
    assert_eq!(exit, Some(0), "{said}");
    assert_eq!(place.manifest()["kalshi_ingest"]["complete"], true);
    for (of, change) in [
        (
            "the last list is too old",
            format!("synced_at = '{0}', resolved_at = '{0}'", instant(MIDNIGHT_US - DAY_US)),
        ),
        // As a sync leaves it that could not read a description.
        (
            "a description was unreadable",
            format!(
                "synced_at = '{0}', resolved_at = null, synced_until = '{1}'",
                instant(MIDNIGHT_US + HOUR_US),
                kalshi_ingest::kalshi::VENUE.first_trades
            ),
        ),
    ] {
        database
            .execute(&format!("update selection_watches set {change} where watch = 'series:KXS'"));
        let (exit, said) = place.export(&bench, &by_market);
        assert_eq!(exit, Some(6), "{of}: {said}");
        assert!(said.contains("not all markets of the selection are known"), "{of}: {said}");
        assert_eq!(place.manifest()["kalshi_ingest"]["complete"], false, "{of}");
        assert!(
            place.files().values().all(|facts| facts["complete"] == true),
            "{of}: each file is"
        );
    }
}
