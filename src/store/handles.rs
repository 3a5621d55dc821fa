//! The number of a run and a lock that is held: small values that a store gives to its callers.

/// The number of a row of `ingestion_runs`.
pub type RunId = i64;

/// Held for as long as the value lives; the death of the process releases it too.
pub trait Lock: Send {}
