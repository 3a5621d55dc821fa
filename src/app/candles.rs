//! `candles`: the exchange's own candles of the selected markets, from the last stored one on.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::lifespans;
use super::outside::Outside;
use super::say;
use super::session::{Done, LONG, Session};
use crate::clock::StopFlag;
use crate::config::CandlesPlan;
use crate::domain::backfill::Lifespan;
use crate::domain::candle::{Candle, Intake, Interval, wanted};
use crate::domain::tally::Tally;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::driver::Verdict;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::ingest::{self, Answer, Asker, CandleSpan, Route, Stop};
use crate::kalshi::VENUE;
use crate::store::{RunId, Store};
use crate::words;

/// The number of candles that are stored together, some megabytes.
const CANDLES_WAITING_MAX: usize = 10_000;

pub(super) fn candles(
    plan: CandlesPlan,
    store: &mut dyn Store,
    outside: &Outside,
    stop: &StopFlag,
) -> Result<Exit, Failure> {
    let CandlesPlan { selection, interval, since, exchange } = plan;
    let minutes = interval.minutes();
    let name = format!("candles-{minutes}-{}", selection.shard().file_name());
    let Some(_lock) = store.try_lock(&name)? else {
        log::warn!(
            "another call reads candles of this length; run this one again when it has ended"
        );
        return Ok(Exit::Incomplete);
    };
    let mut session = Session::begin("candles", "reading candles", store, outside, stop)?;
    let (asker, run) = (session.asker(exchange, LONG, selection.shard(), store), session.run());
    let budget = asker.budget().clone();
    let mut reader = Reader {
        interval,
        since,
        asker: Arc::clone(&asker),
        run,
        verdict: Verdict::of_command(),
        markets: BTreeSet::new(),
        count: 0,
    };
    let read = session.with_reconnect(store, &budget, |store| reader.read_all(&selection, store));
    if let Err(failure) = read {
        say(reader.verdict.broken_off(&failure));
    }
    if let Some(Stop::ComeBackLater(at)) = asker.stopped() {
        say(reader.verdict.incomplete(&words::come_back_line(at)));
    }
    let Reader { verdict, markets, count, .. } = reader;
    log::info!("stored {count} candles of {} markets", markets.len());
    let done = Done { markets: markets.len(), tally: Tally::default(), verdict };
    Ok(session.end(done, Some(&asker), store))
}

/// The reading of candles in progress.
struct Reader {
    interval: Interval,
    since: Option<Timestamp>,
    asker: Arc<Asker>,
    run: RunId,
    verdict: Verdict,
    /// The markets with a stored candle.
    markets: BTreeSet<Ticker>,
    /// Stored candles; those that were stored before are counted as well.
    count: usize,
}

impl Reader {
    fn read_all(
        &mut self,
        selection: &crate::domain::selection::Selection,
        store: &mut dyn Store,
    ) -> Result<(), Failure> {
        self.verdict.begin_again();
        let now = self.asker.exchange_now();
        let span = (VENUE.first_trades, now);
        let known =
            lifespans::of(selection, span, (&self.asker, self.run), &mut self.verdict, store)?;
        let names: Vec<Ticker> = known.iter().map(|lifespan| lifespan.market.clone()).collect();
        let stored = store.stored_candles(self.interval, &names)?;
        let wanted = |lifespan: Lifespan| {
            let stored = stored.get(&lifespan.market).copied();
            let (from, until) =
                wanted(self.interval, &lifespan, stored, self.since, VENUE.first_trades, now);
            CandleSpan { lifespan, from, until }
        };
        let ends = stored.iter().filter_map(|(market, of)| Some((market.clone(), of.last_final?)));
        let first = Intake::first(self.interval, ends.collect());
        let spans: Vec<CandleSpan> = known.into_iter().map(wanted).collect();
        let intake = self.read(spans.clone(), Route::Together, first, store)?;
        let again = spans.into_iter().filter_map(|span| {
            let from = intake.doubted().get(&span.lifespan.market).copied()?;
            Some(CandleSpan { from, ..span })
        });
        let again: Vec<CandleSpan> = again.collect();
        if !again.is_empty() {
            log::info!("asking about {} markets another way: periods were left out", again.len());
            self.read(again, Route::Alone, Intake::second(self.interval), store)?;
        }
        Ok(())
    }

    /// Asks for these candles and stores them.
    fn read(
        &mut self,
        spans: Vec<CandleSpan>,
        route: Route,
        mut intake: Intake,
        store: &mut dyn Store,
    ) -> Result<Intake, Failure> {
        let (asker, interval) = (Arc::clone(&self.asker), self.interval);
        let mut waiting: Vec<Candle> = Vec::new();
        let unanswered = {
            let mut take = |answer: Answer<'_>| -> Result<(), Failure> {
                let market = &answer.wanted.lifespan.market;
                // The earlier of both clocks says when it was read: one that counts as final too early is not read
                // again.
                let now = asker.budget().clock().now();
                let mut taken = intake.take(market, answer.candles);
                for candle in &mut taken {
                    candle.read_at = candle.read_at.min(now);
                }
                waiting.append(&mut taken);
                if waiting.len() >= CANDLES_WAITING_MAX {
                    self.store(&mut waiting, store)?;
                }
                Ok(())
            };
            ingest::each_candles(spans, interval, route, &asker, &mut take)?
        };
        self.store(&mut waiting, store)?;
        // Markets that were not asked for, because the exchange accepts no requests now, are no failures of their own.
        let is_left_alone = matches!(asker.stopped(), Some(Stop::ComeBackLater(_)));
        for failure in unanswered.troubles.iter().filter(|_| !is_left_alone) {
            say(self.verdict.failure(failure));
        }
        for (market, reason) in intake.unreadable() {
            let message = format!(
                "a candle of {market} cannot be read: {reason}; later ones of it wait until it can"
            );
            say(self.verdict.failure(&Failure::new(Kind::ExchangeUnreadable, message)));
        }
        let mut silent: Vec<&Ticker> = unanswered.refused.iter().collect();
        silent.sort();
        if let (Some(first), true) = (silent.first(), unanswered.troubles.is_empty()) {
            let more = match silent.len() - 1 {
                0 => String::new(),
                more => format!(" and of {more} more markets"),
            };
            let message = format!("the exchange named no candles of {first}{more}; run it again");
            say(self.verdict.incomplete(&message));
        }
        Ok(intake)
    }

    fn store(&mut self, waiting: &mut Vec<Candle>, store: &mut dyn Store) -> Result<(), Failure> {
        if waiting.is_empty() {
            return Ok(());
        }
        store.save_candles(self.interval, waiting)?;
        self.count += waiting.len();
        for candle in waiting.drain(..) {
            if !self.markets.contains(&candle.market) {
                self.markets.insert(candle.market);
            }
        }
        Ok(())
    }
}
