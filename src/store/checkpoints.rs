//! Checkpoints: the claim of each market. Only `trades` moves them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::counts;
use super::engine::{Access, Engine, Work, only, statement};
use super::rows::checkpoint;
use super::value::values;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::scope::Scope;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The part of a store that reads checkpoints.
pub trait Checkpoints {
    /// The checkpoints of these scopes, in any order. A scope without a checkpoint gets one, first selected at `now`.
    fn checkpoints(&mut self, scopes: &[Scope], now: Timestamp)
    -> Result<Vec<Checkpoint>, Failure>;

    /// The existing checkpoints of these scopes, in any order. Reads only.
    fn checkpoints_on_record(&mut self, scopes: &[Scope]) -> Result<Vec<Checkpoint>, Failure>;

    /// The newest trade that any pass has seen, not after `until`.
    fn newest_trade(&mut self, until: Timestamp) -> Result<Option<Timestamp>, Failure>;

    /// Checkpoints with the stored figures of their markets, by ticker. Reads only.
    fn report(&mut self, which: Reported<'_>, now: Timestamp)
    -> Result<Vec<MarketReport>, Failure>;
}

/// The checkpoints that are reported.
#[derive(Clone, Copy, Debug)]
pub enum Reported<'a> {
    /// All of them.
    All,
    /// Those that are not retired, and these whether they are retired or not.
    ActiveAnd(&'a [Scope]),
    /// These alone.
    Only(&'a [Scope]),
}

/// One market as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketReport {
    /// The claim and the state of the market.
    pub checkpoint: Checkpoint,
    /// The number of stored trades; for the tape, those of every market.
    pub trades_total: i64,
    /// The number of stored trades whose time lies within the last hour.
    pub trades_last_hour: i64,
}

/// The length of the "last hour" before `now`.
const REPORT_SPAN: Duration = Duration::from_secs(3_600);

impl<E: Engine> Checkpoints for E {
    fn checkpoints(
        &mut self,
        scopes: &[Scope],
        now: Timestamp,
    ) -> Result<Vec<Checkpoint>, Failure> {
        self.transact("loading checkpoints", Access::One, |work| {
            let known = load(work, scopes)?;
            if known.len() == scopes.len() {
                return Ok(known);
            }
            work.execute(
                statement!("checkpoints", "select_markets"),
                &values![work.source(), scopes, now],
            )?;
            load(work, scopes)
        })
    }

    fn checkpoints_on_record(&mut self, scopes: &[Scope]) -> Result<Vec<Checkpoint>, Failure> {
        self.transact("loading checkpoints", Access::Read, |work| load(work, scopes))
    }

    fn newest_trade(&mut self, until: Timestamp) -> Result<Option<Timestamp>, Failure> {
        let what = "reading the newest trade";
        only(self.read(
            what,
            statement!("checkpoints", "newest_trade"),
            &values![self.source(), until],
            |row| row.of("ingestion_checkpoints").get("traded_at"),
        )?)
    }

    fn report(
        &mut self,
        which: Reported<'_>,
        now: Timestamp,
    ) -> Result<Vec<MarketReport>, Failure> {
        self.transact("reading the status", Access::ReadAsOne, |work| {
            let checkpoints = reported(work, which)?;
            with_figures(work, checkpoints, now.before(REPORT_SPAN))
        })
    }
}

/// Loads these checkpoints, by ticker.
fn reported(work: &mut dyn Work, which: Reported<'_>) -> Result<Vec<Checkpoint>, Failure> {
    let source = values![work.source()];
    let mut found = match which {
        Reported::All => {
            work.rows(statement!("checkpoints", "load_all_checkpoints"), &source, checkpoint)?
        }
        Reported::ActiveAnd(others) => {
            let mut found =
                work.rows(statement!("overview", "load_active"), &source, checkpoint)?;
            found.extend(load(work, others)?);
            found
        }
        Reported::Only(these) => load(work, these)?,
    };
    found.sort_by(|a, b| a.scope.cmp(&b.scope));
    found.dedup_by(|a, b| a.scope == b.scope);
    Ok(found)
}

/// Adds the counts of the stored trades, and of those since an instant. The table of trades is only read for markets
/// that have traded since.
fn with_figures(
    work: &mut dyn Work,
    checkpoints: Vec<Checkpoint>,
    since: Timestamp,
) -> Result<Vec<MarketReport>, Failure> {
    let markets: Vec<Ticker> =
        checkpoints.iter().filter_map(|row| row.scope.market().cloned()).collect();
    let counts = counts::of(work, &markets)?;
    let has_tape = checkpoints.iter().any(|row| row.scope == Scope::Tape);
    let busy: Vec<Ticker> = if has_tape {
        counts::busy(work, since)?
    } else {
        let is_busy =
            |market: &&Ticker| counts.get(*market).is_some_and(|c| c.last_at > Some(since));
        markets.iter().filter(is_busy).cloned().collect()
    };
    let lately = if busy.is_empty() { BTreeMap::new() } else { counts::since(work, since, &busy)? };
    let tape = if has_tape { (counts::of_all(work)?, lately.values().sum()) } else { (0, 0) };
    let report = |checkpoint: Checkpoint| {
        let (trades_total, trades_last_hour) = match checkpoint.scope.market() {
            Some(market) => (
                counts.get(market).map_or(0, |counted| counted.trades),
                lately.get(market).copied().unwrap_or(0),
            ),
            None => tape,
        };
        MarketReport { checkpoint, trades_total, trades_last_hour }
    };
    Ok(checkpoints.into_iter().map(report).collect())
}

pub(super) fn load(work: &mut dyn Work, scopes: &[Scope]) -> Result<Vec<Checkpoint>, Failure> {
    work.rows(
        statement!("checkpoints", "load_checkpoints"),
        &values![work.source(), scopes],
        checkpoint,
    )
}
