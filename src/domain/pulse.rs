//! Decides whether silence is plausible, by how often the newest trade of the tape moves. Pure.

use std::time::Duration;

use super::evidence::Anchor;
use super::time::Timestamp;

/// Silence is no longer plausible once this many moves of the newest trade are missing.
const MOVES_MISSED_MAX: f64 = 5.0;
/// The number of passes that the share is learned from.
const PASSES_LEARNT: f64 = 100.0;
/// Passes count as at least this far apart, even if a person starts them faster.
const PASS_MIN: Duration = Duration::from_secs(60);

/// The facts about the newest trade of the tape that passes remember.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pulse {
    /// The newest trade that was shown.
    pub newest: Option<Anchor>,
    /// The share of the recent passes in which the newest trade had moved, and the number of these passes; `None`
    /// until it first moved.
    pub share: Option<Share>,
    /// The number of passes since the newest trade last moved.
    pub still: u32,
}

/// A share, and the number of passes behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The share, between 0 and 1.
    pub moved: f64,
    /// The number of passes that it was learned from, at most a hundred.
    pub passes: f64,
}

impl Pulse {
    /// The pulse after a pass that was shown this newest trade. A trade older than the known one proves that the
    /// answer was old, so it does not count as a move.
    #[must_use]
    pub fn after(&self, newest: Option<Anchor>) -> Pulse {
        let has_moved = match (&self.newest, &newest) {
            (None, Some(_)) => {
                // The trade is seen for the first time, so it is unknown whether it moved.
                return Pulse { newest, ..self.clone() };
            }
            (Some(before), Some(now)) => before.at < now.at,
            (_, None) => false,
        };
        if !has_moved {
            return Pulse { still: self.still.saturating_add(1), ..self.clone() };
        }
        // The share is learned at a move only: a feed that stands still must not teach that it is quiet.
        let mut share = self.share.unwrap_or(Share { moved: 0.0, passes: 0.0 });
        let still = f64::from(self.still);
        let passes = (share.passes + still + 1.0).min(PASSES_LEARNT);
        let kept = (passes - still - 1.0).max(0.0);
        share.moved = (share.moved * kept + 1.0) / (kept + still + 1.0);
        share.passes = passes;
        Pulse { newest, share: Some(share), still: 0 }
    }

    /// Whether it is plausible that nothing was traded since the newest known trade.
    ///
    /// `now` is the clock of the exchange, `interval` the time since the last pass.
    pub fn is_quiet_plausible(&self, now: Timestamp, interval: Duration) -> bool {
        let (Some(share), Some(newest)) = (self.share, &self.newest) else { return true };
        let passes = now.since(newest.at).as_secs_f64() / interval.max(PASS_MIN).as_secs_f64();
        passes.max(f64::from(self.still)) * share.moved < MOVES_MISSED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    fn trade(second: i64) -> Anchor {
        Anchor { at: at(second), id: None }
    }

    /// Plays passes a minute apart over an exchange that trades every `spacing` minutes until `ends`. Returns the
    /// passes in which silence was not plausible.
    fn implausible(spacing: i64, ends: i64, passes: i64) -> Vec<i64> {
        let mut pulse = Pulse::default();
        let mut found = Vec::new();
        for pass in 1..=passes {
            let newest = pass.min(ends) / spacing * spacing;
            pulse = pulse.after(Some(trade(newest * 60)));
            if !pulse.is_quiet_plausible(at(pass * 60), MINUTE) {
                found.push(pass);
            }
        }
        found
    }

    #[test]
    fn a_demo_exchange_with_a_trade_an_hour_is_quiet() {
        assert_eq!(implausible(60, 1_000, 1_000), [0; 0]);
    }

    #[test]
    fn a_busy_exchange_that_falls_silent_is_noticed_within_five_passes() {
        let found = implausible(1, 30, 200);
        assert_eq!(found.first(), Some(&35), "five moves were missed");
        assert_eq!(found.len(), 200 - 34, "and it does not get used to that");
        let found = implausible(2, 60, 100);
        assert_eq!(found.first(), Some(&70), "ten passes at half the share");
    }

    #[test]
    fn a_server_that_lags_is_noticed_although_it_moves() {
        let mut pulse = Pulse::default();
        for pass in 1..10 {
            pulse = pulse.after(Some(trade(pass * 60 - 600)));
        }
        assert!(!pulse.is_quiet_plausible(at(600), MINUTE), "its newest trade is ten minutes old");
        assert!(pulse.is_quiet_plausible(at(120), MINUTE));
    }

    #[test]
    fn nothing_shown_and_less_than_before_are_no_move() {
        let pulse = Pulse::default().after(Some(trade(600))).after(Some(trade(660))).after(None);
        assert_eq!((pulse.still, pulse.newest.clone()), (1, Some(trade(660))));
        assert_eq!(pulse.after(Some(trade(540))).newest, Some(trade(660)));
    }

    #[test]
    fn the_share_is_learnt_from_a_hundred_passes_at_most() {
        let share = |pulse: &Pulse| pulse.share.map(|share| (share.moved, share.passes)).unwrap();
        let mut pulse = Pulse::default().after(Some(trade(60))).after(Some(trade(60)));
        assert_eq!((pulse.share, pulse.still), (None, 1), "nothing has moved yet");
        pulse = pulse.after(Some(trade(120)));
        assert_eq!(share(&pulse), (0.5, 2.0), "one of two");
        pulse = pulse.after(Some(trade(180))).after(Some(trade(240)));
        assert_eq!(share(&pulse), (0.75, 4.0), "three of four");
        pulse.share = Some(Share { moved: 0.5, passes: 100.0 });
        pulse = pulse.after(Some(trade(240))).after(Some(trade(300)));
        assert_eq!(share(&pulse), ((0.5 * 98.0 + 1.0) / 100.0, 100.0), "two push out two");
        pulse.still = 250;
        pulse = pulse.after(Some(trade(360)));
        assert_eq!(share(&pulse), (1.0 / 251.0, 100.0), "nothing of before is left");
    }
}
