//! The exchange's own figures of the volume traded in each hour.

use std::collections::{HashMap, HashSet};

use super::asker::Asker;
use crate::domain::backfill::Lifespan;
use crate::domain::completeness::{HOUR_SECONDS, HourVolume};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind};
use crate::kalshi::{CANDLES_PER_BATCH, CANDLES_PER_MARKET, MARKETS_PER_REQUEST, VENUE};
use crate::retry::Jitter;

/// The hours of one request: as many as one archived market may have, and as two live ones may have.
const HOURS_MAX: usize =
    if CANDLES_PER_MARKET < CANDLES_PER_BATCH { CANDLES_PER_MARKET } else { CANDLES_PER_BATCH };

/// A market and the full hours of it that are wanted.
#[derive(Clone, Debug)]
pub struct Hours {
    /// The market and its lifespan.
    pub lifespan: Lifespan,
    /// The beginning of the first hour.
    pub from: Timestamp,
    /// The end of the last hour.
    pub until: Timestamp,
}

/// The exchange's answers about some markets.
#[derive(Debug, Default)]
pub struct ExchangeVolumes {
    /// The hours of each market with a complete answer; empty when nothing was traded.
    pub hours: HashMap<Ticker, Vec<HourVolume>>,
    /// Markets without a complete answer: nothing is known of them.
    pub unmeasured: HashSet<Ticker>,
    /// The part of `unmeasured` whose candles repeated questions cannot get: the exchange refuses them, names them in
    /// no answer, or answers with unreadable text.
    pub refused: HashSet<Ticker>,
    /// The failures; the kind of each says who has to act.
    pub troubles: Vec<Failure>,
}

impl ExchangeVolumes {
    /// Notes the failure: nothing is known of these markets.
    fn give_up(&mut self, markets: impl IntoIterator<Item = Ticker>, failure: Failure) {
        let is_refused = is_about_the_market(&failure);
        for market in markets {
            if is_refused {
                self.refused.insert(market.clone());
            }
            self.unmeasured.insert(market);
        }
        self.troubles.push(failure);
    }
}

/// Whether the failure is about this market alone, so that another market may still get an answer.
fn is_about_the_market(failure: &Failure) -> bool {
    failure.kind.is_refusal() || failure.kind == Kind::ExchangeUnreadable
}

/// Asks for these hours in as few requests as the limits allow. A market without any hour is not in the answer. A
/// refusal of candles says nothing about other questions.
pub fn exchange_volumes(wanted: Vec<Hours>, asker: &Asker) -> ExchangeVolumes {
    let mut measured = ExchangeVolumes::default();
    let mut jitter = asker.jitter();
    let wanted = wanted.into_iter().filter(|hours| hours.from < hours.until);
    let (listable, alone): (Vec<Hours>, Vec<Hours>) =
        wanted.partition(|hours| hours.lifespan.market.is_listable());
    let batches = batches(listable).into_iter();
    for batch in batches.chain(alone.into_iter().map(|hours| vec![hours])) {
        if let Err(failure) = batch_hours(&batch, asker, &mut jitter, &mut measured) {
            measured.give_up(batch.iter().map(|hours| hours.lifespan.market.clone()), failure);
        }
    }
    let ExchangeVolumes { hours, unmeasured, .. } = &mut measured;
    hours.retain(|market, _| !unmeasured.contains(market));
    measured
}

/// Groups the markets into requests. All markets of a request get the hours of all, so markets of about the same time
/// belong together.
fn batches(mut wanted: Vec<Hours>) -> Vec<Vec<Hours>> {
    wanted.sort_by_key(|hours| (hours.from, hours.until));
    let mut batches: Vec<Vec<Hours>> = Vec::new();
    for hours in wanted {
        let is_fitting = |batch: &&mut Vec<Hours>| {
            let (from, until) = bounds(batch);
            let hours = hours_between(from, until.max(hours.until)).min(HOURS_MAX);
            let count = batch.len() + 1;
            count <= MARKETS_PER_REQUEST && hours * count <= CANDLES_PER_BATCH
        };
        match batches.last_mut().filter(is_fitting) {
            Some(batch) => batch.push(hours),
            None => batches.push(vec![hours]),
        }
    }
    batches
}

/// The beginning of the earliest and the end of the latest hour of a batch.
fn bounds(batch: &[Hours]) -> (Timestamp, Timestamp) {
    let from = batch.iter().map(|hours| hours.from).min();
    let until = batch.iter().map(|hours| hours.until).max();
    from.zip(until).unwrap_or((VENUE.first_trades, VENUE.first_trades))
}

fn hours_between(from: Timestamp, until: Timestamp) -> usize {
    usize::try_from((until.second() - from.second()) / HOUR_SECONDS).unwrap_or(0).max(1)
}

