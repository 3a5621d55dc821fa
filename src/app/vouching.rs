//! Which slices that show nothing are borne out by other figures of the exchange's.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::domain::backfill::Life;
use crate::domain::completeness::HourVolume;
use crate::domain::slice::{Slice, SliceKey};
use crate::domain::trade::Ticker;
use crate::domain::vouching::{
    hours_around, is_all_stored, is_blank, is_borne_out, is_outside, is_untraded,
};
use crate::failure::{Failure, one_line};
use crate::ingest::{self, Asker, Hours};
use crate::store::Store;

/// Says it of these slices. A description without volume is held against the candles before anything is asked for;
/// so are those that were shown empty (`doubts`), of the others nobody needs to know.
pub(super) fn vouched(
    slices: &[Slice],
    lives: &[Life],
    doubts: &HashSet<SliceKey>,
    asker: &Asker,
    store: &mut dyn Store,
) -> Result<HashSet<SliceKey>, Failure> {
    let lives: HashMap<&Ticker, &Life> = lives.iter().map(|life| (&life.market, life)).collect();
    let known = |slice: &'_ Slice| {
        let life = lives.get(slice.key.market()).copied()?;
        is_blank(slice).then(|| (slice.key.clone(), life))
    };
    let (outside, within): (Vec<_>, Vec<_>) =
        slices.iter().filter_map(known).partition(|(key, life)| is_outside(life, key));
    let mut vouched: HashSet<SliceKey> = outside.into_iter().map(|(key, _)| key).collect();
    let is_wanted =
        |(key, life): &(SliceKey, &Life)| life.volume_e2 == Some(0) || doubts.contains(key);
    let wanted: Vec<(SliceKey, &Life)> = within.into_iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        return Ok(vouched);
    }
    let markets: Vec<Ticker> = wanted.iter().map(|(_, life)| life.market.clone()).collect();
    let stored: HashMap<Ticker, i64> = store.stored_lifetime(&markets)?.into_iter().collect();
    let stored_of = |life: &Life| stored.get(&life.market).copied().unwrap_or(0);
    let (all, rest): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|(key, life)| is_all_stored(life, key, stored_of(life)));
    vouched.extend(all.into_iter().map(|(key, _)| key));
    let is_open = |(key, life): &(SliceKey, &Life)| {
        doubts.contains(key) || is_untraded(life, key, stored_of(life))
    };
    let rest: Vec<(SliceKey, &Life)> = rest.into_iter().filter(is_open).collect();
    let figures = Figures::of(&rest, asker, store)?;
    let is_borne_out = |(key, life): &(SliceKey, &Life)| {
        let candles = figures.candles.get(key.market());
        let stored = figures.stored.get(key.market()).map_or(&[][..], Vec::as_slice);
        let untraded = is_untraded(life, key, stored_of(life));
        candles.is_some_and(|c| is_borne_out(key, c, stored, untraded, asker.exchange_now()))
    };
    vouched.extend(rest.into_iter().filter(is_borne_out).map(|(key, _)| key));
    Ok(vouched)
}

/// What was traded by the hour.
#[derive(Default)]
struct Figures {
    /// As the exchange's candles say; a market that they say nothing of is not here.
    candles: HashMap<Ticker, Vec<HourVolume>>,
    stored: HashMap<Ticker, Vec<HourVolume>>,
}

impl Figures {
    /// Of the hours around these slices.
    fn of(
        slices: &[(SliceKey, &Life)],
        asker: &Asker,
        store: &mut dyn Store,
    ) -> Result<Figures, Failure> {
        let mut wanted: BTreeMap<&Ticker, Hours> = BTreeMap::new();
        for (key, life) in slices {
            let (from, until) = hours_around(key);
            let hours = || Hours { life: (*life).clone(), from, until };
            let hours = wanted.entry(&life.market).or_insert_with(hours);
            (hours.from, hours.until) = (hours.from.min(from), hours.until.max(until));
        }
        let bounds = |hours: &Hours| (hours.from, hours.until);
        let from = wanted.values().map(|hours| bounds(hours).0).min();
        let until = wanted.values().map(|hours| bounds(hours).1).max();
        let Some((from, until)) = from.zip(until) else { return Ok(Figures::default()) };
        let measured = ingest::measure(wanted.into_values().collect(), asker);
        for failure in &measured.troubles {
            log::info!("{}; what shows no trade is not vouched for", one_line(failure));
        }
        let markets: Vec<Ticker> = measured.hours.keys().cloned().collect();
        let mut figures = Figures { candles: measured.hours, stored: HashMap::new() };
        if !markets.is_empty() {
            for hour in store.stored_by_hour(&markets, from, until)? {
                figures.stored.entry(hour.market.clone()).or_default().push(hour);
            }
        }
        Ok(figures)
    }
}
