//! `completeness`: what is stored against the exchange's own figures; and healing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::session::{Done, LONG, Session};
use super::verdict::Verdict;
use crate::clock::{Clock, StopFlag};
use crate::config::CompletenessPlan;
use crate::domain::backfill::{self, Life};
use crate::domain::batch::Ledger;
use crate::domain::completeness::{self, Basis, Compared, HOUR_SECONDS, HourVolume, Score};
use crate::domain::market::{Scope, Status};
use crate::domain::page::Rules;
use crate::domain::slice::{Slice, SliceKey};
use crate::domain::tally::Tally;
use crate::domain::time::{FIRST_TRADES, Timestamp};
use crate::domain::trade::Ticker;
use crate::exit::Exit;
use crate::failure::{Failure, one_line};
use crate::ingest::{self, Asker, Background, Source, Stop, Work};
use crate::report::{self, MarketScore};
use crate::retry::Jitter;
use crate::store::{RunId, Store};

/// Trades so young may still be joined by others.
const SETTLE: Duration = Duration::from_secs(60);
const WORKERS: usize = 4;

pub(super) fn completeness(
    plan: CompletenessPlan,
    store: &mut dyn Store,
    clock: &Arc<dyn Clock>,
    stop: &StopFlag,
) -> anyhow::Result<Exit> {
    let mut session = Session::begin("completeness", "scoring", store, clock, stop)?;
    let CompletenessPlan { selection, window, exchange, min_score, is_healed, output } = plan;
    let (asker, run) = (session.asker(exchange, LONG, selection.shard(), store), session.run());
    let mut work =
        Scorer { window, asker, run, verdict: Verdict::of_command(), tally: Tally::default() };
    let budget = work.asker.budget().clone();
    let scored =
        session.persevere(store, &budget, |store| work.score_all(&selection, is_healed, store));
    let found = match scored {
        Ok(found) => found,
        Err(failure) => {
            work.verdict.trouble(Exit::of_kind(failure.kind), one_line(&failure));
            Vec::new()
        }
    };
    if let Some(Stop::ComeBackLater(at)) = work.asker.stopped() {
        work.verdict.incomplete(&report::come_back_line(at));
    }
    let is_low = |score: &MarketScore| min_score.is_some_and(|least| score.score.value() < least);
    let low = found.iter().filter(|score| is_low(score)).count();
    if let Some(worst) = found
        .iter()
        .filter(|score| is_low(score))
        .min_by(|a, b| a.score.value().total_cmp(&b.score.value()))
    {
        let (market, value) = (&worst.score.market, worst.score.value());
        let more = if low > 1 { format!(" and {} more markets", low - 1) } else { String::new() };
        work.verdict.below(format!(
            "{market}{more} below --min-score: {value:.6} of what the exchange says was traded is stored; \
             --heal reads it again"
        ));
    }
    super::answer(&report::scores(&found, output))?;
    let Scorer { asker, tally, verdict, .. } = work;
    Ok(session.end(Done { markets: found.len(), tally, verdict }, Some(&asker), store))
}

/// A scoring at work.
struct Scorer {
    window: Option<(Timestamp, Timestamp)>,
    asker: Arc<Asker>,
    run: RunId,
    verdict: Verdict,
    tally: Tally,
}

