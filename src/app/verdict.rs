//! What a pass came to: which lines are said, and the exit status.

use std::collections::HashSet;
use std::time::Duration;

use crate::clock::StopFlag;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::freshness::{self, Now, State};
use crate::domain::selection::Roster;
use crate::domain::tally::Tally;
use crate::domain::time::Timestamp;
use crate::exit::Exit;
use crate::failure::{Failure, Kind, one_line};
use crate::ingest::{Ended, Outcome, Resolved, Stop, Synced, Taken};
use crate::report;

/// What is known at the end of a pass.
#[derive(Default)]
pub(super) struct Verdict {
    exits: Vec<Exit>,
    /// The staleness of the worst market.
    pub(super) lag: Option<Duration>,
    /// The first thing that went wrong.
    pub(super) error: Option<String>,
    /// Whether another pass was at work, so that this one read nothing.
    pub(super) is_locked_out: bool,
    /// Whether it was said that the exchange refuses this client altogether.
    is_forbidden_said: bool,
    is_answer_needed: bool,
    /// Events that could not be read, in whatever attempt.
    rejected: Option<String>,
    /// Troubles that were told.
    said: HashSet<String>,
    /// Of them the breaches: whatever else is wrong, whoever is told is told of these.
    pub(super) breaches: Vec<String>,
}

impl Verdict {
    /// The verdict of a command that is not judged by staleness: to it an exchange that does not
    /// answer is a failure, since nothing else would tell.
    pub(super) fn of_command() -> Verdict {
        Verdict { is_answer_needed: true, ..Verdict::default() }
    }

    /// Forgets what an attempt came to that the database broke off: the next one judges anew. What was said stays said,
    /// and events that could not be read are still there.
    pub(super) fn begin_again(&mut self) {
        let Verdict { exits, lag, error, is_forbidden_said, .. } = self;
        exits.clear();
        (*lag, *error, *is_forbidden_said) = (None, None, false);
    }

    /// What finding out about the selection came to.
    pub(super) fn judge_resolution(&mut self, resolved: &mut Resolved, now: Timestamp) {
        for failure in resolved.troubles.drain(..) {
            self.failure(&failure);
        }
        for (target, since, sla) in resolved.unresolved.drain(..) {
            let staleness = now.since(since);
            if staleness > sla {
                self.trouble(Exit::Stale, report::unresolved_line(&target, staleness, sla));
            }
        }
    }

    /// What a sync of metadata came to.
    pub(super) fn judge_sync(&mut self, synced: Synced) {
        for failure in synced.troubles {
            self.failure(&failure);
        }
    }

    /// What taking order books came to.
    pub(super) fn judge_books(&mut self, taken: Taken) {
        for failure in taken.troubles {
            self.failure(&failure);
        }
    }

    /// What the walks and the writer came to.
    pub(super) fn judge_walks(&mut self, outcome: &Outcome, stop: &StopFlag) {
        let mut out_of_time = 0;
        for done in &outcome.done {
            match &done.ended {
                Ended::Failed(failure) => self.failure(failure),
                Ended::OutOfTime => out_of_time += done.markets.len(),
                ended => {
                    let exit = if matches!(ended, Ended::Panicked) { Exit::Bug } else { Exit::Ok };
                    if let Some(trouble) = ended.trouble() {
                        self.trouble(exit, format!("{}: {trouble}", done.scope));
                    }
                }
            }
        }
        self.judge_rejected(outcome);
        if let Some(failure) = &outcome.store_failure {
            self.trouble(Exit::Database, one_line(failure));
            return;
        }
        if let Some(signal) = stop.signal() {
            log::warn!("stopped by signal {signal}; progress is kept");
            return;
        }
        let unread = outcome.unread;
        if unread > 0 && outcome.stop == Stop::Level {
            let message = "a reader ended without a word; please report this as a bug";
            self.trouble(Exit::Bug, message.to_owned());
        } else if unread + out_of_time > 0 {
            log::warn!(
                "{} markets are not read to the end; the next pass goes on there",
                unread + out_of_time
            );
        }
    }

    /// Nothing is lost and nothing is blocked by an event that is no trade, but a person has to know.
    pub(super) fn judge_rejected(&mut self, outcome: &Outcome) {
        self.judge_conflicting(outcome);
        let Some(first) = &outcome.first_rejected else { return };
        let message = format!(
            "{} events could not be read as trades and are kept in raw_kalshi_trade_events only; the first: {first}",
            outcome.tally.events_rejected
        );
        let Tally { events_ingested, events_duplicate, events_conflicting, .. } = outcome.tally;
        let all_were = events_ingested + events_duplicate + events_conflicting == 0;
        if all_were {
            self.exits.push(Exit::Exchange);
        }
        log::error!("{message}");
        self.rejected.get_or_insert(message);
    }

