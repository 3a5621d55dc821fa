//! The counts of stored trades and the hours with trades, held against the trades themselves.

use std::path::Path;

use postgres::{Client, NoTls};
use rusqlite::{Connection, OpenFlags};

/// One row for each market whose count is not that of its trades. One statement: a pass may be at work.
const WRONG: &str = "with stored as (
        select source, market_ticker, count(*) as trades, max(traded_at) as last_trade_at
        from prediction_market_trades
        group by source, market_ticker
    )
    select coalesce(c.market_ticker, s.market_ticker) as market,
        coalesce(c.market_ticker, s.market_ticker) || ' of ' || coalesce(c.source, s.source)
            || ': ' || coalesce(c.trades, 0) || ' counted, ' || coalesce(s.trades, 0) || ' stored; the last '
            || coalesce(cast(c.last_trade_at as text), 'none') || ' counted, '
            || coalesce(cast(s.last_trade_at as text), 'none') || ' stored' as x
    from trade_counts c
    full join stored s on s.source = c.source and s.market_ticker = c.market_ticker
    where coalesce(c.trades, 0) <> coalesce(s.trades, 0) or c.last_trade_at is distinct from s.last_trade_at
    order by 1";

/// One row for each hour with trades that is not noted; `HOUR` is the dialect's own.
const UNNOTED: &str = "select t.market_ticker as market,
        t.market_ticker || ' of ' || t.source || ': the hour ' || cast(t.starts_at as text) || ' is not noted' as x
    from (select distinct market_ticker, source, HOUR as starts_at from prediction_market_trades) as t
    left join trade_hours h
        on h.market_ticker = t.market_ticker and h.source = t.source and h.starts_at = t.starts_at
    where h.source is null
    order by 1";
const HOUR_SQLITE: &str = "substr(traded_at, 1, 13) || ':00:00.000000Z'";
const HOUR_POSTGRES: &str = "date_trunc('hour', traded_at at time zone 'UTC') at time zone 'UTC'";

/// A market whose count is wrong, and the words for it.
pub(crate) type Wrong = (String, String);

/// The wrong counts in SQLite, and the hours that are not noted.
pub(crate) fn of_sqlite(connection: &Connection) -> Vec<Wrong> {
    let found = |sql: &str| -> Vec<Wrong> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    [found(WRONG), found(&UNNOTED.replace("HOUR", HOUR_SQLITE))].concat()
}

/// The wrong counts in PostgreSQL, and the hours that are not noted.
pub(crate) fn of_postgres(client: &mut Client) -> Vec<Wrong> {
    let mut found = |sql: &str| -> Vec<Wrong> {
        client.query(sql, &[]).unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    [found(WRONG), found(&UNNOTED.replace("HOUR", HOUR_POSTGRES))].concat()
}

/// The wrong counts in the database of this URL; none where there is no database (any more) or it has no counts.
pub(super) fn of(url: &str) -> Vec<Wrong> {
    let exists = "select count(*) as x from";
    if let Some(path) = url.strip_prefix("sqlite:") {
        if !Path::new(path).exists() {
            return Vec::new();
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let Ok(connection) = Connection::open_with_flags(path, flags) else { return Vec::new() };
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        let table = format!("{exists} sqlite_schema where name = 'trade_hours'");
        let is_there = connection.query_row(&table, [], |row| row.get::<_, i64>(0));
        return if is_there == Ok(1) { of_sqlite(&connection) } else { Vec::new() };
    }
    let Ok(mut client) = Client::connect(url, NoTls) else { return Vec::new() };
    let table = format!(
        "{exists} pg_class where oid = to_regclass('trade_hours') and has_table_privilege(oid, 'select')"
    );
    let is_there: i64 = client.query_one(&table, &[]).map_or(0, |row| row.get(0));
    if is_there == 1 { of_postgres(&mut client) } else { Vec::new() }
}
