//! Stores the trades and the events of a commit in PostgreSQL: one array for each column.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use postgres::types::Type;
use postgres::{Error, Row};

use super::transaction::Transaction;
use crate::domain::batch::Commit;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::trade::{Price, Quantity, RawEvent, Rejected, Side, Trade};
use crate::store::engine::{Stored, sql};
use crate::store::handles::RunId;

/// Stores the trades and the events of a commit, inside the caller's transaction. Commits tend to hold only new trades
/// or only known ones, so the code first tries the case that most trades of the last commit were.
pub(super) fn store(
    transaction: &mut Transaction<'_>,
    source: &'static str,
    run: RunId,
    commit: &Commit,
    expects_new: &mut bool,
) -> Result<Stored, Error> {
    let now = commit.now().to_chrono();
    let mut stored = Stored::default();
    if !commit.rows().is_empty() {
        let (inserted, conflicting) =
            write_trades(transaction, source, run, now, commit, *expects_new)?;
        *expects_new = inserted.len() * 2 > commit.rows().len();
        insert_events(transaction, run, now, commit, &inserted)?;
        stored.inserted = inserted;
        let kept = insert_rejected(transaction, run, now, &conflicting)?;
        stored.conflicting = kept.into_iter().map(|at| conflicting[at].clone()).collect();
    }
    stored.rejected = insert_rejected(transaction, run, now, commit.rejected())?;
    Ok(stored)
}

/// Returns the positions of the rows that were new, and the events that contradict stored trades, by market and
/// payload.
fn write_trades(
    transaction: &mut Transaction<'_>,
    source: &'static str,
    run: i64,
    now: DateTime<Utc>,
    commit: &Commit,
    expects_new: bool,
) -> Result<(Vec<usize>, Vec<Rejected>), Error> {
    let event = |at: usize| &commit.rows()[at].event;
    let all: Vec<usize> = (0..commit.rows().len()).collect();
    let (candidates, mut conflicting) = if expects_new {
        (all, Vec::new())
    } else {
        let events: Vec<&RawEvent> = all.iter().map(|at| event(*at)).collect();
        compare(transaction, source, &events)?
    };
    let events: Vec<&RawEvent> = candidates.iter().map(|at| event(*at)).collect();
    let inserted = insert_trades(transaction, source, run, now, &events)?;
    let inserted: Vec<usize> = inserted.into_iter().map(|at| candidates[at]).collect();
    // These trades were stored before, or by another process meanwhile.
    let is_new = |at: &usize| inserted.binary_search(at).is_ok();
    let again: Vec<&RawEvent> =
        candidates.iter().filter(|at| !is_new(at)).map(|at| event(*at)).collect();
    conflicting.extend(compare(transaction, source, &again)?.1);
    conflicting
        .extend(compare(transaction, source, &commit.variants().iter().collect::<Vec<_>>())?.1);
    conflicting.sort_by(|a, b| (&a.scope, &a.payload).cmp(&(&b.scope, &b.payload)));
    Ok((inserted, conflicting))
}

/// Returns the positions of the events whose trade is not stored, and the events that contradict stored trades.
fn compare(
    transaction: &mut Transaction<'_>,
    source: &'static str,
    events: &[&RawEvent],
) -> Result<(Vec<usize>, Vec<Rejected>), Error> {
    if events.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let columns = Columns::of(events);
    let rows = transaction.query_typed(
        sql!("postgres", "trades", "match_trades"),
        &[
            (&source, Type::TEXT),
            (&columns.ids, Type::TEXT_ARRAY),
            (&columns.markets, Type::TEXT_ARRAY),
            (&columns.is_yes, Type::BOOL_ARRAY),
            (&columns.prices, Type::INT4_ARRAY),
            (&columns.quantities, Type::INT8_ARRAY),
            (&columns.times, Type::TIMESTAMPTZ_ARRAY),
        ],
    )?;
    let (mut absent, mut stored) = (Vec::new(), HashMap::new());
    for row in &rows {
        let id: &str = row.get("trade_id");
        if row.get::<_, Option<&str>>("market_ticker").is_none() {
            absent.extend(columns.ids.binary_search(&id).ok());
        } else if let Some(trade) = stored_trade(row) {
            stored.insert(id, trade);
        }
    }
    absent.sort_unstable();
    let conflict = |event: &&RawEvent| event.conflict_with(stored.get(&*event.trade.trade_id)?);
    Ok((absent, events.iter().filter_map(conflict).collect()))
}

/// A trade of `match_trades`; `None` if a stored value is not possible for a trade.
fn stored_trade(row: &Row) -> Option<Trade> {
    let text = |column: &str| row.get::<_, &str>(column);
    Some(Trade {
        trade_id: text("trade_id").into(),
        market: Ticker::new(text("market_ticker"))?,
        side: if text("side") == Side::Yes.as_str() { Side::Yes } else { Side::No },
        price: Price::from_e4_cents(row.get::<_, i32>("price_e4").into())?,
        quantity: Quantity::from_e2(row.get("quantity_e2"))?,
        traded_at: Timestamp::from_chrono(row.get("traded_at")),
        is_block_trade: None,
    })
}