    /// The exchange says two things of one trade: nobody but a person can tell which is true.
    fn judge_conflicting(&mut self, outcome: &Outcome) {
        let Some(first) = &outcome.first_conflicting else { return };
        let message = format!(
            "{} events contradict a stored trade and are kept in raw_kalshi_trade_events only; the first: {first}",
            outcome.tally.events_conflicting
        );
        log::error!("{message}");
        self.rejected.get_or_insert(message);
    }

    /// The first thing that went wrong, for the record.
    pub(super) fn into_error(self) -> Option<String> {
        self.error.or(self.rejected)
    }

    /// Says of every market whether it breaches its SLA.
    pub(super) fn judge_staleness(
        &mut self,
        checkpoints: &[Checkpoint],
        roster: &Roster,
        now: Now,
    ) {
        for checkpoint in checkpoints {
            let Some(place) = roster.place(&checkpoint.market) else { continue };
            let staleness = freshness::staleness(checkpoint, now);
            if checkpoint.retired_at.is_none() {
                self.lag = self.lag.max(Some(staleness));
            }
            // Without the database every market is stale, which is not news.
            let is_known = !self.exits.contains(&Exit::Database);
            if is_known && freshness::state(checkpoint, now, place.sla) == State::Stale {
                let mut message = report::breach_line(checkpoint, staleness, place.sla);
                if self.is_locked_out {
                    message.push_str("; another pass is at work");
                }
                self.trouble(Exit::Stale, message);
            }
        }
    }

    /// The exchange wants no more requests for now. A pass is judged by what is stored, and whether more is
    /// incomplete was said; to other commands it is an exchange that does not answer.
    pub(super) fn come_back(&mut self, at: Timestamp) {
        let line = report::come_back_line(at);
        if self.is_answer_needed && !self.exits.contains(&Exit::Incomplete) {
            self.trouble(Exit::Exchange, line);
        } else {
            self.error.get_or_insert(line);
        }
    }

    /// What was asked to be watched for has happened: somebody has to look.
    pub(super) fn below(&mut self, why: String) {
        self.trouble(Exit::Incomplete, why);
    }

    /// A market whose description could not be read is not among those that were looked at.
    pub(super) fn unreadable_market(&mut self, reason: &str) {
        self.trouble(
            Exit::Incomplete,
            format!(
                "the description of a market could not be read, so that market is left out: {reason}"
            ),
        );
    }

    /// Not everything was done that was asked for; why, and what to do.
    pub(super) fn incomplete(&mut self, why: &str) {
        log::warn!("not complete yet: {why}");
        self.exits.push(Exit::Incomplete);
        self.error.get_or_insert_with(|| why.to_owned());
    }

    pub(super) fn failure(&mut self, failure: &Failure) {
        // Whoever asks at the same time is turned away, too: once is enough to say.
        let is_forbidden = failure.kind == Kind::ExchangeForbids;
        if is_forbidden && std::mem::replace(&mut self.is_forbidden_said, true) {
            return;
        }
        let line = one_line(failure);
        let exit = match failure.kind {
            Kind::ExchangeUnavailable if self.is_answer_needed => Exit::Exchange,
            kind => Exit::of_kind(kind),
        };
        self.trouble(exit, line);
    }

    /// One line for whoever has to act: an error if the exit status will show it.
    pub(super) fn trouble(&mut self, exit: Exit, message: String) {
        // Two parts of a pass can meet the same mistake, and so can two attempts.
        if !self.said.insert(message.clone()) {
            return;
        }
        if exit == Exit::Ok {
            log::warn!("{message}");
        } else {
            log::error!("{message}");
        }
        if exit == Exit::Stale {
            self.breaches.push(message.clone());
        }
        self.exits.push(exit);
        self.error.get_or_insert(message);
    }

    pub(super) fn exit(&self, stop: &StopFlag) -> Exit {
        let first = Exit::first(self.exits.iter().copied());
        match stop.signal() {
            // That progress is kept would not be true.
            Some(_) if first == Exit::Database => first,
            Some(signal) => Exit::of_signal(signal),
            None => first,
        }
    }
}
