//! Finds the slices without a shown trade that other figures of the exchange confirm.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::domain::backfill::Lifespan;
use crate::domain::completeness::HourVolume;
use crate::domain::slice::{Slice, SliceKey};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::vouching::{
    Candles, Said, Word, hours_around, is_blank, is_borne_out, is_outside, speaks_of,
};
use crate::failure::{Failure, one_line};
use crate::ingest::{self, Asker, CandleSpan};
use crate::store::Store;

/// A slice that shows no trade, and the lifespan of its market as it was described.
type Blank<'a> = (SliceKey, &'a Lifespan);

/// Asks for other figures about slices that show no trade, and remembers the answers: no question is asked twice in
/// one invocation.
pub(super) struct Witnesses {
    /// The beginning of the invocation; descriptions made since then count as present ones.
    begun: Timestamp,
    said: HashMap<Ticker, Said>,
    candles: HashMap<SliceKey, Candles>,
}

impl Witnesses {
    /// Witnesses for an invocation that began at this instant of the exchange's clock.
    pub(super) fn new(begun: Timestamp) -> Witnesses {
        Witnesses { begun, said: HashMap::new(), candles: HashMap::new() }
    }

    /// The slices that other figures confirm. Before the reading, it checks the slices of markets without volume,
    /// which saves questions; after the reading, those that were shown empty (`doubts`).
    pub(super) fn vouched(
        &mut self,
        slices: &[Slice],
        lifespans: &[Lifespan],
        doubts: &HashSet<SliceKey>,
        asker: &Asker,
        store: &mut dyn Store,
    ) -> Result<HashSet<SliceKey>, Failure> {
        let (mut vouched, within) = by_times(slices, lifespans);
        let blanks: Vec<Blank<'_>> = within
            .into_iter()
            .filter(|(key, lifespan)| doubts.contains(key) || lifespan.volume_e2 == Some(0))
            .collect();
        if blanks.is_empty() {
            return Ok(vouched);
        }
        self.describe(&blanks, doubts, asker, store)?;
        let accounted = self.by_volume(&blanks, store)?;
        let blanks: Vec<Blank<'_>> = blanks
            .into_iter()
            .filter(|(key, _)| doubts.contains(key) || accounted.contains(key))
            .collect();
        self.exchange_volumes(&blanks, asker);
        vouched.extend(self.by_candles(&blanks, &accounted, doubts, asker, store)?);
        Ok(vouched)
    }

