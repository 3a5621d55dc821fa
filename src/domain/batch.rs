//! What one transaction commits: rows, and the checkpoints that they justify.
//!
//! A [`Batch`] is filled with what walks found and sealed into a [`Commit`], the only thing a
//! store takes. There is no other way to move a checkpoint.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::checkpoint::{Change, Checkpoint, Claim, Correction, Progress, Retirement};
use super::page::{Row, TapeSpan, Walked};
use super::scope::Scope;
use super::slice::{Slice, SliceKey, SliceProgress, SliceStatus};
use super::ticker::Ticker;
use super::time::Timestamp;
use super::trade::{RawEvent, Rejected};

/// The checkpoints as they are committed, by market: what a pass believes the database holds.
#[derive(Debug, Default)]
pub struct Committed {
    checkpoints: HashMap<Scope, Checkpoint>,
    slices: HashMap<SliceKey, Slice>,
}

impl Committed {
    /// Starts from what was loaded.
    pub fn new(checkpoints: impl IntoIterator<Item = Checkpoint>) -> Committed {
        let checkpoints = checkpoints.into_iter().map(|row| (row.scope.clone(), row)).collect();
        Committed { checkpoints, slices: HashMap::new() }
    }

    /// The ledger of a backfill.
    pub fn of_slices(slices: impl IntoIterator<Item = Slice>) -> Committed {
        let slices = slices.into_iter().map(|slice| (slice.key.clone(), slice)).collect();
        Committed { checkpoints: HashMap::new(), slices }
    }

    /// The slices as they are committed, in no order.
    pub fn slices(&self) -> impl Iterator<Item = &Slice> {
        self.slices.values()
    }

    /// The committed state of a market or the tape.
    pub fn get(&self, scope: &Scope) -> Option<&Checkpoint> {
        self.checkpoints.get(scope)
    }

    /// The committed state of the market of this ticker.
    pub fn market(&self, ticker: &Ticker) -> Option<&Checkpoint> {
        self.get(&ticker.clone().into())
    }

    /// The committed states, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Checkpoint> {
        self.checkpoints.values()
    }

    /// Takes over what a commit made true. Markets that another pass got ahead on are
    /// dropped: this pass no longer knows their state and will not touch them again.
    pub fn apply(&mut self, commit: Commit, receipt: &Receipt) {
        for update in commit.checkpoints {
            if receipt.overtaken.contains(&update.next.scope) {
                self.checkpoints.remove(&update.next.scope);
            } else {
                self.checkpoints.insert(update.next.scope.clone(), update.next);
            }
        }
        for slice in commit.slices {
            self.slices.insert(slice.key.clone(), slice);
        }
    }
}

/// Rows and progress on their way into one transaction.
#[derive(Debug, Default)]
pub struct Batch {
    rows: Vec<Row>,
    rejected: Vec<Rejected>,
    changes: BTreeMap<Scope, Change>,
    tape: TapeSpan,
    slices: BTreeMap<SliceKey, SliceProgress>,
    broken: BTreeSet<SliceKey>,
}

impl Batch {
    /// Adds the rows of a page together with what storing them proves.
    pub fn push(&mut self, walked: Walked) {
        let Walked {
            scope,
            rows,
            rejected,
            progress,
            tape,
            slice,
            heard: _,
            head: _,
            strangers: _,
        } = walked;
        self.note_newest(&scope, &rows);
        if let Some(slice) = slice {
            self.slices.insert(slice.key.clone(), slice);
        }
        self.rows.extend(rows);
        self.rejected.extend(rejected);
        for (scope, progress) in progress {
            self.changes.entry(scope).or_default().progress.push(progress);
        }
        if let Some(TapeSpan { trades, span }) = tape {
            self.tape.trades += trades;
            self.tape.span += span;
        }
    }

