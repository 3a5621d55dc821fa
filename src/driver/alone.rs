//! A whole pass as one machine: its queue, the jobs in flight, what they have brought, and the writer. One
//! effect at a time; which of those that are possible comes next, dice decide.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Manners, Message, Moment, Notice, Outcome, PassProgress, Queue, Reading, Stop, Terms};
use super::{Turn, Write, Writing};
use crate::domain::batch::{Commit, Receipt};
use crate::domain::job::Job;
use crate::domain::page::{Page, PageRequest};
use crate::failure::Failure;
use crate::retry::Jitter;

/// Pages that may wait between the readers and the writer.
pub const PAGES_WAITING_MAX: usize = 8;

/// What is to be done for a pass.
#[derive(Debug)]
pub enum Effect {
    /// Send this with so much time for the answer, and say what this worker [heard](Driver::heard).
    Ask {
        /// Whose question it is.
        worker: usize,
        /// What is asked.
        request: PageRequest,
        /// How much time there is.
        left: Duration,
    },
    /// Nothing can be done for so long, unless something stops the pass.
    Wait(Duration),
    /// Commit this, and say [what became of it](Driver::committed).
    Commit(Box<Commit>),
    /// Say this.
    Say(Notice),
    /// Show [how far it is](Driver::pass_progress).
    Show,
    /// Nothing more.
    End,
}

/// One of those who read.
#[derive(Debug)]
enum Worker {
    Free,
    Reading(Job, Reading),
    /// Its question is on the way.
    Asking(Job, Reading),
    /// It was answered.
    Heard(Job, Reading, Box<Result<Page, Failure>>),
    /// It has something for the writer, and then goes on so.
    Giving(Box<Message>, Option<(Job, Reading)>),
    Gone,
}

/// What came of letting somebody go on.
enum Step {
    /// It went on; nothing is to be done for it.
    Done,
    /// This is to be done.
    Do(Effect),
    /// It waits: for so long, or for somebody else.
    Waits(Duration),
}

/// A pass at work.
#[derive(Debug)]
pub struct Driver<'a> {
    terms: &'a Terms,
    queue: Queue,
    workers: Vec<Worker>,
    /// What the workers have brought.
    arrived: VecDeque<Message>,
    writing: Writing,
    /// What is to be said before anything else is done.
    notices: VecDeque<Notice>,
    dice: Jitter,
}

impl<'a> Driver<'a> {
    /// A pass of so many workers.
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

    /// What to do next.
    pub fn next(&mut self, manners: &mut Manners, moment: Moment) -> Effect {
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return Effect::Say(notice);
            }
            // The writer is one of those who take turns.
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
                    Step::Do(effect) => return effect,
                    Step::Done => {
                        has_moved = true;
                        break;
                    }
                    Step::Waits(wait) => shortest = shortest.min(wait),
                }
            }
            if !has_moved {
                return Effect::Wait(shortest);
            }
        }
    }

    /// A number below this one.
    fn roll(&mut self, sides: usize) -> usize {
        let sides_nanos = u64::try_from(sides).unwrap_or(1);
        let rolled = Duration::from_nanos(sides_nanos).mul_f64(self.dice.next_fraction());
        usize::try_from(rolled.as_nanos()).unwrap_or(0) % sides
    }

    fn write(&mut self, stopped: Option<Stop>, moment: Moment) -> Step {
        match self.writing.next(moment, stopped) {
            Write::Take(wait) => match self.arrived.pop_front() {
                Some(message) => self.writing.take(message, moment),
                None if self.workers.iter().all(|worker| matches!(worker, Worker::Gone)) => {
                    self.writing.nobody_left();
                }
                None => return Step::Waits(wait),
            },
            Write::TakeRest => {
                for message in self.arrived.drain(..) {
                    self.writing.take(message, moment);
                }
                self.writing.rest_taken();
            }
            Write::Commit(commit) => return Step::Do(Effect::Commit(commit)),
            Write::Show => return Step::Do(Effect::Show),
            Write::End => return Step::Do(Effect::End),
        }
        Step::Done
    }

    fn read(&mut self, worker: usize, manners: &mut Manners, moment: Moment) -> Step {
        let (next, step) = match std::mem::replace(&mut self.workers[worker], Worker::Gone) {
            Worker::Gone => (Worker::Gone, Step::Waits(Duration::MAX)),
            Worker::Free => match self.queue.take(manners.stopped(moment)) {
                Some(job) => {
                    let reading = Reading::begin(&job, self.terms);
                    (Worker::Reading(job, reading), Step::Done)
                }
                None => (Worker::Gone, Step::Done),
            },
            Worker::Reading(job, mut reading) => match reading.next(manners, moment) {
                Turn::Wait(wait) => (Worker::Reading(job, reading), Step::Waits(wait)),
                Turn::Over(ended) => {
                    let done = Box::new(Message::Ended(self.queue.done(job, ended)));
                    (Worker::Giving(done, None), Step::Done)
                }
                Turn::Send(left) => match reading.request().cloned() {
                    Some(request) => {
                        let ask = Effect::Ask { worker, request, left };
                        (Worker::Asking(job, reading), Step::Do(ask))
                    }
                    None => (Worker::Reading(job, reading), Step::Done),
                },
            },
            asking @ Worker::Asking(..) => (asking, Step::Waits(Duration::MAX)),
            Worker::Heard(job, mut reading, answer) => match *answer {
                Ok(page) => {
                    reading.answered(manners);
                    let walked = reading.page(page);
                    self.notices.extend(Notice::of_corrections(&walked));
                    let page = Box::new(Message::Page(walked));
                    (Worker::Giving(page, Some((job, reading))), Step::Done)
                }
                Err(failure) => {
                    let notice = reading.failed(failure, manners, &mut self.dice, moment);
                    self.notices.extend(notice);
                    (Worker::Reading(job, reading), Step::Done)
                }
            },
            giving @ Worker::Giving(..) if self.arrived.len() >= PAGES_WAITING_MAX => {
                (giving, Step::Waits(Duration::MAX))
            }
            Worker::Giving(message, rest) => {
                self.arrived.push_back(*message);
                let next =
                    rest.map_or(Worker::Free, |(job, reading)| Worker::Reading(job, reading));
                (next, Step::Done)
            }
        };
        self.workers[worker] = next;
        step
    }

    /// What the exchange answered to a worker.
    pub fn heard(&mut self, worker: usize, answer: Result<Page, Failure>) {
        let Some(worker) = self.workers.get_mut(worker) else { return };
        *worker = match std::mem::replace(worker, Worker::Gone) {
            Worker::Asking(job, reading) => Worker::Heard(job, reading, Box::new(answer)),
            other => other,
        };
    }

    /// What the database did.
    pub fn committed(&mut self, commit: Commit, done: Result<Receipt, Failure>) {
        self.writing.committed(commit, done);
    }

    /// How far it is.
    pub fn pass_progress(&self) -> PassProgress<'_> {
        self.writing.pass_progress()
    }

    /// What it came to. Answers that nobody has heard are lost.
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
