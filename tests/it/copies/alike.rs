//! The rows of a big commit are those of small ones, and of SQLite.

use kalshi_ingest::domain::batch::Receipt;
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade::{Price, Quantity, RawEvent, Rejected, Side, Trade};
use kalshi_ingest::store::Store;

use super::{
    BIG, NOW, assert_whole, event, events, note_statements, noted, refused, repriced, sealed,
    with_payload,
};
use crate::parity::difference_of_tables;
use crate::parity::tables::{self, Tables};
use crate::support::database::Database;

/// The batches of a database's life, one after the other.
fn batches() -> Vec<(&'static str, Vec<RawEvent>, Vec<Rejected>)> {
    let third = BIG / 3;
    // A third is known, and some of that with another price; some of the new ones come in two versions.
    let mut mixed = events(2 * BIG - third..3 * BIG - third);
    mixed.extend((2 * BIG - third..2 * BIG).step_by(1_000).map(|n| repriced(n, 777)));
    mixed.extend((2 * BIG..3 * BIG - third).step_by(5_000).map(|n| repriced(n, 778)));
    // In the place of the stored version, not beside it.
    for n in (2 * BIG - third + 500..2 * BIG).step_by(1_000) {
        let at = mixed.iter().position(|known| known.trade.trade_id == event(n).trade.trade_id);
        mixed[at.unwrap()] = repriced(n, 779);
    }
    Vec::from([
        ("all new", events(0..BIG), (0..50).map(refused).collect()),
        ("all new again, copied unasked", events(BIG..2 * BIG), Vec::new()),
        ("all known", events(0..BIG), (25..75).map(refused).collect()),
        ("a third known", mixed, (0..5_000).map(refused).collect()),
    ])
}

/// The database's tables without the order in which events came, which two connections decide.
fn tables_of(database: &Database) -> Tables {
    let found = match database.url.strip_prefix("sqlite:") {
        Some(path) => tables::of_sqlite(path),
        None => tables::of_postgres(&mut tables::connect(&database.url)),
    };
    let mut found = found.arranged();
    for table in found.0.values_mut() {
        table.rows.sort();
    }
    found
}

fn sorted(mut receipt: Receipt) -> Receipt {
    receipt.conflicting.sort_by_key(|event| format!("{event:?}"));
    receipt
}

#[test]
fn big_commits_store_what_sqlite_and_small_commits_store() {
    let databases = [Database::sqlite(), Database::postgres(), Database::postgres()];
    let [sqlite, postgres, small] = &databases;
    let mut stores: Vec<Box<dyn Store>> = databases.iter().map(Database::open).collect();
    for store in &mut stores {
        assert_eq!(store.begin_run("backfill", NOW).unwrap(), 1);
    }
    for (name, events, rejected) in batches() {
        let commit = || sealed(events.clone(), rejected.clone(), 1);
        let expected = sorted(stores[0].commit(1, &commit()).unwrap());
        let receipt = sorted(stores[1].commit(1, &commit()).unwrap());
        assert!(receipt == expected, "{name}: the receipts differ");
        // The versions of a trade stay together.
        let mut rest = events;
        rest.sort_by(|a, b| a.trade.trade_id.cmp(&b.trade.trade_id));
        let (mut inserted, mut rejected) = (0, rejected);
        while !rest.is_empty() {
            let mut cut = rest.len().min(1_000);
            while cut < rest.len() && rest[cut].trade.trade_id == rest[cut - 1].trade.trade_id {
                cut += 1;
            }
            let some: Vec<RawEvent> = rest.drain(..cut).collect();
            let commit = sealed(some, std::mem::take(&mut rejected), 1);
            inserted += stores[2].commit(1, &commit).unwrap().inserted.len();
        }
        assert_eq!(inserted, expected.inserted.len(), "{name}");
    }
    drop(stores);
    let expected = tables_of(sqlite);
    assert_eq!(expected.0["prediction_market_trades"].rows.len(), 3 * BIG - BIG / 3);
    for database in [postgres, small] {
        assert_eq!(difference_of_tables(&expected, &tables_of(database)), None);
        assert_whole(database, 3 * BIG - BIG / 3);
    }
}

