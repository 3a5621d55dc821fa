//! What else the exchange says of a slice that shows nothing: its description of the market, and its candles. Pure.
//!
//! A list of trades that is empty says the same however often it is asked for. Figures that come from elsewhere
//! are another question, as far as they speak of the slice at all: each is believed of what was traded by the instant
//! at which it was given.

use std::time::Duration;

use super::backfill::Lifespan;
use super::completeness::{HOUR_SECONDS, HourVolume, compare};
use super::slice::{Slice, SliceKey, SliceStatus};
use super::time::Timestamp;

/// Trades so young may still be joined to a candle.
const CLOSED_AFTER: Duration = Duration::from_secs(60);
/// A trade so young may not be in the volume of its market yet.
const COUNTED_AFTER: Duration = Duration::from_secs(60);
/// A market that was described so lately may be unknown for a moment: lists are cached.
const GONE_AFTER: Duration = Duration::from_secs(300);

/// Whether nothing of a slice was shown so far.
pub fn is_blank(slice: &Slice) -> bool {
    slice.status == SliceStatus::Open && slice.cursor.is_none() && slice.low.is_none()
}

/// Whether the market did not trade within the slice, by its own times.
pub fn is_outside(lifespan: &Lifespan, key: &SliceKey) -> bool {
    lifespan.open_time.is_some_and(|open| key.until() <= open)
        || lifespan.close_time.is_some_and(|close| close < key.from())
}

/// What the exchange says of a market that is asked for by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// This.
    Known(Lifespan),
    /// There is none, by two different questions; this is what it had said before, and when it said so.
    Gone(Lifespan, Timestamp),
}

impl Said {
    /// What it said last.
    pub fn lifespan(&self) -> &Lifespan {
        match self {
            Said::Known(lifespan) | Said::Gone(lifespan, _) => lifespan,
        }
    }

    /// Stored trades up to this instant are held against the volume; later ones may not be in it. `None` if nobody
    /// knows of when it is.
    pub fn counted_until(&self) -> Option<Timestamp> {
        match self {
            Said::Known(lifespan) => counted_until(lifespan),
            Said::Gone(_, at) => Some(*at),
        }
    }

    /// Whether nothing that was traded by the end of the slice is missing; `stored_e2` is what is stored up to
    /// [then](Said::counted_until).
    pub fn accounts_for(&self, key: &SliceKey, stored_e2: i64) -> bool {
        match self {
            Said::Known(lifespan) => {
                speaks_of(lifespan, key) && lifespan.volume_e2 == Some(stored_e2)
            }
            Said::Gone(lifespan, at) => {
                let was_known = lifespan.seen_at.is_none_or(|seen| at.since(seen) >= GONE_AFTER);
                // One that has traded does not go.
                was_known && stored_e2 == 0 && lifespan.volume_e2.unwrap_or(0) == 0
            }
        }
    }
}

/// Whether a description is late enough for all that was traded in a slice to be in its volume.
pub fn speaks_of(lifespan: &Lifespan, key: &SliceKey) -> bool {
    counted_until(lifespan).is_some_and(|until| key.until() <= until)
}

fn counted_until(lifespan: &Lifespan) -> Option<Timestamp> {
    lifespan.seen_at.map(|at| at.before(COUNTED_AFTER))
}

/// What the exchange's candles are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candles {
    /// These are the hours around the slice.
    Hours(Vec<HourVolume>),
    /// Nobody is told, or nobody can read it.
    Refused,
}

/// What a witness says of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nothing of it is missing.
    Whole,
    /// Something of it is missing.
    Short,
    /// It says nothing.
    Silent,
}

impl Candles {
    /// What they say, given what is stored of these hours. No candle at all is no answer; nor is one of an hour that goes
    /// on, unless it is there.
    pub fn say(&self, key: &SliceKey, stored: &[HourVolume], exchange_now: Timestamp) -> Word {
        let Candles::Hours(hours) = self else { return Word::Silent };
        let (from, until) = hours_around(key);
        let within = |hour: &&HourVolume| from < hour.ends_at && hour.ends_at <= until;
        let shown: Vec<&HourVolume> = hours.iter().filter(within).collect();
        let is_closed = until.after(CLOSED_AFTER) <= exchange_now;
        let has_last = shown.iter().any(|hour| hour.ends_at == until);
        let is_answer = !shown.is_empty() && (is_closed || has_last);
        match compare(stored.iter().filter(within), shown).missing_e2 {
            0 if is_answer => Word::Whole,
            0 => Word::Silent,
            _ => Word::Short,
        }
    }
}

/// The full hours that hold a slice. A trade on the hour is in the one that ends then.
pub fn hours_around(key: &SliceKey) -> (Timestamp, Timestamp) {
    let hour = |second: i64| Timestamp::from_seconds(second.saturating_mul(HOUR_SECONDS));
    let first = (key.from().second() - 1).div_euclid(HOUR_SECONDS);
    let last = (key.until().second() - 1).div_euclid(HOUR_SECONDS) + 1;
    (hour(first), hour(last))
}

/// Whether nothing of a slice is missing, by its market's description and its candles. Candles that contradict win: a
/// volume of nothing was seen on markets that had traded. Where they say nothing the description decides. Where they are not
/// to be had it does so only of a slice that was shown empty by three questions (`is_doubted`), as it does in a pass.
pub fn is_borne_out(
    is_accounted_for: bool,
    candles: &Candles,
    word: Word,
    is_doubted: bool,
) -> bool {
    match word {
        Word::Whole => true,
        Word::Short => false,
        Word::Silent => is_accounted_for && (is_doubted || *candles != Candles::Refused),
    }
}

#[cfg(test)]
#[path = "vouching_tests.rs"]
mod tests;
