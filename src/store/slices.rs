//! The ledger of backfills.

use super::engine::{Access, Engine, Work, statement};
use super::rows::Row;
use super::value::{Rows, Value, values};
use crate::domain::batch::Commit;
use crate::domain::scope::Scope;
use crate::domain::slice::{Slice, SliceKey, SliceStatus};
use crate::domain::ticker::Ticker;
use crate::domain::tier::Tier;
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The name of these writes in an error.
const STORING: &str = "storing the ledger of backfills";

/// The part of a store that holds the slices of backfills.
pub trait Slices {
    /// The slices of these scopes that touch `[from, until)`, by key.
    fn slices(
        &mut self,
        scopes: &[Scope],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Slice>, Failure>;

    /// Records these slices, except those already on record. With `reset`, the latter are set back to the given
    /// values, with the next version number. It is one transaction for any number of slices.
    fn add_slices(&mut self, slices: &[Slice], reset: bool, now: Timestamp) -> Result<(), Failure>;

    /// Completes slices that were read from the live tier, and records `gaps` for the parts that the archive cutoff
    /// has passed over, in one transaction. Only slices with the status `read` change.
    fn complete_slices(
        &mut self,
        complete: &[SliceKey],
        gaps: &[Slice],
        now: Timestamp,
    ) -> Result<(), Failure>;
}

impl<E: Engine> Slices for E {
    fn slices(
        &mut self,
        scopes: &[Scope],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Slice>, Failure> {
        let wanted = values![self.source(), scopes, from, until];
        self.read(
            "loading the ledger of backfills",
            statement!("slices", "load_slices"),
            &wanted,
            slice,
        )
    }

    fn add_slices(&mut self, slices: &[Slice], reset: bool, now: Timestamp) -> Result<(), Failure> {
        let add = if reset {
            statement!("slices", "reset_slices")
        } else {
            statement!("slices", "add_slices")
        };
        let slices: Rows<'_> = slices.iter().map(columns).collect();
        self.transact(STORING, Access::Write, |work| {
            work.execute_each(add, &values![work.source()], &slices, &values![now])?;
            Ok(())
        })
    }

    fn complete_slices(
        &mut self,
        complete: &[SliceKey],
        gaps: &[Slice],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let gaps: Rows<'_> = gaps.iter().map(columns).collect();
        let complete: Rows<'_> = complete.iter().map(key).collect();
        let (source, now) = (values![self.source()], values![now]);
        self.transact(STORING, Access::Write, |work| {
            work.execute_each(statement!("slices", "add_slices"), &source, &gaps, &now)?;
            work.execute_each(statement!("slices", "complete_slices"), &source, &complete, &now)?;
            Ok(())
        })
    }
}

/// Moves the slices of a commit, given its new rows.
pub(super) fn advance(
    work: &mut dyn Work,
    commit: &Commit,
    inserted: &[usize],
) -> Result<(), Failure> {
    let moved = commit.slices().iter().zip(new_by_slice(commit, inserted));
    let moved: Rows<'_> = moved
        .map(|(slice, ingested)| {
            let [scope, tier, from, until, status, cursor, low, version] = columns(slice);
            [scope, tier, from, until, status, cursor, low, version, ingested.into()]
        })
        .collect();
    let (source, now) = (values![work.source()], values![commit.now()]);
    work.execute_each(statement!("slices", "advance_slices"), &source, &moved, &now)?;
    Ok(())
}

/// The columns that identify a slice.
fn key(key: &SliceKey) -> [Value<'_>; 4] {
    values![key.scope(), key.tier().as_str(), key.from(), key.until()]
}

fn columns(slice: &Slice) -> [Value<'_>; 8] {
    let [scope, tier, from, until] = key(&slice.key);
    let (status, cursor) = (slice.status.as_str().into(), slice.cursor.as_deref().into());
    [scope, tier, from, until, status, cursor, slice.low.into(), slice.version.into()]
}

/// Reads a row of `load_slices.sql`.
pub(super) fn slice(row: Row<'_>) -> Result<Slice, Failure> {
    let record = row.of("ingestion_windows");
    let tier = record.parsed("tier", Tier::parse)?;
    let (from, until) = (record.get("window_from")?, record.get("window_until")?);
    let key = SliceKey::new(record.scope("market_ticker")?, tier, from, until);
    Ok(Slice {
        key: key.ok_or_else(|| record.damaged("window_from, window_until"))?,
        status: record.parsed("status", SliceStatus::parse)?,
        cursor: record.get("walk_cursor")?,
        low: record.get("walk_low")?,
        version: record.get("version")?,
    })
}

/// The number of new trades of a commit for each of its slices: those of its market (for the tape, of any market)
/// whose time lies in it.
fn new_by_slice(commit: &Commit, inserted: &[usize]) -> Vec<i64> {
    let trades = || inserted.iter().map(|at| &commit.rows()[*at].event.trade);
    let mut times: Vec<Timestamp> = trades().map(|trade| trade.traded_at).collect();
    times.sort_unstable();
    let mut by_market: Vec<(&Ticker, Timestamp)> =
        trades().map(|trade| (&trade.market, trade.traded_at)).collect();
    by_market.sort_unstable();
    let count = |slice: &Slice| {
        let (from, until) = (slice.key.from(), slice.key.until());
        match slice.key.scope().market() {
            Some(market) => {
                below(&by_market, &(market, until)) - below(&by_market, &(market, from))
            }
            None => below(&times, &until) - below(&times, &from),
        }
    };
    commit.slices().iter().map(|slice| i64::try_from(count(slice)).unwrap_or(i64::MAX)).collect()
}

/// The number of these sorted values that come before `edge`.
fn below<T: Ord>(sorted: &[T], edge: &T) -> usize {
    sorted.partition_point(|value| value < edge)
}
