//! `completeness`: compares the stored trades with the exchange's own figures, and heals gaps.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::lifespans;
use super::outside::Outside;
use super::recount;
use super::say;
use super::session::{Done, LONG, Session};
use crate::clock::StopFlag;
use crate::config::CompletenessPlan;
use crate::domain::backfill::{self, Lifespan};
use crate::domain::batch::Committed;
use crate::domain::completeness::{self, Basis, Compared, HOUR_SECONDS, HourVolume, Score};
use crate::domain::job::{Background, Job};
use crate::domain::market::Status;
use crate::domain::page::Rules;
use crate::domain::slice::{Slice, SliceKey};
use crate::domain::tally::Tally;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::vouching::Said;
use crate::driver::Verdict;
use crate::exit::Exit;
use crate::failure::{Failure, one_line};
use crate::ingest::{self, Asker, CandleSpan, Source, Stop};
use crate::kalshi::VENUE;
use crate::report::{self, MarketScore};
use crate::store::{RunId, Store};
use crate::words;

/// The age up to which more trades may still join the ones that are shown.
const SETTLE: Duration = Duration::from_secs(60);
const WORKERS: usize = 4;
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn completeness(
    plan: CompletenessPlan,
    store: &mut dyn Store,
    outside: &Outside,
    stop: &StopFlag,
) -> anyhow::Result<Exit> {
    let mut session = Session::begin("completeness", "scoring", store, outside, stop)?;
    let CompletenessPlan { selection, window, exchange, min_score, heal, output } = plan;
    let (asker, run) = (session.asker(exchange, LONG, selection.shard(), store), session.run());
    let mut work = Scorer {
        window,
        least: min_score,
        asker,
        run,
        verdict: Verdict::of_command(),
        tally: Tally::default(),
    };
    let budget = work.asker.budget().clone();
    let scored =
        session.with_reconnect(store, &budget, |store| work.score_all(&selection, heal, store));
    let found = match scored {
        Ok(found) => found,
        Err(failure) => {
            say(work.verdict.broken_off(&failure));
            Vec::new()
        }
    };
    if let Some(Stop::ComeBackLater(at)) = work.asker.stopped() {
        say(work.verdict.incomplete(&words::come_back_line(at)));
    }
    work.judge(&found);
    super::answer(&report::scores(&found, output), outside)?;
    let Scorer { asker, tally, verdict, .. } = work;
    Ok(session.end(Done { markets: found.len(), tally, verdict }, Some(&asker), store))
}

/// The comparison of each market with the exchange's figures, and the markets without an answer.
type Comparison = (Vec<(Ticker, Compared)>, Vec<Ticker>);

/// A scoring in progress.
struct Scorer {
    window: Option<(Timestamp, Timestamp)>,
    /// The least score that the user asks for.
    least: Option<f64>,
    asker: Arc<Asker>,
    run: RunId,
    verdict: Verdict,
    tally: Tally,
}

impl Scorer {
    fn score_all(
        &mut self,
        selection: &crate::domain::selection::Selection,
        heal: bool,
        store: &mut dyn Store,
    ) -> Result<Vec<MarketScore>, Failure> {
        self.verdict.begin_again();
        let span = self
            .window
            .unwrap_or((VENUE.first_trades, Timestamp::from_seconds(i64::from(i32::MAX))));
        let lifespans =
            lifespans::of(selection, span, (&self.asker, self.run), &mut self.verdict, store)?;
        let mut scores = self.score(&lifespans, store)?;
        if heal {
            let short = |score: &MarketScore| score.score.missing_e2 > 0;
            let names: Vec<&Ticker> =
                scores.iter().filter(|s| short(s)).map(|s| &s.score.market).collect();
            let incomplete: Vec<Lifespan> = lifespans
                .iter()
                .filter(|lifespan| names.contains(&&lifespan.market))
                .cloned()
                .collect();
            if !incomplete.is_empty() && self.heal(&incomplete, &scores, store)? {
                let mut again: HashMap<Ticker, MarketScore> = self
                    .score(&incomplete, store)?
                    .into_iter()
                    .map(|s| (s.score.market.clone(), s))
                    .collect();
                for score in &mut scores {
                    if let Some(healed) = again.remove(&score.score.market) {
                        *score = healed;
                    }
                }
            }
        }
        let rows: Vec<Score> = scores.iter().map(|score| score.score.clone()).collect();
        if !rows.is_empty() {
            store.save_scores(&rows, self.asker.exchange_now())?;
            // Whoever scores may have deleted trades by hand before.
            let markets: Vec<Ticker> = rows.into_iter().map(|score| score.market).collect();
            recount::of(&markets, store)?;
        }
        Ok(scores)
    }

