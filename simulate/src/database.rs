//! The database of a history: the real store, of SQLite in memory or on a PostgreSQL server. Each call is an effect of
//! its process, which may be killed before and after it. The connection may break before a call, or after it without
//! an answer. On a server, the connection really breaks, and a process may be killed within a call.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use kalshi_ingest::app::Databases;
use kalshi_ingest::domain::batch::{Commit, Receipt};
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::failure::{Failure, Kind};
use kalshi_ingest::store::{DatabaseUrl, Lock, Missing, RunId, Store, Trades};

use crate::ambush::Ambush;
use crate::machine::{Machine, State};
use crate::server::{Ordeal, Server};
use crate::servers::StoreTrouble;

/// The database that all processes of a history share.
pub type SharedStore = Arc<Mutex<Box<dyn Store>>>;

/// The stores of the processes of a history.
#[derive(Clone)]
pub enum Stores {
    /// One store for all, each call alone; the `Ambush` stops it within a call.
    InMemory(SharedStore, Ambush),
    /// A server, with a connection for each process.
    Server(Arc<Server>),
}

/// Opens the database for one process.
pub struct Opener {
    /// The machine of the process.
    pub machine: Arc<Machine>,
    /// The number of the process.
    pub process: usize,
    /// The stores.
    pub stores: Stores,
}

impl Opener {
    fn connect(&self) -> Result<Box<dyn Store>, Failure> {
        drop(self.machine.effect(self.process));
        let means = match &self.stores {
            Stores::InMemory(store, ambush) => Means::Shared(Arc::clone(store), ambush.clone()),
            Stores::Server(server) => {
                Means::Own { store: server.open(self.process)?, server: Arc::clone(server) }
            }
        };
        let (machine, process) = (Arc::clone(&self.machine), self.process);
        Ok(Box::new(Connection { machine, process, means, is_broken: false }))
    }
}

impl Databases for Opener {
    fn open(&self, _: &DatabaseUrl, _: Missing) -> Result<Box<dyn Store>, Failure> {
        self.connect()
    }

    fn open_to_read(&self, _: &DatabaseUrl) -> Result<Box<dyn Store>, Failure> {
        self.connect()
    }

    fn is_missing(&self, _: &DatabaseUrl) -> bool {
        false
    }
}

/// A connection of one process.
struct Connection {
    machine: Arc<Machine>,
    process: usize,
    means: Means,
    /// Whether the connection broke and was not made again.
    is_broken: bool,
}

/// The store behind a connection.
enum Means {
    /// The store that all processes share, and the `Ambush` that stops it within a call.
    Shared(SharedStore, Ambush),
    /// A store of its own, on a server.
    Own { store: Box<dyn Store>, server: Arc<Server> },
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A killed process does not close its connection.
        if let Means::Own { server, .. } = &self.means
            && thread::panicking()
        {
            server.cut(self.process);
        }
    }
}

/// A lock on a server, released when the process is killed.
struct Guarded {
    _lock: Box<dyn Lock>,
    server: Arc<Server>,
    process: usize,
}

impl Lock for Guarded {}