/// The tests of this folder are about copies: the same commits without the fast way would prove nothing.
#[test]
fn big_commits_are_copied_by_two_processes() {
    let database = Database::postgres();
    note_statements(&database);
    let mut store = database.open();
    let mut commit = |range| store.commit(1, &sealed(events(range), Vec::new(), 1)).unwrap();
    assert_eq!(commit(0..BIG).inserted.len(), BIG);
    assert_eq!(noted(&database), (2, 2, 0), "two processes, a copy each");
    assert_eq!(commit(BIG..2 * BIG).inserted.len(), BIG);
    assert_eq!(noted(&database), (2, 4, 0), "and again");
    // A known trade takes the copy of its half back; then the server is asked which are known.
    assert_eq!(commit(2 * BIG - 1..3 * BIG - 1).inserted.len(), BIG - 1);
    assert_eq!(noted(&database), (2, 6, 0), "the trade is not copied");
    assert_eq!(commit(3 * BIG - 1..3 * BIG + 1_998).inserted.len(), 1_999);
    assert_eq!(noted(&database), (2, 6, 1), "few trades are stored by a statement");
    drop(store);
    assert_whole(&database, 3 * BIG + 1_998);
}

/// Trades with the values at the edges of what can be stored.
fn edges() -> Vec<RawEvent> {
    let prices = [0, 1, 9_999, 10_000, 10_001, 990_000, 999_999, 1_000_000];
    let quantities =
        [1, 99, 100, 101, 10_000, 999_999, 1_000_000, 100_000_000, 999_999_999_999_999_999];
    // The first and the last credible instant, and 2000-01-01, from where PostgreSQL counts.
    let times = [1_577_836_800_000_000, 7_258_118_399_999_999, 946_684_800_000_000, 1];
    let payloads = [
        "{\"x\":\"\\u0000 \\ud83d\\ude00 é\u{10ffff}\u{200b}\"}",
        "{\"a\":1e400,\"a\":-0,  \"b\":[1,\t2]}",
        "{\"quoted\":\"\\\"\\\\ ' \\\\. \\/\"}",
        "\"\"",
    ];
    let count = prices.len() * quantities.len();
    (0..count)
        .map(|n| {
            let trade = Trade {
                trade_id: format!("edge {n:03} 'é\\").into(),
                market: Ticker::new(["A", "Q4 2022-C220,000", "KX%"][n % 3]).unwrap(),
                side: [Side::Yes, Side::No][n % 2],
                price: Price::from_e4_cents(prices[n % prices.len()]).unwrap(),
                quantity: Quantity::from_e2(quantities[n % quantities.len()]).unwrap(),
                traded_at: Timestamp::from_micros(times[n % times.len()]),
                is_block_trade: [None, Some(true), Some(false)][n % 3],
            };
            RawEvent { trade, payload: payloads[n / 4 % payloads.len()].into() }
        })
        .collect()
}

#[test]
fn values_at_the_edges_are_copied_exactly() {
    let [copied, stated] = [Database::postgres(), Database::postgres()];
    for (database, others) in [(&copied, events(0..2_000)), (&stated, Vec::new())] {
        note_statements(database);
        let all = edges().into_iter().chain(others).collect();
        database.open().commit(1, &sealed(all, Vec::new(), 1)).unwrap();
    }
    assert_eq!((noted(&copied), noted(&stated)), ((1, 1, 0), (0, 0, 1)));
    for (table, row, count) in [
        ("prediction_market_trades", "t::text", 72),
        (
            "raw_kalshi_trade_events",
            "concat_ws('|', run_id, received_at, market_ticker, trade_id, payload)",
            72,
        ),
    ] {
        let rows =
            format!("select {row} as x from {table} t where trade_id like 'edge%' order by 1");
        let expected = stated.texts(&rows);
        assert_eq!(expected.len(), count);
        assert_eq!(copied.texts(&rows), expected, "{table}");
    }
}

/// In a table whose key has the time of a trade, the same id at another time is another trade. The size of a commit
/// does not matter.
#[test]
fn a_key_with_the_time_means_the_same_to_big_and_small_commits() {
    let [big, small] = [Database::postgres(), Database::postgres()];
    let later = |n: usize| {
        let mut event = event(n);
        event.trade.traded_at = event.trade.traded_at.after(std::time::Duration::from_secs(1));
        with_payload(event.trade)
    };
    let again = (0..6_000).map(|n| match n % 3 {
        0 => event(n),
        1 => repriced(n, 777),
        _ => later(n),
    });
    let again: Vec<RawEvent> = again.collect();
    for (database, rows) in [(&big, 6_000), (&small, 1_000)] {
        database.execute(
            "alter table prediction_market_trades drop constraint prediction_market_trades_pkey,
                 add primary key (source, trade_id, traded_at)",
        );
        let mut store = database.open();
        for some in events(0..4_500).chunks(rows).chain(again.chunks(rows)) {
            store.commit(1, &sealed(some.to_vec(), Vec::new(), 1)).unwrap();
        }
    }
    assert_eq!(big.trades().len(), 6_000 + 1_500, "a third of the known ones is there twice");
    assert_eq!(difference_of_tables(&tables_of(&small), &tables_of(&big)), None);
}