    /// The newest trade of each market that has rows here, and of the tape when that was read.
    fn note_newest(&mut self, scope: &Scope, rows: &[Row]) {
        let mut note = |scope: &Scope, at: Timestamp| {
            let newest = match self.changes.get_mut(scope) {
                Some(change) => &mut change.last_trade_at,
                None => &mut self.changes.entry(scope.clone()).or_default().last_trade_at,
            };
            *newest = (*newest).max(Some(at));
        };
        if let Some(newest) = rows.iter().map(|row| row.event.trade.traded_at).max() {
            note(scope, newest);
        }
        for trade in rows.iter().map(|row| &row.event.trade) {
            if !scope.is_market(&trade.market) {
                note(&trade.market.clone().into(), trade.traded_at);
            }
        }
    }

    /// Records that a market could not be read to the end, and why.
    pub fn fail(&mut self, scope: Scope, error: String) {
        self.changes.entry(scope).or_default().error = Some(error);
    }

    /// Records that a slice could not be read to the end: a cursor that a failure followed is not
    /// trusted again.
    pub fn break_off(&mut self, slice: SliceKey) {
        self.broken.insert(slice);
    }

    /// Records that a market is over and fully drained, or that it is back after all.
    pub fn set_retirement(&mut self, scope: Scope, retirement: Retirement) {
        self.changes.entry(scope).or_default().retirement = Some(retirement);
    }

    /// Records up to when a market was heard to have nothing more.
    pub fn check(&mut self, scope: Scope, until: Timestamp) {
        let change = self.changes.entry(scope).or_default();
        change.checked_until = change.checked_until.max(Some(until));
    }

    /// Records that something claimed of a market is false.
    pub fn correct(&mut self, scope: Scope, correction: Correction) {
        self.changes.entry(scope).or_default().progress.push(Progress::Corrected(correction));
    }

    /// Records how much is still to be read of a market that was never level.
    pub fn leave(&mut self, scope: Scope, span: Duration) {
        self.changes.entry(scope).or_default().left = Some(span);
    }

    /// How many rows would be sent.
    pub fn row_count(&self) -> usize {
        self.rows.len() + self.rejected.len()
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.row_count() == 0
            && self.changes.is_empty()
            && self.slices.is_empty()
            && self.broken.is_empty()
    }

    /// Closes the batch: each trade once, sorted by key (which spares both databases most of
    /// their index work), and every checkpoint as it will be.
    ///
    /// The checkpoint of a market that the ledger no longer holds stays where it is; its rows
    /// are stored all the same. `run` is the pass that does it.
    pub fn seal(self, committed: &Committed, run: i64, now: Timestamp) -> Commit {
        let Batch { mut rows, mut rejected, changes, tape, mut slices, broken } = self;
        let offered = rows.len();
        rows.sort_by(|a, b| a.event.trade.trade_id.cmp(&b.event.trade.trade_id));
        let variants = take_variants(&mut rows);
        rejected.sort_by(|a, b| (&a.scope, &a.payload).cmp(&(&b.scope, &b.payload)));
        rejected
            .dedup_by(|later, kept| (&later.scope, &later.payload) == (&kept.scope, &kept.payload));
        let checkpoints = changes
            .into_iter()
            .filter_map(|(scope, change)| {
                let row = committed.get(&scope)?;
                let (next, corrections) = row.after(&change, run, now);
                Some(CheckpointUpdate { expected_version: row.version, next, corrections })
            })
            .collect();
        for key in broken {
            let open = committed.slices.get(&key).filter(|slice| slice.status == SliceStatus::Open);
            if let Some(progress) = slices.get_mut(&key) {
                progress.cursor = None;
            } else if let Some(Slice { status, low, .. }) = open.cloned() {
                slices.insert(key.clone(), SliceProgress { key, status, cursor: None, low });
            }
        }
        let slices = slices
            .into_values()
            .filter_map(|progress| {
                let row = committed.slices.get(&progress.key)?;
                Some(row.after(progress))
            })
            .collect();
        Commit { now, offered, rows, variants, rejected, checkpoints, tape, slices }
    }
}

