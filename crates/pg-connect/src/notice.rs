//! Lines for a log that the caller keeps.

use std::fmt;

/// One line that is worth logging. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The connection is less safe than it could be, or something is ignored that the user may
    /// count on.
    Warning(String),
    /// A step or a setting that explains what came of it, for who looks for a mistake.
    Detail(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Warning(line) | Notice::Detail(line) => f.write_str(line),
        }
    }
}
