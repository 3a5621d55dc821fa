//! Stores the trades and the events of a commit in SQLite: one statement for each row, prepared once.

use rusqlite::types::ToSql;
use rusqlite::{CachedStatement, Connection, Row, Statement, params};

use crate::domain::batch::Commit;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::trade::{Price, Quantity, RawEvent, Rejected, Side, Trade};
use crate::store::engine::{Stored, TradeRow, sql};
use crate::store::handles::RunId;
use crate::store::replay::TRADES_TABLE;

/// Stores the trades and the events of a commit, inside the caller's transaction.
pub(super) fn store(
    connection: &Connection,
    source: &'static str,
    run: RunId,
    commit: &Commit,
) -> rusqlite::Result<Stored> {
    let now = commit.now().to_string();
    let mut stored = Stored::default();
    let mut table = Table::of(connection, TRADES_TABLE, source)?;
    let mut events = connection.prepare_cached(sql!("sqlite", "trades", "insert_events"))?;
    bind(&mut events, &[(1, &run), (2, &now)])?;
    let mut conflicting = Vec::new();
    for (position, row) in commit.rows().iter().enumerate() {
        let RawEvent { trade, payload } = &row.event;
        match table.insert(TradeRow { trade, run, ingested_at: commit.now() })? {
            Seen::New => {
                let (market, id) = (trade.market.as_str(), &*trade.trade_id);
                bind(&mut events, &[(3, &market), (4, &id), (5, &&**payload)])?;
                events.raw_execute()?;
                stored.inserted.push(position);
            }
            Seen::Again => {}
            Seen::Otherwise(other) => conflicting.extend(row.event.conflict_with(&other)),
        }
    }
    for event in commit.variants() {
        if let Some(Seen::Otherwise(other)) = table.look(&event.trade)? {
            conflicting.extend(event.conflict_with(&other));
        }
    }
    // PostgreSQL stores them in the same order, so that a replay reads the same events one after the other.
    conflicting.sort_by(|a, b| (&a.scope, &a.payload).cmp(&(&b.scope, &b.payload)));
    let kept = insert_rejected(connection, run, &now, &conflicting)?;
    stored.conflicting = kept.into_iter().map(|at| conflicting[at].clone()).collect();
    stored.rejected = insert_rejected(connection, run, &now, commit.rejected())?;
    Ok(stored)
}

/// Stores those of these trades that the table does not have. Returns their positions.
pub(super) fn add(
    connection: &Connection,
    source: &'static str,
    table: &str,
    rows: &[TradeRow<'_>],
) -> rusqlite::Result<Vec<usize>> {
    let mut table = Table::of(connection, table, source)?;
    let mut inserted = Vec::new();
    for (position, row) in rows.iter().enumerate() {
        if matches!(table.insert(*row)?, Seen::New) {
            inserted.push(position);
        }
    }
    Ok(inserted)
}

/// Binds values to parameters, counted from 1. They stay bound when the statement is executed.
fn bind(statement: &mut Statement<'_>, values: &[(usize, &dyn ToSql)]) -> rusqlite::Result<()> {
    values.iter().try_for_each(|(place, value)| statement.raw_bind_parameter(*place, value))
}

/// The state of a trade in the table.
enum Seen {
    New,
    Again,
    Otherwise(Trade),
}

/// A table of trades, with the statements that write it.
struct Table<'a> {
    source: &'static str,
    trades: CachedStatement<'a>,
    stored: CachedStatement<'a>,
    /// Whether the next trade is likely to be new. Trades come in series of new ones and of known ones, so the code
    /// first tries the case that the last trade was.
    expects_new: bool,
    /// The time of the trade in hand, as text.
    traded_at: String,
    /// The time of the last row, as text.
    ingested_at: (Option<Timestamp>, String),
}

impl<'a> Table<'a> {
    fn of(
        connection: &'a Connection,
        name: &str,
        source: &'static str,
    ) -> rusqlite::Result<Table<'a>> {
        let prepare = |sql: &str| connection.prepare_cached(&sql.replace("{target}", name));
        let mut trades = prepare(sql!("sqlite", "trades", "insert_trades"))?;
        bind(&mut trades, &[(1, &source)])?;
        Ok(Table {
            source,
            trades,
            stored: prepare(sql!("sqlite", "trades", "match_trades"))?,
            expects_new: true,
            traded_at: String::new(),
            ingested_at: (None, String::new()),
        })
    }

    /// Stores the trade, unless it is stored already.
    fn insert(&mut self, row: TradeRow<'_>) -> rusqlite::Result<Seen> {
        let TradeRow { trade, run, ingested_at } = row;
        if !self.expects_new
            && let Some(seen) = self.look(trade)?
        {
            return Ok(seen);
        }
        trade.traded_at.write_to(&mut self.traded_at);
        if self.ingested_at.0 != Some(ingested_at) {
            ingested_at.write_to(&mut self.ingested_at.1);
            self.ingested_at.0 = Some(ingested_at);
            bind(&mut self.trades, &[(10, &self.ingested_at.1)])?;
        }
        let values: [(usize, &dyn ToSql); 8] = [
            (2, &&*trade.trade_id),
            (3, &trade.market.as_str()),
            (4, &trade.side.as_str()),
            (5, &trade.price.e4_cents()),
            (6, &trade.quantity.e2()),
            (7, &self.traded_at),
            (8, &trade.is_block_trade),
            (9, &run),
        ];
        bind(&mut self.trades, &values)?;
        self.expects_new = self.trades.raw_execute()? > 0;
        if self.expects_new {
            return Ok(Seen::New);
        }
        Ok(self.look(trade)?.unwrap_or(Seen::Again))
    }

    /// The stored state of the trade; `None` if it is not stored.
    fn look(&mut self, trade: &Trade) -> rusqlite::Result<Option<Seen>> {
        trade.traded_at.write_to(&mut self.traded_at);
        let mut rows = self.stored.query(params![
            self.source,
            &*trade.trade_id,
            trade.market.as_str(),
            trade.side.as_str(),
            trade.price.e4_cents(),
            trade.quantity.e2(),
            self.traded_at,
        ])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        if row.get(0)? {
            return Ok(Some(Seen::Again));
        }
        Ok(Some(stored_trade(row)?.map_or(Seen::Again, Seen::Otherwise)))
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
