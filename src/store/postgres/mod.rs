//! PostgreSQL: arrays in, one statement for each table, for any number of rows or markets.
//!
//! Every statement is sent unnamed, with its types, inside a transaction. Nothing of it stays on the server
//! afterwards, so a pooler that assigns connections by transaction does no harm.

mod target;
mod transaction;
mod copy;
mod layout;
mod trades;
mod commit;
mod work;
mod second;
mod halves;
mod views;

use postgres::Client;
use postgres::types::Type;

pub(super) use target::{Target, is_meant};
use transaction::{Mode, Transaction, beginning};

use self::second::SecondConnection;
use self::work::{Memory, OpenWork};
use super::engine::{Access, Engine, Work};
use super::handles::Lock;
use super::migrate::{self, Applied, Migration, migrations, pending};
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind, one_line};

const MIGRATIONS: &[Migration] = migrations!("postgres");

/// The lock that serializes migrations of one database; the bytes of "kalshi-i".
const MIGRATION_LOCK: i64 = 0x6b61_6c73_6869_2d69;

/// The number of connections that are tried for one transaction.
const CONNECTIONS_MAX: u32 = 3;

/// A transaction that waits longer than this has a problem; the next pass tries again. If our process vanishes in the
/// middle of it, the server releases its rows.
const COMMIT_LIMITS: &str = "set local statement_timeout = '30s'; set local lock_timeout = '10s';
    set local idle_in_transaction_session_timeout = '30s'";

/// A process that creates tables first waits for another one that creates them now, which may take long.
const MIGRATION_LIMITS: &str = "set local statement_timeout = 0; set local lock_timeout = '60s';
    set local idle_in_transaction_session_timeout = '30s'";

/// Rows are found by their keys. The planner knows little of the arrays, nor of a table that nobody has analyzed, and
/// would rather read the whole table, which is right for thousands of rows and wrong for millions.
const BY_KEY: &str = "set local enable_seqscan = off; set local enable_hashjoin = off;
    set local enable_mergejoin = off; set local enable_material = off";

/// The duration of a statement over whole tables grows with their size.
const SCAN_LIMITS: &str = "set local statement_timeout = '1h'; set local lock_timeout = '10s';
    set local idle_in_transaction_session_timeout = '30s'";

/// The rows of a snapshot are read as fast as somebody takes them, and the pauses between can be long. A reader that
/// takes none for an hour is gone, and vacuum must not wait for it for ever. To compile its statements takes longer
/// than they gain by it.
const SNAPSHOT_LIMITS: &str = "set local statement_timeout = 0; set local lock_timeout = '10s';
    set local idle_in_transaction_session_timeout = '1h'; set local jit = off";

/// The transaction that holds the lock is idle by design, as long as the pass lasts. The server gives up only a host
/// that no longer acknowledges packets, after some forty seconds.
const HOLD_LOCK: &str = "set local statement_timeout = 0; set local lock_timeout = 0;
    set local idle_in_transaction_session_timeout = 0;
    set local tcp_keepalives_idle = 10; set local tcp_keepalives_interval = 10;
    set local tcp_keepalives_count = 3";

/// Whether this role may apply the next step, and the role that may if it may not.
const SCHEMA_RIGHTS: &str = "select current_user::text as role,
        coalesce(has_schema_privilege(current_schema(), 'create'), false)
            and coalesce(pg_has_role(recorded.relowner, 'usage'), true) as may_change,
        pg_get_userbyid(recorded.relowner)::text as owner
    from (select 1) as one
    left join pg_class recorded
        on recorded.relname = 'kalshi_ingest_migrations' and pg_table_is_visible(recorded.oid)";

/// A store on a PostgreSQL server.
pub(super) struct PostgresStore {
    target: Target,
    source: &'static str,
    client: Client,
    memory: Memory,
}

/// A connection of its own, in a transaction that holds the advisory lock. The lock belongs to the transaction,
/// because session locks do not hold behind a pooler; it ends with the connection.
struct AdvisoryLock(Client);

impl Lock for AdvisoryLock {}

impl Drop for AdvisoryLock {
    /// Releases the lock before the program continues. A busy server notices a closed connection only after a while,
    /// and the next pass would find the lock taken.
    fn drop(&mut self) {
        if let Err(error) = self.0.batch_execute("rollback") {
            // A pass that took the lock meanwhile did no harm: no checkpoint moves twice from one version.
            log::warn!("the lock was lost with its connection: {}", one_line(&error));
        }
    }
}

