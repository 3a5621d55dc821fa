use super::*;
use crate::cli::{Cli, Command};

fn resolve(args: &[&str], variables: &[(&str, &str)]) -> Result<Config, String> {
    let args = [&["kalshi-ingest"], args].concat();
    let cli = Cli::read(args).map_err(|error| error.to_string())?;
    let Command::Works(work) = cli.command else { panic!("no command with a configuration") };
    let environment = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    Config::new(work, Timestamp::from_seconds(1_800_000_000), &environment)
        .map_err(|failure| crate::failure::one_line(&failure))
}

#[test]
fn mistakes_are_named_before_anything_is_opened() {
    for (args, part, why) in [
        (&["run"][..], "nothing is selected", "nothing to do"),
        (&["markets"], "nothing is selected", "nothing to do"),
        (&["run", "--series", "A B"], "--series", "a blank in it"),
        (&["run", "--all", "--shard", "4/4"], "--shard", "outside its range"),
        (&["run", "--watchlist", "/no/such/file"], "/no/such/file", "no file"),
        (&["run", "--market", "A\tB"], "is not a ticker", "a tab in it"),
        (&["run", "--market", "*"], "is not a ticker", "the tape's own name"),
        (&["migrate", "--database-url", "sqlite::memory:"], "names no file", "kept nowhere"),
        (&["run", "--market", "A", "--api-key-id", "x"], "go together", "half a key"),
        (
            &["run", "--market", "A", "--api-key-id", "a b", "--private-key-file", "/x"],
            "visible",
            "a blank in the id",
        ),
        (&["run", "--market", "A", "--workers", "0"], "--workers", "nobody to work"),
        (
            &["run", "--market", "A", "--requests-per-second", "NaN"],
            "--requests-per-second",
            "not a rate",
        ),
        (&["run", "--market", "A", "--sla", "3s"], "--settle", "can never be met"),
        (&["run", "--market", "A", "--since", "2100-01-01"], "future", "nothing there yet"),
        (&["run", "--market", "A", "--base-url", "nowhere"], "base URL", "no URL"),
        (&["run", "--market", "A", "--database-url", "mysql://x"], "sqlite:", "another database"),
        (&["run", "--market", "A", "--sla", "soon"], "write it like", "clap's own words"),
        (&["run", "--market", "A", "--ping-url", "nobody"], "--ping-url", "no URL"),
        (&["replay", "--into", "prediction_market_trades"], "usual table", "itself"),
        (
            &["replay", "--into", "t", "--compare", "--from", "2026-01-01"],
            "--compare",
            "a part against the whole",
        ),
        (
            &[
                "completeness",
                "--market",
                "A",
                "--from",
                "2026-01-01T10:00:01Z",
                "--to",
                "2026-01-01T11:59:59Z",
            ],
            "no full hour",
            "never to be had",
        ),
    ] {
        let error = resolve(args, &[]).unwrap_err();
        assert!(error.contains(part), "{why}: {error}");
    }
}

#[test]
fn a_market_selected_twice_is_one_market() {
    let config = resolve(&["run", "--market", "B,A", "--market", "A, B,"], &[]).unwrap();
    let Task::Run(plan) = config.task else { panic!("not a run") };
    let names: Vec<String> =
        plan.selection.watches().iter().map(|watch| watch.target.name()).collect();
    assert_eq!(names, ["market:A", "market:B"]);
}

#[test]
fn the_flag_beats_the_environment_and_that_beats_the_default() {
    let place = |args: &[&str], variables: &[(&str, &str)]| {
        resolve(args, variables).map(|config| config.database.to_string())
    };
    assert_eq!(place(&["migrate"], &[]).unwrap(), "SQLite file kalshi.db");
    let variables = [("DATABASE_URL", "sqlite:env.db")];
    assert_eq!(place(&["migrate"], &variables).unwrap(), "SQLite file env.db");
    let flag = ["migrate", "--database-url", "sqlite:flag.db"];
    assert_eq!(place(&flag, &variables).unwrap(), "SQLite file flag.db");
    let both = [("DATABASE_URL", "sqlite:a"), ("DATABASE_URL_FILE", "b")];
    assert!(place(&["migrate"], &both).unwrap_err().contains("unset one"));
    let empty = [("DATABASE_URL", "")];
    assert!(place(&["migrate"], &empty).unwrap_err().contains("set but empty"));
    let missing = [("DATABASE_URL_FILE", "/no/such/file")];
    assert!(place(&["migrate"], &missing).unwrap_err().contains("/no/such/file"));
}
