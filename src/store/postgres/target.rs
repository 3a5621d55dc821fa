//! A server that may be connected to: `pg-connect`, with its errors as failures of ours and its
//! notices in our log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pg_connect::{ConnectionString, ErrorKind, Notice, Options};
use postgres::Client;

use crate::failure::{Failure, Kind, shortened};

/// Where a server is and how to speak to it.
#[derive(Clone)]
pub(in crate::store) struct Target {
    string: ConnectionString,
    /// Whether it was said that a connection is not as safe as it could be; once is enough.
    is_warned: Arc<AtomicBool>,
}

/// Whether this is a connection string at all.
pub(in crate::store) fn is_meant(text: &str) -> bool {
    ConnectionString::is_meant(text)
}

impl Target {
    /// Reads a connection string and fills in the rest. No error repeats it: it may hold a password.
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

    /// The first server that suits.
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

/// Hosts, ports and database: what may be printed.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.string.fmt(f)
    }
}

fn log(notice: &Notice) {
    match notice {
        Notice::Warning(line) => log::warn!("{line}"),
        // A server may have said more than a log wants.
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
