//! The markets of a span of the past: the exchange's lists, live and archived, of the markets that the selection
//! stands for.

use std::collections::BTreeMap;
use std::time::Duration;

use super::absence::{self, Alone, Behind};
use super::asker::Asker;
use super::belongs;
use super::broken::Broken;
use super::list;
use super::sync::{Synced, sync};
use crate::domain::backfill::Lifespan;
use crate::domain::market::MarketScope;
use crate::domain::selection::{Selection, Target};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::Failure;
use crate::kalshi::{MARKETS_PER_REQUEST, MarketsPage, is_combo};
use crate::retry::{Jitter, Policy};
use crate::store::{RunId, Store};

/// Markets with their known lifespans.
#[derive(Debug, Default)]
pub struct Lifespans {
    /// Each market once, by ticker.
    pub lifespans: Vec<Lifespan>,
    /// The first reason why a description could not be read. The market of such a description is missing in
    /// `lifespans`.
    pub first_unreadable: Option<String>,
    /// The failures; the kind of each says who has to act.
    pub troubles: Vec<Failure>,
    /// Whether the exchange named all of them.
    pub is_whole: bool,
}

/// Brings the metadata of the selection up to date (the tape has none) and returns the markets whose life touches
/// `[from, until)`.
pub fn lifespans(
    selection: &Selection,
    store: &mut dyn Store,
    asker: &Asker,
    (from, until): (Timestamp, Timestamp),
    run: RunId,
) -> Result<Lifespans, Failure> {
    let named = selection.without_all();
    if named.is_empty() {
        return Ok(Lifespans { is_whole: true, ..Lifespans::default() });
    }
    let Synced { troubles, is_whole, first_unreadable, .. } =
        sync(&named, store, asker, Duration::ZERO, run)?;
    let lifespans = lifespans_on_record(&named, store, (from, until))?;
    Ok(Lifespans { lifespans, first_unreadable, troubles, is_whole })
}

/// The markets of the selection that are on record and whose life touches `[from, until)`.
fn lifespans_on_record(
    selection: &Selection,
    store: &mut dyn Store,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<Lifespan>, Failure> {
    let mut found: BTreeMap<Ticker, Lifespan> = BTreeMap::new();
    let mut add = |lifespans: Vec<Lifespan>| {
        let held =
            lifespans.into_iter().filter(|lifespan| selection.shard().holds(&lifespan.market));
        found.extend(held.map(|lifespan| (lifespan.market.clone(), lifespan)));
    };
    let mut by_name: Vec<Ticker> = Vec::new();
    for watch in selection.watches() {
        let scope = match &watch.target {
            Target::Market(ticker) => {
                by_name.push(ticker.clone());
                continue;
            }
            Target::All => continue,
            Target::Event(event) => MarketScope::Event(event.as_str()),
            Target::Series(series) => MarketScope::Series(series.as_str()),
        };
        add(store.lifespans(scope, None, from, until)?);
    }
    if !by_name.is_empty() {
        add(store.lifespans(MarketScope::All, Some(&by_name), from, until)?);
    }
    Ok(found.into_values().collect())
}

/// Lists the same markets from the exchange alone, without storing anything. A failure ends it.
pub fn list_without_storing(
    selection: &Selection,
    asker: &Asker,
    (from, until): (Timestamp, Timestamp),
) -> Result<Vec<Lifespan>, Failure> {
    let mut jitter = asker.jitter();
    let mut found: BTreeMap<Ticker, Lifespan> = BTreeMap::new();
    let mut add = |page: MarketsPage| {
        for market in page.markets.into_iter().map(|sighting| sighting.market) {
            let is_before = market.close_time.is_some_and(|close| close < from);
            let is_after = market.open_time.is_some_and(|open| open >= until);
            if !is_before && !is_after && selection.shard().holds(&market.ticker) {
                found.insert(market.ticker.clone(), Lifespan::of(&market));
            }
        }
    };
    for watch in selection.watches() {
        if watch.target.is_resolved() {
            list_entry(&watch.target, asker, &mut jitter, &mut add)?;
        }
    }
    let named: Vec<Ticker> = selection.named().tickers();
    for batch in named.chunks(MARKETS_PER_REQUEST) {
        let answer = list::by_name(asker, &mut jitter, Policy::default().attempts_max, batch)?;
        if let Some(answer) = answer {
            answer.pages.into_iter().chain(answer.alone).for_each(&mut add);
            for ticker in answer.missing {
                let attempts_max = Policy::default().attempts_max;
                let said = if is_combo(&ticker) {
                    absence::alone(asker, &mut jitter, attempts_max, &ticker)?
                } else {
                    Alone::Unknown
                };
                match said {
                    Alone::Known(page) => add(page),
                    Alone::OutOfTime => {}
                    Alone::Unknown => return Err(super::resolve::unknown(&Target::Market(ticker))),
                }
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Lists the markets of an event or a series. An empty list counts only when its events agree.
fn list_entry(
    target: &Target,
    asker: &Asker,
    jitter: &mut Jitter,
    add: &mut dyn FnMut(MarketsPage),
) -> Result<(), Failure> {
    let attempts_max = Policy::default().attempts_max;
    let (mut rows, mut is_any_empty) = (0, false);
    for list in super::sync::lists(target, None) {
        let before = rows;
        let mut once_more = jitter.clone();
        list::each_page(asker, jitter, attempts_max, &list, &mut |mut page| {
            if let Target::Series(series) = target {
                belongs::hold(asker, &mut once_more, attempts_max, None, series, &mut page)?;
            }
            rows += page.tickers.len();
            add(page);
            Ok(())
        })
        .map_err(Broken::into_failure)?;
        is_any_empty |= rows == before;
    }
    if !is_any_empty {
        return Ok(());
    }
    match absence::behind(asker, jitter, attempts_max, target, rows > 0, true)? {
        Behind::Unknown => Err(super::resolve::unknown(target)),
        Behind::Known(events) => {
            events.pages.into_iter().for_each(add);
            Ok(())
        }
        Behind::OutOfTime => Ok(()),
    }
}
