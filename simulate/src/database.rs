//! The database of a history: the real SQLite store in memory. Each call is an effect of its process, which may
//! be killed before and after it; the database may break off before it, or after it without saying so.

use std::sync::{Arc, Mutex, PoisonError};

use kalshi_ingest::app::Databases;
use kalshi_ingest::domain::backfill::Life;
use kalshi_ingest::domain::batch::{Commit, Receipt};
use kalshi_ingest::domain::book::Snapshot;
use kalshi_ingest::domain::checkpoint::Checkpoint;
use kalshi_ingest::domain::completeness::{HourVolume, Score};
use kalshi_ingest::domain::exchange_record::{ComeBack, ExchangeRecord};
use kalshi_ingest::domain::market::{
    Absence, EventRecord, FalseMark, Known, Refusal, Scope, Sighting, WatchChange, WatchRecord,
};
use kalshi_ingest::domain::overview::Overview;
use kalshi_ingest::domain::selection::{Target, Watch};
use kalshi_ingest::domain::slice::{Slice, SliceKey};
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade::Ticker;
use kalshi_ingest::failure::{Failure, Kind};
use kalshi_ingest::store::{
    Catalogue, DatabaseUrl, Difference, ExchangeKey, Exchanges, History, Lock, MarketReport,
    Missing, Oversight, RawEvent, ReplayPlace, Replayed, RunId, RunRecord, Store,
};

use crate::machine::Machine;

/// The database that all processes of a history share.
pub type Shared = Arc<Mutex<Box<dyn Store>>>;

/// Opens the shared database for one process.
pub struct Opener {
    /// Where it runs.
    pub machine: Arc<Machine>,
    /// Its number.
    pub process: usize,
    /// The database.
    pub shared: Shared,
}

impl Opener {
    fn connect(&self) -> Box<dyn Store> {
        drop(self.machine.effect(self.process));
        Box::new(Connection {
            machine: Arc::clone(&self.machine),
            process: self.process,
            shared: Arc::clone(&self.shared),
            is_broken: false,
        })
    }
}

impl Databases for Opener {
    fn open(&self, _: &DatabaseUrl, _: Missing) -> Result<Box<dyn Store>, Failure> {
        Ok(self.connect())
    }

    fn open_to_read(&self, _: &DatabaseUrl) -> Result<Box<dyn Store>, Failure> {
        Ok(self.connect())
    }

    fn is_missing(&self, _: &DatabaseUrl) -> bool {
        false
    }
}

/// A connection of one process.
struct Connection {
    machine: Arc<Machine>,
    process: usize,
    shared: Shared,
    /// It broke off, and nobody has connected anew.
    is_broken: bool,
}

/// A lock that is held until it is dropped, also by a process that is killed.
struct Held {
    machine: Arc<Machine>,
    name: String,
}

impl Lock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.machine.state().locks.retain(|held| *held != self.name);
    }
}

fn broken_off() -> Failure {
    Failure::new(Kind::StoreInterrupted, "the simulated database broke off")
}

impl Connection {
    /// One call, with all that may happen around it.
    fn call<T>(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut dyn Store) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut state = self.machine.effect(self.process);
        state.record.note_bytes(name.as_bytes());
        let now = state.now;
        let trouble = if self.is_broken { Some(true) } else { state.servers.store_trouble() };
        if trouble == Some(true) {
            self.is_broken = true;
            state.counts.one("database: broke off before a call");
            state
                .record
                .tell(now, format_args!("  [{}] {name}: the database breaks off", self.process));
            return Err(broken_off());
        }
        drop(state);
        let done = work(self.shared.lock().unwrap_or_else(PoisonError::into_inner).as_mut());
        let mut state = self.machine.state();
        if let Err(failure) = &done {
            state.record.tell(now, format_args!("  [{}] {name}: {failure}", self.process));
        }
        if trouble == Some(false) && done.is_ok() {
            self.is_broken = true;
            state.counts.one("database: acknowledgement lost");
            state.record.tell(
                now,
                format_args!("  [{}] {name}: done, but the acknowledgement is lost", self.process),
            );
            return Err(broken_off());
        }
        drop(state);
        drop(self.machine.effect(self.process));
        done
    }
}

/// Hands calls on.
macro_rules! hand_on {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&mut self, $($argument: $kind),*) -> Result<$answer, Failure> {
            self.call(stringify!($name), |store| store.$name($($argument),*))
        })*
    };
}

