//! The plan of every statement of SQLite: none reads a table that grows to its end.

use std::collections::{BTreeMap, BTreeSet};

use kalshi_ingest::store::TRADES_TABLE;
use rusqlite::Connection;

use super::fill;
use super::observed::{OTHER_TABLE, open, statements};
use crate::support::database::Database;

/// Tables that do not grow with time: the selection, what is remembered of the exchange, and unfinished replays.
const SMALL_TABLES: [&str; 4] =
    ["selection_watches", "exchange_records", "ingestion_totals", "replay_places"];

/// Indexes of what is open, whatever else the table holds.
const SMALL_INDEXES: [&str; 6] = [
    "prediction_markets_without_series",
    "prediction_markets_unsettled",
    "prediction_markets_unsettled_series",
    "prediction_markets_unsettled_event",
    "ingestion_checkpoints_active",
    "ingestion_runs_unfinished",
];

/// Statements that read a table to its end, and the reason.
const READS_ALL: [(&str, &str); 13] = [
    ("compare_trades", ALL),
    ("load_counted", ALL),
    ("load_all_checkpoints", ALL),
    ("count_all", BY_MARKET),
    ("load_busy", BY_MARKET),
    ("newest_trade", BY_MARKET),
    ("load_lifespans", BY_MARKET),
    ("load_members", BY_MARKET),
    ("count_raw_events", RAW),
    ("count_retired", "It counts them."),
    ("load_last_pass", LIMITED),
    ("load_runs", LIMITED),
    ("tape_rate", LIMITED),
];

/// It is asked for everything.
const ALL: &str = "It is asked for everything.";
/// A row of a market is small beside its trades.
const BY_MARKET: &str = "It reads a row for each market, and none for a trade.";
/// An index would cost each pass, for a table that is exported rarely.
const RAW: &str = "Raw events have no index by market or time; an export counts them once.";
/// The newest rows are enough.
const LIMITED: &str = "It reads the newest rows, in the order of the key, up to a limit.";

/// The names in a statement, with the tables that they stand for.
fn names(sql: &str) -> BTreeMap<String, BTreeSet<String>> {
    let code: String = sql
        .lines()
        .map(|line| line.split("--").next().unwrap())
        .flat_map(|line| line.chars().chain(['\n']))
        .flat_map(|letter| match letter {
            '(' | ')' | ',' => vec![' ', letter, ' '],
            _ => vec![letter],
        })
        .filter(|letter| *letter != '"')
        .collect();
    let words: Vec<&str> = code.split_whitespace().collect();
    let mut names = BTreeMap::<String, BTreeSet<String>>::new();
    for (at, word) in words.iter().enumerate() {
        if !["from", "join", "update", "into"].contains(word) {
            continue;
        }
        let Some(table) = words.get(at + 1) else { continue };
        let alias = match words.get(at + 2) {
            Some(&"as") => words.get(at + 3),
            other => other,
        };
        for name in [Some(table), alias].into_iter().flatten() {
            names.entry((*name).to_owned()).or_default().insert((*table).to_owned());
        }
    }
    names
}

/// The line of a plan that reads a big table to its end.
fn read_to_the_end(connection: &Connection, sql: &str, tables: &BTreeSet<String>) -> Vec<String> {
    let names = names(sql);
    let mut plan = connection.prepare(&format!("explain query plan {sql}")).unwrap();
    let mut rows = plan.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let detail: String = row.get(3).unwrap();
        let words: Vec<&str> = detail.split_whitespace().collect();
        let is_big = words
            .get(1)
            .and_then(|word| names.get(*word))
            .into_iter()
            .flatten()
            .any(|table| tables.contains(table) && !SMALL_TABLES.contains(&&**table));
        let is_open = words.iter().any(|word| SMALL_INDEXES.contains(word));
        let is_whole = words[0] == "SCAN" || words[0] == "SEARCH" && detail.ends_with("(source=?)");
        if is_big && is_whole && !is_open {
            found.push(detail);
        }
    }
    found
}

#[test]
fn no_statement_of_sqlite_reads_a_table_to_its_end() {
    let database = Database::sqlite();
    open(&database.url, true).make_trades_table(OTHER_TABLE).unwrap();
    let connection = Connection::open(database.url.strip_prefix("sqlite:").unwrap()).unwrap();
    connection.execute_batch(&fill::sqlite(6_000)).unwrap();
    let mut listed =
        connection.prepare("select name from sqlite_schema where type = 'table'").unwrap();
    let tables: BTreeSet<String> =
        listed.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for statistics in ["", "analyze"] {
        connection.execute_batch(statistics).unwrap();
        for (_, name, sql) in statements("sqlite") {
            let other = if name == "compare_trades" { OTHER_TABLE } else { TRADES_TABLE };
            let lines = read_to_the_end(&connection, &sql.replace("{target}", other), &tables);
            if !lines.is_empty() {
                found.entry(name).or_default().extend(lines);
            }
        }
    }
    for (name, _) in READS_ALL {
        assert!(found.remove(name).is_some(), "{name} need not stand in READS_ALL");
    }
    assert!(found.is_empty(), "these read a table to its end: {found:#?}");
}
