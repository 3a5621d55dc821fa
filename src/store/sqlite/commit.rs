//! What a commit writes in SQLite: one statement a row, prepared once.

use rusqlite::{CachedStatement, Row, params};

use super::history;
use super::rows::text;
use super::transaction::Transaction;
use crate::domain::batch::{Commit, Receipt};
use crate::domain::time::Timestamp;
use crate::domain::trade::{Event, Price, Quantity, Rejected, SOURCE, Side, Ticker, Trade};

/// Everything a commit writes, inside the caller's transaction.
pub(super) fn write(
    transaction: &Transaction<'_>,
    run: i64,
    commit: &Commit,
) -> rusqlite::Result<Receipt> {
    let now = commit.now().to_string();
    let mut receipt = Receipt::default();
    let mut table = Table::of(transaction)?;
    let mut conflicting = Vec::new();
    for (position, row) in commit.rows().iter().enumerate() {
        match table.insert(run, &now, &row.event)? {
            Seen::New => receipt.inserted.push(position),
            Seen::Again => {}
            Seen::Otherwise(rejected) => conflicting.push(rejected),
        }
    }
    for event in commit.variants() {
        if let Some(Seen::Otherwise(rejected)) =
            table.look(event, &event.trade.traded_at.to_string())?
        {
            conflicting.push(rejected);
        }
    }
    // In the order in which PostgreSQL keeps them, so that a replay meets the same events in turn.
    conflicting.sort_by(|a, b| (&a.market, &a.payload).cmp(&(&b.market, &b.payload)));
    let kept = insert_rejected(transaction, run, &now, &conflicting)?;
    receipt.conflicting = kept.into_iter().map(|at| conflicting[at].clone()).collect();
    receipt.rejected = insert_rejected(transaction, run, &now, commit.rejected())?;
    advance(transaction, run, commit, &now, &mut receipt)?;
    if !commit.slices().is_empty() {
        history::advance(transaction, commit, &now, &receipt.inserted)?;
    }
    if commit.offered() + receipt.rejected.len() > 0 {
        let [ingested, duplicate, rejected, conflicting] =
            commit.counts(&receipt).map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let sql = include_str!("../../../sql/sqlite/tally_run.sql");
        let counts = params![run, ingested, duplicate, rejected, conflicting];
        transaction.prepare_cached(sql)?.execute(counts)?;
    }
    Ok(receipt)
}

/// What a trade was to the table.
enum Seen {
    New,
    Again,
    Otherwise(Rejected),
}

/// The table of trades, with the statements that write it.
struct Table<'a> {
    trades: CachedStatement<'a>,
    events: CachedStatement<'a>,
    stored: CachedStatement<'a>,
    /// Trades come in runs of new ones and of known ones: what is tried first is what the last one was.
    expects_new: bool,
}

impl<'a> Table<'a> {
    fn of(transaction: &'a Transaction<'_>) -> rusqlite::Result<Table<'a>> {
        let prepare = |sql| transaction.prepare_cached(sql);
        Ok(Table {
            trades: prepare(include_str!("../../../sql/sqlite/insert_trades.sql"))?,
            events: prepare(include_str!("../../../sql/sqlite/insert_events.sql"))?,
            stored: prepare(include_str!("../../../sql/sqlite/match_trades.sql"))?,
            expects_new: true,
        })
    }

    /// Stores the trade and its event, unless it is stored.
    fn insert(&mut self, run: i64, now: &str, event: &Event) -> rusqlite::Result<Seen> {
        let trade = &event.trade;
        let at = trade.traded_at.to_string();
        if !self.expects_new
            && let Some(seen) = self.look(event, &at)?
        {
            return Ok(seen);
        }
        let (id, market) = (&*trade.trade_id, trade.market.as_str());
        let stored = self.trades.execute(params![
            SOURCE,
            id,
            market,
            trade.side.as_str(),
            trade.price.e4_cents(),
            trade.quantity.e2(),
            at,
            trade.is_block_trade,
            run,
            now,
        ])?;
        self.expects_new = stored > 0;
        if stored > 0 {
            self.events.execute(params![run, now, market, id, &*event.payload])?;
            return Ok(Seen::New);
        }
        Ok(self.look(event, &at)?.unwrap_or(Seen::Again))
    }

    /// How the trade, which happened `at`, is stored; `None` if it is not.
    fn look(&mut self, event: &Event, at: &str) -> rusqlite::Result<Option<Seen>> {
        let trade = &event.trade;
        let mut rows = self.stored.query(params![
            SOURCE,
            &*trade.trade_id,
            trade.market.as_str(),
            trade.side.as_str(),
            trade.price.e4_cents(),
            trade.quantity.e2(),
            at,
        ])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        if row.get(0)? {
            return Ok(Some(Seen::Again));
        }
        let conflict = stored(row)?.and_then(|stored| event.conflict_with(&stored));
        Ok(Some(conflict.map_or(Seen::Again, Seen::Otherwise)))
    }
}

