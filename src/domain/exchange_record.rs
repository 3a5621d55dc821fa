//! The facts about the exchange behind a host that the passes of a shard remember.

use std::time::Duration;

use super::account_limits::AccountRecord;
use super::evidence::{CLOCKS_DIFFER, ClockPair};
use super::time::Timestamp;

/// The longest wait that is noted when the exchange asks to come back later. A longer one is cut to this.
pub const COME_BACK_MAX: Duration = Duration::from_secs(3_600);

/// The period of probes while the exchange wants no requests: its answer may have been a mistake, or meant for
/// another client.
pub const PROBE_EVERY: Duration = Duration::from_secs(600);

/// The shortest time between two answers that shows whether the clock of the exchange moves.
const APART_MIN: Duration = Duration::from_secs(30);

/// A row of `exchange_records`. A value that was never noted is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExchangeRecord {
    /// The `Date` of the last answer, by the clock of the exchange.
    pub told_date: Option<Timestamp>,
    /// Our clock at that answer.
    pub told_at: Option<Timestamp>,
    /// The clock of the exchange minus ours in seconds, when both last moved alike.
    pub offset_seconds: Option<f64>,
    /// The time of the tape's newest trade.
    pub newest_at: Option<Timestamp>,
    /// The id of the tape's newest trade.
    pub newest_id: Option<String>,
    /// The share of the recent passes in which the newest trade had moved.
    pub moved_share: Option<f64>,
    /// The number of passes that the share was learned from.
    pub moved_passes: Option<f64>,
    /// The number of passes since the newest trade last moved.
    pub still_passes: u32,
    /// The end of the archive.
    pub cutoff: Option<Timestamp>,
    /// Our clock when the exchange was asked for the cutoff.
    pub cutoff_at: Option<Timestamp>,
    /// Our clock when the exchange was last asked whether it trades.
    pub status_at: Option<Timestamp>,
    /// The answer to that question.
    pub is_trading: Option<bool>,
    /// The time from which the exchange may be asked again.
    pub come_back: ComeBack,
    /// The limits of the account that asks.
    pub account: AccountRecord,
}

impl ExchangeRecord {
    /// The clock of the exchange minus ours, in microseconds.
    pub fn offset_us(&self) -> Option<i64> {
        self.offset_seconds.and_then(offset_us)
    }

    /// The pair that an answer at our clock `ours` has to agree with to count as new. A pair of a moment ago agrees
    /// with any clock that stands still, so a young pair is replaced by the offset of the clocks when they last
    /// moved.
    pub fn base(&self, ours: Timestamp) -> Option<ClockPair> {
        let told = ClockPair { date: self.told_date?, ours: self.told_at? };
        let Some(offset_us) = self.offset_us().filter(|_| ours.since(told.ours) < APART_MIN) else {
            return Some(told);
        };
        let date = Timestamp::from_micros(told.ours.micros().saturating_add(offset_us));
        Some(ClockPair { date, ..told })
    }

    /// Notes the offset between the clocks.
    pub fn set_offset_us(&mut self, offset_us: Option<i64>) {
        let seconds = |us: i64| {
            let span = Duration::from_micros(us.unsigned_abs()).as_secs_f64();
            if us < 0 { -span } else { span }
        };
        self.offset_seconds = offset_us.map(seconds);
    }
}

/// Seconds as microseconds; `None` if the number is not a span of time.
pub fn offset_us(seconds: f64) -> Option<i64> {
    let span = Duration::try_from_secs_f64(seconds.abs()).ok()?;
    let us = i64::try_from(span.as_micros()).ok()?;
    Some(if seconds < 0.0 { -us } else { us })
}

/// The instant until which the exchange wants no request, and the last probe before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ComeBack {
    /// Our clock before which the exchange wants no request.
    pub at: Option<Timestamp>,
    /// Our clock at the request that was told so, or at the last probe since.
    pub probed_at: Option<Timestamp>,
}

/// Whether the exchange may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// Requests may be sent as usual.
    Freely,
    /// One request may be sent; its answer decides about more.
    Probe,
    /// No request may be sent before this instant of our clock.
    NotBefore(Timestamp),
}

impl ComeBack {
    /// The state after the exchange asked at `now` to come back after `wait`.
    pub fn told(wait: Duration, now: Timestamp) -> ComeBack {
        ComeBack { at: Some(now.after(wait.min(COME_BACK_MAX))), probed_at: Some(now) }
    }

