//! The model behind the properties of the walk: an exchange (which the properties of the tape use too), a store and a
//! pass, each as small as its promises allow.

use crate::domain::scope::Scope;
use crate::domain::ticker::Ticker;
use std::time::Duration;

use std::collections::BTreeSet;
use std::mem;

use super::super::super::batch::{Batch, Commit, Committed, Receipt};
use super::super::super::checkpoint::Checkpoint;
use super::super::super::trade::{Price, Quantity, Side, Trade};
use super::super::*;

pub(in crate::domain) const ROWS: usize = 3;
pub(in crate::domain) const OVERLAP: Duration = quarters(32);
pub(in crate::domain) const SETTLE: Duration = quarters(SETTLE_QUARTERS);
pub(in crate::domain) const SETTLE_QUARTERS: u64 = 8;
/// The overlap, in quarters of a second. No walk finds a trade that is later than this, if the date of the answer
/// does not count.
pub(in crate::domain) const LATE_MAX_QUARTERS: u64 = 31;
pub(in crate::domain) const START: Timestamp = Timestamp::from_seconds(1_000);

/// Time passes in quarters of a second, so that many trades are on whole seconds.
pub(in crate::domain) const fn quarters(count: u64) -> Duration {
    Duration::from_millis(250 * count)
}

pub(in crate::domain) fn market() -> Ticker {
    Ticker::new("KX").unwrap()
}

/// The start of a market in seconds, and the length of its steps in quarters of a second.
pub(in crate::domain) type Terms = (Option<i64>, Option<u64>);

pub(in crate::domain) fn rules((since, step): Terms) -> Rules {
    let since = since.map(Timestamp::from_seconds);
    let step = step.map(quarters);
    Rules { overlap: OVERLAP, settle: SETTLE, since, pages_max: 5_000, step, ..Rules::EXACT }
}

/// The meaning of a bound for the exchange; the documentation says "after" and "before".
#[derive(Clone, Copy, Debug)]
pub(in crate::domain) enum Bound {
    SecondsInclusive,
    SecondsExclusive,
    InstantsInclusive,
    InstantsExclusive,
}

pub(in crate::domain) const BOUNDS: [Bound; 4] = [
    Bound::SecondsInclusive,
    Bound::SecondsExclusive,
    Bound::InstantsInclusive,
    Bound::InstantsExclusive,
];

impl Bound {
    /// Whether `lesser` lies below `greater`. One of the two is a bound in whole seconds.
    pub(in crate::domain) fn is_ordered(self, lesser: Timestamp, greater: Timestamp) -> bool {
        match self {
            Bound::SecondsInclusive => lesser.second() <= greater.second(),
            Bound::SecondsExclusive => lesser.second() < greater.second(),
            Bound::InstantsInclusive => lesser <= greater,
            Bound::InstantsExclusive => lesser < greater,
        }
    }
}

/// The way in which the exchange ends a list.
#[derive(Clone, Copy, Debug)]
pub(in crate::domain) enum ListEnd {
    NoCursor,
    /// Every page with rows has a cursor, and the empty page behind the last one has none.
    EmptyPage,
    /// The empty pages have cursors too, without end.
    EmptyPages,
}

pub(in crate::domain) const LIST_ENDS: [ListEnd; 3] =
    [ListEnd::NoCursor, ListEnd::EmptyPage, ListEnd::EmptyPages];

#[derive(Clone, Copy, Debug)]
pub(in crate::domain) enum Sort {
    Readable,
    Unreadable,
    /// Even the market of the row is unreadable.
    Nameless,
}

#[derive(Clone, Debug)]
pub(in crate::domain) struct Made {
    pub(in crate::domain) at: Timestamp,
    pub(in crate::domain) id: String,
    pub(in crate::domain) market: Ticker,
    /// The time when the exchange began to show the trade.
    pub(in crate::domain) shown_at: Timestamp,
    pub(in crate::domain) sort: Sort,
}

impl Made {
    pub(in crate::domain) fn is_late(&self) -> bool {
        self.shown_at.since(self.at) > SETTLE
    }

    pub(in crate::domain) fn event(&self) -> RawEvent {
        RawEvent {
            trade: Trade {
                trade_id: self.id.as_str().into(),
                market: self.market.clone(),
                side: Side::Yes,
                price: Price::from_e4_cents(1).unwrap(),
                quantity: Quantity::from_e2(1).unwrap(),
                traded_at: self.at,
                is_block_trade: None,
            },
            payload: self.id.as_str().into(),
        }
    }

