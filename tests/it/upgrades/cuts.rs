//! A migration that is cut at any statement. What cuts it is something in the way of just that
//! statement, or the death of the connection.

use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::failure::{Kind, one_line};

use super::fixtures::{dialect, fill, open, rows, schema, step, steps};
use crate::parity::tables::Tables;
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    a_migration_that_is_cut_at_any_statement_leaves_the_old_schema,
}

const NOW: Timestamp = Timestamp::from_seconds(1_785_003_600);

/// What is put in the way of a statement, and how it is taken away again.
struct Obstacle {
    put: String,
    take: String,
}

impl Obstacle {
    fn new(put: impl Into<String>, take: impl Into<String>) -> Obstacle {
        Obstacle { put: put.into(), take: take.into() }
    }

    /// A relation that has the name already.
    fn name(name: &str) -> Obstacle {
        Obstacle::new(format!("create table {name} (x integer)"), format!("drop table {name}"))
    }

    /// A trigger that refuses to have rows written.
    fn trigger(dialect: &str, table: &str, event: &str) -> Obstacle {
        if dialect == "sqlite" {
            let put = format!(
                "create trigger obstacle before {event} on {table} begin select raise(abort, 'cut'); end"
            );
            return Obstacle::new(put, "drop trigger obstacle");
        }
        Obstacle::new(
            format!(
                "create function obstacle() returns trigger language plpgsql
                     as $$ begin raise exception 'cut'; end $$;
                 create trigger obstacle before {event} on {table} execute function obstacle()"
            ),
            "drop function obstacle cascade",
        )
    }

    /// A comment has nothing to run into but an event trigger.
    fn comment() -> Obstacle {
        Obstacle::new(
            "create function obstacle() returns event_trigger language plpgsql
                 as $$ begin raise exception 'cut'; end $$;
             create event trigger obstacle on ddl_command_start when tag in ('COMMENT')
                 execute function obstacle()",
            "drop function obstacle cascade",
        )
    }

    /// A run whose count takes the sum of all beyond what a total can hold.
    fn total(dialect: &str) -> Obstacle {
        let system = if dialect == "sqlite" { "" } else { "overriding system value" };
        let at = "'2026-07-25T12:04:00.000000Z'";
        Obstacle::new(
            format!(
                "insert into ingestion_runs (run_id, command, started_at, finished_at, requests)
                 {system} values (900, 'run', {at}, {at}, 9223372036854775807)"
            ),
            "delete from ingestion_runs where run_id = 900",
        )
    }

    /// The table of trades has another name.
    fn other_table() -> Obstacle {
        Obstacle::new(
            "alter table prediction_market_trades rename to obstacle",
            "alter table obstacle rename to prediction_market_trades",
        )
    }

    /// A column of the table of trades has another name.
    fn other_column() -> Obstacle {
        let rename = "alter table prediction_market_trades rename column";
        Obstacle::new(
            format!("{rename} market_ticker to obstacle"),
            format!("{rename} obstacle to market_ticker"),
        )
    }

    /// What is in the way of this statement and of none before it.
    fn of(dialect: &str, statement: &str) -> Obstacle {
        let words: Vec<&str> = statement.split_whitespace().collect();
        match &words[..] {
            ["create", "table" | "view" | "index", name, ..]
            | ["create", "unique", "index", name, ..] => Obstacle::name(name),
            ["alter", "table", table, "add", "column", column, ..] => Obstacle::new(
                format!("alter table {table} add column {column} text"),
                format!("alter table {table} drop column {column}"),
            ),
            ["alter", "table", table, "drop", "column", column, ..] => {
                let column = column.trim_end_matches(',');
                let put = format!("create view obstacle as select {column} from {table}");
                Obstacle::new(put, "drop view obstacle")
            }
            ["update", table, ..] => Obstacle::trigger(dialect, table, "update"),
            ["insert", "into", "ingestion_totals", ..] => Obstacle::total(dialect),
            ["insert", "into", "trade_counts" | "trade_hours", ..] => Obstacle::other_column(),
            ["lock", "table", "prediction_market_trades", ..] => Obstacle::other_table(),
            ["comment", ..] => Obstacle::comment(),
            _ => panic!("nothing is known to be in the way of {statement}"),
        }
    }
}

