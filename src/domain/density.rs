//! The density of trades, and the longest plausible span without a trade. Pure.
//!
//! A fixed limit raises false alarms: one order that sweeps the book fills a page within a millisecond. So a gap is
//! compared with the lowest density around it, and a sweep gives no density.

use std::time::Duration;

use super::page::Page;
use super::time::Timestamp;
use super::trade::RawEvent;

/// A gap is asked for again if at least this many trades were to be expected in it.
const EXPECTED_MIN: f64 = 20.0;

/// Trades within a shorter span than this are one sweep.
const SWEEP: Duration = Duration::from_secs(1);

/// The number of trades in a span.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Density {
    count: u32,
    span: Option<(Timestamp, Timestamp)>,
    rate: Option<f64>,
}

impl Density {
    pub(super) fn of(page: &Page) -> Density {
        Density::of_events(&page.events)
    }

    /// The density of these trades, which are listed newest first.
    pub(super) fn of_events(events: &[RawEvent]) -> Density {
        let at = |event: &RawEvent| event.trade.traded_at;
        let span = events.first().map(at).zip(events.last().map(at));
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        Density { count, span, rate: None }
    }

    /// The density of `rate` trades a second.
    pub(super) fn of_rate(rate: f64) -> Density {
        Density { rate: Some(rate), ..Density::default() }
    }

    pub(super) fn newest(self) -> Option<Timestamp> {
        self.span.map(|(newest, _)| newest)
    }

    pub(super) fn oldest(self) -> Option<Timestamp> {
        self.span.map(|(_, oldest)| oldest)
    }

    /// Whether the density is unknown.
    pub(super) fn is_unknown(self) -> bool {
        self.rate.is_none() && (self.count < 2 || self.length() < SWEEP)
    }

    fn length(self) -> Duration {
        self.span.map_or(Duration::ZERO, |(newest, oldest)| newest.since(oldest))
    }

    /// The density of these trades and those below, together.
    pub(super) fn joined(self, below: Density) -> Density {
        let span = match (self.span, below.span) {
            (Some((newest, _)), Some((_, oldest))) => Some((newest, oldest)),
            (one, other) => one.or(other),
        };
        Density { count: self.count.saturating_add(below.count), span, rate: None }
    }

    /// The number of trades to be expected in such a span.
    fn expected(self, gap: Duration) -> f64 {
        let rate = self
            .rate
            .unwrap_or(f64::from(self.count.saturating_sub(1)) / self.length().as_secs_f64());
        gap.as_secs_f64() * rate
    }
}

/// Whether a span of this length without trades has to be asked for again, by all densities around it.
pub(super) fn is_gap(gap: Duration, around: &[Density]) -> bool {
    let known: Vec<&Density> = around.iter().filter(|density| !density.is_unknown()).collect();
    !gap.is_zero()
        && !known.is_empty()
        && known.iter().all(|density| density.expected(gap) >= EXPECTED_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trades(count: u32, newest: i64, oldest: i64) -> Density {
        let at = Timestamp::from_seconds;
        Density { count, span: Some((at(newest), at(oldest))), rate: None }
    }

    #[test]
    fn a_gap_is_measured_by_the_thinnest_of_what_lies_around_it() {
        let minute = Duration::from_secs(60);
        let (busy, thin) = (trades(601, 600, 0), trades(11, 600, 0));
        assert!(is_gap(minute, &[busy, busy]), "sixty were to be expected");
        assert!(!is_gap(Duration::from_secs(19), &[busy, busy]), "nineteen");
        assert!(!is_gap(minute, &[busy, thin]), "one by what lies below");
        assert!(is_gap(minute, &[busy, Density::default()]), "nothing is known of one side");
        assert!(!is_gap(minute, &[Density::default()]), "nothing is known at all");
        assert!(!is_gap(Duration::ZERO, &[busy]));
        let sweep = trades(1_000, 600, 600);
        assert!(!is_gap(minute, &[sweep, thin]), "one order that sweeps a book");
        assert!(is_gap(minute, &[Density::of_rate(50.0)]));
    }

    #[test]
    fn two_trades_a_second_apart_are_the_least_that_says_something() {
        assert!(!trades(2, 1, 0).is_unknown());
        assert!(trades(1, 1, 0).is_unknown());
        assert!(trades(1_000, 1, 1).is_unknown(), "one sweep");
        assert!(!Density::of_rate(0.1).is_unknown());
    }

    #[test]
    fn pages_below_each_other_are_one_density() {
        let joined = trades(11, 600, 500).joined(trades(21, 400, 0));
        assert_eq!(
            (joined.newest(), joined.oldest()),
            (trades(0, 600, 0).newest(), trades(0, 600, 0).oldest())
        );
        assert!((joined.expected(Duration::from_secs(600)) - 31.0).abs() < 1e-9, "{joined:?}");
        let first = Density::default().joined(trades(11, 600, 500));
        assert!((first.expected(Duration::from_secs(10)) - 1.0).abs() < 1e-9, "{first:?}");
    }
}
