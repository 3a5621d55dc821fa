//! The writer: gathers pages into batches and commits each in one transaction.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::asker::Stop;
use super::reader::{Done, Message, Source};
use super::{Outcome, Sight};
use crate::domain::batch::{Batch, Ledger};
use crate::domain::evidence::Anchor;
use crate::domain::tally::Tally;
use crate::domain::time::Timestamp;
use crate::domain::trade::{Rejected, Ticker};
use crate::failure::Failure;
use crate::store::{RunId, Store};

/// A batch this large is committed: larger ones are hardly faster to store and cost memory.
const BATCH_ROWS_MAX: usize = 10_000;
/// A batch this old is committed, so that a kill costs no more than that.
const BATCH_AGE_MAX: Duration = Duration::from_millis(500);
/// How often the stop flag is looked at while nothing arrives.
const POLL: Duration = Duration::from_millis(50);
/// Readers that are still in a request this long after the end of the budget are left behind.
const GRACE: Duration = Duration::from_secs(2);

pub(super) struct Writer<'a> {
    store: &'a mut dyn Store,
    run: RunId,
    ledger: Ledger,
    source: &'a Source,
    batch: Batch,
    opened_at: Option<Duration>,
    tally: Tally,
    done: Vec<Done>,
    markets: usize,
    markets_done: usize,
    first_rejected: Option<String>,
    first_conflicting: Option<String>,
    store_failure: Option<Failure>,
    heard: HashMap<Ticker, Timestamp>,
    head: Option<Anchor>,
    strangers: BTreeMap<Ticker, Timestamp>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        store: &'a mut dyn Store,
        run: RunId,
        ledger: Ledger,
        source: &'a Source,
        markets: usize,
    ) -> Writer<'a> {
        Writer {
            store,
            run,
            ledger,
            source,
            batch: Batch::default(),
            opened_at: None,
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

    /// Takes messages until every reader is done, the store fails or the pass has to stop.
    pub(super) fn write_all(
        &mut self,
        messages: &Receiver<Message>,
        show: &mut dyn FnMut(Sight<'_>),
    ) {
        let mut over_since = None;
        loop {
            match messages.recv_timeout(POLL.min(self.batch_left())) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if !self.commit_if_due(show) {
                return;
            }
            if let Some(stop) = self.source.asker().stopped() {
                let now = self.now();
                let since = *over_since.get_or_insert(now);
                if stop == Stop::Signal || now.saturating_sub(since) > GRACE {
                    // What has arrived is still stored.
                    for message in messages.try_iter() {
                        self.take(message);
                    }
                    break;
                }
            }
        }
        self.commit_rest(show);
    }

    /// Commits a batch that is full or old; whether the store still takes anything.
    pub(super) fn commit_if_due(&mut self, show: &mut dyn FnMut(Sight<'_>)) -> bool {
        if self.batch.row_count() >= BATCH_ROWS_MAX || self.batch_left().is_zero() {
            self.commit_rest(show);
        }
        self.store_failure.is_none()
    }

    /// Commits what has come.
    pub(super) fn commit_rest(&mut self, show: &mut dyn FnMut(Sight<'_>)) {
        self.commit();
        show(Sight { tally: &self.tally, markets_done: self.markets_done });
    }

    fn now(&self) -> Duration {
        self.source.asker().budget().clock().elapsed()
    }

    /// How long the open batch may wait for more; the longest time when none is open.
    fn batch_left(&self) -> Duration {
        self.opened_at.map_or(Duration::MAX, |opened_at| {
            (opened_at + BATCH_AGE_MAX).saturating_sub(self.now())
        })
    }

    pub(super) fn take(&mut self, message: Message) {
        if self.opened_at.is_none() {
            self.opened_at = Some(self.now());
        }
        match message {
            Message::Page(walked) => {
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
            Message::Ended(done) => {
                if let Some(trouble) = done.ended.trouble() {
                    for market in &done.markets {
                        self.batch.fail(market.clone(), trouble.clone());
                    }
                    if let Some(slice) = &done.slice {
                        self.batch.break_off(slice.clone());
                    }
                }
                self.markets_done += done.markets.len();
                self.done.push(done);
            }
        }
    }

    fn commit(&mut self) {
        self.opened_at = None;
        if self.batch.is_empty() || self.store_failure.is_some() {
            return;
        }
        let now = self.source.asker().budget().clock().now();
        let commit = mem::take(&mut self.batch).seal(&self.ledger, self.run, now);
        match self.store.commit(self.run, &commit) {
            Ok(receipt) => {
                self.tally.add(&commit, &receipt);
                log::debug!(
                    "committed {} rows, {} of them new, and {} checkpoints",
                    commit.rows().len(),
                    receipt.inserted.len(),
                    commit.checkpoints().len(),
                );
                for rejected in receipt.rejected.iter().map(|at| &commit.rejected()[*at]) {
                    self.first_rejected
                        .get_or_insert_with(|| format!("{}: {}", rejected.market, rejected.reason));
                    log::debug!(
                        "{}: event {} is kept in the raw table only: {}",
                        rejected.market,
                        rejected.trade_id.as_deref().unwrap_or("without a readable id"),
                        rejected.reason,
                    );
                }
                for Rejected { market, trade_id, reason, .. } in &receipt.conflicting {
                    let id = trade_id.as_deref().unwrap_or_default();
                    self.first_conflicting
                        .get_or_insert_with(|| format!("{market}: trade {id} {reason}"));
                    log::debug!("{market}: trade {id} is kept in the raw table only: {reason}");
                }
                for market in &receipt.overtaken {
                    log::warn!("{market}: another pass moved its checkpoint; this pass leaves it");
                }
                self.ledger.committed(commit, &receipt);
            }
            Err(failure) => self.store_failure = Some(failure),
        }
    }

    pub(super) fn finish(self) -> Outcome {
        let stop = match &self.store_failure {
            Some(_) => Stop::StoreGone,
            None => self.source.asker().stopped().unwrap_or(Stop::Level),
        };
        Outcome {
            tally: self.tally,
            ledger: self.ledger,
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
