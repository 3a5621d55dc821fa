//! Lists of markets, page by page, and markets by name, a request for a hundred.

use std::collections::HashSet;
use std::time::Duration;

use super::asker::Asker;
use crate::domain::selection::Target;
use crate::domain::tier::Tier;
use crate::domain::trade::Ticker;
use crate::failure::{Failure, Kind, one_line};
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
    /// The answers, of the live tier, the archive, or about a single market.
    pub(super) pages: Vec<MarketsPage>,
    /// Those that nobody knows: two differently asked questions agree about it.
    pub(super) missing: Vec<Ticker>,
    /// Those that lists left out and that were not asked for by themselves: nothing is known.
    pub(super) unsure: Vec<Ticker>,
}

/// Asks for at most [`MARKETS_PER_REQUEST`] markets, those not live also in the archive; `None`
/// when the time is over.
///
/// What both lists leave out is asked for by itself, since a list can be empty by mistake: a few
/// in each pass, taken at random so that each comes to its turn. A combo is taken at the word of
/// the lists: they vanish by the thousand. A name that no list can hold is asked for by itself
/// from the start.
pub(super) fn by_name(
    asker: &Asker,
    jitter: &mut Jitter,
    attempts_max: u32,
    tickers: &[Ticker],
) -> Result<Option<ByName>, Failure> {
    debug_assert!(tickers.len() <= MARKETS_PER_REQUEST, "one request names {}", tickers.len());
    let (mut absent, alone): (Vec<Ticker>, Vec<Ticker>) =
        tickers.iter().cloned().partition(Ticker::is_listable);
    let mut answer = ByName::default();
    for is_archived in [false, true] {
        if absent.is_empty() {
            break;
        }
        let list = MarketList::named(&absent);
        let list = if is_archived { list.archived() } else { list };
        let said = asker.ask_at_most(attempts_max, jitter, |client, left, clock| {
            client.markets(&list, None, left, clock)
        })?;
        let Some(mut page) = said else { return Ok(None) };
        tell_unreadable(&page);
        // An exchange that ignores the filter must not pass for one that knows them.
        let wanted: HashSet<&Ticker> = absent.iter().collect();
        page.markets.retain(|sighting| wanted.contains(&sighting.market.ticker));
        page.tickers.retain(|ticker| wanted.contains(ticker));
        let found: HashSet<Ticker> = page.tickers.iter().cloned().collect();
        absent.retain(|ticker| !found.contains(ticker));
        answer.pages.push(page);
    }
    let (combos, mut absent): (Vec<Ticker>, Vec<Ticker>) =
        absent.into_iter().partition(|ticker| Target::Market(ticker.clone()).is_combo());
    answer.missing = combos;
    rotate(&mut absent, jitter.next_fraction());
    let doubted = asker.take_doubts(absent.len());
    answer.unsure = absent.split_off(doubted);
    for ticker in alone.into_iter().chain(absent) {
        let Some(said) = alone_by_name(asker, jitter, attempts_max, &ticker)? else {
            return Ok(None);
        };
        match said {
            Said::Known(page) => answer.pages.push(page),
            Said::Unknown => answer.missing.push(ticker),
            Said::Nothing => answer.unsure.push(ticker),
        }
    }
    Ok(Some(answer))
}

/// What the exchange said of one market.
enum Said {
    Known(MarketsPage),
    /// Neither tier knows it.
    Unknown,
    /// One of them did not answer.
    Nothing,
}

/// Asks for one market by its own routes; `None` when the time is over. What is not answered must
/// not keep the others from being taken.
fn alone_by_name(
    asker: &Asker,
    jitter: &mut Jitter,
    attempts_max: u32,
    ticker: &Ticker,
) -> Result<Option<Said>, Failure> {
    for tier in [Tier::Live, Tier::Archive] {
        let said = asker.ask_at_most(attempts_max, jitter, |client, left, clock| {
            client.market(ticker, tier, left, clock)
        });
        match said {
            Ok(None) => return Ok(None),
            Ok(Some(Some(page))) => {
                tell_unreadable(&page);
                return Ok(Some(Said::Known(page)));
            }
            Ok(Some(None)) => {}
            Err(failure) if asker.is_forbidden() => return Err(failure),
            Err(failure) => {
                log::warn!("{}; whether it exists is found out later", one_line(&failure));
                return Ok(Some(Said::Nothing));
            }
        }
    }
    Ok(Some(Said::Unknown))
}

/// Begins the list at another place.
fn rotate(tickers: &mut [Ticker], fraction: f64) {
    let count = u64::try_from(tickers.len()).unwrap_or(0);
    let start = Duration::from_secs(count).mul_f64(fraction).as_secs();
    tickers.rotate_left(usize::try_from(start).unwrap_or(0).min(tickers.len()));
}

fn tell_unreadable(page: &MarketsPage) {
    if let Some(reason) = &page.first_unreadable {
        log::warn!("the description of a market could not be read: {reason}");
    }
}
