//! The stores of trades: one contract, two databases.

mod handles;
mod contract;
mod migrate;
mod views;
mod value;
mod rows;
mod engine;
mod watches;
mod markets;
mod books;
mod candles;
mod checkpoints;
mod slices;
mod counts;
mod trades;
mod scores;
mod runs;
mod replay;
mod exchange;
mod overview;
mod cells;
mod exports;
mod postgres;
mod sqlite;

use std::path::PathBuf;

pub use books::Books;
pub use candles::Candles;
pub use checkpoints::{Checkpoints, MarketReport, Reported};
pub use contract::Store;
pub use counts::Counts;
pub use exchange::{ExchangeKey, Exchanges};
pub use exports::{Exports, Snapshot};
pub use handles::{Lock, RunId};
pub use markets::Markets;
pub use overview::Overviews;
pub use replay::{
    Difference, Pruned, ReplayCursor, Replayed, Replays, StoredRawEvent, TRADES_TABLE,
};
pub use runs::{RunRecord, Runs};
pub use scores::Scores;
pub use slices::Slices;
pub use trades::Trades;
pub use watches::Watches;

use crate::failure::Failure;

/// The database, as the user named it. Its text form hides the password.
#[derive(Clone)]
pub struct DatabaseUrl(Location);

#[derive(Clone)]
enum Location {
    Sqlite(PathBuf),
    Postgres(Box<postgres::Target>),
}

/// The reaction to an embedded database that does not exist yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Create it, as the first pass does.
    Create,
    /// Report an error: for a question to a database, a missing file means a wrong path.
    Refuse,
}

