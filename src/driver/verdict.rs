//! The verdict on a pass or a command: its log lines and its exit status.

use std::collections::HashSet;
use std::time::Duration;

use super::manners::Stop;
use super::queue::{Done, Ended};
use super::writing::Outcome;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::freshness::{self, Now, State};
use crate::domain::selection::{Roster, Target};
use crate::domain::tally::Tally;
use crate::domain::time::Timestamp;
use crate::exit::Exit;
use crate::failure::{Failure, Kind, one_line};
use crate::words;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A problem that the exit status does not show.
    Warning(String),
    /// A problem that the exit status shows.
    Error(String),
}

/// The lines of a finding. The caller has to log them.
#[must_use = "what was found has to be said"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(Vec<Line>);

impl Lines {
    /// These lines, followed by `more`.
    pub fn and(mut self, more: Lines) -> Lines {
        self.0.extend(more.0);
        self
    }
}

impl From<Line> for Lines {
    fn from(line: Line) -> Lines {
        Lines(vec![line])
    }
}

impl FromIterator<Lines> for Lines {
    fn from_iter<T: IntoIterator<Item = Lines>>(all: T) -> Lines {
        Lines(all.into_iter().flatten().collect())
    }
}

impl IntoIterator for Lines {
    type Item = Line;
    type IntoIter = std::vec::IntoIter<Line>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The findings about a pass or a command so far.
#[derive(Debug, Default)]
pub struct Verdict {
    exits: Vec<Exit>,
    lag: Option<Duration>,
    error: Option<String>,
    is_locked_out: bool,
    is_forbidden_said: bool,
    is_answer_needed: bool,
    breaches: Vec<String>,
    kept: Kept,
}

/// The findings that survive an attempt that the database broke off, because the next attempt does not find them
/// again.
#[derive(Debug, Default)]
struct Kept {
    /// The line about events that could not be read.
    rejected: Option<String>,
    /// Whether some part of the work read nothing but such events.
    is_unreadable: bool,
    /// The problems that were logged already.
    said: HashSet<String>,
}

/// A final verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The exit status of the program.
    pub exit: Exit,
    /// The staleness of the worst market.
    pub lag: Option<Duration>,
    /// The first error.
    pub error: Option<String>,
    /// The lines of the markets in breach of their SLA. Every receiver of the result gets them, whatever else is
    /// wrong.
    pub breaches: Vec<String>,
}

impl Verdict {
    /// The verdict of a command that is not judged by staleness. For such a command an exchange that does not answer
    /// is a failure, because nothing else would show it.
    pub fn of_command() -> Verdict {
        Verdict { is_answer_needed: true, ..Verdict::default() }
    }

    /// Forgets the findings of an attempt that the database broke off: the next attempt judges again. The logged
    /// lines and the events that could not be read are kept.
    pub fn begin_again(&mut self) {
        let Verdict { is_answer_needed, kept, .. } = std::mem::take(self);
        *self = Verdict { is_answer_needed, kept, ..Verdict::default() };
    }

    /// Another pass holds the lock, so this one reads nothing.
    pub fn lock_out(&mut self) -> Lines {
        self.is_locked_out = true;
        self.error = Some("another pass was at work".to_owned());
        let line = "another pass is at work; this one reads nothing and judges the SLA only";
        Line::Warning(line.to_owned()).into()
    }

    /// An entry of the selection whose markets could not be listed since that instant.
    pub fn unresolved(
        &mut self,
        target: &Target,
        since: Timestamp,
        sla: Duration,
        now: Timestamp,
    ) -> Lines {
        let staleness = now.since(since);
        if staleness <= sla {
            return Lines::default();
        }
        self.trouble(Exit::Stale, words::unresolved_line(target, staleness, sla))
    }