    /// The row on a page of `scope`.
    pub(in crate::domain) fn rejected(&self, scope: &Scope) -> Rejected {
        let is_named = !matches!(self.sort, Sort::Nameless);
        let scope = if is_named { self.market.clone().into() } else { scope.clone() };
        let payload = self.id.as_str().into();
        Rejected { scope, trade_id: None, payload, reason: "unreadable".into() }
    }
}

/// A cursor above every row.
pub(in crate::domain) const CURSOR_TOP: &str = "9";

pub(in crate::domain) fn empty_page(cursor: Option<String>, exchange_now: Timestamp) -> Page {
    Page {
        events: Vec::new(),
        rejected: Vec::new(),
        foreign: 0,
        cursor,
        exchange_now,
        our_now: exchange_now,
    }
}

/// The fault of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Trouble {
    None,
    CursorRefused,
    CursorIgnored,
    /// The answer repeats the cursor of its request.
    CursorRepeated,
    /// The answer has no rows although there are some, and a cursor.
    Hiccup,
    /// The answer has no rows although there are some, and no cursor.
    NoRows,
    /// The answer has only the first rows of the page, and no cursor.
    CutShort(usize),
    /// The server shows new trades this many quarters of a second later.
    Lagging(u64),
    /// The page begins some rows above its cursor.
    StepsBack(usize),
    RowsTwice,
    Unsorted,
    /// The `Date` is that of an older answer.
    OldDate(u64),
    /// The `Date` lies in the future.
    FutureDate(u64),
}

#[derive(Clone, Debug)]
pub(in crate::domain) struct Exchange {
    pub(in crate::domain) now: Timestamp,
    /// The trades, newest first by time and then by id, as the exchange sorts them.
    pub(in crate::domain) made: Vec<Made>,
    pub(in crate::domain) min: Bound,
    pub(in crate::domain) max: Bound,
    pub(in crate::domain) end: ListEnd,
}

impl Exchange {
    pub(in crate::domain) fn make(&mut self, market: &Ticker, at: Timestamp, sort: Sort) {
        // The ids are not in the order of time.
        let id = format!("t{:05}", self.made.len() * 7_919 % 10_007);
        let made = Made { at, id, market: market.clone(), shown_at: self.now, sort };
        let place = self.made.partition_point(|row| (row.at, &row.id) > (made.at, &made.id));
        self.made.insert(place, made);
    }

    /// The answer to `request`; `None` if its cursor is refused.
    pub(in crate::domain) fn answer(
        &self,
        request: &PageRequest,
        trouble: Trouble,
    ) -> Option<Page> {
        let second = Timestamp::from_seconds;
        if let (Some(min), Some(max)) = (request.min_ts, request.max_ts) {
            assert!(min < max, "an exchange may refuse {request:?}");
        }
        let scope = &request.scope;
        let is_asked = |row: &&Made| {
            scope.holds(&row.market)
                && request.min_ts.is_none_or(|min| self.min.is_ordered(second(min), row.at))
                && request.max_ts.is_none_or(|max| self.max.is_ordered(row.at, second(max)))
        };
        let shown_by = match trouble {
            Trouble::Lagging(span) => self.now.before(quarters(span)),
            _ => self.now,
        };
        let is_shown = |row: &&Made| row.shown_at <= shown_by;
        let rows: Vec<&Made> = self.made.iter().filter(is_asked).filter(is_shown).collect();
        let key = |row: &Made| format!("{:020}/{}", row.at.micros(), row.id);
        let start = match (&request.cursor, trouble) {
            (Some(_), Trouble::CursorRefused) => return None,
            (None, _) | (_, Trouble::CursorIgnored) => 0,
            (Some(cursor), _) => rows.partition_point(|row| key(row) >= *cursor),
        };
        let start = match trouble {
            Trouble::StepsBack(rows_back) => start.saturating_sub(rows_back),
            _ => start,
        };
        let end = rows.len().min(start + ROWS);
        let shown = &rows[start..end];
        let cursor = match (self.end, shown.last()) {
            (ListEnd::NoCursor, Some(last)) => (end < rows.len()).then(|| key(last)),
            (_, Some(last)) => Some(key(last)),
            (ListEnd::EmptyPages, None) => Some("0".into()),
            (_, None) => None,
        };
        let mut page = empty_page(cursor, self.now.floor());
        for row in shown {
            match row.sort {
                Sort::Readable => page.events.push(row.event()),
                Sort::Unreadable | Sort::Nameless => page.rejected.push(row.rejected(scope)),
            }
        }
        match trouble {
            Trouble::Hiccup => {
                let cursor = request.cursor.clone().unwrap_or_else(|| CURSOR_TOP.into());
                page = empty_page(Some(cursor), page.our_now);
            }
            Trouble::NoRows => page = empty_page(None, page.our_now),
            Trouble::CutShort(count) => {
                page.events.truncate(count);
                page.cursor = None;
            }
            Trouble::CursorRepeated if request.cursor.is_some() => {
                page.cursor.clone_from(&request.cursor);
            }
            Trouble::RowsTwice => {
                page.events =
                    page.events.iter().flat_map(|row| [row.clone(), row.clone()]).collect();
            }
            Trouble::Unsorted => page.events.reverse(),
            Trouble::FutureDate(span) => {
                page.exchange_now = page.exchange_now.after(Duration::from_secs(span));
            }
            Trouble::OldDate(age) => {
                page.exchange_now = page.exchange_now.before(Duration::from_secs(age));
            }
            _ => {}
        }
        Some(page)
    }
}

