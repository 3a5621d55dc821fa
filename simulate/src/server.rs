//! A real PostgreSQL server under a history, with real trouble: of the server, of its clients and between them.

use std::collections::HashSet;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::failure::Failure;
use kalshi_ingest::kalshi::VENUE;
use kalshi_ingest::store::{DatabaseUrl, Missing, Store};
use postgres::Config;
use postgres::config::Host;
use rusqlite::Connection;

use crate::lines::{Cut, Lines, Place};
use crate::machine::State;
use crate::mirror::{Mirror, connect, words};

/// Kills the server and starts it again; when it returns, the server answers.
pub type Restart = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The server, and the allowed trouble.
#[derive(Clone)]
pub struct Terms {
    /// The URL of any of its databases, as a user who may create databases and end sessions.
    pub url: String,
    /// The function that kills it and starts it again, if that is allowed.
    pub restart: Option<Restart>,
    /// Whether trouble may happen that cannot happen to SQLite.
    pub is_hostile: bool,
}

/// The trouble of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordeal {
    /// The process is killed after this many more of its messages, in a transaction or not.
    Death(u64),
    /// The connection is lost after this many more messages, and the process continues.
    Lost(u64),
    /// The server commits, and the answer is lost with the connection.
    AnswerLost,
    /// An administrator has ended its sessions.
    SessionsEnded,
    /// The server was killed and started again.
    ServerKilled,
}

/// A database of its own on a server.
pub struct Server {
    terms: Terms,
    admin: Config,
    name: String,
    url: DatabaseUrl,
    lines: Arc<Lines>,
    mirror: Mutex<Mirror>,
}

