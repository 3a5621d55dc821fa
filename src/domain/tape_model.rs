//! The model behind the properties of the tape: many markets in one store, and passes that read some of them alone
//! and some from the tape.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::super::*;
use crate::domain::batch::{Batch, Commit, Committed, Receipt};
use crate::domain::course::Course;
use crate::domain::job::{Background, Job};
use crate::domain::page::End;
use crate::domain::walk::properties::model::{Exchange, Trouble};

/// A model of the promises of every store, in a few lines: see `store/contract.rs`.
#[derive(Default)]
pub(super) struct Store {
    /// The checkpoints of all scopes that were ever selected.
    pub(super) checkpoints: BTreeMap<Scope, Checkpoint>,
    pub(super) stored: BTreeSet<String>,
    /// The number of passes begun so far.
    pub(super) runs: i64,
    /// The newest trade of the tape that a pass was shown.
    pub(super) newest: Option<Anchor>,
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
            let held = self.checkpoints.get_mut(&next.scope).expect("it was loaded");
            if update.expected_version() == held.version {
                // The stores guard this in SQL as well, but the core must not depend on that.
                let until = held.complete_until;
                let may_move = update.is_lowered() || next.complete_until >= until;
                assert!(may_move, "moved back from {until:?}: {next:?}");
                *held = next.clone();
            } else {
                receipt.overtaken.push(next.scope.clone());
            }
        }
        receipt
    }
}

/// One walk of a pass.
#[derive(Debug)]
struct Reader {
    job: Job,
    course: Box<dyn Course>,
    end: Option<End>,
    /// Whether an answer to the walk held less than it should.
    has_lied: bool,
}

impl Reader {
    fn new(job: Job, course: Box<dyn Course>) -> Reader {
        Reader { job, course, end: None, has_lied: false }
    }
}

/// A pass with all its walks in progress at once, as in `ingest`.
#[derive(Debug)]
pub(super) struct Pass {
    readers: Vec<Reader>,
    batch: Batch,
    committed: Committed,
    loaded: BTreeMap<Scope, Checkpoint>,
    rules: Rules,
    run: i64,
    newest: Option<Anchor>,
    keeps_all: bool,
}

impl Pass {
    /// Begins a pass. `tape_since` is the start of a tape that was never read.
    pub(super) fn begin(
        store: &mut Store,
        jobs: &[Job],
        rules: Rules,
        tape_since: Timestamp,
    ) -> Pass {
        store.runs += 1;
        let tape_rules = Rules { since: Some(tape_since), ..rules };
        let newest = store.newest.clone();
        let background = Background { newest, ..Background::default() };
        let reader = |job: &Job| {
            let rules = if matches!(job, Job::Tape { .. }) { tape_rules } else { rules };
            Reader::new(job.clone(), job.begin(rules, &background))
        };
        let keeps_all = |job: &Job| matches!(job, Job::Tape { tape: Some(_), .. });
        Pass {
            readers: jobs.iter().map(reader).collect(),
            batch: Batch::default(),
            committed: Committed::new(store.checkpoints.values().cloned()),
            loaded: store.checkpoints.clone(),
            rules,
            run: store.runs,
            newest: None,
            keeps_all: jobs.iter().any(keeps_all),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.readers.iter().all(|reader| reader.end.is_some())
    }

    pub(super) fn readers(&self) -> usize {
        self.readers.len()
    }

    /// Sends one request of one walk, unless that walk is over.
    pub(super) fn read(&mut self, at: usize, exchange: &Exchange, trouble: Trouble) {
        let Some(at) = at.checked_rem(self.readers.len()) else { return };
        let reader = &mut self.readers[at];
        // One answer is never proof, but two answers that are wrong in the same way would be. So a walk gets at most
        // one.
        let is_short = matches!(trouble, Trouble::Hiccup | Trouble::NoRows | Trouble::CutShort(_));
        let trouble = if is_short && reader.has_lied { Trouble::None } else { trouble };
        reader.has_lied |= is_short;
        if let Next::Fetch(request) = reader.course.next() {
            match exchange.answer(&request, trouble) {
                Some(page) => {
                    let walked = reader.course.page(page);
                    self.newest = walked.head().cloned().or(self.newest.take());
                    self.batch.push(walked);
                }
                None => reader.course.cursor_refused(),
            }
        }
        if let Next::Done(end) = reader.course.next()
            && reader.end.replace(end).is_none()
            && let End::Guarded(guard) = end
        {
            // If the tape fails, its riders are read market by market.
            let (mut failed, instead) = (reader.job.scopes(), reader.job.clone().instead());
            failed.retain(|scope| instead.is_empty() || scope.is_tape());
            for scope in failed {
                self.batch.fail(scope, guard.to_string());
            }
            for job in instead {
                let course = job.begin(self.rules, &Background::default());
                self.readers.push(Reader::new(job, course));
            }
        }
    }

    /// Commits the batch. Returns the number of new rows.
    pub(super) fn commit(&mut self, store: &mut Store, now: Timestamp) -> usize {
        let commit = mem::take(&mut self.batch).seal(&self.committed, self.run, now);
        let ids: BTreeSet<_> = commit.rows().iter().map(|row| &row.event.trade.trade_id).collect();
        assert_eq!(ids.len(), commit.rows().len(), "a trade twice in one commit");
        if !self.keeps_all {
            self.assert_only_what_was_selected(&commit);
        }
        let receipt = store.commit(&commit);
        self.committed.apply(commit, &receipt);
        store.newest = self.newest.take().or(store.newest.take());
        receipt.inserted.len()
    }

    fn assert_only_what_was_selected(&self, commit: &Commit) {
        for trade in commit.rows().iter().map(|row| &row.event.trade) {
            let held = self.loaded.get(&trade.market.clone().into()).expect("a trade of nobody's");
            let is_claimed = held.complete_from.is_none_or(|from| from <= trade.traded_at);
            assert!(is_claimed, "below the claim: {trade:?}");
        }
        for row in commit.rejected() {
            let is_anybodys = row.scope.is_tape();
            assert!(is_anybodys || self.loaded.contains_key(&row.scope), "{row:?}");
        }
    }
}
