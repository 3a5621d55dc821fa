//! Small values that a store hands to its callers: the number of a run, and a held lock.

/// The number of a row of `ingestion_runs`.
pub type RunId = i64;

/// A lock, held as long as the value lives; the end of the process releases it too.
pub trait Lock: Send {}
