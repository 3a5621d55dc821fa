//! A reader: takes walks off the queue and does each as its core says.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use super::asker::Asker;
use crate::domain::checkpoint::Correction;
use crate::domain::job::{Background, Job};
use crate::domain::page::{End, Guard, Page, PageRequest, Rules, Step, Walked};
use crate::domain::slice::SliceKey;
use crate::domain::trade::Ticker;
use crate::failure::{Failure, Kind, one_line};
use crate::retry::Jitter;

/// Everything the readers of a pass share.
pub struct Source {
    asker: Arc<Asker>,
    rules: Rules,
    background: Background,
    pub(super) queue: Mutex<VecDeque<Job>>,
}

/// How the walk of one market ended.
#[derive(Debug)]
pub enum Ended {
    /// Everything up to its frozen edge is read.
    Level,
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
            Ended::Level | Ended::OutOfTime => None,
            Ended::Guarded(guard) => Some(guard.to_string()),
            Ended::Failed(failure) => Some(one_line(failure)),
            Ended::Panicked => {
                Some("reading it failed for a bug of ours; please report it".to_owned())
            }
        }
    }
}

/// What a reader hands to the writer.
pub(super) enum Message {
    Page(Walked),
    Ended(Done),
}

/// A walk that is over.
#[derive(Debug)]
pub struct Done {
    /// What was read: a market, or the tape.
    pub scope: Ticker,
    /// Whose checkpoints it was about.
    pub markets: Vec<Ticker>,
    /// Which slice it was, in a backfill.
    pub slice: Option<SliceKey>,
    /// How it ended.
    pub ended: Ended,
}

/// The writer is gone: nothing more can be stored.
struct WriterGone;

impl Source {
    /// A source of what `asker` is told, walked as `rules` say.
    pub fn new(asker: Arc<Asker>, rules: Rules, background: Background) -> Source {
        Source { asker, rules, background, queue: Mutex::new(VecDeque::new()) }
    }

    /// What it asks with.
    pub fn asker(&self) -> &Asker {
        &self.asker
    }

    /// Does walks until the queue is empty, the time is over or nobody listens.
    pub(super) fn work(&self, writer: &SyncSender<Message>) {
        let mut jitter = self.asker.jitter();
        while let Some(job) = self.next_job() {
            let (scope, mut markets) = (job.scope(), job.markets());
            let slice = job.slice_key().cloned();
            let walk = || self.read(&job, writer, &mut jitter);
            let ended = match catch_unwind(AssertUnwindSafe(walk)) {
                Ok(Ok(ended)) => ended,
                Ok(Err(WriterGone)) => return,
                Err(_) => Ended::Panicked,
            };
            let instead = if is_useless(&ended) { job.instead() } else { Vec::new() };
            if !instead.is_empty() {
                self.enqueue(instead);
                markets.retain(Ticker::is_tape);
            }
            if writer.send(Message::Ended(Done { scope, markets, slice, ended })).is_err() {
                return;
            }
        }
    }

    fn enqueue(&self, jobs: Vec<Job>) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).extend(jobs);
    }

    fn next_job(&self) -> Option<Job> {
        if self.asker.stopped().is_some() {
            return None;
        }
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Does one walk; says how it ended.
    fn read(
        &self,
        job: &Job,
        writer: &SyncSender<Message>,
        jitter: &mut Jitter,
    ) -> Result<Ended, WriterGone> {
        let mut course = job.begin(self.rules, &self.background);
        let ended = loop {
            let request = match course.next() {
                Step::Done(End::Level) => break Ended::Level,
                Step::Done(End::Guarded(guard)) => break Ended::Guarded(guard),
                Step::Fetch(request) => request,
            };
            if self.asker.budget().is_over() {
                break Ended::OutOfTime;
            }
            match self.asker.ask(jitter, |client, left, clock| client.trades(&request, left, clock))
            {
                Ok(Some(page)) => {
                    log_page(&request, &page);
                    let walked = course.page(page);
                    tell_corrections(&walked);
                    writer.send(Message::Page(walked)).map_err(|_| WriterGone)?;
                }
                Ok(None) => break Ended::OutOfTime,
                Err(failure) if course.has_cursor() && may_be_the_cursor(&failure) => {
                    log::warn!("{}; going on by time", one_line(&failure));
                    course.cursor_refused();
                }
                Err(failure) => break Ended::Failed(failure),
            }
        };
        Ok(ended)
    }
}

/// Tells of what was found false.
fn tell_corrections(walked: &Walked) {
    for (market, Correction { claim, claimed, proven, reason }) in walked.corrections() {
        let left = proven.map_or("nothing".to_owned(), |proven| proven.to_string());
        log::warn!("{market}: {} was {claimed} and is {left} now: {reason}", claim.as_str());
    }
}

/// Whether the exchange answers, but makes no sense: another question may be answered better.
fn is_useless(ended: &Ended) -> bool {
    match ended {
        Ended::Guarded(_) => true,
        Ended::Failed(failure) => {
            matches!(failure.kind, Kind::ExchangeRefused | Kind::ExchangeUnreadable)
        }
        Ended::Level | Ended::OutOfTime | Ended::Panicked => false,
    }
}

/// What a page held, for those who asked to be told; loudly when a filter was ignored.
fn log_page(request: &PageRequest, page: &Page) {
    let market = &request.market;
    log::debug!(
        "{market}: {} trades{}, {} refused, {}",
        page.events.len(),
        page.events
            .last()
            .map_or(String::new(), |last| format!(" down to {}", last.trade.traded_at)),
        page.rejected.len(),
        if page.cursor.is_some() { "more to come" } else { "end of the list" },
    );
}

/// A refusal that could be about the cursor: the same question without one may be answered.
fn may_be_the_cursor(failure: &Failure) -> bool {
    failure.kind == Kind::ExchangeRefused
        && failure.status.is_some_and(|status| (400..500).contains(&status))
}
