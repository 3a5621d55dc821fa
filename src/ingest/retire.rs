//! Retires markets that are over and drained, and takes them back when they trade after all.

use std::collections::BTreeMap;

use crate::domain::batch::{Batch, Committed};
use crate::domain::checkpoint::Retirement;
use crate::domain::lifecycle;
use crate::domain::market::{MarketScope, WatchChange};
use crate::domain::scope::Scope;
use crate::domain::selection::{Selection, Target};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::Failure;
use crate::kalshi::VENUE;
use crate::store::{RunId, Store};

/// Retires and reopens these markets, all in one transaction.
pub fn retire_or_reopen(
    store: &mut dyn Store,
    run: RunId,
    committed: &mut Committed,
    retirements: Vec<(Ticker, Retirement)>,
    now: Timestamp,
) -> Result<(), Failure> {
    if retirements.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::default();
    for (market, retirement) in retirements {
        match retirement {
            Retirement::Retire => log::info!("{market} is over and fully drained: retired"),
            Retirement::Reopen => log::warn!("{market} was retired and trades again: reopened"),
        }
        batch.set_retirement(market.into(), retirement);
    }
    let commit = batch.seal(committed, run, now);
    let receipt = store.commit(run, &commit)?;
    committed.apply(commit, &receipt);
    Ok(())
}

/// Takes back the markets that were retired and still trade on the tape. `newest` is the time of each market's
/// newest trade there. The next pass reads them.
pub fn take_back_traded(
    selection: &Selection,
    store: &mut dyn Store,
    run: RunId,
    newest: &BTreeMap<Ticker, Timestamp>,
    now: Timestamp,
) -> Result<Vec<Ticker>, Failure> {
    let shard = selection.shard();
    let seen: Vec<Ticker> = newest.keys().filter(|ticker| shard.holds(ticker)).cloned().collect();
    if seen.is_empty() {
        return Ok(Vec::new());
    }
    let scopes: Vec<Scope> = seen.into_iter().map(Scope::Market).collect();
    let checkpoints = store.checkpoints_on_record(&scopes)?;
    let back = lifecycle::traded_again(&checkpoints, |market| newest.get(market).copied());
    if back.is_empty() {
        return Ok(Vec::new());
    }
    let mut changes = Vec::new();
    for watch in selection.watches() {
        let scope = match &watch.target {
            Target::Event(event) => MarketScope::Event(event.as_str()),
            Target::Series(series) => MarketScope::Series(series.as_str()),
            Target::Market(_) | Target::All => continue,
        };
        let until = Timestamp::from_seconds(i64::from(i32::MAX));
        let own = store.lifespans(scope, Some(&back), VENUE.first_trades, until)?;
        let joined: Vec<Ticker> = own.into_iter().map(|lifespan| lifespan.market).collect();
        if !joined.is_empty() {
            let watch = watch.target.name();
            changes.push(WatchChange { watch, joined, ..WatchChange::default() });
        }
    }
    if !changes.is_empty() {
        store.save_watches(&changes)?;
    }
    let mut committed = Committed::new(checkpoints);
    let retirements = back.iter().map(|market| (market.clone(), Retirement::Reopen)).collect();
    retire_or_reopen(store, run, &mut committed, retirements, now)?;
    Ok(back)
}
