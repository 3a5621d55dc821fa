//! From what an operation says of a commit to the commit itself, by the walks of the domain: there is
//! no other way to make one.

use std::collections::HashMap;
use std::time::Duration;

use kalshi_ingest::domain::batch::{Batch, Commit, Committed};
use kalshi_ingest::domain::checkpoint::Checkpoint;
use kalshi_ingest::domain::page::{Next, Page, Rules, Traded};
use kalshi_ingest::domain::scope::Scope;
use kalshi_ingest::domain::slice::{Slice, SliceKey};
use kalshi_ingest::domain::slice_walk::{SliceKnown, SliceWalk};
use kalshi_ingest::domain::tape::TapeWalk;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::walk::Walk;

use super::operations::{Mark, SliceWalked, Walked, Whose};

/// The overlap is longer than all the instants of the world, but for the odd ones.
const RULES: Rules = Rules { overlap: Duration::from_secs(60), pages_max: 100, ..Rules::EXACT };

/// What is believed to be on record, by its key.
pub(super) type Checkpoints = HashMap<Scope, Checkpoint>;
pub(super) type Slices = HashMap<SliceKey, Slice>;

/// The scopes whose checkpoints a pass needs.
pub(super) fn scopes(walks: &[Walked], marks: &[Mark]) -> Vec<Scope> {
    let walked = walks.iter().flat_map(|walk| match &walk.whose {
        Whose::Market(market) => vec![market.clone().into()],
        Whose::Tape { riders, .. } => {
            let riders = riders.iter().cloned().map(Scope::Market);
            std::iter::once(Scope::Tape).chain(riders).collect()
        }
    });
    let marked = marks.iter().map(|mark| match mark {
        Mark::Fail(scope, _)
        | Mark::Retire(scope, _)
        | Mark::Check(scope, _)
        | Mark::Correct(scope, _)
        | Mark::Leave(scope, _) => scope.clone(),
    });
    let mut scopes: Vec<Scope> = walked.chain(marked).collect();
    scopes.sort();
    scopes.dedup();
    scopes
}

/// A commit of a pass.
pub(super) fn pass(
    known: &Checkpoints,
    (walks, marks): (&[Walked], &[Mark]),
    run: i64,
    now: Timestamp,
) -> Commit {
    let mut batch = Batch::default();
    for walk in walks {
        push_walk(&mut batch, known, walk, now);
    }
    for mark in marks.iter().cloned() {
        match mark {
            Mark::Fail(scope, error) => batch.fail(scope, error),
            Mark::Retire(scope, retirement) => batch.set_retirement(scope, retirement),
            Mark::Check(scope, until) => batch.check(scope, until),
            Mark::Correct(scope, correction) => batch.correct(scope, correction),
            Mark::Leave(scope, span) => batch.leave(scope, span),
        }
    }
    batch.seal(&Committed::new(known.values().cloned()), run, now)
}

fn push_walk(batch: &mut Batch, known: &Checkpoints, walked: &Walked, now: Timestamp) {
    let checkpoint = |scope: &Scope| {
        known.get(scope).cloned().unwrap_or_else(|| Checkpoint::first(scope.clone(), now))
    };
    match &walked.whose {
        Whose::Market(market) => {
            let mut walk =
                Walk::new(&checkpoint(&market.clone().into()), RULES).traded(walked.traded);
            for page in &walked.pages {
                batch.push(walk.page(page.clone()));
            }
            if let Some(page) = walked.agreeing().filter(|_| is_open(&walk.next())) {
                batch.push(walk.page(page));
            }
        }
        Whose::Tape { keeps_all, riders } => {
            let riders: Vec<Checkpoint> =
                { riders.iter() }.map(|market| checkpoint(&market.clone().into())).collect();
            let mut walk = if *keeps_all {
                TapeWalk::of_all(&checkpoint(&Scope::Tape), &riders, RULES)
            } else {
                TapeWalk::of_riders(&riders, None, RULES)
            };
            for page in &walked.pages {
                batch.push(walk.page(page.clone()));
            }
            if let Some(page) = walked.agreeing().filter(|_| is_open(&walk.next())) {
                batch.push(walk.page(page));
            }
        }
    }
}

/// A commit of a backfill.
pub(super) fn backfill(
    known: &Slices,
    (slices, broken): (&[SliceWalked], &[SliceKey]),
    run: i64,
    now: Timestamp,
) -> Commit {
    let mut batch = Batch::default();
    for walked in slices {
        let slice = known.get(&walked.key).cloned().unwrap_or(Slice::new(walked.key.clone()));
        let known = SliceKnown {
            traded: walked.traded,
            is_vouched: matches!(walked.traded, Traded::Never(_)),
            is_unsettled: false,
        };
        let mut walk = SliceWalk::new(&slice, None, known, RULES);
        for page in &walked.pages {
            batch.push(walk.page(page.clone()));
        }
        let agreeing = agreeing(&walked.pages).filter(|_| walked.is_confirmed);
        if let Some(page) = agreeing.filter(|_| is_open(&walk.next())) {
            batch.push(walk.page(page));
        }
    }
    for key in broken {
        batch.break_off(key.clone());
    }
    batch.seal(&Committed::of_slices(known.values().cloned()), run, now)
}

fn is_open(step: &Next) -> bool {
    matches!(step, Next::Fetch(_))
}

impl Walked {
    fn agreeing(&self) -> Option<Page> {
        agreeing(&self.pages).filter(|_| self.is_confirmed)
    }
}

/// The answer to the second question about the end of a list: its last row, and nothing below.
fn agreeing(pages: &[Page]) -> Option<Page> {
    let last = pages.last().filter(|last| last.cursor.is_none())?;
    let events = last.events.last().cloned().into_iter().collect();
    Some(Page { events, rejected: Vec::new(), ..last.clone() })
}