/// The values by which trades are compared and stored, one array for each column.
struct Columns<'a> {
    ids: Vec<&'a str>,
    markets: Vec<&'a str>,
    is_yes: Vec<bool>,
    prices: Vec<i32>,
    quantities: Vec<i64>,
    times: Vec<DateTime<Utc>>,
}

impl<'a> Columns<'a> {
    fn of(events: &[&'a RawEvent]) -> Columns<'a> {
        let trades = || events.iter().map(|event| &event.trade);
        Columns {
            ids: trades().map(|trade| &*trade.trade_id).collect(),
            markets: trades().map(|trade| trade.market.as_str()).collect(),
            is_yes: trades().map(|trade| trade.side == Side::Yes).collect(),
            prices: trades().map(|trade| trade.price.e4_cents()).collect(),
            quantities: trades().map(|trade| trade.quantity.e2()).collect(),
            times: trades().map(|trade| trade.traded_at.to_chrono()).collect(),
        }
    }
}

/// Returns the positions of the trades that were new.
fn insert_trades(
    transaction: &mut Transaction<'_>,
    source: &'static str,
    run: i64,
    now: DateTime<Utc>,
    events: &[&RawEvent],
) -> Result<Vec<usize>, Error> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let columns = Columns::of(events);
    let blocks: Vec<Option<bool>> = events.iter().map(|event| event.trade.is_block_trade).collect();
    let answer = transaction.query_typed_one(
        sql!("postgres", "trades", "insert_trades"),
        &[
            (&source, Type::TEXT),
            (&columns.ids, Type::TEXT_ARRAY),
            (&columns.markets, Type::TEXT_ARRAY),
            (&columns.is_yes, Type::BOOL_ARRAY),
            (&columns.prices, Type::INT4_ARRAY),
            (&columns.quantities, Type::INT8_ARRAY),
            (&columns.times, Type::TIMESTAMPTZ_ARRAY),
            (&blocks, Type::BOOL_ARRAY),
            (&run, Type::INT8),
            (&now, Type::TIMESTAMPTZ),
        ],
    )?;
    let ids = &columns.ids;
    let Some(inserted) = answer.get::<_, Option<Vec<&str>>>(0) else {
        return Ok((0..ids.len()).collect());
    };
    let mut positions: Vec<usize> =
        inserted.iter().filter_map(|id| ids.binary_search(id).ok()).collect();
    positions.sort_unstable();
    Ok(positions)
}

fn insert_events(
    transaction: &mut Transaction<'_>,
    run: i64,
    now: DateTime<Utc>,
    commit: &Commit,
    inserted: &[usize],
) -> Result<(), Error> {
    if inserted.is_empty() {
        return Ok(());
    }
    let events = || inserted.iter().map(|at| &commit.rows()[*at].event);
    let markets: Vec<&str> = events().map(|event| event.trade.market.as_str()).collect();
    let ids: Vec<&str> = events().map(|event| &*event.trade.trade_id).collect();
    let payloads: Vec<&str> = events().map(|event| &*event.payload).collect();
    transaction.execute_typed(
        sql!("postgres", "trades", "insert_events"),
        &[
            (&run, Type::INT8),
            (&now, Type::TIMESTAMPTZ),
            (&markets, Type::TEXT_ARRAY),
            (&ids, Type::TEXT_ARRAY),
            (&payloads, Type::TEXT_ARRAY),
        ],
    )?;
    Ok(())
}

/// Returns the positions of the events that were not stored before, by market and payload.
fn insert_rejected(
    transaction: &mut Transaction<'_>,
    run: i64,
    now: DateTime<Utc>,
    rejected: &[Rejected],
) -> Result<Vec<usize>, Error> {
    if rejected.is_empty() {
        return Ok(Vec::new());
    }
    let events = || rejected.iter();
    let markets: Vec<&str> = events().map(|event| event.scope.as_str()).collect();
    let ids: Vec<Option<&str>> = events().map(|event| event.trade_id.as_deref()).collect();
    let payloads: Vec<&str> = events().map(|event| &*event.payload).collect();
    let reasons: Vec<&str> = events().map(|event| event.reason.as_str()).collect();
    let kept = transaction.query_typed(
        sql!("postgres", "trades", "insert_rejected"),
        &[
            (&run, Type::INT8),
            (&now, Type::TIMESTAMPTZ),
            (&markets, Type::TEXT_ARRAY),
            (&ids, Type::TEXT_ARRAY),
            (&payloads, Type::TEXT_ARRAY),
            (&reasons, Type::TEXT_ARRAY),
        ],
    )?;
    let position = |row: &Row| {
        let (market, payload): (&str, &str) = (row.get(0), row.get(1));
        let key =
            |event: &Rejected| (event.scope.as_str(), &*event.payload).cmp(&(market, payload));
        rejected.binary_search_by(key).ok()
    };
    Ok(kept.iter().filter_map(position).collect())
}
