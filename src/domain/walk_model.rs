//! What the properties of the walk are tried on: an exchange, a store and a pass, each as small
//! as its promises allow.

use std::collections::BTreeSet;
use std::mem;

use super::super::super::batch::{Batch, Commit, Ledger, Receipt};
use super::super::super::trade::{Price, Quantity, Side, Trade};
use super::super::*;

pub(super) const ROWS: usize = 3;
pub(super) const OVERLAP: Duration = quarters(32);
pub(super) const SETTLE: Duration = quarters(SETTLE_QUARTERS);
pub(super) const SETTLE_QUARTERS: u64 = 8;
/// The overlap and the settling time together: no walk finds what is later than that.
pub(super) const LATE_MAX_QUARTERS: u64 = 40;
pub(super) const START: Timestamp = Timestamp::from_seconds(1_000);

/// Time goes by in quarters of a second, so that much falls on whole seconds.
pub(super) const fn quarters(count: u64) -> Duration {
    Duration::from_millis(250 * count)
}

pub(super) fn market() -> Ticker {
    Ticker::new("KX").unwrap()
}

pub(super) fn rules(since: Option<i64>) -> Rules {
    let since = since.map(Timestamp::from_seconds);
    Rules { overlap: OVERLAP, settle: SETTLE, since, pages_max: 500 }
}

/// How the exchange reads a bound; the documentation says "after" and "before".
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    SecondsInclusive,
    SecondsExclusive,
    InstantsInclusive,
    InstantsExclusive,
}

pub(super) const BOUNDS: [Bound; 4] = [
    Bound::SecondsInclusive,
    Bound::SecondsExclusive,
    Bound::InstantsInclusive,
    Bound::InstantsExclusive,
];

impl Bound {
    /// Whether `lesser` lies below `greater`, where one of the two is a bound in whole seconds.
    pub(super) fn is_ordered(self, lesser: Timestamp, greater: Timestamp) -> bool {
        match self {
            Bound::SecondsInclusive => lesser.second() <= greater.second(),
            Bound::SecondsExclusive => lesser.second() < greater.second(),
            Bound::InstantsInclusive => lesser <= greater,
            Bound::InstantsExclusive => lesser < greater,
        }
    }
}

/// How the exchange says that nothing follows.
#[derive(Clone, Copy, Debug)]
pub(super) enum ListEnd {
    NoCursor,
    /// Every page with rows has a cursor; the empty page behind the last has none.
    EmptyPage,
    /// The empty pages have cursors, too, for as long as one asks.
    EmptyPages,
}

pub(super) const LIST_ENDS: [ListEnd; 3] =
    [ListEnd::NoCursor, ListEnd::EmptyPage, ListEnd::EmptyPages];

#[derive(Clone, Copy, Debug)]
pub(super) enum Sort {
    Readable,
    Unreadable,
    /// Of another market, on pages of ours.
    Foreign,
}

#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) at: Timestamp,
    pub(super) id: String,
    /// When the exchange began to show it.
    pub(super) shown_at: Timestamp,
    pub(super) sort: Sort,
}

impl Made {
    pub(super) fn is_late(&self) -> bool {
        self.shown_at.since(self.at) > SETTLE
    }

    pub(super) fn event(&self) -> Event {
        Event {
            trade: Trade {
                trade_id: self.id.as_str().into(),
                market: market(),
                side: Side::Yes,
                price: Price::from_e4_cents(1).unwrap(),
                quantity: Quantity::from_e2(1).unwrap(),
                traded_at: self.at,
                is_block_trade: None,
            },
            payload: self.id.as_str().into(),
        }
    }

    pub(super) fn rejected(&self) -> Rejected {
        let (market, payload) = (market(), self.id.as_str().into());
        Rejected { market, trade_id: None, payload, reason: "unreadable".into() }
    }
}

/// Above every row.
pub(super) const CURSOR_TOP: &str = "9";

pub(super) fn empty_page(cursor: Option<String>, exchange_now: Timestamp) -> Page {
    Page {
        events: Vec::new(),
        rejected: Vec::new(),
        foreign: 0,
        cursor,
        exchange_now,
        our_now: exchange_now,
    }
}

