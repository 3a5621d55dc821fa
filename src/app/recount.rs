//! Counts stored trades anew where rows may have been deleted by hand or with a partition.

use crate::domain::ticker::Ticker;
use crate::failure::Failure;
use crate::store::Store;

/// The markets of one transaction: whoever stores trades of them waits for it.
const MARKETS_AT_ONCE: usize = 100;

/// Counts the trades of these markets anew. Returns the number of markets whose count was wrong.
pub(super) fn of(markets: &[Ticker], store: &mut dyn Store) -> Result<usize, Failure> {
    let mut wrong = 0;
    for some in markets.chunks(MARKETS_AT_ONCE) {
        wrong += store.recount(some)?;
    }
    Ok(wrong)
}

/// Counts the trades of all markets anew. Returns the number of markets, and of those whose count was wrong.
pub(super) fn all(store: &mut dyn Store) -> Result<(usize, usize), Failure> {
    let markets = store.counted_markets()?;
    Ok((markets.len(), of(&markets, store)?))
}
