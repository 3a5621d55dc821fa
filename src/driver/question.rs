//! The life of one question: it waits for its turn, is sent, is answered or fails, and is sent again.

use std::time::Duration;

use super::Moment;
use super::manners::{Lesson, Manners, Notice, Permit, Stop};
use crate::failure::{Failure, one_line};
use crate::retry::{self, Decision, Jitter, Policy};

/// The usual time of an answer. If the end of the pass cuts a request off sooner than this, the exchange is not to
/// blame.
const ANSWER_USUAL: Duration = Duration::from_secs(1);

/// A question that waits for the answer of another one checks again after this time.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The next effect of a question.
#[derive(Debug)]
pub enum Ask {
    /// Do nothing for this time, or less if something stops the pass. Then ask again for the next effect.
    Wait(Duration),
    /// Send it, allow this time for the answer, and report that it was [answered](Question::answered) or has
    /// [failed](Question::failed).
    Send(Duration),
    /// The question is over: it failed, or the pass ends before anything else went wrong.
    GiveUp(Option<Failure>),
}

/// The importance of the answer.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// The question is repeated, and a refusal holds for all questions.
    Needed(Policy),
    /// The question is repeated, but a refusal of it says nothing about other questions.
    Apart(Policy),
    /// The answer is optional: the question is sent once, and a refusal of it says nothing about other questions.
    Aside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    /// The question has its place in the queue.
    Queued {
        until: Duration,
    },
    Sent {
        at: Duration,
        is_probe: bool,
    },
    /// The question failed and waits for its next attempt.
    Resting {
        until: Duration,
    },
    Over,
}

/// One question and its state.
#[derive(Debug)]
pub struct Question {
    want: Want,
    state: State,
    attempt: u32,
    /// The failure of the last attempt.
    last: Option<Failure>,
}

impl Question {
    /// A question with as many attempts as the policy allows.
    pub fn new(policy: Policy) -> Question {
        Question::of(Want::Needed(policy))
    }

    /// A question that is sent at most once.
    pub fn aside() -> Question {
        Question::of(Want::Aside)
    }

    /// A question that may be refused while others are answered. In all else it is an ordinary question.
    pub fn apart(policy: Policy) -> Question {
        Question::of(Want::Apart(policy))
    }

    fn of(want: Want) -> Question {
        Question { want, state: State::New, attempt: 1, last: None }
    }

    /// The next effect.
    pub fn next(&mut self, manners: &mut Manners, moment: Moment) -> Ask {
        loop {
            match self.state {
                State::New => {
                    if matches!(self.want, Want::Aside) && manners.is_forbidden() {
                        return self.give_up(manners, moment);
                    }
                    self.state = State::Queued { until: manners.reserve(moment) };
                }
                State::Queued { .. } | State::Resting { .. }
                    if manners.stopped(moment).is_some() =>
                {
                    return self.give_up(manners, moment);
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
            return self.give_up(manners, moment);
        }
        let is_probe = match manners.permit() {
            Permit::NotNow => return Ask::Wait(LOOK_AGAIN),
            Permit::Granted => false,
            Permit::AsProbe => true,
        };
        self.state = State::Sent { at: moment.elapsed, is_probe };
        Ask::Send(moment.left)
    }

    /// Ends the question because the pass stops. An earlier failure is reported, unless the exchange asked for no
    /// more requests.
    fn give_up(&mut self, manners: &Manners, moment: Moment) -> Ask {
        self.state = State::Over;
        let is_left_alone = matches!(manners.stopped(moment), Some(Stop::ComeBackLater(_)));
        Ask::GiveUp(self.last.take().filter(|_| !is_left_alone))
    }

    /// The question was answered.
    pub fn answered(&mut self, manners: &mut Manners) {
        if let (State::Sent { is_probe, .. }, Want::Needed(_) | Want::Apart(_)) =
            (self.state, self.want)
        {
            manners.accepted(is_probe);
        }
        (self.state, self.last) = (State::Over, None);
    }

    /// The question was sent and failed. Returns a notice for the log, if there is one.
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
                // The refusal is still an answer of the exchange.
                manners.answered(is_probe);
                self.last = Some(failure);
                return None;
            }
            Want::Aside => {
                self.last = Some(failure);
                return None;
            }
        };
        if let Lesson::StopAll(notice) = manners.failed(&failure, is_probe, moment) {
            return notice;
        }
        let took = moment.elapsed.saturating_sub(at);
        if moment.is_over() && failure.status.is_none() && took < ANSWER_USUAL {
            // Our own budget ended before an answer could be expected.
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

    /// Nobody waits for the answer any more.
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
