//! The one door to time, and the budget of it that a pass has.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::domain::time::Timestamp;

/// Tells and spends time. Tests bring one that moves only when somebody sleeps.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment; never goes back, whatever is done to the wall clock.
    fn elapsed(&self) -> Duration;
    /// Does nothing for that long.
    fn sleep(&self, duration: Duration);
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose `elapsed` begins now.
    pub fn start() -> SystemClock {
        SystemClock { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_chrono(Utc::now())
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A clock that tests turn: it can be stepped, ahead or back, and runs `scale` times as fast as
/// the machine's. Sleeping takes as much less of the machine's time.
#[derive(Debug)]
pub struct TurnedClock {
    started: Instant,
    started_at: Timestamp,
    turned_us: AtomicI64,
    scale: u32,
}

impl TurnedClock {
    /// A clock that shows `now` and runs `scale` times as fast as the machine's.
    pub fn start(now: Timestamp, scale: u32) -> TurnedClock {
        let turned_us = AtomicI64::new(0);
        TurnedClock { started: Instant::now(), started_at: now, turned_us, scale: scale.max(1) }
    }

    /// Turns the wall clock; what has [elapsed](Clock::elapsed) stays as it is, as on a machine
    /// whose time service corrects it.
    pub fn turn(&self, us: i64) {
        self.turned_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Sets the wall clock.
    pub fn set(&self, now: Timestamp) {
        let turned = self.turned_us.load(Ordering::Relaxed);
        let ahead = self.now().micros().saturating_sub(turned);
        self.turned_us.store(now.micros().saturating_sub(ahead), Ordering::Relaxed);
    }

    /// The clock that the variable [`TURNED_BY`] asks for, `SECONDS` or `SECONDSxSCALE` (such as
    /// `-600` or `3600x60`); `None` when it is not set, is no such thing, or in a release build.
    pub fn from_environment() -> Option<TurnedClock> {
        if !cfg!(debug_assertions) {
            return None;
        }
        let text = std::env::var(TURNED_BY).ok()?;
        let (seconds, scale) = text.split_once('x').unwrap_or((&text, "1"));
        let us = seconds.parse::<i64>().ok()?.checked_mul(1_000_000)?;
        let now = Timestamp::from_chrono(Utc::now()).micros().saturating_add(us);
        Some(TurnedClock::start(Timestamp::from_micros(now), scale.parse().ok()?))
    }
}

/// The machine's clock, or the one that a test asks for.
pub fn of_environment() -> Arc<dyn Clock> {
    match TurnedClock::from_environment() {
        Some(turned) => Arc::new(turned),
        None => Arc::new(SystemClock::start()),
    }
}

/// The variable by which a test turns the clock of a process.
pub const TURNED_BY: &str = "KALSHI_TEST_CLOCK";

impl Clock for TurnedClock {
    fn now(&self) -> Timestamp {
        let turned = Timestamp::from_micros(
            self.started_at.micros().saturating_add(self.turned_us.load(Ordering::Relaxed)),
        );
        turned.after(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed().saturating_mul(self.scale)
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration / self.scale);
    }
}

/// Set to a signal's number when one asks the program to stop; zero until then.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicUsize>);

impl StopFlag {
    /// The shared number, for a signal handler to set.
    pub fn number(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }

    /// The signal that asked to stop, if one did.
    pub fn signal(&self) -> Option<u8> {
        u8::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|number| *number != 0)
    }
}

/// How long a pass may go on. Cheap to clone; all threads of a pass share one.
#[derive(Clone)]
pub struct Budget {
    clock: Arc<dyn Clock>,
    ends_at: Duration,
    stop: StopFlag,
}

/// The longest nap between two looks at the stop flag.
const NAP_MAX: Duration = Duration::from_millis(50);

impl Budget {
    /// `span` from now on, or until `stop` is set.
    pub fn new(clock: Arc<dyn Clock>, span: Duration, stop: StopFlag) -> Budget {
        let ends_at = clock.elapsed().saturating_add(span);
        Budget { clock, ends_at, stop }
    }

    /// The clock it is measured with.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// What is left; nothing once the program was asked to stop.
    pub fn left(&self) -> Duration {
        if self.stop.signal().is_some() {
            return Duration::ZERO;
        }
        self.ends_at.saturating_sub(self.clock.elapsed())
    }

    /// Whether the program was asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.signal().is_some()
    }

    /// Whether it is used up.
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Sleeps, but no longer than the budget lasts. Whether anything is left afterwards.
    pub fn sleep(&self, duration: Duration) -> bool {
        let wakes_at = self.clock.elapsed().saturating_add(duration);
        loop {
            let rest = wakes_at.saturating_sub(self.clock.elapsed()).min(self.left());
            if rest.is_zero() {
                return !self.is_over();
            }
            self.clock.sleep(rest.min(NAP_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_clock_is_stepped_and_scaled_but_elapses_forward() {
        let clock = TurnedClock::start(Timestamp::from_seconds(1_000), 1_000);
        let before = clock.elapsed();
        clock.sleep(Duration::from_secs(5));
        assert!(clock.elapsed() >= before + Duration::from_secs(5), "scaled");
        assert!(clock.now() >= Timestamp::from_seconds(1_005), "scaled");
        clock.turn(-3_600_000_000);
        assert!(clock.now() < Timestamp::from_seconds(0), "stepped back");
        assert!(clock.elapsed() >= before + Duration::from_secs(5), "and still elapses");
        clock.set(Timestamp::from_seconds(90_000));
        assert!(clock.now() >= Timestamp::from_seconds(90_000), "set");
    }
}