    /// Judges the ends of the walks and the writer. `signal` is the signal that asked to stop.
    pub fn judge_walks(&mut self, outcome: &Outcome, signal: Option<u8>) -> Lines {
        let said: Lines = outcome.done.iter().map(|done| self.judge_end(done)).collect();
        let said = said.and(self.judge_rejected(outcome));
        if let Some(failure) = &outcome.store_failure {
            return said.and(self.trouble(Exit::Database, one_line(failure)));
        }
        if let Some(signal) = signal {
            let line = format!("stopped by signal {signal}; progress is kept");
            return said.and(Line::Warning(line).into());
        }
        said.and(self.judge_unread(outcome))
    }

    fn judge_end(&mut self, done: &Done) -> Lines {
        let exit = match &done.ended {
            Ended::Failed(failure) => return self.failure(failure),
            Ended::Panicked => Exit::Bug,
            Ended::Level | Ended::Unproven | Ended::OutOfTime | Ended::Guarded(_) => Exit::Ok,
        };
        let Some(trouble) = done.ended.trouble() else { return Lines::default() };
        self.trouble(exit, format!("{}: {trouble}", done.scope))
    }

    fn judge_unread(&mut self, outcome: &Outcome) -> Lines {
        let is_late = |done: &&Done| matches!(done.ended, Ended::OutOfTime);
        let late = outcome.done.iter().filter(is_late).map(|done| done.scopes.len());
        let unread = outcome.unread + late.sum::<usize>();
        if outcome.unread > 0 && outcome.stop == Stop::Level {
            let message = "a reader ended without a word; please report this as a bug";
            return self.trouble(Exit::Bug, message.to_owned());
        }
        if unread == 0 {
            return Lines::default();
        }
        let line = format!("{unread} markets are not read to the end; the next pass goes on there");
        Line::Warning(line).into()
    }

    /// Judges the events that are no trades. They lose nothing and block nothing, but a person has to know of them.
    pub fn judge_rejected(&mut self, outcome: &Outcome) -> Lines {
        let Tally { events_ingested, events_duplicate, events_conflicting, .. } = outcome.tally;
        // The exchange contradicts itself about one trade, and only a person can tell which version is true.
        let conflicting = outcome.first_conflicting.as_ref().map(|first| {
            format!(
                "{events_conflicting} events contradict a stored trade and are kept in raw_kalshi_trade_events only; \
                 the first: {first}"
            )
        });
        let rejected = outcome.first_rejected.as_ref().map(|first| {
            format!(
                "{} events could not be read as trades and are kept in raw_kalshi_trade_events only; the first: {first}",
                outcome.tally.events_rejected
            )
        });
        if rejected.is_some() && events_ingested + events_duplicate + events_conflicting == 0 {
            self.kept.is_unreadable = true;
        }
        let said: Vec<String> = conflicting.into_iter().chain(rejected).collect();
        if let Some(first) = said.first() {
            self.kept.rejected.get_or_insert_with(|| first.clone());
        }
        Lines(said.into_iter().map(Line::Error).collect())
    }

    /// Judges of every market whether it breaches its SLA.
    pub fn judge_staleness(
        &mut self,
        checkpoints: &[Checkpoint],
        roster: &Roster,
        now: Now,
    ) -> Lines {
        let judged = checkpoints.iter().filter_map(|checkpoint| {
            Some(self.judge_market(checkpoint, roster.demand(&checkpoint.scope)?.sla, now))
        });
        judged.collect()
    }

    fn judge_market(&mut self, checkpoint: &Checkpoint, sla: Duration, now: Now) -> Lines {
        let staleness = freshness::staleness(checkpoint, now);
        if checkpoint.retired_at.is_none() {
            self.lag = self.lag.max(Some(staleness));
        }
        // Without the database every market looks stale, so a line would tell nothing new.
        let is_known = !self.exits.contains(&Exit::Database);
        if !is_known || freshness::state(checkpoint, now, sla) != State::Stale {
            return Lines::default();
        }
        let mut message = words::breach_line(checkpoint, staleness, sla);
        if self.is_locked_out {
            message.push_str("; another pass is at work");
        }
        self.trouble(Exit::Stale, message)
    }

