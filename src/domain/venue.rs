//! A venue, from the view of the domain: figures from its adapter, and no names.

use std::time::Duration;

use super::time::Timestamp;

/// The figures of a venue. Its adapter documents the source of each.
#[derive(Clone, Copy, Debug)]
pub struct Venue {
    /// The value of every `source` column.
    pub source: &'static str,
    /// The most trades that a page holds.
    pub rows_per_page: u16,
    /// The trade rate of all markets together, in trades a second, until a pass has counted it.
    pub tape_rate: f64,
    /// The earliest possible trade.
    pub first_trades: Timestamp,
    /// A trade younger than this is in the live tier.
    pub live_min: Duration,
    /// A market that settled longer ago than this has left the live tier.
    pub live_max: Duration,
}

impl Venue {
    /// The tape with the counted rate in trades a second; `None` uses the rate of the venue.
    pub fn tape(&self, counted: Option<f64>) -> TapeRate {
        let per_second = counted.unwrap_or(self.tape_rate);
        TapeRate { per_second, rows_per_page: self.rows_per_page }
    }
}

/// The trade rate of the tape.
#[derive(Clone, Copy, Debug)]
pub struct TapeRate {
    /// Trades a second.
    pub per_second: f64,
    /// The most trades that a page holds.
    pub rows_per_page: u16,
}

impl TapeRate {
    /// The number of pages of the tape in such a span; at least one.
    pub fn pages(self, span: Duration) -> usize {
        let trades = span.as_secs_f64() * self.per_second;
        let pages = (trades / f64::from(self.rows_per_page)).ceil().max(1.0);
        // The float is converted through a duration, because a cast is unchecked. A number too large for it means too
        // many pages.
        Duration::try_from_secs_f64(pages)
            .map_or(usize::MAX, |pages| usize::try_from(pages.as_secs()).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
impl TapeRate {
    /// The tape with this rate in trades a second and 1,000 trades on a page.
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