/// Leaves the first row of each trade; answers with the events of those that say something else of
/// it, each version once.
fn take_variants(rows: &mut Vec<Row>) -> Vec<RawEvent> {
    let mut variants: Vec<RawEvent> = Vec::new();
    rows.dedup_by(|later, kept| {
        let (trade, first) = (&later.event.trade, &kept.event.trade);
        let is_again = trade.trade_id == first.trade_id;
        if is_again && !trade.agrees_with(first) {
            let known =
                variants.iter().rev().take_while(|event| event.trade.trade_id == trade.trade_id);
            if !{ known }.any(|event| event.trade.agrees_with(trade)) {
                variants.push(later.event.clone());
            }
        }
        is_again
    });
    variants
}

/// A checkpoint as it will be, if the row still has the version it was computed from.
#[derive(Debug)]
pub struct CheckpointUpdate {
    expected_version: i64,
    next: Checkpoint,
    corrections: Vec<Correction>,
}

impl CheckpointUpdate {
    /// What the row's `version` must be for the update to happen.
    pub fn expected_version(&self) -> i64 {
        self.expected_version
    }

    /// What was found false: to be recorded if the update happens. Without any the claim never moves back.
    pub fn corrections(&self) -> &[Correction] {
        &self.corrections
    }

    /// Whether the claim may move back.
    pub fn is_lowered(&self) -> bool {
        self.corrections.iter().any(|correction| correction.claim == Claim::CompleteUntil)
    }

    /// The row after it.
    pub fn next(&self) -> &Checkpoint {
        &self.next
    }
}

/// What a store commits in one transaction.
#[derive(Debug)]
pub struct Commit {
    now: Timestamp,
    offered: usize,
    rows: Vec<Row>,
    variants: Vec<RawEvent>,
    rejected: Vec<Rejected>,
    checkpoints: Vec<CheckpointUpdate>,
    tape: TapeSpan,
    slices: Vec<Slice>,
}

impl Commit {
    /// The wall clock at sealing: `received_at`, `ingested_at` and `updated_at`.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How many rows the pages held, before duplicates within the batch were removed.
    pub fn offered(&self) -> usize {
        self.offered
    }

    /// What of it was new, was stored already, and was kept in the raw table only: since it is no
    /// trade, and since it contradicts one.
    pub fn counts(&self, receipt: &Receipt) -> [u64; 4] {
        let (inserted, conflicting) = (receipt.inserted.len(), receipt.conflicting.len());
        let duplicate = self.offered.saturating_sub(inserted + conflicting);
        [inserted, duplicate, receipt.rejected.len(), conflicting]
            .map(|count| u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// Each trade once, in the order of its id.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Events of trades among [`rows`](Commit::rows) that say something else of them.
    pub fn variants(&self) -> &[RawEvent] {
        &self.variants
    }

    /// Events to keep with the reason they were refused, each once, by market and payload.
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// The checkpoints that the rows justify, in the order of their market.
    pub fn checkpoints(&self) -> &[CheckpointUpdate] {
        &self.checkpoints
    }
}

impl Commit {
    /// The slices as they will be, each one version above what the row must have now; sorted by key.
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// How busy the tape was, if it was read.
    pub fn tape(&self) -> TapeSpan {
        self.tape
    }
}

/// What a store did with a [`Commit`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Positions in [`Commit::rows`] of the trades that were not stored before.
    pub inserted: Vec<usize>,
    /// Positions in [`Commit::rejected`] of the events that were not kept before.
    pub rejected: Vec<usize>,
    /// Events that contradict a stored trade and were not kept before.
    pub conflicting: Vec<Rejected>,
    /// Markets whose checkpoint another pass had moved; theirs stays, ours is dropped.
    pub overtaken: Vec<Scope>,
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
