//! The limits for requests to the exchange that all questions of a pass share.

use std::fmt;
use std::time::Duration;

use chrono::SecondsFormat;

use super::Moment;
use crate::domain::checkpoint::Correction;
use crate::domain::exchange_record::{Asking, ComeBack};
use crate::domain::page::Walked;
use crate::domain::scope::Scope;
use crate::domain::tally::{Retries, RetryReason};
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind, one_line};
use crate::pace::Pace;

/// If the exchange asks for a longer wait than this, the command ends instead of waiting, even if its budget is
/// longer: the command holds a lock.
const WORTH_WAITING: Duration = Duration::from_secs(60);

/// The most markets in one invocation that lists leave out and that get a request of their own. An exchange under
/// load that forgets thousands of markets must not cost two requests for each.
const DOUBTS_MAX: usize = 5;

/// The reason why no more requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All work is done.
    Level,
    /// The budget is used up.
    OutOfTime,
    /// A signal asked the program to stop.
    Signal,
    /// The exchange refuses every request of this client.
    Forbidden,
    /// The exchange wants no request before this instant of our clock.
    ComeBackLater(Timestamp),
    /// The database takes no more rows.
    StoreGone,
}

/// A decision to be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A request is sent again after a wait.
    Again {
        /// The failure.
        line: String,
        /// The wait.
        wait: Duration,
        /// The number of attempts so far.
        attempt: u32,
        /// The largest number of attempts.
        attempts_max: u32,
    },
    /// No more requests are sent.
    Closed {
        /// The answer of the exchange.
        line: String,
        /// The instant of our clock until which no request is sent.
        until: Timestamp,
    },
    /// This pass sends no request, because the exchange told an earlier pass to wait.
    LeftAlone {
        /// The instant until which the exchange wants no request.
        wish: Timestamp,
        /// The instant before which no request is sent.
        not_before: Timestamp,
    },
    /// A cursor was refused; the walk goes on by time.
    ByTime {
        /// The answer of the exchange.
        line: String,
    },
    /// The database broke off or cannot be reached: the work is begun again after a wait.
    GoingOn {
        /// The failure.
        line: String,
        /// The wait.
        wait: Duration,
        /// The number of attempts so far.
        attempt: u32,
        /// The largest number of attempts.
        attempts_max: u32,
    },
    /// A claim is false.
    Corrected {
        /// The market or the tape of the claim.
        scope: Scope,
        /// The false claim, and the part of it that is still proven.
        correction: Correction,
    },
}

impl Notice {
    /// The notices about the claims that a walk found false.
    pub fn of_corrections(walked: &Walked) -> impl Iterator<Item = Notice> {
        walked.corrections().map(|(scope, correction)| Notice::Corrected {
            scope: scope.clone(),
            correction: correction.clone(),
        })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Again { line, wait, attempt, attempts_max } => write!(
                f,
                "{line}; trying again in {:.1} s (attempt {attempt} of {attempts_max})",
                wait.as_secs_f64()
            ),
            Notice::Closed { line, until } => {
                write!(f, "{line}; leaving the exchange alone until {}", second(*until))
            }
            Notice::LeftAlone { wish, not_before } => write!(
                f,
                "the exchange wants to be left alone until {}; asking nothing before {}",
                second(*wish),
                second(*not_before)
            ),
            Notice::ByTime { line } => write!(f, "{line}; going on by time"),
            Notice::GoingOn { line, wait, attempt, attempts_max } => write!(
                f,
                "{line}; going on from the last commit in {:.1} s (attempt {attempt} of {attempts_max})",
                wait.as_secs_f64()
            ),
            Notice::Corrected { scope, correction } => {
                let Correction { claim, claimed, proven, reason } = correction;
                let left = proven.map_or("nothing".to_owned(), |proven| proven.to_string());
                write!(f, "{scope}: {} was {claimed} and is {left} now: {reason}", claim.as_str())
            }
        }
    }
}

fn second(at: Timestamp) -> String {
    at.to_chrono().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Whether the next answer decides for all questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    /// Questions are sent as usual.
    Unneeded,
    /// The next request goes alone.
    Wanted,
    /// The probe is in flight; all other questions wait for its answer.
    Sent,
}

/// Whether a request may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permit {
    /// It may be sent.
    Granted,
    /// It may be sent, and its answer decides for all questions.
    AsProbe,
    /// It has to wait for the answer of the probe.
    NotNow,
}

/// The state that all questions of a pass share: the pace, the answers of the exchange that hold for every request,
/// and the counters.
#[derive(Debug)]
pub struct Manners {
    pace: Pace,
    retries: Retries,
    /// The number of further markets that may get a request of their own because lists leave them out.
    doubts: usize,
    is_forbidden: bool,
    come_back: ComeBack,
    /// The instant of our clock before which no request is sent; None while requests go on.
    closed_until: Option<Timestamp>,
    probe: Probe,
}

impl Manners {
    /// The state before any answer, with no more requests than `pace` allows.
    pub fn new(pace: Pace) -> Manners {
        Manners {
            pace,
            retries: Retries::default(),
            doubts: DOUBTS_MAX,
            is_forbidden: false,
            come_back: ComeBack::default(),
            closed_until: None,
            probe: Probe::Unneeded,
        }
    }

