//! The limits of the account that asks with a key.

use clap::ValueEnum;

/// The account behind every key, as `/account/limits` describes it. It limits nothing: `Rules::keyed_limit` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name of the tier.
    pub tier: String,
    /// The number that the answer gives as the limit of reads: tokens a second in the nested shape, requests a second
    /// in the flat one.
    pub read_rate: i64,
    /// The grants that the account's tier follows from.
    pub grants: Vec<Grant>,
    /// The shape of the answer.
    pub shape: LimitsShape,
}

impl Default for Account {
    /// An account of the lowest tier.
    fn default() -> Account {
        Account {
            tier: "basic".to_owned(),
            read_rate: 200,
            grants: Vec::new(),
            shape: LimitsShape::Nested,
        }
    }
}

/// A grant of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The granted tier.
    pub level: String,
    /// The end of the grant, in seconds since 1970; `None`: it has none.
    pub expires_s: Option<i64>,
}

/// The shape of the answer of `/account/limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LimitsShape {
    /// `{"read":{"refill_rate":…,"bucket_capacity":…},"grants":[…],…}`, in tokens.
    Nested,
    /// `{"read_limit":…,…}`, in requests: the shape until April 2026.
    Flat,
}
