//! A reader: takes walks off the queue and does each as its core says.

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use super::asker::Asker;
use crate::domain::checkpoint::{Checkpoint, Correction};
use crate::domain::evidence::Anchor;
use crate::domain::page::{End, Guard, Page, PageRequest, Rules, Step, Traded, Walked};
use crate::domain::plan::Reading;
use crate::domain::slice::{Slice, SliceKey};
use crate::domain::slice_walk::SliceWalk;
use crate::domain::tape::TapeWalk;
use crate::domain::trade::Ticker;
use crate::domain::walk::Walk;
use crate::failure::{Failure, Kind, one_line};
use crate::retry::Jitter;

/// Everything the readers of a pass share.
pub struct Source {
    asker: Arc<Asker>,
    rules: Rules,
    background: Background,
    pub(super) queue: Mutex<VecDeque<Work>>,
}

/// What is known beside the checkpoints and holds answers against something.
#[derive(Debug, Default)]
pub struct Background {
    /// Which markets have ever traded.
    pub traded: HashMap<Ticker, Traded>,
    /// The newest trade of the tape that passes before were shown.
    pub newest: Option<Anchor>,
}

/// One walk to be done.
#[expect(clippy::large_enum_variant, reason = "a pass has a few thousand, each for a moment")]
#[derive(Debug)]
pub enum Work {
    /// Of a pass.
    Planned(Reading),
    /// Of a backfill.
    Slice {
        /// What the ledger says of it.
        slice: Slice,
        /// Whose rows are kept when it is the tape read for some markets.
        keep: Option<Arc<HashSet<Ticker>>>,
    },
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

/// A walk at work.
pub(super) enum Course {
    Alone(Box<Walk>),
    Tape(Box<TapeWalk>),
    Slice(Box<SliceWalk>),
}

impl Course {
    pub(super) fn next(&self) -> Step {
        match self {
            Course::Alone(walk) => walk.next(),
            Course::Tape(walk) => walk.next(),
            Course::Slice(walk) => walk.next(),
        }
    }

    pub(super) fn page(&mut self, page: Page) -> Walked {
        match self {
            Course::Alone(walk) => walk.page(page),
            Course::Tape(walk) => walk.page(page),
            Course::Slice(walk) => walk.page(page),
        }
    }

    pub(super) fn walk(&mut self) -> &mut Walk {
        match self {
            Course::Alone(walk) => walk,
            Course::Tape(walk) => walk.walk_mut(),
            Course::Slice(walk) => walk.walk_mut(),
        }
    }
}

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
        while let Some(reading) = self.next_work() {
            let (scope, mut markets) = about(&reading);
            let slice = match &reading {
                Work::Slice { slice, .. } => Some(slice.key.clone()),
                Work::Planned(_) => None,
            };
            let walk = || self.read(&reading, writer, &mut jitter);
            let ended = match catch_unwind(AssertUnwindSafe(walk)) {
                Ok(Ok(ended)) => ended,
                Ok(Err(WriterGone)) => return,
                Err(_) => Ended::Panicked,
            };
            if let Work::Planned(Reading::Tape { riders, .. }) = reading
                && is_useless(&ended)
            {
                // What the tape does not give is still to be had market by market.
                self.enqueue(
                    riders
                        .into_iter()
                        .filter(|rider| markets.contains(&rider.market))
                        .map(|rider| Work::Planned(Reading::Alone(rider))),
                );
                markets.retain(Ticker::is_tape);
            }
            if writer.send(Message::Ended(Done { scope, markets, slice, ended })).is_err() {
                return;
            }
        }
    }

    pub(super) fn enqueue(&self, work: impl Iterator<Item = Work>) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).extend(work);
    }

    pub(super) fn next_work(&self) -> Option<Work> {
        if self.asker.stopped().is_some() {
            return None;
        }
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(super) fn course(&self, work: &Work) -> Course {
        match work {
            Work::Planned(Reading::Alone(checkpoint)) => {
                let traded = self.traded(&checkpoint.market);
                Course::Alone(Box::new(Walk::new(checkpoint, self.rules).traded(traded)))
            }
            Work::Planned(Reading::Tape { tape, riders }) => Course::Tape(Box::new(match tape {
                Some(tape) => TapeWalk::of_all(tape, riders, self.rules),
                None => TapeWalk::of_riders(riders, self.background.newest.clone(), self.rules),
            })),
            Work::Slice { slice, keep } => {
                let traded =
                    if keep.is_some() { Traded::Unknown } else { self.traded(slice.key.market()) };
                Course::Slice(Box::new(SliceWalk::new(slice, keep.clone(), traded, self.rules)))
            }
        }
    }

    /// Does one walk; says how it ended.
    fn read(
        &self,
        work: &Work,
        writer: &SyncSender<Message>,
        jitter: &mut Jitter,
    ) -> Result<Ended, WriterGone> {
        let mut course = self.course(work);
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
                Err(failure) if course.walk().has_cursor() && may_be_the_cursor(&failure) => {
                    log::warn!("{}; going on by time", one_line(&failure));
                    course.walk().cursor_refused();
                }
                Err(failure) => break Ended::Failed(failure),
            }
        };
        Ok(ended)
    }

    /// Whether a market has ever traded, as far as its description says.
    fn traded(&self, market: &Ticker) -> Traded {
        self.background.traded.get(market).copied().unwrap_or_default()
    }
}

/// Tells of what was found false.
pub(super) fn tell_corrections(walked: &Walked) {
    for (market, Correction { claim, claimed, proven, reason }) in walked.corrections() {
        let left = proven.map_or("nothing".to_owned(), |proven| proven.to_string());
        log::warn!("{market}: {} was {claimed} and is {left} now: {reason}", claim.as_str());
    }
}

/// Whether the exchange answers, but makes no sense: another question may be answered better.
pub(super) fn is_useless(ended: &Ended) -> bool {
    match ended {
        Ended::Guarded(_) => true,
        Ended::Failed(failure) => {
            matches!(failure.kind, Kind::ExchangeRefused | Kind::ExchangeUnreadable)
        }
        Ended::Level | Ended::OutOfTime | Ended::Panicked => false,
    }
}

/// What a walk reads, and whose checkpoints it is about.
pub(super) fn about(work: &Work) -> (Ticker, Vec<Ticker>) {
    match work {
        Work::Planned(Reading::Alone(checkpoint)) => {
            (checkpoint.market.clone(), vec![checkpoint.market.clone()])
        }
        Work::Planned(Reading::Tape { tape, riders }) => {
            let market = |row: &Checkpoint| row.market.clone();
            (Ticker::tape(), tape.iter().chain(riders).map(market).collect())
        }
        Work::Slice { slice, .. } => (slice.key.market().clone(), vec![slice.key.market().clone()]),
    }
}

/// What a page held, for those who asked to be told; loudly when a filter was ignored.
pub(super) fn log_page(request: &PageRequest, page: &Page) {
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
pub(super) fn may_be_the_cursor(failure: &Failure) -> bool {
    failure.kind == Kind::ExchangeRefused
        && failure.status.is_some_and(|status| (400..500).contains(&status))
}
