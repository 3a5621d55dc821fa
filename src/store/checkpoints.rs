//! Checkpoints: the claim of each market. Only `trades` moves them.

use std::time::Duration;

use super::engine::{Access, Engine, Work, only, statement};
use super::rows::{Row, checkpoint};
use super::value::values;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::scope::Scope;
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

    /// Every checkpoint with the stored figures of its market, by ticker. Reads only.
    fn report(&mut self, now: Timestamp) -> Result<Vec<MarketReport>, Failure>;
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

    fn report(&mut self, now: Timestamp) -> Result<Vec<MarketReport>, Failure> {
        let report = |row: Row<'_>| {
            let record = row.of("ingestion_checkpoints");
            Ok(MarketReport {
                checkpoint: checkpoint(row)?,
                trades_total: record.get("trades_total")?,
                trades_last_hour: record.get("trades_last_hour")?,
            })
        };
        let since = values![self.source(), now.before(REPORT_SPAN)];
        self.scan("reading the status", statement!("checkpoints", "report_markets"), &since, report)
    }
}

fn load(work: &mut dyn Work, scopes: &[Scope]) -> Result<Vec<Checkpoint>, Failure> {
    work.rows(
        statement!("checkpoints", "load_checkpoints"),
        &values![work.source(), scopes],
        checkpoint,
    )
}
