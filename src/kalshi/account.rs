//! `GET /account/limits`: the request rate of the account that the key belongs to.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::client::{Client, Get};
use super::decode::excerpt;
use super::wire::{AccountLimitsBody, Text};
use crate::clock::Clock;
use crate::domain::account_limits::AccountLimits;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind};

/// The largest body: a real one has a few hundred bytes, and one object for each grant.
const BODY_BYTES_MAX: u64 = 256 * 1024;
/// The longest wait for the answer. The work of the command waits for it.
const PATIENCE: Duration = Duration::from_secs(3);
/// The smallest part of the remaining time that the wait may take.
const PATIENCE_SHARE: u32 = 4;
/// The price of a request, in tokens. The published list of exceptions names no request of market data.
const TOKENS_PER_REQUEST: f64 = 10.0;
/// The rates that an account can have, in requests a second: the lowest tier has 20 and the highest one 1,200.
const CREDIBLE: RangeInclusive<f64> = 1.0..=10_000.0;
/// The longest name of a tier that is kept.
const TIER_LEN_MAX: usize = 40;

impl Client {
    /// Asks for the limits of the account. An answer that takes long is worth less than the time.
    pub fn account_limits(
        &self,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<AccountLimits, Failure> {
        let question = Get {
            path: "/account/limits".into(),
            query: Vec::new(),
            about: "the request rate",
            body_bytes_max: BODY_BYTES_MAX,
            answered_also_with: &[],
        };
        self.get(&question, PATIENCE.min(left / PATIENCE_SHARE), clock, limits)
    }
}

/// Decodes the limits of an account from an answer of this instant, by the clock of the exchange.
pub(super) fn limits(body: &[u8], answered_at: Timestamp) -> Result<AccountLimits, Failure> {
    let unreadable = |cause: String| {
        let message = format!("the answer names no limit of reads ({:?})", excerpt(body));
        Failure::new(Kind::ExchangeUnreadable, message).because(cause)
    };
    let wire: AccountLimitsBody<'_> =
        serde_json::from_slice(body).map_err(|error| unreadable(error.to_string()))?;
    let of_bucket = wire.read.map(|read| number(read.refill_rate) / TOKENS_PER_REQUEST);
    let told = of_bucket.or(wire.read_limit.map(number));
    let rate =
        told.ok_or_else(|| unreadable("it has neither `read` nor `read_limit`".to_owned()))?;
    if !CREDIBLE.contains(&rate) {
        return Err(unreadable(format!("no account has {rate} requests a second")));
    }
    let ends = wire.grants.iter().flatten().filter_map(|grant| grant.expires_ts);
    let ends = ends.filter(|second| *second > answered_at.second());
    let first = ends.min().map(Timestamp::from_seconds);
    Ok(AccountLimits {
        tier: wire.usage_tier.as_ref().and_then(tier),
        rate,
        expires_in: first.map(|at| at.since(answered_at)),
    })
}

/// A number of the exchange; one that no rate comes near to is infinite.
fn number(told: i64) -> f64 {
    i32::try_from(told).map_or(f64::INFINITY, f64::from)
}

/// The name of a tier, if it can stand in a row and in a line of the log.
fn tier(text: &Text<'_>) -> Option<String> {
    let name = text.as_str();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic());
    (is_plain && (1..=TIER_LEN_MAX).contains(&name.len())).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_seconds(1_785_000_000);

    fn read(body: &str) -> Result<AccountLimits, Failure> {
        limits(body.as_bytes(), AT)
    }

