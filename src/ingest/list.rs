//! Lists of markets, page by page, and markets by name, a hundred in one request.

use std::collections::HashSet;
use std::time::Duration;

use super::absence::{self, Alone};
use super::asker::Asker;
use super::broken::Broken;
use crate::domain::ticker::Ticker;
use crate::failure::{Failure, Kind, one_line};
use crate::kalshi::{MARKETS_PER_REQUEST, MarketList, MarketsPage, is_combo};
use crate::retry::Jitter;

/// A guard against an endless list: ten million markets.
const PAGES_MAX: usize = 10_000;

/// The number of empty pages with a cursor in a row after which the answer is no list.
const EMPTY_PAGES_MAX: usize = 3;

/// The end of reading a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// All of it was read.
    Whole,
    /// The pass ran out of time.
    OutOfTime,
}

/// A page that had rows, kept so that it can be asked for again.
struct Shown {
    /// The cursor of the request for this page.
    cursor: Option<String>,
    tickers: Vec<Ticker>,
}

/// The answer to the second question about the end of a list.
enum Second {
    /// The answer shows the last known row again, and nothing below it.
    End,
    /// There are more rows: the next page, and the cursor of its request.
    More(MarketsPage, Option<String>),
    OutOfTime,
}

/// A list that is being read.
struct ListReading<'a> {
    asker: &'a Asker,
    jitter: &'a mut Jitter,
    attempts_max: u32,
    list: &'a MarketList,
}

/// Reads a list to its end and hands over each page. An empty page below others is no proof of the end: a second
/// question has to agree.
pub(super) fn each_page(
    asker: &Asker,
    jitter: &mut Jitter,
    attempts_max: u32,
    list: &MarketList,
    take: &mut dyn FnMut(MarketsPage) -> Result<(), Broken>,
) -> Result<Listing, Broken> {
    let mut reading = ListReading { asker, jitter, attempts_max, list };
    let mut cursor: Option<String> = None;
    let mut lowest: Option<Shown> = None;
    let mut empty_pages = 0;
    for _ in 0..PAGES_MAX {
        let answer = reading.ask(list.page_rows, cursor.as_deref()).map_err(Broken::Exchange)?;
        let Some(mut page) = answer else { return Ok(Listing::OutOfTime) };
        let is_empty = page.tickers.is_empty() && page.first_unreadable.is_none();
        if let Some(shown) = lowest.as_ref().filter(|_| is_empty) {
            match reading.second(shown).map_err(Broken::Exchange)? {
                Second::End => return Ok(Listing::Whole),
                Second::OutOfTime => return Ok(Listing::OutOfTime),
                Second::More(more, asked_with) => (page, cursor) = (more, asked_with),
            }
        }
        let next = page.cursor.clone();
        empty_pages = if is_empty { empty_pages + 1 } else { 0 };
        if !page.tickers.is_empty() {
            lowest = Some(Shown { cursor: cursor.clone(), tickers: page.tickers.clone() });
        }
        tell_unreadable(&page);
        list.keep(&mut page);
        take(page)?;
        if next.is_none() {
            return Ok(Listing::Whole);
        }
        if next == cursor || empty_pages == EMPTY_PAGES_MAX {
            break;
        }
        cursor = next;
    }
    let message = "the exchange's list of markets does not end; trying again in the next pass";
    Err(Broken::Exchange(Failure::new(Kind::ExchangeUnreadable, message)))
}

