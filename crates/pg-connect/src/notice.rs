//! Lines for a log that the caller keeps.

use std::fmt;

/// One line that is worth logging. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The connection is less safe than it could be, or a setting is ignored that the user may rely on.
    Warning(String),
    /// A step or a setting that explains the result, for a user who searches for a mistake.
    Detail(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Warning(line) | Notice::Detail(line) => f.write_str(line),
        }
    }
}
