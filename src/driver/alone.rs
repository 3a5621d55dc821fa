//! A whole pass as one machine: its queue, the jobs in flight, their pages, and the writer. It returns one effect at
//! a time. If several are possible, a random number selects the next one.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Manners, Message, Moment, Notice, Outcome, PassProgress, Queue, Reading, Stop, Terms};
use super::{Turn, Write, Writing};
use crate::domain::batch::{Commit, Receipt};
use crate::domain::job::Job;
use crate::domain::page::{Page, PageRequest};
use crate::failure::Failure;
use crate::retry::Jitter;

/// The number of pages that may wait between the readers and the writer.
pub const PAGES_WAITING_MAX: usize = 8;

/// The next effect of a pass.
#[derive(Debug)]
pub enum Effect {
    /// Send this request, and report the answer of this worker by [heard](Driver::heard).
    Ask {
        /// The worker that asks.
        worker: usize,
        /// The request.
        request: PageRequest,
        /// The time allowed for the answer.
        left: Duration,
    },
    /// Nothing can be done for this time, unless something stops the pass.
    Wait(Duration),
    /// Commit this batch, and report the result by [committed](Driver::committed).
    Commit(Box<Commit>),
    /// Log this notice.
    Say(Notice),
    /// Show the [progress](Driver::pass_progress).
    Show,
    /// The pass is over.
    End,
}

/// One reader.
#[derive(Debug)]
enum Worker {
    Free,
    Reading(Job, Reading),
    /// Its request is in flight.
    Asking(Job, Reading),
    /// Its request was answered.
    Heard(Job, Reading, Box<Result<Page, Failure>>),
    /// It has a message for the writer. Then it continues with the reading, if there is one.
    Giving(Box<Message>, Option<(Job, Reading)>),
    Gone,
}

/// The result of one turn of a worker or of the writer.
enum Doing {
    /// It moved on and needs no effect.
    Done,
    /// It needs this effect.
    Do(Effect),
    /// It waits for this time, or for another worker.
    Waits(Duration),
}

/// A pass in progress.
#[derive(Debug)]
pub struct Driver<'a> {
    terms: &'a Terms,
    queue: Queue,
    workers: Vec<Worker>,
    /// The messages of the workers, until the writer takes them.
    arrived: VecDeque<Message>,
    writing: Writing,
    /// The notices to log before any other effect.
    notices: VecDeque<Notice>,
    dice: Jitter,
}

