//! PostgreSQL: arrays in, one statement a table, whatever the number of rows or markets.
//!
//! Every statement is sent with its types and unnamed, inside a transaction: nothing outlives
//! it on the server, so a pooler that hands out connections by transaction does no harm.

mod connect;
mod rows;
mod commit;
mod catalogue;
mod markets;
mod history;
mod replay;
mod oversight;

use postgres::types::Type;
use postgres::{Client, IsolationLevel, Transaction};

pub(super) use connect::{Target, is_meant};

use super::contract::{Lock, MarketReport, REPORT_SPAN, RunId, RunRecord, Store};
use super::migrate::{self, Applied, Migration, migrations, pending};
use crate::domain::batch::{Commit, Receipt};
use crate::domain::checkpoint::Checkpoint;
use crate::domain::time::Timestamp;
use crate::domain::trade::{SOURCE, Ticker};
use crate::failure::{Failure, Kind};

const MIGRATIONS: &[Migration] = migrations!("postgres": "001_pipeline", "002_coverage", "003_history", "004_operations", "005_claims", "006_absence");

/// Serializes migrations of one database; the bytes of "kalshi-i".
const MIGRATION_LOCK: i64 = 0x6b61_6c73_6869_2d69;

/// One at a time compares markets, or the selection, with what is on record, and writes what changed.
const MARKETS: &str = "markets";
const WATCHES: &str = "watches";

/// A transaction that waits longer than this is in trouble; the next pass tries again. If we
/// vanish without a word in the middle of it, the server gives its rows free again.
const COMMIT_LIMITS: &str = "set local statement_timeout = '30s'; set local lock_timeout = '10s';
    set local idle_in_transaction_session_timeout = '30s'";

/// What goes through whole tables takes as long as they are big.
const SCAN_LIMITS: &str = "set local statement_timeout = '1h'; set local lock_timeout = '10s';
    set local idle_in_transaction_session_timeout = '30s'";

/// The transaction that holds the lock is idle by design, for as long as the pass lasts; only a
/// host that does not even acknowledge any more is given up, after some forty seconds.
const HOLD_LOCK: &str = "begin; set local idle_in_transaction_session_timeout = 0;
    set local tcp_keepalives_idle = 10; set local tcp_keepalives_interval = 10;
    set local tcp_keepalives_count = 3";

/// Whether this role may go on where the last step ended, and who may if it may not.
const SCHEMA_RIGHTS: &str = "select current_user::text as role,
        coalesce(has_schema_privilege(current_schema(), 'create'), false)
            and coalesce(pg_has_role(recorded.relowner, 'usage'), true) as may_change,
        pg_get_userbyid(recorded.relowner)::text as owner
    from (select 1) as one
    left join pg_class recorded
        on recorded.relname = 'kalshi_ingest_migrations' and pg_table_is_visible(recorded.oid)";

/// A store on a server.
pub(super) struct PostgresStore {
    target: Target,
    client: Client,
}

/// A connection of its own, in a transaction that holds the advisory lock. Transaction-scoped,
/// because session locks are not held behind a pooler; gone with the connection.
struct AdvisoryLock(Client);

impl Lock for AdvisoryLock {}

impl Drop for AdvisoryLock {
    /// Given free before we go on: a connection that is merely closed is noticed by a busy server
    /// only after a while, and the next pass would find the lock taken.
    fn drop(&mut self) {
        if let Err(error) = self.0.batch_execute("rollback") {
            log::debug!("the lock goes with its connection: {error}");
        }
    }
}

