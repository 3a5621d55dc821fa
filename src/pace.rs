//! The token bucket that all workers of a pass share. It decides how long to wait; the caller waits.
//!
//! The exchange was seen to give no hint with its 429 (no `Retry-After`, no `X-RateLimit-*`), so the bucket finds the
//! accepted rate itself; a `Retry-After` that comes is obeyed. It halves the rate at a refusal, at most once a
//! second, and raises it in small steps with every answer.

use std::time::Duration;

/// The limit of requests per second that all requests share. Every time is a reading of one monotonic clock, passed
/// by the caller.
#[derive(Debug)]
pub struct Pace {
    rate_full: f64,
    rate: f64,
    tokens: f64,
    capacity: f64,
    updated_at: Duration,
    slowed_at: Option<Duration>,
    held_until: Duration,
}

/// The lowest rate, as a fraction of the full rate.
const RATE_FLOOR: f64 = 1.0 / 16.0;
/// The fraction of the full rate that one successful answer adds.
const RATE_STEP: f64 = 1.0 / 32.0;
/// Refusals closer together than this count as one: requests in flight are refused together.
const SLOWDOWN_MIN: Duration = Duration::from_secs(1);

impl Pace {
    /// A bucket for `rate` requests per second. The requests of half a second may go at once. That stays below the
    /// bursts that were seen refused (eight in a second at a rate of four).
    pub fn new(rate: f64) -> Pace {
        let capacity = (rate / 2.0).max(1.0);
        Pace {
            rate_full: rate,
            rate,
            tokens: capacity,
            capacity,
            updated_at: Duration::ZERO,
            slowed_at: None,
            held_until: Duration::ZERO,
        }
    }

    /// Takes the next place in the queue. Returns the wait before the request may be sent.
    pub fn reserve(&mut self, now: Duration) -> Duration {
        self.refill(now);
        self.tokens -= 1.0;
        let queue = Duration::from_secs_f64((-self.tokens / self.rate).max(0.0));
        self.held_until.saturating_sub(now).saturating_add(queue)
    }

    /// Sends nothing before `wait` is over, because the other side asked for that.
    pub fn hold(&mut self, now: Duration, wait: Duration) {
        self.held_until = self.held_until.max(now.saturating_add(wait));
    }

    /// Records that a request was refused because requests came too fast.
    pub fn slow_down(&mut self, now: Duration) {
        let is_one_of_many = self.slowed_at.is_some_and(|at| now.saturating_sub(at) < SLOWDOWN_MIN);
        if !is_one_of_many {
            self.refill(now);
            self.rate = (self.rate / 2.0).max(self.rate_full * RATE_FLOOR);
            self.tokens = self.tokens.min(0.0);
            self.slowed_at = Some(now);
        }
    }

    /// Records that a request was answered.
    pub fn accepted(&mut self) {
        self.rate = (self.rate + self.rate_full * RATE_STEP).min(self.rate_full);
    }

    fn refill(&mut self, now: Duration) {
        let gained = now.saturating_sub(self.updated_at).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + gained).min(self.capacity);
        self.updated_at = self.updated_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_is_spread_over_the_rate() {
        let mut pace = Pace::new(4.0);
        let waits: Vec<u128> = (0..6).map(|_| pace.reserve(at(0)).as_millis()).collect();
        assert_eq!(waits, [0, 0, 250, 500, 750, 1_000]);
        assert_eq!(pace.reserve(at(1_250)).as_millis(), 0, "the queue has drained");
    }

    #[test]
    fn what_one_was_told_holds_for_all() {
        let mut pace = Pace::new(4.0);
        pace.hold(at(1_000), at(6_000));
        pace.hold(at(1_000), at(2_000));
        assert_eq!(pace.reserve(at(2_000)).as_millis(), 5_000);
        assert_eq!(pace.reserve(at(8_000)).as_millis(), 0, "over");
    }

    #[test]
    fn an_idle_bucket_does_not_overflow() {
        let mut pace = Pace::new(4.0);
        let waits: Vec<u128> = (0..4).map(|_| pace.reserve(at(60_000)).as_millis()).collect();
        assert_eq!(waits, [0, 0, 250, 500]);
    }

    #[test]
    fn a_refusal_halves_the_rate_once_and_answers_restore_it() {
        let mut pace = Pace::new(8.0);
        for ms in [0, 10, 20] {
            pace.slow_down(at(ms));
        }
        assert!((pace.rate - 4.0).abs() < 1e-9, "three refusals together are one");
        pace.slow_down(at(1_500));
        assert!((pace.rate - 2.0).abs() < 1e-9, "a later one counts");
        for s in 2..20 {
            pace.slow_down(at(s * 1_500));
        }
        assert!((pace.rate - 0.5).abs() < 1e-9, "never slower than a sixteenth");
        for _ in 0..100 {
            pace.accepted();
        }
        assert!((pace.rate - 8.0).abs() < 1e-9, "never faster than asked");
    }
}