/// A model of the promises of every store, in a few lines: see `store/contract.rs`.
pub(in crate::domain) struct Store {
    pub(in crate::domain) checkpoint: Checkpoint,
    pub(in crate::domain) stored: BTreeSet<String>,
    /// The number of passes begun so far.
    pub(in crate::domain) runs: i64,
}

impl Store {
    pub(in crate::domain) fn commit(&mut self, commit: &Commit) -> Receipt {
        let mut receipt = Receipt::default();
        for (position, row) in commit.rows().iter().enumerate() {
            if self.stored.insert(row.event.trade.trade_id.to_string()) {
                receipt.inserted.push(position);
            }
        }
        for (position, event) in commit.rejected().iter().enumerate() {
            if self.stored.insert(event.payload.to_string()) {
                receipt.rejected.push(position);
            }
        }
        for update in commit.checkpoints() {
            let next = update.next();
            if update.expected_version() == self.checkpoint.version {
                // The stores guard this in SQL as well, but the core must not depend on that.
                let held = self.checkpoint.complete_until;
                let may_move = update.is_lowered() || next.complete_until >= held;
                assert!(may_move, "moved back from {held:?}: {next:?}");
                self.checkpoint = next.clone();
            } else {
                receipt.overtaken.push(next.scope.clone());
            }
        }
        receipt
    }
}

/// A pass over the one market.
pub(in crate::domain) struct Pass {
    pub(in crate::domain) walk: Walk,
    pub(in crate::domain) batch: Batch,
    pub(in crate::domain) committed: Committed,
    pub(in crate::domain) end: Option<End>,
    pub(in crate::domain) run: i64,
    /// Whether an answer to the walk held less than it should.
    has_lied: bool,
}

impl Pass {
    pub(in crate::domain) fn begin(store: &mut Store, rules: Rules) -> Pass {
        store.runs += 1;
        let walk = Walk::new(&store.checkpoint, rules);
        let committed = Committed::new([store.checkpoint.clone()]);
        Pass {
            walk,
            batch: Batch::default(),
            committed,
            end: None,
            run: store.runs,
            has_lied: false,
        }
    }

    /// Sends one request, unless the walk is over, and notes the end of the walk.
    pub(in crate::domain) fn read(&mut self, exchange: &Exchange, trouble: Trouble) {
        // One answer is never proof, but two answers that are wrong in the same way would be. So a walk gets at most
        // one.
        let is_short = matches!(trouble, Trouble::Hiccup | Trouble::NoRows | Trouble::CutShort(_));
        let trouble = if is_short && self.has_lied { Trouble::None } else { trouble };
        self.has_lied |= is_short;
        if let Next::Fetch(request) = self.walk.next() {
            match exchange.answer(&request, trouble) {
                Some(page) => self.batch.push(self.walk.page(page)),
                None => self.walk.cursor_refused(),
            }
        }
        if let Next::Done(end) = self.walk.next()
            && self.end.replace(end).is_none()
            && let End::Guarded(guard) = end
        {
            self.batch.fail(market().into(), guard.to_string());
        }
    }

    pub(in crate::domain) fn commit(&mut self, store: &mut Store, now: Timestamp) -> Receipt {
        let commit = mem::take(&mut self.batch).seal(&self.committed, self.run, now);
        let ids: BTreeSet<_> = commit.rows().iter().map(|row| &row.event.trade.trade_id).collect();
        assert_eq!(ids.len(), commit.rows().len(), "a trade twice in one commit");
        let receipt = store.commit(&commit);
        self.committed.apply(commit, &receipt);
        receipt
    }
}
