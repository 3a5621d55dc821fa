//! The writer gathers pages into batches and commits each batch in one transaction, until no more pages come or the
//! pass has to stop.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::time::Duration;

use super::{Done, Moment, Stop};
use crate::domain::batch::{Batch, Commit, Committed, Receipt};
use crate::domain::evidence::Anchor;
use crate::domain::page::Walked;
use crate::domain::scope::Scope;
use crate::domain::tally::Tally;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::trade::Rejected;
use crate::failure::{Failure, Kind};

/// A batch of this size is committed: a larger one is hardly faster to store and costs memory.
const BATCH_ROWS_MAX: usize = 50_000;
/// A batch of this age is committed, so a kill loses no more work than that.
const BATCH_AGE_MAX: Duration = Duration::from_millis(500);
/// The writer does not wait longer than this after the end of the budget for readers that are still in a request.
const GRACE: Duration = Duration::from_secs(2);

/// A message of a reader to the writer.
#[derive(Debug)]
pub enum Message {
    /// A page was read.
    Page(Walked),
    /// A job is over.
    Ended(Done),
}

/// The next effect of the writer.
#[derive(Debug)]
pub enum Write {
    /// [Take](Writing::take) a message, or wait for one at most this long.
    Take(Duration),
    /// Take all messages that have arrived, and report the [end of them](Writing::rest_taken).
    TakeRest,
    /// Commit this batch, and report the [result](Writing::committed).
    Commit(Box<Commit>),
    /// Show the progress.
    Show,
    /// The writer is done.
    End,
}

/// The outcome of a pass.
#[derive(Debug)]
pub struct Outcome {
    /// The counts of the pass.
    pub tally: Tally,
    /// The checkpoints as they are committed now.
    pub committed: Committed,
    /// The ends of the walks; a walk that is missing was never begun.
    pub done: Vec<Done>,
    /// The number of markets whose walk was never begun.
    pub unread: usize,
    /// The reason why the readers stopped.
    pub stop: Stop,
    /// The market and the reason of the first event that could not be normalized.
    pub first_rejected: Option<String>,
    /// The first trade whose values contradict the stored ones, and those values.
    pub first_conflicting: Option<String>,
    /// The failure that stopped the database from taking rows.
    pub store_failure: Option<Failure>,
    /// The instant up to which each market was heard to have nothing newer.
    pub heard: HashMap<Scope, Timestamp>,
    /// The newest trade of the tape, if the tape was read.
    pub head: Option<Anchor>,
    /// The newest trades on the tape of markets that are no riders.
    pub strangers: BTreeMap<Ticker, Timestamp>,
}

impl Outcome {
    /// Takes the failure of a database that broke off; after such a failure the rest can be done again.
    pub fn broken_off(&mut self) -> Option<Failure> {
        self.store_failure.take_if(|failure| failure.kind == Kind::StoreInterrupted)
    }
}

/// The progress of a pass, for the display.
#[derive(Clone, Copy, Debug)]
pub struct PassProgress<'a> {
    /// The counts so far.
    pub tally: &'a Tally,
    /// The number of markets whose walk has ended.
    pub markets_done: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Pages arrive.
    Taking,
    /// The pass has to stop. Pages that have arrived are still stored.
    Draining,
    /// No more pages arrive; the last batch is due.
    Closing,
    Ended,
}

/// The writer of a pass.
#[derive(Debug)]
pub struct Writing {
    run: i64,
    committed: Committed,
    batch: Batch,
    opened_at: Option<Duration>,
    state: State,
    /// Whether the progress is to be shown before the next effect.
    is_news: bool,
    /// The time since which no more requests are sent.
    over_since: Option<Duration>,
    tally: Tally,
    done: Vec<Done>,
    markets: usize,
    markets_done: usize,
    first_rejected: Option<String>,
    first_conflicting: Option<String>,
    store_failure: Option<Failure>,
    heard: HashMap<Scope, Timestamp>,
    head: Option<Anchor>,
    strangers: BTreeMap<Ticker, Timestamp>,
}

impl Writing {
    /// The writer of a pass over this number of markets.
    pub fn new(run: i64, committed: Committed, markets: usize) -> Writing {
        Writing {
            run,
            committed,
            batch: Batch::default(),
            opened_at: None,
            state: State::Taking,
            is_news: false,
            over_since: None,
            tally: Tally::default(),
            done: Vec::new(),
            markets,
            markets_done: 0,
            first_rejected: None,
            first_conflicting: None,
            store_failure: None,
            heard: HashMap::new(),
            head: None,
            strangers: BTreeMap::new(),
        }
    }