impl<'a> Driver<'a> {
    /// A pass with this number of workers.
    pub fn new(
        terms: &'a Terms,
        queue: Queue,
        writing: Writing,
        workers: usize,
        dice: Jitter,
    ) -> Driver<'a> {
        let workers = (0..workers.min(queue.len())).map(|_| Worker::Free).collect();
        let (arrived, notices) = (VecDeque::new(), VecDeque::new());
        Driver { terms, queue, workers, arrived, writing, notices, dice }
    }

    /// The next effect.
    pub fn next(&mut self, manners: &mut Manners, moment: Moment) -> Effect {
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return Effect::Say(notice);
            }
            // The writer takes turns with the workers.
            let turns = self.workers.len() + 1;
            let first = self.roll(turns);
            let mut shortest = Duration::MAX;
            let mut has_moved = false;
            for turn in (0..turns).map(|turn| (first + turn) % turns) {
                let step = match turn.checked_sub(1) {
                    None => self.write(manners.stopped(moment), moment),
                    Some(worker) => self.read(worker, manners, moment),
                };
                match step {
                    Doing::Do(effect) => return effect,
                    Doing::Done => {
                        has_moved = true;
                        break;
                    }
                    Doing::Waits(wait) => shortest = shortest.min(wait),
                }
            }
            if !has_moved {
                return Effect::Wait(shortest);
            }
        }
    }

    /// A random number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        let sides_nanos = u64::try_from(sides).unwrap_or(1);
        let rolled = Duration::from_nanos(sides_nanos).mul_f64(self.dice.next_fraction());
        usize::try_from(rolled.as_nanos()).unwrap_or(0) % sides
    }

    fn write(&mut self, stopped: Option<Stop>, moment: Moment) -> Doing {
        match self.writing.next(moment, stopped) {
            Write::Take(wait) => match self.arrived.pop_front() {
                Some(message) => self.writing.take(message, moment),
                None if self.workers.iter().all(|worker| matches!(worker, Worker::Gone)) => {
                    self.writing.nobody_left();
                }
                None => return Doing::Waits(wait),
            },
            Write::TakeRest => {
                for message in self.arrived.drain(..) {
                    self.writing.take(message, moment);
                }
                self.writing.rest_taken();
            }
            Write::Commit(commit) => return Doing::Do(Effect::Commit(commit)),
            Write::Show => return Doing::Do(Effect::Show),
            Write::End => return Doing::Do(Effect::End),
        }
        Doing::Done
    }

    fn read(&mut self, worker: usize, manners: &mut Manners, moment: Moment) -> Doing {
        let (next, step) = match std::mem::replace(&mut self.workers[worker], Worker::Gone) {
            Worker::Gone => (Worker::Gone, Doing::Waits(Duration::MAX)),
            Worker::Free => match self.queue.take(manners.stopped(moment)) {
                Some(job) => {
                    let reading = Reading::begin(&job, self.terms);
                    (Worker::Reading(job, reading), Doing::Done)
                }
                None => (Worker::Gone, Doing::Done),
            },
            Worker::Reading(job, mut reading) => match reading.next(manners, moment) {
                Turn::Wait(wait) => (Worker::Reading(job, reading), Doing::Waits(wait)),
                Turn::Over(ended) => {
                    let done = Box::new(Message::Ended(self.queue.done(job, ended)));
                    (Worker::Giving(done, None), Doing::Done)
                }
                Turn::Send(left) => match reading.request().cloned() {
                    Some(request) => {
                        let ask = Effect::Ask { worker, request, left };
                        (Worker::Asking(job, reading), Doing::Do(ask))
                    }
                    None => (Worker::Reading(job, reading), Doing::Done),
                },
            },
            asking @ Worker::Asking(..) => (asking, Doing::Waits(Duration::MAX)),
            Worker::Heard(job, mut reading, answer) => match *answer {
                Ok(page) => {
                    reading.answered(manners);
                    let walked = reading.page(page);
                    self.notices.extend(Notice::of_corrections(&walked));
                    let page = Box::new(Message::Page(walked));
                    (Worker::Giving(page, Some((job, reading))), Doing::Done)
                }
                Err(failure) => {
                    let notice = reading.failed(failure, manners, &mut self.dice, moment);
                    self.notices.extend(notice);
                    (Worker::Reading(job, reading), Doing::Done)
                }
            },
            giving @ Worker::Giving(..) if self.arrived.len() >= PAGES_WAITING_MAX => {
                (giving, Doing::Waits(Duration::MAX))
            }
            Worker::Giving(message, rest) => {
                self.arrived.push_back(*message);
                let next =
                    rest.map_or(Worker::Free, |(job, reading)| Worker::Reading(job, reading));
                (next, Doing::Done)
            }
        };
        self.workers[worker] = next;
        step
    }

    /// Reports the answer of the exchange to a worker.
    pub fn heard(&mut self, worker: usize, answer: Result<Page, Failure>) {
        let Some(worker) = self.workers.get_mut(worker) else { return };
        *worker = match std::mem::replace(worker, Worker::Gone) {
            Worker::Asking(job, reading) => Worker::Heard(job, reading, Box::new(answer)),
            other => other,
        };
    }

    /// Reports the result of a commit.
    pub fn committed(&mut self, commit: Commit, done: Result<Receipt, Failure>) {
        self.writing.committed(commit, done);
    }

    /// The progress so far.
    pub fn pass_progress(&self) -> PassProgress<'_> {
        self.writing.pass_progress()
    }

    /// The outcome of the pass. Answers that no worker has read are lost.
    pub fn finish(mut self, manners: &mut Manners, moment: Moment) -> Outcome {
        for worker in &mut self.workers {
            if let Worker::Asking(_, reading) | Worker::Heard(_, reading, _) = worker {
                reading.abandon(manners);
            }
        }
        self.writing.finish(manners.stopped(moment))
    }
}

#[cfg(test)]
#[path = "alone_tests.rs"]
mod tests;
