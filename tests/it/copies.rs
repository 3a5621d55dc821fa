//! Commits so big that PostgreSQL takes them by COPY and over two connections: whatever happens meanwhile, the tables
//! hold what small commits would have stored.

mod alike;
mod races;
pub(crate) mod failures;

use kalshi_ingest::domain::batch::{Batch, Commit, Committed};
use kalshi_ingest::domain::page::{Page, Rules};
use kalshi_ingest::domain::slice::{Slice, SliceKey};
use kalshi_ingest::domain::slice_walk::{SliceKnown, SliceWalk};
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::tier::Tier;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade::{Price, Quantity, RawEvent, Rejected, Side, Trade};
use kalshi_ingest::store::RunId;

use crate::support::database::Database;
use crate::support::scope;

/// The rows of a commit that two connections share.
pub(crate) const BIG: usize = 20_000;
/// The instant of the first trade, in Unix seconds, and that of the commits.
const BEGINS: i64 = 1_785_000_000;
const NOW: Timestamp = Timestamp::from_seconds(BEGINS + 1_000_000);

/// A trade of one of ten markets. The number decides everything about it; ids sort as numbers do.
fn event(n: usize) -> RawEvent {
    let second = BEGINS + i64::try_from(n * 7_919 % 100_003).unwrap();
    let trade = Trade {
        trade_id: id(n).into(),
        market: Ticker::new(&format!("KX-{}", n % 10)).unwrap(),
        side: if n.is_multiple_of(3) { Side::Yes } else { Side::No },
        price: Price::from_e4_cents(i64::try_from(n % 1_000_001).unwrap()).unwrap(),
        quantity: Quantity::from_e2(i64::try_from(n + 1).unwrap()).unwrap(),
        traded_at: Timestamp::from_micros(second * 1_000_000 + 544_670),
        is_block_trade: [None, Some(true), Some(false)][n % 3],
    };
    with_payload(trade)
}

fn id(n: usize) -> String {
    format!("t{n:07}")
}

pub(crate) fn events(range: std::ops::Range<usize>) -> Vec<RawEvent> {
    range.map(event).collect()
}

/// The JSON of a trade tells all its values.
fn with_payload(trade: Trade) -> RawEvent {
    let payload = format!("{{\"trade\": {:?},  \"x\":\"\\u0000é\"}}", format!("{trade:?}"));
    RawEvent { trade, payload: payload.into() }
}

/// The trade with another price.
fn repriced(n: usize, price: i64) -> RawEvent {
    let trade = Trade { price: Price::from_e4_cents(price).unwrap(), ..event(n).trade };
    with_payload(trade)
}

fn refused(n: usize) -> Rejected {
    Rejected {
        scope: scope(&format!("KX-{}", n % 10)),
        trade_id: None,
        payload: format!("{{\"refused\":{n}}}").into(),
        reason: "count_fp is missing".to_owned(),
    }
}

/// A commit of these events, read from the tape by a backfill whose slice is not on record: it claims nothing.
pub(crate) fn sealed(mut events: Vec<RawEvent>, rejected: Vec<Rejected>, run: RunId) -> Commit {
    // The exchange sends the newest first.
    events.sort_by_key(|event| std::cmp::Reverse(event.trade.traded_at));
    let latest = Timestamp::from_seconds(7_258_118_400);
    let key = SliceKey::new(scope("*"), Tier::Live, Timestamp::from_seconds(0), latest).unwrap();
    let slice = Slice::new(key);
    let page = Page {
        events,
        rejected,
        foreign: 0,
        cursor: Some("more".to_owned()),
        exchange_now: latest,
        our_now: latest,
    };
    let mut batch = Batch::default();
    batch.push(SliceWalk::new(&slice, None, SliceKnown::default(), Rules::EXACT).page(page));
    batch.seal(&Committed::of_slices([slice]), run, NOW)
}

/// Every trade has one raw event, and the counts are right.
#[track_caller]
pub(crate) fn assert_whole(database: &Database, trades: usize) {
    let count =
        |of: &str| database.number(&format!("select {of} as x from prediction_market_trades"));
    assert_eq!(count("count(*)"), i64::try_from(trades).unwrap());
    let unpaired = "select count(*) as x from (
        select trade_id, market_ticker from prediction_market_trades
        except
        select trade_id, market_ticker from raw_kalshi_trade_events where rejected is null
    ) as t";
    assert_eq!(database.number(unpaired), 0, "each with its event");
    assert_eq!(database.raw_counts().0, i64::try_from(trades).unwrap(), "no event twice");
    database.assert_counted();
}

/// Has the server note each statement that adds trades, and by which process.
pub(crate) fn note_statements(database: &Database) {
    database.execute(
        "create table noted (process integer, words text);
         create function note() returns trigger language plpgsql security definer as $$
             begin
                 insert into noted values (pg_backend_pid(), left(ltrim(current_query()), 5));
                 return null;
             end
         $$;
         create trigger note after insert on prediction_market_trades for each statement
             execute function note()",
    );
}

/// The numbers of processes that have copied trades, and of statements that were copies, and of others that were
/// committed.
pub(crate) fn noted(database: &Database) -> (i64, i64, i64) {
    let count = |what: &str| database.number(&format!("select {what} as x from noted"));
    (
        count("count(distinct process) filter (where words = 'copy ')"),
        count("count(*) filter (where words = 'copy ')"),
        count("count(*) filter (where words <> 'copy ')"),
    )
}
