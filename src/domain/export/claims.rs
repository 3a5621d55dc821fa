//! The spans of which nothing is missing, by checkpoints, the ledger of backfills and the lives of retired markets.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{Member, Span};
use crate::domain::backfill::gaps;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::scope::Scope;
use crate::domain::slice::{Slice, SliceStatus};
use crate::domain::time::Timestamp;

/// After all instants of a market that is over.
const FOREVER: Timestamp = Timestamp::from_micros(i64::MAX);
/// Before all instants.
const EVER: Timestamp = Timestamp::from_micros(i64::MIN);

/// The records that claims rest on.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The checkpoints of the markets and of the tape.
    pub checkpoints: Vec<Checkpoint>,
    /// The slices of the markets, of the tape, and of the group below.
    pub slices: Vec<Slice>,
    /// Claims that were found false.
    pub lowered: Vec<Lowered>,
    /// The group that a backfill of the same selection and window reads from the tape.
    pub group: Option<Scope>,
    /// The series and events of the selection.
    pub memberships: Vec<Membership>,
    /// Whether the whole exchange is selected: then only the tape knows all of its markets.
    pub is_all: bool,
}

/// A claim that was found false: a row of `claim_corrections`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// The market or the tape.
    pub scope: Scope,
    /// Whether the end of the claim was lowered; else its beginning was raised.
    pub is_end: bool,
    /// The instant that was claimed.
    pub claimed: Timestamp,
    /// The instant that was left; `None` if none was.
    pub proven: Option<Timestamp>,
    /// Our clock at the correction.
    pub corrected_at: Timestamp,
}

/// A series or an event of the selection, and the time for which all its markets are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The series of the markets that were found; `None` for those whose series is not known.
    pub series: Vec<Option<Box<str>>>,
    /// Our clock when it was first selected.
    pub first_selected_at: Option<Timestamp>,
    /// Whether a sync has listed all its markets, also those that were over.
    pub is_synced: bool,
    /// The last instant at which its markets were listed.
    pub listed_until: Option<Timestamp>,
}

/// The claims about all markets of an export.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The complete spans of each scope, sorted.
    complete: HashMap<Scope, Vec<(Timestamp, Timestamp)>>,
    /// The complete spans of the tape: of all markets of the exchange.
    tape: Vec<(Timestamp, Timestamp)>,
    /// The complete spans of the group. They say nothing about markets that are not in it.
    group: Vec<(Timestamp, Timestamp)>,
    /// The spans of claims that were found false and are not proven again, of each scope.
    lowered: HashMap<Scope, Vec<Span>>,
    /// The ends of retired markets.
    retired: HashMap<Scope, Timestamp>,
    /// The time for which all markets of a series are known.
    known: BTreeMap<Option<Box<str>>, Span>,
    is_all: bool,
}

impl Claims {
    /// The claims by this evidence. The live tier holds at least `live_min`.
    pub fn of(evidence: &Evidence, live_min: Duration) -> Claims {
        let mut claims = Claims { is_all: evidence.is_all, ..Claims::default() };
        for checkpoint in &evidence.checkpoints {
            if let Some(span) = claim(checkpoint, live_min) {
                claims.add(&checkpoint.scope, span);
            }
            if let Some(at) = checkpoint.retired_at {
                claims.retired.insert(checkpoint.scope.clone(), at.ceil());
            }
        }
        for slice in evidence.slices.iter().filter(|s| s.status == SliceStatus::Complete) {
            let (scope, span) = (slice.key.scope(), (slice.key.from(), slice.key.until()));
            if matches!(scope, Scope::Market(_) | Scope::Tape)
                || evidence.group.as_ref() == Some(scope)
            {
                claims.add(scope, span);
            }
        }
        claims.complete.values_mut().for_each(|spans| spans.sort_unstable());
        claims.tape.sort_unstable();
        for lowered in &evidence.lowered {
            let now = evidence.checkpoints.iter().find(|row| row.scope == lowered.scope);
            if let Some(span) = open(lowered, now) {
                claims.lowered.entry(lowered.scope.clone()).or_default().push(span);
            }
        }
        for membership in &evidence.memberships {
            let span = listed(membership);
            for series in &membership.series {
                let known = claims.known.entry(series.clone()).or_insert(span);
                *known =
                    Span { from: known.from.max(span.from), until: known.until.min(span.until) };
            }
        }
        claims
    }

    fn add(&mut self, scope: &Scope, span: (Timestamp, Timestamp)) {
        match scope {
            Scope::Tape => self.tape.push(span),
            Scope::Group(_) => self.group.push(span),
            Scope::Market(_) => self.complete.entry(scope.clone()).or_default().push(span),
        }
    }

    /// The end of the life of a market, if it is retired.
    pub(super) fn retired_at(&self, member: &Member) -> Option<Timestamp> {
        self.retired.get(&Scope::Market(member.market.clone())).copied()
    }

