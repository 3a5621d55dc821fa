//! Where trades end up: one contract, two databases.

mod catalogue;
mod contract;
mod exchange;
mod history;
mod migrate;
mod oversight;
mod postgres;
mod sqlite;

use std::path::PathBuf;

pub use catalogue::Catalogue;
pub use contract::{Lock, MarketReport, RunId, RunRecord, Store};
pub use exchange::{ExchangeKey, Exchanges};
pub use history::{Difference, History, RawEvent, ReplayPlace, Replayed, TRADES_TABLE};
pub use oversight::Oversight;

use crate::failure::Failure;

/// Which database, as the user named it. Prints without its password.
#[derive(Clone)]
pub struct DatabaseUrl(Location);

#[derive(Clone)]
enum Location {
    Sqlite(PathBuf),
    Postgres(Box<postgres::Target>),
}

/// What to do when an embedded database does not exist yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Make it: the first pass does.
    Create,
    /// Say so: a question to a database that is not there is a wrong path.
    Refuse,
}

impl DatabaseUrl {
    /// Reads `sqlite:PATH`, `postgres://…` or libpq's `key=value` form, which the environment and
    /// its files complete; no database is opened. Errors never repeat the URL.
    pub fn parse(
        url: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<DatabaseUrl, Failure> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path == ":memory:" {
                return Err(Failure::config(
                    "the database URL names no file; write it like sqlite:kalshi.db",
                ));
            }
            return Ok(DatabaseUrl(Location::Sqlite(PathBuf::from(path))));
        }
        if postgres::is_meant(url) {
            return postgres::Target::parse(url, environment)
                .map(|target| DatabaseUrl(Location::Postgres(Box::new(target))));
        }
        Err(Failure::config(
            "the database URL begins with neither sqlite: nor postgres://; write it like \
             sqlite:kalshi.db, postgres://user@host/database or host=… user=… dbname=…",
        ))
    }

    /// Opens the database.
    pub fn open(&self, missing: Missing) -> Result<Box<dyn Store>, Failure> {
        match &self.0 {
            Location::Sqlite(path) => Ok(Box::new(sqlite::SqliteStore::open(path, missing)?)),
            Location::Postgres(target) => Ok(Box::new(postgres::PostgresStore::connect(target)?)),
        }
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Location::Sqlite(path) => write!(f, "SQLite file {}", path.display()),
            Location::Postgres(target) => write!(f, "PostgreSQL at {}", target.place()),
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