impl Drop for Guarded {
    fn drop(&mut self) {
        if thread::panicking() {
            self.server.cut(self.process);
        }
    }
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
    /// Makes one call, with all the trouble that may happen around it.
    fn call<T>(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut dyn Store) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut state = self.machine.effect(self.process);
        state.record.note_bytes(name.as_bytes());
        let now = state.now;
        let trouble =
            if self.is_broken { Some(StoreTrouble::Before) } else { state.servers.store_trouble() };
        let is_away = trouble == Some(StoreTrouble::Before) && self.is_away();
        let ordeal = if is_away { None } else { self.ordeal(&mut state, trouble) };
        if trouble == Some(StoreTrouble::Before) {
            state.counts.one("database: broke off before a call");
            state
                .record
                .tell(now, format_args!("  [{}] {name}: the database breaks off", self.process));
        }
        if is_away {
            self.is_broken = true;
            return Err(broken_off());
        }
        self.lie_in_wait(&mut state, trouble);
        drop(state);
        let done = self.work(name, ordeal, work);
        if self.is_caught() {
            return Err(self.break_off_within(name, trouble == Some(StoreTrouble::Death)));
        }
        let mut state = self.machine.state();
        if let Err(failure) = &done {
            state.record.tell(now, format_args!("  [{}] {name}: {failure}", self.process));
        }
        if trouble == Some(StoreTrouble::Before) {
            self.is_broken = true;
            return Err(broken_off());
        }
        if trouble == Some(StoreTrouble::After) && self.is_lost(&done) {
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

    /// Whether the connection is broken, or is no real one that could break within a call.
    fn is_away(&self) -> bool {
        self.is_broken || matches!(self.means, Means::Shared(..))
    }

    /// Whether an answer that should be lost is lost.
    fn is_lost<T>(&self, done: &Result<T, Failure>) -> bool {
        // On a server, the call fails because of the loss.
        done.is_ok() || matches!(self.means, Means::Own { .. })
    }

    /// The ordeal of the next call on a server.
    fn ordeal(&self, state: &mut State, trouble: Option<StoreTrouble>) -> Option<Ordeal> {
        let Means::Own { server, .. } = &self.means else { return None };
        match trouble {
            // The transaction has begun by then.
            Some(StoreTrouble::Before) => Some(Ordeal::Lost(1)),
            Some(StoreTrouble::Within) => Some(Ordeal::Lost(3)),
            Some(StoreTrouble::Death) => Some(Ordeal::Death(3)),
            Some(StoreTrouble::After) => Some(Ordeal::AnswerLost),
            None => server.ordeal(state),
        }
    }

    /// Makes the call itself.
    fn work<T>(
        &mut self,
        name: &str,
        ordeal: Option<Ordeal>,
        work: impl FnOnce(&mut dyn Store) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (store, server) = match &mut self.means {
            Means::Shared(store, _) => {
                return work(store.lock().unwrap_or_else(PoisonError::into_inner).as_mut());
            }
            Means::Own { store, server } => (store, server),
        };
        let done = server.undergo(self.process, ordeal, || work(store.as_mut()));
        let Some(ordeal) = ordeal else { return done };
        let mut state = self.machine.state();
        let now = state.now;
        state.record.tell(now, format_args!("  [{}] {name}: {ordeal:?}", self.process));
        if let Err(failure) = &done
            && failure.kind != Kind::StoreInterrupted
        {
            let kind = failure.kind;
            state.check.fail(format!("{name}, {ordeal:?}: this is no {kind:?}: {failure}"));
        }
        if matches!(ordeal, Ordeal::Death(_)) {
            state.counts.one("kills within a call of the database");
            Machine::die(state, self.process);
        }
        done
    }
}

impl Connection {
    /// Plans a stop within the next call in memory, if the trouble is of that kind.
    fn lie_in_wait(&self, state: &mut State, trouble: Option<StoreTrouble>) {
        let Means::Shared(_, ambush) = &self.means else { return };
        if matches!(trouble, Some(StoreTrouble::Within | StoreTrouble::Death)) {
            let number = state.counts.of("ambushes");
            let mut random = state.chance(&[0xab, state.counts.of("requests"), number]);
            state.counts.one("ambushes");
            ambush.lay(*random.pick(&[0, 1, 3, 10, 30, 100]));
        }
    }

    /// Whether a call in memory was stopped within.
    fn is_caught(&self) -> bool {
        matches!(&self.means, Means::Shared(_, ambush) if ambush.lift())
    }