    /// The span shortened to full hours that closed long enough ago.
    fn hours(&self, from: Timestamp, until: Timestamp) -> (Timestamp, Timestamp) {
        let closed = self.asker.exchange_now().before(SETTLE).min(until);
        let begins = Timestamp::from_seconds(from.second().div_euclid(HOUR_SECONDS) * HOUR_SECONDS);
        let ends = Timestamp::from_seconds(closed.second().div_euclid(HOUR_SECONDS) * HOUR_SECONDS);
        let is_full = begins == from;
        let begins = if is_full || self.window.is_none() {
            begins
        } else {
            Timestamp::from_seconds(begins.second() + HOUR_SECONDS)
        };
        (begins, ends.max(begins))
    }

    /// Judges the scores.
    fn judge(&mut self, found: &[MarketScore]) {
        let excessive = found.iter().filter(|row| row.score.excess_e2() > 0);
        if let Some((first, more)) = first_and_more(excessive) {
            log::warn!(
                "{}{more}: more is stored than the exchange says was traded; see excess_quantity",
                first.score.market
            );
        }
        let Some(least) = self.least else { return };
        if found.is_empty() {
            let message = "nothing could be scored, so nothing reaches --min-score; \
                 check the selection, or run it again when the exchange answers";
            say(self.verdict.below(message.to_owned()));
        }
        let mut low: Vec<&MarketScore> =
            found.iter().filter(|row| row.score.value() < least).collect();
        low.sort_by(|a, b| a.score.value().total_cmp(&b.score.value()));
        if let Some((worst, more)) = first_and_more(low.into_iter()) {
            let (market, value) = (&worst.score.market, worst.score.value());
            say(self.verdict.below(format!(
                "{market}{more} below --min-score: {value:.6} of what the exchange says was traded is stored; \
                 --heal reads it again"
            )));
        }
    }

    /// Reports the markets without an answer: they are not scored, and must not be forgotten.
    fn tell_unscored(&mut self, mut unscored: Vec<Ticker>) {
        unscored.sort();
        if let Some((first, more)) = first_and_more(unscored.iter()) {
            let message = format!("the exchange has no figures of {first}{more}; run it again");
            match self.least {
                Some(_) => say(self.verdict.below(message)),
                None => say(self.verdict.incomplete(&message)),
            }
        }
    }

    fn score(
        &mut self,
        lifespans: &[Lifespan],
        store: &mut dyn Store,
    ) -> Result<Vec<MarketScore>, Failure> {
        let is_by_lifetime = |lifespan: &&Lifespan| {
            // A volume of zero was seen on markets that had traded, so the candles of such a market decide.
            let has_volume = lifespan.volume_e2.is_some_and(|volume| volume > 0);
            self.window.is_none() && lifespan.status == Status::Finalized && has_volume
        };
        let (whole, by_hour): (Vec<&Lifespan>, Vec<&Lifespan>) =
            lifespans.iter().partition(is_by_lifetime);
        let mut scores = self.lifetime_scores(&whole, store)?;
        scores.extend(self.hourly_scores(&by_hour, store)?);
        scores.sort_by(|a, b| a.score.market.cmp(&b.score.market));
        Ok(scores)
    }