/// Names what was attempted and sorts the cause.
fn because(what: &str) -> impl Fn(postgres::Error) -> Failure + '_ {
    move |error| {
        let kind = match error.code().map(postgres::error::SqlState::code) {
            // A statement given up for its time limit would meet it again.
            Some("57014") => Kind::StoreUnavailable,
            None if is_lost(&error) => Kind::StoreInterrupted,
            // A transaction that lost to another one, or waited too long for it or for us; a
            // server that is not the primary any more.
            Some("40001" | "40P01" | "55P03" | "25P03" | "25006") => Kind::StoreInterrupted,
            Some(code) if ["08", "57"].iter().any(|class| code.starts_with(class)) => {
                Kind::StoreInterrupted
            }
            // Out of connections, memory or disk; or words that the client does not know.
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
    pub(super) fn connect(target: &Target) -> Result<PostgresStore, Failure> {
        Ok(PostgresStore { client: target.connect()?, target: target.clone() })
    }

    fn applied(client: &mut impl postgres::GenericClient) -> Result<Vec<Applied>, postgres::Error> {
        // Not to_regclass: a session that once looked in vain may remember that, even after it
        // has waited for the lock of the one who made the table.
        let exists = "select exists (select from pg_class
            where relname = 'kalshi_ingest_migrations' and pg_table_is_visible(oid))";
        if !client.query_typed(exists, &[])?.iter().any(|row| row.get(0)) {
            return Ok(Vec::new());
        }
        let recorded = "select name, checksum from kalshi_ingest_migrations order by name";
        let rows = client.query_typed(recorded, &[])?;
        Ok(rows.iter().map(|row| Applied { name: row.get(0), checksum: row.get(1) }).collect())
    }

    /// Events are kept as received, so the database must be able to hold any text.
    fn check_encoding(client: &mut impl postgres::GenericClient) -> Result<(), Failure> {
        let row = client
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

    /// A role that only works here must not fail somewhere in the middle, with the server's words.
    fn check_rights(transaction: &mut Transaction<'_>, next: &Migration) -> Result<(), Failure> {
        let what = "asking what the role may do";
        let row = transaction.query_typed_one(SCHEMA_RIGHTS, &[]).map_err(because(what))?;
        if row.get("may_change") {
            return Ok(());
        }
        let (role, owner): (&str, Option<&str>) = (row.get("role"), row.get("owner"));
        Err(Failure::new(
            Kind::StoreRefused,
            format!(
                "the schema is not up to date (step {} is next), and {role} may not change it; \
                 run `kalshi-ingest migrate` as {}",
                next.name,
                owner.unwrap_or("a role that may create tables there"),
            ),
        ))
    }

    /// A transaction that nobody else is in who names the same lock: what it compares with
    /// stays as it is. Each of its statements sees what was committed before that statement,
    /// whatever the server's default, since the wait for the lock is over by then.
    fn alone(&mut self, lock: &str) -> Result<Transaction<'_>, postgres::Error> {
        let isolation = IsolationLevel::ReadCommitted;
        let mut transaction = self.client.build_transaction().isolation_level(isolation).start()?;
        transaction.batch_execute(COMMIT_LIMITS)?;
        transaction.execute_typed(
            "select pg_advisory_xact_lock(hashtextextended('kalshi-ingest writes ' || $1, 0))",
            &[(&lock, Type::TEXT)],
        )?;
        Ok(transaction)
    }

    /// Does `work` in one transaction with these limits.
    fn within<T>(
        &mut self,
        what: &str,
        limits: &str,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, postgres::Error>,
    ) -> Result<T, Failure> {
        let mut transaction = self.client.transaction().map_err(because(what))?;
        transaction.batch_execute(limits).map_err(because(what))?;
        let done = work(&mut transaction).map_err(because(what))?;
        transaction.commit().map_err(because(what))?;
        Ok(done)
    }

    fn load(&mut self, tickers: &[&str]) -> Result<Vec<Checkpoint>, Failure> {
        self.client
            .query_typed(
                include_str!("../../../sql/postgres/load_checkpoints.sql"),
                &[(&SOURCE, Type::TEXT), (&tickers, Type::TEXT_ARRAY)],
            )
            .map_err(because("loading checkpoints"))?
            .iter()
            .map(rows::checkpoint)
            .collect()
    }
}

