//! From an operation to the call, and from its answer to cells. A store that is written anew needs
//! another one of these, and nothing else.

use std::fmt::Debug;

use kalshi_ingest::domain::export::{Cell, Content, Span, Table};
use kalshi_ingest::domain::scope::Scope;
use kalshi_ingest::domain::selection::Target;
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::failure::Failure;
use kalshi_ingest::store::{self, Lock, ReplayCursor, Reported, Snapshot};

use super::made::BEGINS;
use super::operations::{
    Believed, Catalogue, Exchanges, History, Operation, Oversight, Spot, Store, Work,
};
use super::sealing::{self, Checkpoints, Slices};

/// What a client of the store holds between its calls.
#[derive(Default)]
pub(super) struct Held {
    locks: Vec<Box<dyn Lock>>,
    checkpoints: Checkpoints,
    slices: Slices,
}

/// The cells of an answer.
type Cells = Result<Vec<String>, Failure>;

pub(super) fn dispatch(
    store: &mut dyn store::Store,
    held: &mut Held,
    operation: &Operation,
) -> Cells {
    match operation {
        Operation::Store(operation) => of_store(store, held, operation),
        Operation::Catalogue(operation) => of_catalogue(store, operation),
        Operation::Exchanges(operation) => of_exchanges(store, operation),
        Operation::History(operation) => of_history(store, operation),
        Operation::Oversight(operation) => of_oversight(store, operation),
        Operation::Release => {
            held.locks.clear();
            Ok(Vec::new())
        }
        Operation::Delete { market: _ } => unreachable!("no store does this"),
    }
}

fn of_store(store: &mut dyn store::Store, held: &mut Held, operation: &Store) -> Cells {
    match operation {
        Store::Migrate { now } => store.migrate(*now).map(list),
        Store::CheckSchema => store.check_schema().map(one),
        Store::HasSchema => store.has_schema().map(one),
        Store::MakeViews => store.make_views().map(one),
        Store::Reconnect => store.reconnect().map(one),
        Store::BeginRun { command, now } => store.begin_run(command, *now).map(one),
        Store::FinishRun { run, record } => store.finish_run(*run, record).map(one),
        Store::TryLock { name } => {
            let lock = store.try_lock(name)?;
            let is_taken = lock.is_some();
            held.locks.extend(lock);
            Ok(one(is_taken))
        }
        Store::Checkpoints { scopes, now } => store.checkpoints(scopes, *now).map(any_order),
        Store::Commit { run, now, believed, work } => {
            held.look(store, *believed, work, *now)?;
            let commit = match work {
                Work::Pass { walks, marks } => {
                    sealing::pass(&held.checkpoints, (walks, marks), *run, *now)
                }
                Work::Backfill { slices, broken } => {
                    sealing::backfill(&held.slices, (slices, broken), *run, *now)
                }
            };
            let mut receipt = store.commit(*run, &commit)?;
            // Only which they are is promised, not their order.
            receipt.conflicting.sort_by_key(|row| format!("{row:?}"));
            Ok(vec![
                format!("inserted {:?}", receipt.inserted),
                format!("rejected {:?}", receipt.rejected),
                format!("conflicting {:?}", receipt.conflicting),
                format!("overtaken {:?}", receipt.overtaken),
            ])
        }
        Store::Report { now } => store.report(Reported::All, *now).map(list),
    }
}

impl Held {
    fn look(
        &mut self,
        store: &mut dyn store::Store,
        believed: Believed,
        work: &Work,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if believed == Believed::Before {
            return Ok(());
        }
        match work {
            Work::Pass { walks, marks } => {
                let scopes = sealing::scopes(walks, marks);
                let known = store.checkpoints(&scopes, now)?;
                self.checkpoints = known.into_iter().map(|row| (row.scope.clone(), row)).collect();
            }
            Work::Backfill { slices, broken } => {
                let keys = slices.iter().map(|walked| &walked.key).chain(broken);
                let mut known = Vec::new();
                for key in keys {
                    known.extend(store.slices(
                        std::slice::from_ref(key.scope()),
                        key.from(),
                        key.until(),
                    )?);
                }
                self.slices = known.into_iter().map(|row| (row.key.clone(), row)).collect();
            }
        }
        Ok(())
    }
}