    /// The scores by the candles of the window, or of each market's life.
    fn hourly_scores(
        &mut self,
        lifespans: &[&Lifespan],
        store: &mut dyn Store,
    ) -> Result<Vec<MarketScore>, Failure> {
        if lifespans.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<CandleSpan> =
            lifespans.iter().map(|lifespan| self.hours_of(lifespan)).collect();
        if wanted.iter().all(|hours| hours.from == hours.until) {
            say(self.verdict.incomplete("there is no full hour in it that is closed"));
            return Ok(Vec::new());
        }
        let spans: HashMap<Ticker, CandleSpan> =
            wanted.iter().map(|hours| (hours.lifespan.market.clone(), hours.clone())).collect();
        let (compared, mut unscored) = self.compare(wanted, store)?;
        let silent: Vec<Lifespan> = compared
            .iter()
            .filter(|(_, compared)| compared.exchange_e2 == 0)
            .filter_map(|(market, _)| spans.get(market).map(|hours| hours.lifespan.clone()))
            .collect();
        let credible = self.credible_silences(silent, store)?;
        let mut rows = Vec::new();
        for (market, Compared { stored_e2, exchange_e2, missing_e2, short }) in compared {
            let Some(CandleSpan { from, until, .. }) = spans.get(&market) else { continue };
            if exchange_e2 == 0 && !credible.contains(&market) {
                unscored.push(market);
                continue;
            }
            let (from, until, basis) = (Some(*from), Some(*until), Basis::Candles);
            rows.push(MarketScore {
                score: Score { market, from, until, stored_e2, exchange_e2, missing_e2, basis },
                short,
            });
        }
        self.tell_unscored(unscored);
        Ok(rows)
    }

    /// Returns those of the markets without a candle that may really have had no trade. Their volumes decide: the
    /// present ones, compared with the trades stored up to now, because lists of changes do not show that a market
    /// trades.
    fn credible_silences(
        &self,
        mut silent: Vec<Lifespan>,
        store: &mut dyn Store,
    ) -> Result<HashSet<Ticker>, Failure> {
        if self.window.is_none() {
            let now = self.asker.exchange_now();
            let lately = now.before(SETTLE);
            let is_old =
                |lifespan: &&Lifespan| lifespan.seen_at.is_none_or(|at| at < lately || now < at);
            let old: Vec<Lifespan> = silent.iter().filter(is_old).cloned().collect();
            let mut anew = ingest::describe(&old, store, &self.asker)?;
            for failure in &anew.troubles {
                log::warn!("{}; its old description has to do", one_line(failure));
            }
            for lifespan in &mut silent {
                if let Some(Said::Known(known)) = anew.said.remove(&lifespan.market) {
                    *lifespan = known;
                }
            }
        }
        let mut by_time: BTreeMap<Option<Timestamp>, Vec<Ticker>> = BTreeMap::new();
        for lifespan in &silent {
            by_time.entry(lifespan.seen_at).or_default().push(lifespan.market.clone());
        }
        let mut sums: HashMap<Ticker, i64> = HashMap::new();
        for (until, markets) in by_time {
            sums.extend(store.stored_lifetime(&markets, until)?);
        }
        let sum_of = |lifespan: &Lifespan| sums.get(&lifespan.market).copied().unwrap_or(0);
        silent.retain(|lifespan| self.is_silence_credible(lifespan, sum_of(lifespan)));
        Ok(silent.into_iter().map(|lifespan| lifespan.market).collect())
    }

    /// Whether the volume of a market does not contradict its silence. A market that opened within a day may have
    /// traded in the hour that is not closed.
    fn is_silence_credible(&self, lifespan: &Lifespan, stored_e2: i64) -> bool {
        if self.window.is_some() || stored_e2 > 0 && lifespan.volume_e2.is_none() {
            return true;
        }
        let young = self.asker.exchange_now().before(DAY);
        let is_young = lifespan.open_time.is_some_and(|at| at > young);
        lifespan.volume_e2.is_some_and(|volume| volume <= stored_e2 || is_young)
    }

