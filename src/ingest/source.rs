//! What all who read for a pass share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::asker::Asker;
use crate::domain::job::{Background, Job};
use crate::domain::page::Rules;
use crate::driver::{Done, Ended, Queue, Terms};

/// Everything the readers of a pass share.
pub struct Source {
    asker: Arc<Asker>,
    terms: Terms,
    queue: Mutex<Queue>,
}

impl Source {
    /// A source of what `asker` is told, walked as `rules` say.
    pub fn new(asker: Arc<Asker>, rules: Rules, background: Background) -> Source {
        let terms = Terms { rules, background, policy: asker.policy() };
        Source { asker, terms, queue: Mutex::default() }
    }

    /// What it asks with.
    pub fn asker(&self) -> &Asker {
        &self.asker
    }

    /// On which terms jobs are done.
    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Takes these jobs to be done.
    pub(super) fn enqueue(&self, jobs: Vec<Job>) {
        *self.queue() = Queue::new(jobs);
    }

    /// The next job, unless nothing more is asked.
    pub(super) fn next_job(&self) -> Option<Job> {
        let stopped = self.asker.stopped();
        self.queue().take(stopped)
    }

    /// A job is over.
    pub(super) fn done(&self, job: Job, ended: Ended) -> Done {
        self.queue().done(job, ended)
    }

    /// What is still to be done.
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
