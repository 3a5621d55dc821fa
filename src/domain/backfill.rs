//! The slices of a backfill, and the slices that are still to be done. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::market::{Market, Status};
use super::scope::{GroupId, Scope};
use super::slice::{Slice, SliceKey, SliceStatus};
use super::ticker::Ticker;
use super::tier::Tier;
use super::time::Timestamp;
use super::venue::TapeRate;

/// The longest slice of a market. A longer market is read in parts, so a kill or a changed window repeats at most one
/// part.
const MARKET_SLICE: Duration = Duration::from_secs(30 * 86_400);
/// The length of a slice of the tape.
const TAPE_SLICE: Duration = Duration::from_secs(3_600);
/// The margin around opening and closing times: the exchange can move them, so this much beyond them is read too.
pub const LIFESPAN_MARGIN: Duration = Duration::from_secs(86_400);

/// A market to fill, with the known times of its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifespan {
    /// The ticker of the market.
    pub market: Ticker,
    /// The series of the market, if known.
    pub series: Option<Box<str>>,
    /// The time when trading begins, if known.
    pub open_time: Option<Timestamp>,
    /// The time when trading ends, if known.
    pub close_time: Option<Timestamp>,
    /// The status of the market.
    pub status: Status,
    /// The lifetime volume in the last answer of the exchange, in 0.01 contract.
    pub volume_e2: Option<i64>,
    /// Exchange time of the answer with that volume, if known.
    pub seen_at: Option<Timestamp>,
}

impl Lifespan {
    /// The lifespan in a description.
    pub fn of(market: &Market) -> Lifespan {
        Lifespan {
            market: market.ticker.clone(),
            series: market.series.clone(),
            open_time: market.open_time,
            close_time: market.close_time,
            status: market.status.clone(),
            volume_e2: market.volume_e2,
            seen_at: None,
        }
    }
}

/// The window to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillWindow {
    /// The first instant of the window.
    pub from: Timestamp,
    /// The first instant after the window.
    pub until: Timestamp,
    /// The archive cutoff: trades before it are in the archive.
    pub cutoff: Timestamp,
    /// Above this instant the live tier may still show more trades.
    pub settled_until: Timestamp,
}

impl FillWindow {
    /// Whether a slice reaches above [`settled_until`](FillWindow::settled_until).
    pub fn is_unsettled(&self, key: &SliceKey) -> bool {
        key.tier() == Tier::Live && self.settled_until < key.until()
    }
}

/// The way to read: markets one by one, or the tape under the name of a group in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Each market by itself.
    Markets,
    /// All markets together from the tape, as this group.
    Tape(GroupId),
}

/// The cheaper way. The tape costs a request per thousand trades of the exchange; a market costs at least one for
/// each of its slices.
pub fn scheme(lifespans: &[Lifespan], span: FillWindow, tape: TapeRate, group: GroupId) -> Scheme {
    let alone: usize = lifespans.iter().map(|lifespan| market_slices(lifespan, span).len()).sum();
    let pages = tape.pages(span.until.since(span.from));
    if pages < alone { Scheme::Tape(group) } else { Scheme::Markets }
}

/// All slices of a market within the window, oldest first.
pub fn market_slices(lifespan: &Lifespan, span: FillWindow) -> Vec<SliceKey> {
    let from = lifespan
        .open_time
        .map_or(span.from, |at| at.before(LIFESPAN_MARGIN).floor().max(span.from));
    let until = lifespan
        .close_time
        .map_or(span.until, |at| at.after(LIFESPAN_MARGIN).ceil().min(span.until));
    cut(&lifespan.market.clone().into(), FillWindow { from, until, ..span }, MARKET_SLICE)
}

/// All slices of the tape within the window, oldest first.
pub fn tape_slices(scope: &Scope, span: FillWindow) -> Vec<SliceKey> {
    cut(scope, span, TAPE_SLICE)
}

/// Cuts the window at the cutoff, at the instant from which it is no longer settled, and at multiples of `length`, so
/// that another window has the same slices. A part that is not longer than `length` is not cut at multiples.
fn cut(scope: &Scope, span: FillWindow, length: Duration) -> Vec<SliceKey> {
    let FillWindow { from, until, cutoff, settled_until } = span;
    let mut edges = BTreeSet::from([from, until]);
    edges.extend([cutoff.floor(), settled_until.floor()]);
    let step = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
    if until.since(from) > length {
        let mut edge = from.second().div_euclid(step).saturating_add(1).saturating_mul(step);
        while edge < until.second() {
            edges.insert(Timestamp::from_seconds(edge));
            edge = edge.saturating_add(step);
        }
    }
    let edges: Vec<Timestamp> =
        edges.into_iter().filter(|at| (from..=until).contains(at)).collect();
    let tier = |at: Timestamp| if at < cutoff.floor() { Tier::Archive } else { Tier::Live };
    edges
        .windows(2)
        .filter_map(|pair| SliceKey::new(scope.clone(), tier(pair[0]), pair[0], pair[1]))
        .collect()
}

