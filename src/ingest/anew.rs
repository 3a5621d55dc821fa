//! Asks the exchange for new descriptions of known markets. Lists of changes show neither that a market trades nor
//! that it was removed.

use std::collections::HashMap;

use super::absence::{self, Alone};
use super::asker::Asker;
use super::list::{self, ByName};
use crate::domain::backfill::Lifespan;
use crate::domain::market::{Absence, Sighting};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::vouching::Said;
use crate::failure::{Failure, Kind};
use crate::kalshi::MARKETS_PER_REQUEST;
use crate::retry::{Jitter, Policy};
use crate::store::Store;

/// The new description of each market that the exchange answered for, and the failures on the way.
#[derive(Debug, Default)]
pub struct Anew {
    /// The exchange's answers, by market.
    pub said: HashMap<Ticker, Said>,
    /// The failures; the kind of each says who has to act.
    pub troubles: Vec<Failure>,
}

/// Asks for these markets by name, a hundred in one request, and stores the answers. It asks alone for each market
/// that no list shows, without a limit on their number, because the caller waits for the answer.
pub fn describe(
    lifespans: &[Lifespan],
    store: &mut dyn Store,
    asker: &Asker,
) -> Result<Anew, Failure> {
    let mut anew = Anew::default();
    let mut jitter = asker.jitter();
    for batch in lifespans.chunks(MARKETS_PER_REQUEST) {
        let tickers: Vec<Ticker> = batch.iter().map(|lifespan| lifespan.market.clone()).collect();
        let attempts_max = Policy::default().attempts_max;
        match list::by_name(asker, &mut jitter, attempts_max, &tickers) {
            Ok(Some(mut answer)) => {
                look_alone(&mut answer, asker, &mut jitter, &mut anew.troubles);
                take(batch, answer, &mut anew.said, store, asker.exchange_now())?;
            }
            Ok(None) => break,
            Err(failure) => anew.troubles.push(failure),
        }
    }
    Ok(anew)
}

/// Asks alone for each market that the lists left out. Nothing is known of a market without an answer.
fn look_alone(
    answer: &mut ByName,
    asker: &Asker,
    jitter: &mut Jitter,
    troubles: &mut Vec<Failure>,
) {
    for ticker in std::mem::take(&mut answer.unsure) {
        match absence::alone(asker, jitter, Policy::default().attempts_max, &ticker) {
            Ok(Alone::Known(page)) => answer.alone.push(page),
            Ok(Alone::Unknown) => answer.missing.push(ticker),
            Ok(Alone::OutOfTime) => break,
            Err(failure) => {
                let is_temporary = failure.kind == Kind::ExchangeUnavailable;
                troubles.push(failure);
                if is_temporary {
                    break;
                }
            }
        }
    }
}

/// Takes over the descriptions of a batch, and stores them.
fn take(
    batch: &[Lifespan],
    answer: ByName,
    said: &mut HashMap<Ticker, Said>,
    store: &mut dyn Store,
    now: Timestamp,
) -> Result<(), Failure> {
    let ByName { pages, alone, missing, .. } = answer;
    let mut seen: Vec<Sighting> = Vec::new();
    for sighting in pages.into_iter().chain(alone).flat_map(|page| page.markets) {
        let market = &sighting.market;
        let Some(before) = batch.iter().find(|lifespan| lifespan.market == market.ticker) else {
            continue;
        };
        let lifespan = Lifespan::of(market);
        let series = lifespan.series.clone().or_else(|| before.series.clone());
        let lifespan = Lifespan { series, seen_at: Some(sighting.seen_at), ..lifespan };
        if said.insert(lifespan.market.clone(), Said::Known(lifespan)).is_none() {
            seen.push(sighting);
        }
    }
    let absent = |ticker: &Ticker| Absence { ticker: ticker.clone(), is_believed: false };
    let absent: Vec<Absence> = missing.iter().map(absent).collect();
    store.save_markets(&seen, &absent, now)?;
    for lifespan in batch.iter().filter(|lifespan| missing.contains(&lifespan.market)) {
        said.insert(lifespan.market.clone(), Said::Gone(lifespan.clone(), now));
    }
    Ok(())
}