impl Store for PostgresStore {
    fn migrate(&mut self, now: Timestamp) -> Result<Vec<&'static str>, Failure> {
        let what = "migrating the schema";
        let applied = Self::applied(&mut self.client).map_err(because(what))?;
        if pending(MIGRATIONS, &applied)?.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.client.transaction().map_err(because(what))?;
        transaction
            .execute_typed("select pg_advisory_xact_lock($1)", &[(&MIGRATION_LOCK, Type::INT8)])
            .map_err(because(what))?;
        Self::check_encoding(&mut transaction)?;
        // Again, now that nobody else can be at it.
        let applied = Self::applied(&mut transaction).map_err(because(what))?;
        let steps = pending(MIGRATIONS, &applied)?;
        let Some(next) = steps.first() else { return Ok(Vec::new()) };
        Self::check_rights(&mut transaction, next)?;
        transaction
            .batch_execute(
                "create table if not exists kalshi_ingest_migrations (
                    name text collate \"C\" primary key, checksum text not null, applied_at timestamptz not null)",
            )
            .map_err(because(what))?;
        for step in steps {
            let what = format!("schema step {}", step.name);
            transaction.batch_execute(step.sql).map_err(because(&what))?;
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
        transaction.commit().map_err(because(what))?;
        Ok(steps.iter().map(|step| step.name).collect())
    }

    fn check_schema(&mut self) -> Result<(), Failure> {
        let applied = Self::applied(&mut self.client).map_err(because("looking at the schema"))?;
        migrate::current(MIGRATIONS, &applied)
    }

    fn reconnect(&mut self) -> Result<(), Failure> {
        self.client = self.target.connect()?;
        Ok(())
    }

    fn begin_run(&mut self, command: &str, now: Timestamp) -> Result<RunId, Failure> {
        self.client
            .query_typed_one(
                include_str!("../../../sql/postgres/begin_run.sql"),
                &[(&command, Type::TEXT), (&now.to_chrono(), Type::TIMESTAMPTZ)],
            )
            .map(|row| row.get(0))
            .map_err(because("recording the run"))
    }

    fn finish_run(&mut self, run: RunId, record: &RunRecord) -> Result<(), Failure> {
        self.within("recording the end of the run", COMMIT_LIMITS, |transaction| {
            oversight::finish_run(transaction, run, record)
        })
    }

    fn try_lock(&mut self, name: &str) -> Result<Option<Box<dyn Lock>>, Failure> {
        let what = "taking the lock";
        let mut client = self.target.connect()?;
        client.batch_execute(HOLD_LOCK).map_err(because(what))?;
        let is_ours: bool = client
            .query_typed_one(
                "select pg_try_advisory_xact_lock(hashtextextended('kalshi-ingest ' || $1, 0))",
                &[(&name, Type::TEXT)],
            )
            .map_err(because(what))?
            .get(0);
        Ok(if is_ours { Some(Box::new(AdvisoryLock(client))) } else { None })
    }

    fn checkpoints(
        &mut self,
        markets: &[Ticker],
        now: Timestamp,
    ) -> Result<Vec<Checkpoint>, Failure> {
        let tickers: Vec<&str> = markets.iter().map(Ticker::as_str).collect();
        let known = self.load(&tickers)?;
        if known.len() == markets.len() {
            return Ok(known);
        }
        self.client
            .execute_typed(
                include_str!("../../../sql/postgres/select_markets.sql"),
                &[
                    (&SOURCE, Type::TEXT),
                    (&tickers, Type::TEXT_ARRAY),
                    (&now.to_chrono(), Type::TIMESTAMPTZ),
                ],
            )
            .map_err(because("recording the selected markets"))?;
        self.load(&tickers)
    }

    fn commit(&mut self, run: RunId, commit: &Commit) -> Result<Receipt, Failure> {
        self.within("storing trades", COMMIT_LIMITS, |transaction| {
            commit::write(transaction, run, commit)
        })
    }

    fn report(&mut self, now: Timestamp) -> Result<Vec<MarketReport>, Failure> {
        self.client
            .query_typed(
                include_str!("../../../sql/postgres/report_markets.sql"),
                &[(&SOURCE, Type::TEXT), (&now.before(REPORT_SPAN).to_chrono(), Type::TIMESTAMPTZ)],
            )
            .map_err(because("reading the status"))?
            .iter()
            .map(|row| {
                Ok(MarketReport {
                    checkpoint: rows::checkpoint(row)?,
                    trades_total: row.get("trades_total"),
                    trades_last_hour: row.get("trades_last_hour"),
                })
            })
            .collect()
    }
}