/// The statements of a step, without comments. None of them has a semicolon or a comment in its words.
fn statements(sql: &str) -> Vec<String> {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let bare: String = lines.collect::<Vec<_>>().join("\n");
    let statements = bare.split(';').map(str::trim).filter(|statement| !statement.is_empty());
    statements.map(str::to_owned).collect()
}

/// All there is: schema and rows.
fn state(database: &Database) -> (Vec<Option<String>>, Tables) {
    (schema(database), rows(database))
}

#[track_caller]
fn assert_same(now: &(Vec<Option<String>>, Tables), old: &(Vec<Option<String>>, Tables), at: &str) {
    let new = now.0.iter().find(|part| !old.0.contains(part));
    let gone = old.0.iter().find(|part| !now.0.contains(part));
    assert!(new.is_none() && gone.is_none(), "{at}: {new:?} is new, {gone:?} is gone");
    assert!(now.1 == old.1, "{at}: the rows are others");
}

fn a_migration_that_is_cut_at_any_statement_leaves_the_old_schema(kind: &Database) {
    let (steps, dialect) = (steps(), dialect(kind));
    for (count, name) in steps.iter().enumerate() {
        let database = Database::like(kind);
        fill(&database, count);
        let whole = state(&database);
        let mut obstacles: Vec<(String, Obstacle)> = statements(&step(dialect, name))
            .into_iter()
            .map(|statement| (Obstacle::of(dialect, &statement), statement))
            .map(|(obstacle, statement)| (statement, obstacle))
            .collect();
        if count > 0 {
            let record = Obstacle::trigger(dialect, "kalshi_ingest_migrations", "insert");
            obstacles.push(("the record of the step".to_owned(), record));
        }
        for (statement, obstacle) in &obstacles {
            let at = format!("{name}: {statement}");
            database.execute(&obstacle.put);
            let before = state(&database);
            let failure = open(&database).migrate(NOW).unwrap_err();
            assert_eq!(failure.kind, Kind::StoreRefused, "{at}");
            let words = one_line(&failure);
            assert!(words.starts_with(&format!("schema step {name} failed in")), "{at}: {words}");
            assert_same(&state(&database), &before, &at);
            database.execute(&obstacle.take);
        }
        assert_same(&state(&database), &whole, name);
        assert_eq!(open(&database).migrate(NOW).unwrap(), steps[count..], "in the end it is done");
    }
}

/// The server ends the connection in the middle of each statement that changes the schema.
#[test]
fn a_connection_that_dies_in_any_statement_leaves_the_old_schema() {
    let database = Database::postgres();
    fill(&database, 1);
    database.execute(
        "create sequence obstacle_count;
         create table obstacle_at (at bigint);
         create function obstacle() returns event_trigger language plpgsql as $$
             begin
                 -- A sequence does not go back with its transaction.
                 if nextval('obstacle_count') = (select at from obstacle_at) then
                     perform pg_terminate_backend(pg_backend_pid());
                     perform pg_sleep(10);
                 end if;
             end
         $$;
         create event trigger obstacle on ddl_command_start
             when tag in ('CREATE TABLE', 'CREATE INDEX', 'ALTER TABLE', 'CREATE VIEW', 'COMMENT')
             execute function obstacle()",
    );
    let mut at = 1;
    loop {
        database.execute(&format!(
            "delete from obstacle_at; insert into obstacle_at values ({at});
             select setval('obstacle_count', 1, false)"
        ));
        let before = state(&database);
        match open(&database).migrate(NOW) {
            Ok(done) => {
                assert_eq!(done, steps()[1..]);
                break;
            }
            Err(failure) => {
                assert_eq!(failure.kind, Kind::StoreInterrupted, "{}", one_line(&failure));
                assert_same(&state(&database), &before, &format!("statement {at}"));
            }
        }
        at += 1;
    }
    assert!(at > 30, "it was cut {at} times");
}