impl Store for Connection {
    fn migrate(&mut self, _: Timestamp) -> Result<Vec<&'static str>, Failure> {
        // The schema is that of this build from the beginning on.
        self.call("migrate", |_| Ok(Vec::new()))
    }

    fn reconnect(&mut self) -> Result<(), Failure> {
        drop(self.machine.effect(self.process));
        let mut state = self.machine.state();
        if state.servers.store_trouble().is_some() {
            return Err(Failure::new(Kind::StoreInterrupted, "the simulated database is away"));
        }
        self.is_broken = false;
        Ok(())
    }

    fn try_lock(&mut self, name: &str) -> Result<Option<Box<dyn Lock>>, Failure> {
        self.call("try_lock", |_| Ok(()))?;
        let mut state = self.machine.state();
        if state.locks.iter().any(|held| held == name) {
            state.counts.one("locks found held");
            return Ok(None);
        }
        state.locks.push(name.to_owned());
        Ok(Some(Box::new(Held { machine: Arc::clone(&self.machine), name: name.to_owned() })))
    }

    fn commit(&mut self, run: RunId, commit: &Commit) -> Result<Receipt, Failure> {
        let (machine, process) = (Arc::clone(&self.machine), self.process);
        self.call("commit", |store| {
            let receipt = store.commit(run, commit)?;
            let mut state = machine.state();
            state.committed(process, commit, &receipt);
            Ok(receipt)
        })
    }

    hand_on! {
        check_schema() -> ();
        has_schema() -> bool;
        begin_run(command: &str, now: Timestamp) -> RunId;
        finish_run(run: RunId, record: &RunRecord) -> ();
        checkpoints(markets: &[Ticker], now: Timestamp) -> Vec<Checkpoint>;
        report(now: Timestamp) -> Vec<MarketReport>;
    }
}

impl Catalogue for Connection {
    hand_on! {
        watches(names: &[String], now: Timestamp) -> Vec<WatchRecord>;
        watches_on_record(names: &[String]) -> Vec<WatchRecord>;
        save_watches(changes: &[WatchChange]) -> ();
        lower_mark(mark: &FalseMark, run: RunId, now: Timestamp) -> bool;
        newest_trade(until: Timestamp) -> Option<Timestamp>;
        refusals(names: &[String]) -> Vec<Refusal>;
        save_refusals(refused: &[String], lifted: &[String], now: Timestamp) -> ();
        is_on_record(target: &Target) -> bool;
        checkpoints_on_record(markets: &[Ticker]) -> Vec<Checkpoint>;
        over_markets(scope: Scope<'_>, ended_after: Timestamp, count_max: usize) -> Vec<Known>;
        series_of_events(events: &[Box<str>]) -> Vec<EventRecord>;
        known_markets(tickers: &[Ticker]) -> Vec<Known>;
        unsettled_markets(scope: Scope<'_>) -> Vec<Known>;
        lives(scope: Scope<'_>, only: Option<&[Ticker]>, from: Timestamp, until: Timestamp) -> Vec<Life>;
        save_markets(seen: &[Sighting], absent: &[Absence], now: Timestamp) -> u64;
        events_without_series() -> Vec<Box<str>>;
        save_events(events: &[EventRecord], now: Timestamp) -> ();
        save_books(books: &[Snapshot]) -> ();
        tape_rate() -> Option<f64>;
    }
}

impl Exchanges for Connection {
    hand_on! {
        exchange_record(key: &ExchangeKey) -> Option<ExchangeRecord>;
        save_exchange_record(key: &ExchangeKey, record: &ExchangeRecord, now: Timestamp) -> ();
        save_come_back(key: &ExchangeKey, come_back: ComeBack, now: Timestamp) -> ();
    }
}

impl Oversight for Connection {
    hand_on! {
        note_selection(watches: &[Watch], now: Timestamp) -> ();
        overview(now: Timestamp) -> Overview;
    }
}

impl History for Connection {
    hand_on! {
        slices(names: &[Ticker], from: Timestamp, until: Timestamp) -> Vec<Slice>;
        add_slices(slices: &[Slice], reset: bool, now: Timestamp) -> ();
        complete_slices(complete: &[SliceKey], strips: &[Slice], now: Timestamp) -> ();
        stored_lifetime(markets: &[Ticker]) -> Vec<(Ticker, i64)>;
        stored_by_hour(markets: &[Ticker], from: Timestamp, until: Timestamp) -> Vec<HourVolume>;
        save_scores(scores: &[Score], now: Timestamp) -> ();
        raw_events(place: &ReplayPlace, count: u32) -> Vec<RawEvent>;
        raw_events_left(place: &ReplayPlace) -> u64;
        replay_place(target: &str, from: Option<Timestamp>, until: Option<Timestamp>) -> ReplayPlace;
        make_trades_table(name: &str) -> ();
        replay(place: &ReplayPlace, trades: &[Replayed]) -> u64;
        finish_replay(place: &ReplayPlace) -> ();
        compare_trades(other: &str, examples: u32) -> Difference;
        prunable(before: Timestamp) -> (u64, u64);
        prune(before: Timestamp, count: u32) -> u64;
    }
}
