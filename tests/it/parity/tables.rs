//! Every row of every table, in words that do not tell the database.

use std::collections::BTreeMap;

use postgres::{Client, NoTls};
use rusqlite::Connection;
use rusqlite::types::Value;

/// Each table's columns, and its rows, sorted.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tables(pub(crate) BTreeMap<String, Table>);

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Numbers of rows: the databases count differently over what was refused. Rows are in their order.
const NUMBERS: [&str; 4] = ["event_id", "change_id", "score_id", "correction_id"];

pub(crate) const NULL: &str = "null";

impl Tables {
    /// Without what the two databases need not agree on: numbers of rows, the dialect's own files.
    pub(crate) fn arranged(mut self) -> Tables {
        let events = self.0.get("raw_kalshi_trade_events").map(|raw| raw.column("event_id"));
        let events: Vec<i64> =
            events.into_iter().flatten().map(|event| event.parse().unwrap()).collect();
        for (name, table) in &mut self.0 {
            table.arrange(name, &events);
        }
        self
    }
}

impl Table {
    fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known == column)
    }

    fn column(&self, column: &str) -> Vec<String> {
        let at = self.place(column).unwrap();
        self.rows.iter().map(|row| row[at].clone()).collect()
    }

    fn drop_column(&mut self, column: &str) {
        if let Some(at) = self.place(column) {
            self.columns.remove(at);
            for row in &mut self.rows {
                row.remove(at);
            }
        }
    }

    fn arrange(&mut self, name: &str, events: &[i64]) {
        self.drop_column("checksum");
        if let Some(at) = self.place("after_event") {
            // A number of a raw event is how many of those that are there it covers.
            for row in &mut self.rows {
                let last: i64 = row[at].parse().unwrap();
                row[at] = format!("{} done", events.iter().filter(|event| **event <= last).count());
            }
        }
        let number = NUMBERS.into_iter().find_map(|number| Some((number, self.place(number)?)));
        if let Some((number, at)) = number {
            self.rows.sort_by_key(|row| row[at].parse::<i64>().unwrap());
            self.drop_column(number);
        }
        // Changes of one call have no order among themselves.
        if number.is_none() || ["market_status_changes", "market_changes"].contains(&name) {
            self.rows.sort();
        }
    }
}

pub(crate) fn of_sqlite(path: &str) -> Tables {
    let connection = Connection::open(path).unwrap();
    let texts = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let mut tables = Tables::default();
    for name in texts("select name from sqlite_schema where type = 'table' order by name") {
        // Generated columns say what the scaled one beside them says.
        let mut columns =
            texts(&format!("select name from pragma_table_xinfo('{name}') where hidden = 0"));
        columns.sort_by(|a, b| unscaled(a).0.cmp(unscaled(b).0));
        let sql = format!("select {} from \"{name}\"", columns.join(", "));
        let mut statement = connection.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| {
            (0..columns.len())
                .map(|at| Ok(of_value(&columns[at], row.get::<_, Value>(at)?)))
                .collect::<rusqlite::Result<Vec<String>>>()
        });
        let mut rows: Vec<Vec<String>> = rows.unwrap().map(Result::unwrap).collect();
        rows.sort();
        let columns = columns.iter().map(|column| unscaled(column).0.to_owned()).collect();
        tables.0.insert(name, Table { columns, rows });
    }
    tables
}

/// A column's name without its scale, and the scale.
fn unscaled(column: &str) -> (&str, Option<usize>) {
    match column.rsplit_once("_e") {
        Some((name, digits)) if digits.len() == 1 => (name, digits.parse().ok()),
        _ => (column, None),
    }
}

fn of_value(column: &str, value: Value) -> String {
    match (value, unscaled(column).1) {
        (Value::Null, _) => NULL.to_owned(),
        (Value::Integer(number), None) => number.to_string(),
        (Value::Integer(number), Some(scale)) => {
            let unit = 10_u64.pow(u32::try_from(scale).unwrap());
            let (whole, part) = (number.unsigned_abs() / unit, number.unsigned_abs() % unit);
            format!("{}{whole}.{part:0scale$}", if number < 0 { "-" } else { "" })
        }
        (Value::Real(number), _) => format!("{number:?}"),
        (Value::Text(text), _) => text,
        (Value::Blob(bytes), _) => format!("{bytes:?}"),
    }
}

pub(crate) fn of_postgres(client: &mut Client) -> Tables {
    let columns = "select table_name::text, column_name::text, data_type::text
        from information_schema.columns
        join pg_tables on schemaname = table_schema and tablename = table_name
        where table_schema = 'public'
        order by table_name collate \"C\", column_name collate \"C\"";
    let mut described: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for row in client.query(columns, &[]).unwrap() {
        described.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
    }
    let mut tables = Tables::default();
    for (name, described) in described {
        let expressions: Vec<String> =
            described.iter().map(|(column, kind)| expression(column, kind)).collect();
        let sql = format!("select {} from \"{name}\"", expressions.join(", "));
        let answer = client.query(&sql, &[]).unwrap();
        let cell = |row: &postgres::Row, at: usize| match row.get::<_, Option<String>>(at) {
            None => NULL.to_owned(),
            Some(text) if described[at].1 == "double precision" => {
                format!("{:?}", text.parse::<f64>().unwrap())
            }
            Some(text) => text,
        };
        let mut rows: Vec<Vec<String>> = answer
            .iter()
            .map(|row| (0..described.len()).map(|at| cell(row, at)).collect())
            .collect();
        rows.sort();
        let columns = described.iter().map(|(column, _)| column.clone()).collect();
        tables.0.insert(name, Table { columns, rows });
    }
    tables
}

fn expression(column: &str, kind: &str) -> String {
    match kind {
        "timestamp with time zone" => {
            format!("to_char({column} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
        }
        "boolean" => format!("{column}::integer::text"),
        _ => format!("{column}::text"),
    }
}

/// Our tables of one schema.
fn names(client: &mut Client, schema: &str) -> Vec<String> {
    let owned = "select tablename::text from pg_tables
        where schemaname = $1 and tablename <> 'kalshi_ingest_migrations'";
    client.query(owned, &[&schema]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// Remembers what the migration itself has written.
pub(crate) fn keep_postgres(client: &mut Client) {
    let copies = names(client, "public")
        .into_iter()
        .map(|name| format!("create table fresh.\"{name}\" as table public.\"{name}\";"));
    let copies: String = copies.collect();
    client.batch_execute(&format!("create schema fresh; {copies}")).unwrap();
}

/// Makes every table what it was when it was kept, and has their numbers begin anew; the tables of
/// trades besides the usual one go.
pub(crate) fn renew_postgres(client: &mut Client) {
    let fresh = names(client, "fresh");
    let renewals = names(client, "public").into_iter().map(|name| {
        if fresh.contains(&name) {
            format!(
                "delete from \"{name}\";
                 insert into \"{name}\" overriding system value table fresh.\"{name}\";"
            )
        } else {
            format!("drop table \"{name}\";")
        }
    });
    let renewals: String = renewals.collect();
    let numbers =
        "select setval(pg_get_serial_sequence(quote_ident(table_name), column_name), 1, false)
        from information_schema.columns where table_schema = 'public' and is_identity = 'YES'";
    client.batch_execute(&format!("{renewals} {numbers}")).unwrap();
}

pub(crate) fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap()
}
