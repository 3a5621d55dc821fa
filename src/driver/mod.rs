//! The driver: what is done next, decided without doing anything. No I/O, no thread, no clock, no log.
//!
//! Each machine here is asked for its next effect and told what came of it, with the [`Moment`] at which
//! that is so. Whoever carries the effects out (`ingest::threads`, `ingest::inline`) has no rule of its own.

mod manners;
mod question;

use std::time::Duration;

pub use manners::{Manners, Notice, Stop};
pub use question::{Effect, Question};

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
    /// One thread, one effect after the other. Which of those that could be carried out is next follows
    /// from the seed, so the same seed does the same.
    Inline {
        /// Of the order, and of the jitter of waits.
        seed: u64,
    },
}