/// Turns an error into a failure: names the attempt, and chooses the kind by the cause.
fn because(what: &str) -> impl Fn(postgres::Error) -> Failure + '_ {
    move |error| {
        let kind = match error.code().map(postgres::error::SqlState::code) {
            // The table of trades got another key while we were at work; a new start looks it up again.
            Some("42P10") => Kind::StoreInterrupted,
            // A repeated statement would exceed the same time limit again.
            Some("57014") => Kind::StoreUnavailable,
            None if is_lost(&error) => Kind::StoreInterrupted,
            // The transaction lost to another one, or waited too long for it or for us; or the server is no longer the
            // primary.
            Some("40001" | "40P01" | "55P03" | "25P03" | "25P04" | "25006") => {
                Kind::StoreInterrupted
            }
            Some(code) if ["08", "57"].iter().any(|class| code.starts_with(class)) => {
                Kind::StoreInterrupted
            }
            // The server has no connections, memory or disk left; or the client does not know the message.
            None => Kind::StoreUnavailable,
            Some(code) if code.starts_with("53") => Kind::StoreUnavailable,
            Some(_) => Kind::StoreRefused,
        };
        let failure = Failure::new(kind, format!("{what} failed in PostgreSQL"));
        match error.as_db_error() {
            Some(said) => failure.because(said.message()),
            None => failure.because(error),
        }
    }
}

/// Turns an error at the beginning of a transaction into a failure. A server that refuses a writing transaction has
/// become a standby, and there may be a new primary elsewhere.
fn begin_failure(what: &str, error: postgres::Error) -> Failure {
    let is_standby = error.code().is_some_and(|code| code.code() == "0A000");
    let mut failure = because(what)(error);
    if is_standby {
        failure.kind = Kind::StoreInterrupted;
    }
    failure
}

/// Makes a connection and begins a transaction on it. On a busy machine the server may close a new connection before
/// its first use, so a few attempts are made.
fn connect_and_begin(target: &Target, what: &str, beginning: &str) -> Result<Client, Failure> {
    let mut attempt = 1;
    loop {
        let mut client = target.connect()?;
        match transaction::begin(&mut client, beginning) {
            Ok(()) => return Ok(client),
            Err(error) => {
                let ended = begin_failure(what, error);
                if ended.kind != Kind::StoreInterrupted || attempt == CONNECTIONS_MAX {
                    return Err(ended);
                }
                attempt += 1;
            }
        }
    }
}

/// Whether the connection is gone.
fn is_lost(error: &postgres::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if inner.is::<std::io::Error>() {
            return true;
        }
        cause = inner.source();
    }
    error.is_closed()
}

impl PostgresStore {
    pub(super) fn connect(target: &Target, source: &'static str) -> Result<PostgresStore, Failure> {
        let client = target.connect()?;
        let memory = Memory::new(SecondConnection::Unused(Box::new(target.clone())));
        Ok(PostgresStore { target: target.clone(), source, client, memory })
    }

