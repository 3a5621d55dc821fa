//! A database that the release before made.

use std::fs;
use std::path::Path;

use kalshi_ingest::kalshi::VENUE;
use kalshi_ingest::store::{DatabaseUrl, Missing, TRADES_TABLE};

use super::{at, beginning, dump, fresh, is_sqlite, raw, slices};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    a_database_of_the_second_release_is_brought_up,
}

/// What the release before did: two steps, and their records.
fn apply_the_first_steps(database: &Database) {
    let (dialect, time) =
        if is_sqlite(database) { ("sqlite", "text") } else { ("postgres", "timestamptz") };
    database.execute(&format!(
        "create table kalshi_ingest_migrations
             (name text primary key, checksum text not null, applied_at {time} not null)",
    ));
    for name in ["001_pipeline", "002_coverage"] {
        let file = format!("sql/{dialect}/migrations/{name}.sql");
        let sql = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let digest = ring::digest::digest(&ring::digest::SHA256, sql.as_bytes());
        let checksum: Vec<String> =
            digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        database.execute(&sql);
        database.execute(&format!(
            "insert into kalshi_ingest_migrations values ('{name}', '{}', '{}')",
            checksum.concat(),
            at(1),
        ));
    }
}

fn a_database_of_the_second_release_is_brought_up(database: &Database) {
    database.clear();
    apply_the_first_steps(database);
    let (price, quantity) =
        if is_sqlite(database) { ("price_e4", "quantity_e2") } else { ("price", "quantity") };
    database.execute(&format!(
        "insert into prediction_market_trades
             (source, trade_id, market_ticker, side, {price}, {quantity}, traded_at, run_id, ingested_at)
             values ('kalshi', 't1', 'A', 'yes', 5, 7, '{0}', 1, '{0}');
         insert into raw_kalshi_trade_events (run_id, received_at, market_ticker, trade_id, payload)
             values (1, '{0}', 'A', 't1', '{{}}')",
        at(1_000),
    ));
    let before = dump(database, TRADES_TABLE);
    let mut store = DatabaseUrl::parse(&database.url, &|_| None)
        .unwrap()
        .open(Missing::Create, VENUE.source)
        .unwrap();
    assert_eq!(
        store.migrate(at(2_000)).unwrap(),
        [
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

    assert_eq!(dump(database, TRADES_TABLE), before);
    assert_eq!(raw(store.as_mut()).len(), 1);
    assert_eq!(store.stored_lifetime(&super::tickers(&["A"]), None).unwrap().len(), 1);
    store.add_slices(&[fresh("A", 0, 60)], false, at(3_000)).unwrap();
    assert_eq!(slices(store.as_mut(), &["A"]), [fresh("A", 0, 60)]);
    store.replay(&beginning(TRADES_TABLE), &[], at(900)).unwrap();
    assert_eq!(store.prune(at(2_000), 0, 10).unwrap().deleted, 1);
}
