//! SQLite: the embedded default. One file, no server.

mod opening;
mod transaction;
mod commit;
mod work;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, params};

use self::opening::Stamp;
use self::transaction::Transaction;
use self::work::OpenWork;
use super::Missing;
use super::engine::{Access, Engine, Work};
use super::handles::Lock;
use super::migrate::{self, Applied, Migration, migrations, pending};
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind};

const MIGRATIONS: &[Migration] = migrations!("sqlite");

/// Longer than any transaction of ours takes, so that overlapping passes queue up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// More than there are, so that each is compiled once: to compile one takes longer than most take to run.
const STATEMENTS_MAX: usize = 128;

/// Between two attempts to turn a file to WAL.
const WAL_NAP: Duration = Duration::from_millis(20);

/// A store in one file.
pub(super) struct SqliteStore {
    /// Missing in memory.
    path: Option<PathBuf>,
    source: &'static str,
    connection: Connection,
    /// Of a file that is read as one that nobody changes.
    stamp: Option<Stamp>,
}

/// An advisory lock on a file beside the database; the kernel drops it with the process.
struct FileLock(#[expect(dead_code, reason = "held, never read")] File);

impl Lock for FileLock {}

/// Nobody else can come to a database in memory.
struct NoLock;

impl Lock for NoLock {}

/// Names what was attempted and sorts the cause.
fn because(what: &str) -> impl Fn(rusqlite::Error) -> Failure + '_ {
    move |error| {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::CannotOpen) => {
                Kind::StoreUnavailable
            }
            _ => Kind::StoreRefused,
        };
        // Its cause is the same in other words.
        Failure::new(kind, format!("{what} failed in SQLite")).because(error.to_string())
    }
}

impl SqliteStore {
    pub(super) fn open(
        path: &Path,
        missing: Missing,
        source: &'static str,
    ) -> Result<SqliteStore, Failure> {
        let connection = opening::to_write(path, missing)?;
        Ok(SqliteStore { path: Some(path.to_owned()), ..SqliteStore::on(connection, source) })
    }

    /// To be read, by whoever may read the file; nothing is left behind.
    pub(super) fn open_to_read(path: &Path, source: &'static str) -> Result<SqliteStore, Failure> {
        let (connection, stamp) = opening::to_read(path)?;
        Ok(SqliteStore {
            path: Some(path.to_owned()),
            stamp,
            ..SqliteStore::on(connection, source)
        })
    }

    /// Gone with the value.
    pub(super) fn in_memory(source: &'static str) -> Result<SqliteStore, Failure> {
        let connection = Connection::open_in_memory().map_err(because("making a database"))?;
        Ok(SqliteStore::on(connection, source))
    }

    /// On a connection that is there.
    pub(super) fn on(connection: Connection, source: &'static str) -> SqliteStore {
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // Else a statement that compares or limits by a parameter is compiled anew whenever that is bound.
        // No plan of ours depends on a value. A build of SQLite that cannot do it is slower, no more.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
        SqliteStore { path: None, source, connection, stamp: None }
    }

    fn configure(connection: &Connection) -> rusqlite::Result<()> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // The page size counts only before the file has content.
        connection.pragma_update(None, "page_size", 8192)?;
        Self::use_wal(connection)?;
        // In WAL mode a power cut can undo the last transactions, each of them whole: rows and
        // checkpoint go back together, and the next pass reads them again.
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "wal_autocheckpoint", 8192)?;
        Ok(())
    }

    /// Turning a fresh file to WAL takes a lock for which SQLite does not wait, whatever the busy
    /// timeout: of several first passes at once the others have to ask again.
    fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
        let started = Instant::now();
        loop {
            match connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && started.elapsed() < BUSY_TIMEOUT =>
                {
                    std::thread::sleep(WAL_NAP);
                }
                answer => return answer,
            }
        }
    }

    fn applied(connection: &Connection) -> rusqlite::Result<Vec<Applied>> {
        let exists = connection.query_row(
            "select count(*) from sqlite_schema where name = 'kalshi_ingest_migrations'",
            [],
            |row| row.get::<_, i64>(0),
        )?;
        if exists == 0 {
            return Ok(Vec::new());
        }
        connection
            .prepare_cached("select name, checksum from kalshi_ingest_migrations order by name")?
            .query_map([], |row| Ok(Applied { name: row.get(0)?, checksum: row.get(1)? }))?
            .collect()
    }

    /// What was read of a file that nobody changes, unless somebody did: then it may be of two times,
    /// and it is to be opened and read again.
    fn unbroken<T>(&self, read: Result<T, Failure>) -> Result<T, Failure> {
        match &self.stamp {
            Some(stamp) if stamp.is_broken() => Err(Failure::new(
                Kind::StoreInterrupted,
                "the SQLite file was written to while it was read",
            )),
            _ => read,
        }
    }

    fn steps_applied(&self) -> Result<Vec<Applied>, Failure> {
        self.unbroken(Self::applied(&self.connection).map_err(because("looking at the schema")))
    }
}

