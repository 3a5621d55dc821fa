//! A fresh database, and what is in it, read without the code under test.

use std::fmt::Debug;
use std::path::Path;
use std::sync::OnceLock;

use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::store::{DatabaseUrl, Missing, Store};
use postgres::{Client, NoTls};
use tempfile::TempDir;

use super::postgres::server;

/// Runs each named function as a test on SQLite and as one on PostgreSQL.
macro_rules! on_both_stores {
    ($($(#[$attribute:meta])* $name:ident),+ $(,)?) => {
        mod sqlite {
            use crate::support::database::Database;
            $(#[test] $(#[$attribute])* fn $name() { super::$name(&Database::sqlite()); })+
        }
        mod postgres {
            use crate::support::database::Database;
            $(#[test] $(#[$attribute])* fn $name() { super::$name(&Database::postgres()); })+
        }
    };
}
pub(crate) use on_both_stores;

/// One database without rows, gone with the value (SQLite) or with the test server.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
    /// Where SQLite's file is; removed with the value.
    _directory: TempDir,
}

/// A row of `prediction_market_trades`: id, market, side, price in 0.0001 cent, quantity in
/// 0.01 contract, microseconds, block flag.
pub(crate) type StoredTrade = (String, String, String, i64, i64, i64, Option<bool>);

impl Database {
    pub(crate) fn sqlite() -> Database {
        let directory = TempDir::new().unwrap();
        let url = format!("sqlite:{}", directory.path().join("kalshi.db").display());
        Database { url, _directory: directory }
    }

    /// One that has our tables.
    pub(crate) fn postgres() -> Database {
        // A copy of one: migrating each would take most of the time of most tests.
        static MIGRATED: OnceLock<String> = OnceLock::new();
        let migrated = MIGRATED.get_or_init(|| {
            let url = server().create_database();
            drop(open(&url));
            name_of(&url)
        });
        Database { url: server().copy(migrated), _directory: TempDir::new().unwrap() }
    }

    /// Leaves it without any table.
    pub(crate) fn clear(&self) {
        if let Some(path) = self.sqlite_path() {
            assert!(!Path::new(path).exists(), "it was opened before");
            return;
        }
        let name = name_of(&self.url);
        let mut client = Client::connect(&server().url("postgres"), NoTls).unwrap();
        client.batch_execute(&format!("drop database {name}")).unwrap();
        client.batch_execute(&format!("create database {name}")).unwrap();
    }

    /// Another empty one of the same kind.
    pub(crate) fn like(other: &Database) -> Database {
        if other.sqlite_path().is_some() { Database::sqlite() } else { Database::postgres() }
    }

    /// The store under test, migrated.
    pub(crate) fn open(&self) -> Box<dyn Store> {
        open(&self.url)
    }

    /// Whose statements take as long as they take, whatever the database's defaults.
    fn client(&self) -> Client {
        let mut client = Client::connect(&self.url, NoTls).unwrap();
        client.batch_execute("set statement_timeout = 0").unwrap();
        client
    }

    fn sqlite_path(&self) -> Option<&str> {
        self.url.strip_prefix("sqlite:")
    }

    /// The first column of every row, as text. The query must suit both dialects.
    pub(crate) fn texts(&self, query: &str) -> Vec<Option<String>> {
        if let Some(path) = self.sqlite_path() {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
            let query = format!("select cast(x as text) from ({query})");
            let mut statement = connection.prepare(&query).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        } else {
            let mut client = self.client();
            let query = format!("select x::text from ({query}) as t");
            client.query(&query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
        }
    }

    /// The one number that `query` answers with, in a column called `x`.
    pub(crate) fn number(&self, query: &str) -> i64 {
        let texts = self.texts(query);
        let [Some(text)] = &texts[..] else { panic!("{query}: {texts:?}") };
        text.parse().unwrap()
    }

    /// Changes the database behind the program's back.
    pub(crate) fn execute(&self, sql: &str) {
        match self.sqlite_path() {
            Some(path) => rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap(),
            None => self.client().batch_execute(sql).unwrap(),
        }
    }

    /// Every normalized trade, by id.
    pub(crate) fn trades(&self) -> Vec<StoredTrade> {
        if let Some(path) = self.sqlite_path() {
            let connection = rusqlite::Connection::open(path).unwrap();
            let query = "select trade_id, market_ticker, side, price_e4, quantity_e2, traded_at, is_block_trade
                         from prediction_market_trades order by trade_id";
            let mut statement = connection.prepare(query).unwrap();
            let rows = statement.query_map([], |row| {
                let at: String = row.get(5)?;
                let at = Timestamp::parse_rfc3339(&at).unwrap().micros();
                let block: Option<bool> = row.get(6)?;
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, at, block))
            });
            rows.unwrap().map(Result::unwrap).collect()
        } else {
            let mut client = self.client();
            let query = "select trade_id, market_ticker, side, (price * 10000)::bigint, (quantity * 100)::bigint,
                                (extract(epoch from traded_at) * 1000000)::bigint, is_block_trade
                         from prediction_market_trades order by trade_id collate \"C\"";
            let rows = client.query(query, &[]).unwrap();
            rows.iter()
                .map(|row| {
                    (
                        row.get(0),
                        row.get(1),
                        row.get(2),
                        row.get(3),
                        row.get(4),
                        row.get(5),
                        row.get(6),
                    )
                })
                .collect()
        }
    }

    /// Raw events that became trades, and raw events that were refused.
    pub(crate) fn raw_counts(&self) -> (i64, i64) {
        let count = |condition: &str| {
            self.number(&format!(
                "select count(*) as x from raw_kalshi_trade_events where rejected is {condition}"
            ))
        };
        (count("null"), count("not null"))
    }

    /// `complete_until` of a market, in Unix seconds.
    pub(crate) fn complete_until(&self, market: &str) -> Option<i64> {
        let checkpoints = self
            .open()
            .report(Timestamp::from_seconds(0))
            .unwrap()
            .into_iter()
            .find(|report| report.checkpoint.market.as_str() == market);
        checkpoints?.checkpoint.complete_until.map(Timestamp::second)
    }
}

/// What a database of a server is called.
fn name_of(url: &str) -> String {
    let mut client = Client::connect(url, NoTls).unwrap();
    client.query_one("select current_database()", &[]).unwrap().get(0)
}

fn open(url: &str) -> Box<dyn Store> {
    let url = DatabaseUrl::parse(url, &|_| None).unwrap();
    let mut store = url.open(Missing::Create).unwrap();
    store.migrate(Timestamp::from_seconds(0)).unwrap();
    store
}

/// Compares row by row, so that a failure names the first difference and not thousands of rows.
#[track_caller]
pub(crate) fn assert_rows<T: PartialEq + Debug>(stored: &[T], expected: &[T], why: &str) {
    if let Some(at) =
        (0..stored.len().max(expected.len())).find(|at| stored.get(*at) != expected.get(*at))
    {
        panic!(
            "{why}: row {at} of {} stored, {} expected: stored {:?}, expected {:?}",
            stored.len(),
            expected.len(),
            stored.get(at),
            expected.get(at),
        );
    }
}
