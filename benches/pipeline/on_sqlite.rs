//! `run` into SQLite beside `.import` of its own shell.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use kalshi_ingest::domain::time::Timestamp;
use rusqlite::Connection;

use crate::child::{self, Usage};
use crate::table::{Goal, Table, each, float};
use crate::world::{Checksum, Fields, Stored, raw_line, trade_line};
use crate::{Setting, passes};

const TRADES: &str = "prediction_market_trades";
const EVENTS: &str = "raw_kalshi_trade_events";

/// The runs of one round, one after the other.
struct Round {
    ours: Usage,
    again: f64,
    import: f64,
}

pub(crate) fn measure(setting: &Setting<'_>, table: &mut Table) {
    let world = &setting.world;
    let file = File::new(setting.directory, "finished.db");
    child::seconds(&mut passes::whole(world, &file.url()));
    let finished = Finished::export(&file, setting.directory);
    let round = |_| {
        let ours = File::new(setting.directory, "ours.db");
        let pass = passes::whole(world, &ours.url());
        let usage = child::usage(&pass);
        world.check(&ours.stored(), "a pass into SQLite");
        let again = child::usage(&pass).seconds;
        world.check(&ours.stored(), "a second pass into SQLite");
        drop(ours);
        Round { ours: usage, again, import: finished.import(setting.directory) }
    };
    let rounds: Vec<Round> = (0..setting.pairs).map(round).collect();
    let trades = float(world.trades);
    let mut row = |name: &str, unit: &str, goal: Goal, figure: &dyn Fn(&Round) -> f64| {
        table.row(&format!("SQLite: {name}"), unit, goal, each(&rounds, figure));
    };
    row("rate of `run` ÷ `.import`", "", Goal::AtLeast(1.7), &|it| it.import / it.ours.seconds);
    row("time of `run` with duplicates only ÷ `.import`", "", Goal::None, &|it| {
        it.again / it.import
    });
    row("processor time of `run`, a trade", " µs", Goal::None, &|it| {
        it.ours.cpu_seconds / trades * 1e6
    });
    row("peak memory of `run`", " MB", Goal::AtMost(64.0), &|it| it.ours.peak_mb);
    row("rate of `run`, thousand trades a second", "", Goal::None, &|it| {
        trades / it.ours.seconds / 1e3
    });
}

/// A database that is removed with the value.
pub(crate) struct File(PathBuf);

impl File {
    pub(crate) fn new(directory: &Path, name: &str) -> File {
        File(directory.join(name))
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.0.display())
    }

    pub(crate) fn open(&self) -> Connection {
        Connection::open(&self.0).unwrap()
    }

    /// The content of both tables.
    pub(crate) fn stored(&self) -> Stored {
        let connection = self.open();
        let query = format!(
            "select trade_id, market_ticker, side, price_e4, quantity_e2, traded_at, is_block_trade
             from {TRADES} order by trade_id"
        );
        let mut statement = connection.prepare(&query).unwrap();
        let trades = statement.query_map([], |row| {
            let traded_at: String = row.get(5)?;
            Ok(trade_line(&Fields {
                trade_id: row.get_ref(0)?.as_str()?,
                market: row.get_ref(1)?.as_str()?,
                side: row.get_ref(2)?.as_str()?,
                price_e4: row.get(3)?,
                quantity_e2: row.get(4)?,
                traded_us: Timestamp::parse_rfc3339(&traded_at).unwrap().micros(),
                is_block_trade: row.get(6)?,
            }))
        });
        let trades = Checksum::of(trades.unwrap().map(Result::unwrap));
        let query = format!("select trade_id, payload from {EVENTS} order by trade_id");
        let mut statement = connection.prepare(&query).unwrap();
        let events = statement.query_map([], |row| {
            Ok(raw_line(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?))
        });
        Stored::new(trades, Checksum::of(events.unwrap().map(Result::unwrap)))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", self.0.display()));
        }
    }
}

/// The finished rows of both tables as CSV, and their number.
struct Finished {
    files: [PathBuf; 2],
    rows: i64,
}

impl Finished {
    /// Writes the rows, newest first, as the exchange lists them.
    fn export(from: &File, directory: &Path) -> Finished {
        let files = [TRADES, EVENTS].map(|table| directory.join(format!("{table}.sqlite.csv")));
        let connection = from.open();
        let mut script = ".mode csv\n".to_owned();
        for (table, file) in [TRADES, EVENTS].iter().zip(&files) {
            let columns: Vec<String> = filled_columns(&connection, table)
                .into_iter()
                .map(|column| format!("x.{column}"))
                .collect();
            writeln!(
                script,
                ".output {}\nselect {} from {table} x join {TRADES} t using (trade_id)
                 order by t.traded_at desc, t.trade_id;",
                file.display(),
                columns.join(", "),
            )
            .unwrap();
        }
        shell(&from.0, &script);
        let count = format!("select count(*) from {TRADES}");
        Finished { files, rows: connection.query_row(&count, [], |row| row.get(0)).unwrap() }
    }

    /// Loads them into a new database; the seconds.
    fn import(&self, directory: &Path) -> f64 {
        let file = File::new(directory, "theirs.db");
        child::seconds(&mut child::ours(&["migrate", "--database-url", &file.url()]));
        spare(&file.open());
        let [trades, events] = self.files.each_ref().map(|file| file.display());
        let seconds = shell(
            &file.0,
            &format!(
                "pragma synchronous=normal;\n.mode csv\n.import {trades} {TRADES}\n.import {events} {EVENTS}\n"
            ),
        );
        let connection = file.open();
        for table in [TRADES, EVENTS] {
            let query = format!("select count(*) from {table}");
            let count: i64 = connection.query_row(&query, [], |row| row.get(0)).unwrap();
            assert_eq!(count, self.rows, "{table}, imported");
        }
        seconds
    }
}

/// The reason of a refusal; it is null in every finished row.
const NULL_COLUMN: &str = "rejected";

/// The columns that a loader fills.
fn filled_columns(connection: &Connection, table: &str) -> Vec<String> {
    let query = format!(
        "select name from pragma_table_xinfo('{table}') where hidden = 0 and name <> '{NULL_COLUMN}' order by cid"
    );
    list(connection, &query)
}

/// Takes away the columns that `.import` cannot leave out: it fills every column, also computed ones, and knows no
/// null. The loader is spared their work.
fn spare(connection: &Connection) {
    for view in list(connection, "select name from sqlite_schema where type = 'view'") {
        connection.execute_batch(&format!("drop view {view}")).unwrap();
    }
    let indexes = format!(
        "select name from sqlite_schema where type = 'index' and tbl_name = '{EVENTS}' and sql like '%{NULL_COLUMN}%'"
    );
    for index in list(connection, &indexes) {
        connection.execute_batch(&format!("drop index {index}")).unwrap();
    }
    for table in [TRADES, EVENTS] {
        let columns = format!(
            "select name from pragma_table_xinfo('{table}') where hidden > 0 or name = '{NULL_COLUMN}'"
        );
        for column in list(connection, &columns) {
            connection.execute_batch(&format!("alter table {table} drop column {column}")).unwrap();
        }
    }
}

fn list(connection: &Connection, query: &str) -> Vec<String> {
    let mut statement = connection.prepare(query).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Runs the script in SQLite's shell; the seconds.
fn shell(database: &Path, script: &str) -> f64 {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), script).unwrap();
    let script = std::fs::File::open(file.path()).unwrap();
    child::seconds(Command::new("sqlite3").arg("-bail").arg(database).stdin(script))
}
