//! A server to connect to: `pg-connect`, with its errors as failures of this program and its notices in our log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pg_connect::{ConnectionString, ErrorKind, Notice, Options};
use postgres::Client;

use crate::failure::{Failure, Kind, shortened};

/// The address of a server, and the settings of the connection.
#[derive(Clone)]
pub(in crate::store) struct Target {
    string: ConnectionString,
    /// Whether the warning about a less safe connection was given; one is enough.
    is_warned: Arc<AtomicBool>,
}

/// Whether the text is a connection string at all.
pub(in crate::store) fn is_meant(text: &str) -> bool {
    ConnectionString::is_meant(text)
}

impl Target {
    /// Reads a connection string and completes it. No error repeats it: it may hold a password.
    pub(in crate::store) fn parse(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Target, Failure> {
        let string = Options::new()
            .application_name("kalshi-ingest")
            .given_as("--database-url")
            .environment(environment)
            .parse(text)
            .map_err(failure)?;
        for notice in string.notices() {
            log(notice);
        }
        Ok(Target { string, is_warned: Arc::default() })
    }

    /// Connects to the first server that is acceptable.
    pub(super) fn connect(&self) -> Result<Client, Failure> {
        let mut tell = |notice: Notice| {
            let is_warning = matches!(notice, Notice::Warning(_));
            if !is_warning || !self.is_warned.swap(true, Ordering::Relaxed) {
                log(&notice);
            }
        };
        self.string.connect_telling(&mut tell).map_err(failure)
    }
}

/// Hosts, ports and database: the parts that may be printed.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.string.fmt(f)
    }
}

fn log(notice: &Notice) {
    match notice {
        Notice::Warning(line) => log::warn!("{line}"),
        // The message of a server can be longer than a log line should be.
        detail => log::debug!("{}", shortened(&detail.to_string())),
    }
}

fn failure(error: pg_connect::Error) -> Failure {
    let kind = match error.kind() {
        ErrorKind::Configuration => Kind::Config,
        _ => Kind::StoreUnavailable,
    };
    let failure = Failure::new(kind, error.to_string());
    match error.into_source() {
        Some(source) => failure.because(source),
        None => failure,
    }
}
