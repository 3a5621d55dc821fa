//! The layout of the table of trades: the columns of its key decide when a trade counts as stored already, and row
//! level security whether rows can be copied.

use std::borrow::Cow;

use postgres::Error;
use postgres::types::Type;

use super::transaction::Transaction;

/// The least number of rows that are copied. Fewer are stored as fast by the statement, in fewer round trips.
pub(super) const COPY_ROWS_MIN: usize = 2_000;

/// The key of the default layout, as the statements name it.
const KEY_DEFAULT: &str = "source, trade_id";

/// The columns that other keys have, and the beginning of a condition for a key with this column. Questions then name
/// the market or the time of each trade, so that the server looks into few partitions or asks one machine.
const CONDITIONS: [(&str, &str); 2] =
    [("market_ticker", "-- by market: "), ("traded_at", "-- by time: ")];

/// The beginning of a condition of a distributed table, in a statement that then has an inner join.
const DISTRIBUTED: &str = "-- distributed: ";

/// The columns of the primary key of a table, in order, null without such a table; whether row level security restricts
/// our role in this table or in that of the events; and whether Citus distributes the table.
const LOAD_LAYOUT: &str = "select string_agg(quote_ident(a.attname), ', ' order by k.place) as key,
        coalesce(
            bool_or(row_security_active(c.oid) or row_security_active('raw_kalshi_trade_events')), false
        ) as is_restricted,
        coalesce(bool_or(exists (
            select from pg_trigger t
            join pg_proc p on p.oid = t.tgfoid
            where t.tgrelid = c.oid and p.proname = 'citus_truncate_trigger'
        )), false) as is_distributed
    from pg_class c
    join pg_index i on i.indrelid = c.oid and i.indisprimary
    cross join unnest(i.indkey::smallint[]) with ordinality as k (attnum, place)
    join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
    where c.relname = $1 and pg_table_is_visible(c.oid)";

/// The key of a table of trades.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    key: String,
    /// Whether the server takes copies. It refuses them where row level security is active.
    takes_copies: bool,
    is_distributed: bool,
}

impl Layout {
    /// Asks the database for the key of a table.
    pub(super) fn of(transaction: &mut Transaction<'_>, table: &str) -> Result<Layout, Error> {
        let row = transaction.query_typed_one(LOAD_LAYOUT, &[(&table, Type::TEXT)])?;
        let key: Option<String> = row.get("key");
        Ok(Layout {
            key: key.unwrap_or_else(|| KEY_DEFAULT.to_owned()),
            takes_copies: !row.get::<_, bool>("is_restricted"),
            is_distributed: row.get("is_distributed"),
        })
    }

    /// Whether so many rows are copied.
    pub(super) fn copies(&self, rows: usize) -> bool {
        self.takes_copies && rows >= COPY_ROWS_MIN
    }

    /// The columns of the key, if they are not those of the default layout.
    pub(super) fn other_key(&self) -> Option<&str> {
        Some(&*self.key).filter(|key| *key != KEY_DEFAULT)
    }

    /// Whether Citus distributes the table.
    pub(super) fn is_distributed(&self) -> bool {
        self.is_distributed
    }

    /// The statement for this layout: with its key where the statement names that of the default layout, and with the
    /// conditions that stand in the file as comments for a layout `by market`, `by time` or `distributed`.
    pub(super) fn adapt<'s>(&self, sql: &'s str) -> Cow<'s, str> {
        if self.other_key().is_none() && !self.is_distributed {
            return Cow::Borrowed(sql);
        }
        let conflict = |key: &str| format!("on conflict ({key}) do nothing");
        let mut adapted = sql.replace(&conflict(KEY_DEFAULT), &conflict(&self.key));
        for (column, condition) in CONDITIONS {
            if self.key.split(", ").any(|part| part == column) {
                adapted = adapted.replace(condition, "");
            }
        }
        if self.is_distributed && adapted.contains(DISTRIBUTED) {
            adapted = adapted.replace(DISTRIBUTED, "").replace("left join", "join");
        }
        Cow::Owned(adapted)
    }

    /// Whether a statement reads otherwise in another layout.
    pub(super) fn matters_to(sql: &str) -> bool {
        sql.contains(DISTRIBUTED) || CONDITIONS.iter().any(|(_, condition)| sql.contains(condition))
    }
}

#[cfg(test)]
mod tests {
    use super::{KEY_DEFAULT, Layout};
    use crate::store::engine::sql;

    const MATCH: &str = sql!("postgres", "trades", "match_trades");
    const INSERT: &str = sql!("postgres", "trades", "insert_trades");

    fn layout(key: &str) -> Layout {
        Layout { key: key.to_owned(), takes_copies: true, is_distributed: false }
    }

    /// The lines of a statement that are no comments.
    fn code(sql: &str) -> Vec<&str> {
        sql.lines().map(str::trim).filter(|line| !line.starts_with("--")).collect()
    }

    #[test]
    fn the_default_layout_takes_the_statements_as_they_are() {
        for sql in [MATCH, INSERT] {
            assert_eq!(layout(KEY_DEFAULT).adapt(sql), sql);
        }
    }

    #[test]
    fn another_layout_has_its_key_and_its_conditions() {
        for (key, condition, other) in [
            (
                "source, market_ticker, trade_id",
                "and s.market_ticker = t.market_ticker",
                "and s.traded_at = t.traded_at",
            ),
            (
                "source, trade_id, traded_at",
                "and s.traded_at = t.traded_at",
                "and s.market_ticker = t.market_ticker",
            ),
        ] {
            let insert = layout(key).adapt(INSERT).into_owned();
            assert!(
                code(&insert).contains(&&*format!("on conflict ({key}) do nothing")),
                "{insert}"
            );
            let matching = layout(key).adapt(MATCH).into_owned();
            assert!(code(&matching).contains(&condition), "{matching}");
            assert!(!code(&matching).contains(&other), "{matching}");
        }
    }
    #[test]
    fn a_distributed_table_is_joined_where_its_rows_are() {
        let distributed = Layout { is_distributed: true, ..layout(KEY_DEFAULT) };
        let sql = distributed.adapt(MATCH).into_owned();
        let code = code(&sql);
        assert!(code.contains(&"join \"{target}\" s"), "{sql}");
        assert!(code.contains(&"or s.trade_id is not null"), "{sql}");
    }
}
