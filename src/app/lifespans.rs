//! The markets of a selection with their lifespans, also those never read.

use std::time::Duration;

use super::say;
use crate::domain::backfill::Lifespan;
use crate::domain::market::{MarketScope, Status};
use crate::domain::selection::Selection;
use crate::domain::time::Timestamp;
use crate::driver::Verdict;
use crate::failure::Failure;
use crate::ingest::{self, Asker};
use crate::store::{RunId, Store};

/// All markets that the exchange knows in the selection and that traded in this span, as far as that is known.
pub(super) fn of(
    selection: &Selection,
    span: (Timestamp, Timestamp),
    (asker, run): (&Asker, RunId),
    verdict: &mut Verdict,
    store: &mut dyn Store,
) -> Result<Vec<Lifespan>, Failure> {
    let found = if selection.is_all() {
        let synced = ingest::sync(selection, store, asker, Duration::ZERO, run)?;
        let shard = selection.shard();
        let mut lifespans = store.lifespans(MarketScope::All, None, span.0, span.1)?;
        lifespans.retain(|lifespan| shard.holds(&lifespan.market));
        let ingest::Synced { first_unreadable, troubles, is_whole, .. } = synced;
        ingest::Lifespans { lifespans, first_unreadable, troubles, is_whole }
    } else {
        ingest::lifespans(selection, store, asker, span, run)?
    };
    for failure in &found.troubles {
        say(verdict.failure(failure));
    }
    if let Some(reason) = &found.first_unreadable {
        say(verdict.unreadable_market(reason));
    }
    if !found.is_whole {
        say(verdict.incomplete("the exchange has not named all markets; run it again"));
    }
    // The exchange has no figures of a market that it no longer knows.
    let is_known = |lifespan: &Lifespan| lifespan.status != Status::Vanished;
    Ok(found.lifespans.into_iter().filter(is_known).collect())
}