impl Engine for SqliteStore {
    fn source(&self) -> &'static str {
        self.source
    }

    fn transact<T>(
        &mut self,
        what: &str,
        access: Access,
        work: impl FnOnce(&mut dyn Work) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match access {
            // Each statement is a transaction of its own.
            Access::Read | Access::Scan | Access::One => {
                let done =
                    work(&mut OpenWork { connection: &self.connection, what, source: self.source });
                self.unbroken(done)
            }
            Access::ReadAsOne => {
                let transaction = Transaction::to_read(&self.connection).map_err(because(what))?;
                let done =
                    work(&mut OpenWork { connection: &transaction, what, source: self.source });
                drop(transaction);
                self.unbroken(done)
            }
            // It is the only writer from its beginning on: what it compares with stays as it is.
            Access::Write | Access::WriteScan | Access::Alone(_) | Access::Commit => {
                let transaction = Transaction::to_write(&self.connection).map_err(because(what))?;
                let done =
                    work(&mut OpenWork { connection: &transaction, what, source: self.source })?;
                transaction.commit().map_err(because(what))?;
                Ok(done)
            }
        }
    }

    fn migrate(&mut self, now: Timestamp) -> Result<Vec<&'static str>, Failure> {
        let what = "migrating the schema";
        let applied = Self::applied(&self.connection).map_err(because(what))?;
        if pending(MIGRATIONS, &applied)?.is_empty() {
            return Ok(Vec::new());
        }
        let transaction = Transaction::to_write(&self.connection).map_err(because(what))?;
        // Again, now that nobody else can be at it.
        let applied = Self::applied(&transaction).map_err(because(what))?;
        let steps = pending(MIGRATIONS, &applied)?;
        transaction
            .execute_batch(
                "create table if not exists kalshi_ingest_migrations (
                    name text primary key, checksum text not null, applied_at text not null) strict",
            )
            .map_err(because(what))?;
        for step in steps {
            let what = format!("schema step {}", step.name);
            for script in step.scripts() {
                transaction.execute_batch(script).map_err(because(&what))?;
            }
            transaction
                .execute(
                    "insert into kalshi_ingest_migrations values (?1, ?2, ?3)",
                    params![step.name, step.checksum(), now.to_string()],
                )
                .map_err(because(&what))?;
        }
        transaction.commit().map_err(because(what))?;
        Ok(steps.iter().map(|step| step.name).collect())
    }

    fn check_schema(&mut self) -> Result<(), Failure> {
        let applied = self.steps_applied()?;
        let Some(next) = pending(MIGRATIONS, &applied)?.first() else { return Ok(()) };
        let owner = self.path.as_deref().map_or_else(|| "its owner".to_owned(), opening::owner);
        Err(migrate::behind(next, applied.is_empty(), "", &owner))
    }

    fn has_schema(&mut self) -> Result<bool, Failure> {
        self.steps_applied().map(|applied| !applied.is_empty())
    }

    fn reconnect(&mut self) -> Result<(), Failure> {
        // A file does not hang up; but one that was written to has to be looked at anew.
        if let (Some(path), Some(_)) = (&self.path, &self.stamp) {
            let (connection, stamp) = opening::to_read(path)?;
            let path = Some(path.clone());
            *self = SqliteStore { path, stamp, ..SqliteStore::on(connection, self.source) };
        }
        Ok(())
    }

    fn try_lock(&mut self, name: &str) -> Result<Option<Box<dyn Lock>>, Failure> {
        let Some(path) = &self.path else { return Ok(Some(Box::new(NoLock))) };
        let mut path = path.clone().into_os_string();
        path.push(format!(".{name}.lock"));
        let what = format!("locking {}", Path::new(&path).display());
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(
                |error| Failure::new(Kind::StoreUnavailable, what.clone()).because(error),
            )?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(FileLock(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(Failure::new(Kind::StoreUnavailable, what).because(error))
            }
        }
    }
}
