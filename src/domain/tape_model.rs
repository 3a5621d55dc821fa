//! What the properties of the tape are tried on: many markets in one store, and passes that read
//! some of them alone and some from the tape.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::super::*;
use crate::domain::batch::{Batch, Commit, Ledger, Receipt};
use crate::domain::page::End;
use crate::domain::plan::Reading;
use crate::domain::walk::properties::model::{Exchange, Trouble};

/// What every store promises, in a few lines: see `store/contract.rs`.
#[derive(Default)]
pub(super) struct Store {
    /// Of everything that was ever selected.
    pub(super) checkpoints: BTreeMap<Ticker, Checkpoint>,
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
            let held = self.checkpoints.get_mut(&next.market).expect("it was loaded");
            if update.expected_version() == held.version {
                // The stores guard this in SQL as well; here nothing may lean on that.
                let until = held.complete_until;
                assert!(next.complete_until >= until, "moved back from {until:?}: {next:?}");
                *held = next.clone();
            } else {
                receipt.overtaken.push(next.market.clone());
            }
        }
        receipt
    }
}

#[derive(Clone, Debug)]
enum Course {
    Alone(Walk),
    Tape(TapeWalk),
}

impl Course {
    fn next(&self) -> Step {
        match self {
            Course::Alone(walk) => walk.next(),
            Course::Tape(walk) => walk.next(),
        }
    }

    fn page(&mut self, page: Page) -> Walked {
        match self {
            Course::Alone(walk) => walk.page(page),
            Course::Tape(walk) => walk.page(page),
        }
    }

    fn walk(&mut self) -> &mut Walk {
        match self {
            Course::Alone(walk) => walk,
            Course::Tape(walk) => walk.walk_mut(),
        }
    }
}

/// One walk of a pass.
struct Reader {
    course: Course,
    /// Whose checkpoints it is about.
    markets: Vec<Ticker>,
    end: Option<End>,
    last_trouble: Trouble,
}

impl Reader {
    fn new(course: Course, markets: Vec<Ticker>) -> Reader {
        Reader { course, markets, end: None, last_trouble: Trouble::None }
    }
}

/// One pass: its walks, all at work at once, as `ingest` does them.
pub(super) struct Pass {
    readers: Vec<Reader>,
    batch: Batch,
    ledger: Ledger,
    loaded: BTreeMap<Ticker, Checkpoint>,
    rules: Rules,
    keeps_all: bool,
}

impl Pass {
    /// `tape_since`: where the tape begins when it was never read.
    pub(super) fn begin(
        store: &Store,
        readings: &[Reading],
        rules: Rules,
        tape_since: Timestamp,
    ) -> Pass {
        let tape_rules = Rules { since: Some(tape_since), ..rules };
        let reader = |reading: &Reading| match reading {
            Reading::Alone(row) => {
                Reader::new(Course::Alone(Walk::new(row, rules)), vec![row.market.clone()])
            }
            Reading::Tape { tape, riders } => {
                let walk = match tape {
                    Some(tape) => TapeWalk::of_all(tape, riders, tape_rules),
                    None => TapeWalk::of_riders(riders, tape_rules),
                };
                let markets = tape.iter().chain(riders).map(|row| row.market.clone()).collect();
                Reader::new(Course::Tape(walk), markets)
            }
        };
        let keeps_all = |reading: &Reading| matches!(reading, Reading::Tape { tape: Some(_), .. });
        Pass {
            readers: readings.iter().map(reader).collect(),
            batch: Batch::default(),
            ledger: Ledger::new(store.checkpoints.values().cloned()),
            loaded: store.checkpoints.clone(),
            rules,
            keeps_all: readings.iter().any(keeps_all),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.readers.iter().all(|reader| reader.end.is_some())
    }

    pub(super) fn readers(&self) -> usize {
        self.readers.len()
    }

    /// One of its walks asks once, unless it is over.
    pub(super) fn read(&mut self, at: usize, exchange: &Exchange, trouble: Trouble) {
        let Some(at) = at.checked_rem(self.readers.len()) else { return };
        let reader = &mut self.readers[at];
        // Two in a row are believed: nothing tells them from the end of a list.
        let is_second = (reader.last_trouble, trouble) == (Trouble::Hiccup, Trouble::Hiccup);
        let trouble = if is_second { Trouble::None } else { trouble };
        reader.last_trouble = trouble;
        if let Step::Fetch(request) = reader.course.next() {
            match exchange.answer(&request, trouble) {
                Some(page) => self.batch.push(reader.course.page(page)),
                None => reader.course.walk().cursor_refused(),
            }
        }
        let left_out = match &mut reader.course {
            Course::Tape(walk) => walk.take_misdated(),
            Course::Alone(_) => Vec::new(),
        };
        reader.markets.retain(|market| !left_out.contains(market));
        if let Step::Done(end) = reader.course.next()
            && reader.end.replace(end).is_none()
            && let End::Guarded(guard) = end
        {
            for market in &reader.markets {
                self.batch.fail(market.clone(), guard.to_string());
            }
        }
        for market in left_out {
            let course = Course::Alone(Walk::new(&self.loaded[&market], self.rules));
            self.readers.push(Reader::new(course, vec![market]));
        }
    }

    /// How many rows were new.
    pub(super) fn commit(&mut self, store: &mut Store, now: Timestamp) -> usize {
        let commit = mem::take(&mut self.batch).seal(&self.ledger, now);
        let ids: BTreeSet<_> = commit.rows().iter().map(|row| &row.event.trade.trade_id).collect();
        assert_eq!(ids.len(), commit.rows().len(), "a trade twice in one commit");
        if !self.keeps_all {
            self.assert_only_what_was_selected(&commit);
        }
        let receipt = store.commit(&commit);
        self.ledger.committed(commit, &receipt);
        receipt.inserted.len() + receipt.rejected.len()
    }

    fn assert_only_what_was_selected(&self, commit: &Commit) {
        for trade in commit.rows().iter().map(|row| &row.event.trade) {
            let held = self.loaded.get(&trade.market).expect("a trade of nobody's");
            let is_claimed = held.complete_from.is_none_or(|from| from <= trade.traded_at);
            assert!(is_claimed, "below the claim: {trade:?}");
        }
        for row in commit.rejected() {
            let is_anybodys = row.market.is_tape();
            assert!(is_anybodys || self.loaded.contains_key(&row.market), "{row:?}");
        }
    }
}
