//! What can go wrong, sorted by who has to act.
//!
//! Two places decide by kind: the retry policy ([`Kind::is_temporary`]) and the
//! exit status (`exit.rs`). Everything else only adds words.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why something failed, in the only distinctions anything decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A flag, a variable, a file or a URL has to be changed by a person.
    Config,
    /// The exchange gave no answer, or asked to come back later.
    ExchangeUnavailable,
    /// The exchange refuses this client whatever it asks for (401, 403).
    ExchangeForbids,
    /// The exchange understood this request and said no (another 4xx, a redirect).
    ExchangeRefused,
    /// The exchange answered something that cannot be decoded.
    ExchangeUnreadable,
    /// The database could not be reached.
    StoreUnavailable,
    /// The database broke off in the middle: a lost connection, a restart, a deadlock. What was
    /// committed is there; the rest can be done again.
    StoreInterrupted,
    /// The database said no: schema, permission, constraint, disk.
    StoreRefused,
}

impl Kind {
    /// Whether the exchange answered, and said no.
    pub fn is_refusal(self) -> bool {
        matches!(self, Kind::ExchangeForbids | Kind::ExchangeRefused)
    }

    /// Whether the same request may succeed when it is simply made again.
    ///
    /// An unreadable answer is worth another try: proxies in front of the exchange
    /// answer HTML with status 200 on bad days.
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

/// One failure: its kind, one sentence, and what caused it.
#[derive(Debug)]
pub struct Failure {
    /// Who has to act, and whether trying again can help.
    pub kind: Kind,
    /// The other side's wish: not before this much time has passed.
    pub retry_after: Option<Duration>,
    /// The HTTP status, when the exchange answered with one.
    pub status: Option<u16>,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure described by one lower-case clause without a final period.
    pub fn new(kind: Kind, message: impl Into<String>) -> Failure {
        Failure { kind, retry_after: None, status: None, message: message.into(), source: None }
    }

    /// Shorthand for the most common kind: a person has to change something.
    pub fn config(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Config, message)
    }

    /// Keeps the cause, to be printed after the message.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
        self.source = Some(source.into());
        self
    }

    /// Remembers the HTTP status that made this failure.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Failure {
        self.status = Some(status);
        self
    }

    /// Remembers how long the other side asked to wait.
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

/// The message and every cause on one line, as logs and the database keep it.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        // Some libraries repeat their cause in their own words.
        if !line.contains(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
        cause = inner.source();
    }
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    shortened(&line)
}

/// No line of a log or a column is longer than a person reads.
const LINE_CHARS_MAX: usize = 400;

/// The text, cut off with an ellipsis when it is longer than a line should be.
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