impl Scorer {
    fn score_all(
        &mut self,
        selection: &crate::domain::selection::Selection,
        is_healed: bool,
        store: &mut dyn Store,
    ) -> Result<Vec<MarketScore>, Failure> {
        self.verdict.begin_again();
        let span =
            self.window.unwrap_or((FIRST_TRADES, Timestamp::from_seconds(i64::from(i32::MAX))));
        let lives = self.lives(selection, span, store)?;
        let mut scores = self.score(&lives, store)?;
        if is_healed {
            let short = |score: &MarketScore| score.score.missing_e2() > 0;
            let names: Vec<&Ticker> =
                scores.iter().filter(|s| short(s)).map(|s| &s.score.market).collect();
            let ill: Vec<Life> =
                lives.iter().filter(|life| names.contains(&&life.market)).cloned().collect();
            if !ill.is_empty() && self.heal(&ill, &scores, store)? {
                let mut again: HashMap<Ticker, MarketScore> = self
                    .score(&ill, store)?
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
        }
        Ok(scores)
    }

    /// The universe: every market that the exchange knows in what was selected, also those never read.
    fn lives(
        &mut self,
        selection: &crate::domain::selection::Selection,
        span: (Timestamp, Timestamp),
        store: &mut dyn Store,
    ) -> Result<Vec<Life>, Failure> {
        let found = if selection.is_all() {
            let synced = ingest::sync(selection, store, &self.asker, Duration::ZERO)?;
            let shard = selection.shard();
            let mut lives = store.lives(Scope::All, None, span.0, span.1)?;
            lives.retain(|life| shard.holds(&life.market));
            let (troubles, is_whole) = (synced.troubles, synced.is_whole);
            ingest::Lives { lives, troubles, is_whole }
        } else {
            ingest::lives(selection, store, &self.asker, span)?
        };
        for failure in &found.troubles {
            self.verdict.failure(failure);
        }
        if !found.is_whole {
            self.verdict.incomplete("the exchange has not named all markets; run it again");
        }
        // What the exchange does not know any more it has no figures of.
        Ok(found.lives.into_iter().filter(|life| life.status != Status::Vanished).collect())
    }

    /// Full hours, closed for long enough.
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

    fn score(
        &mut self,
        lives: &[Life],
        store: &mut dyn Store,
    ) -> Result<Vec<MarketScore>, Failure> {
        let is_by_lifetime = |life: &&Life| {
            // A volume of nothing was seen on markets that had traded: their candles decide.
            let has_volume = life.volume_e2.is_some_and(|volume| volume > 0);
            self.window.is_none() && life.status == Status::Finalized && has_volume
        };
        let (whole, by_hour): (Vec<&Life>, Vec<&Life>) = lives.iter().partition(is_by_lifetime);
        let mut scores = lifetime_scores(&whole, store)?;
        let by_hour: Vec<Life> = by_hour.into_iter().cloned().collect();
        if !by_hour.is_empty() {
            let (from, until) = self.window.unwrap_or_else(|| {
                let opens = by_hour.iter().filter_map(|life| life.open_time).min();
                (opens.unwrap_or(FIRST_TRADES), self.asker.exchange_now())
            });
            let (from, until) = self.hours(from, until);
            if from == until {
                self.verdict.incomplete("there is no full hour in it that is closed");
            }
            for (market, compared) in self.compare(&by_hour, (from, until), store)? {
                let Compared { stored_e2, exchange_e2, short } = compared;
                let basis = Basis::Candles;
                let (from, until) = (Some(from), Some(until));
                scores.push(MarketScore {
                    score: Score { market, from, until, stored_e2, exchange_e2, basis },
                    short,
                });
            }
        }
        scores.sort_by(|a, b| a.score.market.cmp(&b.score.market));
        Ok(scores)
    }

    /// Stored against candles, for the markets that the exchange has candles of.
    fn compare(
        &mut self,
        lives: &[Life],
        (from, until): (Timestamp, Timestamp),
        store: &mut dyn Store,
    ) -> Result<Vec<(Ticker, Compared)>, Failure> {
        let measured = ingest::measure(lives, from, until, &self.asker);
        // Those that were not asked for are no trouble of their own.
        let is_left_alone = matches!(self.asker.stopped(), Some(Stop::ComeBackLater(_)));
        for failure in measured.troubles.iter().filter(|_| !is_left_alone) {
            self.verdict.failure(failure);
        }
        if !measured.unmeasured.is_empty() {
            let count = measured.unmeasured.len();
            self.verdict.incomplete(&format!("the exchange has no figures of {count} markets"));
        }
        let markets: Vec<Ticker> = measured.hours.keys().cloned().collect();
        let mut stored: HashMap<Ticker, Vec<HourVolume>> = HashMap::new();
        for hour in store.stored_by_hour(&markets, from, until)? {
            stored.entry(hour.market.clone()).or_default().push(hour);
        }
        let none = Vec::new();
        let compared = |(market, hours): (&Ticker, &Vec<HourVolume>)| {
            let ours = stored.get(market).unwrap_or(&none);
            (market.clone(), completeness::compare(ours, hours))
        };
        Ok(measured.hours.iter().map(compared).collect())
    }

    /// Reads the hours that fall short again, once; whether anything was read.
    fn heal(
        &mut self,
        ill: &[Life],
        scores: &[MarketScore],
        store: &mut dyn Store,
    ) -> Result<bool, Failure> {
        let mut jitter = Jitter::from_entropy();
        let asked = self.asker.ask(&mut jitter, |client, left, clock| client.cutoff(left, clock));
        let cutoff = match asked {
            Ok(Some((cutoff, _))) => cutoff,
            Ok(None) => return Ok(false),
            Err(failure) => {
                self.verdict.failure(&failure);
                return Ok(false);
            }
        };
        let mut slices: Vec<Slice> = Vec::new();
        for life in ill {
            let of_life = scores.iter().find(|row| row.score.market == life.market);
            let mut short = of_life.map(|row| row.short.clone()).unwrap_or_default();
            if short.is_empty() {
                // A lifetime volume does not say when: the candles do.
                let span = self.life_hours(life);
                let compared = self.compare(std::slice::from_ref(life), span, store)?;
                short = compared.into_iter().next().map(|(_, c)| c.short).unwrap_or_default();
            }
            let mut spans = completeness::spans(&short);
            if spans.is_empty() {
                spans.push(self.life_hours(life));
            }
            for (from, until) in spans {
                let keys: Vec<SliceKey> = backfill::split(&life.market, from, until, cutoff);
                slices.extend(keys.into_iter().map(Slice::new));
            }
        }
        log::info!("reading {} spans again for {} markets", slices.len(), ill.len());
        self.read(slices, store)?;
        Ok(true)
    }

    fn life_hours(&self, life: &Life) -> (Timestamp, Timestamp) {
        let day = Duration::from_secs(86_400);
        let from = life.open_time.map_or(FIRST_TRADES, |at| at.before(day));
        let until = life.close_time.map_or(self.asker.exchange_now(), |at| at.after(day));
        self.hours(from, until)
    }

    fn read(&mut self, slices: Vec<Slice>, store: &mut dyn Store) -> Result<(), Failure> {
        let readings: Vec<Work> =
            slices.iter().map(|s| Work::Slice { slice: s.clone(), keep: None }).collect();
        let source =
            Arc::new(Source::new(Arc::clone(&self.asker), Rules::EXACT, Background::default()));
        let ledger = Ledger::of_slices(slices);
        let outcome =
            ingest::pass(store, self.run, ledger, readings, &source, WORKERS, &mut |_| {});
        self.tally.merge(&outcome.tally);
        let ended = outcome.done.into_iter().map(|done| done.ended);
        for failure in ended.filter_map(|ended| match ended {
            ingest::Ended::Failed(failure) => Some(failure),
            _ => None,
        }) {
            self.verdict.failure(&failure);
        }
        outcome.store_failure.map_or(Ok(()), Err)
    }
}

/// The whole life of finalized markets, in one number each.
fn lifetime_scores(lives: &[&Life], store: &mut dyn Store) -> Result<Vec<MarketScore>, Failure> {
    if lives.is_empty() {
        return Ok(Vec::new());
    }
    let markets: Vec<Ticker> = lives.iter().map(|life| life.market.clone()).collect();
    let stored: HashMap<Ticker, i64> = store.stored_lifetime(&markets)?.into_iter().collect();
    let of_life = |life: &&Life| MarketScore {
        score: Score {
            market: life.market.clone(),
            from: None,
            until: None,
            stored_e2: stored.get(&life.market).copied().unwrap_or(0),
            exchange_e2: life.volume_e2.unwrap_or(0),
            basis: Basis::Lifetime,
        },
        short: Vec::new(),
    };
    Ok(lives.iter().map(of_life).collect())
}
