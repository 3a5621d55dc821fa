//! The request rate of the account that a key belongs to: which rate is used, and when the exchange is asked for it
//! again. Pure.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::evidence::CLOCKS_DIFFER;
use super::time::Timestamp;

/// The rates that the program asks with, in requests a second.
pub const RATES: RangeInclusive<f64> = 0.01..=1_200.0;

/// The age after which the limits are asked for again. An account changes its tier seldom.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(3_600);

/// The time between a question without an answer and the next question. Passes come every minute; an endpoint in
/// trouble gets a request from one in five.
pub const FAILED_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// The age up to which limits are believed while the exchange does not answer. An account can lose its tier.
const BELIEVED: Duration = Duration::from_secs(86_400);

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

/// The part of a row of `exchange_records` about an account. A value that was never noted is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountRecord {
    /// A digest of the id of the key that asked.
    pub key_digest: Option<String>,
    /// Our clock at the last question.
    pub asked_at: Option<Timestamp>,
    /// Our clock at the last question that was answered.
    pub told_at: Option<Timestamp>,
    /// The name of the account's tier.
    pub tier: Option<String>,
    /// The rate of the account, in requests a second.
    pub rate: Option<f64>,
    /// Our clock at which the first grant of the account expires.
    pub expires_at: Option<Timestamp>,
}

impl AccountRecord {
    /// The record after an answer to a question that was asked with this key at `now`.
    pub fn told(key_digest: &str, limits: AccountLimits, now: Timestamp) -> AccountRecord {
        let AccountLimits { tier, rate, expires_in } = limits;
        AccountRecord {
            key_digest: Some(key_digest.to_owned()),
            asked_at: Some(now),
            told_at: Some(now),
            tier,
            rate: Some(rate),
            // A grant that outlives the belief in the rate changes nothing.
            expires_at: expires_in.filter(|span| *span < BELIEVED).map(|span| now.after(span)),
        }
    }

    /// The record after a question at `now` that was not answered.
    #[must_use]
    pub fn unanswered(self, key_digest: &str, now: Timestamp) -> AccountRecord {
        let known = if self.is_of(key_digest) { self } else { AccountRecord::default() };
        AccountRecord { key_digest: Some(key_digest.to_owned()), asked_at: Some(now), ..known }
    }

    /// Whether the exchange is to be asked for the limits of this key. `assumed` is the rate of an account of which
    /// nothing is known: a lower one is used, but it is no proof, so the question is repeated soon.
    pub fn is_due(&self, key_digest: &str, now: Timestamp, assumed: f64) -> bool {
        let Some(asked_at) = self.asked_at.filter(|at| self.is_of(key_digest) && is_past(*at, now))
        else {
            return true;
        };
        let age = now.since(asked_at);
        let is_low = self.rate.is_some_and(|rate| rate < assumed);
        if self.told_at == Some(asked_at) && !is_low {
            age >= ASKED_AGAIN_AFTER || self.is_expired(now)
        } else {
            age >= FAILED_AGAIN_AFTER
        }
    }

    /// The rate of this key's account, if the record can be believed.
    pub fn rate(&self, key_digest: &str, now: Timestamp) -> Option<f64> {
        let told_at = self.told_at.filter(|at| self.is_of(key_digest) && is_past(*at, now))?;
        let is_believed = now.since(told_at) < BELIEVED && !self.is_expired(now);
        self.rate.filter(|rate| is_believed && *rate > 0.0)
    }

    fn is_of(&self, key_digest: &str) -> bool {
        self.key_digest.as_deref() == Some(key_digest)
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// Whether an instant on record can be true: one of the future comes from a clock that was ahead.
fn is_past(at: Timestamp, now: Timestamp) -> bool {
    at <= now.after(CLOCKS_DIFFER)
}

/// The request rate of a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RequestRate {
    /// This rate: the user's, or the rate without a key. Each shard uses it as a whole.
    Fixed(f64),
    /// The rate of the account. The shards divide it, because they share the account.
    OfAccount {
        /// The rate of the account while it is not known.
        assumed: f64,
        /// The part of the rate that the command uses.
        share: f64,
    },
}

impl RequestRate {
    /// The same rate for a command that leaves a part of it to others.
    #[must_use]
    pub fn shared(self, part: f64) -> RequestRate {
        match self {
            RequestRate::Fixed(rate) => RequestRate::Fixed(rate * part),
            RequestRate::OfAccount { assumed, share } => {
                RequestRate::OfAccount { assumed, share: share * part }
            }
        }
    }

