//! Copies the data of a real server into the database in memory that the checks read, because the checks use one
//! dialect.

use postgres::types::ToSql;
use postgres::{Client, Config, NoTls, Row};
use rusqlite::{Connection, params_from_iter};

use crate::bench::tables;

/// Copies from a server into a database in memory.
pub struct Mirror {
    config: Config,
    client: Client,
    copy: Connection,
    tables: Vec<Table>,
}

/// One table, with the statements that read it there and write it here.
struct Table {
    name: String,
    /// The expressions that read its cells as text, in SQLite's format.
    read: String,
    write: String,
}

/// The tables that are checked after each commit; the others wait for the end of the command.
const AT_COMMIT: [&str; 2] = ["ingestion_checkpoints", "claim_corrections"];

const COLUMNS: &str = "select column_name::text, data_type::text from information_schema.columns
    where table_schema = current_schema() and table_name = $1";

/// The tables of the schema. Other tables belong to a replay.
const OURS: &str = "select tablename::text from pg_tables
    where schemaname = current_schema() and tablename <> 'kalshi_ingest_migrations'";

impl Mirror {
    /// Makes a mirror of a server's database in `copy`; both have our tables.
    pub fn of(config: Config, copy: Connection) -> Result<Mirror, String> {
        let mut client = connect(&config)?;
        let names = tables(&copy).map_err(words)?;
        copy.set_prepared_statement_cache_capacity(2 * names.len());
        let tables = names.into_iter().map(|name| Table::of(name, &mut client, &copy));
        let tables = tables.collect::<Result<_, String>>()?;
        Ok(Mirror { config, client, copy, tables })
    }

    /// Queries the server, and repeats the query if the server was down meanwhile.
    pub fn query(
        &mut self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, String> {
        match self.client.query(sql, parameters) {
            Err(_) if self.client.is_closed() => {
                self.client = connect(&self.config)?;
                self.client.query(sql, parameters).map_err(words)
            }
            answer => answer.map_err(words),
        }
    }

    /// Empties the server's tables.
    pub fn clear(&mut self) -> Result<(), String> {
        let there = self.query(OURS, &[])?;
        let sql = there.iter().map(|row| {
            let name: &str = row.get(0);
            let is_known = self.tables.iter().any(|table| table.name == name);
            format!("{} \"{name}\";", if is_known { "delete from" } else { "drop table" })
        });
        let sql: String = sql.collect();
        self.client.batch_execute(&sql).map_err(words)
    }

    /// Copies the tables that are checked after a commit.
    pub fn after_commit(&mut self) -> Result<(), String> {
        self.copy(|name| AT_COMMIT.contains(&name))
    }

    /// Copies all tables.
    pub fn after_command(&mut self) -> Result<(), String> {
        self.copy(|_| true)
    }

    fn copy(&mut self, is_wanted: impl Fn(&str) -> bool) -> Result<(), String> {
        let wanted: Vec<(usize, &Table)> =
            self.tables.iter().enumerate().filter(|(_, table)| is_wanted(&table.name)).collect();
        // One query reads all tables, so that the copy is of one instant.
        let parts = wanted.iter().map(|(place, Table { name, read, .. })| {
            format!("select {place} as place, array[{read}] as cells from \"{name}\"")
        });
        let parts: Vec<String> = parts.collect();
        let deletes = wanted.iter().map(|(_, table)| format!("delete from \"{}\";", table.name));
        let deletes: String = deletes.collect();
        let rows = self.query(&parts.join(" union all "), &[])?;
        let here = self.copy.transaction().map_err(words)?;
        here.execute_batch(&deletes).map_err(words)?;
        for row in rows {
            let (place, cells): (i32, Vec<Option<String>>) = (row.get(0), row.get(1));
            let table = usize::try_from(place).ok().and_then(|place| self.tables.get(place));
            let table = table.ok_or("a row of no table")?;
            let mut insert = here.prepare_cached(&table.write).map_err(words)?;
            insert.execute(params_from_iter(cells)).map_err(words)?;
        }
        here.commit().map_err(words)
    }
}

impl Table {
    fn of(name: String, client: &mut Client, copy: &Connection) -> Result<Table, String> {
        // Generated columns only repeat other columns.
        let sql = "select name from pragma_table_xinfo(?1) where hidden = 0";
        let mut statement = copy.prepare(sql).map_err(words)?;
        let columns = statement.query_map([&name], |row| row.get(0)).map_err(words)?;
        let columns = columns.collect::<rusqlite::Result<Vec<String>>>().map_err(words)?;
        let kinds = client.query(COLUMNS, &[&name]).map_err(words)?;
        let expression = |column: &String| {
            let (unscaled, scale) = match column.rsplit_once("_e") {
                Some((name, digits)) if digits.len() == 1 => (name, digits.parse().ok()),
                _ => (column.as_str(), None::<u32>),
            };
            let kind = kinds.iter().find(|row| row.get::<_, &str>(0) == unscaled);
            let kind: &str = kind.map(|row| row.get(1)).ok_or_else(|| {
                format!("{name} has no column {unscaled} in PostgreSQL: the schemas differ")
            })?;
            Ok(match (kind, scale) {
                ("timestamp with time zone", _) => {
                    let form = "YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"";
                    format!("to_char({unscaled} at time zone 'UTC', '{form}')")
                }
                ("boolean", _) => format!("{unscaled}::integer::text"),
                (_, Some(scale)) => format!("({unscaled} * {})::bigint::text", 10_u64.pow(scale)),
                _ => format!("{unscaled}::text"),
            })
        };
        let read = columns.iter().map(expression).collect::<Result<Vec<_>, String>>()?.join(", ");
        let marks = vec!["?"; columns.len()].join(", ");
        Ok(Table {
            read,
            write: format!("insert into \"{name}\" ({}) values ({marks})", columns.join(", ")),
            name,
        })
    }
}

/// A connection beside the lines of the processes.
pub fn connect(config: &Config) -> Result<Client, String> {
    config.connect(NoTls).map_err(words)
}

/// An error with its causes.
pub fn words(error: impl std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}
