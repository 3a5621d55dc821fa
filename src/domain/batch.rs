//! One transaction: rows, and the checkpoints that they justify.
//!
//! A [`Batch`] gathers the results of walks and is sealed into a [`Commit`], the only value that a store takes. There
//! is no other way to move a checkpoint.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::checkpoint::{Change, Checkpoint, Claim, Correction, Progress, Retirement};
use super::page::{Row, TapeSpan, Walked};
use super::scope::Scope;
use super::slice::{Slice, SliceKey, SliceProgress, SliceStatus};
use super::ticker::Ticker;
use super::time::Timestamp;
use super::trade::{RawEvent, Rejected};

/// The committed checkpoints, by market: the state that a pass believes to be in the database.
#[derive(Debug, Default)]
pub struct Committed {
    checkpoints: HashMap<Scope, Checkpoint>,
    slices: HashMap<SliceKey, Slice>,
}

impl Committed {
    /// The state that was loaded.
    pub fn new(checkpoints: impl IntoIterator<Item = Checkpoint>) -> Committed {
        let checkpoints = checkpoints.into_iter().map(|row| (row.scope.clone(), row)).collect();
        Committed { checkpoints, slices: HashMap::new() }
    }

    /// The loaded ledger of a backfill.
    pub fn of_slices(slices: impl IntoIterator<Item = Slice>) -> Committed {
        let slices = slices.into_iter().map(|slice| (slice.key.clone(), slice)).collect();
        Committed { checkpoints: HashMap::new(), slices }
    }

    /// The committed slices, in no order.
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

    /// Takes over the result of a commit. A market whose checkpoint another pass has moved is dropped: this pass no
    /// longer knows its state and does not touch it again.
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

/// Rows and progress that wait for one transaction.
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
    /// Adds the rows of a page, together with the progress that they prove once they are stored.
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

    /// Notes the newest trade of each market with rows here, and of the tape if that was read.
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

    /// Records that a market could not be read to the end, with the error.
    pub fn fail(&mut self, scope: Scope, error: String) {
        self.changes.entry(scope).or_default().error = Some(error);
    }

    /// Records that a slice could not be read to the end. Its cursor is dropped, because a failure followed it.
    pub fn break_off(&mut self, slice: SliceKey) {
        self.broken.insert(slice);
    }

    /// Records that a market is over and fully drained, or that it trades again.
    pub fn set_retirement(&mut self, scope: Scope, retirement: Retirement) {
        self.changes.entry(scope).or_default().retirement = Some(retirement);
    }

    /// Records the instant up to which a market was heard to have nothing newer.
    pub fn check(&mut self, scope: Scope, until: Timestamp) {
        let change = self.changes.entry(scope).or_default();
        change.checked_until = change.checked_until.max(Some(until));
    }

    /// Records that a claim about a market is false.
    pub fn correct(&mut self, scope: Scope, correction: Correction) {
        self.changes.entry(scope).or_default().progress.push(Progress::Corrected(correction));
    }

    /// Records how much is still to be read of a market that was never level.
    pub fn leave(&mut self, scope: Scope, span: Duration) {
        self.changes.entry(scope).or_default().left = Some(span);
    }

    /// The number of rows that a commit would send.
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

