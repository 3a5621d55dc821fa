//! Opens a file of SQLite for writing, or only for reading.
//!
//! A user who only reads may have no right to write the file or its folder, and must leave no files behind. In WAL
//! mode SQLite needs two files beside the database even for reading. It would make them as files of the reader, and
//! the next pass could not open them. Therefore, where no log holds data, the database is read as immutable, and a
//! stamp shows whether another process changed it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use super::{BUSY_TIMEOUT, because};
use crate::failure::{Failure, Kind};
use crate::store::Missing;

/// The number of attempts when a log appears or vanishes during the look.
const ATTEMPTS: u32 = 5;
const NAP: Duration = Duration::from_millis(20);

/// The characters that need no encoding in the path of a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// The state of a file at the moment when it was opened as immutable.
pub(super) struct Stamp {
    path: PathBuf,
    seen: Seen,
}

#[derive(PartialEq, Eq)]
struct Seen {
    file: Option<(u64, u64, SystemTime)>,
    has_log: bool,
}

impl Stamp {
    fn of(path: &Path) -> Stamp {
        Stamp { path: path.to_owned(), seen: Seen::of(path) }
    }

    /// Whether another process has written since: a result may then mix two states.
    pub(super) fn is_broken(&self) -> bool {
        Seen::of(&self.path) != self.seen
    }
}

impl Seen {
    fn of(path: &Path) -> Seen {
        let file = fs::metadata(path).ok().and_then(|found| {
            let changed_at = found.modified().ok()?;
            Some((found.ino(), found.len(), changed_at))
        });
        Seen { file, has_log: has_log(path) }
    }
}

/// Whether a log holds data that is not in the database yet, or that has to be rolled back.
fn has_log(path: &Path) -> bool {
    let length = |suffix| fs::metadata(beside(path, suffix)).map_or(0, |found| found.len());
    length("-wal") > 0 || length("-journal") > 0
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens a file for writing. Makes the file where `missing` says so.
pub(super) fn to_write(path: &Path, missing: Missing) -> Result<Connection, Failure> {
    let is_new = !path.exists();
    if is_new && missing == Missing::Refuse {
        return Err(does_not_exist(path));
    }
    let what = format!("opening {}", path.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(absolute(path), flags).map_err(because(&what))?;
    // SQLite opens a file without the right to write it, and fails at the first row.
    if connection.is_readonly(MAIN_DB).map_err(because(&what))? {
        return Err(may_not_write(path, path));
    }
    super::SqliteStore::configure(&connection).map_err(|error| {
        let code = error.sqlite_error_code();
        let is_the_folder = matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly));
        let folder = absolute(path).parent().map(Path::to_owned).unwrap_or_default();
        if is_the_folder && !is_new && fs::metadata(&folder).is_ok() {
            return may_not_write(path, &folder).because(error.to_string());
        }
        because(&what)(error)
    })?;
    if is_new {
        log::info!("made the SQLite file {}", path.display());
    }
    Ok(connection)
}

/// Opens a file for reading, and leaves no files behind. The stamp shows a later change; it is `None` where SQLite
/// itself notices changes.
pub(super) fn to_read(path: &Path) -> Result<(Connection, Option<Stamp>), Failure> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        check_readable(path)?;
        let stamp = Stamp::of(path);
        if !stamp.seen.has_log {
            let connection = open_uri(path, "immutable=1").map_err(because("opening to read"))?;
            return Ok((connection, Some(stamp)));
        }
        match with_log(path) {
            Ok(connection) => return Ok((connection, None)),
            Err(error) => last = Some(error),
        }
        // The log may have been merged into the database just now.
        std::thread::sleep(NAP);
    }
    let message = format!(
        "{} has a log of what is not in it yet, and user {} cannot read that; run \
         `kalshi-ingest status` as {}, or give read permission on {}-wal and {0}-shm",
        path.display(),
        me(),
        owner(path),
        path.display(),
    );
    let failure = Failure::new(Kind::StoreUnavailable, message);
    Err(match last {
        Some(error) => failure.because(error.to_string()),
        None => failure,
    })
}

/// Opens a file beside a writer. The index of the log is shared memory in a file, which SQLite makes if it is missing.
/// A user who may not write the database must not make it.
fn with_log(path: &Path) -> rusqlite::Result<Connection> {
    let has_index = beside(path, "-shm").exists();
    let may_write = || OpenOptions::new().write(true).open(path).is_ok();
    let parameters = if has_index || may_write() { "mode=ro" } else { "mode=ro&readonly_shm=1" };
    let connection = open_uri(path, parameters)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // SQLite opens the log with the first statement.
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

fn open_uri(path: &Path, parameters: &str) -> rusqlite::Result<Connection> {
    let path = absolute(path);
    let uri = format!("file:{}?{parameters}", percent_encode(path.as_os_str().as_bytes(), PATH));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags)
}

/// The absolute path: it is never the beginning of a URI, whatever the file's name.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn check_readable(path: &Path) -> Result<(), Failure> {
    match File::open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(does_not_exist(path)),
        Err(error) => {
            let message = match error.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    format!("no read permission on {} for user {}", path.display(), me())
                }
                _ => format!(
                    "opening {} to read failed; check the file and the limits of this process",
                    path.display()
                ),
            };
            Err(Failure::new(Kind::StoreUnavailable, message).because(error))
        }
    }
}

fn does_not_exist(path: &Path) -> Failure {
    Failure::new(
        Kind::StoreUnavailable,
        format!(
            "the SQLite file {} does not exist; check --database-url, or let `kalshi-ingest run` make it",
            path.display()
        ),
    )
}

fn may_not_write(path: &Path, place: &Path) -> Failure {
    Failure::new(
        Kind::StoreRefused,
        format!(
            "no write permission on {} for user {}; run this as {} \
             (status, serve, export and backfill --dry-run only read)",
            place.display(),
            me(),
            owner(path),
        ),
    )
}

fn me() -> String {
    whoami::username().unwrap_or_else(|_| "unknown".to_owned())
}

/// The user who owns the file.
pub(super) fn owner(path: &Path) -> String {
    let Ok(uid) = fs::metadata(path).map(|found| found.uid().to_string()) else {
        return "its owner".to_owned();
    };
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("the user with the number {uid}"))
}
