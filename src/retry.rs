//! Decides when to try again and how long to wait first. It does not sleep; the caller does.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::tally::RetryReason;
use crate::failure::{Failure, Kind};

/// Exponential backoff with full jitter and a limited number of attempts.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The number of attempts, including the first one.
    pub attempts_max: u32,
    /// The upper limit of the first wait; it doubles with each attempt.
    pub base: Duration,
    /// The largest value of that upper limit.
    pub cap: Duration,
}

impl Default for Policy {
    /// Six attempts, with waits of at most 0.5, 1, 2, 4 and 8 s between them: a pass lasts 50 seconds, and the next
    /// pass starts within a minute anyway.
    fn default() -> Policy {
        Policy { attempts_max: 6, base: Duration::from_millis(500), cap: Duration::from_secs(10) }
    }
}

/// The decision after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try again after this wait.
    Wait(Duration),
    /// Report the failure.
    GiveUp,
}

impl Policy {
    /// The decision after attempt number `attempt` (counted from 1) failed and `left` of the budget is left. `jitter`
    /// is a number in `0.0..1.0`.
    ///
    /// Full jitter spreads the clients that failed together. No wait is shorter than the wait that the other side
    /// asked for. A wait that would outlast the budget is not begun. For a request `driver::manners` decides first: a
    /// long `Retry-After` ends the whole command.
    pub fn decide(&self, failure: &Failure, attempt: u32, left: Duration, jitter: f64) -> Decision {
        if !failure.kind.is_temporary() || attempt >= self.attempts_max {
            return Decision::GiveUp;
        }
        let doublings = attempt.saturating_sub(1).min(16);
        let ceiling = self.base.saturating_mul(1 << doublings).min(self.cap);
        let wait = ceiling.mul_f64(jitter).max(failure.retry_after.unwrap_or_default());
        if wait < left { Decision::Wait(wait) } else { Decision::GiveUp }
    }
}

/// The reason of a retry after this failure, for the counters.
pub fn reason(failure: &Failure) -> RetryReason {
    match (failure.kind, failure.status) {
        (Kind::StoreInterrupted, _) => RetryReason::Database,
        (_, Some(429)) => RetryReason::RateLimited,
        (Kind::ExchangeUnreadable, _) => RetryReason::Unreadable,
        (_, Some(_)) => RetryReason::ServerError,
        (_, None) => RetryReason::NoAnswer,
    }
}

/// A small pseudo-random sequence (`SplitMix64`). It is good enough to spread waits, and for nothing else.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// A sequence with a seed of the operating system, taken from the hash keys of the standard library.
    pub fn from_entropy() -> Jitter {
        Jitter(RandomState::new().hash_one(0_u8))
    }

    /// A sequence that can be repeated.
    pub fn seeded(seed: u64) -> Jitter {
        Jitter(seed)
    }

    /// The next number in `0.0..1.0`.
    pub fn next_fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let top = u32::try_from(mixed >> 32).unwrap_or(0);
        f64::from(top) / (f64::from(u32::MAX) + 1.0)
    }
}

/// The source of jitter sequences: each sequence differs from the others. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Dice(Option<Arc<AtomicU64>>);

impl Dice {
    /// Sequences that can be repeated. Those of the default source are seeded by the operating system.
    pub fn seeded(seed: u64) -> Dice {
        Dice(Some(Arc::new(AtomicU64::new(seed))))
    }

    /// The next sequence.
    pub fn jitter(&self) -> Jitter {
        match &self.0 {
            // The seed is mixed when it is used, so neighbouring seeds share only the increment of the generator.
            Some(next) => Jitter::seeded(next.fetch_add(0x5851_f42d_4c95_7f2d, Ordering::Relaxed)),
            None => Jitter::from_entropy(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        attempts_max: 4,
        base: Duration::from_millis(500),
        cap: Duration::from_millis(1_500),
    };

    #[test]
    fn waits_grow_to_a_cap_and_never_undercut_what_was_asked() {
        let busy = Failure::new(Kind::ExchangeUnavailable, "503");
        let told = Failure::new(Kind::ExchangeUnavailable, "429")
            .with_retry_after(Some(Duration::from_secs(9)));
        let odd = Failure::new(Kind::ExchangeUnreadable, "html");
        let no = Failure::new(Kind::ExchangeRefused, "404");
        let ms = |ms| Decision::Wait(Duration::from_millis(ms));
        for (failure, attempt, left_s, jitter, expected, why) in [
            (&busy, 1, 60, 0.5, ms(250), "half of the first ceiling"),
            (&busy, 2, 60, 0.5, ms(500), "doubled"),
            (&busy, 3, 60, 0.5, ms(750), "capped"),
            (&busy, 4, 60, 0.5, Decision::GiveUp, "attempts are bounded"),
            (&busy, 1, 60, 0.0, ms(0), "full jitter begins at nothing"),
            (&told, 1, 60, 0.5, ms(9_000), "not before the other side's time"),
            (&told, 1, 9, 0.5, Decision::GiveUp, "a wait past the deadline is not begun"),
            (&odd, 1, 60, 0.5, ms(250), "an unreadable answer may be a passing one"),
            (&no, 1, 60, 0.5, Decision::GiveUp, "a refusal does not change by asking again"),
        ] {
            let left = Duration::from_secs(left_s);
            assert_eq!(POLICY.decide(failure, attempt, left, jitter), expected, "{why}");
        }
    }

    #[test]
    fn jitter_covers_the_unit_interval() {
        let mut jitter = Jitter::seeded(1);
        let drawn: Vec<f64> = (0..1_000).map(|_| jitter.next_fraction()).collect();
        assert!(drawn.iter().all(|x| (0.0..1.0).contains(x)));
        assert!(drawn.iter().any(|x| *x < 0.05) && drawn.iter().any(|x| *x > 0.95));
    }
}
