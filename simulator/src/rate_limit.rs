//! Token buckets: one for all requests without a key, and one for each key.

use std::collections::HashMap;

use crate::rules::RateLimit;

/// One request in the unit of a bucket's level. In this unit, microseconds times requests per second need no division.
const REQUEST: u64 = 1_000_000;

#[derive(Default)]
pub(crate) struct RateLimiter {
    buckets: HashMap<Option<String>, Bucket>,
}

struct Bucket {
    level: u64,
    refilled_us: i64,
}

impl RateLimiter {
    /// Takes one request from the bucket of this key, if it holds one.
    pub(crate) fn take(&mut self, key: Option<&str>, limit: RateLimit, now_us: i64) -> bool {
        let capacity = u64::from(limit.burst) * REQUEST;
        let bucket = self
            .buckets
            .entry(key.map(str::to_owned))
            .or_insert(Bucket { level: capacity, refilled_us: now_us });
        let elapsed_us = u64::try_from(now_us - bucket.refilled_us).unwrap_or(0);
        let refill = elapsed_us.saturating_mul(u64::from(limit.per_second));
        bucket.level = bucket.level.saturating_add(refill).min(capacity);
        bucket.refilled_us = now_us;
        let is_allowed = REQUEST <= bucket.level;
        if is_allowed {
            bucket.level -= REQUEST;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let mut limiter = RateLimiter::default();
        let limit = RateLimit { per_second: 5, burst: 2 };
        for (now_us, is_allowed, why) in [
            (0, true, "first of the burst"),
            (0, true, "second of the burst"),
            (0, false, "empty"),
            (199_999, false, "not yet a whole request"),
            (200_000, true, "one fifth of a second refills one"),
            (200_000, false, "and only one"),
            (10_000_000, true, "a long pause refills the burst"),
            (10_000_000, true, "of two"),
            (10_000_000, false, "and no more"),
            (9_000_000, false, "a clock that went back refills nothing"),
        ] {
            assert_eq!(limiter.take(None, limit, now_us), is_allowed, "{why}");
        }
        assert!(limiter.take(Some("key"), limit, 9_000_000), "a key has its own bucket");
    }
}