impl DatabaseUrl {
    /// Reads `sqlite:PATH`, `postgres://…` or libpq's `key=value` form, which the environment and its files complete.
    /// It opens no database. Errors never repeat the URL.
    ///
    /// A mounted or pasted secret often ends with a line break, which is removed.
    pub fn parse(
        url: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<DatabaseUrl, Failure> {
        let url = url.trim();
        if let Some(path) = url.strip_prefix("sqlite:") {
            check_path(path)?;
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(DatabaseUrl(Location::Sqlite(PathBuf::from(path))));
        }
        if postgres::is_meant(url) {
            // Any blank may stand between libpq's keys.
            if url.contains(|letter: char| letter.is_control() && !letter.is_whitespace())
                || (url.contains("://") && url.contains(char::is_control))
            {
                return Err(Failure::config(CONTROL));
            }
            return postgres::Target::parse(url, environment)
                .map(|target| DatabaseUrl(Location::Postgres(Box::new(target))));
        }
        Err(Failure::config(
            "the database URL begins with neither sqlite: nor postgres://; write it like \
             sqlite:kalshi.db, postgres://user@host/database or host=… user=… dbname=…",
        ))
    }

    /// Opens the database for the rows of one venue: the rows with this value in the `source` column.
    pub fn open(&self, missing: Missing, source: &'static str) -> Result<Box<dyn Store>, Failure> {
        match &self.0 {
            Location::Sqlite(path) => {
                Ok(Box::new(sqlite::SqliteStore::open(path, missing, source)?))
            }
            Location::Postgres(target) => {
                Ok(Box::new(postgres::PostgresStore::connect(target, source)?))
            }
        }
    }

    /// Opens the database for reading: the right to read is enough, and no files are left behind. The schema may be of
    /// another build: see [`Store::check_schema`].
    pub fn open_to_read(&self, source: &'static str) -> Result<Box<dyn Store>, Failure> {
        match &self.0 {
            Location::Sqlite(path) => {
                Ok(Box::new(sqlite::SqliteStore::open_to_read(path, source)?))
            }
            Location::Postgres(target) => {
                Ok(Box::new(postgres::PostgresStore::connect(target, source)?))
            }
        }
    }

    /// Whether the database is a file that does not exist yet.
    pub fn is_missing(&self) -> bool {
        matches!(&self.0, Location::Sqlite(path) if !path.exists())
    }
}

const CONTROL: &str =
    "the database URL has a line break or another control character in it; take it out";

/// Rejects a path that SQLite does not read as the name of a file: it would silently make a file of an odd name, or a
/// database that is lost at the end of the pass.
fn check_path(path: &str) -> Result<(), Failure> {
    let advice = "write it like sqlite:kalshi.db or sqlite:/var/lib/kalshi/kalshi.db";
    let wrong = |what: &str| Err(Failure::config(format!("the database URL {what}; {advice}")));
    let name = path.strip_prefix("//").unwrap_or(path);
    if path.contains(char::is_control) {
        return Err(Failure::config(CONTROL));
    }
    if name.is_empty() {
        return wrong("names no file");
    }
    let lower = name.to_ascii_lowercase();
    if lower.contains(":memory:") || lower.contains("mode=memory") {
        return wrong("names no file but a database in memory, which would be gone after the pass");
    }
    if lower.starts_with("file:") {
        return wrong("names a URI of SQLite, and not a file");
    }
    if name.contains('?') {
        return wrong("has parameters after a ?, which SQLite files do not take here");
    }
    if name.starts_with(char::is_whitespace) {
        return wrong("has a blank before the name of the file");
    }
    Ok(())
}

/// Makes a store in memory, which is lost with the value. Only tests use it: no URL names it.
pub fn in_memory(source: &'static str) -> Result<Box<dyn Store>, Failure> {
    Ok(Box::new(sqlite::SqliteStore::in_memory(source)?))
}

/// Makes a store on an open connection that the caller set up, such as one of several to a database in memory. It
/// knows no file, so a caller that needs locks between such stores provides them.
pub fn on_sqlite(connection: rusqlite::Connection, source: &'static str) -> Box<dyn Store> {
    Box::new(sqlite::SqliteStore::on(connection, source))
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Location::Sqlite(path) => write!(f, "SQLite file {}", path.display()),
            Location::Postgres(target) => write!(f, "PostgreSQL at {target}"),
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::one_line;

    fn place(url: &str) -> Result<String, String> {
        DatabaseUrl::parse(url, &|_| None).map(|url| url.to_string()).map_err(|e| one_line(&e))
    }

    #[test]
    fn blanks_around_a_url_belong_to_nobody() {
        for url in ["sqlite:a.db\n", "\tsqlite:a.db\r\n", " sqlite:a.db ", "sqlite:a.db\n\n"] {
            assert_eq!(place(url).unwrap(), "SQLite file a.db", "{url:?}");
        }
        assert_eq!(place("postgres://me@h/d\n").unwrap(), "PostgreSQL at h:5432/d");
        assert_eq!(place("host=h\nuser=me dbname=d\n").unwrap(), "PostgreSQL at h:5432/d");
    }

    #[test]
    fn control_characters_inside_are_refused() {
        for url in [
            "sqlite:a\n.db",
            "sqlite:\na.db",
            "sqlite:a.db\0",
            "sqlite:a\t.db",
            "postgres://me@h\n/d",
            "postgres://me:hunter2\r@h/d",
            "host=h user=me\u{7} dbname=d",
        ] {
            let error = place(url).unwrap_err();
            assert!(error.contains("control character"), "{url:?}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn only_the_name_of_a_file_names_a_file() {
        for url in [
            "sqlite:",
            "sqlite://",
            "sqlite: ",
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite::MEMORY:",
            "sqlite:file::memory:?cache=shared",
            "sqlite:file:x?mode=memory",
            "sqlite:x?mode=memory&cache=shared",
            "sqlite:file:x",
            "sqlite://file:x",
            "sqlite:FILE:x",
            "sqlite:file:///var/x.db",
            "sqlite:x.db?mode=ro",
            "sqlite:x?",
            "sqlite: x.db",
        ] {
            let error = place(url).unwrap_err();
            assert!(error.contains("write it like sqlite:kalshi.db"), "{url:?}: {error}");
        }
        for (url, path) in [
            ("sqlite:kalshi.db", "kalshi.db"),
            ("sqlite:///var/lib/k.db", "/var/lib/k.db"),
            ("sqlite://k.db", "k.db"),
            ("sqlite:my file.db", "my file.db"),
            ("sqlite:./file:x.db", "./file:x.db"),
        ] {
            assert_eq!(place(url).unwrap(), format!("SQLite file {path}"));
        }
    }

    #[test]
    fn a_store_in_memory_is_a_store() {
        let mut store = in_memory("kalshi").unwrap();
        assert!(!store.has_schema().unwrap());
        store.migrate(crate::domain::time::Timestamp::from_seconds(0)).unwrap();
        store.check_schema().unwrap();
        assert!(store.try_lock("run").unwrap().is_some());
    }
}
