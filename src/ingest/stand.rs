//! Retires markets that are over and drained, and takes them back when they trade after all.

use crate::domain::batch::{Batch, Ledger};
use crate::domain::checkpoint::Standing;
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;
use crate::failure::Failure;
use crate::store::{RunId, Store};

/// Commits these changes of standing, all in one transaction.
pub fn stand(
    store: &mut dyn Store,
    run: RunId,
    ledger: &mut Ledger,
    standings: Vec<(Ticker, Standing)>,
    now: Timestamp,
) -> Result<(), Failure> {
    if standings.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::default();
    for (market, standing) in standings {
        match standing {
            Standing::Retired => log::info!("{market} is over and fully drained: retired"),
            Standing::Reopened => log::warn!("{market} was retired and trades again: reopened"),
        }
        batch.stand(market, standing);
    }
    let commit = batch.seal(ledger, run, now);
    let receipt = store.commit(run, &commit)?;
    ledger.committed(commit, &receipt);
    Ok(())
}