    /// The instant up to which nothing of this market is missing, from the beginning of the span on.
    pub(super) fn of_market(&self, member: &Member, span: Span) -> Timestamp {
        // Before it opened nothing could be traded.
        let from = member.open_time.map_or(span.from, |open| open.floor().max(span.from));
        if from >= span.until {
            return span.until;
        }
        let own = self.complete.get(&Scope::Market(member.market.clone()));
        let common = self.tape.iter().chain(&self.group);
        let mut spans: Vec<_> = own.into_iter().flatten().chain(common).copied().collect();
        spans.sort_unstable();
        first_gap(Span { from, ..span }, &spans).unwrap_or(span.until)
    }

    /// The instant up to which nothing of a series is missing, from the beginning of the span on.
    pub(super) fn of_series<'m>(
        &self,
        series: Option<&str>,
        members: impl Iterator<Item = &'m Member>,
        span: Span,
    ) -> Timestamp {
        let by_tape = self.by_tape(span);
        if self.is_all || by_tape == span.until {
            return by_tape;
        }
        let least = members.map(|member| self.of_market(member, span)).min();
        least.unwrap_or(span.until).min(self.listed_until(series, span)).max(span.from)
    }

    /// The instant up to which all markets of a series are known, from the beginning of the span on.
    pub(super) fn listed_until(&self, series: Option<&str>, span: Span) -> Timestamp {
        let by_tape = self.by_tape(span);
        if self.is_all {
            return by_tape;
        }
        match self.known.get(&series.map(Box::from)) {
            // Its markets were named one by one.
            None => span.until,
            Some(known) if known.from > span.from => by_tape,
            Some(known) => known.until.clamp(by_tape, span.until),
        }
    }

    /// The series of the selection.
    pub(super) fn series(&self) -> impl Iterator<Item = Option<&str>> {
        self.known.keys().map(Option::as_deref)
    }

    fn by_tape(&self, span: Span) -> Timestamp {
        first_gap(span, &self.tape).unwrap_or(span.until)
    }

    /// Whether a claim about one of these markets was found false in this span, and is not proven again.
    pub(super) fn is_lowered<'m>(
        &self,
        mut members: impl Iterator<Item = &'m Member>,
        span: Span,
    ) -> bool {
        let is_in = |scope: &Scope| {
            let spans = self.lowered.get(scope);
            spans.is_some_and(|spans| spans.iter().any(|lowered| lowered.and(span).is_some()))
        };
        !self.lowered.is_empty()
            && (is_in(&Scope::Tape)
                || members.any(|member| is_in(&Scope::Market(member.market.clone()))))
    }
}

/// The complete span of a checkpoint. A claim without a beginning begins where the live tier began when it was first
/// read to the end; the life of a retired market has no end any more.
fn claim(checkpoint: &Checkpoint, live_min: Duration) -> Option<(Timestamp, Timestamp)> {
    let until = match checkpoint.retired_at {
        Some(_) => FOREVER,
        None => checkpoint.complete_until?,
    };
    let read_at = checkpoint.level_at.or(checkpoint.last_success_at).or(checkpoint.retired_at);
    let from = checkpoint.complete_from.or(read_at.map(|at| at.before(live_min)))?;
    (from < until).then_some((from, until))
}

/// The span of a claim that was found false, unless it is proven again: by a claim that reaches as far, or, at its end,
/// by a window that was completed later, which began where the claim was left.
fn open(lowered: &Lowered, now: Option<&Checkpoint>) -> Option<Span> {
    let is_proven = now.is_some_and(|now| {
        let is_later = |at: Option<Timestamp>| at.is_some_and(|at| at > lowered.corrected_at);
        if lowered.is_end {
            let reaches = now.complete_until.is_some_and(|until| until >= lowered.claimed);
            reaches
                || (now.walk.is_none() && is_later(now.last_success_at))
                || is_later(now.retired_at)
        } else {
            now.complete_from.is_some_and(|from| from <= lowered.claimed)
        }
    });
    let span = if lowered.is_end {
        Span { from: lowered.proven.unwrap_or(EVER), until: lowered.claimed }
    } else {
        Span { from: lowered.claimed, until: lowered.proven.unwrap_or(FOREVER) }
    };
    (!is_proven).then_some(span)
}

/// The span for which all markets of an entry are known.
fn listed(membership: &Membership) -> Span {
    let from = match (membership.is_synced, membership.first_selected_at) {
        (true, _) => EVER,
        (false, Some(at)) => at,
        (false, None) => FOREVER,
    };
    Span { from, until: membership.listed_until.unwrap_or(EVER) }
}

/// The first instant of the span that these sorted spans do not cover.
fn first_gap(span: Span, complete: &[(Timestamp, Timestamp)]) -> Option<Timestamp> {
    gaps(span.from, span.until, complete).first().map(|(from, _)| *from)
}