    /// Changes the pace, for requests that have no place in the queue yet.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// The reason why no more requests are sent; None if they are.
    pub fn stopped(&self, moment: Moment) -> Option<Stop> {
        if self.is_forbidden {
            Some(Stop::Forbidden)
        } else if let Some(until) = self.closed_until {
            Some(Stop::ComeBackLater(until))
        } else if moment.is_stopped {
            Some(Stop::Signal)
        } else {
            moment.is_over().then_some(Stop::OutOfTime)
        }
    }

    /// The number of repeated requests so far.
    pub fn retries(&self) -> Retries {
        self.retries
    }

    /// Whether the exchange refused every request of this client.
    pub fn is_forbidden(&self) -> bool {
        self.is_forbidden
    }

    /// When to come back, by the answers so far.
    pub fn come_back(&self) -> ComeBack {
        self.come_back
    }

    /// Takes over from earlier passes when to come back.
    pub fn heed(&mut self, come_back: ComeBack, moment: Moment) -> Option<Notice> {
        self.come_back = come_back;
        match come_back.asking(moment.now) {
            Asking::Freely => None,
            Asking::Probe => {
                self.probe = Probe::Wanted;
                None
            }
            Asking::NotBefore(at) => {
                self.closed_until = Some(at);
                Some(Notice::LeftAlone { wish: come_back.at.unwrap_or(at), not_before: at })
            }
        }
    }

    /// Lists leave out `wanted` markets. Returns how many of them may get a request of their own, and subtracts these
    /// from the allowance of this invocation.
    pub fn take_doubts(&mut self, wanted: usize) -> usize {
        let taken = self.doubts.min(wanted);
        self.doubts -= taken;
        taken
    }

    /// Takes the next place in the queue. Returns the time before which the request may not be sent.
    pub(super) fn reserve(&mut self, moment: Moment) -> Duration {
        moment.elapsed.saturating_add(self.pace.reserve(moment.elapsed))
    }

    /// Whether the next answer decides for all questions.
    pub(super) fn is_probing(&self) -> bool {
        self.probe != Probe::Unneeded
    }

    /// Whether a request may be sent. The caller has to report the end of a probe: its answer, or that it was
    /// [abandoned](Manners::abandoned).
    pub(super) fn permit(&mut self) -> Permit {
        match self.probe {
            Probe::Unneeded => Permit::Granted,
            Probe::Sent => Permit::NotNow,
            Probe::Wanted => {
                self.probe = Probe::Sent;
                Permit::AsProbe
            }
        }
    }

    /// No reader will get the answer of the probe, so the next request becomes the probe.
    pub(super) fn abandoned(&mut self) {
        self.probe = Probe::Wanted;
    }

    pub(super) fn count_retry(&mut self, reason: RetryReason) {
        self.retries.add(reason);
    }

    /// A request was answered.
    pub(super) fn accepted(&mut self, is_probe: bool) {
        self.pace.accepted();
        self.answered(is_probe);
    }

    /// Takes over the part of a failure that holds for all requests. The lesson has a notice if no more requests are
    /// sent from now on.
    pub(super) fn failed(&mut self, failure: &Failure, is_probe: bool, moment: Moment) -> Lesson {
        if failure.status == Some(429) {
            self.pace.slow_down(moment.elapsed);
        }
        if failure.kind == Kind::ExchangeForbids {
            self.is_forbidden = true;
        }
        if !failure.kind.is_temporary() {
            self.answered(is_probe);
            return Lesson::GoOn;
        }
        let is_too_long = |wait: Duration| wait > WORTH_WAITING || wait >= moment.left;
        let wants_us_gone = failure.retry_after.is_some_and(is_too_long);
        if is_probe || wants_us_gone && !moment.is_stopped {
            return Lesson::StopAll(self.close(failure, is_probe, moment));
        }
        if let Some(wait) = failure.retry_after {
            self.pace.hold(moment.elapsed, wait);
        }
        Lesson::GoOn
    }

    /// The exchange answers, so the wait that it asked for is over. An answer to a request sent before the exchange
    /// asked for that wait does not end it.
    pub(super) fn answered(&mut self, is_probe: bool) {
        if self.closed_until.is_none() {
            self.come_back = ComeBack::default();
        }
        if is_probe {
            self.probe = Probe::Unneeded;
        }
    }

    /// Stops all requests.
    fn close(&mut self, failure: &Failure, is_probe: bool, moment: Moment) -> Option<Notice> {
        if is_probe {
            self.abandoned();
        }
        self.come_back = match failure.retry_after {
            Some(wait) => ComeBack::told(wait, moment.now),
            None => self.come_back.probed(moment.now),
        };
        let until = match self.come_back.asking(moment.now) {
            Asking::NotBefore(at) => at,
            Asking::Freely | Asking::Probe => moment.now,
        };
        let is_first = self.closed_until.replace(until).is_none();
        is_first.then(|| Notice::Closed { line: one_line(failure), until })
    }
}

/// The consequence of a failure.
#[derive(Debug)]
pub(super) enum Lesson {
    /// The question decides for itself.
    GoOn,
    /// The pass has to stop; only the first question that finds this has a notice.
    StopAll(Option<Notice>),
}