/// The time within which a server process must notice that its client is gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// The number in the name of the next database: each has a name of its own.
static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Server {
    /// Makes a new database on this server, with a copy in `copy`.
    pub fn new(terms: Terms, copy: Connection) -> Result<Server, String> {
        let admin = Config::from_str(&terms.url).map_err(words)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("kalshi_simulated_{}_{number}", std::process::id());
        let mut client = connect(&admin)?;
        let sql = format!("drop database if exists {name}");
        client.batch_execute(&sql).map_err(words)?;
        client.batch_execute(&format!("create database {name}")).map_err(words)?;
        let mut own = admin.clone();
        own.dbname(&name);
        let (lines, address) = Lines::to(place(&admin)?).map_err(words)?;
        let mut url = format!(
            "host={} port={} dbname={name} sslmode=disable user={}",
            address.ip(),
            address.port(),
            quoted(admin.get_user().unwrap_or("postgres")),
        );
        if let Some(password) = admin.get_password() {
            url = format!("{url} password={}", quoted(&String::from_utf8_lossy(password)));
        }
        let url = DatabaseUrl::parse(&url, &|_| None).map_err(words)?;
        let mut store = url.open(Missing::Create, VENUE.source).map_err(words)?;
        store.migrate(Timestamp::from_seconds(0)).map_err(words)?;
        drop(store);
        let mirror = Mutex::new(Mirror::of(own, copy)?);
        Ok(Server { terms, admin, name, url, lines, mirror })
    }

    fn mirror(&self) -> MutexGuard<'_, Mirror> {
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties the database.
    pub fn clear(&self) -> Result<(), String> {
        self.mirror().clear()
    }

    /// Shows the changes of a commit to the checks.
    pub fn after_commit(&self) -> Result<(), String> {
        self.mirror().after_commit()
    }

    /// Shows all data to the checks.
    pub fn after_command(&self) -> Result<(), String> {
        self.mirror().after_command()
    }

    /// The ids of all stored trades.
    pub fn stored(&self) -> Result<HashSet<String>, String> {
        let sql = "select trade_id from prediction_market_trades";
        let rows = self.mirror().query(sql, &[])?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Opens a new connection of this process.
    pub fn open(&self, process: usize) -> Result<Box<dyn Store>, Failure> {
        self.undergo(process, None, || self.url.open(Missing::Create, VENUE.source))
    }

    /// Draws the ordeal of the next call.
    pub fn ordeal(&self, state: &mut State) -> Option<Ordeal> {
        if !self.terms.is_hostile || state.is_calm {
            return None;
        }
        let number = state.counts.of("calls of the server");
        state.counts.one("calls of the server");
        let mut random = state.chance(&[0x96, number]);
        let (kind, messages) = (random.below(1_000), random.below(30));
        let (name, ordeal) = match kind {
            0..=7 => ("server: a client died in a call", Ordeal::Death(messages)),
            8..=15 => ("server: a connection was lost in a call", Ordeal::Lost(messages)),
            16..=23 => ("server: the answer to a commit was lost", Ordeal::AnswerLost),
            24..=29 => ("server: sessions were ended", Ordeal::SessionsEnded),
            30..=32 if self.terms.restart.is_some() => {
                ("server: it was killed", Ordeal::ServerKilled)
            }
            _ => return None,
        };
        state.counts.one(name);
        Some(ordeal)
    }

    /// Lets a process work during this ordeal.
    pub fn undergo<T>(
        &self,
        process: usize,
        ordeal: Option<Ordeal>,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let cut = match ordeal {
            Some(Ordeal::Death(messages) | Ordeal::Lost(messages)) => Some(Cut::After(messages)),
            Some(Ordeal::AnswerLost) => Some(Cut::AnswerOfCommit),
            Some(Ordeal::SessionsEnded) => {
                self.end_sessions(process)?;
                None
            }
            Some(Ordeal::ServerKilled) => {
                self.kill()?;
                None
            }
            None => None,
        };
        self.lines.plan(process, cut);
        let done = work();
        if self.lines.lift().is_cut {
            self.await_ends(&self.lines.take_over())?;
        }
        done
    }

    /// Whether the server has committed since the last call began.
    pub fn has_committed(&self) -> bool {
        self.lines.fate().is_committed
    }

    /// Cuts all connections of a killed process, and waits until the server has noticed.
    pub fn cut(&self, process: usize) {
        self.lines.cut(process);
        // A session that does not end keeps its lock, and the next process will report that.
        drop(self.await_ends(&self.lines.take_over()));
    }

    fn end_sessions(&self, process: usize) -> Result<(), Failure> {
        let backends = self.lines.backends(process);
        let sql = "select pg_terminate_backend(pid) from unnest($1::integer[]) as pid";
        self.mirror().query(sql, &[&backends]).map_err(Failure::config)?;
        self.await_ends(&backends)
    }

    fn kill(&self) -> Result<(), Failure> {
        self.terms.restart.as_ref().map_or(Ok(()), |restart| restart().map_err(Failure::config))
    }

    /// Waits until these processes of the server have ended, and with them their locks.
    fn await_ends(&self, backends: &[i32]) -> Result<(), Failure> {
        if backends.is_empty() {
            return Ok(());
        }
        let sql = "select count(*) from pg_stat_activity where pid = any($1)";
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = self.mirror().query(sql, &[&backends]).map_err(Failure::config)?;
            if left.iter().all(|row| row.get::<_, i64>(0) == 0) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let words = "a process of the server outlives its connection";
                return Err(Failure::config(words));
            }
            sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If the server is down, the database stays until a person drops it.
        let sql = format!("drop database if exists {} with (force)", self.name);
        drop(connect(&self.admin).map(|mut client| client.batch_execute(&sql)));
    }
}

/// The address on which a server listens.
fn place(config: &Config) -> Result<Place, String> {
    let port = config.get_ports().first().copied().unwrap_or(5_432);
    match config.get_hosts().first() {
        Some(Host::Tcp(name)) => Ok(Place::Tcp(name.clone(), port)),
        Some(Host::Unix(folder)) => Ok(Place::Unix(folder.join(format!(".s.PGSQL.{port}")))),
        None => {
            Err("the URL names no host: add one, such as postgres://user@localhost/db".to_owned())
        }
    }
}

/// A value of a connection string.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}
