//! A reader: takes markets off the queue and walks each as its core says.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Budget;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::trade::Ticker;
use crate::domain::walk::{End, Guard, Page, PageRequest, Rules, Step, Walk, Walked};
use crate::failure::{Failure, Kind, one_line};
use crate::kalshi::Client;
use crate::pace::Pace;
use crate::retry::{Decision, Jitter, Policy};

/// A request that the end of the pass cuts off sooner than this is no trouble of the exchange's.
const ANSWER_USUAL: Duration = Duration::from_secs(1);

/// Everything the readers of a pass share.
pub struct Source {
    client: Client,
    pace: Pace,
    policy: Policy,
    rules: Rules,
    budget: Budget,
    retries: AtomicU64,
    /// Set when the exchange refuses this client altogether: nobody needs to ask again.
    is_forbidden: AtomicBool,
    pub(super) queue: Mutex<VecDeque<Checkpoint>>,
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
    Ended(Ticker, Ended),
}

/// The writer is gone: nothing more can be stored.
struct WriterGone;

impl Source {
    /// A source that reads through `client` no faster than `pace` and no longer than `budget`.
    pub fn new(client: Client, pace: Pace, policy: Policy, rules: Rules, budget: Budget) -> Source {
        Source {
            client,
            pace,
            policy,
            rules,
            budget,
            retries: AtomicU64::new(0),
            is_forbidden: AtomicBool::new(false),
            queue: Mutex::new(VecDeque::new()),
        }
    }

    /// The client, for its counters and the exchange's clock.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What is left of the pass.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Requests sent again so far.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Walks markets until the queue is empty, the time is over or nobody listens.
    pub(super) fn work(&self, writer: &SyncSender<Message>) {
        let mut jitter = Jitter::from_entropy();
        while let Some(checkpoint) = self.next_market() {
            let market = checkpoint.market.clone();
            let walk = || self.walk(&checkpoint, writer, &mut jitter);
            let ended = match catch_unwind(AssertUnwindSafe(walk)) {
                Ok(Ok(ended)) => ended,
                Ok(Err(WriterGone)) => return,
                Err(_) => Ended::Panicked,
            };
            if let Ended::Failed(failure) = &ended
                && failure.kind == Kind::ExchangeForbids
            {
                self.is_forbidden.store(true, Ordering::Relaxed);
            }
            if writer.send(Message::Ended(market, ended)).is_err() {
                return;
            }
        }
    }

    fn next_market(&self) -> Option<Checkpoint> {
        if self.budget.is_over() || self.is_forbidden.load(Ordering::Relaxed) {
            return None;
        }
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn walk(
        &self,
        checkpoint: &Checkpoint,
        writer: &SyncSender<Message>,
        jitter: &mut Jitter,
    ) -> Result<Ended, WriterGone> {
        let mut walk = Walk::new(checkpoint, self.rules);
        loop {
            let request = match walk.next() {
                Step::Done(End::Level) => return Ok(Ended::Level),
                Step::Done(End::Guarded(guard)) => return Ok(Ended::Guarded(guard)),
                Step::Fetch(request) => request,
            };
            if self.budget.is_over() {
                return Ok(Ended::OutOfTime);
            }
            match self.fetch(&request, jitter) {
                Ok(Some(page)) => {
                    log_page(&request, &page);
                    let walked = walk.page(page);
                    if let Some(from) = walk.take_misdated() {
                        log::warn!(
                            "{}: its checkpoint was completed by an answer with a wrong date; reading again from {from}",
                            walk.market()
                        );
                    }
                    writer.send(Message::Page(walked)).map_err(|_| WriterGone)?;
                }
                Ok(None) => return Ok(Ended::OutOfTime),
                Err(failure) if walk.has_cursor() && may_be_the_cursor(&failure) => {
                    log::warn!("{}; going on by time", one_line(&failure));
                    walk.cursor_refused();
                }
                Err(failure) => return Ok(Ended::Failed(failure)),
            }
        }
    }

    /// One page, with as many attempts as the policy allows; `None` when the time is over
    /// before anything went wrong.
    fn fetch(&self, request: &PageRequest, jitter: &mut Jitter) -> Result<Option<Page>, Failure> {
        let clock = self.budget.clock();
        let mut last = None;
        for attempt in 1.. {
            let wait = self.pace.reserve(clock.elapsed());
            if !self.budget.sleep(wait) || self.is_forbidden.load(Ordering::Relaxed) {
                break;
            }
            let sent_at = clock.elapsed();
            let failure = match self.client.trades(request, self.budget.left(), clock) {
                Ok(page) => {
                    self.pace.accepted();
                    return Ok(Some(page));
                }
                Err(failure) => failure,
            };
            if failure.status == Some(429) {
                self.pace.refused(clock.elapsed());
            }
            if let Some(wait) = failure.retry_after {
                // It is meant for all of us, not for the one who was told.
                self.pace.hold(clock.elapsed(), wait);
            }
            let left = self.budget.left();
            let took = clock.elapsed().saturating_sub(sent_at);
            if left.is_zero() && failure.status.is_none() && took < ANSWER_USUAL {
                // Our own time was over before an answer could be expected.
                break;
            }
            match self.policy.decide(&failure, attempt, left, jitter.next_fraction()) {
                Decision::GiveUp => return Err(failure),
                Decision::Wait(wait) => {
                    log::warn!(
                        "{}; trying again in {:.1} s (attempt {attempt} of {})",
                        one_line(&failure),
                        wait.as_secs_f64(),
                        self.policy.attempts_max,
                    );
                    if !self.budget.sleep(wait) {
                        return Err(failure);
                    }
                    self.retries.fetch_add(1, Ordering::Relaxed);
                    last = Some(failure);
                }
            }
        }
        last.map_or(Ok(None), Err)
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
    if page.foreign > 0 {
        log::warn!(
            "{market}: left out {} rows of other markets; is the ticker filter ignored?",
            page.foreign
        );
    }
}

/// A refusal that could be about the cursor: the same question without one may be answered.
fn may_be_the_cursor(failure: &Failure) -> bool {
    failure.kind == Kind::ExchangeRefused
        && failure.status.is_some_and(|status| (400..500).contains(&status))
}