    /// Closes the batch. Each trade is kept once, sorted by key, which spares both databases most of their index
    /// work, and every checkpoint gets its next state.
    ///
    /// If `committed` no longer holds a market, its checkpoint stays as it is, but its rows are stored. `run` is the
    /// pass that commits.
    pub fn seal(self, committed: &Committed, run: i64, now: Timestamp) -> Commit {
        let Batch { mut rows, mut rejected, changes, tape, mut slices, broken } = self;
        let offered = rows.len();
        rows = sorted_by_id(rows);
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

/// Sorts rows by the id of their trade; rows of one trade stay in their order. Rows are big and their ids lie apart in
/// memory, so keys are sorted that hold the first bytes of an id, and each row is moved once.
fn sorted_by_id(rows: Vec<Row>) -> Vec<Row> {
    let mut keys: Vec<(u128, usize)> = rows
        .iter()
        .enumerate()
        .map(|(at, row)| (id_prefix(&row.event.trade.trade_id), at))
        .collect();
    let id = |at: usize| &*rows[at].event.trade.trade_id;
    keys.sort_unstable_by(|(a, first), (b, second)| {
        a.cmp(b).then_with(|| id(*first).cmp(id(*second))).then(first.cmp(second))
    });
    let mut rows: Vec<Option<Row>> = rows.into_iter().map(Some).collect();
    keys.into_iter().filter_map(|(_, at)| rows[at].take()).collect()
}

/// The first sixteen bytes of an id as a number of the same order. An id has no zero bytes, which fill a short one.
fn id_prefix(id: &str) -> u128 {
    let mut bytes = [0; 16];
    for (byte, letter) in bytes.iter_mut().zip(id.bytes()) {
        *byte = letter;
    }
    u128::from_be_bytes(bytes)
}

/// Keeps the first row of each trade. Returns the events with other values for the same trade, each version once.
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

/// The next state of a checkpoint. It is written only if the row still has the version that it was computed from.
#[derive(Debug)]
pub struct CheckpointUpdate {
    expected_version: i64,
    next: Checkpoint,
    corrections: Vec<Correction>,
}

impl CheckpointUpdate {
    /// The `version` that the row must have for the update to happen.
    pub fn expected_version(&self) -> i64 {
        self.expected_version
    }

    /// The claims that were found false; they are recorded if the update happens. Without a correction the claim
    /// never moves back.
    pub fn corrections(&self) -> &[Correction] {
        &self.corrections
    }

    /// Whether the claim may move back.
    pub fn is_lowered(&self) -> bool {
        self.corrections.iter().any(|correction| correction.claim == Claim::CompleteUntil)
    }

    /// The row after the update.
    pub fn next(&self) -> &Checkpoint {
        &self.next
    }
}

/// The rows and checkpoints that a store commits in one transaction.
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
    /// Our clock at sealing: `received_at`, `ingested_at` and `updated_at`.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The number of rows on the pages, before duplicates within the batch were removed.
    pub fn offered(&self) -> usize {
        self.offered
    }

    /// Four counts: new trades; trades that were stored already; events kept in the raw table only because they are
    /// no trades; events kept there because they contradict a trade.
    pub fn counts(&self, receipt: &Receipt) -> [u64; 4] {
        let (inserted, conflicting) = (receipt.inserted.len(), receipt.conflicting.len());
        let duplicate = self.offered.saturating_sub(inserted + conflicting);
        [inserted, duplicate, receipt.rejected.len(), conflicting]
            .map(|count| u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// The rows, each trade once, in the order of the ids.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Events with other values for a trade among the [`rows`](Commit::rows).
    pub fn variants(&self) -> &[RawEvent] {
        &self.variants
    }

    /// Refused events, each once, by market and payload. They are kept with the reason.
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// The checkpoints that the rows justify, in the order of their markets.
    pub fn checkpoints(&self) -> &[CheckpointUpdate] {
        &self.checkpoints
    }
}

impl Commit {
    /// The next states of the slices, sorted by key. Each is one version above the version that the row must have
    /// now.
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// The trade count of the tape, if the tape was read.
    pub fn tape(&self) -> TapeSpan {
        self.tape
    }
}

/// The result of a [`Commit`] in a store.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Positions in [`Commit::rows`] of the trades that were not stored before.
    pub inserted: Vec<usize>,
    /// Positions in [`Commit::rejected`] of the events that were not kept before.
    pub rejected: Vec<usize>,
    /// Events that contradict a stored trade and were not kept before.
    pub conflicting: Vec<Rejected>,
    /// Markets whose checkpoint another pass had moved. The row of that pass stays, and ours is dropped.
    pub overtaken: Vec<Scope>,
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