    /// Breaks the connection within a call, and kills the process if `is_death`.
    fn break_off_within(&mut self, name: &str, is_death: bool) -> Failure {
        let mut state = self.machine.state();
        let now = state.now;
        state
            .record
            .tell(now, format_args!("  [{}] {name}: the database stops within it", self.process));
        if is_death {
            state.counts.one("kills within a call of the database");
            Machine::die(state, self.process);
        }
        state.counts.one("database: broke off within a call");
        self.is_broken = true;
        broken_off()
    }
}

/// The receipt of a commit whose answer was lost: the trades that are stored now and were not stored before.
fn found(server: &Server, state: &State, commit: &Commit) -> Result<Receipt, String> {
    let stored = server.stored()?;
    let is_new =
        |id: &str| stored.contains(id) && state.truth.get(id).is_none_or(|known| !known.is_stored);
    let rows = commit.rows().iter().enumerate();
    let new = rows.filter(|(_, row)| is_new(&row.event.trade.trade_id)).map(|(place, _)| place);
    Ok(Receipt { inserted: new.collect(), ..Receipt::default() })
}

/// Forwards calls.
macro_rules! hand_on {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&mut self, $($argument: $kind),*) -> Result<$answer, Failure> {
            self.call(stringify!($name), |store| store.$name($($argument),*))
        })*
    };
}

mod handed_on;

impl Store for Connection {
    fn migrate(&mut self, _: Timestamp) -> Result<Vec<&'static str>, Failure> {
        // The schema is that of this build from the beginning.
        self.call("migrate", |_| Ok(Vec::new()))
    }

    fn reconnect(&mut self) -> Result<(), Failure> {
        drop(self.machine.effect(self.process));
        if self.machine.state().servers.store_trouble().is_some() {
            return Err(Failure::new(Kind::StoreInterrupted, "the simulated database is away"));
        }
        if let Means::Own { store, server } = &mut self.means {
            server.undergo(self.process, None, || store.reconnect())?;
        }
        self.is_broken = false;
        Ok(())
    }

    fn try_lock(&mut self, name: &str) -> Result<Option<Box<dyn Lock>>, Failure> {
        if let Means::Own { server, .. } = &self.means {
            let server = Arc::clone(server);
            let lock = self.call("try_lock", |store| store.try_lock(name))?;
            if lock.is_none() {
                self.machine.state().counts.one("locks found held");
            }
            let process = self.process;
            return Ok(lock.map(|lock| -> Box<dyn Lock> {
                Box::new(Guarded { _lock: lock, server, process })
            }));
        }
        self.call("try_lock", |_| Ok(()))?;
        let mut state = self.machine.state();
        if state.locks.iter().any(|held| held == name) {
            state.counts.one("locks found held");
            return Ok(None);
        }
        state.locks.push(name.to_owned());
        Ok(Some(Box::new(Held { machine: Arc::clone(&self.machine), name: name.to_owned() })))
    }

    hand_on! {
        check_schema() -> ();
        has_schema() -> bool;
        make_views() -> ();
    }
}

impl Trades for Connection {
    fn commit(&mut self, run: RunId, commit: &Commit) -> Result<Receipt, Failure> {
        let (machine, process) = (Arc::clone(&self.machine), self.process);
        let server = match &self.means {
            Means::Own { server, .. } => Some(Arc::clone(server)),
            Means::Shared(..) => None,
        };
        let note = |receipt: &Receipt| {
            let looked = server.as_ref().map_or(Ok(()), |server| server.after_commit());
            let mut state = machine.state();
            looked.unwrap_or_else(|wrong| state.check.fail(wrong));
            state.committed(process, commit, receipt);
        };
        self.call("commit", |store| {
            let done = store.commit(run, commit);
            match (&done, &server) {
                (Ok(receipt), _) => note(receipt),
                (Err(_), Some(server)) if server.has_committed() => {
                    let found = found(server, &machine.state(), commit);
                    match found {
                        Ok(receipt) => note(&receipt),
                        Err(wrong) => machine.state().check.fail(wrong),
                    }
                }
                (Err(_), _) => {}
            }
            done
        })
    }
}