/// A span of one market, cut at the cutoff only.
pub fn split(
    market: &Ticker,
    from: Timestamp,
    until: Timestamp,
    cutoff: Timestamp,
) -> Vec<SliceKey> {
    let window = FillWindow { from, until, cutoff, settled_until: until };
    cut(&market.clone().into(), window, Duration::MAX)
}

/// The ledger, grouped by status.
struct LedgerView<'a> {
    complete: HashMap<&'a Scope, Vec<(Timestamp, Timestamp)>>,
    open: BTreeMap<&'a SliceKey, &'a Slice>,
    read: Vec<&'a SliceKey>,
}

impl<'a> LedgerView<'a> {
    fn of(ledger: &'a [Slice]) -> LedgerView<'a> {
        let mut view =
            LedgerView { complete: HashMap::new(), open: BTreeMap::new(), read: Vec::new() };
        for slice in ledger {
            let key = &slice.key;
            match slice.status {
                SliceStatus::Complete => {
                    let spans = view.complete.entry(key.scope()).or_default();
                    spans.push((key.from(), key.until()));
                }
                SliceStatus::Read => view.read.push(key),
                SliceStatus::Open => {}
            }
            if slice.status != SliceStatus::Complete {
                view.open.insert(key, slice);
            }
        }
        view
    }

    /// The spans that are complete in any of these scopes, sorted.
    fn done<'n>(&self, scopes: impl Iterator<Item = &'n Scope>) -> Vec<(Timestamp, Timestamp)> {
        let mut done: Vec<(Timestamp, Timestamp)> =
            scopes.filter_map(|scope| self.complete.get(scope)).flatten().copied().collect();
        done.sort_unstable();
        done
    }
}

/// The slices that are still to be done for the wanted ones, by the ledger, oldest first: slices that are neither
/// complete nor read, slices that are read but not confirmed yet, and the archived gaps for which these wait. The
/// scopes in `covers` cover every market: the tape, read for all of them.
pub fn left(wanted: Vec<SliceKey>, ledger: &[Slice], covers: &[Scope]) -> Vec<Slice> {
    let view = LedgerView::of(ledger);
    let mut left: BTreeMap<SliceKey, Slice> = BTreeMap::new();
    for key in wanted {
        let done = view.done(covers.iter().chain([key.scope()]));
        for (from, until) in gaps(key.from(), key.until(), &done) {
            let Some(gap) = key.with_window(from, until) else { continue };
            let known = view.open.get(&gap).map(|slice| (*slice).clone());
            left.insert(gap.clone(), known.unwrap_or_else(|| Slice::new(gap)));
        }
    }
    let is_archived_gap = |slice: &Slice| {
        let waits = |read: &&SliceKey| {
            read.scope() == slice.key.scope()
                && read.from() <= slice.key.from()
                && slice.key.until() <= read.until()
        };
        slice.status == SliceStatus::Open
            && slice.key.tier() == Tier::Archive
            && view.read.iter().any(waits)
    };
    for slice in ledger.iter().filter(|slice| is_archived_gap(slice)) {
        left.insert(slice.key.clone(), slice.clone());
    }
    left.into_values().collect()
}

/// The slices read from the live tier that are complete, by the new cutoff. For the other read slices, it returns the
/// archived gaps: the parts that the cutoff has passed and that are to be read from the archive first.
pub fn confirm(ledger: &[Slice], cutoff: Timestamp) -> (Vec<SliceKey>, Vec<Slice>) {
    let view = LedgerView::of(ledger);
    let (mut complete, mut archived_gaps) = (Vec::new(), Vec::new());
    for key in &view.read {
        let edge = cutoff.ceil().min(key.until());
        let done = view.done([key.scope()].into_iter());
        let missing: Vec<SliceKey> = gaps(key.from(), edge, &done)
            .into_iter()
            .filter_map(|(from, until)| {
                SliceKey::new(key.scope().clone(), Tier::Archive, from, until)
            })
            .collect();
        if missing.is_empty() {
            complete.push((*key).clone());
        }
        archived_gaps.extend(missing.into_iter().map(Slice::new));
    }
    (complete, archived_gaps)
}

/// The parts of `[from, until)` that the sorted spans do not cover.
pub fn gaps(
    from: Timestamp,
    until: Timestamp,
    done: &[(Timestamp, Timestamp)],
) -> Vec<(Timestamp, Timestamp)> {
    let mut found = Vec::new();
    let mut at = from;
    for (begins, ends) in done {
        if *begins > at && at < until {
            found.push((at, (*begins).min(until)));
        }
        at = at.max(*ends);
    }
    if at < until {
        found.push((at, until));
    }
    found
}

#[cfg(test)]
#[path = "backfill_tests.rs"]
mod tests;
