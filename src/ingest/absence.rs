//! Asks a second, different question about the rows that an answer left out. An absence counts as a fact only when
//! both questions agree.

use super::asker::Asker;
use crate::domain::selection::Target;
use crate::domain::ticker::Ticker;
use crate::domain::tier::Tier;
use crate::failure::Failure;
use crate::kalshi::MarketsPage;
use crate::retry::Jitter;

/// The most pages of events that are read. No series that live markets belong to has two thousand events.
const PAGES_MAX: usize = 10;

/// The result of the questions behind an empty list.
#[derive(Debug)]
pub(super) enum Behind {
    /// The exchange knows no such event or series.
    Unknown,
    /// The event or series exists.
    Known(Events),
    /// The pass ran out of time.
    OutOfTime,
}

/// The markets that the events of an entry show; both lists are empty unless the events were asked for.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The events' markets in the live tier.
    pub(super) pages: Vec<MarketsPage>,
    /// Events without a market in the live tier.
    pub(super) bare: Vec<Ticker>,
}

/// Asks whether this event or series exists, unless `is_known` says so already. With `by_events` it also asks for the
/// markets of its events.
pub(super) fn behind(
    asker: &Asker,
    jitter: &mut Jitter,
    attempts_max: u32,
    target: &Target,
    is_known: bool,
    by_events: bool,
) -> Result<Behind, Failure> {
    if !is_known {
        let answer = asker.ask_at_most(attempts_max, jitter, |client, left, clock| {
            client.knows(target, left, clock)
        })?;
        match answer {
            None => return Ok(Behind::OutOfTime),
            Some(false) => return Ok(Behind::Unknown),
            Some(true) => {}
        }
    }
    let mut events = Events::default();
    let mut cursor: Option<String> = None;
    while by_events && events.pages.len() < PAGES_MAX {
        let answer = asker.ask_at_most(attempts_max, jitter, |client, left, clock| {
            client.events_with_markets(target, cursor.as_deref(), left, clock)
        })?;
        let Some(mut found) = answer else { return Ok(Behind::OutOfTime) };
        events.bare.append(&mut found.bare);
        let next = found.markets.cursor.take();
        // The latest events come first, so no event below one without live markets has any.
        let is_end = found.markets.tickers.is_empty() || next.is_none() || next == cursor;
        events.pages.push(found.markets);
        if is_end {
            break;
        }
        cursor = next;
    }
    Ok(Behind::Known(events))
}

/// The result of asking for one market alone.
#[derive(Debug)]
pub(super) enum Alone {
    /// The description of the market, on a page of one row.
    Known(MarketsPage),
    /// Neither tier knows the market.
    Unknown,
    /// The pass ran out of time.
    OutOfTime,
}

/// Asks for one market by its own routes, in both tiers.
pub(super) fn alone(
    asker: &Asker,
    jitter: &mut Jitter,
    attempts_max: u32,
    market: &Ticker,
) -> Result<Alone, Failure> {
    for tier in [Tier::Live, Tier::Archive] {
        let answer = asker.ask_at_most(attempts_max, jitter, |client, left, clock| {
            client.market(market, tier, left, clock)
        })?;
        match answer {
            None => return Ok(Alone::OutOfTime),
            Some(None) => {}
            Some(Some(page)) => return Ok(Alone::Known(page)),
        }
    }
    Ok(Alone::Unknown)
}
