//! SQLite: the embedded default. One file, no server.

mod opening;
mod transaction;
mod views;
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

/// The wait for another writer: longer than any transaction of ours, so that overlapping passes wait in turn.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The size of the statement cache, larger than the number of statements, so that each is compiled once. Compiling a
/// statement takes longer than most of them run.
const STATEMENTS_MAX: usize = 128;

/// The most memory that SQLite uses for pages, in KiB.
const CACHE_KIB: i32 = 8_000;

/// A lock counts as held if this many attempts found it so. A process that the holder just started has a copy of the
/// open lock file until it runs its program, so a lock may outlive its holder for a moment.
const LOCK_ATTEMPTS_MAX: u32 = 10;

/// The pause between two attempts to take a lock.
const LOCK_NAP: Duration = Duration::from_millis(10);

/// The pause between two attempts to switch a file to WAL.
const WAL_NAP: Duration = Duration::from_millis(20);

/// A store in one file.
pub(super) struct SqliteStore {
    /// The path; `None` for a database in memory.
    path: Option<PathBuf>,
    source: &'static str,
    connection: Connection,
    /// The stamp of a file that is read as immutable.
    stamp: Option<Stamp>,
}

/// An advisory lock on a file beside the database; the kernel releases it with the process.
struct FileLock(#[expect(dead_code, reason = "held, never read")] File);

impl Lock for FileLock {}

/// A database in memory needs no lock: no other process can open it.
struct NoLock;

impl Lock for NoLock {}

/// Turns an error into a failure: names the attempt, and chooses the kind by the cause.
fn because(what: &str) -> impl Fn(rusqlite::Error) -> Failure + '_ {
    move |error| {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::CannotOpen) => {
                Kind::StoreUnavailable
            }
            _ => Kind::StoreRefused,
        };
        // Only the text is kept, because the source of the error repeats it.
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

    /// Opens a file for reading, for any user who may read it. It leaves no files behind.
    pub(super) fn open_to_read(path: &Path, source: &'static str) -> Result<SqliteStore, Failure> {
        let (connection, stamp) = opening::to_read(path)?;
        Ok(SqliteStore {
            path: Some(path.to_owned()),
            stamp,
            ..SqliteStore::on(connection, source)
        })
    }

    /// Makes a database in memory, which is lost with the value.
    pub(super) fn in_memory(source: &'static str) -> Result<SqliteStore, Failure> {
        let connection = Connection::open_in_memory().map_err(because("making a database"))?;
        Ok(SqliteStore::on(connection, source))
    }

    /// Makes a store on an open connection.
    pub(super) fn on(connection: Connection, source: &'static str) -> SqliteStore {
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // Without this, a statement that compares or limits by a parameter is compiled anew whenever the parameter is
        // bound. No query plan of ours depends on a value. A build of SQLite without the option is only slower.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
        SqliteStore { path: None, source, connection, stamp: None }
    }

    fn configure(connection: &Connection) -> rusqlite::Result<()> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // The page size only takes effect before the file has content.
        connection.pragma_update(None, "page_size", 8192)?;
        // A batch of trades reaches into most leaves of the key's index. With SQLite's own 2 MB they are read from the
        // file again and again; it takes the memory only when it needs it.
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        Self::use_wal(connection)?;
        // In WAL mode a power cut can undo the last transactions, each of them as a whole. Rows and checkpoint go back
        // together, and the next pass reads them again.
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "wal_autocheckpoint", 8192)?;
        Ok(())
    }

    /// Switches the file to WAL. On a new file this takes a lock for which SQLite does not wait, whatever the busy
    /// timeout. When several first passes start at once, all but one have to try again.
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

    /// Checks a result read from a file that is taken as immutable. If another process wrote to the file, the result
    /// may mix two states, and the file has to be opened and read again.
    fn unbroken<T>(&self, read: Result<T, Failure>) -> Result<T, Failure> {
        unbroken(self.stamp.as_ref()).and(read)
    }

    fn open_work<'c>(&'c self, connection: &'c Connection, what: &'c str) -> OpenWork<'c> {
        OpenWork { connection, what, source: self.source, stamp: self.stamp.as_ref() }
    }

    fn steps_applied(&self) -> Result<Vec<Applied>, Failure> {
        self.unbroken(Self::applied(&self.connection).map_err(because("looking at the schema")))
    }
}

/// An error if another process wrote to a file that is read as immutable.
fn unbroken(stamp: Option<&Stamp>) -> Result<(), Failure> {
    if stamp.is_some_and(Stamp::is_broken) {
        let message = "the SQLite file was written to while it was read";
        return Err(Failure::new(Kind::StoreInterrupted, message));
    }
    Ok(())
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
                let done = work(&mut self.open_work(&self.connection, what));
                self.unbroken(done)
            }
            Access::ReadAsOne | Access::Snapshot => {
                let transaction = Transaction::to_read(&self.connection).map_err(because(what))?;
                let done = work(&mut self.open_work(&transaction, what));
                drop(transaction);
                self.unbroken(done)
            }
            // It is the only writer from its beginning on, so the rows that it compares with cannot change.
            Access::Write | Access::WriteScan | Access::Alone(_) | Access::Commit => {
                let transaction = Transaction::to_write(&self.connection).map_err(because(what))?;
                let done = work(&mut self.open_work(&transaction, what))?;
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
        // The record is read again, now that no other process can be migrating.
        let applied = Self::applied(&transaction).map_err(because(what))?;
        let steps = pending(MIGRATIONS, &applied)?;
        transaction
            .execute_batch(
                "create table if not exists kalshi_ingest_migrations (
                    name text primary key, checksum text not null, applied_at text not null) strict",
            )
            .map_err(because(what))?;
        views::remove(&transaction).map_err(because(what))?;
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
        views::make(&transaction).map_err(because(views::WHAT))?;
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
        // A file has no connection that breaks, but a file that was written to has to be opened anew.
        if let (Some(path), Some(_)) = (&self.path, &self.stamp) {
            let (connection, stamp) = opening::to_read(path)?;
            let path = Some(path.clone());
            *self = SqliteStore { path, stamp, ..SqliteStore::on(connection, self.source) };
        }
        Ok(())
    }

    fn make_views(&mut self) -> Result<(), Failure> {
        let transaction = Transaction::to_write(&self.connection).map_err(because(views::WHAT))?;
        views::make(&transaction).map_err(because(views::WHAT))?;
        transaction.commit().map_err(because(views::WHAT))
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
        for _ in 0..LOCK_ATTEMPTS_MAX {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Box::new(FileLock(file)))),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_NAP),
                Err(TryLockError::Error(error)) => {
                    return Err(Failure::new(Kind::StoreUnavailable, what).because(error));
                }
            }
        }
        Ok(None)
    }
}
