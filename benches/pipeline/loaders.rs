//! PostgreSQL with the settings of a benchmark, and its own bulk loader: the finished rows, copied by psql.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use postgres::{Client, NoTls};

use crate::child;
use crate::postgres_server::Server;
use crate::world::{Checksum, Fields, Stored, raw_line, trade_line};

/// Both tables.
const TABLES: [&str; 2] = ["prediction_market_trades", "raw_kalshi_trade_events"];

/// Tests turn these off. A ratio counts only if both sides wait for the disk. There is room for a whole load between
/// two checkpoints, so that none falls into one side by chance.
const SETTINGS: [&str; 6] = [
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "shared_buffers=512MB",
    "max_wal_size=16GB",
    "checkpoint_timeout=1h",
];

/// The server; started at the first call, unless `TEST_DATABASE_URL` names one that runs already.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    if std::env::var_os("TEST_DATABASE_URL").is_some() {
        return crate::postgres_server::server();
    }
    SERVER.get_or_init(|| Server::start_with(&SETTINGS, |_, _| {}))
}

/// The version of the server.
pub(crate) fn server_version() -> String {
    text(&server().url("postgres"), "select current_setting('server_version')")
}

/// A database with our tables and nothing in them; it is dropped with the value.
pub(crate) struct Database {
    pub(crate) url: String,
    name: String,
}

impl Database {
    /// A copy of one that was migrated.
    pub(crate) fn migrated() -> Database {
        static TEMPLATE: OnceLock<String> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| {
            let url = server().create_database();
            child::seconds(&mut child::ours(&["migrate", "--database-url", &url]));
            name_of(&url)
        });
        let url = server().copy(template);
        let name = name_of(&url);
        Database { url, name }
    }

    /// A new connection.
    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.url, NoTls).unwrap()
    }

    /// Does the work after a checkpoint of the server. Returns its result and the bytes that it wrote to the log.
    pub(crate) fn logged<T>(&self, work: impl FnOnce() -> T) -> (T, f64) {
        let mut client = self.client();
        client.batch_execute("checkpoint").unwrap();
        let mut position = || -> String {
            client.query_one("select pg_current_wal_lsn()::text", &[]).unwrap().get(0)
        };
        let before = position();
        let done = work();
        let after = position();
        let query = format!("select ('{after}'::pg_lsn - '{before}'::pg_lsn)::float8");
        (done, client.query_one(&query, &[]).unwrap().get(0))
    }

    /// The content of both tables.
    pub(crate) fn stored(&self) -> Stored {
        let mut client = self.client();
        let trades = "select trade_id::text, market_ticker, side, (price * 10000)::bigint,
                             (quantity * 100)::bigint, (extract(epoch from traded_at) * 1000000)::bigint, is_block_trade
                      from prediction_market_trades order by trade_id";
        let trades = client.query(trades, &[]).unwrap();
        let trades = Checksum::of(trades.iter().map(|row| {
            trade_line(&Fields {
                trade_id: row.get(0),
                market: row.get(1),
                side: row.get(2),
                price_e4: row.get(3),
                quantity_e2: row.get(4),
                traded_us: row.get(5),
                is_block_trade: row.get(6),
            })
        }));
        let events =
            "select trade_id::text, payload::text from raw_kalshi_trade_events order by trade_id";
        let events = client.query(events, &[]).unwrap();
        let events = events.iter().map(|row| raw_line(row.get(0), row.get(1)));
        Stored::new(trades, Checksum::of(events))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = Client::connect(&server().url("postgres"), NoTls)
            .and_then(|mut client| client.batch_execute(&format!("drop database {}", self.name)));
        if let Err(error) = dropped {
            eprintln!("{} stays: {error}", self.name);
        }
    }
}

fn text(url: &str, query: &str) -> String {
    Client::connect(url, NoTls).unwrap().query_one(query, &[]).unwrap().get(0)
}

fn name_of(url: &str) -> String {
    text(url, "select current_database()::text")
}

/// The order of the rows: newest first, as the exchange lists them.
const ARRIVAL: &str = "traded_at desc, trade_id";

/// Rows of a batch of the physical bound.
const BATCH_ROWS: usize = 50_000;

/// Scripts for psql that load the finished rows, and the number of rows of each table.
pub(crate) struct Finished {
    csv: PathBuf,
    binary: PathBuf,
    /// In batches that are sorted by the key: all, and the halves for two connections.
    sorted: PathBuf,
    halves: [PathBuf; 2],
    rows: i64,
}

/// The result of one load.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) seconds: f64,
    pub(crate) wal_bytes: f64,
}