    fn applied(transaction: &mut Transaction<'_>) -> Result<Vec<Applied>, postgres::Error> {
        // `to_regclass` is not used: a session that looked for the table in vain may remember that, even after it has
        // waited for the lock of the process that made the table.
        let exists = "select exists (select from pg_class
            where relname = 'kalshi_ingest_migrations' and pg_table_is_visible(oid))";
        if !transaction.query_typed(exists, &[])?.iter().any(|row| row.get(0)) {
            return Ok(Vec::new());
        }
        let recorded = "select name, checksum from kalshi_ingest_migrations order by name";
        let rows = transaction.query_typed(recorded, &[])?;
        Ok(rows.iter().map(|row| Applied { name: row.get(0), checksum: row.get(1) }).collect())
    }

    /// Checks the encoding: events are stored as received, so the database must be able to hold any text.
    fn check_encoding(transaction: &mut Transaction<'_>) -> Result<(), Failure> {
        let row = transaction
            .query_typed_one("select current_setting('server_encoding')", &[])
            .map_err(because("asking for the database's encoding"))?;
        match row.get(0) {
            "UTF8" => Ok(()),
            other => Err(Failure::new(
                Kind::StoreRefused,
                format!("the database's encoding is {other}; create one with encoding 'UTF8'"),
            )),
        }
    }

    /// Waits until no other process migrates this database.
    fn wait_for_migrations(transaction: &mut Transaction<'_>, what: &str) -> Result<(), Failure> {
        transaction
            .execute_typed("select pg_advisory_xact_lock($1)", &[(&MIGRATION_LOCK, Type::INT8)])
            .map_err(because(what))?;
        Ok(())
    }

    /// Whether this role may apply `next`, and a failure that names the role that may. A role without that right must
    /// not fail in the middle, with the server's message.
    fn who_migrates(
        transaction: &mut Transaction<'_>,
        next: &Migration,
    ) -> Result<(bool, Failure), Failure> {
        let what = "asking what the role may do";
        let row = transaction.query_typed_one(SCHEMA_RIGHTS, &[]).map_err(because(what))?;
        let (role, owner): (&str, Option<&str>) = (row.get("role"), row.get("owner"));
        let may_change: bool = row.get("may_change");
        let who = match (may_change, owner) {
            (true, _) => role,
            (false, Some(owner)) => owner,
            (false, None) => "a role that may create tables there",
        };
        let whether =
            if may_change { String::new() } else { format!(", and {role} may not change it") };
        let is_first = MIGRATIONS.first().is_some_and(|first| first.name == next.name);
        Ok((may_change, migrate::behind(next, is_first, &whether, who)))
    }

    /// Begins a transaction. If the connection was closed while it was idle (by the server's `idle_session_timeout`, a
    /// pooler, a firewall), it is made again: nothing has been done yet, so nothing is done twice, and no page is
    /// fetched again.
    fn begin(&mut self, what: &str, beginning: &str) -> Result<Transaction<'_>, Failure> {
        self.open(what, beginning)?;
        Ok(Transaction::of_begun(&mut self.client))
    }

    fn open(&mut self, what: &str, beginning: &str) -> Result<(), Failure> {
        if self.memory.is_doubtful
            && let Err(mut failure) = self.reconnect()
        {
            // As below, the caller tries again later.
            if failure.kind == Kind::StoreUnavailable {
                failure.kind = Kind::StoreInterrupted;
            }
            return Err(failure);
        }
        let begun = transaction::begin(&mut self.client, beginning);
        if let Err(ended) = begun.map_err(|error| begin_failure(what, error)) {
            if ended.kind != Kind::StoreInterrupted {
                return Err(ended);
            }
            match connect_and_begin(&self.target, what, beginning) {
                Ok(client) => self.client = client,
                // The failure stays one of a broken connection, so that the caller tries again later.
                Err(failure) if failure.kind == Kind::StoreUnavailable => return Err(ended),
                Err(failure) => return Err(failure),
            }
            log::info!("{}; connected anew before anything was lost", one_line(&ended));
        }
        Ok(())
    }

    /// Does work that only reads, in a transaction of its own.
    fn read<T>(
        &mut self,
        what: &str,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, postgres::Error>,
    ) -> Result<T, Failure> {
        self.visit(what, &beginning(Mode::Read, COMMIT_LIMITS), work)
    }

    fn visit<T>(
        &mut self,
        what: &str,
        beginning: &str,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, postgres::Error>,
    ) -> Result<T, Failure> {
        let mut transaction = self.begin(what, beginning)?;
        let done = work(&mut transaction).map_err(because(what))?;
        transaction.leave().map_err(because(what))?;
        Ok(done)
    }
}

