//! The driver: what is done next, decided without doing anything. No I/O, no thread, no clock, no log.
//!
//! Each machine here is asked for its next effect and told what came of it, with the [`Moment`] at which
//! that is so: [`Question`], one request and its repetitions; [`Reading`], one job in flight; [`Queue`], the jobs
//! that nobody has begun; [`Writing`], batches and the end; [`Manners`], which all questions share; and
//! [`Reconnection`], work that is begun again. [`Verdict`] says what it came to.
//! [`Driver`] is all of them in one, for one thread. Where there are more, each reader has a reading of its
//! own and the writer is another one's; what they say to each other is the same, a [`Message`].

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
    /// Time since some fixed moment; it never goes back.
    pub elapsed: Duration,
    /// Our wall clock.
    pub now: Timestamp,
    /// What is left of the budget; nothing once the program was asked to stop.
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

/// Who carries out what the driver decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drive {
    /// Threads that fetch and decode while the database commits.
    #[default]
    Threads,
    /// One thread, one effect after the other. Which of those that could be carried out is next is drawn, so
    /// seeded dice do the same again.
    Inline,
}
