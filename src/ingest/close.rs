//! The last commit of a pass. It holds the instant up to which each market was heard to have nothing newer, and, of
//! markets that were never level, the span that is still to be read.

use std::collections::HashMap;

use crate::domain::batch::{Batch, Committed};
use crate::domain::freshness;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::failure::Failure;
use crate::kalshi::VENUE;
use crate::store::{RunId, Store};

/// The facts that a pass closes with.
#[derive(Debug)]
pub struct Closing<'a> {
    /// The instant up to which each market was heard to have nothing newer; empty where silence is not plausible.
    pub heard: &'a HashMap<Scope, Timestamp>,
    /// The current time by the exchange's clock.
    pub exchange: Timestamp,
    /// The current time by our clock.
    pub ours: Timestamp,
}

/// Commits the closing in one transaction. It writes nothing when nothing changes.
pub fn close(
    store: &mut dyn Store,
    run: RunId,
    committed: &mut Committed,
    closing: &Closing<'_>,
) -> Result<(), Failure> {
    let mut batch = Batch::default();
    for row in committed.iter().filter(|row| row.retired_at.is_none()) {
        let heard = closing.heard.get(&row.scope).copied();
        let (checked, correction) = freshness::check(row, heard, closing.exchange);
        if let Some(correction) = correction {
            batch.correct(row.scope.clone(), correction);
        }
        if let Some(until) = checked {
            batch.check(row.scope.clone(), until);
        }
        if let Some(span) = freshness::left(row, closing.exchange, VENUE.first_trades) {
            batch.leave(row.scope.clone(), span);
        }
    }
    if batch.is_empty() {
        return Ok(());
    }
    let commit = batch.seal(committed, run, closing.ours);
    let receipt = store.commit(run, &commit)?;
    committed.apply(commit, &receipt);
    Ok(())
}