fn of_catalogue(store: &mut dyn store::Store, operation: &Catalogue) -> Cells {
    match operation {
        Catalogue::Watches { names, now } => store.watches(names, *now).map(any_order),
        Catalogue::WatchesOnRecord { names } => store.watches_on_record(names).map(any_order),
        Catalogue::SaveWatches { changes } => store.save_watches(changes).map(one),
        Catalogue::LowerMark { mark, run, now } => store.lower_mark(mark, *run, *now).map(one),
        Catalogue::NewestTrade { until } => store.newest_trade(*until).map(one),
        Catalogue::Refusals { names } => store.refusals(names).map(any_order),
        Catalogue::SaveRefusals { refused, lifted, now } => {
            store.save_refusals(refused, lifted, *now).map(one)
        }
        Catalogue::IsOnRecord { target } => store.is_on_record(target).map(one),
        Catalogue::CheckpointsOnRecord { scopes } => {
            store.checkpoints_on_record(scopes).map(any_order)
        }
        Catalogue::OverMarkets { of, ended_after, count_max } => {
            store.over_markets(of.scope(), *ended_after, *count_max).map(any_order)
        }
        Catalogue::SeriesOfEvents { events } => store.series_of_events(events).map(any_order),
        Catalogue::KnownMarkets { tickers } => store.known_markets(tickers).map(any_order),
        Catalogue::UnsettledMarkets { of } => store.unsettled_markets(of.scope()).map(list),
        Catalogue::Lifespans { of, only, from, until } => {
            store.lifespans(of.scope(), only.as_deref(), *from, *until).map(list)
        }
        Catalogue::SaveMarkets { seen, absent, now } => {
            store.save_markets(seen, absent, *now).map(one)
        }
        Catalogue::EventsWithoutSeries => store.events_without_series().map(list),
        Catalogue::SaveEvents { events, now } => store.save_events(events, *now).map(one),
        Catalogue::SaveBooks { books } => store.save_books(books).map(one),
        Catalogue::SaveCandles { interval, candles } => {
            store.save_candles(*interval, candles).map(one)
        }
        Catalogue::StoredCandles { interval, markets } => {
            let stored = store.stored_candles(*interval, markets)?;
            Ok(any_order(stored.into_iter().collect()))
        }
        // Sums of fractions end in whatever order they were added.
        Catalogue::TapeRate => Ok(one(store.tape_rate()?.map(|rate| format!("{rate:.12e}")))),
    }
}

fn of_exchanges(store: &mut dyn store::Store, operation: &Exchanges) -> Cells {
    match operation {
        Exchanges::ExchangeRecord { key } => store.exchange_record(key).map(one),
        Exchanges::SaveExchangeRecord { key, record, now } => {
            store.save_exchange_record(key, record, *now).map(one)
        }
        Exchanges::SaveComeBack { key, come_back, now } => {
            store.save_come_back(key, *come_back, *now).map(one)
        }
        Exchanges::SaveAccount { key, account, now } => {
            store.save_account(key, account, *now).map(one)
        }
    }
}

fn of_history(store: &mut dyn store::Store, operation: &History) -> Cells {
    match operation {
        History::Slices { scopes, from, until } => store.slices(scopes, *from, *until).map(list),
        History::AddSlices { slices, reset, now } => {
            store.add_slices(slices, *reset, *now).map(one)
        }
        History::CompleteSlices { complete, strips, now } => {
            store.complete_slices(complete, strips, *now).map(one)
        }
        History::StoredLifetime { markets, until } => {
            store.stored_lifetime(markets, *until).map(any_order)
        }
        History::StoredByHour { markets, from, until } => {
            store.stored_by_hour(markets, *from, *until).map(any_order)
        }
        History::SaveScores { scores, now } => store.save_scores(scores, *now).map(one),
        History::RawEvents { place, count } => {
            let place = place.find(store)?;
            let rows = store.raw_events(&place, *count)?;
            let without_number = |row| store::StoredRawEvent { event_id: 0, ..row };
            Ok(list(rows.into_iter().map(without_number).collect()))
        }
        History::ReplayCursor { target, from, until } => {
            let place = store.replay_cursor(target, *from, *until)?;
            let done = all_events(store)?.iter().filter(|at| **at <= place.after_event).count();
            Ok(vec![format!("{:?}, {done} done", (place.target, place.from, place.until))])
        }
        History::MakeTradesTable { name } => store.make_trades_table(name).map(one),
        History::Replay { place, trades } => {
            let place = place.find(store)?;
            store.replay(&place, trades, Timestamp::from_seconds(BEGINS)).map(one)
        }
        History::FinishReplay { place } => {
            let place = place.find(store)?;
            store.finish_replay(&place).map(one)
        }
        History::CompareTrades { other, examples } => {
            store.compare_trades(other, *examples).map(one)
        }
        History::Prunable { before } => store.prunable(*before).map(one),
        History::Prune { before, count } => {
            // The number of the last event is each database's own.
            let pruned = store.prune(*before, 0, *count)?;
            Ok(one((pruned.found, pruned.kept, pruned.deleted)))
        }
        History::Export { table, target, markets, from, until } => {
            let span = Span { from: *from, until: *until };
            let mut cells = Vec::new();
            store.export(&mut |snapshot| {
                exported(snapshot, &mut cells, (*table, target), markets, span)
            })?;
            Ok(cells)
        }
        History::CountedMarkets => store.counted_markets().map(list),
        History::Recount { markets } => store.recount(markets).map(one),
    }
}

