//! The driver decides the next effect of a pass and carries out nothing. It has no I/O, no thread, no clock and no log.
//!
//! The caller asks each state machine here for its next effect and reports the result, together with the [`Moment`]
//! of the result. The machines are:
//!
//! * [`Question`]: one request and its repetitions,
//! * [`Reading`]: one job in flight,
//! * [`Queue`]: the jobs that no worker has begun,
//! * [`Writing`]: the batches and the end,
//! * [`Manners`]: the limits that all questions share,
//! * [`Reconnection`]: work that is begun again.
//!
//! [`Verdict`] says what the result of a pass means. [`Driver`] combines all machines for one thread. With several
//! threads, each reader has a reading of its own, and another thread has the writer. Readers and writer exchange the
//! same value in both cases, a [`Message`].

mod alone;
mod manners;
mod reconnection;
mod question;
mod queue;
mod reading;
#[cfg(test)]
mod stage;
mod verdict;
mod writing;

use std::time::Duration;

pub use alone::{Driver, Effect, PAGES_WAITING_MAX};
pub use manners::{Manners, Notice, Stop};
pub use question::{Ask, Question};
pub use queue::{Done, Ended, Queue};
pub use reading::{Reading, Terms, Turn};
pub use reconnection::{Effort, Reconnection};
pub use verdict::{Ending, Line, Lines, Verdict};
pub use writing::{Message, Outcome, PassProgress, Write, Writing};

use crate::domain::time::Timestamp;

/// An instant, by the clock and the budget of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Time since some fixed moment. It never goes back.
    pub elapsed: Duration,
    /// Our wall clock.
    pub now: Timestamp,
    /// The time left of the budget; zero after the program was asked to stop.
    pub left: Duration,
    /// Whether the program was asked to stop.
    pub is_stopped: bool,
}

impl Moment {
    /// Whether the budget is used up.
    pub fn is_over(&self) -> bool {
        self.left.is_zero()
    }
}

/// The threads that carry out the decisions of the driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drive {
    /// Threads that fetch and decode while the database commits.
    #[default]
    Threads,
    /// One thread, one effect after the other. If several effects are possible, a random number selects the next one,
    /// so a seeded generator repeats the same order.
    Inline,
}
