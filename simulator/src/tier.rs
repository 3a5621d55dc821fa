//! The two stores of trades and markets.

/// The side of the cutoff that serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Live,
    Historical,
}
