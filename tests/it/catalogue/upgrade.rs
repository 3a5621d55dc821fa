//! A database that an earlier release made.

use std::fs;
use std::path::Path;

use kalshi_ingest::kalshi::VENUE;
use kalshi_ingest::store::{DatabaseUrl, Missing};

use super::{at, is_sqlite, see};
use crate::support::database::{Database, on_both_stores};
use crate::support::scope;

on_both_stores! {
    a_database_of_the_first_release_is_brought_up,
}

/// What the first release did: one step, and its record.
fn apply_the_first_step(database: &Database) {
    let (dialect, time) =
        if is_sqlite(database) { ("sqlite", "text") } else { ("postgres", "timestamptz") };
    let file = format!("sql/{dialect}/migrations/001_pipeline.sql");
    let sql = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, sql.as_bytes());
    let checksum: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    database.execute(&sql);
    database.execute(&format!(
        "create table kalshi_ingest_migrations
             (name text primary key, checksum text not null, applied_at {time} not null);
         insert into kalshi_ingest_migrations values ('001_pipeline', '{}', '{}')",
        checksum.concat(),
        at(1),
    ));
}

fn a_database_of_the_first_release_is_brought_up(database: &Database) {
    database.clear();
    apply_the_first_step(database);
    database.execute(&format!(
        "insert into ingestion_runs (command, started_at, finished_at, exit_code, requests, events_ingested)
             values ('run', '{0}', '{0}', 3, 17, 40);
         insert into ingestion_checkpoints
                 (source, market_ticker, complete_until, first_selected_at, updated_at, version)
             values ('kalshi', 'A', '{0}', '{0}', '{0}', 5)",
        at(1_000),
    ));
    let mut store = DatabaseUrl::parse(&database.url, &|_| None)
        .unwrap()
        .open(Missing::Create, VENUE.source)
        .unwrap();
    assert_eq!(
        store.migrate(at(2_000)).unwrap(),
        [
            "002_coverage",
            "003_history",
            "004_operations",
            "005_claims",
            "006_absence",
            "007_content",
            "008_names",
            "009_account_limits",
            "010_trade_counts",
            "011_market_candles",
            "012_analysts",
            "013_trade_hours",
            "014_market_changes",
        ]
    );
    assert!(store.migrate(at(2_000)).unwrap().is_empty(), "once");

    let checkpoint = store.checkpoints(&[scope("A")], at(3_000)).unwrap().remove(0);
    assert_eq!((checkpoint.complete_until, checkpoint.version), (Some(at(1_000)), 5));
    let run = "select count(*) as x from ingestion_runs where run_id = 1 and requests = 17
        and exit_code = 3 and tape_trades is null and tape_seconds is null";
    assert_eq!(database.number(run), 1);
    assert_eq!(store.tape_rate().unwrap(), None);
    let totals = store.overview(at(3_000)).unwrap().totals;
    assert_eq!((totals.requests, totals.events_ingested), (17, 40), "what was before is counted");
    assert_eq!(store.begin_run("run", at(3_000)).unwrap(), 2);
    assert_eq!(see(store.as_mut(), "A", "active", 10), 1, "the new tables are there");
}
