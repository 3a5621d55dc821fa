//! `replay`: rebuilds trades from the raw events, without asking the exchange; and `prune`, which deletes raw events
//! that a replay does not need.

use std::collections::BTreeSet;
use std::thread;

use super::database::Database;
use super::outside::Outside;
use super::raw_events::{Part, Parts};
use super::recount;
use super::say;
use super::session::{Done, LONG, Session};
use crate::clock::StopFlag;
use crate::config::{PrunePlan, ReplayPlan};
use crate::domain::tally::Tally;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::driver::Verdict;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ingest::Drive;
use crate::report;
use crate::store::{ReplayCursor, Store, TRADES_TABLE};

/// Raw events that are looked at together, and deleted in one transaction.
const LOOKED_AT_PER_BATCH: u32 = 10_000;
/// The number of differences that are shown.
const EXAMPLES: u32 = 20;

pub(super) fn replay(
    plan: &ReplayPlan,
    database: &Database,
    outside: &Outside,
    stop: &StopFlag,
) -> anyhow::Result<Exit> {
    let mut store = database.open()?;
    let store = store.as_mut();
    let mut session = Session::begin("replay", "replay", store, outside, stop)?;
    let (mut tally, mut verdict) = (Tally::default(), Verdict::default());
    let budget = session.budget(LONG);
    let rebuilt = session.with_reconnect(store, &budget, |store| {
        rebuild(plan, store, database, outside, stop, &mut tally)
    });
    if let Err(failure) = rebuilt {
        say(verdict.broken_off(&failure));
    }
    let exit = session.end(Done { markets: 0, tally, verdict }, None, store);
    if let Some(target) = plan.into.as_ref().filter(|_| plan.compare && exit == Exit::Ok) {
        let difference = store.compare_trades(target, EXAMPLES)?;
        super::answer(&report::difference(target, &difference), outside)?;
    }
    Ok(exit)
}

fn rebuild(
    plan: &ReplayPlan,
    store: &mut dyn Store,
    database: &Database,
    outside: &Outside,
    stop: &StopFlag,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let target = plan.into.as_deref().unwrap_or(TRADES_TABLE);
    if plan.into.is_some() {
        store.make_trades_table(target)?;
    }
    let cursor = store.replay_cursor(target, plan.from, plan.until)?;
    if cursor.after_event > 0 {
        log::info!("going on after event {}, where the last replay was ended", cursor.after_event);
    }
    match outside.drive {
        Drive::Threads => thread::scope(|scope| {
            let parts = Parts::ahead(scope, &cursor, database, &outside.clock);
            write_all(cursor, parts, store, outside, stop, tally)
        }),
        Drive::Inline => {
            let parts = Parts::inline(&cursor, &outside.clock);
            write_all(cursor, parts, store, outside, stop, tally)
        }
    }
}

/// Writes all parts, and finishes the replay.
fn write_all(
    mut cursor: ReplayCursor,
    mut parts: Parts,
    store: &mut dyn Store,
    outside: &Outside,
    stop: &StopFlag,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let is_resumed = cursor.after_event > 0;
    let mut touched = BTreeSet::new();
    let mut first_refused = None;
    while stop.signal().is_none() {
        let Some(part) = parts.next(store)? else {
            let is_whole = cursor.from.is_none() && cursor.until.is_none();
            count_anew(&cursor.target, is_whole || is_resumed, &touched, store)?;
            store.finish_replay(&cursor)?;
            break;
        };
        let Part { last_event, trades, offered, conflicting, refused, first_refused: first } = part;
        for trade in trades.iter().map(|replayed| &replayed.trade) {
            if !touched.contains(&trade.market) {
                touched.insert(trade.market.clone());
            }
        }
        cursor.after_event = last_event;
        let added = store.replay(&cursor, &trades, outside.clock.now())?;
        tally.events_conflicting += conflicting;
        tally.events_rejected += refused;
        tally.events_ingested += added;
        tally.events_duplicate += u64::try_from(offered).unwrap_or(u64::MAX).saturating_sub(added);
        tally.commits += 1;
        first_refused = first_refused.or(first);
    }
    if let Some(first) = first_refused {
        log::warn!("{} events are still no trades; the first: {first}", tally.events_rejected);
    }
    if tally.events_conflicting > 0 {
        log::info!(
            "left out {} events that contradict a trade of another event",
            tally.events_conflicting
        );
    }
    Ok(())
}

/// Counts the trades of the replayed markets anew: their counts still hold the trades that were deleted by hand. A
/// replay of all events counts every market, because it may have no event left of a market whose trades were deleted. A
/// resumed replay does not know the markets of its first part.
fn count_anew(
    target: &str,
    counts_all: bool,
    touched: &BTreeSet<Ticker>,
    store: &mut dyn Store,
) -> Result<(), Failure> {
    if target != TRADES_TABLE {
        return Ok(());
    }
    if counts_all {
        recount::all(store)?;
    } else {
        let touched: Vec<Ticker> = touched.iter().cloned().collect();
        recount::of(&touched, store)?;
    }
    Ok(())
}

/// Deletes raw events that were received too long ago and whose trade is stored.
pub(super) fn prune(
    plan: &PrunePlan,
    store: &mut dyn Store,
    outside: &Outside,
    stop: &StopFlag,
) -> anyhow::Result<Exit> {
    let before = outside.clock.now().before(plan.raw_older_than);
    if plan.dry_run {
        return dry_prune(before, store, outside);
    }
    let (mut found, mut kept, mut deleted, mut after) = (0, 0, 0, 0);
    while stop.signal().is_none() {
        let page = store.prune(before, after, LOOKED_AT_PER_BATCH)?;
        let Some(last) = page.last else { break };
        (found, kept, deleted) = (found + page.found, kept + page.kept, deleted + page.deleted);
        after = last;
    }
    if kept > 0 {
        log::warn!(
            "{kept} of {found} raw events received before {before} never became trades and are kept; see whether replay understands them, but for those that contradict a stored trade"
        );
    }
    log::info!("deleted {deleted} raw events received before {before}");
    Ok(stop.signal().map_or(Exit::Ok, Exit::of_signal))
}

/// Says what `prune` would delete, and deletes nothing.
fn dry_prune(before: Timestamp, store: &mut dyn Store, outside: &Outside) -> anyhow::Result<Exit> {
    store.check_schema()?;
    let (found, kept) = store.prunable(before)?;
    super::answer(&report::prunable(found, kept, before), outside)?;
    Ok(Exit::Ok)
}
