//! Markets asked for by name: those that were named one by one, and those that may have changed without being on a
//! list.

use std::collections::HashSet;

use super::super::absence::{self, Alone};
use super::super::list::{self, ByName};
use super::{
    ALONE_MAX, Absence, Heard, Known, Syncer, Target, WatchChange, lifecycle, record_name,
};
use crate::domain::ticker::Ticker;
use crate::failure::Failure;
use crate::kalshi::{MARKETS_PER_REQUEST, is_combo};
use crate::retry::Policy;

impl Syncer<'_> {
    /// Syncs the markets that were named one by one.
    pub(super) fn named(&mut self) -> Result<(), Failure> {
        let roster = self.selection.named();
        let mut tickers = roster.tickers();
        let is_refused =
            |ticker: &Ticker| self.refused.contains(&Target::Market(ticker.clone()).name());
        tickers.retain(|ticker| !is_refused(ticker));
        if tickers.is_empty() {
            return Ok(());
        }
        let known = self.store.known_markets(&tickers)?;
        let fresh = |ticker: &Ticker| known.iter().all(|known| known.ticker != *ticker);
        let never_seen: HashSet<Ticker> = tickers.iter().filter(|t| fresh(t)).cloned().collect();
        let (mut is_whole, mut heard) = (true, Heard::default());
        for batch in tickers.chunks(MARKETS_PER_REQUEST) {
            // A refused batch must not keep later batches from being asked for.
            let Some(ByName { missing, unsure, .. }) = self.ask_by_name(batch, &mut heard)? else {
                is_whole = false;
                continue;
            };
            for ticker in unsure {
                if never_seen.contains(&ticker) {
                    log::warn!("whether the exchange knows {ticker} is not found out yet");
                    (is_whole, self.synced.is_whole) = (false, false);
                }
            }
            let found = batch.iter().filter(|ticker| !missing.contains(ticker));
            self.known_now.extend(found.map(|ticker| Target::Market(ticker.clone()).name()));
            let (strange, missing): (Vec<_>, Vec<_>) =
                missing.into_iter().partition(|ticker| never_seen.contains(ticker));
            for ticker in strange {
                is_whole &= self.find_alone(ticker)?;
            }
            self.miss(missing.into_iter(), &known)?;
        }
        if !is_whole {
            return Ok(());
        }
        let until = self.proven_until(heard)?.unwrap_or(self.now().min(self.ours()));
        let synced = Some((self.ours(), Some(until)));
        let watch = record_name(self.selection, &Target::Market(tickers[0].clone()));
        self.store.save_watches(&[WatchChange { watch, synced, ..WatchChange::default() }])
    }

    /// Asks the routes of a single market for one that no list knows; the request for a list of combos does not do
    /// that. Returns whether the question was answered.
    fn find_alone(&mut self, ticker: Ticker) -> Result<bool, Failure> {
        let attempts_max = Policy::default().attempts_max;
        let asked = if is_combo(&ticker) {
            absence::alone(self.asker, &mut self.jitter, attempts_max, &ticker)
        } else {
            Ok(Alone::Unknown)
        };
        match asked {
            Ok(Alone::Unknown) => {
                let target = Target::Market(ticker);
                if !self.store.is_on_record(&target)? {
                    self.refuse(&target);
                }
                Ok(true)
            }
            Ok(Alone::Known(page)) => {
                self.save(page.markets, &[])?;
                Ok(true)
            }
            Ok(Alone::OutOfTime) => {
                self.synced.is_whole = false;
                Ok(false)
            }
            Err(failure) => {
                self.synced.is_whole = false;
                self.synced.troubles.push(failure);
                Ok(false)
            }
        }
    }

    /// Asks for known markets by name. Returns whether all were answered for.
    pub(super) fn look(&mut self, due: &[Known]) -> Result<bool, Failure> {
        for batch in due.chunks(MARKETS_PER_REQUEST) {
            let tickers: Vec<Ticker> = batch.iter().map(|known| known.ticker.clone()).collect();
            let answer = self.ask_by_name(&tickers, &mut Heard::default())?;
            let Some(ByName { missing, .. }) = answer else { return Ok(false) };
            self.miss(missing.into_iter(), batch)?;
        }
        Ok(true)
    }

    /// Asks by name and stores the answers. Returns the markets that are unknown or unsure; `None` when there was no
    /// answer.
    fn ask_by_name(
        &mut self,
        tickers: &[Ticker],
        heard: &mut Heard,
    ) -> Result<Option<ByName>, Failure> {
        let attempts_max = Policy::default().attempts_max;
        match list::by_name(self.asker, &mut self.jitter, attempts_max, tickers) {
            Ok(Some(mut answer)) => {
                let alone = std::mem::take(&mut answer.alone);
                for page in std::mem::take(&mut answer.pages).into_iter().chain(alone) {
                    heard.hear(page.exchange_now);
                    self.note_unreadable(&page);
                    self.save(page.markets, &[])?;
                }
                Ok(Some(answer))
            }
            Ok(None) => {
                self.synced.is_whole = false;
                Ok(None)
            }
            Err(failure) => {
                self.synced.is_whole = false;
                self.synced.troubles.push(failure);
                Ok(None)
            }
        }
    }

    fn miss(
        &mut self,
        missing: impl Iterator<Item = Ticker>,
        known: &[Known],
    ) -> Result<(), Failure> {
        let now = self.now();
        let mut alone_left = ALONE_MAX;
        let mut absent = Vec::new();
        for ticker in missing {
            let Some(known) = known.iter().find(|known| known.ticker == ticker) else { continue };
            let mut is_believed = lifecycle::is_gone(known, now) && !known.status.is_over();
            if is_believed && is_combo(&ticker) {
                // The routes of this single combo were not asked yet.
                is_believed = alone_left > 0;
                alone_left = alone_left.saturating_sub(1);
                let asked = if is_believed {
                    absence::alone(self.asker, &mut self.jitter, 1, &ticker)
                } else {
                    Ok(Alone::OutOfTime)
                };
                match asked {
                    Ok(Alone::Unknown) => {}
                    Ok(Alone::Known(page)) => {
                        self.save(page.markets, &[])?;
                        continue;
                    }
                    Ok(Alone::OutOfTime) | Err(_) => is_believed = false,
                }
            }
            absent.push(Absence { ticker, is_believed });
        }
        if absent.is_empty() { Ok(()) } else { self.save(Vec::new(), &absent) }
    }
}
