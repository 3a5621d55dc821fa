//! The commit: rows, and the checkpoints and slices that they justify.

use super::engine::{Access, Engine, Work, statement};
use super::handles::RunId;
use super::value::{Rows, Value, integer, values};
use super::{counts, slices};
use crate::domain::batch::{CheckpointUpdate, Commit, Receipt};
use crate::domain::scope::Scope;
use crate::failure::Failure;

/// The part of a store that stores trades.
pub trait Trades {
    /// Stores rows and moves the checkpoints that they justify. The checkpoints never move without the rows; see
    /// [`Store`](super::Store).
    fn commit(&mut self, run: RunId, commit: &Commit) -> Result<Receipt, Failure>;
}

impl<E: Engine> Trades for E {
    fn commit(&mut self, run: RunId, commit: &Commit) -> Result<Receipt, Failure> {
        self.transact("storing trades", Access::Commit, |work| write(work, run, commit))
    }
}

/// Writes all parts of a commit.
fn write(work: &mut dyn Work, run: RunId, commit: &Commit) -> Result<Receipt, Failure> {
    let stored = work.store_trades(run, commit)?;
    let is_own = |at: &&usize| !stored.ahead.contains(*at);
    let own: Vec<usize> = stored.inserted.iter().filter(is_own).copied().collect();
    counts::add(work, own.iter().map(|at| &commit.rows()[*at].event.trade))?;
    let counted_ahead = stored.inserted.len() - own.len();
    let mut receipt = Receipt {
        inserted: stored.inserted,
        conflicting: stored.conflicting,
        rejected: stored.rejected,
        ..Receipt::default()
    };
    if !commit.checkpoints().is_empty() {
        receipt.overtaken = advance(work, run, commit)?;
    }
    if !commit.slices().is_empty() {
        slices::advance(work, commit, &receipt.inserted)?;
    }
    if commit.offered() + receipt.rejected.len() > 0 {
        let [ingested, duplicate, rejected, conflicting] = commit.counts(&receipt).map(integer);
        let ingested = ingested - integer(counted_ahead);
        let counts = values![run, ingested, duplicate, rejected, conflicting];
        work.execute(statement!("trades", "tally_run"), &counts)?;
    }
    Ok(receipt)
}

/// Moves the checkpoints, and records the false claims that were found on those that moved. Returns the markets whose
/// row did not take the update.
fn advance(work: &mut dyn Work, run: RunId, commit: &Commit) -> Result<Vec<Scope>, Failure> {
    let updates = commit.checkpoints();
    let (source, now) = (values![work.source()], commit.now());
    let rows: Rows<'_> = updates.iter().map(columns).collect();
    let advance = statement!("trades", "advance_checkpoints");
    let moved = work.execute_each_found(advance, &source, &rows, &values![now])?;
    let corrections: Rows<'_> = moved.iter().flat_map(|at| corrections(&updates[*at])).collect();
    work.execute_each(
        statement!("trades", "insert_corrections"),
        &source,
        &corrections,
        &values![run, now],
    )?;
    let is_left = |at: &usize| moved.binary_search(at).is_err();
    let left = (0..updates.len()).filter(is_left);
    Ok(left.map(|at| updates[at].next().scope.clone()).collect())
}

fn columns(update: &CheckpointUpdate) -> [Value<'_>; 26] {
    let next = update.next();
    let walk = next.walk.as_ref();
    let (anchor, walk_anchor) = (next.anchor.as_ref(), walk.and_then(|walk| walk.anchor.as_ref()));
    values![
        &next.scope,
        update.expected_version(),
        next.complete_from,
        next.complete_until,
        next.last_trade_at,
        next.last_success_at,
        walk.and_then(|walk| walk.window.from()),
        walk.map(|walk| walk.window.until()),
        walk.and_then(|walk| walk.cursor.as_deref()),
        walk.and_then(|walk| walk.low),
        next.failures,
        next.last_error.as_deref(),
        next.retired_at,
        next.checked_until,
        anchor.map(|anchor| anchor.at),
        anchor.and_then(|anchor| anchor.id.as_deref()),
        next.quiet.map(|quiet| quiet.until),
        next.quiet.map(|quiet| quiet.run),
        next.carried_until,
        walk_anchor.map(|anchor| anchor.at),
        walk_anchor.and_then(|anchor| anchor.id.as_deref()),
        next.level_at,
        next.left.map(|left| left.span.as_secs_f64()),
        update.is_lowered(),
        next.left.map(|left| left.since),
        next.footing,
    ]
}

fn corrections(update: &CheckpointUpdate) -> impl Iterator<Item = [Value<'_>; 5]> {
    let market = &update.next().scope;
    update.corrections().iter().map(move |found| {
        values![market, found.claim.as_str(), found.claimed, found.proven, found.reason]
    })
}
