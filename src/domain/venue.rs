//! A venue as the domain knows it: figures that an adapter hands in, and no names.

use std::time::Duration;

use super::time::Timestamp;

/// The figures of a venue. Its adapter says where each comes from.
#[derive(Clone, Copy, Debug)]
pub struct Venue {
    /// The value of every `source` column.
    pub source: &'static str,
    /// The most trades that a page holds.
    pub rows_per_page: u16,
    /// Trades a second of all markets together, as long as no pass has counted them.
    pub tape_rate: f64,
    /// No trade is older.
    pub first_trades: Timestamp,
    /// A trade younger than this is in the live tier.
    pub live_min: Duration,
    /// A market that settled longer ago than this has left the live tier.
    pub live_max: Duration,
}

impl Venue {
    /// The tape at this rate in trades a second; `None` when no pass has counted it.
    pub fn tape(&self, counted: Option<f64>) -> TapeRate {
        let per_second = counted.unwrap_or(self.tape_rate);
        TapeRate { per_second, rows_per_page: self.rows_per_page }
    }
}

/// How busy the tape is.
#[derive(Clone, Copy, Debug)]
pub struct TapeRate {
    /// Trades a second.
    pub per_second: f64,
    /// The most trades that a page holds.
    pub rows_per_page: u16,
}

impl TapeRate {
    /// How many pages such a span of the tape takes: one at least.
    pub fn pages(self, span: Duration) -> usize {
        let trades = span.as_secs_f64() * self.per_second;
        let pages = (trades / f64::from(self.rows_per_page)).ceil().max(1.0);
        // As a duration, since a float cannot be cast without a look: more than fits is too many.
        Duration::try_from_secs_f64(pages)
            .map_or(usize::MAX, |pages| usize::try_from(pages.as_secs()).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
impl TapeRate {
    /// The tape at this rate in trades a second, 1,000 of them on a page.
    pub(super) const fn of(per_second: f64) -> TapeRate {
        TapeRate { per_second, rows_per_page: 1_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_takes_whole_pages_and_never_fewer_than_one() {
        let pages = |per_second: f64, seconds: u64| {
            TapeRate::of(per_second).pages(Duration::from_secs(seconds))
        };
        for (per_second, seconds, expected) in [
            (50.0, 60, 3),
            (50.0, 61, 4),
            (0.0, 60, 1),
            (50.0, 0, 1),
            (f64::NAN, 60, 1),
            (f64::MAX, 60, usize::MAX),
            (f64::INFINITY, 60, usize::MAX),
        ] {
            assert_eq!(pages(per_second, seconds), expected, "{per_second} for {seconds} s");
        }
    }
}