    /// The scores by the lifetime volume of finalized markets. For markets that were ever read, candles show whether a
    /// surplus in one hour hides a gap in another. Candles cost one request for a hundred markets, and one request for
    /// each archived market.
    fn lifetime_scores(
        &mut self,
        lifespans: &[&Lifespan],
        store: &mut dyn Store,
    ) -> Result<Vec<MarketScore>, Failure> {
        let markets: Vec<Ticker> =
            lifespans.iter().map(|lifespan| lifespan.market.clone()).collect();
        let stored: HashMap<Ticker, i64> =
            store.stored_lifetime(&markets, None)?.into_iter().collect();
        let mut rows = Vec::with_capacity(lifespans.len());
        let mut doubtful = Vec::new();
        for lifespan in lifespans {
            let (market, volume) = (lifespan.market.clone(), lifespan.volume_e2.unwrap_or(0));
            let stored_e2 = stored.get(&market).copied().unwrap_or(0);
            if stored_e2 > 0 {
                doubtful.push(self.life_hours(lifespan));
            }
            rows.push(MarketScore {
                score: Score::of_sums(market, stored_e2, volume, Basis::Lifetime),
                short: Vec::new(),
            });
        }
        if doubtful.is_empty() {
            return Ok(rows);
        }
        // Without candles, the sum is the only figure.
        let (compared, _) = self.compare(doubtful, store)?;
        let mut compared: HashMap<Ticker, Compared> = compared.into_iter().collect();
        for MarketScore { score, short } in &mut rows {
            let Some(compared) = compared.remove(&score.market) else { continue };
            score.missing_e2 =
                completeness::missing_of_lifetime(score.stored_e2, score.exchange_e2, &compared);
            score.exchange_e2 = score.exchange_e2.max(compared.exchange_e2);
            *short = compared.short;
        }
        Ok(rows)
    }

    /// Compares the stored trades with the candles, for the markets that the exchange has candles of. Returns also the
    /// markets without an answer.
    fn compare(
        &mut self,
        wanted: Vec<CandleSpan>,
        store: &mut dyn Store,
    ) -> Result<Comparison, Failure> {
        let spans: HashMap<Ticker, (Timestamp, Timestamp)> = wanted
            .iter()
            .map(|hours| (hours.lifespan.market.clone(), (hours.from, hours.until)))
            .collect();
        let measured = ingest::exchange_volumes(wanted, &self.asker);
        // Markets that were not asked for, because the exchange accepts no requests now, are no failures of their own.
        let is_left_alone = matches!(self.asker.stopped(), Some(Stop::ComeBackLater(_)));
        for failure in measured.troubles.iter().filter(|_| !is_left_alone) {
            say(self.verdict.failure(failure));
        }
        let markets: Vec<Ticker> = measured.hours.keys().cloned().collect();
        let from = markets.iter().filter_map(|market| Some(spans.get(market)?.0)).min();
        let until = markets.iter().filter_map(|market| Some(spans.get(market)?.1)).max();
        let mut stored: HashMap<Ticker, Vec<HourVolume>> = HashMap::new();
        if let Some((from, until)) = from.zip(until) {
            for hour in store.stored_by_hour(&markets, from, until)? {
                let span = spans.get(&hour.market);
                if span.is_some_and(|(from, until)| *from < hour.ends_at && hour.ends_at <= *until)
                {
                    stored.entry(hour.market.clone()).or_default().push(hour);
                }
            }
        }
        let none = Vec::new();
        let compared = |(market, hours): (&Ticker, &Vec<HourVolume>)| {
            let ours = stored.get(market).unwrap_or(&none);
            (market.clone(), completeness::compare(ours, hours))
        };
        let compared = measured.hours.iter().map(compared).collect();
        Ok((compared, measured.unmeasured.into_iter().collect()))
    }