/// Asks for the hours of a batch, as many in each request as the limits allow.
fn batch_hours(
    batch: &[Hours],
    asker: &Asker,
    jitter: &mut Jitter,
    measured: &mut ExchangeVolumes,
) -> Result<(), Failure> {
    let (mut at, until) = bounds(batch);
    while at < until {
        let hours = hours_between(at, until).min(HOURS_MAX);
        let seconds = i64::try_from(hours).unwrap_or(1) * HOUR_SECONDS;
        let end = Timestamp::from_seconds(at.second().saturating_add(seconds)).min(until);
        let mut answered = match batch {
            [only] if !only.lifespan.market.is_listable() => HashMap::new(),
            _ => listed_hours(batch, (at, end), asker, jitter)?,
        };
        for Hours { lifespan, from, until } in batch {
            if measured.unmeasured.contains(&lifespan.market) {
                continue;
            }
            let listed = answered.remove(&lifespan.market);
            match hours_of(lifespan, listed, (at, end), asker, jitter) {
                Ok(Some(mut hours)) => {
                    // Drops the hours that were asked for only because of another market of the batch.
                    hours.retain(|hour| *from < hour.ends_at && hour.ends_at <= *until);
                    measured.hours.entry(lifespan.market.clone()).or_default().extend(hours);
                }
                Ok(None) => {
                    measured.unmeasured.insert(lifespan.market.clone());
                    measured.refused.insert(lifespan.market.clone());
                }
                Err(failure) if is_about_the_market(&failure) => {
                    measured.give_up([lifespan.market.clone()], failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        at = end;
    }
    Ok(())
}

fn listed_hours(
    batch: &[Hours],
    (from, until): (Timestamp, Timestamp),
    asker: &Asker,
    jitter: &mut Jitter,
) -> Result<HashMap<Ticker, Vec<HourVolume>>, Failure> {
    let tickers: Vec<Ticker> = batch.iter().map(|hours| hours.lifespan.market.clone()).collect();
    asker
        .ask_apart(jitter, |client, left, clock| {
            client.candles(&tickers, from, until, left, clock)
        })?
        .ok_or_else(out_of_time)
}

/// The hours of a market, given the answer of a list. That answer is empty when nothing was traded, but it is always
/// empty for an archived market. A name that no list can hold is asked for alone.
fn hours_of(
    lifespan: &Lifespan,
    listed: Option<Vec<HourVolume>>,
    span: (Timestamp, Timestamp),
    asker: &Asker,
    jitter: &mut Jitter,
) -> Result<Option<Vec<HourVolume>>, Failure> {
    let market = &lifespan.market;
    let is_listable = market.is_listable();
    let is_nothing = |hours: &Vec<HourVolume>| hours.iter().all(|hour| hour.quantity_e2 == 0);
    let is_empty = listed.as_ref().is_none_or(is_nothing);
    if is_empty && (!lifespan.status.may_trade() || !is_listable) {
        let archived = asker
            .ask_apart(jitter, |client, left, clock| {
                client.archived_candles(market, span, left, clock)
            })?
            .ok_or_else(out_of_time)?;
        // If the archive does not know the market, it is live; it had no trade if the answer named it.
        if archived.is_some() {
            return Ok(archived);
        }
    }
    let series = lifespan.series.as_deref().and_then(Ticker::new);
    let Some(series) = series.filter(|_| !is_listable) else { return Ok(listed) };
    asker
        .ask_apart(jitter, |client, left, clock| {
            client.market_candles(&series, market, span, left, clock)
        })?
        .ok_or_else(out_of_time)
}

fn out_of_time() -> Failure {
    Failure::new(Kind::ExchangeUnavailable, "there was no time left to ask for candles")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::market::Status;

    fn hours(market: &str, from: i64, until: i64) -> Hours {
        let lifespan = Lifespan {
            market: Ticker::new(market).unwrap(),
            series: None,
            open_time: None,
            close_time: None,
            status: Status::Active,
            volume_e2: None,
            seen_at: None,
        };
        let at = |hour: i64| Timestamp::from_seconds(hour * HOUR_SECONDS);
        Hours { lifespan, from: at(from), until: at(until) }
    }

    #[test]
    fn a_long_life_does_not_make_short_ones_long() {
        let many = (0..250).map(|n| hours(&format!("KX-{n}"), 50_000 + n / 10, 50_002 + n / 10));
        let old = hours("KX-OLD", 0, 51_000);
        let batches = batches(many.chain([old]).collect());
        let sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 100, 100, 49]);
        for batch in &batches[1..] {
            let (from, until) = bounds(batch);
            assert!(hours_between(from, until) * batch.len() <= CANDLES_PER_BATCH);
        }
    }

    #[test]
    fn equal_spans_are_cut_as_the_limits_allow() {
        for (hours_each, sizes) in
            [(10, vec![100, 20]), (200, vec![50, 50, 20]), (9_000, vec![2; 60])]
        {
            let wanted = (0..120).map(|n| hours(&format!("KX-{n}"), 0, hours_each)).collect();
            let batches: Vec<usize> = batches(wanted).iter().map(Vec::len).collect();
            assert_eq!(batches, sizes, "{hours_each} hours each");
        }
    }
}
