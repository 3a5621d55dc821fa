//! The only access to time, and the time budget of a pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::domain::time::Timestamp;

/// Tells the time and sleeps. Tests use an implementation whose time passes only by sleep.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment. It never goes back, even if the wall clock is set.
    fn elapsed(&self) -> Duration;
    /// Sleeps for this duration.
    fn sleep(&self, duration: Duration);
    /// Sleeps until another thread may have done something. Nothing may depend on the number of polls.
    fn poll(&self, duration: Duration);
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose `elapsed` begins at zero now.
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

/// A clock that tests control. Tests can move it forward or back, and it runs `scale` times as fast as the clock of
/// the machine. At a scale of zero its time passes only by sleep, and a sleep takes hardly any real time. Then no
/// result depends on the speed of the machine.
#[derive(Debug)]
pub struct TurnedClock {
    started: Instant,
    started_at: Timestamp,
    turned_us: AtomicI64,
    slept_us: AtomicU64,
    scale: AtomicU32,
}

/// The step in which time passes during a sleep at scale zero. Other threads that work meanwhile see time pass in
/// these small steps. Each step takes a hundredth of its length in real time.
const STEP: Duration = Duration::from_millis(50);
const STEP_SHORTENED: u32 = 100;

impl TurnedClock {
    /// A clock that shows `now` and runs `scale` times as fast as the clock of the machine. At scale zero its time
    /// passes only by sleep.
    pub fn start(now: Timestamp, scale: u32) -> TurnedClock {
        TurnedClock {
            started: Instant::now(),
            started_at: now,
            turned_us: AtomicI64::new(0),
            slept_us: AtomicU64::new(0),
            scale: AtomicU32::new(scale),
        }
    }

    /// Moves the wall clock by `us` microseconds. [Elapsed](Clock::elapsed) time does not change, as on a machine
    /// whose time service corrects its clock.
    pub fn turn(&self, us: i64) {
        self.turned_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Sets the wall clock.
    pub fn set(&self, now: Timestamp) {
        let turned = self.turned_us.load(Ordering::Relaxed);
        let ahead = self.now().micros().saturating_sub(turned);
        self.turned_us.store(now.micros().saturating_sub(ahead), Ordering::Relaxed);
    }

    /// From now on the clock runs as fast as the clock of the machine, and sleep no longer moves it. The caller has
    /// to set the wall clock next.
    pub fn run(&self) {
        self.scale.store(1, Ordering::Relaxed);
    }

    fn scale(&self) -> u32 {
        self.scale.load(Ordering::Relaxed)
    }

    /// The value of [`TURNED_BY`] that gives a process this clock.
    pub fn to_environment(&self) -> String {
        match self.scale() {
            0 => format!("@{}", self.now().micros()),
            scale => format!("{}x{scale}", self.now().second() - Utc::now().timestamp()),
        }
    }

    /// The clock that the variable [`TURNED_BY`] asks for. `@MICROSECONDS` is a clock that shows this instant and
    /// whose time passes only by sleep. `SECONDS` or `SECONDSxSCALE` (such as `-600` or `3600x60`) is a clock moved
    /// by so many seconds, which runs `SCALE` times as fast. `None` if the variable is not set or has another form,
    /// and always in a release build.
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

/// The clock of the machine, or the one that a test asks for.
pub fn of_environment() -> Arc<dyn Clock> {
    match TurnedClock::from_environment() {
        Some(turned) => Arc::new(turned),
        None => Arc::new(SystemClock::start()),
    }
}

/// The environment variable by which a test sets the clock of a process.
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

/// Holds the number of the signal that asked the program to stop; zero until then.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicUsize>);

impl StopFlag {
    /// The shared number; a signal handler sets it.
    pub fn number(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }

    /// The signal that asked to stop; None if no signal came.
    pub fn signal(&self) -> Option<u8> {
        u8::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|number| *number != 0)
    }
}

/// The time that a pass may take. A clone is cheap; all threads of a pass share one budget.
#[derive(Clone)]
pub struct Budget {
    clock: Arc<dyn Clock>,
    ends_at: Duration,
    stop: StopFlag,
}

/// The longest sleep between two checks of the stop flag.
const NAP_MAX: Duration = Duration::from_millis(50);

impl Budget {
    /// A budget of `span` from now on. It ends early when `stop` is set.
    pub fn new(clock: Arc<dyn Clock>, span: Duration, stop: StopFlag) -> Budget {
        let ends_at = clock.elapsed().saturating_add(span);
        Budget { clock, ends_at, stop }
    }

    /// The clock that measures the budget.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// The time that is left; zero after the program was asked to stop.
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

    /// Whether the budget is used up.
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Sleeps, but no longer than the budget lasts. Returns whether any time is left afterwards.
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
