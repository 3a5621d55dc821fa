//! The jobs that are still to be read, and the ends of readings.

use std::collections::VecDeque;

use crate::domain::job::Job;
use crate::domain::page::Guard;
use crate::domain::scope::Scope;
use crate::domain::slice::SliceKey;
use crate::failure::{Failure, Kind, one_line};

use super::Stop;

/// The end of the walk of one market.
#[derive(Debug)]
pub enum Ended {
    /// All trades up to the frozen upper edge of the walk are read.
    Level,
    /// A slice is read to its end, but no evidence shows that the answers were complete.
    Unproven,
    /// The pass ran out of time. Progress is kept.
    OutOfTime,
    /// The answers contradict each other.
    Guarded(Guard),
    /// A request failed, and no attempt is left.
    Failed(Failure),
    /// A bug in this program; the message of the panic is on stderr.
    Panicked,
}

impl Ended {
    /// The error on one line; None if there was none.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Ended::Level | Ended::Unproven | Ended::OutOfTime => None,
            Ended::Guarded(guard) => Some(guard.to_string()),
            Ended::Failed(failure) => Some(one_line(failure)),
            Ended::Panicked => {
                Some("reading it failed for a bug of ours; please report it".to_owned())
            }
        }
    }

    /// Whether the exchange answers, but not usefully: another question may get a better answer.
    fn is_useless(&self) -> bool {
        match self {
            Ended::Guarded(_) => true,
            Ended::Failed(failure) => {
                matches!(failure.kind, Kind::ExchangeRefused | Kind::ExchangeUnreadable)
            }
            Ended::Level | Ended::Unproven | Ended::OutOfTime | Ended::Panicked => false,
        }
    }
}

/// A walk that is over.
#[derive(Debug)]
pub struct Done {
    /// The market or the tape that was read.
    pub scope: Scope,
    /// The checkpoints that the walk was to move.
    pub scopes: Vec<Scope>,
    /// The slice, in a backfill.
    pub slice: Option<SliceKey>,
    /// The end of the walk.
    pub ended: Ended,
}

/// The jobs that no worker has begun, in order.
#[derive(Debug, Default)]
pub struct Queue {
    jobs: VecDeque<Job>,
}

impl Queue {
    /// A queue of these jobs; the first one comes out first.
    pub fn new(jobs: Vec<Job>) -> Queue {
        Queue { jobs: jobs.into() }
    }

    /// The number of jobs.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether no job is left.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The number of markets of all jobs.
    pub fn market_count(&self) -> usize {
        self.jobs.iter().map(Job::market_count).sum()
    }

    /// The next job; None if the pass has stopped.
    pub fn take(&mut self, stopped: Option<Stop>) -> Option<Job> {
        if stopped.is_some() { None } else { self.jobs.pop_front() }
    }

    /// Records the end of a job. If no answer about the tape can be believed, the riders are queued as jobs of their
    /// own, so they are not among the ended ones.
    pub fn done(&mut self, job: Job, ended: Ended) -> Done {
        let (scope, mut scopes) = (job.scope(), job.scopes());
        let slice = job.slice_key().cloned();
        let instead = if ended.is_useless() { job.instead() } else { Vec::new() };
        if !instead.is_empty() {
            scopes.retain(Scope::is_tape);
            self.jobs.extend(instead);
        }
        Done { scope, scopes, slice, ended }
    }
}
