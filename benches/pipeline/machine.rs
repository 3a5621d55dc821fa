//! The machine, described without its name.

use std::process::Command;

use kalshi_ingest::domain::time::Timestamp;

use crate::loaders;

/// One paragraph: the date, the machine, the databases and the size of the run.
pub(crate) fn describe(trades: usize, pairs: u16) -> String {
    let now = Timestamp::from_chrono(chrono::Utc::now()).to_string();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let shell = Command::new("sqlite3").arg("--version").output().unwrap().stdout;
    let shell = String::from_utf8_lossy(&shell).into_owned();
    format!(
        "{}: {cores} cores, Linux {}; PostgreSQL {}; SQLite {}, its shell {}; {trades} trades, {pairs} rounds.",
        &now[..10],
        kernel.trim().split('-').next().unwrap_or_default(),
        loaders::server_version(),
        rusqlite::version(),
        shell.split_whitespace().next().unwrap_or_default(),
    )
}
