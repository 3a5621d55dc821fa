//! What becomes of the pages: gathered into batches, each committed in one transaction, until
//! nothing more comes or nothing more can wait.

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

/// A batch this large is committed: larger ones are hardly faster to store and cost memory.
const BATCH_ROWS_MAX: usize = 10_000;
/// A batch this old is committed, so that a kill costs no more than that.
const BATCH_AGE_MAX: Duration = Duration::from_millis(500);
/// Readers that are still in a request this long after the end of the budget are left behind.
const GRACE: Duration = Duration::from_secs(2);

/// What readers say to the writer.
#[derive(Debug)]
pub enum Message {
    /// A page was read.
    Page(Walked),
    /// A job is over.
    Ended(Done),
}

/// What is to be done for the writer.
#[derive(Debug)]
pub enum Write {
    /// [Take](Writing::take) a message, or wait for one so long at most.
    Take(Duration),
    /// Take what has arrived, and say when [that was all](Writing::rest_taken).
    TakeRest,
    /// Commit this, and say [what became of it](Writing::committed).
    Commit(Box<Commit>),
    /// Show how far it is.
    Show,
    /// Nothing more.
    End,
}

/// What a pass came to.
#[derive(Debug)]
pub struct Outcome {
    /// What it did.
    pub tally: Tally,
    /// The checkpoints as they are committed now.
    pub committed: Committed,
    /// How the walks ended; one that is missing was never begun.
    pub done: Vec<Done>,
    /// Markets whose walk was never begun.
    pub unread: usize,
    /// Why the readers stopped.
    pub stop: Stop,
    /// The market and the reason of the first event that could not be normalized.
    pub first_rejected: Option<String>,
    /// The first trade that was seen with other values than the stored ones, and which those are.
    pub first_conflicting: Option<String>,
    /// Why the database stopped taking rows, if it did.
    pub store_failure: Option<Failure>,
    /// Up to when each market was heard to have nothing more.
    pub heard: HashMap<Scope, Timestamp>,
    /// The newest trade of the tape, if that was read.
    pub head: Option<Anchor>,
    /// The newest trades on the tape of markets that it was not read for.
    pub strangers: BTreeMap<Ticker, Timestamp>,
}

impl Outcome {
    /// The failure of a database that broke off, after which the rest can be done again.
    pub fn broken_off(&mut self) -> Option<Failure> {
        self.store_failure.take_if(|failure| failure.kind == Kind::StoreInterrupted)
    }
}

/// How far a pass is, to be shown.
#[derive(Clone, Copy, Debug)]
pub struct PassProgress<'a> {
    /// What was done so far.
    pub tally: &'a Tally,
    /// Markets whose walk has ended.
    pub markets_done: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Pages come.
    Taking,
    /// The pass has to stop: what has arrived is still stored.
    Draining,
    /// Nothing more comes: the last batch.
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
    /// Something is to be shown first.
    is_news: bool,
    /// Since when nothing more is asked.
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
    /// The writer of a pass over so many markets.
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

    /// What to do next; `stopped` says why nothing more is asked, if so.
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

    /// A signal stops at once; otherwise readers in a request may still bring what they were asked for.
    fn has_to_stop(&mut self, stop: Stop, moment: Moment) -> bool {
        let since = *self.over_since.get_or_insert(moment.elapsed);
        stop == Stop::Signal || moment.elapsed.saturating_sub(since) > GRACE
    }

    /// How long the open batch may wait for more; the longest time when none is open.
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

    /// Takes what a reader says.
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

    /// Every reader is done.
    pub fn nobody_left(&mut self) {
        self.state = State::Closing;
    }

    /// All that had arrived was taken.
    pub fn rest_taken(&mut self) {
        self.state = State::Closing;
    }

    /// What the database did.
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

    /// How far it is.
    pub fn pass_progress(&self) -> PassProgress<'_> {
        PassProgress { tally: &self.tally, markets_done: self.markets_done }
    }

    /// What it came to; `stopped` says why nothing more was asked, if so.
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
