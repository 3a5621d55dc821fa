//! The kinds of errors, sorted by who has to act.
//!
//! The retry policy ([`Kind::is_temporary`]) and the exit status (`exit.rs`) decide by kind. `driver::manners` does,
//! for refusals that hold for all requests, and so do the few places that ask a refused question in another way.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The reason of a failure, in only those distinctions that decisions depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A person has to change a flag, a variable, a file or a URL.
    Config,
    /// The exchange gave no answer, or asked to come back later.
    ExchangeUnavailable,
    /// The exchange refuses every request of this client (401, 403).
    ExchangeForbids,
    /// The exchange understood this request and refused it (another 4xx, a redirect).
    ExchangeRefused,
    /// The exchange sent an answer that cannot be decoded.
    ExchangeUnreadable,
    /// The database could not be reached.
    StoreUnavailable,
    /// The database failed during the work: a lost connection, a restart, a deadlock. Committed rows are kept; the
    /// rest can be done again.
    StoreInterrupted,
    /// The database refused: schema, permission, constraint, disk.
    StoreRefused,
}

impl Kind {
    /// Whether the exchange answered with a refusal.
    pub fn is_refusal(self) -> bool {
        matches!(self, Kind::ExchangeForbids | Kind::ExchangeRefused)
    }

    /// Whether the same request may succeed when it is sent again without a change.
    ///
    /// An unreadable answer is worth another attempt: proxies in front of the exchange sometimes answer HTML with
    /// status 200.
    pub fn is_temporary(self) -> bool {
        match self {
            Kind::ExchangeUnavailable | Kind::ExchangeUnreadable | Kind::StoreInterrupted => true,
            Kind::Config
            | Kind::ExchangeForbids
            | Kind::ExchangeRefused
            | Kind::StoreUnavailable
            | Kind::StoreRefused => false,
        }
    }
}

/// One failure: its kind, one sentence, and its cause.
#[derive(Debug)]
pub struct Failure {
    /// The kind says who has to act, and whether another attempt can help.
    pub kind: Kind,
    /// The wait that the other side asked for; None if it asked for none.
    pub retry_after: Option<Duration>,
    /// The HTTP status, if the exchange answered with one.
    pub status: Option<u16>,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure described by one clause, in lower case and without a final period.
    pub fn new(kind: Kind, message: impl Into<String>) -> Failure {
        Failure { kind, retry_after: None, status: None, message: message.into(), source: None }
    }

    /// A failure of the most common kind: a person has to change something.
    pub fn config(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Config, message)
    }

    /// Keeps the cause; it is printed after the message.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
        self.source = Some(source.into());
        self
    }

    /// Keeps the HTTP status of the answer.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Failure {
        self.status = Some(status);
        self
    }

    /// Keeps the wait that the other side asked for.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Failure {
        self.retry_after = wait;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| -> &(dyn Error + 'static) { source.as_ref() })
    }
}

/// The message and every cause on one line, in the form that logs and the database keep.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        // Some libraries repeat the text of their cause in their own message.
        if !line.contains(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
        cause = inner.source();
    }
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    shortened(&line)
}

/// The longest line of a log or a column, in characters: a person reads no longer one.
const LINE_CHARS_MAX: usize = 400;

/// The text, cut off with an ellipsis if it is longer than a line of the log may be.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(LINE_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_does_not_hide_the_kind() {
        let wrapped = anyhow::Error::new(Failure::new(Kind::StoreRefused, "no such table"))
            .context("storing trades")
            .context("running a pass");
        assert_eq!(wrapped.downcast_ref::<Failure>().unwrap().kind, Kind::StoreRefused);
    }

    #[test]
    fn one_line_joins_causes_and_breaks() {
        let failure = Failure::config("cannot read the key\nfile").because("no such file");
        assert_eq!(one_line(&failure), "cannot read the key file: no such file");
    }
}