    /// The rate in requests a second for one of so many shards. `told` is the rate of the account, if it is known.
    pub fn of_shard(self, told: Option<f64>, shards: u32) -> f64 {
        match self {
            RequestRate::Fixed(rate) => rate,
            RequestRate::OfAccount { assumed, share } => {
                let rate = told.unwrap_or(assumed) * share / f64::from(shards.max(1));
                rate.clamp(*RATES.start(), *RATES.end())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "the digest of a key";
    const OTHER: &str = "the digest of another key";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    fn limits(expires_in: Option<u64>) -> AccountLimits {
        let expires_in = expires_in.map(Duration::from_secs);
        AccountLimits { tier: Some("advanced".to_owned()), rate: 30.0, expires_in }
    }

    #[test]
    fn the_limits_are_asked_for_again_after_an_hour_an_expiry_a_failure_or_with_another_key() {
        let nothing = AccountRecord::default();
        let told = AccountRecord::told(KEY, limits(None), at(100_000));
        let granted = AccountRecord::told(KEY, limits(Some(600)), at(100_000));
        let failed = nothing.clone().unanswered(KEY, at(100_000));
        let lapsed = told.clone().unanswered(KEY, at(103_600));
        let expired = granted.clone().unanswered(KEY, at(100_600));
        let decades = AccountRecord::told(KEY, limits(Some(u64::MAX)), at(100_000));
        let odd = AccountRecord { rate: None, ..told.clone() };
        let zero = AccountRecord { rate: Some(0.0), ..told.clone() };
        let low = AccountRecord { rate: Some(1.0), ..told.clone() };
        for (record, key, now, is_due, rate, why) in [
            (&nothing, KEY, 100_000, true, None, "the exchange was never asked"),
            (&told, KEY, 100_000, false, Some(30.0), "it has just answered"),
            (&told, KEY, 103_599, false, Some(30.0), "an hour is not over"),
            (&told, KEY, 103_600, true, Some(30.0), "an hour is over, and the rate still holds"),
            (&told, KEY, 186_399, true, Some(30.0), "the rate is believed for a day"),
            (&told, KEY, 186_400, true, None, "and no longer"),
            (&told, OTHER, 100_000, true, None, "another key has limits of its own"),
            (&told, KEY, 99_940, false, Some(30.0), "another machine's clock is a minute ahead"),
            (&told, KEY, 99_939, true, None, "our clock was ahead when that was noted"),
            (&granted, KEY, 100_599, false, Some(30.0), "the grant holds"),
            (&granted, KEY, 100_600, true, None, "the grant has expired"),
            (&decades, KEY, 186_399, true, Some(30.0), "a grant that outlives the day"),
            (&failed, KEY, 100_299, false, None, "five minutes are not over"),
            (&failed, KEY, 100_300, true, None, "five minutes are over"),
            (&failed, OTHER, 100_000, true, None, "the failure was that of another key"),
            (&lapsed, KEY, 103_899, false, Some(30.0), "the remembered rate outlives a failure"),
            (&lapsed, KEY, 103_900, true, Some(30.0), "and the question comes again"),
            (&lapsed, KEY, 186_400, true, None, "a failure makes no rate younger"),
            (&expired, KEY, 100_899, false, None, "an expired rate does not outlive a failure"),
            (&odd, KEY, 100_000, false, None, "a record without its rate"),
            (&zero, KEY, 100_000, false, None, "a rate that would never send anything"),
            (&low, KEY, 100_299, false, Some(1.0), "a rate that no tier has is used"),
            (&low, KEY, 100_300, true, Some(1.0), "and asked for again as after a failure"),
        ] {
            assert_eq!(record.is_due(key, at(now), 20.0), is_due, "{now}: {why}");
            assert_eq!(record.rate(key, at(now)), rate, "{now}: {why}");
        }
    }

    #[test]
    fn a_failure_with_another_key_forgets_the_limits_of_the_first() {
        let told = AccountRecord::told(KEY, limits(Some(600)), at(100_000));
        let failed = told.unanswered(OTHER, at(100_010));
        assert_eq!(failed.rate(KEY, at(100_010)), None);
        assert_eq!(failed.rate(OTHER, at(100_010)), None);
        assert_eq!((failed.tier, failed.expires_at), (None, None));
    }

    #[test]
    fn shards_divide_the_rate_of_the_account_and_no_other() {
        let account = RequestRate::OfAccount { assumed: 20.0, share: 1.0 };
        let fixed = RequestRate::Fixed(50.0);
        for (rate, told, shards, expected, why) in [
            (account, Some(30.0), 1, 30.0, "the account's"),
            (account, None, 1, 20.0, "the assumed one"),
            (account, Some(30.0), 4, 7.5, "a quarter of the account's"),
            (account, None, 4, 5.0, "a quarter of the assumed one"),
            (account.shared(0.75), Some(30.0), 1, 22.5, "a backfill leaves some to the passes"),
            (account.shared(0.75), Some(480.0), 4, 90.0, "and so does a shard of it"),
            (account, Some(1e9), 1, 1_200.0, "no faster than a flag may ask for"),
            (account, Some(30.0), u32::MAX, 0.01, "no slower either"),
            (account, Some(30.0), 0, 30.0, "there is always one shard"),
            (fixed, Some(30.0), 4, 50.0, "the user's rate holds for each shard"),
            (fixed.shared(0.75), None, 1, 37.5, "a backfill leaves some of it as well"),
        ] {
            assert!((rate.of_shard(told, shards) - expected).abs() < 1e-9, "{why}");
        }
    }
}
