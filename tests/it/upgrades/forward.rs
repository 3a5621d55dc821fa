//! From every earlier step to this build.

use std::collections::BTreeMap;

use kalshi_ingest::domain::time::Timestamp;

use super::fixtures::{fill, open, rows, steps};
use crate::parity::difference_of_tables;
use crate::parity::tables::{NULL, Table, Tables};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    every_step_comes_forward_with_nothing_lost,
    one_conflict_in_several_spellings_comes_forward,
}

const NOW: Timestamp = Timestamp::from_seconds(1_785_003_600);

/// What tells rows apart in the fixtures, of whatever table.
const KEYS: [&str; 21] = [
    "run_id",
    "market_ticker",
    "trade_id",
    "event_id",
    "change_id",
    "event_ticker",
    "watch",
    "captured_at",
    "starts_at",
    "tier",
    "window_from",
    "score_id",
    "target",
    "metric",
    "reason",
    "shard",
    "host",
    "correction_id",
    "name",
    "source",
    "bounds",
];

/// What a step takes away, since it followed one answer's date.
const DROPPED: [(&str, &str); 2] =
    [("ingestion_checkpoints", "complete_as_of"), ("ingestion_checkpoints", "walk_opened_at")];

/// What a step heals: instants that are none become absent, and lists are synced once more.
const HEALED: [(&str, &str); 6] = [
    ("prediction_markets", "open_time"),
    ("prediction_markets", "close_time"),
    ("prediction_markets", "expected_expiration_time"),
    ("prediction_markets", "latest_expiration_time"),
    ("prediction_markets", "settlement_time"),
    ("selection_watches", "synced_until"),
];

/// What a step works out from what was there.
const DERIVED: [(&str, &str); 5] = [
    ("ingestion_checkpoints", "anchor_at"),
    ("ingestion_checkpoints", "level_at"),
    ("prediction_markets", "score"),
    ("prediction_markets", "scored_at"),
    ("selection_watches", "known_at"),
];

type Cells = BTreeMap<String, String>;

/// The rows by their key, each a map from column to value.
fn by_key(table: &Table) -> BTreeMap<String, Cells> {
    let cells = |row: &Vec<String>| -> Cells {
        table.columns.iter().cloned().zip(row.iter().cloned()).collect()
    };
    let key = |cells: &Cells| {
        KEYS.iter().filter_map(|key| cells.get(*key).cloned()).collect::<Vec<_>>().join("|")
    };
    let rows: BTreeMap<String, Cells> =
        table.rows.iter().map(cells).map(|cells| (key(&cells), cells)).collect();
    assert_eq!(rows.len(), table.rows.len(), "the keys tell the rows apart");
    rows
}

/// Each table that was there has the same rows with the same values, but for what is healed; what this
/// build's own database has besides is there, too, where it can be known.
fn assert_nothing_is_lost(tables: &Tables, after: &Tables, ours: &Tables, step: &str) {
    for (name, table) in &tables.0 {
        let (before, after, ours) = (by_key(table), by_key(&after.0[name]), by_key(&ours.0[name]));
        assert!(!before.is_empty(), "{step}: the fixture has no row in {name}");
        if name != "kalshi_ingest_migrations" {
            let keys = |rows: &BTreeMap<String, Cells>| rows.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&after), keys(&before), "{step}: {name}");
        }
        for (key, old) in &before {
            let (new, ours) = (&after[key], &ours[key]);
            for (column, value) in old {
                let at = (&**name, &**column);
                let Some(now) = new.get(column) else {
                    assert!(DROPPED.contains(&at), "{step}: {at:?} is gone");
                    continue;
                };
                let expected = if HEALED.contains(&at) { &ours[column] } else { value };
                assert_eq!(now, expected, "{step}: {at:?} of {key}");
            }
            for (column, value) in new.iter().filter(|(column, _)| !old.contains_key(*column)) {
                let at = (&**name, &**column);
                let was_scored = tables.0.contains_key("completeness_scores");
                if DERIVED.contains(&at) && (was_scored || !column.starts_with("score")) {
                    assert_eq!(value, &ours[column], "{step}: {at:?} of {key}");
                } else {
                    assert!([NULL, "0"].contains(&&**value), "{step}: {at:?} of {key} is {value}");
                }
            }
        }
    }
}