    /// The state after a probe at `now` that got no answer.
    #[must_use]
    pub fn probed(self, now: Timestamp) -> ComeBack {
        ComeBack { probed_at: Some(now), ..self }
    }

    /// Whether the exchange may be asked now.
    pub fn asking(self, now: Timestamp) -> Asking {
        let Some(at) = self.at.filter(|at| *at > now) else { return Asking::Freely };
        // A value that cannot have been noted yet comes from a clock that was far ahead.
        let is_possible = at <= now.after(COME_BACK_MAX + CLOCKS_DIFFER);
        let is_past = |at: &Timestamp| *at <= now.after(CLOCKS_DIFFER);
        match self.probed_at.filter(|at| is_possible && is_past(at)) {
            Some(probed_at) if now.since(probed_at) < PROBE_EVERY => {
                Asking::NotBefore(at.min(probed_at.after(PROBE_EVERY)))
            }
            _ => Asking::Probe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    #[test]
    fn the_exchange_is_left_alone_but_probed() {
        let hour = ComeBack::told(Duration::from_secs(3_600), at(10_000));
        let years = ComeBack::told(Duration::MAX, at(10_000));
        let short = ComeBack::told(Duration::from_secs(120), at(10_000));
        let probed = hour.probed(at(10_700));
        let odd = ComeBack { probed_at: None, ..hour };
        for (come_back, now, expected, why) in [
            (ComeBack::default(), 0, Asking::Freely, "nothing was said"),
            (hour, 10_000, Asking::NotBefore(at(10_600)), "a probe comes first"),
            (hour, 10_599, Asking::NotBefore(at(10_600)), "not yet"),
            (hour, 10_600, Asking::Probe, "ten minutes"),
            (hour, 13_599, Asking::Probe, "still"),
            (hour, 13_600, Asking::Freely, "over"),
            (years, 13_600, Asking::Freely, "an hour at most"),
            (short, 10_000, Asking::NotBefore(at(10_120)), "sooner than a probe"),
            (short, 10_120, Asking::Freely, "over"),
            (probed, 10_700, Asking::NotBefore(at(11_300)), "ten minutes from the probe"),
            (probed, 13_500, Asking::Probe, "again"),
            (hour, 9_990, Asking::NotBefore(at(10_600)), "noted by another machine's clock"),
            (hour, 9_000, Asking::Probe, "our clock was ahead when that was noted"),
            (odd, 10_000, Asking::Probe, "nobody knows when it was asked"),
        ] {
            assert_eq!(come_back.asking(at(now)), expected, "{now}: {why}");
        }
    }

    #[test]
    fn seconds_are_microseconds_with_their_sign() {
        for (seconds, us) in [(1.5, 1_500_000), (-1.5, -1_500_000), (0.0, 0)] {
            assert_eq!(offset_us(seconds), Some(us));
            let mut record = ExchangeRecord::default();
            record.set_offset_us(Some(us));
            assert_eq!((record.offset_seconds, record.offset_us()), (Some(seconds), Some(us)));
            record.set_offset_us(None);
            assert_eq!(record.offset_us(), None);
        }
        for seconds in [f64::NAN, f64::INFINITY, 1e30] {
            assert_eq!(offset_us(seconds), None, "{seconds}");
        }
    }

    /// A pair of a moment ago agrees with any clock that stands still.
    #[test]
    fn an_answer_is_held_against_the_last_one_or_if_that_is_too_young_against_the_clocks() {
        let told = ExchangeRecord {
            told_date: Some(at(5_000)),
            told_at: Some(at(1_000)),
            ..ExchangeRecord::default()
        };
        let known = ExchangeRecord { offset_seconds: Some(600.0), ..told.clone() };
        let nothing = ExchangeRecord { told_at: None, ..known.clone() };
        for (record, ours, date, why) in [
            (&told, 1_010, Some(5_000), "nothing else is known"),
            (&known, 1_029, Some(1_600), "as far apart as when they moved"),
            (&known, 1_030, Some(5_000), "old enough"),
            (&nothing, 1_010, None, "nobody has answered"),
        ] {
            let expected = date.map(|date| ClockPair { date: at(date), ours: at(1_000) });
            assert_eq!(record.base(at(ours)), expected, "{why}");
        }
    }
}
