//! The one door to time, and the budget of it that a pass has.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
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
    /// Sleeps until somebody else may have done something: work is never measured by how often.
    fn poll(&self, duration: Duration);
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

    fn poll(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A clock that tests turn: it can be stepped, ahead or back, and runs `scale` times as fast as
/// the machine's. At a scale of zero it goes only by sleep, and sleeping takes hardly any time:
/// then nothing depends on how fast the machine is.
#[derive(Debug)]
pub struct TurnedClock {
    started: Instant,
    started_at: Timestamp,
    turned_us: AtomicI64,
    slept_us: AtomicU64,
    scale: AtomicU32,
}

/// How much is slept at once where only sleep makes time pass: those who work meanwhile see it pass
/// in small steps, each of which takes a hundredth of the machine's time.
const STEP: Duration = Duration::from_millis(50);
const STEP_SHORTENED: u32 = 100;

impl TurnedClock {
    /// A clock that shows `now` and runs `scale` times as fast as the machine's; at zero, only by sleep.
    pub fn start(now: Timestamp, scale: u32) -> TurnedClock {
        TurnedClock {
            started: Instant::now(),
            started_at: now,
            turned_us: AtomicI64::new(0),
            slept_us: AtomicU64::new(0),
            scale: AtomicU32::new(scale),
        }
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

    /// Goes as fast as the machine's from now on, and by no sleep. The wall clock is to be set next.
    pub fn run(&self) {
        self.scale.store(1, Ordering::Relaxed);
    }

    fn scale(&self) -> u32 {
        self.scale.load(Ordering::Relaxed)
    }

    /// What [`TURNED_BY`] has to be for a process with such a clock.
    pub fn to_environment(&self) -> String {
        match self.scale() {
            0 => format!("@{}", self.now().micros()),
            scale => format!("{}x{scale}", self.now().second() - Utc::now().timestamp()),
        }
    }

    /// The clock that the variable [`TURNED_BY`] asks for: `@MICROSECONDS` shows these and goes only by
    /// sleep; `SECONDS` or `SECONDSxSCALE` (such as `-600` or `3600x60`) is turned by so much. `None`
    /// when it is not set, is no such thing, or in a release build.
    pub fn from_environment() -> Option<TurnedClock> {
        if !cfg!(debug_assertions) {
            return None;
        }
        let text = std::env::var(TURNED_BY).ok()?;
        if let Some(us) = text.strip_prefix('@') {
            return Some(TurnedClock::start(Timestamp::from_micros(us.parse().ok()?), 0));
        }
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
        let passed = self.started.elapsed().saturating_mul(self.scale());
        passed.saturating_add(Duration::from_micros(self.slept_us.load(Ordering::Relaxed)))
    }

    fn sleep(&self, duration: Duration) {
        let scale = self.scale();
        if scale > 0 {
            return std::thread::sleep(duration / scale);
        }
        let wakes_at = self.elapsed().saturating_add(duration);
        loop {
            let step = wakes_at.saturating_sub(self.elapsed()).min(STEP);
            if step.is_zero() {
                return;
            }
            std::thread::sleep(step / STEP_SHORTENED);
            let us = u64::try_from(step.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX);
            self.slept_us.fetch_add(us, Ordering::Relaxed);
        }
    }

    fn poll(&self, duration: Duration) {
        std::thread::sleep(duration / self.scale().max(1));
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

    #[test]
    fn a_clock_that_goes_only_by_sleep_knows_nothing_of_the_machines() {
        let clock = TurnedClock::start(Timestamp::from_seconds(1_000), 0);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(clock.elapsed(), Duration::ZERO);
        clock.sleep(Duration::from_nanos(1_500));
        assert_eq!(clock.elapsed(), Duration::from_micros(2));
        clock.sleep(Duration::from_millis(120));
        assert_eq!(clock.elapsed(), Duration::from_micros(120_002));
        assert_eq!(clock.now(), Timestamp::from_micros(1_000_120_002));
    }
}
