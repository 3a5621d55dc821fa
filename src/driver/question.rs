//! The life of one question: wait for its turn, be sent, be answered or fail, and be sent again.

use std::time::Duration;

use super::Moment;
use super::manners::{Leave, Lesson, Manners, Notice, Stop};
use crate::failure::{Failure, one_line};
use crate::retry::{self, Decision, Jitter, Policy};

/// A request that the end of the pass cuts off sooner than this is no trouble of the exchange's.
const ANSWER_USUAL: Duration = Duration::from_secs(1);

/// After so long one that waits for the answer of another looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What is to be done for a question.
#[derive(Debug)]
pub enum Ask {
    /// Nothing for so long, or less if something stops the pass; then ask again.
    Wait(Duration),
    /// Send it with so much time for the answer, and say whether it was [answered](Question::answered) or [failed](Question::failed).
    Send(Duration),
    /// Nothing more: it failed, or it is time to leave before anything else went wrong.
    GiveUp(Option<Failure>),
}

/// How much the answer is wanted.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// It is asked for again, and what it is told holds for all.
    Needed(Policy),
    /// It is asked for again, but that it is refused says nothing about other questions.
    Apart(Policy),
    /// It can be done without: asked once, and a refusal says nothing about other questions.
    Aside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    /// It has its place in the queue.
    Queued {
        until: Duration,
    },
    Sent {
        at: Duration,
        is_probe: bool,
    },
    /// It failed and rests.
    Resting {
        until: Duration,
    },
    Over,
}

/// One question at work.
#[derive(Debug)]
pub struct Question {
    want: Want,
    state: State,
    attempt: u32,
    /// How the last attempt failed.
    last: Option<Failure>,
}

impl Question {
    /// One that is asked with as many attempts as the policy allows.
    pub fn new(policy: Policy) -> Question {
        Question::of(Want::Needed(policy))
    }

    /// One that is asked once, if at all.
    pub fn aside() -> Question {
        Question::of(Want::Aside)
    }

    /// One that may be refused while others are answered. All else holds for it as for any other.
    pub fn apart(policy: Policy) -> Question {
        Question::of(Want::Apart(policy))
    }

    fn of(want: Want) -> Question {
        Question { want, state: State::New, attempt: 1, last: None }
    }

    /// What to do next.
    pub fn next(&mut self, manners: &mut Manners, moment: Moment) -> Ask {
        loop {
            match self.state {
                State::New => {
                    if matches!(self.want, Want::Aside) && manners.is_forbidden() {
                        return self.leave(manners, moment);
                    }
                    self.state = State::Queued { until: manners.reserve(moment) };
                }
                State::Queued { .. } | State::Resting { .. }
                    if manners.stopped(moment).is_some() =>
                {
                    return self.leave(manners, moment);
                }
                State::Queued { until } | State::Resting { until } if moment.elapsed < until => {
                    return Ask::Wait(until.saturating_sub(moment.elapsed));
                }
                State::Queued { .. } => return self.send(manners, moment),
                State::Resting { .. } => {
                    if let Some(failure) = &self.last {
                        manners.count_retry(retry::reason(failure));
                    }
                    self.attempt += 1;
                    self.state = State::New;
                }
                State::Sent { .. } => return Ask::Wait(LOOK_AGAIN),
                State::Over => return Ask::GiveUp(self.last.take()),
            }
        }
    }

    fn send(&mut self, manners: &mut Manners, moment: Moment) -> Ask {
        if matches!(self.want, Want::Aside) && manners.is_probing() {
            return self.leave(manners, moment);
        }
        let is_probe = match manners.leave() {
            Leave::Refused => return Ask::Wait(LOOK_AGAIN),
            Leave::Granted => false,
            Leave::AsProbe => true,
        };
        self.state = State::Sent { at: moment.elapsed, is_probe };
        Ask::Send(moment.left)
    }

    /// It is time to leave. What went wrong before is told, unless the exchange wants to be left alone.
    fn leave(&mut self, manners: &Manners, moment: Moment) -> Ask {
        self.state = State::Over;
        let is_left_alone = matches!(manners.stopped(moment), Some(Stop::ComeBackLater(_)));
        Ask::GiveUp(self.last.take().filter(|_| !is_left_alone))
    }

    /// It was answered.
    pub fn answered(&mut self, manners: &mut Manners) {
        if let (State::Sent { is_probe, .. }, Want::Needed(_) | Want::Apart(_)) =
            (self.state, self.want)
        {
            manners.accepted(is_probe);
        }
        (self.state, self.last) = (State::Over, None);
    }

    /// It was sent and failed; what is to be said of it.
    pub fn failed(
        &mut self,
        failure: Failure,
        manners: &mut Manners,
        jitter: &mut Jitter,
        moment: Moment,
    ) -> Option<Notice> {
        let State::Sent { at, is_probe } = self.state else { return None };
        let before = self.last.take();
        self.state = State::Over;
        let policy = match self.want {
            Want::Needed(policy) => policy,
            Want::Apart(policy) if !failure.kind.is_refusal() => policy,
            Want::Apart(_) => {
                // It is an answer all the same.
                manners.answered(is_probe);
                self.last = Some(failure);
                return None;
            }
            Want::Aside => {
                self.last = Some(failure);
                return None;
            }
        };
        if let Lesson::Leave(notice) = manners.refused(&failure, is_probe, moment) {
            return notice;
        }
        let took = moment.elapsed.saturating_sub(at);
        if moment.is_over() && failure.status.is_none() && took < ANSWER_USUAL {
            // Our own time was over before an answer could be expected.
            let is_left_alone = matches!(manners.stopped(moment), Some(Stop::ComeBackLater(_)));
            self.last = before.filter(|_| !is_left_alone);
            return None;
        }
        let decision = policy.decide(&failure, self.attempt, moment.left, jitter.next_fraction());
        let notice = match decision {
            Decision::GiveUp => None,
            Decision::Wait(wait) => {
                self.state = State::Resting { until: moment.elapsed.saturating_add(wait) };
                let (attempt, attempts_max) = (self.attempt, policy.attempts_max);
                Some(Notice::Again { line: one_line(&failure), wait, attempt, attempts_max })
            }
        };
        self.last = Some(failure);
        notice
    }

    /// Nobody waits for its answer any more.
    pub fn abandon(&mut self, manners: &mut Manners) {
        if let State::Sent { is_probe: true, .. } = self.state {
            manners.abandoned();
        }
        self.state = State::Over;
    }
}

#[cfg(test)]
#[path = "question_tests.rs"]
mod tests;