/// What is wrong with one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    CursorRefused,
    CursorIgnored,
    /// The answer names the cursor it was asked with.
    CursorRepeated,
    /// No rows, although there are some; a cursor to go on with.
    Hiccup,
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
pub(super) struct Exchange {
    pub(super) now: Timestamp,
    /// Newest first, by time and then by id, as the exchange sorts.
    pub(super) made: Vec<Made>,
    pub(super) min: Bound,
    pub(super) max: Bound,
    pub(super) end: ListEnd,
}

impl Exchange {
    pub(super) fn make(&mut self, at: Timestamp, sort: Sort) {
        // Ids in no order of time.
        let id = format!("t{:05}", self.made.len() * 7_919 % 10_007);
        let made = Made { at, id, shown_at: self.now, sort };
        let place = self.made.partition_point(|row| (row.at, &row.id) > (made.at, &made.id));
        self.made.insert(place, made);
    }

    /// The answer to `request`; `None` when its cursor is refused.
    pub(super) fn answer(&self, request: &PageRequest, trouble: Trouble) -> Option<Page> {
        let second = Timestamp::from_seconds;
        if let (Some(min), Some(max)) = (request.min_ts, request.max_ts) {
            assert!(min < max, "an exchange may refuse {request:?}");
        }
        let is_asked = |row: &&Made| {
            request.min_ts.is_none_or(|min| self.min.is_ordered(second(min), row.at))
                && request.max_ts.is_none_or(|max| self.max.is_ordered(row.at, second(max)))
        };
        let rows: Vec<&Made> = self.made.iter().filter(is_asked).collect();
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
                Sort::Unreadable => page.rejected.push(row.rejected()),
                Sort::Foreign => page.foreign += 1,
            }
        }
        match trouble {
            Trouble::Hiccup => {
                let cursor = request.cursor.clone().unwrap_or_else(|| CURSOR_TOP.into());
                page = empty_page(Some(cursor), page.our_now);
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

/// What every store promises, in a few lines: see `store/contract.rs`.
pub(super) struct Store {
    pub(super) checkpoint: Checkpoint,
    pub(super) stored: BTreeSet<String>,
}

impl Store {
    pub(super) fn commit(&mut self, commit: &Commit) -> Receipt {
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
                // The stores guard this in SQL as well; here nothing may lean on that.
                let held = self.checkpoint.complete_until;
                assert!(next.complete_until >= held, "moved back from {held:?}: {next:?}");
                self.checkpoint = next.clone();
            } else {
                receipt.overtaken.push(next.market.clone());
            }
        }
        receipt
    }
}

/// One pass over the one market.
pub(super) struct Pass {
    pub(super) walk: Walk,
    pub(super) batch: Batch,
    pub(super) ledger: Ledger,
    pub(super) end: Option<End>,
    pub(super) last_trouble: Trouble,
}

impl Pass {
    pub(super) fn begin(store: &Store, rules: Rules) -> Pass {
        let walk = Walk::new(&store.checkpoint, rules);
        let ledger = Ledger::new([store.checkpoint.clone()]);
        Pass { walk, batch: Batch::default(), ledger, end: None, last_trouble: Trouble::None }
    }

    /// Asks once, unless the walk is over, and notes it if it is over then.
    pub(super) fn read(&mut self, exchange: &Exchange, trouble: Trouble) {
        // Two in a row are believed: nothing tells them from the end of a list.
        let is_second = (self.last_trouble, trouble) == (Trouble::Hiccup, Trouble::Hiccup);
        let trouble = if is_second { Trouble::None } else { trouble };
        self.last_trouble = trouble;
        if let Step::Fetch(request) = self.walk.next() {
            match exchange.answer(&request, trouble) {
                Some(page) => self.batch.push(self.walk.page(page)),
                None => self.walk.cursor_refused(),
            }
        }
        if let Step::Done(end) = self.walk.next()
            && self.end.replace(end).is_none()
            && let End::Guarded(guard) = end
        {
            self.batch.fail(market(), guard.to_string());
        }
    }

    pub(super) fn commit(&mut self, store: &mut Store, now: Timestamp) -> Receipt {
        let commit = mem::take(&mut self.batch).seal(&self.ledger, now);
        let ids: BTreeSet<_> = commit.rows().iter().map(|row| &row.event.trade.trade_id).collect();
        assert_eq!(ids.len(), commit.rows().len(), "a trade twice in one commit");
        let receipt = store.commit(&commit);
        self.ledger.committed(commit, &receipt);
        receipt
    }
}
