//! Checkpoints: how far each market is complete. They move in `trades` alone.

use std::time::Duration;

use super::engine::{Access, Engine, Work, only, statement};
use super::rows::{Row, checkpoint};
use super::value::values;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The part of a store that tells checkpoints.
pub trait Checkpoints {
    /// The checkpoints of these scopes, in any order; one is made, as first selected now, for each
    /// that has none.
    fn checkpoints(&mut self, scopes: &[Scope], now: Timestamp)
    -> Result<Vec<Checkpoint>, Failure>;

    /// The checkpoints of those of these scopes that have one, in any order. Reads only.
    fn checkpoints_on_record(&mut self, scopes: &[Scope]) -> Result<Vec<Checkpoint>, Failure>;

    /// The newest trade, not after `until`, that any pass has seen.
    fn newest_trade(&mut self, until: Timestamp) -> Result<Option<Timestamp>, Failure>;

    /// Every checkpoint with what is stored of its market, by ticker. Reads only.
    fn report(&mut self, now: Timestamp) -> Result<Vec<MarketReport>, Failure>;
}

/// One market as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketReport {
    /// How far it is complete.
    pub checkpoint: Checkpoint,
    /// Trades stored; of the tape those of every market.
    pub trades_total: i64,
    /// Trades stored whose time lies within the last hour.
    pub trades_last_hour: i64,
}

/// How long before `now` the "last hour" begins.
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
