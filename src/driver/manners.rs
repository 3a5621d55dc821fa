//! How the exchange is asked: what all questions of a pass know of its wishes together.

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

/// A longer wait that the exchange asks for is no pause but a reason to leave, however much time the
/// command has: it holds a lock.
const WORTH_WAITING: Duration = Duration::from_secs(60);

/// Markets that lists leave out and that are asked for by themselves, in one invocation: a busy
/// exchange that forgets thousands must not cost two requests for each.
const DOUBTS_MAX: usize = 5;

/// Why nothing more is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Everything was done.
    Level,
    /// The time is over.
    OutOfTime,
    /// The program was asked to stop.
    Signal,
    /// The exchange refuses this client altogether.
    Forbidden,
    /// The exchange wants no request before this instant of our clock.
    ComeBackLater(Timestamp),
    /// The database takes nothing more.
    StoreGone,
}

/// What is to be said of what was decided, to whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A request is sent again after a while.
    Again {
        /// What went wrong.
        line: String,
        /// After how long.
        wait: Duration,
        /// How many attempts that was.
        attempt: u32,
        /// Of how many.
        attempts_max: u32,
    },
    /// Nothing more is asked.
    Closed {
        /// What the exchange answered.
        line: String,
        /// Until this instant of our clock.
        until: Timestamp,
    },
    /// Nothing is asked in this pass, as an earlier one was told.
    LeftAlone {
        /// Until when the exchange wants to be left alone.
        wish: Timestamp,
        /// Before then it is not asked.
        not_before: Timestamp,
    },
    /// A cursor was refused.
    ByTime {
        /// What the exchange answered.
        line: String,
    },
    /// The database broke off, or does not come back: the work is begun again after a while.
    GoingOn {
        /// What went wrong.
        line: String,
        /// After how long.
        wait: Duration,
        /// How many attempts that was.
        attempt: u32,
        /// Of how many.
        attempts_max: u32,
    },
    /// Something that was claimed is false.
    Corrected {
        /// Of what.
        scope: Scope,
        /// What is false, and what is left of it.
        correction: Correction,
    },
}

impl Notice {
    /// Of what a walk found false.
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

/// Whether the next answer decides for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    /// Everybody asks as always.
    Unneeded,
    /// The next request goes alone.
    Wanted,
    /// It is on its way; all others wait for its answer.
    Sent,
}

/// Whether a request may go now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// It may.
    Granted,
    /// It may, and its answer decides for all.
    AsProbe,
    /// The answer of another one decides: wait for that.
    Refused,
}

/// What all questions of a pass share: the pace, what the exchange said that holds for every request,
/// and what was counted.
#[derive(Debug)]
pub struct Manners {
    pace: Pace,
    retries: Retries,
    /// How many more markets may be asked for by themselves because lists leave them out.
    doubts: usize,
    is_forbidden: bool,
    come_back: ComeBack,
    /// Set when nothing is to be asked before then.
    closed_until: Option<Timestamp>,
    probe: Probe,
}

impl Manners {
    /// Of somebody who was told nothing yet and asks no faster than `pace`.
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

    /// Why nothing more is asked, if so.
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

    /// Requests sent again so far.
    pub fn retries(&self) -> Retries {
        self.retries
    }

    /// Whether the exchange refused this client altogether.
    pub fn is_forbidden(&self) -> bool {
        self.is_forbidden
    }

    /// When to come back, as far as is known now.
    pub fn come_back(&self) -> ComeBack {
        self.come_back
    }

    /// Takes over what earlier passes heard of when to come back.
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

    /// Of so many markets that lists leave out, how many may be asked for by themselves; those are
    /// taken from what is left for this invocation.
    pub fn take_doubts(&mut self, wanted: usize) -> usize {
        let taken = self.doubts.min(wanted);
        self.doubts -= taken;
        taken
    }

    /// Takes the next place in the queue; until when to wait before sending.
    pub(super) fn reserve(&mut self, moment: Moment) -> Duration {
        moment.elapsed.saturating_add(self.pace.reserve(moment.elapsed))
    }

    /// Whether the next answer decides for all.
    pub(super) fn is_probing(&self) -> bool {
        self.probe != Probe::Unneeded
    }

    /// Whether a request may go. One that goes as a probe has to come back: with an answer, or
    /// [abandoned](Manners::abandoned).
    pub(super) fn leave(&mut self) -> Leave {
        match self.probe {
            Probe::Unneeded => Leave::Granted,
            Probe::Sent => Leave::Refused,
            Probe::Wanted => {
                self.probe = Probe::Sent;
                Leave::AsProbe
            }
        }
    }

    /// Nobody will hear the answer of the probe: the next request decides.
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

    /// What one request was told holds for all; a notice if nothing more is asked from now on.
    pub(super) fn refused(&mut self, failure: &Failure, is_probe: bool, moment: Moment) -> Lesson {
        if failure.status == Some(429) {
            self.pace.refused(moment.elapsed);
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
            return Lesson::Leave(self.close(failure, is_probe, moment));
        }
        if let Some(wait) = failure.retry_after {
            self.pace.hold(moment.elapsed, wait);
        }
        Lesson::GoOn
    }

    /// The exchange answers, so it need not be left alone any more. What was sent before it said
    /// otherwise says nothing.
    pub(super) fn answered(&mut self, is_probe: bool) {
        if self.closed_until.is_none() {
            self.come_back = ComeBack::default();
        }
        if is_probe {
            self.probe = Probe::Unneeded;
        }
    }

    /// Nothing more is asked, by anybody.
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

/// What a failure comes to.
#[derive(Debug)]
pub(super) enum Lesson {
    /// The question decides for itself.
    GoOn,
    /// It is time to leave; said by the first who hears it.
    Leave(Option<Notice>),
}
