//! Decides whether the markets on a list of a series belong to that series. Their descriptions do not name it, so the
//! exchange is asked for each event that is neither known nor named after the series.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::asker::Asker;
use super::broken::Broken;
use crate::domain::market::{EventRecord, Market};
use crate::domain::ticker::Ticker;
use crate::failure::{Failure, Kind};
use crate::kalshi::{MARKETS_PER_REQUEST, MarketsPage, is_combo};
use crate::retry::Jitter;
use crate::store::Store;

/// Checks a page against the series that it was asked for. A market of another series means that the exchange ignored
/// the filter; then nothing of the page is believed. A market whose series is unknown is dropped.
pub(super) fn hold(
    asker: &Asker,
    jitter: &mut Jitter,
    attempts_max: u32,
    store: Option<&mut dyn Store>,
    series: &Ticker,
    page: &mut MarketsPage,
) -> Result<(), Broken> {
    let mut open: BTreeSet<Box<str>> = page
        .markets
        .iter()
        .map(|row| &row.market.event_ticker)
        .filter(|event| !is_named_after(event, series))
        .cloned()
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let mut known: HashMap<Box<str>, Box<str>> = HashMap::new();
    let mut learnt: Vec<EventRecord> = Vec::new();
    let mut store = store;
    if let Some(store) = store.as_deref_mut() {
        let events: Vec<Box<str>> = open.iter().cloned().collect();
        let on_record = store.series_of_events(&events).map_err(Broken::Store)?;
        known.extend(on_record.into_iter().map(|record| (record.event_ticker, record.series)));
    }
    refuse_foreign(page, series, &known).map_err(Broken::Exchange)?;
    open.retain(|event| !known.contains_key(event));
    let open: Vec<Ticker> = open.iter().filter_map(|event| Ticker::new(event)).collect();
    for batch in open.chunks(MARKETS_PER_REQUEST) {
        let are_combos = is_combo(series);
        let answer = asker.ask_at_most(attempts_max, jitter, |client, left, clock| {
            client.events(batch, are_combos, left, clock)
        });
        let Some(found) = answer.map_err(Broken::Exchange)? else { break };
        known.extend(
            found.iter().map(|record| (record.event_ticker.clone(), record.series.clone())),
        );
        learnt.extend(found);
        refuse_foreign(page, series, &known).map_err(Broken::Exchange)?;
    }
    if let Some(store) = store.filter(|_| !learnt.is_empty()) {
        store.save_events(&learnt, asker.exchange_now()).map_err(Broken::Store)?;
    }
    let is_own = |market: &Market| {
        is_named_after(&market.event_ticker, series) || known.contains_key(&market.event_ticker)
    };
    let strange: HashSet<Ticker> = { page.markets.iter() }
        .filter(|row| !is_own(&row.market))
        .map(|row| row.market.ticker.clone())
        .collect();
    if let Some(first) = strange.iter().next() {
        log::warn!(
            "{first} and {} more markets are on the list of {series}, but no event says so: left out",
            strange.len() - 1
        );
        page.markets.retain(|row| !strange.contains(&row.market.ticker));
        page.tickers.retain(|ticker| !strange.contains(ticker));
    }
    Ok(())
}

/// Whether the event is named after its series, as most events are.
fn is_named_after(event: &str, series: &Ticker) -> bool {
    let rest = event.strip_prefix(series.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn refuse_foreign(
    page: &MarketsPage,
    series: &Ticker,
    known: &HashMap<Box<str>, Box<str>>,
) -> Result<(), Failure> {
    let is_foreign = |market: &&Market| {
        !is_named_after(&market.event_ticker, series)
            && known.get(&market.event_ticker).is_some_and(|of| **of != *series.as_str())
    };
    match page.markets.iter().map(|row| &row.market).find(is_foreign) {
        None => Ok(()),
        Some(foreign) => Err(Failure::new(
            Kind::ExchangeUnreadable,
            format!(
                "the list of the series {series} holds {}, which belongs to {}; nothing of it is taken over",
                foreign.ticker, known[&foreign.event_ticker]
            ),
        )),
    }
}
