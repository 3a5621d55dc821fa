//! What is still to be read, and how reading ended.

use std::collections::VecDeque;

use crate::domain::job::Job;
use crate::domain::page::Guard;
use crate::domain::scope::Scope;
use crate::domain::slice::SliceKey;
use crate::failure::{Failure, Kind, one_line};

use super::Stop;

/// How the walk of one market ended.
#[derive(Debug)]
pub enum Ended {
    /// Everything up to its frozen edge is read.
    Level,
    /// A slice is read to its end, and nothing proves that it was shown whole.
    Unproven,
    /// The pass ran out of time; progress is kept.
    OutOfTime,
    /// The answers made no sense together.
    Guarded(Guard),
    /// A request failed for good.
    Failed(Failure),
    /// A bug of ours; what it said is on stderr.
    Panicked,
}

impl Ended {
    /// What went wrong, on one line; nothing if nothing did.
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

    /// Whether the exchange answers, but makes no sense: another question may be answered better.
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
    /// What was read: a market, or the tape.
    pub scope: Scope,
    /// Whose checkpoints it was about.
    pub scopes: Vec<Scope>,
    /// Which slice it was, in a backfill.
    pub slice: Option<SliceKey>,
    /// How it ended.
    pub ended: Ended,
}

/// The jobs that nobody has begun, in order.
#[derive(Debug, Default)]
pub struct Queue {
    jobs: VecDeque<Job>,
}

impl Queue {
    /// These jobs, the first one first.
    pub fn new(jobs: Vec<Job>) -> Queue {
        Queue { jobs: jobs.into() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// How many markets they are about.
    pub fn market_count(&self) -> usize {
        self.jobs.iter().map(Job::market_count).sum()
    }

    /// The next job, unless nothing more is asked.
    pub fn take(&mut self, stopped: Option<Stop>) -> Option<Job> {
        if stopped.is_some() { None } else { self.jobs.pop_front() }
    }

    /// A job is over. Where nothing of the answers about the tape can be believed, its riders are read one
    /// by one: for them it is not over.
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