fn every_step_comes_forward_with_nothing_lost(kind: &Database) {
    let steps = steps();
    let newest = Database::like(kind);
    fill(&newest, steps.len());
    let ours = rows(&newest);
    for count in 1..=steps.len() {
        let step = &steps[count - 1];
        let database = Database::like(kind);
        fill(&database, count);
        let before = rows(&database);
        let mut store = open(&database);
        assert_eq!(store.migrate(NOW).unwrap(), steps[count..], "{step}");
        assert!(store.migrate(NOW).unwrap().is_empty(), "{step}: once");
        store.check_schema().unwrap();
        let after = rows(&database);
        assert_nothing_is_lost(&before, &after, &ours, step);
        database.assert_counted();
        let totals = store.overview(NOW).unwrap().totals;
        let counted = (totals.requests, totals.events_ingested, totals.events_duplicate);
        assert_eq!(counted, (20, 40 + 5, 2), "{step}: the totals and the run that was killed");
        assert_eq!(
            store.report(kalshi_ingest::store::Reported::All, NOW).unwrap().len(),
            5,
            "{step}"
        );
        let next = store.begin_run("run", NOW).unwrap();
        assert!(next > 4, "{step}: the number {next} is taken");
    }
}

/// Builds before step 007 kept a conflict once for each way in which its JSON was written.
fn one_conflict_in_several_spellings_comes_forward(kind: &Database) {
    for count in [5, 6] {
        let database = Database::like(kind);
        fill(&database, count);
        let system =
            if database.url.starts_with("sqlite:") { "" } else { "overriding system value" };
        let spelling = |id: i64, payload: &str| {
            database.execute(&format!(
                "insert into raw_kalshi_trade_events
                     (event_id, market_ticker, trade_id, payload, rejected, run_id, received_at) {system}
                 values ({id}, 'KXA-1', 'tx', '{payload}', 'conflicts with the stored trade: side', 1,
                     '2026-07-25T12:00:06.000000Z')"
            ));
        };
        for (id, payload) in [(901, "{\"a\":1}"), (902, "{\"a\": 1}"), (903, "{ \"a\":1}")] {
            spelling(id, payload);
        }
        let mut store = open(&database);
        assert_eq!(store.migrate(NOW).unwrap(), steps()[count..], "{count} steps");
        let kept = "select event_id || ' ' || payload || ' ' || rejected as x
                    from raw_kalshi_trade_events where trade_id = 'tx' order by event_id";
        let kept: Vec<Option<String>> = database.texts(kept);
        let kept: Vec<&str> = kept.iter().flatten().map(String::as_str).collect();
        let reason = "conflicts with the stored trade: side";
        let again = "(the same was kept before, written in another way; this is event";
        let expected = [
            format!("901 {{\"a\":1}} {reason}"),
            format!("902 {{\"a\": 1}} {reason} {again} 902)"),
            format!("903 {{ \"a\":1}} {reason} {again} 903)"),
        ];
        assert_eq!(kept, expected, "{count} steps");
    }
}

/// Whichever step it began with: the same rows, however each database holds them.
#[test]
fn both_stores_come_to_the_same() {
    for count in 1..=steps().len() {
        let databases = [Database::sqlite(), Database::postgres()];
        let [one, other] = databases.map(|database| {
            fill(&database, count);
            let mut store = open(&database);
            store.migrate(NOW).unwrap();
            let seen = format!("{:#?}", store.overview(NOW).unwrap());
            (rows(&database).arranged(), seen)
        });
        assert_eq!(difference_of_tables(&one.0, &other.0), None, "{count} steps");
        assert_eq!(one.1, other.1, "{count} steps");
    }
}
