//! The one error type. Its kind says who has to act.

use std::error::Error as StdError;
use std::fmt;

/// The person who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The user has to act: the connection string, a variable or a file is wrong. The same text fails again.
    Configuration,
    /// Nobody has to act: no server answers yet, or none of the wanted kind. The same text may connect later.
    Unavailable,
    /// The administrator of the server, or the person who gave the credentials, has to act: the server refused, or its
    /// certificate or its TLS is not as demanded.
    Refused,
}

/// The reason why there is no connection. Neither it nor its causes hold a password, a key or a piece of the
/// connection string that could be one.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), source: None }
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Configuration, message)
    }

    /// Adds the cause.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// The person who has to act.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The cause as a value of its own, for an error type that keeps the message separate.
    pub fn into_source(self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.source
    }
}

/// One clause in lower case, without a final period and without the cause, which is the [`source`](StdError::source).
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The kind, and the message with its causes on one line.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({:?})", self.kind, one_line(self))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| -> &(dyn StdError + 'static) { source.as_ref() })
    }
}

/// The message and every cause on one line. A cause that a library repeats in its own message is not repeated.
pub(crate) fn one_line(error: &(dyn StdError + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !line.contains(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
        cause = inner.source();
    }
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_has_every_cause_once() {
        let cause = Error::configuration("no such\nfile");
        let error = Error::configuration("the key cannot be read").because(cause);
        assert_eq!(one_line(&error), "the key cannot be read: no such file");
        assert_eq!(format!("{error:?}"), "Configuration(\"the key cannot be read: no such file\")");
        let error = Error::configuration("no such file here").because("no such file");
        assert_eq!(one_line(&error), "no such file here");
    }
}