    #[test]
    fn a_rate_is_read_in_both_shapes() {
        for (body, tier, rate, why) in [
            (r#"{"usage_tier":"basic","read":{"refill_rate":200}}"#, Some("basic"), 20.0, "tokens"),
            (r#"{"usage_tier":"prime","read_limit":400}"#, Some("prime"), 400.0, "requests"),
            (
                r#"{"read":{"refill_rate":300,"bucket_capacity":900},"read_limit":7}"#,
                None,
                30.0,
                "the newer shape counts",
            ),
            (r#"{"read":{"refill_rate":10},"usage_tier":null}"#, None, 1.0, "the lowest"),
            (r#"{"read_limit":10000,"usage_tier":"a b"}"#, None, 10_000.0, "an odd name"),
            (r#"{"read_limit":20,"usage_tier":"a\u0000b"}"#, None, 20.0, "no store holds it"),
            (r#"{"read_limit":20,"usage_tier":""}"#, None, 20.0, "no name"),
        ] {
            let limits = read(body).unwrap();
            assert_eq!((limits.tier.as_deref(), limits.rate), (tier, rate), "{why}: {body}");
        }
        let long = format!(r#"{{"read_limit":20,"usage_tier":"{}"}}"#, "x".repeat(41));
        assert_eq!(read(&long).unwrap().tier, None);
    }

    #[test]
    fn nonsense_is_no_rate() {
        for (body, why) in [
            ("", "nothing"),
            ("<html>busy</html>", "no JSON"),
            ("[]", "a list"),
            ("{}", "no rate"),
            (r#"{"read":null}"#, "no rate"),
            (r#"{"read":{}}"#, "an empty bucket"),
            (r#"{"read":200}"#, "a number where a bucket was"),
            (r#"{"read":{"refill_rate":"200"}}"#, "a text"),
            (r#"{"read":{"refill_rate":200.5}}"#, "a fraction"),
            (r#"{"read":{"refill_rate":0}}"#, "zero"),
            (r#"{"read":{"refill_rate":-200}}"#, "negative"),
            (r#"{"read":{"refill_rate":9}}"#, "less than a request"),
            (r#"{"read":{"refill_rate":1000000}}"#, "a million"),
            (r#"{"read":{"refill_rate":9223372036854775807}}"#, "the greatest number"),
            (r#"{"read":{"refill_rate":-9223372036854775808}}"#, "the least number"),
            (r#"{"read":{"refill_rate":1e400}}"#, "infinite"),
            (r#"{"read_limit":0}"#, "zero requests"),
            (r#"{"read_limit":-1}"#, "negative requests"),
            (r#"{"read_limit":1000000}"#, "a million requests"),
            (r#"{"read_limit":20,"grants":[{"expires_ts":"soon"}]}"#, "an expiry that is a word"),
            (r#"{"read_limit":20,"grants":7}"#, "grants that are a number"),
        ] {
            let failure = read(body).expect_err(why);
            assert_eq!(failure.kind, Kind::ExchangeUnreadable, "{why}: {body}");
        }
    }

    #[test]
    fn the_first_grant_that_ends_later_counts() {
        let at = AT.second();
        for (grants, seconds, why) in [
            (String::new(), None, "no grant"),
            (r#"{"level":"prime"}"#.to_owned(), None, "a permanent one"),
            (r#"{"expires_ts":null}"#.to_owned(), None, "a permanent one, in other words"),
            (format!(r#"{{"expires_ts":{}}}"#, at + 60), Some(60), "one that ends in a minute"),
            (
                format!(r#"{{"expires_ts":{}}},{{"expires_ts":{}}}"#, at + 90, at + 30),
                Some(30),
                "the earlier of two",
            ),
            (
                format!(r#"{{"expires_ts":{}}},{{"expires_ts":{}}}"#, at, at + 30),
                Some(30),
                "one is over",
            ),
            (r#"{"expires_ts":0},{"expires_ts":-5}"#.to_owned(), None, "both are over"),
        ] {
            let limits = read(&format!(r#"{{"read_limit":20,"grants":[{grants}]}}"#)).unwrap();
            assert_eq!(limits.expires_in, seconds.map(Duration::from_secs), "{why}");
        }
        let forever = read(r#"{"read_limit":20,"grants":[{"expires_ts":9223372036854775807}]}"#);
        assert!(forever.unwrap().expires_in.is_some_and(|span| span.as_secs() > 1 << 31));
    }
}
