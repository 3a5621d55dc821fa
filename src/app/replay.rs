//! `replay`: rebuilds trades from the raw events, without asking the exchange; and `prune`, which deletes raw events
//! that a replay does not need.

use super::outside::Outside;
use super::say;
use super::session::{Done, LONG, Session};
use crate::clock::StopFlag;
use crate::config::{PrunePlan, ReplayPlan};
use crate::domain::tally::Tally;
use crate::domain::time::Timestamp;
use crate::driver::Verdict;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::kalshi;
use crate::report;
use crate::store::{ReplayCursor, Replayed, Store, TRADES_TABLE};

/// Raw events that are read and written together.
const EVENTS_PER_BATCH: u32 = 10_000;
/// Raw events that are deleted in one transaction.
const DELETED_PER_BATCH: u32 = 10_000;
/// The number of differences that are shown.
const EXAMPLES: u32 = 20;

pub(super) fn replay(
    plan: &ReplayPlan,
    store: &mut dyn Store,
    outside: &Outside,
    stop: &StopFlag,
) -> anyhow::Result<Exit> {
    let mut session = Session::begin("replay", "replay", store, outside, stop)?;
    let (mut tally, mut verdict) = (Tally::default(), Verdict::default());
    let budget = session.budget(LONG);
    let rebuilt = session
        .with_reconnect(store, &budget, |store| rebuild(plan, store, outside, stop, &mut tally));
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
    outside: &Outside,
    stop: &StopFlag,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let target = plan.into.as_deref().unwrap_or(TRADES_TABLE);
    if plan.into.is_some() {
        store.make_trades_table(target)?;
    }
    let mut cursor = store.replay_cursor(target, plan.from, plan.until)?;
    if cursor.after_event > 0 {
        log::info!("going on after event {}, where the last replay was ended", cursor.after_event);
    }
    let mut first_refused = None;
    while stop.signal().is_none() {
        let events = store.raw_events(&cursor, EVENTS_PER_BATCH)?;
        let Some(last) = events.last().map(|event| event.event_id) else {
            store.finish_replay(&cursor)?;
            break;
        };
        let mut trades = Vec::with_capacity(events.len());
        for raw in events {
            if raw.is_conflict() {
                tally.events_conflicting += 1;
                continue;
            }
            // An event accepted as a trade may have arrived while our clock was behind, so the later of both times
            // counts.
            let now =
                raw.rejected.as_ref().map_or_else(|| outside.clock.now(), |_| raw.received_at);
            match kalshi::normalize(&raw.payload, &raw.scope, now.max(raw.received_at)) {
                Ok(event) => {
                    let (run_id, received_at) = (raw.run_id, raw.received_at);
                    trades.push((raw.rejected.is_some(), Replayed { run_id, received_at, event }));
                }
                Err(rejected) => {
                    tally.events_rejected += 1;
                    first_refused.get_or_insert_with(|| {
                        format!("event {}: {}", raw.event_id, rejected.reason)
                    });
                }
            }
        }
        let offered = trades.len();
        // Both databases insert faster in the order of the key. Of two events of one trade the event counts that was
        // accepted when it arrived, before one that was rejected.
        trades.sort_by(|(was_refused_a, a), (was_refused_b, b)| {
            let ids = a.event.trade.trade_id.cmp(&b.event.trade.trade_id);
            ids.then(was_refused_a.cmp(was_refused_b))
        });
        trades.dedup_by(|(_, later), (_, kept)| {
            later.event.trade.trade_id == kept.event.trade.trade_id
        });
        let trades: Vec<Replayed> = trades.into_iter().map(|(_, replayed)| replayed).collect();
        cursor = ReplayCursor { after_event: last, ..cursor };
        let added = store.replay(&cursor, &trades, outside.clock.now())?;
        tally.events_ingested += added;
        tally.events_duplicate += u64::try_from(offered).unwrap_or(u64::MAX).saturating_sub(added);
        tally.commits += 1;
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
    let (found, kept) = store.prunable(before)?;
    if kept > 0 {
        log::warn!(
            "{kept} of {found} raw events received before {before} never became trades and are kept; see whether replay understands them, but for those that contradict a stored trade"
        );
    }
    let mut deleted = 0_u64;
    while stop.signal().is_none() {
        let count = store.prune(before, DELETED_PER_BATCH)?;
        if count == 0 {
            break;
        }
        deleted += count;
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