    /// Has the markets of these slices described anew, except where that was done or where the known description
    /// already covers the slice. The market of a doubted slice is described in any case, because its volume may have
    /// been wrong.
    fn describe(
        &mut self,
        blanks: &[Blank<'_>],
        doubts: &HashSet<SliceKey>,
        asker: &Asker,
        store: &mut dyn Store,
    ) -> Result<(), Failure> {
        let mut old: BTreeMap<&Ticker, Lifespan> = BTreeMap::new();
        for (key, lifespan) in
            blanks.iter().filter(|(_, lifespan)| !self.said.contains_key(&lifespan.market))
        {
            let is_of_now = lifespan.seen_at.is_some_and(|at| self.begun <= at);
            if !is_of_now && (doubts.contains(key) || !speaks_of(lifespan, key)) {
                old.insert(&lifespan.market, (*lifespan).clone());
            }
        }
        let old: Vec<Lifespan> = old.into_values().collect();
        let anew = ingest::describe(&old, store, asker)?;
        for failure in &anew.troubles {
            log::warn!("{}; what shows no trade is not vouched for", one_line(failure));
        }
        self.said.extend(anew.said);
        Ok(())
    }

    /// The present knowledge of the market of a slice.
    fn said(&self, lifespan: &Lifespan) -> Said {
        self.said.get(&lifespan.market).cloned().unwrap_or_else(|| Said::Known(lifespan.clone()))
    }

    /// The slices of which all volume that was traded by the time of the description is stored.
    fn by_volume(
        &self,
        blanks: &[Blank<'_>],
        store: &mut dyn Store,
    ) -> Result<HashSet<SliceKey>, Failure> {
        let mut markets: BTreeMap<Timestamp, Vec<Ticker>> = BTreeMap::new();
        for (_, lifespan) in blanks {
            if let Some(until) = self.said(lifespan).counted_until() {
                markets.entry(until).or_default().push(lifespan.market.clone());
            }
        }
        let mut stored: HashMap<Ticker, i64> = HashMap::new();
        for (until, markets) in markets {
            stored.extend(store.stored_lifetime(&markets, Some(until))?);
        }
        let is_accounted_for = |(key, lifespan): &&Blank<'_>| {
            let stored_e2 = stored.get(&lifespan.market).copied().unwrap_or(0);
            self.said(lifespan).accounts_for(key, stored_e2)
        };
        Ok(blanks.iter().filter(is_accounted_for).map(|(key, _)| key.clone()).collect())
    }

    /// Asks for the candles of the hours around these slices. Candles without an answer now may get one later.
    fn exchange_volumes(&mut self, blanks: &[Blank<'_>], asker: &Asker) {
        let mut wanted: BTreeMap<&Ticker, CandleSpan> = BTreeMap::new();
        let fresh = blanks.iter().filter(|(key, _)| !self.candles.contains_key(key));
        for (key, lifespan) in fresh.clone() {
            let (from, until) = hours_around(key);
            let hours =
                || CandleSpan { lifespan: self.said(lifespan).lifespan().clone(), from, until };
            let hours = wanted.entry(&lifespan.market).or_insert_with(hours);
            (hours.from, hours.until) = (hours.from.min(from), hours.until.max(until));
        }
        let measured = ingest::exchange_volumes(wanted.into_values().collect(), asker);
        for failure in &measured.troubles {
            log::info!(
                "{}; what shows no trade is vouched for without them, if at all",
                one_line(failure)
            );
        }
        let told: Vec<(SliceKey, Candles)> = fresh
            .filter_map(|(key, lifespan)| {
                let hours = measured.hours.get(&lifespan.market);
                let is_refused = measured.refused.contains(&lifespan.market);
                let told = hours.map(|hours| Candles::Hours(hours.clone()));
                Some((key.clone(), told.or(is_refused.then_some(Candles::Refused))?))
            })
            .collect();
        self.candles.extend(told);
    }

    /// The slices that the candles confirm, or do not contradict where the volume is accounted for.
    fn by_candles(
        &self,
        blanks: &[Blank<'_>],
        accounted: &HashSet<SliceKey>,
        doubts: &HashSet<SliceKey>,
        asker: &Asker,
        store: &mut dyn Store,
    ) -> Result<Vec<SliceKey>, Failure> {
        let told = blanks.iter().filter(|(key, _)| self.candles.contains_key(key));
        let stored = stored_hours(told.clone(), store)?;
        let is_vouched = |(key, lifespan): &&Blank<'_>| {
            let Some(candles) = self.candles.get(key) else { return false };
            let stored = stored.get(&lifespan.market).map_or(&[][..], Vec::as_slice);
            let word: Word = candles.say(key, stored, asker.exchange_now());
            is_borne_out(accounted.contains(key), candles, word, doubts.contains(key))
        };
        Ok(told.filter(is_vouched).map(|(key, _)| key.clone()).collect())
    }
}

/// The slices outside of the times at which the market traded by its own description, and the other slices that show
/// no trade.
fn by_times<'a>(
    slices: &[Slice],
    lifespans: &'a [Lifespan],
) -> (HashSet<SliceKey>, Vec<Blank<'a>>) {
    let lifespans: HashMap<&Ticker, &Lifespan> =
        lifespans.iter().map(|lifespan| (&lifespan.market, lifespan)).collect();
    let blanks = slices.iter().filter(|slice| is_blank(slice));
    let known = blanks.filter_map(|slice| {
        let market = slice.key.scope().market()?;
        Some((slice.key.clone(), *lifespans.get(market)?))
    });
    let (outside, within): (Vec<_>, Vec<_>) =
        known.partition(|(key, lifespan)| is_outside(lifespan, key));
    (outside.into_iter().map(|(key, _)| key).collect(), within)
}

/// The stored volume of each hour around these slices.
fn stored_hours<'a>(
    blanks: impl Iterator<Item = &'a Blank<'a>> + Clone,
    store: &mut dyn Store,
) -> Result<HashMap<Ticker, Vec<HourVolume>>, Failure> {
    let from = blanks.clone().map(|(key, _)| hours_around(key).0).min();
    let until = blanks.clone().map(|(key, _)| hours_around(key).1).max();
    let markets: HashSet<Ticker> = blanks.map(|(_, lifespan)| lifespan.market.clone()).collect();
    let markets: Vec<Ticker> = markets.into_iter().collect();
    let mut stored: HashMap<Ticker, Vec<HourVolume>> = HashMap::new();
    if let Some((from, until)) = from.zip(until) {
        for hour in store.stored_by_hour(&markets, from, until)? {
            stored.entry(hour.market.clone()).or_default().push(hour);
        }
    }
    Ok(stored)
}
