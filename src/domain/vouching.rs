//! Other figures of the exchange about a slice that shows nothing: the description of its market, and its candles.
//! Pure.
//!
//! An empty list of trades gives the same answer however often it is asked for. Figures from another source are
//! another question, if they cover the slice at all. Each figure covers the trades up to the instant at which it was
//! given.

use std::time::Duration;

use super::backfill::Lifespan;
use super::completeness::{HOUR_SECONDS, HourVolume, compare};
use super::slice::{Slice, SliceKey, SliceStatus};
use super::time::Timestamp;

/// Trades younger than this may still be added to a candle.
const CLOSED_AFTER: Duration = Duration::from_secs(60);
/// A trade younger than this may be missing in the volume of its market.
const COUNTED_AFTER: Duration = Duration::from_secs(60);
/// A market that was described less than this time ago may be unknown for a moment: lists are cached.
const GONE_AFTER: Duration = Duration::from_secs(300);

/// Whether no trade of a slice was shown so far.
pub fn is_blank(slice: &Slice) -> bool {
    slice.status == SliceStatus::Open && slice.cursor.is_none() && slice.low.is_none()
}

/// Whether the market did not trade within the slice, by its opening and closing times.
pub fn is_outside(lifespan: &Lifespan, key: &SliceKey) -> bool {
    lifespan.open_time.is_some_and(|open| key.until() <= open)
        || lifespan.close_time.is_some_and(|close| close < key.from())
}

/// The answer of the exchange about a market that is asked for by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The description of the market.
    Known(Lifespan),
    /// Two different questions say that there is no such market. Holds the last description and the time of this
    /// answer.
    Gone(Lifespan, Timestamp),
}

impl Said {
    /// The last description.
    pub fn lifespan(&self) -> &Lifespan {
        match self {
            Said::Known(lifespan) | Said::Gone(lifespan, _) => lifespan,
        }
    }

    /// The instant up to which stored trades are compared with the volume; later trades may not be in the volume.
    /// `None` if the time of the description is unknown.
    pub fn counted_until(&self) -> Option<Timestamp> {
        match self {
            Said::Known(lifespan) => counted_until(lifespan),
            Said::Gone(_, at) => Some(*at),
        }
    }

    /// Whether no trade up to the end of the slice is missing. `stored_e2` is the quantity stored up to
    /// [`counted_until`](Said::counted_until).
    pub fn accounts_for(&self, key: &SliceKey, stored_e2: i64) -> bool {
        match self {
            Said::Known(lifespan) => {
                speaks_of(lifespan, key) && lifespan.volume_e2 == Some(stored_e2)
            }
            Said::Gone(lifespan, at) => {
                let was_known = lifespan.seen_at.is_none_or(|seen| at.since(seen) >= GONE_AFTER);
                // A market that has traded does not disappear.
                was_known && stored_e2 == 0 && lifespan.volume_e2.unwrap_or(0) == 0
            }
        }
    }
}

/// Whether a description is late enough to count all trades of a slice in its volume.
pub fn speaks_of(lifespan: &Lifespan, key: &SliceKey) -> bool {
    counted_until(lifespan).is_some_and(|until| key.until() <= until)
}

fn counted_until(lifespan: &Lifespan) -> Option<Timestamp> {
    lifespan.seen_at.map(|at| at.before(COUNTED_AFTER))
}

/// The answer to a question about candles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candles {
    /// The hours around the slice.
    Hours(Vec<HourVolume>),
    /// The exchange gives no candles for it, or they cannot be read.
    Refused,
}

/// The statement of a second source about a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// No trade of the slice is missing.
    Whole,
    /// Some trade of the slice is missing.
    Short,
    /// The source says nothing about it.
    Silent,
}

impl Candles {
    /// The statement of the candles, compared with the stored quantities of the same hours. No candle at all is no
    /// answer. An hour that is not over gives no answer either, unless its candle is there.
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

/// The full hours that contain a slice. A trade exactly on the hour belongs to the hour that ends then.
pub fn hours_around(key: &SliceKey) -> (Timestamp, Timestamp) {
    let hour = |second: i64| Timestamp::from_seconds(second.saturating_mul(HOUR_SECONDS));
    let first = (key.from().second() - 1).div_euclid(HOUR_SECONDS);
    let last = (key.until().second() - 1).div_euclid(HOUR_SECONDS) + 1;
    (hour(first), hour(last))
}

/// Whether no trade of a slice is missing, by the description of its market and its candles. Candles that contradict
/// win: a volume of zero was seen on markets that had traded. If the candles say nothing, the description decides. If
/// there are no candles, it decides only for a slice that three questions showed empty (`is_doubted`), as it does in
/// a pass.
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
