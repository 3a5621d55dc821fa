//! Lists of markets, page by page, and markets by name, a request for a hundred.

use std::collections::HashSet;

use super::asker::Asker;
use crate::domain::trade::Ticker;
use crate::failure::{Failure, Kind};
use crate::kalshi::{MARKETS_PER_REQUEST, MarketList, MarketsPage};
use crate::retry::Jitter;

/// A runaway guard: ten million markets.
const PAGES_MAX: usize = 10_000;

/// How asking for a list ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// All of it was read.
    Whole,
    /// The pass ran out of time.
    OutOfTime,
}

/// Reads a list to its end and hands over each page.
pub(super) fn each_page(
    asker: &Asker,
    jitter: &mut Jitter,
    attempts_max: u32,
    list: &MarketList,
    take: &mut dyn FnMut(MarketsPage) -> Result<(), Failure>,
) -> Result<Listing, Failure> {
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let answer = asker.ask_at_most(attempts_max, jitter, |client, left, clock| {
            client.markets(list, cursor.as_deref(), left, clock)
        })?;
        let Some(page) = answer else { return Ok(Listing::OutOfTime) };
        let is_empty = page.tickers.is_empty() && page.first_unreadable.is_none();
        let next = page.cursor.clone();
        tell_unreadable(&page);
        take(page)?;
        if next.is_none() || is_empty {
            return Ok(Listing::Whole);
        }
        if next == cursor {
            break;
        }
        cursor = next;
    }
    let message = "the exchange's list of markets does not end; trying again in the next pass";
    Err(Failure::new(Kind::ExchangeUnreadable, message))
}

/// What the exchange said of markets asked for by name.
#[derive(Debug, Default)]
pub(super) struct ByName {
    /// The answers: at most one of the live markets, one of the archive.
    pub(super) pages: Vec<MarketsPage>,
    /// Those that neither knows.
    pub(super) missing: Vec<Ticker>,
}

/// Asks for at most [`MARKETS_PER_REQUEST`] markets, those not live also in the archive; `None`
/// when the time is over.
pub(super) fn by_name(
    asker: &Asker,
    jitter: &mut Jitter,
    attempts_max: u32,
    tickers: &[Ticker],
) -> Result<Option<ByName>, Failure> {
    debug_assert!(tickers.len() <= MARKETS_PER_REQUEST, "one request names {}", tickers.len());
    let mut answer = ByName { pages: Vec::new(), missing: tickers.to_vec() };
    for is_archived in [false, true] {
        if answer.missing.is_empty() {
            break;
        }
        let list = MarketList::named(&answer.missing);
        let list = if is_archived { list.archived() } else { list };
        let said = asker.ask_at_most(attempts_max, jitter, |client, left, clock| {
            client.markets(&list, None, left, clock)
        })?;
        let Some(mut page) = said else { return Ok(None) };
        tell_unreadable(&page);
        // An exchange that ignores the filter must not pass for one that knows them.
        let wanted: HashSet<&Ticker> = answer.missing.iter().collect();
        page.markets.retain(|sighting| wanted.contains(&sighting.market.ticker));
        page.tickers.retain(|ticker| wanted.contains(ticker));
        let found: HashSet<Ticker> = page.tickers.iter().cloned().collect();
        answer.missing.retain(|ticker| !found.contains(ticker));
        answer.pages.push(page);
    }
    Ok(Some(answer))
}

fn tell_unreadable(page: &MarketsPage) {
    if let Some(reason) = &page.first_unreadable {
        log::warn!("the description of a market could not be read: {reason}");
    }
}
