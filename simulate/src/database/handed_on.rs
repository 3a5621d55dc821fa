//! The calls that a connection hands on as they are, each an effect that may be cut.

use std::collections::HashMap;

use kalshi_ingest::domain::account_limits::AccountRecord;
use kalshi_ingest::domain::backfill::Lifespan;
use kalshi_ingest::domain::book::Snapshot;
use kalshi_ingest::domain::candle::{Candle, Interval, StoredCandles};
use kalshi_ingest::domain::checkpoint::Checkpoint;
use kalshi_ingest::domain::completeness::{HourVolume, Score};
use kalshi_ingest::domain::exchange_record::{ComeBack, ExchangeRecord};
use kalshi_ingest::domain::market::{
    Absence, EventRecord, FalseMark, Known, MarketScope, Refusal, Sighting, WatchChange,
    WatchRecord,
};
use kalshi_ingest::domain::overview::{Entry, Overview};
use kalshi_ingest::domain::scope::Scope;
use kalshi_ingest::domain::selection::{Target, Watch};
use kalshi_ingest::domain::slice::{Slice, SliceKey};
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::failure::Failure;
use kalshi_ingest::store::{
    Books, Candles, Checkpoints, Counts, Difference, ExchangeKey, Exchanges, Exports, MarketReport,
    Markets, Overviews, Pruned, ReplayCursor, Replayed, Replays, Reported, RunId, RunRecord, Runs,
    Scores, Slices, StoredRawEvent, Watches,
};

use super::Connection;

impl Watches for Connection {
    hand_on! {
        watches(names: &[String], now: Timestamp) -> Vec<WatchRecord>;
        watches_on_record(names: &[String]) -> Vec<WatchRecord>;
        save_watches(changes: &[WatchChange]) -> ();
        lower_mark(mark: &FalseMark, run: RunId, now: Timestamp) -> bool;
        refusals(names: &[String]) -> Vec<Refusal>;
        save_refusals(refused: &[String], lifted: &[String], now: Timestamp) -> ();
        is_on_record(target: &Target) -> bool;
        note_selection(watches: &[Watch], now: Timestamp) -> ();
    }
}

impl Markets for Connection {
    hand_on! {
        over_markets(scope: MarketScope<'_>, ended_after: Timestamp, count_max: usize) -> Vec<Known>;
        series_of_events(events: &[Box<str>]) -> Vec<EventRecord>;
        known_markets(tickers: &[Ticker]) -> Vec<Known>;
        unsettled_markets(scope: MarketScope<'_>) -> Vec<Known>;
        lifespans(scope: MarketScope<'_>, only: Option<&[Ticker]>, from: Timestamp, until: Timestamp) -> Vec<Lifespan>;
        save_markets(seen: &[Sighting], absent: &[Absence], now: Timestamp) -> u64;
        events_without_series() -> Vec<Box<str>>;
        save_events(events: &[EventRecord], now: Timestamp) -> ();
    }
}

impl Books for Connection {
    hand_on! {
        save_books(books: &[Snapshot]) -> ();
    }
}

impl Checkpoints for Connection {
    hand_on! {
        checkpoints(scopes: &[Scope], now: Timestamp) -> Vec<Checkpoint>;
        checkpoints_on_record(scopes: &[Scope]) -> Vec<Checkpoint>;
        newest_trade(until: Timestamp) -> Option<Timestamp>;
        report(which: Reported<'_>, now: Timestamp) -> Vec<MarketReport>;
    }
}

impl Counts for Connection {
    hand_on! {
        counted_markets() -> Vec<Ticker>;
        recount(markets: &[Ticker]) -> usize;
    }
}

impl Slices for Connection {
    hand_on! {
        slices(scopes: &[Scope], from: Timestamp, until: Timestamp) -> Vec<Slice>;
        add_slices(slices: &[Slice], reset: bool, now: Timestamp) -> ();
        complete_slices(complete: &[SliceKey], gaps: &[Slice], now: Timestamp) -> ();
    }
}

impl Scores for Connection {
    hand_on! {
        stored_lifetime(markets: &[Ticker], until: Option<Timestamp>) -> Vec<(Ticker, i64)>;
        stored_by_hour(markets: &[Ticker], from: Timestamp, until: Timestamp) -> Vec<HourVolume>;
        save_scores(scores: &[Score], now: Timestamp) -> ();
    }
}

impl Runs for Connection {
    hand_on! {
        begin_run(command: &str, now: Timestamp) -> RunId;
        finish_run(run: RunId, record: &RunRecord) -> ();
        tape_rate() -> Option<f64>;
    }
}

impl Candles for Connection {
    hand_on! {
        save_candles(interval: Interval, candles: &[Candle]) -> ();
        stored_candles(interval: Interval, markets: &[Ticker]) -> HashMap<Ticker, StoredCandles>;
    }
}

impl Replays for Connection {
    hand_on! {
        raw_events(place: &ReplayCursor, count: u32) -> Vec<StoredRawEvent>;
        replay_cursor(target: &str, from: Option<Timestamp>, until: Option<Timestamp>) -> ReplayCursor;
        make_trades_table(name: &str) -> ();
        replay(place: &ReplayCursor, trades: &[Replayed], now: Timestamp) -> u64;
        finish_replay(place: &ReplayCursor) -> ();
        compare_trades(other: &str, examples: u32) -> Difference;
        prunable(before: Timestamp) -> (u64, u64);
        prune(before: Timestamp, after: i64, count: u32) -> Pruned;
    }
}

impl Exports for Connection {
    hand_on! {
        export(work: &mut dyn FnMut(&mut dyn kalshi_ingest::store::Snapshot) -> Result<(), Failure>) -> ();
    }
}

impl Overviews for Connection {
    hand_on! {
        overview(now: Timestamp) -> Overview;
        entries() -> Vec<Entry>;
        clock_offset() -> Option<f64>;
        retired_total() -> i64;
    }
}

impl Exchanges for Connection {
    hand_on! {
        exchange_record(key: &ExchangeKey) -> Option<ExchangeRecord>;
        save_exchange_record(key: &ExchangeKey, record: &ExchangeRecord, now: Timestamp) -> ();
        save_come_back(key: &ExchangeKey, come_back: ComeBack, now: Timestamp) -> ();
        save_account(key: &ExchangeKey, account: &AccountRecord, now: Timestamp) -> ();
    }
}