    /// The exchange wants no more requests for now. A pass is judged by its stored trades, and its incomplete work
    /// was reported already. For other commands the exchange counts as one that does not answer.
    pub fn come_back(&mut self, at: Timestamp) -> Lines {
        let line = words::come_back_line(at);
        if self.is_answer_needed && !self.exits.contains(&Exit::Incomplete) {
            return self.trouble(Exit::Exchange, line);
        }
        self.error.get_or_insert(line);
        Lines::default()
    }

    /// The condition that the user asked to watch for is met, so a person has to look.
    pub fn below(&mut self, why: String) -> Lines {
        self.trouble(Exit::Incomplete, why)
    }

    /// The description of a market could not be read, so the market is left out of the result.
    pub fn unreadable_market(&mut self, reason: &str) -> Lines {
        self.trouble(
            Exit::Incomplete,
            format!(
                "the description of a market could not be read, so that market is left out: {reason}"
            ),
        )
    }

    /// A part of the work was not done. `why` is the reason and the remedy.
    pub fn incomplete(&mut self, why: &str) -> Lines {
        self.exits.push(Exit::Incomplete);
        self.error.get_or_insert_with(|| why.to_owned());
        Line::Warning(format!("not complete yet: {why}")).into()
    }

    /// Judges failures that did not end the work.
    pub fn failures(&mut self, failures: &[Failure]) -> Lines {
        failures.iter().map(|failure| self.failure(failure)).collect()
    }

    /// Judges one failure that did not end the work.
    pub fn failure(&mut self, failure: &Failure) -> Lines {
        // The exchange refuses every request in flight, and one line about that is enough.
        let is_forbidden = failure.kind == Kind::ExchangeForbids;
        if is_forbidden && std::mem::replace(&mut self.is_forbidden_said, true) {
            return Lines::default();
        }
        let exit = match failure.kind {
            Kind::ExchangeUnavailable if self.is_answer_needed => Exit::Exchange,
            kind => Exit::of_kind(kind),
        };
        self.trouble(exit, one_line(failure))
    }

    /// Judges the failure that ended the work.
    pub fn broken_off(&mut self, failure: &Failure) -> Lines {
        self.trouble(Exit::of_kind(failure.kind), one_line(failure))
    }

    /// One line for the person who has to act. It is an error if the exit status will show it.
    fn trouble(&mut self, exit: Exit, message: String) -> Lines {
        self.exits.push(exit);
        self.error.get_or_insert_with(|| message.clone());
        if exit == Exit::Stale && !self.breaches.contains(&message) {
            self.breaches.push(message.clone());
        }
        // Two parts of a pass, or two attempts, can find the same problem. It is logged once, and it counts in each
        // of them.
        if !self.kept.said.insert(message.clone()) {
            return Lines::default();
        }
        match exit {
            Exit::Ok => Line::Warning(message).into(),
            _ => Line::Error(message).into(),
        }
    }

