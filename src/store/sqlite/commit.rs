//! Stores the trades and the events of a commit in SQLite: one statement for each row, prepared once.

use rusqlite::{CachedStatement, Connection, Row, params};

use crate::domain::batch::Commit;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::trade::{Price, Quantity, RawEvent, Rejected, Side, Trade};
use crate::store::engine::{Stored, sql};
use crate::store::handles::RunId;

/// Stores the trades and the events of a commit, inside the caller's transaction.
pub(super) fn store(
    connection: &Connection,
    source: &'static str,
    run: RunId,
    commit: &Commit,
) -> rusqlite::Result<Stored> {
    let now = commit.now().to_string();
    let mut stored = Stored::default();
    let mut table = Table::of(connection, source)?;
    let mut conflicting = Vec::new();
    for (position, row) in commit.rows().iter().enumerate() {
        match table.insert(run, &now, &row.event)? {
            Seen::New => stored.inserted.push(position),
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
    // PostgreSQL stores them in the same order, so that a replay reads the same events one after the other.
    conflicting.sort_by(|a, b| (&a.scope, &a.payload).cmp(&(&b.scope, &b.payload)));
    let kept = insert_rejected(connection, run, &now, &conflicting)?;
    stored.conflicting = kept.into_iter().map(|at| conflicting[at].clone()).collect();
    stored.rejected = insert_rejected(connection, run, &now, commit.rejected())?;
    Ok(stored)
}

/// The state of a trade in the table.
enum Seen {
    New,
    Again,
    Otherwise(Rejected),
}

/// The table of trades, with the statements that write it.
struct Table<'a> {
    source: &'static str,
    trades: CachedStatement<'a>,
    events: CachedStatement<'a>,
    stored: CachedStatement<'a>,
    /// Whether the next trade is likely to be new. Trades come in series of new ones and of known ones, so the code
    /// first tries the case that the last trade was.
    expects_new: bool,
}

impl<'a> Table<'a> {
    fn of(connection: &'a Connection, source: &'static str) -> rusqlite::Result<Table<'a>> {
        let prepare = |sql| connection.prepare_cached(sql);
        Ok(Table {
            source,
            trades: prepare(sql!("sqlite", "trades", "insert_trades"))?,
            events: prepare(sql!("sqlite", "trades", "insert_events"))?,
            stored: prepare(sql!("sqlite", "trades", "match_trades"))?,
            expects_new: true,
        })
    }

    /// Stores the trade and its event, unless the trade is stored already.
    fn insert(&mut self, run: i64, now: &str, event: &RawEvent) -> rusqlite::Result<Seen> {
        let trade = &event.trade;
        let at = trade.traded_at.to_string();
        if !self.expects_new
            && let Some(seen) = self.look(event, &at)?
        {
            return Ok(seen);
        }
        let (id, market) = (&*trade.trade_id, trade.market.as_str());
        let stored = self.trades.execute(params![
            self.source,
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

    /// The stored state of the trade, which happened at `at`; `None` if it is not stored.
    fn look(&mut self, event: &RawEvent, at: &str) -> rusqlite::Result<Option<Seen>> {
        let trade = &event.trade;
        let mut rows = self.stored.query(params![
            self.source,
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
        let conflict = stored_trade(row)?.and_then(|stored| event.conflict_with(&stored));
        Ok(Some(conflict.map_or(Seen::Again, Seen::Otherwise)))
    }
}

/// A trade of `match_trades`; `None` if a stored value is not possible for a trade.
fn stored_trade(row: &Row<'_>) -> rusqlite::Result<Option<Trade>> {
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

/// Returns the positions of the events that were not stored before.
fn insert_rejected(
    connection: &Connection,
    run: i64,
    now: &str,
    events: &[Rejected],
) -> rusqlite::Result<Vec<usize>> {
    let mut statement = connection.prepare_cached(sql!("sqlite", "trades", "insert_rejected"))?;
    let mut kept = Vec::new();
    for (position, event) in events.iter().enumerate() {
        let (market, id) = (event.scope.as_str(), event.trade_id.as_deref());
        if statement.execute(params![run, now, market, id, &*event.payload, event.reason])? > 0 {
            kept.push(position);
        }
    }
    Ok(kept)
}
