//! The one door to time, and the budget of it that a pass has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