    /// The final verdict. `signal` is the signal that asked to stop.
    pub fn close(self, signal: Option<u8>) -> Ending {
        let unreadable = self.kept.is_unreadable.then_some(Exit::Exchange);
        let first = Exit::first(self.exits.iter().copied().chain(unreadable));
        let exit = match signal {
            // With a failing database it would be false that progress is kept.
            Some(_) if first == Exit::Database => first,
            Some(signal) => Exit::of_signal(signal),
            None => first,
        };
        let Verdict { lag, error, breaches, kept, .. } = self;
        Ending { exit, lag, error: error.or(kept.rejected), breaches }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;
    use crate::domain::ticker::Ticker;

    fn refused() -> Failure {
        Failure::new(Kind::ExchangeRefused, "there is no such series")
    }

    fn said(lines: Lines) -> Vec<Line> {
        lines.into_iter().collect()
    }

    #[test]
    fn a_trouble_met_again_after_a_break_is_said_once_and_counts_again() {
        let mut verdict = Verdict::default();
        assert_eq!(said(verdict.failure(&refused())).len(), 1);
        verdict.begin_again();
        assert_eq!(said(verdict.failure(&refused())), []);
        let ending = verdict.close(None);
        assert_eq!(ending.exit, Exit::Exchange);
        assert!(ending.error.unwrap().contains("no such series"));
    }

    #[test]
    fn a_breach_that_a_second_attempt_does_not_find_is_none() {
        let mut verdict = Verdict::default();
        let (target, sla) = (Target::Series(Ticker::new("KXA").unwrap()), Duration::from_secs(300));
        let (since, now) = (Timestamp::from_seconds(0), Timestamp::from_seconds(301));
        assert_eq!(said(verdict.unresolved(&target, since, sla, now)).len(), 1);
        verdict.begin_again();
        let ending = verdict.close(None);
        assert_eq!((ending.exit, ending.breaches.len()), (Exit::Ok, 0));
    }

    #[test]
    fn an_exchange_that_is_away_is_judged_by_staleness_in_a_pass_alone() {
        let away = Failure::new(Kind::ExchangeUnavailable, "it answered 503");
        let (mut pass, mut command) = (Verdict::default(), Verdict::of_command());
        assert!(matches!(said(pass.failure(&away))[..], [Line::Warning(_)]));
        assert!(matches!(said(command.failure(&away))[..], [Line::Error(_)]));
        assert_eq!(pass.close(None).exit, Exit::Ok);
        assert_eq!(command.close(None).exit, Exit::Exchange);
    }

    #[test]
    fn a_signal_is_the_exit_unless_the_database_was_lost() {
        let mut verdict = Verdict::default();
        let _ = verdict.failure(&refused());
        assert_eq!(verdict.close(Some(15)).exit, Exit::Terminated);
        let mut verdict = Verdict::default();
        let _ = verdict.broken_off(&Failure::new(Kind::StoreUnavailable, "it is gone"));
        assert_eq!(verdict.close(Some(15)).exit, Exit::Database);
    }

    #[test]
    fn events_that_none_could_be_read_of_are_an_exchange_that_cannot_be_decoded() {
        let outcome = |ingested| {
            let mut outcome = Stage::new(&[], 0).pass(Vec::new(), 1);
            outcome.tally.events_ingested = ingested;
            outcome.tally.events_rejected = 2;
            outcome.first_rejected = Some("no price".to_owned());
            outcome
        };
        for (ingested, exit) in [(0, Exit::Exchange), (1, Exit::Ok)] {
            let mut verdict = Verdict::default();
            assert_eq!(said(verdict.judge_rejected(&outcome(ingested))).len(), 1);
            // The rejected events are stored by now, so another attempt does not find them again.
            verdict.begin_again();
            let ending = verdict.close(None);
            assert_eq!(ending.exit, exit);
            assert!(ending.error.unwrap().contains("no price"));
        }
    }

    #[test]
    fn a_database_that_is_lost_makes_no_market_stale() {
        let row = Checkpoint::first(Ticker::new("KXA").unwrap(), Timestamp::from_seconds(0));
        let sla = Duration::from_secs(1);
        let now = Timestamp::from_seconds(1_000_000);
        let clocks = Now { exchange: now, ours: now };
        let mut verdict = Verdict::default();
        assert_eq!(said(verdict.judge_market(&row, sla, clocks)).len(), 1);
        verdict.begin_again();
        let _ = verdict.broken_off(&Failure::new(Kind::StoreUnavailable, "it is gone"));
        assert_eq!(said(verdict.judge_market(&row, sla, clocks)), []);
        assert_eq!(verdict.close(None).exit, Exit::Database);
    }
}
