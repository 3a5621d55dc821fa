//! The clock of a simulated process: it moves when a process waits.

use std::sync::Arc;
use std::time::Duration;

use kalshi_ingest::clock::Clock;
use kalshi_ingest::domain::time::Timestamp;

use crate::machine::Machine;

/// The clock as one process sees it.
pub struct TheirClock {
    /// The machine of the process.
    pub machine: Arc<Machine>,
    /// The number of the process.
    pub process: usize,
}

impl Clock for TheirClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.machine.state().ours())
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.machine.state().elapsed()).unwrap_or(0))
    }

    fn sleep(&self, duration: Duration) {
        // A wait that is shorter than the unit of time still counts as a wait.
        let us = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX).max(1);
        self.machine.sleep(self.process, us);
    }
    fn poll(&self, duration: Duration) {
        self.sleep(duration);
    }
}
