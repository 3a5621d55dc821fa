//! A file of SQLite, opened to be written or only to be read.
//!
//! Who only reads may have no right to write the file or its folder, and leaves nothing behind. In
//! WAL mode SQLite wants two files beside the database even to read, and would make them, as the
//! reader's own, so that the next pass could not open them. So where no log holds anything the
//! database is read as a file that nobody changes, and a stamp tells whether somebody did.

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

/// How often a log that comes or goes while it is looked at is looked at again.
const ATTEMPTS: u32 = 5;
const NAP: Duration = Duration::from_millis(20);

/// What stands for itself in the path of a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// A file as it was when it was opened to be read as one that nobody changes.
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

    /// Whether somebody has written since: what was read may be of two times.
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

/// Whether a log holds what is not in the database yet, or what has to be taken out of it again.
fn has_log(path: &Path) -> bool {
    let length = |suffix| fs::metadata(beside(path, suffix)).map_or(0, |found| found.len());
    length("-wal") > 0 || length("-journal") > 0
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens a file to be written; makes it where that is meant.
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
    // SQLite opens what it may not write all the same, and fails at the first row.
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

/// Opens a file to be read, and leaves nothing behind. With the stamp by which a change is noticed,
/// where SQLite does not look for one itself.
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
        // It may have gone into the database just now.
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

/// Beside whoever writes now. Its index is shared memory, in a file that is made if it is missing:
/// by nobody who could not write the database as well.
fn with_log(path: &Path) -> rusqlite::Result<Connection> {
    let has_index = beside(path, "-shm").exists();
    let may_write = || OpenOptions::new().write(true).open(path).is_ok();
    let parameters = if has_index || may_write() { "mode=ro" } else { "mode=ro&readonly_shm=1" };
    let connection = open_uri(path, parameters)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The log is opened by the first question.
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

/// Never the beginning of a URI, whatever the file is called.
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
             (status, serve and backfill --dry-run only read)",
            place.display(),
            me(),
            owner(path),
        ),
    )
}

fn me() -> String {
    whoami::username().unwrap_or_else(|_| "unknown".to_owned())
}

/// Whose file it is.
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
