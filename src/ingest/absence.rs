//! The second, different questions about what an answer left out: an absence is a fact only when
//! they agree.

use super::asker::Asker;
use crate::domain::selection::Target;
use crate::domain::ticker::Ticker;
use crate::domain::tier::Tier;
use crate::failure::Failure;
use crate::kalshi::MarketsPage;
use crate::retry::Jitter;

/// A series of two thousand events that live markets belong to is none.
const PAGES_MAX: usize = 10;

/// What is behind an empty list.
#[derive(Debug)]
pub(super) enum Behind {
    /// There is no such event or series.
    Unknown,
    /// There is.
    Known(Events),
    /// The pass ran out of time.
    OutOfTime,
}

/// What the events of an entry show, if that was asked.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Their markets in the live tier.
    pub(super) pages: Vec<MarketsPage>,
    /// Those without any.
    pub(super) bare: Vec<Ticker>,
}

/// Asks whether there is such an event or series at all, unless that `is_known`, and, if `by_events`, for the markets of its events.
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
        // The latest events come first: below one without live markets there are no more.
        let is_end = found.markets.tickers.is_empty() || next.is_none() || next == cursor;
        events.pages.push(found.markets);
        if is_end {
            break;
        }
        cursor = next;
    }
    Ok(Behind::Known(events))
}

/// What is known of one market.
#[derive(Debug)]
pub(super) enum Alone {
    /// Its description, on a page of one.
    Known(MarketsPage),
    /// Neither tier knows it.
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
