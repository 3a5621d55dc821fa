//! The exchange's own candles of many markets, in as few requests as its limits allow.

use std::collections::{HashMap, HashSet};

use super::asker::Asker;
use crate::domain::backfill::Lifespan;
use crate::domain::candle::{Candle, Interval};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind};
use crate::kalshi::{Asked, CANDLES_PER_BATCH, CANDLES_PER_MARKET, MARKETS_PER_REQUEST, VENUE};
use crate::retry::Jitter;

/// The periods of one request: as many as one archived market may have, and as two live ones may have.
const PERIODS_MAX: usize =
    if CANDLES_PER_MARKET < CANDLES_PER_BATCH { CANDLES_PER_MARKET } else { CANDLES_PER_BATCH };

/// A market and the periods of it that are wanted.
#[derive(Clone, Debug)]
pub struct CandleSpan {
    /// The market and its lifespan.
    pub lifespan: Lifespan,
    /// The beginning of the first period.
    pub from: Timestamp,
    /// The end of the last period.
    pub until: Timestamp,
}

/// The way to ask for candles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// As many markets as possible in one request.
    Together,
    /// Each market by its own route: a second, different question.
    Alone,
}

/// The markets whose candles the exchange did not say.
#[derive(Debug, Default)]
pub struct Unanswered {
    /// Markets without a complete answer: nothing is known of them.
    pub unmeasured: HashSet<Ticker>,
    /// The part of `unmeasured` whose candles repeated questions cannot get: the exchange refuses them, names them in
    /// no answer, or answers with unreadable text.
    pub refused: HashSet<Ticker>,
    /// The failures; the kind of each says who has to act.
    pub troubles: Vec<Failure>,
}

impl Unanswered {
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

/// An answer: the market and its candles, which may be none.
pub struct Answer<'a> {
    /// The wanted periods of the market.
    pub wanted: &'a CandleSpan,
    /// The candles among the wanted ones.
    pub candles: Vec<Candle>,
}

/// A question about several markets, and the way in which it is asked.
struct Asking<'a> {
    interval: Interval,
    route: Route,
    asker: &'a Asker,
}