impl Engine for PostgresStore {
    fn source(&self) -> &'static str {
        self.source
    }

    fn transact<T>(
        &mut self,
        what: &str,
        access: Access,
        work: impl FnOnce(&mut dyn Work) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.open(what, &opening(access))?;
        let PostgresStore { source, client, memory, .. } = self;
        let mut transaction = Transaction::of_begun(client);
        if let Access::Alone(lock) = access {
            wait_for(&mut transaction, what, lock)?;
        }
        let mut open = OpenWork { transaction, what, source, memory };
        let done = work(&mut open)?;
        open.end(access)?;
        Ok(done)
    }

    fn migrate(&mut self, now: Timestamp) -> Result<Vec<&'static str>, Failure> {
        let what = "migrating the schema";
        let applied = self.read("looking at the schema", Self::applied)?;
        if pending(MIGRATIONS, &applied)?.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin(what, &beginning(Mode::Write, MIGRATION_LIMITS))?;
        Self::wait_for_migrations(&mut transaction, what)?;
        Self::check_encoding(&mut transaction)?;
        // The record is read again, now that no other process can be migrating.
        let applied = Self::applied(&mut transaction).map_err(because(what))?;
        let steps = pending(MIGRATIONS, &applied)?;
        let Some(next) = steps.first() else { return Ok(Vec::new()) };
        if let (false, failure) = Self::who_migrates(&mut transaction, next)? {
            return Err(failure);
        }
        apply(&mut transaction, steps, now)?;
        transaction.commit().map_err(because(what))?;
        Ok(steps.iter().map(|step| step.name).collect())
    }

    fn check_schema(&mut self) -> Result<(), Failure> {
        let what = "looking at the schema";
        let mut transaction = self.begin(what, &beginning(Mode::Read, COMMIT_LIMITS))?;
        let applied = Self::applied(&mut transaction).map_err(because(what))?;
        let Some(next) = pending(MIGRATIONS, &applied)?.first() else { return Ok(()) };
        let (_, failure) = Self::who_migrates(&mut transaction, next)?;
        Err(failure)
    }

    fn has_schema(&mut self) -> Result<bool, Failure> {
        self.read("looking at the schema", Self::applied).map(|applied| !applied.is_empty())
    }

    fn reconnect(&mut self) -> Result<(), Failure> {
        self.client = self.target.connect()?;
        self.memory = Memory::new(SecondConnection::Unused(Box::new(self.target.clone())));
        Ok(())
    }

    fn make_views(&mut self) -> Result<(), Failure> {
        let found = self.read(views::WHAT, views::Found::all)?;
        if !found.is_to_be_made(false) {
            return Ok(());
        }
        let mut transaction = self.begin(views::WHAT, &beginning(Mode::Write, MIGRATION_LIMITS))?;
        Self::wait_for_migrations(&mut transaction, views::WHAT)?;
        views::make(&mut transaction, false)?;
        transaction.commit().map_err(because(views::WHAT))
    }

    fn try_lock(&mut self, name: &str) -> Result<Option<Box<dyn Lock>>, Failure> {
        let what = "taking the lock";
        let mut client = connect_and_begin(&self.target, what, &beginning(Mode::Write, HOLD_LOCK))?;
        let is_ours: bool = client
            .query_typed_one(
                "select pg_try_advisory_xact_lock(hashtextextended('kalshi-ingest ' || $1, 0))",
                &[(&name, Type::TEXT)],
            )
            .map_err(because(what))?
            .get(0);
        Ok(if is_ours { Some(Box::new(AdvisoryLock(client))) } else { None })
    }
}

/// Waits until no other transaction with the same lock name runs. The rows that this one compares with cannot change
/// any more then.
fn wait_for(transaction: &mut Transaction<'_>, what: &str, lock: &str) -> Result<(), Failure> {
    let wait = "select pg_advisory_xact_lock(hashtextextended('kalshi-ingest writes ' || $1, 0))";
    transaction.execute_typed(wait, &[(&lock, Type::TEXT)]).map_err(because(what))?;
    Ok(())
}

/// The statements that begin a transaction for this access.
fn opening(access: Access) -> String {
    match access {
        Access::Read => beginning(Mode::Read, &format!("{COMMIT_LIMITS}; {BY_KEY}")),
        Access::Scan => beginning(Mode::Read, SCAN_LIMITS),
        Access::ReadAsOne => beginning(Mode::ReadAsOne, &format!("{COMMIT_LIMITS}; {BY_KEY}")),
        Access::Snapshot => beginning(Mode::ReadAsOne, SNAPSHOT_LIMITS),
        Access::WriteScan => beginning(Mode::Write, &format!("{SCAN_LIMITS}; {BY_KEY}")),
        Access::One | Access::Write | Access::Alone(_) | Access::Commit => {
            beginning(Mode::Write, &format!("{COMMIT_LIMITS}; {BY_KEY}"))
        }
    }
}

/// Applies these steps and records them, in the caller's transaction.
fn apply(
    transaction: &mut Transaction<'_>,
    steps: &[Migration],
    now: Timestamp,
) -> Result<(), Failure> {
    transaction
        .batch_execute(
            "create table if not exists kalshi_ingest_migrations (
                name text collate \"C\" primary key, checksum text not null, applied_at timestamptz not null)",
        )
        .map_err(because("migrating the schema"))?;
    for step in steps {
        let what = format!("schema step {}", step.name);
        for script in step.scripts() {
            transaction.batch_execute(script).map_err(because(&what))?;
        }
        transaction
            .execute_typed(
                "insert into kalshi_ingest_migrations values ($1, $2, $3)",
                &[
                    (&step.name, Type::TEXT),
                    (&step.checksum(), Type::TEXT),
                    (&now.to_chrono(), Type::TIMESTAMPTZ),
                ],
            )
            .map_err(because(&what))?;
    }
    views::make(transaction, true)
}
