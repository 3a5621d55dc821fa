//! The two stores of trades and markets.

/// Which side of the cutoff a request is served from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Live,
    Historical,
}
