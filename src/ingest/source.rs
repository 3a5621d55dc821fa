//! The state that all readers of a pass share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::asker::Asker;
use crate::domain::job::{Background, Job};
use crate::domain::page::Rules;
use crate::driver::{Done, Ended, Queue, Terms};

/// The state that the readers of a pass share.
pub struct Source {
    asker: Arc<Asker>,
    terms: Terms,
    queue: Mutex<Queue>,
}

impl Source {
    /// Makes a source that asks through `asker` and walks by `rules`.
    pub fn new(asker: Arc<Asker>, rules: Rules, background: Background) -> Source {
        let terms = Terms { rules, background, policy: asker.policy() };
        Source { asker, terms, queue: Mutex::default() }
    }

    /// The asker of this source.
    pub fn asker(&self) -> &Asker {
        &self.asker
    }

    /// The terms on which jobs are done.
    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Puts these jobs into the queue.
    pub(super) fn enqueue(&self, jobs: Vec<Job>) {
        *self.queue() = Queue::new(jobs);
    }

    /// The next job, unless no more questions are asked.
    pub(super) fn next_job(&self) -> Option<Job> {
        let stopped = self.asker.stopped();
        self.queue().take(stopped)
    }

    /// Notes that a job has ended.
    pub(super) fn done(&self, job: Job, ended: Ended) -> Done {
        self.queue().done(job, ended)
    }

    /// The jobs that are still to be done.
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