/// Asks for these periods in as few requests as the limits allow, and hands on each answer, those of a market in their
/// order. A market without any period is not asked for. After a failed question no later one is asked about its market.
/// A refusal of candles says nothing about other questions. An error of `take` ends it.
pub fn each_candles<E>(
    wanted: Vec<CandleSpan>,
    interval: Interval,
    route: Route,
    asker: &Asker,
    take: &mut dyn FnMut(Answer<'_>) -> Result<(), E>,
) -> Result<Unanswered, E> {
    let asking = Asking { interval, route, asker };
    let mut unanswered = Unanswered::default();
    let mut jitter = asker.jitter();
    let wanted = wanted.into_iter().filter(|span| span.from < span.until);
    let (listable, alone): (Vec<CandleSpan>, Vec<CandleSpan>) =
        wanted.partition(|span| asking.is_listable(span));
    let batches = batches(listable, interval).into_iter();
    for batch in batches.chain(alone.into_iter().map(|span| vec![span])) {
        if let Err(failure) = asking.batch(&batch, &mut jitter, &mut unanswered, take)? {
            unanswered.give_up(batch.iter().map(|span| span.lifespan.market.clone()), failure);
        }
    }
    Ok(unanswered)
}

/// Groups the markets into requests. All markets of a request get the periods of all, so markets of about the same
/// time belong together.
fn batches(mut wanted: Vec<CandleSpan>, interval: Interval) -> Vec<Vec<CandleSpan>> {
    wanted.sort_by_key(|span| (span.from, span.until));
    let mut batches: Vec<Vec<CandleSpan>> = Vec::new();
    for span in wanted {
        let is_fitting = |batch: &&mut Vec<CandleSpan>| {
            let (from, until) = bounds(batch);
            let periods = periods_between(interval, from, until.max(span.until)).min(PERIODS_MAX);
            let count = batch.len() + 1;
            count <= MARKETS_PER_REQUEST && periods * count <= CANDLES_PER_BATCH
        };
        match batches.last_mut().filter(is_fitting) {
            Some(batch) => batch.push(span),
            None => batches.push(vec![span]),
        }
    }
    batches
}

/// The beginning of the earliest and the end of the latest period of a batch.
fn bounds(batch: &[CandleSpan]) -> (Timestamp, Timestamp) {
    let from = batch.iter().map(|span| span.from).min();
    let until = batch.iter().map(|span| span.until).max();
    from.zip(until).unwrap_or((VENUE.first_trades, VENUE.first_trades))
}

fn periods_between(interval: Interval, from: Timestamp, until: Timestamp) -> usize {
    interval.periods(from, until).max(1)
}

impl Asking<'_> {
    /// Whether the market can be asked for together with others.
    fn is_listable(&self, span: &CandleSpan) -> bool {
        self.route == Route::Together && span.lifespan.market.is_listable()
    }

    /// Asks for the periods of a batch, as many in each request as the limits allow. The inner failure is one of the
    /// exchange that is about no single market.
    fn batch<E>(
        &self,
        batch: &[CandleSpan],
        jitter: &mut Jitter,
        unanswered: &mut Unanswered,
        take: &mut dyn FnMut(Answer<'_>) -> Result<(), E>,
    ) -> Result<Result<(), Failure>, E> {
        let (mut at, until) = bounds(batch);
        while at < until {
            let periods = periods_between(self.interval, at, until).min(PERIODS_MAX);
            let length = self.interval.length() * u32::try_from(periods).unwrap_or(1);
            let end = at.after(length).min(until);
            let asked = Asked { interval: self.interval, from: at, until: end };
            let mut answered = match batch {
                [only] if !self.is_listable(only) => HashMap::new(),
                _ => match self.listed(batch, asked, jitter) {
                    Ok(answered) => answered,
                    Err(failure) => return Ok(Err(failure)),
                },
            };
            for span in batch {
                let market = &span.lifespan.market;
                if unanswered.unmeasured.contains(market) {
                    continue;
                }
                match self.of_market(span, answered.remove(market), asked, jitter) {
                    Ok(Some(mut candles)) => {
                        // Drops the periods that were asked for only because of another market of the batch.
                        candles.retain(|candle| {
                            span.from < candle.ends_at && candle.ends_at <= span.until
                        });
                        let (from, until) = (at.max(span.from), end.min(span.until));
                        if from < until {
                            take(Answer { wanted: span, candles })?;
                        }
                    }
                    Ok(None) => {
                        unanswered.unmeasured.insert(market.clone());
                        unanswered.refused.insert(market.clone());
                    }
                    Err(failure) if is_about_the_market(&failure) => {
                        unanswered.give_up([market.clone()], failure);
                    }
                    Err(failure) => return Ok(Err(failure)),
                }
            }
            at = end;
        }
        Ok(Ok(()))
    }

    fn listed(
        &self,
        batch: &[CandleSpan],
        asked: Asked,
        jitter: &mut Jitter,
    ) -> Result<HashMap<Ticker, Vec<Candle>>, Failure> {
        let tickers: Vec<Ticker> = batch.iter().map(|span| span.lifespan.market.clone()).collect();
        self.asker
            .ask_apart(jitter, |client, left, clock| client.candles(&tickers, asked, left, clock))?
            .ok_or_else(out_of_time)
    }

    /// The periods of a market, given the answer of a list. That answer is empty when nothing was traded, but it is
    /// always empty for an archived market. A name that no list can hold is asked for alone.
    fn of_market(
        &self,
        span: &CandleSpan,
        listed: Option<Vec<Candle>>,
        asked: Asked,
        jitter: &mut Jitter,
    ) -> Result<Option<Vec<Candle>>, Failure> {
        let (lifespan, market) = (&span.lifespan, &span.lifespan.market);
        let is_listable = self.is_listable(span);
        let is_nothing = |candles: &Vec<Candle>| candles.iter().all(|candle| candle.volume_e2 == 0);
        let is_empty = listed.as_ref().is_none_or(is_nothing);
        if is_empty && (!lifespan.status.may_trade() || !is_listable) {
            let archived = self
                .asker
                .ask_apart(jitter, |client, left, clock| {
                    client.archived_candles(market, asked, left, clock)
                })?
                .ok_or_else(out_of_time)?;
            // If the archive does not know the market, it is live; it had no trade if the answer named it.
            if archived.is_some() {
                return Ok(archived);
            }
        }
        let series = lifespan.series.as_deref().and_then(Ticker::new);
        let Some(series) = series.filter(|_| !is_listable) else { return Ok(listed) };
        self.asker
            .ask_apart(jitter, |client, left, clock| {
                client.market_candles(&series, market, asked, left, clock)
            })?
            .ok_or_else(out_of_time)
    }
}

fn out_of_time() -> Failure {
    Failure::new(Kind::ExchangeUnavailable, "there was no time left to ask for candles")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::market::Status;

    fn hours(market: &str, from: i64, until: i64) -> CandleSpan {
        let lifespan = Lifespan {
            market: Ticker::new(market).unwrap(),
            series: None,
            open_time: None,
            close_time: None,
            status: Status::Active,
            volume_e2: None,
            seen_at: None,
        };
        let at = |hour: i64| Timestamp::from_seconds(hour * 3_600);
        CandleSpan { lifespan, from: at(from), until: at(until) }
    }

    #[test]
    fn a_long_life_does_not_make_short_ones_long() {
        let many = (0..250).map(|n| hours(&format!("KX-{n}"), 50_000 + n / 10, 50_002 + n / 10));
        let old = hours("KX-OLD", 0, 51_000);
        let batches = batches(many.chain([old]).collect(), Interval::Hour);
        let sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 100, 100, 49]);
        for batch in &batches[1..] {
            let (from, until) = bounds(batch);
            assert!(
                periods_between(Interval::Hour, from, until) * batch.len() <= CANDLES_PER_BATCH
            );
        }
    }

    #[test]
    fn equal_spans_are_cut_as_the_limits_allow() {
        for (hours_each, sizes) in
            [(10, vec![100, 20]), (200, vec![50, 50, 20]), (9_000, vec![2; 60])]
        {
            let wanted = (0..120).map(|n| hours(&format!("KX-{n}"), 0, hours_each)).collect();
            let batches: Vec<usize> =
                batches(wanted, Interval::Hour).iter().map(Vec::len).collect();
            assert_eq!(batches, sizes, "{hours_each} hours each");
        }
    }
}
