//! A fresh database, and what is in it, read without the code under test.

use std::collections::HashSet;
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::kalshi::VENUE;
use kalshi_ingest::store::{DatabaseUrl, Missing, Store};
use postgres::{Client, NoTls, Row};
use tempfile::TempDir;

use super::counts;
use super::pooler::{Lent, Pooler};
use super::postgres::server;

/// Runs each named function as a test on SQLite and as one on PostgreSQL; `pooled:` before the names is for
/// those that ask what many small passes come to, and not how they are connected.
macro_rules! on_both_stores {
    (pooled: $($names:tt)+) => { on_both_stores! { by pooled: $($names)+ } };
    (by $postgres:ident: $($(#[$attribute:meta])* $name:ident),+ $(,)?) => {
        mod sqlite {
            use crate::support::database::Database;
            $(#[test] $(#[$attribute])* fn $name() { super::$name(&Database::sqlite()); })+
        }
        mod postgres {
            use crate::support::database::Database;
            $(#[test] $(#[$attribute])* fn $name() { super::$name(&Database::$postgres()); })+
        }
    };
    ($($names:tt)+) => { on_both_stores! { by postgres: $($names)+ } };
}
pub(crate) use on_both_stores;

/// One database without rows, gone with the value (SQLite) or with the test server. At the end of the test the counts
/// of trades must be right.
pub(crate) struct Database {
    pub(crate) url: String,
    /// The same without the pooler, where there is one.
    direct: Option<String>,
    /// The copy that has our tables already, unless it was cleared.
    migrated: Mutex<Option<String>>,
    /// A connection to this URL that was asked before: a new one costs the server more than most questions.
    asked: Mutex<Option<(String, Client)>>,
    /// Whether the test has written or deleted trades, which nobody counted.
    is_uncounted: AtomicBool,
    /// Where SQLite's file is; removed with the value.
    directory: TempDir,
}

/// The views that each step of the schema makes anew.
pub(crate) const VIEWS: [&str; 7] = [
    "trades",
    "markets",
    "orderbooks",
    "market_last_trade",
    "market_calibration",
    "candles_1m",
    "candles_1h",
];

/// A row of `prediction_market_trades`: id, market, side, price in 0.0001 cent, quantity in
/// 0.01 contract, microseconds, block flag.
pub(crate) type StoredTrade = (String, String, String, i64, i64, i64, Option<bool>);

impl Database {
    pub(crate) fn sqlite() -> Database {
        let directory = TempDir::new().unwrap();
        let url = format!("sqlite:{}", directory.path().join("kalshi.db").display());
        Database::new(url, directory)
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
        let url = server().copy(migrated);
        let mut database = Database::new(url.clone(), TempDir::new().unwrap());
        database.migrated = Mutex::new(Some(url));
        database
    }

    /// One that has our tables, by way of a pooler that lends sessions: most of the time of a small pass
    /// is what a new connection costs the server.
    pub(crate) fn pooled() -> Database {
        static POOLER: OnceLock<Pooler> = OnceLock::new();
        let mut database = Database::postgres();
        // Only our own server listens where the pooler looks for it.
        if std::env::var_os("TEST_DATABASE_URL").is_none() {
            let pooler = POOLER.get_or_init(|| Pooler::start(server(), 20, Lent::Session));
            let url = pooler.url(&name_of(&database.url));
            database.direct = Some(std::mem::replace(&mut database.url, url.clone()));
            database.migrated = Mutex::new(Some(url));
        }
        database
    }

    fn new(url: String, directory: TempDir) -> Database {
        let (migrated, asked) = (Mutex::default(), Mutex::default());
        Database {
            url,
            direct: None,
            migrated,
            asked,
            is_uncounted: AtomicBool::new(false),
            directory,
        }
    }

    /// Leaves it without any table.
    pub(crate) fn clear(&self) {
        if let Some(path) = self.sqlite_path() {
            assert!(!Path::new(path).exists(), "it was opened before");
            return;
        }
        assert!(self.direct.is_none(), "a pooler keeps its connections");
        let name = name_of(&self.url);
        *self.migrated.lock().unwrap() = None;
        *self.asked.lock().unwrap() = None;
        let mut client = Client::connect(&server().url("postgres"), NoTls).unwrap();
        client.batch_execute(&format!("drop database {name}")).unwrap();
        client.batch_execute(&format!("create database {name}")).unwrap();
    }

    /// Another empty one of the same kind.
    pub(crate) fn like(other: &Database) -> Database {
        match (other.sqlite_path(), &other.direct) {
            (Some(_), _) => Database::sqlite(),
            (None, Some(_)) => Database::pooled(),
            (None, None) => Database::postgres(),
        }
    }

    /// The store under test, migrated.
    pub(crate) fn open(&self) -> Box<dyn Store> {
        open(&self.url)
    }

    /// Leaves it with our tables. A new file of SQLite is a copy of one: migrating each would take longer than most passes.
    pub(crate) fn migrate(&self) {
        static MIGRATED: OnceLock<Vec<u8>> = OnceLock::new();
        if self.migrated.lock().unwrap().as_ref() == Some(&self.url) {
            return;
        }
        let is_new = |path: &&str| !Path::new(path).exists();
        let Some(path) = self.sqlite_path().filter(is_new) else { return drop(self.open()) };
        let file = MIGRATED.get_or_init(|| {
            let first = Database::sqlite();
            drop(first.open());
            let beside = fs::read_dir(first.directory.path()).unwrap().count();
            assert_eq!(beside, 1, "a log beside the file that is copied");
            fs::read(first.sqlite_path().unwrap()).unwrap()
        });
        fs::write(path, file).unwrap();
    }

    /// Whose statements take as long as they take, whatever the database's defaults.
    fn client(&self) -> Client {
        let url = self.direct.as_ref().unwrap_or(&self.url);
        let mut client = Client::connect(url, NoTls).unwrap();
        client.batch_execute("set statement_timeout = 0").unwrap();
        client
    }

    /// Asks by a connection that was asked before, if that is still there.
    fn ask(&self, query: &str) -> Vec<Row> {
        let mut asked = self.asked.lock().unwrap();
        if let Some((_, client)) = asked.as_mut().filter(|(url, _)| *url == self.url)
            && let Ok(rows) = client.query(query, &[])
        {
            return rows;
        }
        let (_, client) = asked.insert((self.url.clone(), self.client()));
        client.query(query, &[]).unwrap()
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
            let query = format!("select x::text from ({query}) as t");
            self.ask(&query).iter().map(|row| row.get(0)).collect()
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
        let touches = |verb| sql.contains(&format!("{verb} prediction_market_trades"));
        if touches("insert into") || touches("delete from") || sql.contains("set source") {
            self.is_uncounted.store(true, Ordering::Relaxed);
        }
        match self.sqlite_path() {
            Some(path) => rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap(),
            None => self.client().batch_execute(sql).unwrap(),
        }
    }

    /// The count of each market is that of its trades, also where the test has deleted some before.
    #[track_caller]
    pub(crate) fn assert_counted(&self) {
        self.is_uncounted.store(false, Ordering::Relaxed);
        let wrong = counts::of(self.direct.as_ref().unwrap_or(&self.url));
        let examples: Vec<&String> = wrong.iter().take(5).map(|(_, words)| words).collect();
        assert!(wrong.is_empty(), "{} counts are wrong, such as {examples:#?}", wrong.len());
    }

    /// Undoes the steps of the schema from 008 on, which are then to be applied again. What 008 heals stays healed.
    pub(crate) fn undo_steps_from_008(&self) {
        for view in VIEWS {
            self.execute(&format!("drop view {view}"));
        }
        self.execute("drop index orderbook_snapshots_market_time");
        for column in ["yes_label", "terms"] {
            self.execute(&format!("alter table prediction_markets drop column {column}"));
        }
        for column in [
            "limits_key",
            "limits_asked_at",
            "limits_told_at",
            "usage_tier",
            "read_rate",
            "limits_expire_at",
        ] {
            self.execute(&format!("alter table exchange_records drop column {column}"));
        }
        self.execute(
            "drop table market_changes; drop table trade_hours; drop table market_candles; drop table trade_counts;
             delete from kalshi_ingest_migrations where name >= '008'",
        );
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
            let query = "select trade_id, market_ticker, side, (price * 10000)::bigint, (quantity * 100)::bigint,
                                (extract(epoch from traded_at) * 1000000)::bigint, is_block_trade
                         from prediction_market_trades order by trade_id collate \"C\"";
            let rows = self.ask(query);
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

    /// Which trades are stored.
    pub(crate) fn trade_ids(&self) -> HashSet<String> {
        let ids = self.texts("select trade_id as x from prediction_market_trades");
        ids.into_iter().flatten().collect()
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
            .report(kalshi_ingest::store::Reported::All, Timestamp::from_seconds(0))
            .unwrap()
            .into_iter()
            .find(|report| report.checkpoint.scope.as_str() == market);
        checkpoints?.checkpoint.complete_until.map(Timestamp::second)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A test that fails says why itself.
        if !std::thread::panicking() && !self.is_uncounted.load(Ordering::Relaxed) {
            self.assert_counted();
        }
    }
}

/// What a database of a server is called.
fn name_of(url: &str) -> String {
    let mut client = Client::connect(url, NoTls).unwrap();
    client.query_one("select current_database()", &[]).unwrap().get(0)
}

fn open(url: &str) -> Box<dyn Store> {
    let url = DatabaseUrl::parse(url, &|_| None).unwrap();
    let mut store = url.open(Missing::Create, VENUE.source).unwrap();
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
