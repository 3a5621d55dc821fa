//! The repetition of work after the database broke off. Committed rows are kept, so the work is begun again after a
//! wait, until the budget is over or the attempts are used up.

use std::time::Duration;

use super::{Moment, Notice};
use crate::failure::{Failure, Kind, one_line};
use crate::retry::{Decision, Jitter, Policy};

/// A server that restarts is back within a minute. After that a person has to act.
const POLICY: Policy =
    Policy { attempts_max: 10, base: Duration::from_millis(250), cap: Duration::from_secs(10) };

/// After the work ran this long without a failure, the attempt counter starts over.
const HELD: Duration = Duration::from_secs(10);

/// The next effect.
#[derive(Debug)]
pub enum Effort {
    /// Do the work. If it fails, [report the failure](Reconnection::failed).
    Work,
    /// Do nothing for this time, or less if something stops the command.
    Wait(Duration),
    /// Connect again, and [report the result](Reconnection::reconnected).
    Reconnect,
    /// Stop: another attempt would not help.
    GiveUp(Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Working { since: Duration },
    Resting { until: Duration },
    Connecting,
    Over,
}

/// Work that is begun again when the database breaks off.
#[derive(Debug)]
pub struct Reconnection {
    state: State,
    attempt: u32,
    /// The last failure of the work.
    broken_off: Option<Failure>,
}

impl Default for Reconnection {
    fn default() -> Reconnection {
        Reconnection { state: State::Idle, attempt: 0, broken_off: None }
    }
}

impl Reconnection {
    /// The next effect.
    pub fn next(&mut self, moment: Moment) -> Effort {
        match (self.state, self.broken_off.take()) {
            (State::Over, Some(failure)) => Effort::GiveUp(failure),
            (State::Resting { .. }, Some(failure)) if moment.is_over() => {
                self.state = State::Over;
                Effort::GiveUp(failure)
            }
            (State::Resting { until }, failure) if moment.elapsed < until => {
                self.broken_off = failure;
                Effort::Wait(until.saturating_sub(moment.elapsed))
            }
            (State::Resting { .. } | State::Connecting, failure) => {
                (self.state, self.broken_off) = (State::Connecting, failure);
                Effort::Reconnect
            }
            (State::Idle | State::Working { .. } | State::Over, _) => {
                self.state = State::Working { since: moment.elapsed };
                Effort::Work
            }
        }
    }

    /// The work failed. Returns a notice for the log, if there is one.
    pub fn failed(
        &mut self,
        failure: Failure,
        jitter: &mut Jitter,
        moment: Moment,
    ) -> Option<Notice> {
        if failure.kind != Kind::StoreInterrupted {
            (self.state, self.broken_off) = (State::Over, Some(failure));
            return None;
        }
        if let State::Working { since } = self.state
            && moment.elapsed.saturating_sub(since) > HELD
        {
            self.attempt = 0;
        }
        let line = one_line(&failure);
        self.broken_off = Some(failure);
        self.rest(line, jitter, moment)
    }

    /// The connection was made again, or could not be made. Returns a notice for the log, if there is one.
    pub fn reconnected(
        &mut self,
        done: Result<(), Failure>,
        jitter: &mut Jitter,
        moment: Moment,
    ) -> Option<Notice> {
        match done {
            Ok(()) => {
                self.state = State::Idle;
                None
            }
            Err(failure) => self.rest(one_line(&failure), jitter, moment),
        }
    }

    fn rest(&mut self, line: String, jitter: &mut Jitter, moment: Moment) -> Option<Notice> {
        self.attempt += 1;
        let fraction = jitter.next_fraction();
        let broken_off = self.broken_off.as_ref()?;
        match POLICY.decide(broken_off, self.attempt, moment.left, fraction) {
            Decision::GiveUp => {
                self.state = State::Over;
                None
            }
            Decision::Wait(wait) => {
                self.state = State::Resting { until: moment.elapsed.saturating_add(wait) };
                let (attempt, attempts_max) = (self.attempt, POLICY.attempts_max);
                Some(Notice::GoingOn { line, wait, attempt, attempts_max })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn at(seconds: u64) -> Moment {
        let elapsed = Duration::from_secs(seconds);
        Moment {
            elapsed,
            now: Timestamp::from_seconds(1_000).after(elapsed),
            left: Duration::from_secs(100).saturating_sub(elapsed),
            is_stopped: false,
        }
    }

    /// Plays the work until it is over. The work fails `failures` times, `works_for` seconds after its start, and
    /// connecting fails `refusals` times. Returns the effects as text and the number of notices.
    fn play(kind: Kind, failures: usize, refusals: usize, works_for: u64) -> (String, usize) {
        let (mut reconnection, mut jitter) = (Reconnection::default(), Jitter::seeded(1));
        let (mut failures, mut refusals) = (failures, refusals);
        let (mut story, mut said, mut elapsed) = (Vec::new(), 0, Duration::ZERO);
        loop {
            let moment = Moment { elapsed, ..at(elapsed.as_secs()) };
            match reconnection.next(moment) {
                Effort::Wait(wait) => elapsed += wait,
                Effort::Work if failures == 0 => {
                    story.push("done");
                    break;
                }
                Effort::Work => {
                    failures -= 1;
                    story.push("work");
                    elapsed += Duration::from_secs(works_for);
                    let moment = Moment { elapsed, ..at(elapsed.as_secs()) };
                    let failure = Failure::new(kind, "gone");
                    said +=
                        usize::from(reconnection.failed(failure, &mut jitter, moment).is_some());
                }
                Effort::Reconnect => {
                    let is_refused = refusals > 0;
                    refusals = refusals.saturating_sub(1);
                    story.push(if is_refused { "refused" } else { "connected" });
                    let failure = Failure::new(Kind::StoreUnavailable, "refused");
                    let done = if is_refused { Err(failure) } else { Ok(()) };
                    said +=
                        usize::from(reconnection.reconnected(done, &mut jitter, moment).is_some());
                }
                Effort::GiveUp(failure) => {
                    assert_eq!(failure.kind, kind, "what broke it off, not what came of that");
                    story.push("given up");
                    break;
                }
            }
        }
        (story.join(", "), said)
    }

    #[test]
    fn work_is_begun_again_when_the_database_breaks_off_and_only_then() {
        let interrupted = Kind::StoreInterrupted;
        assert_eq!(play(interrupted, 0, 0, 0), ("done".into(), 0));
        assert_eq!(play(interrupted, 1, 0, 0), ("work, connected, done".into(), 1));
        assert_eq!(play(interrupted, 1, 2, 0).0, "work, refused, refused, connected, done");
        assert_eq!(play(Kind::StoreRefused, 1, 0, 0), ("work, given up".into(), 0));
    }

    #[test]
    fn it_is_not_begun_for_ever() {
        let (story, said) = play(Kind::StoreInterrupted, 100, 0, 0);
        assert_eq!((story.matches("work").count(), said), (10, 9), "{story}");
        let (story, _) = play(Kind::StoreInterrupted, 1, 100, 0);
        assert_eq!(story.matches("refused").count(), 9, "{story}");
        // The attempt counter starts over for work that ran long enough; then the budget ends.
        let (story, _) = play(Kind::StoreInterrupted, 100, 0, 5);
        assert_eq!(story.matches("work").count(), 10, "{story}");
        let (story, _) = play(Kind::StoreInterrupted, 6, 0, 11);
        assert!(story.ends_with("connected, done"), "{story}");
        let (story, _) = play(Kind::StoreInterrupted, 100, 0, 11);
        assert!(story.ends_with("given up"), "{story}");
    }
}