impl ListReading<'_> {
    fn ask(
        &mut self,
        page_rows: usize,
        cursor: Option<&str>,
    ) -> Result<Option<MarketsPage>, Failure> {
        let list = MarketList { page_rows, ..self.list.clone() };
        self.asker.ask_at_most(self.attempts_max, self.jitter, |client, left, clock| {
            client.markets(&list, cursor, left, clock)
        })
    }

    /// Asks for the end of the list in another way: for the last page that had rows, one row shorter, and for the page
    /// below it. These have to show the last known row again.
    fn second(&mut self, shown: &Shown) -> Result<Second, Failure> {
        let count = shown.tickers.len();
        let rows = if count > 1 { count - 1 } else { self.list.page_rows - 1 };
        let Some(above) = self.ask(rows, shown.cursor.as_deref())? else {
            return Ok(Second::OutOfTime);
        };
        let is_new = |page: &MarketsPage| page.tickers.iter().any(|t| !shown.tickers.contains(t));
        let has_last =
            |page: &MarketsPage| shown.tickers.last().is_some_and(|t| page.tickers.contains(t));
        let Some(mut cursor) = above.cursor.clone().filter(|_| !is_new(&above)) else {
            return match (is_new(&above), has_last(&above)) {
                (true, _) => Ok(Second::More(above, shown.cursor.clone())),
                (false, true) => Ok(Second::End),
                (false, false) => Err(contradiction()),
            };
        };
        let mut is_last_seen = has_last(&above);
        // The first page holds the last known row; an empty page may follow it.
        for _ in 0..2 {
            let Some(page) = self.ask(self.list.page_rows, Some(&cursor))? else {
                return Ok(Second::OutOfTime);
            };
            is_last_seen |= has_last(&page);
            if is_new(&page) {
                return Ok(Second::More(page, Some(cursor)));
            }
            let Some(next) = page.cursor.filter(|next| *next != cursor) else { break };
            cursor = next;
        }
        if is_last_seen { Ok(Second::End) } else { Err(contradiction()) }
    }
}

fn contradiction() -> Failure {
    let message = "the exchange's list of markets ends above a market that it showed; trying again in the next pass";
    Failure::new(Kind::ExchangeUnreadable, message)
}

/// The exchange's answers about markets asked for by name.
#[derive(Debug, Default)]
pub(super) struct ByName {
    /// The lists of the live tier and of the archive.
    pub(super) pages: Vec<MarketsPage>,
    /// The answers about single markets.
    pub(super) alone: Vec<MarketsPage>,
    /// Markets that the exchange does not know: two different questions agree.
    pub(super) missing: Vec<Ticker>,
    /// Markets that lists left out and that were not asked for alone: nothing is known of them.
    pub(super) unsure: Vec<Ticker>,
}

/// Asks for at most [`MARKETS_PER_REQUEST`] markets, and asks the archive for those that are not live. `None` when the
/// time is over.
///
/// A list can be empty by mistake, so a market that both lists left out is asked for alone: a few in each pass, chosen
/// at random so that each gets its turn. For combos the lists are believed: combos vanish by the thousand. A name that
/// no list can hold is asked for alone from the start.
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
        // Without this, an exchange that ignores the filter would look like one that knows these markets.
        let wanted: HashSet<&Ticker> = absent.iter().collect();
        page.markets.retain(|sighting| wanted.contains(&sighting.market.ticker));
        page.tickers.retain(|ticker| wanted.contains(ticker));
        let found: HashSet<Ticker> = page.tickers.iter().cloned().collect();
        absent.retain(|ticker| !found.contains(ticker));
        answer.pages.push(page);
    }
    let (combos, mut absent): (Vec<Ticker>, Vec<Ticker>) = absent.into_iter().partition(is_combo);
    answer.missing = combos;
    rotate(&mut absent, jitter.next_fraction());
    let doubted = asker.take_doubts(absent.len());
    answer.unsure = absent.split_off(doubted);
    for ticker in alone.into_iter().chain(absent) {
        match absence::alone(asker, jitter, attempts_max, &ticker) {
            Ok(Alone::OutOfTime) => return Ok(None),
            Ok(Alone::Known(page)) => {
                tell_unreadable(&page);
                answer.alone.push(page);
            }
            Ok(Alone::Unknown) => answer.missing.push(ticker),
            Err(failure) if asker.is_forbidden() => return Err(failure),
            // A failure of one market must not keep the others from being taken.
            Err(failure) => {
                log::warn!("{}; whether it exists is found out later", one_line(&failure));
                answer.unsure.push(ticker);
            }
        }
    }
    Ok(Some(answer))
}

/// Rotates the list so that it begins at another place.
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