/// All that a snapshot says of these markets. Each database numbers raw events in its own way.
fn exported(
    snapshot: &mut dyn Snapshot,
    cells: &mut Vec<String>,
    (table, target): (Table, &Target),
    markets: &[Ticker],
    span: Span,
) -> Result<(), Failure> {
    let names: Vec<Box<str>> = markets.iter().map(|market| market.as_str().into()).collect();
    let scopes: Vec<Scope> = markets.iter().cloned().map(Scope::Market).collect();
    cells.extend(list(snapshot.members(target)?));
    cells.extend(any_order(snapshot.entries(&[target.name()])?));
    cells.extend(any_order(snapshot.checkpoints(&scopes)?));
    cells.extend(list(snapshot.slices(&scopes, span)?));
    cells.extend(any_order(snapshot.lowered(&scopes)?));
    cells.extend(any_order(snapshot.scores(&names)?));
    let mut whole = Content::default();
    let mut counts = snapshot.counts(table, &names, span)?;
    for count in &mut counts {
        whole = whole.and(count.content);
        count.content.numbers = None;
    }
    cells.extend(any_order(counts));
    snapshot.rows(table, &names, span, whole, &mut |row| {
        let told = |(at, cell): (usize, &Cell<'_>)| {
            let is_number = table.columns()[at].name == "event_id";
            if is_number { String::new() } else { format!("{cell:?}") }
        };
        cells.push(row.iter().enumerate().map(told).collect::<Vec<_>>().join(" "));
        Ok(())
    })?;
    snapshot.check()
}

/// The numbers of all raw events.
fn all_events(store: &mut dyn store::Store) -> Result<Vec<i64>, Failure> {
    let all = ReplayCursor { target: "any".to_owned(), from: None, until: None, after_event: 0 };
    Ok(store.raw_events(&all, 1_000_000)?.into_iter().map(|row| row.event_id).collect())
}

impl Spot {
    fn find(&self, store: &mut dyn store::Store) -> Result<ReplayCursor, Failure> {
        let events = all_events(store)?;
        let done = self.events_done.min(events.len());
        let after_event = done.checked_sub(1).map_or(0, |last| events[last]);
        let (target, from, until) = (self.target.clone(), self.from, self.until);
        Ok(ReplayCursor { target, from, until, after_event })
    }
}

fn of_oversight(store: &mut dyn store::Store, operation: &Oversight) -> Cells {
    match operation {
        Oversight::NoteSelection { watches, now } => store.note_selection(watches, *now).map(one),
        Oversight::Overview { now } => {
            let overview = format!("{:#?}", store.overview(*now)?);
            Ok(overview.lines().map(str::to_owned).collect())
        }
        Oversight::Entries => store.entries().map(list),
        Oversight::ClockOffset => store.clock_offset().map(one),
        Oversight::RetiredTotal => store.retired_total().map(one),
    }
}

fn one(value: impl Debug) -> Vec<String> {
    vec![format!("{value:?}")]
}

/// One cell a row, in the order that the store promises.
#[expect(clippy::needless_pass_by_value, reason = "the end of a call")]
fn list<T: Debug>(rows: Vec<T>) -> Vec<String> {
    rows.iter().map(|row| format!("{row:?}")).collect()
}

fn any_order<T: Debug>(rows: Vec<T>) -> Vec<String> {
    let mut cells = list(rows);
    cells.sort();
    cells
}
