//! An older build and a newer schema.

use std::process::Command;

use kalshi_simulator::Rules;

use super::fixtures::{fill, rows, schema, steps};
use crate::support::bench::{Bench, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    no_command_touches_a_newer_schema,
}

const WINDOW: [&str; 4] = ["--from", "2026-07-24", "--to", "2026-07-25"];

fn no_command_touches_a_newer_schema(database: &Database) {
    fill(database, steps().len());
    database.execute(
        "insert into kalshi_ingest_migrations values ('999_future', 'x', '2026-07-25T09:00:00.000000Z')",
    );
    let bench = Bench::served(database, Rules::default());
    bench.list_markets("KXA-1");
    let before = (schema(database), rows(database));
    for args in [
        &["migrate"][..],
        &["run", "--market", "KXA-1"],
        &["markets", "--series", "KX"],
        &["orderbooks", "--market", "KXA-1"],
        &[&["backfill", "--market", "KXA-1"][..], &WINDOW].concat(),
        &[&["backfill", "--market", "KXA-1", "--dry-run"][..], &WINDOW].concat(),
        &["completeness", "--market", "KXA-1"],
        &["replay"],
        &["prune", "--raw-older-than", "30d"],
        &["status"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
        command.env_clear().args(args).args(["--database-url", &database.url]);
        if !["migrate", "replay", "prune", "status"].contains(&args[0]) {
            command.args(["--base-url", &bench.server.base_url()]);
        }
        let output = command.output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(5), "{args:?}: {said}");
        let sentence = "the database's schema is newer than this build (it has 999_future); run a newer kalshi-ingest";
        assert!(said.contains(sentence), "{args:?}: {said}");
    }
    assert!((schema(database), rows(database)) == before, "nothing was written");
}
