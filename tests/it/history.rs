//! Every promise of `History`, held against both stores.

mod ledger;
mod commits;
mod volumes;
mod replays;
mod tables;
mod prunings;
mod upgrade;

use std::time::Duration;

use kalshi_ingest::domain::batch::{Batch, Committed, Receipt};
use kalshi_ingest::domain::page::{Page, Rules, Walked};
use kalshi_ingest::domain::slice::{Slice, SliceKey, SliceStatus};
use kalshi_ingest::domain::slice_walk::{SliceKnown, SliceWalk};
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::tier::Tier;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade::{Price, Quantity, RawEvent, Rejected, Side, Trade};
use kalshi_ingest::store::{ReplayCursor, Replayed, Store, StoredRawEvent};

use crate::support::database::Database;
use crate::support::{scope, scopes};

const RULES: Rules = Rules {
    overlap: Duration::ZERO,
    settle: Duration::ZERO,
    since: None,
    pages_max: 100,
    ..Rules::EXACT
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(second)
}

fn ticker(text: &str) -> Ticker {
    Ticker::new(text).unwrap()
}

fn tickers(texts: &[&str]) -> Vec<Ticker> {
    texts.iter().map(|text| ticker(text)).collect()
}

fn is_sqlite(database: &Database) -> bool {
    database.url.starts_with("sqlite:")
}

fn key(market: &str, tier: Tier, from: i64, until: i64) -> SliceKey {
    SliceKey::new(scope(market), tier, at(from), at(until)).unwrap()
}

/// A slice of the live tier of which nothing is read.
fn fresh(market: &str, from: i64, until: i64) -> Slice {
    Slice::new(key(market, Tier::Live, from, until))
}

fn with_status(slice: Slice, status: SliceStatus) -> Slice {
    Slice { status, ..slice }
}

fn slices(store: &mut dyn Store, names: &[&str]) -> Vec<Slice> {
    store.slices(&scopes(names), at(-1_000_000), at(1_000_000_000)).unwrap()
}

fn event_at(market: &str, id: &str, micros: i64, quantity_e2: i64) -> RawEvent {
    let trade = Trade {
        trade_id: id.into(),
        market: ticker(market),
        side: Side::No,
        price: Price::from_e4_cents(380_001).unwrap(),
        quantity: Quantity::from_e2(quantity_e2).unwrap(),
        traded_at: Timestamp::from_micros(micros),
        is_block_trade: None,
    };
    RawEvent { trade, payload: format!("{{\"trade_id\": \"{id}\",  \"x\":\"\\u0000é\"}}").into() }
}

fn event(market: &str, id: &str, second: i64) -> RawEvent {
    event_at(market, id, second * 1_000_000, 1_261)
}

fn refused(market: &str, id: Option<&str>, payload: &str) -> Rejected {
    Rejected {
        scope: scope(market),
        trade_id: id.map(Box::from),
        payload: payload.into(),
        reason: "count_fp is missing".to_owned(),
    }
}

/// The exchange sends the newest first.
fn page(mut events: Vec<RawEvent>, cursor: Option<&str>) -> Page {
    events.sort_by_key(|event| std::cmp::Reverse(event.trade.traded_at));
    Page {
        events,
        rejected: Vec::new(),
        foreign: 0,
        cursor: cursor.map(str::to_owned),
        exchange_now: at(2_000_000_000),
        our_now: at(2_000_000_000),
    }
}

/// Reads this page of a slice. Without a cursor it is all of it: the list goes on with a trade below.
fn walked(slice: &Slice, mut page: Page) -> Walked {
    if page.cursor.is_none() && !page.events.is_empty() {
        let below = slice.key.from().micros() - 1;
        let market = slice.key.scope().market().map_or("ANY", Ticker::as_str);
        page.events.push(event_at(market, "below", below, 1));
    }
    let known = SliceKnown { is_vouched: true, ..SliceKnown::default() };
    SliceWalk::new(slice, None, known, RULES).page(page)
}

/// Commits a page for each of these slices, all in one batch.
fn commit(store: &mut dyn Store, pages: Vec<(&Slice, Page)>, now: i64) -> Receipt {
    let mut batch = Batch::default();
    let ledger = Committed::of_slices(pages.iter().map(|(slice, _)| (*slice).clone()));
    for (slice, page) in pages {
        batch.push(walked(slice, page));
    }
    store.commit(7, &batch.seal(&ledger, 7, at(now))).unwrap()
}

/// Stores these events without a slice on record, as received now.
fn receive(
    store: &mut dyn Store,
    events: Vec<RawEvent>,
    rejected: Vec<Rejected>,
    now: i64,
) -> Receipt {
    let everything = fresh("*", -1_000_000, 1_900_000_000);
    commit(store, vec![(&everything, Page { rejected, ..page(events, None) })], now)
}

/// The place of a replay of everything at its beginning.
fn beginning(target: &str) -> ReplayCursor {
    ReplayCursor { target: target.to_owned(), from: None, until: None, after_event: 0 }
}

/// Every raw event.
fn raw(store: &mut dyn Store) -> Vec<StoredRawEvent> {
    store.raw_events(&beginning("any"), 1_000_000).unwrap()
}

/// Those raw events whose payload names one of these trades, as a replay would store them.
fn replayed(raw: &[StoredRawEvent], events: &[RawEvent]) -> Vec<Replayed> {
    raw.iter()
        .filter_map(|raw| {
            let event = events.iter().find(|event| event.payload == raw.payload)?.clone();
            Some(Replayed { run_id: raw.run_id, received_at: raw.received_at, trade: event.trade })
        })
        .collect()
}

/// Every column of every row of a table of trades, by id.
fn dump(database: &Database, table: &str) -> Vec<Option<String>> {
    let row = if is_sqlite(database) {
        "json_array(source, trade_id, market_ticker, side, price_e4, price, quantity_e2, quantity,
             traded_at, is_block_trade, run_id, ingested_at)"
    } else {
        "t::text"
    };
    database.texts(&format!("select {row} as x from {table} t order by source, trade_id"))
}

/// An instant of the database as `Timestamp` prints it.
fn instant(database: &Database, column: &str) -> String {
    if is_sqlite(database) {
        column.to_owned()
    } else {
        format!("to_char({column} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    }
}

fn count(database: &Database, from: &str) -> i64 {
    database.number(&format!("select count(*) as x from {from}"))
}