/// A trade of `match_trades`; `None` if somebody stored one that cannot be.
fn stored(row: &Row<'_>) -> rusqlite::Result<Option<Trade>> {
    let (id, market, side): (String, String, String) =
        (row.get("trade_id")?, row.get("market_ticker")?, row.get("side")?);
    let (price, quantity): (i64, i64) = (row.get("price_e4")?, row.get("quantity_e2")?);
    let at: String = row.get("traded_at")?;
    Ok(Ticker::new(&market).and_then(|market| {
        Some(Trade {
            trade_id: id.into(),
            market,
            side: if side == Side::Yes.as_str() { Side::Yes } else { Side::No },
            price: Price::from_e4_cents(price)?,
            quantity: Quantity::from_e2(quantity)?,
            traded_at: Timestamp::parse_rfc3339(&at)?,
            is_block_trade: None,
        })
    }))
}

/// Answers with the positions of the events that were not kept before.
fn insert_rejected(
    transaction: &Transaction<'_>,
    run: i64,
    now: &str,
    events: &[Rejected],
) -> rusqlite::Result<Vec<usize>> {
    let mut statement =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/insert_rejected.sql"))?;
    let mut kept = Vec::new();
    for (position, event) in events.iter().enumerate() {
        let (market, id) = (event.market.as_str(), event.trade_id.as_deref());
        if statement.execute(params![run, now, market, id, &*event.payload, event.reason])? > 0 {
            kept.push(position);
        }
    }
    Ok(kept)
}

fn advance(
    transaction: &Transaction<'_>,
    run: i64,
    commit: &Commit,
    now: &str,
    receipt: &mut Receipt,
) -> rusqlite::Result<()> {
    let mut statement =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/advance_checkpoints.sql"))?;
    let mut corrections =
        transaction.prepare_cached(include_str!("../../../sql/sqlite/insert_corrections.sql"))?;
    for update in commit.checkpoints() {
        let next = update.next();
        let walk = next.walk.as_ref();
        let moved = statement.execute(params![
            SOURCE,
            next.market.as_str(),
            update.expected_version(),
            text(next.complete_from),
            text(next.complete_until),
            text(next.last_trade_at),
            text(next.last_success_at),
            text(walk.and_then(|walk| walk.window.from())),
            text(walk.map(|walk| walk.window.until())),
            walk.and_then(|walk| walk.cursor.as_deref()),
            text(walk.and_then(|walk| walk.low)),
            next.failures,
            next.last_error,
            text(next.retired_at),
            now,
            text(next.checked_until),
            text(next.anchor.as_ref().map(|anchor| anchor.at)),
            next.anchor.as_ref().and_then(|anchor| anchor.id.as_deref()),
            text(next.quiet.map(|quiet| quiet.until)),
            next.quiet.map(|quiet| quiet.run),
            text(next.carried_until),
            text(walk.and_then(|walk| Some(walk.anchor.as_ref()?.at))),
            walk.and_then(|walk| walk.anchor.as_ref()?.id.as_deref()),
            text(next.level_at),
            next.left.map(|left| left.span.as_secs_f64()),
            update.is_lowered(),
            text(next.left.map(|left| left.since)),
            text(next.footing),
        ])?;
        if moved == 0 {
            receipt.overtaken.push(next.market.clone());
            continue;
        }
        for row in update.corrections() {
            let (market, claim) = (next.market.as_str(), row.claim.as_str());
            let (claimed, proven) = (row.claimed.to_string(), text(row.proven));
            corrections
                .execute(params![SOURCE, market, claim, claimed, proven, row.reason, run, now])?;
        }
    }
    Ok(())
}
