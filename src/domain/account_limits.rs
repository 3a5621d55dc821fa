//! The request rate of the account that a key belongs to.

use std::time::Duration;

/// The limits of an account, as the exchange told them.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountLimits {
    /// The name of the account's tier.
    pub tier: Option<String>,
    /// The rate of the account, in requests a second.
    pub rate: f64,
    /// The time until the first grant expires; `None` if none does. It is a span, because the two clocks can differ.
    pub expires_in: Option<Duration>,
}