impl Finished {
    /// Writes the rows of this database to files of this directory.
    pub(crate) fn export(from: &Database, directory: &Path) -> Finished {
        let mut client = from.client();
        client
            .batch_execute(&format!(
                "create table arrival as
                 select trade_id, row_number() over (order by {ARRIVAL}) as number from prediction_market_trades;
                 analyze arrival, prediction_market_trades, raw_kalshi_trade_events"
            ))
            .unwrap();
        let rows: i64 = client.query_one("select count(*) from arrival", &[]).unwrap().get(0);
        let columns = TABLES.map(|table| columns(&mut client, table));
        let mut export = Exporter { directory, columns, script: String::new() };
        let csv = export.files("csv", "csv", "true", "number");
        let binary = export.files("binary", "(format binary)", "true", "number");
        let batches = usize::try_from(rows).unwrap().div_ceil(BATCH_ROWS);
        let batches: Vec<String> = (0..batches)
            .map(|batch| {
                let condition = format!("(number - 1) / {BATCH_ROWS} = {batch}");
                let copy = export.files(
                    &format!("sorted-{batch}"),
                    "(format binary)",
                    &condition,
                    "trade_id",
                );
                format!("begin;\n{copy}commit;\n")
            })
            .collect();
        let every =
            |step, first| batches.iter().skip(first).step_by(step).cloned().collect::<String>();
        let write = |name: &str, script: String| {
            let path = directory.join(name);
            std::fs::write(&path, script).unwrap();
            path
        };
        let finished = Finished {
            csv: write("csv.sql", csv),
            binary: write("binary.sql", binary),
            sorted: write("sorted.sql", every(1, 0)),
            halves: [write("even.sql", every(2, 0)), write("odd.sql", every(2, 1))],
            rows,
        };
        finish(psql(&from.url, &write("export.sql", export.script)));
        client.batch_execute("drop table arrival").unwrap();
        finished
    }

    /// `\copy` of CSV.
    pub(crate) fn copy_csv(&self) -> Load {
        self.load(&[&self.csv])
    }

    /// COPY BINARY by one connection, in the order of arrival.
    pub(crate) fn copy_binary(&self) -> Load {
        self.load(&[&self.binary])
    }

    /// The physical bound with one connection: binary, sorted by key in batches.
    pub(crate) fn bound_of_one(&self) -> Load {
        self.load(&[&self.sorted])
    }

    /// The same with two connections.
    pub(crate) fn bound_of_two(&self) -> Load {
        self.load(&[&self.halves[0], &self.halves[1]])
    }

    /// Runs the scripts at once into an empty database.
    fn load(&self, scripts: &[&PathBuf]) -> Load {
        let database = Database::migrated();
        let (seconds, wal_bytes) = database.logged(|| {
            let started = Instant::now();
            let running: Vec<Child> =
                scripts.iter().map(|script| psql(&database.url, script)).collect();
            running.into_iter().for_each(finish);
            started.elapsed().as_secs_f64()
        });
        let mut client = database.client();
        for table in TABLES {
            let query = format!("select count(*) from {table}");
            let count: i64 = client.query_one(&query, &[]).unwrap().get(0);
            assert_eq!(count, self.rows, "{table}, loaded by {scripts:?}");
        }
        Load { seconds, wal_bytes }
    }
}

/// The columns that a loader fills; the database makes the others itself.
fn columns(client: &mut Client, table: &str) -> Vec<String> {
    let query = "select column_name::text from information_schema.columns
                 where table_name = $1 and table_schema = current_schema() and is_generated = 'NEVER' and is_identity = 'NO'
                 order by ordinal_position";
    let rows = client.query(query, &[&table]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

struct Exporter<'a> {
    directory: &'a Path,
    columns: [Vec<String>; 2],
    /// The commands that write the files.
    script: String,
}

impl Exporter<'_> {
    /// Has the rows of both tables written. Returns the commands that read them.
    fn files(&mut self, name: &str, format: &str, condition: &str, order: &str) -> String {
        let mut script = String::new();
        for (table, columns) in TABLES.iter().zip(&self.columns) {
            let file = self.directory.join(format!("{table}.{name}"));
            let file = file.display();
            let selected: Vec<String> =
                columns.iter().map(|column| format!("t.{column}")).collect();
            writeln!(
                self.script,
                "\\copy (select {} from {table} t join arrival a using (trade_id) where {condition} \
                 order by a.{order}) to '{file}' {format}",
                selected.join(", "),
            )
            .unwrap();
            writeln!(script, "\\copy {table} ({}) from '{file}' {format}", columns.join(", "))
                .unwrap();
        }
        script
    }
}

fn psql(url: &str, script: &Path) -> Child {
    let mut psql = Command::new("psql");
    psql.args(["-q", "-X", "-v", "ON_ERROR_STOP=1", "-f"]).arg(script).arg(url);
    psql.stdout(Stdio::null()).spawn().unwrap()
}

fn finish(mut child: Child) {
    let status = child.wait().unwrap();
    assert!(status.success(), "psql: {status}");
}