    /// Reads the hours that fall short once more. Returns whether anything was read.
    fn heal(
        &mut self,
        incomplete: &[Lifespan],
        scores: &[MarketScore],
        store: &mut dyn Store,
    ) -> Result<bool, Failure> {
        let mut jitter = self.asker.jitter();
        let asked = self.asker.ask(&mut jitter, |client, left, clock| client.cutoff(left, clock));
        let cutoff = match asked {
            Ok(Some((cutoff, _))) => cutoff,
            Ok(None) => return Ok(false),
            Err(failure) => {
                say(self.verdict.failure(&failure));
                return Ok(false);
            }
        };
        let mut slices: Vec<Slice> = Vec::new();
        for lifespan in incomplete {
            let of_life = scores.iter().find(|row| row.score.market == lifespan.market);
            let mut short = of_life.map(|row| row.short.clone()).unwrap_or_default();
            if short.is_empty() {
                // A lifetime volume does not show which hours fall short; the candles do.
                let (compared, _) = self.compare(vec![self.life_hours(lifespan)], store)?;
                short = compared.into_iter().next().map(|(_, c)| c.short).unwrap_or_default();
            }
            let mut spans = completeness::spans(&short);
            if spans.is_empty() {
                let CandleSpan { from, until, .. } = self.life_hours(lifespan);
                spans.push((from, until));
            }
            for (from, until) in spans {
                let keys: Vec<SliceKey> = backfill::split(&lifespan.market, from, until, cutoff);
                slices.extend(keys.into_iter().map(Slice::new));
            }
        }
        log::info!("reading {} spans again for {} markets", slices.len(), incomplete.len());
        self.read(slices, store)?;
        Ok(true)
    }

    /// The hours of the window, or of the market's life without a window.
    fn hours_of(&self, lifespan: &Lifespan) -> CandleSpan {
        let Some((from, until)) = self.window else { return self.life_hours(lifespan) };
        let (from, until) = self.hours(from, until);
        CandleSpan { lifespan: lifespan.clone(), from, until }
    }

    /// The hours of a market's life. The exchange can move opening and closing times, so there is one more day on
    /// either side.
    fn life_hours(&self, lifespan: &Lifespan) -> CandleSpan {
        let now = self.asker.exchange_now();
        let from = lifespan
            .open_time
            .map_or(VENUE.first_trades, |at| at.before(DAY).max(VENUE.first_trades));
        let until = lifespan.close_time.map_or(now, |at| at.after(DAY)).max(from);
        let (from, until) = self.hours(from, until);
        CandleSpan { lifespan: lifespan.clone(), from, until }
    }

    fn read(&mut self, slices: Vec<Slice>, store: &mut dyn Store) -> Result<(), Failure> {
        let jobs: Vec<Job> =
            slices.iter().map(|s| Job::Slice { slice: s.clone(), keep: None }).collect();
        let source =
            Arc::new(Source::new(Arc::clone(&self.asker), Rules::EXACT, Background::default()));
        let ledger = Committed::of_slices(slices);
        let outcome =
            ingest::read_all(store, self.run, ledger, jobs, &source, WORKERS, &mut |_| {});
        self.tally.merge(&outcome.tally);
        let ended = outcome.done.into_iter().map(|done| done.ended);
        for failure in ended.filter_map(|ended| match ended {
            ingest::Ended::Failed(failure) => Some(failure),
            _ => None,
        }) {
            say(self.verdict.failure(&failure));
        }
        outcome.store_failure.map_or(Ok(()), Err)
    }
}

/// The first element, and the number of the others in words.
fn first_and_more<T>(mut of: impl Iterator<Item = T>) -> Option<(T, String)> {
    let first = of.next()?;
    let more = match of.count() {
        0 => String::new(),
        1 => " and another market".to_owned(),
        more => format!(" and {more} more markets"),
    };
    Some((first, more))
}