    /// The next effect. `stopped` is the reason why no more requests are sent.
    pub fn next(&mut self, moment: Moment, stopped: Option<Stop>) -> Write {
        if mem::take(&mut self.is_news) {
            return Write::Show;
        }
        if self.store_failure.is_some() {
            self.state = State::Ended;
        }
        match self.state {
            State::Taking => {
                let left = self.batch_left(moment);
                if self.batch.row_count() >= BATCH_ROWS_MAX || left.is_zero() {
                    return self.close_batch(moment);
                }
                if stopped.is_some_and(|stop| self.has_to_stop(stop, moment)) {
                    self.state = State::Draining;
                    return Write::TakeRest;
                }
                Write::Take(left)
            }
            State::Draining => Write::TakeRest,
            State::Closing => {
                self.state = State::Ended;
                self.close_batch(moment)
            }
            State::Ended => Write::End,
        }
    }

    /// Whether the writer has to stop. A signal stops it at once. After any other reason, readers in a request may
    /// still bring their page for a while.
    fn has_to_stop(&mut self, stop: Stop, moment: Moment) -> bool {
        let since = *self.over_since.get_or_insert(moment.elapsed);
        stop == Stop::Signal || moment.elapsed.saturating_sub(since) > GRACE
    }

    /// The time that the open batch may still wait for more pages; the longest duration if no batch is open.
    fn batch_left(&self, moment: Moment) -> Duration {
        self.opened_at.map_or(Duration::MAX, |opened_at| {
            (opened_at + BATCH_AGE_MAX).saturating_sub(moment.elapsed)
        })
    }

    fn close_batch(&mut self, moment: Moment) -> Write {
        self.opened_at = None;
        if self.batch.is_empty() {
            return Write::Show;
        }
        let commit = mem::take(&mut self.batch).seal(&self.committed, self.run, moment.now);
        Write::Commit(Box::new(commit))
    }

    /// Takes the message of a reader.
    pub fn take(&mut self, message: Message, moment: Moment) {
        self.opened_at.get_or_insert(moment.elapsed);
        match message {
            Message::Page(walked) => self.take_page(walked),
            Message::Ended(done) => self.take_end(done),
        }
    }

    fn take_page(&mut self, walked: Walked) {
        self.tally.pages += 1;
        self.heard.extend(walked.heard().iter().cloned());
        if let Some(head) = walked.head() {
            self.head = Some(head.clone());
        }
        for (market, at) in walked.strangers() {
            let newest = self.strangers.entry(market.clone()).or_insert(*at);
            *newest = (*at).max(*newest);
        }
        self.batch.push(walked);
    }

    fn take_end(&mut self, done: Done) {
        if let Some(trouble) = done.ended.trouble() {
            for scope in &done.scopes {
                self.batch.fail(scope.clone(), trouble.clone());
            }
            if let Some(slice) = &done.slice {
                self.batch.break_off(slice.clone());
            }
        }
        self.markets_done += done.scopes.len();
        self.done.push(done);
    }

    /// All readers are done.
    pub fn nobody_left(&mut self) {
        self.state = State::Closing;
    }

    /// All messages that had arrived were taken.
    pub fn rest_taken(&mut self) {
        self.state = State::Closing;
    }

    /// Reports the result of a commit.
    pub fn committed(&mut self, commit: Commit, done: Result<Receipt, Failure>) {
        self.is_news = true;
        let receipt = match done {
            Ok(receipt) => receipt,
            Err(failure) => {
                self.store_failure = Some(failure);
                return;
            }
        };
        self.tally.add(&commit, &receipt);
        if let Some(rejected) = receipt.rejected.first().and_then(|at| commit.rejected().get(*at)) {
            self.first_rejected
                .get_or_insert_with(|| format!("{}: {}", rejected.scope, rejected.reason));
        }
        if let Some(Rejected { scope: market, trade_id, reason, .. }) = receipt.conflicting.first()
        {
            let id = trade_id.as_deref().unwrap_or_default();
            self.first_conflicting.get_or_insert_with(|| format!("{market}: trade {id} {reason}"));
        }
        self.committed.apply(commit, &receipt);
    }

    /// The progress so far.
    pub fn pass_progress(&self) -> PassProgress<'_> {
        PassProgress { tally: &self.tally, markets_done: self.markets_done }
    }

    /// The outcome. `stopped` is the reason why no more requests were sent.
    pub fn finish(self, stopped: Option<Stop>) -> Outcome {
        let stop = match &self.store_failure {
            Some(_) => Stop::StoreGone,
            None => stopped.unwrap_or(Stop::Level),
        };
        Outcome {
            tally: self.tally,
            committed: self.committed,
            done: self.done,
            unread: self.markets.saturating_sub(self.markets_done),
            stop,
            first_rejected: self.first_rejected,
            first_conflicting: self.first_conflicting,
            store_failure: self.store_failure,
            heard: self.heard,
            head: self.head,
            strangers: self.strangers,
        }
    }
}
