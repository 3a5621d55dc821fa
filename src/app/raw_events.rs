//! Reads raw events for a replay, and normalizes them: one part after the other. By threads, the next part is read on a
//! connection of its own while the last one is written.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use super::database::Database;
use crate::clock::Clock;
use crate::failure::{Failure, Kind, one_line};
use crate::kalshi;
use crate::store::{ReplayCursor, Replayed, Store, StoredRawEvent};

/// Raw events that are read and written together.
const EVENTS_PER_PART: u32 = 25_000;

/// The parts that wait to be written.
const PARTS_WAITING_MAX: usize = 1;

/// Raw events that were read together.
pub(super) struct Part {
    /// The number of the last one.
    pub(super) last_event: i64,
    /// The trades, each once, by id.
    pub(super) trades: Vec<Replayed>,
    /// The number of events that are trades.
    pub(super) offered: usize,
    /// The number of events that contradict the trade of another event.
    pub(super) conflicting: u64,
    /// The number of events that are no trades, and the first one with the reason.
    pub(super) refused: u64,
    pub(super) first_refused: Option<String>,
}

impl Part {
    /// Normalizes events; `None` if there are none.
    fn of(events: Vec<StoredRawEvent>, clock: &dyn Clock) -> Option<Part> {
        let last_event = events.last()?.event_id;
        let (mut conflicting, mut refused, mut first_refused) = (0, 0, None);
        let mut trades = Vec::with_capacity(events.len());
        for raw in events {
            if raw.is_conflict() {
                conflicting += 1;
                continue;
            }
            // An event accepted as a trade may have arrived while our clock was behind, so the later of both times
            // counts.
            let now = raw.rejected.as_ref().map_or_else(|| clock.now(), |_| raw.received_at);
            match kalshi::normalize(&raw.payload, &raw.scope, now.max(raw.received_at)) {
                Ok(event) => {
                    let (run_id, received_at) = (raw.run_id, raw.received_at);
                    let trade = event.trade;
                    trades.push((raw.rejected.is_some(), Replayed { run_id, received_at, trade }));
                }
                Err(rejected) => {
                    refused += 1;
                    let first = || format!("event {}: {}", raw.event_id, rejected.reason);
                    first_refused.get_or_insert_with(first);
                }
            }
        }
        let offered = trades.len();
        // Both databases insert faster in the order of the key. Of two events of one trade the event counts that was
        // accepted when it arrived, before one that was rejected.
        trades.sort_by(|(was_refused_a, a), (was_refused_b, b)| {
            let ids = a.trade.trade_id.cmp(&b.trade.trade_id);
            ids.then(was_refused_a.cmp(was_refused_b))
        });
        trades.dedup_by(|(_, later), (_, kept)| later.trade.trade_id == kept.trade.trade_id);
        let trades = trades.into_iter().map(|(_, replayed)| replayed).collect();
        Some(Part { last_event, trades, offered, conflicting, refused, first_refused })
    }
}

/// Reads the part after the cursor; `None` at the end.
fn read(
    store: &mut dyn Store,
    cursor: &ReplayCursor,
    clock: &dyn Clock,
) -> Result<Option<Part>, Failure> {
    Ok(Part::of(store.raw_events(cursor, EVENTS_PER_PART)?, clock))
}

/// The parts of a replay, in order.
pub(super) enum Parts {
    /// Read when they are wanted, on the connection of the writer.
    Inline(ReplayCursor, Arc<dyn Clock>),
    /// Read ahead.
    Ahead(Receiver<Result<Option<Part>, Failure>>),
}

impl Parts {
    /// Reads parts when they are wanted.
    pub(super) fn inline(cursor: &ReplayCursor, clock: &Arc<dyn Clock>) -> Parts {
        Parts::Inline(cursor.clone(), Arc::clone(clock))
    }

    /// Reads parts ahead, in a thread with a connection of its own. The thread ends when the parts are dropped. Where
    /// no other connection is to be had, the parts are read when they are wanted.
    pub(super) fn ahead<'scope>(
        scope: &'scope Scope<'scope, '_>,
        cursor: &ReplayCursor,
        database: &Database,
        clock: &Arc<dyn Clock>,
    ) -> Parts {
        let mut store = match database.open() {
            Ok(store) => store,
            Err(failure) => {
                log::info!("{}; going on with one connection", one_line(&failure));
                return Parts::inline(cursor, clock);
            }
        };
        let (sender, receiver) = sync_channel(PARTS_WAITING_MAX);
        let (cursor, clock) = (cursor.clone(), Arc::clone(clock));
        scope.spawn(move || {
            if let Err(failure) = read_all(cursor, store.as_mut(), clock.as_ref(), &sender) {
                // Nobody waits for the failure if the writer has ended before.
                let _ = sender.send(Err(failure));
            }
        });
        Parts::Ahead(receiver)
    }

    /// The next part; `None` at the end.
    pub(super) fn next(&mut self, store: &mut dyn Store) -> Result<Option<Part>, Failure> {
        match self {
            Parts::Inline(cursor, clock) => {
                let part = read(store, cursor, clock.as_ref())?;
                if let Some(part) = &part {
                    cursor.after_event = part.last_event;
                }
                Ok(part)
            }
            Parts::Ahead(parts) => parts.recv().unwrap_or_else(|_| Err(ended_early())),
        }
    }
}

/// Reads all parts, until nobody takes them any more.
fn read_all(
    mut cursor: ReplayCursor,
    store: &mut dyn Store,
    clock: &dyn Clock,
    sender: &SyncSender<Result<Option<Part>, Failure>>,
) -> Result<(), Failure> {
    loop {
        let part = read(store, &cursor, clock)?;
        let last_event = part.as_ref().map(|part| part.last_event);
        let is_taken = sender.send(Ok(part)).is_ok();
        match last_event.filter(|_| is_taken) {
            Some(last_event) => cursor.after_event = last_event,
            None => return Ok(()),
        }
    }
}

/// The failure when the thread has ended without the last part: it panicked.
fn ended_early() -> Failure {
    Failure::new(Kind::StoreRefused, "reading raw events ended early; run the replay again")
}
