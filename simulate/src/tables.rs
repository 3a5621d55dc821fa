//! Contradictions within the tables, found by SQL.

use rusqlite::Connection;

/// A trade with two stored raw events that are no conflict, or an event that is in quarantine twice.
pub fn kept_twice(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let sql = "select coalesce(trade_id, payload) || ' is among the raw events twice' \
               from raw_kalshi_trade_events \
               group by market_ticker, rejected is null, \
               case when rejected is null then trade_id else payload end \
               having count(*) > 1 limit 1";
    first(connection, sql)
}

/// A market whose count of trades is not that of its stored trades.
pub fn miscounted(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let sql = "with stored as ( \
                   select source, market_ticker, count(*) as trades, max(traded_at) as last_trade_at \
                   from prediction_market_trades group by source, market_ticker) \
               select c.market_ticker || ' has another number of stored trades than its count says' \
               from trade_counts c \
               left join stored s on s.source = c.source and s.market_ticker = c.market_ticker \
               where (c.trades, c.last_trade_at) is not (coalesce(s.trades, 0), s.last_trade_at) \
               union all \
               select market_ticker || ' has stored trades and no count of them' \
               from stored s \
               where not exists ( \
                   select 1 from trade_counts c where c.source = s.source and c.market_ticker = s.market_ticker) \
               limit 1";
    first(connection, sql)
}

fn first(connection: &Connection, sql: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}
