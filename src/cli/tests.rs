use super::*;
use clap::CommandFactory as _;

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

fn read(words: &str) -> Result<Cli, clap::Error> {
    Cli::read(std::iter::once("kalshi-ingest").chain(words.split_whitespace()))
}

/// The flags that a reader could expect of every command, by group, with a value.
const SHARED: [(&str, &[&str]); 4] = [
    (
        "takes no selection",
        &["--market A", "--event A", "--series A", "--all", "--watchlist /w", "--shard 0/1"],
    ),
    (
        "does not ask the exchange, so",
        &[
            "--base-url http://h/",
            "--api-key-id x",
            "--private-key-file /k",
            "--requests-per-second 1",
        ],
    ),
    ("for trades, so", &["--trades-path /t"]),
    ("opens no database", &["--database-url sqlite:x"]),
];

#[test]
fn each_command_takes_what_it_uses_and_refuses_the_rest_by_name() {
    // The array of a command says which of the groups, in the order of the table, it uses.
    let window = "--from 2026-01-01 --to 2026-01-02";
    for (command, needs, uses) in [
        ("run", "", [true, true, true, true]),
        ("status", "", [true, false, false, true]),
        ("markets", "", [true, true, false, true]),
        ("orderbooks", "", [true, true, false, true]),
        ("backfill", window, [true, true, true, true]),
        ("completeness", "", [true, true, true, true]),
        ("replay", "", [false, false, false, true]),
        ("prune", "--raw-older-than 90d", [false, false, false, true]),
        ("serve", "", [true, false, false, true]),
        ("migrate", "", [false, false, false, true]),
        ("completions", "bash", [false, false, false, false]),
        ("man", "", [false, false, false, false]),
    ] {
        for ((why, flags), is_used) in SHARED.iter().zip(uses) {
            for flag in *flags {
                for words in
                    [format!("{command} {needs} {flag}"), format!("{flag} {command} {needs}")]
                {
                    let said = read(&words).map_err(|error| error.to_string());
                    let flag = flag.split(' ').next().unwrap();
                    match (said, is_used) {
                        (Ok(_), true) => {}
                        (Err(said), false) => {
                            let asks = format!("error: {command} ");
                            assert!(said.starts_with(&asks) && said.contains(flag), "{said}");
                            assert!(said.contains(why), "{said}");
                        }
                        (said, _) => panic!("{words}: {said:?}"),
                    }
                }
            }
        }
        assert!(read(&format!("-q --log-format json {command} {needs}")).is_ok(), "{command}");
        assert!(read(&format!("-vv {command} {needs} -v")).is_ok(), "{command}");
    }
}

#[test]
fn flags_before_the_command_count_as_those_behind_it() {
    let Ok(cli) = read("--market=A -v --market B,C --all run --market D --sla 2m -v") else {
        panic!("not read")
    };
    assert_eq!(cli.log().verbose, 2);
    let Command::Works(Work::Run(args)) = cli.command else { panic!("not a run") };
    assert_eq!(args.selection.market, ["A", "B", "C", "D"]);
    assert!(args.selection.all);
    for (words, kind) in [
        ("--market A --help", clap::error::ErrorKind::DisplayHelp),
        ("-V", clap::error::ErrorKind::DisplayVersion),
        ("--market A", clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("-q help run", clap::error::ErrorKind::DisplayHelp),
        ("--no-such run", clap::error::ErrorKind::UnknownArgument),
        ("- run", clap::error::ErrorKind::InvalidSubcommand),
        ("--market", clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("rum --market A", clap::error::ErrorKind::InvalidSubcommand),
        ("-q -v migrate", clap::error::ErrorKind::ArgumentConflict),
    ] {
        assert_eq!(read(words).unwrap_err().kind(), kind, "{words}");
    }
}

#[test]
fn a_flag_of_another_command_names_those_that_take_it() {
    for (words, part) in [
        ("markets --sla 5m", "error: markets takes no --sla; run, status and serve do"),
        ("run --check", "error: run takes no --check; status does"),
        ("prune --raw-older-than 1d --to now", "error: prune takes no --to; backfill, "),
        ("run --no-such", "unexpected argument '--no-such'"),
        ("run KXSIM-M1", "tip: to name a market, write 'run --market KXSIM-M1'"),
        ("status KXSIM-M1 KXSIM-M2", "'status --market KXSIM-M1'"),
        ("run -q KXSIM-M1 --all", "'run --market KXSIM-M1'"),
        ("prune KXSIM-M1", "unexpected argument 'KXSIM-M1'"),
        ("backfill --from 2026-01-01", "Usage: kalshi-ingest backfill [OPTIONS] --from"),
    ] {
        let said = read(words).unwrap_err().to_string();
        assert!(said.contains(part), "{words}: {said}");
        assert!(said.contains("--help"), "{words}: {said}");
    }
}

#[test]
fn one_flag_means_the_same_to_every_command() {
    // Flags before the command are read before it is known which one it is.
    let cli = Cli::command();
    let arguments: Vec<&clap::Arg> =
        cli.get_subcommands().flat_map(clap::Command::get_arguments).collect();
    for one in &arguments {
        for other in arguments.iter().filter(|other| other.get_long() == one.get_long()) {
            let (takes, other) =
                (one.get_action().takes_values(), other.get_action().takes_values());
            assert!(one.get_long().is_none() || takes == other, "{one}");
        }
    }
}

#[test]
fn no_help_shows_what_a_variable_holds() {
    for command in Cli::command().get_subcommands() {
        for argument in command.get_arguments().filter(|argument| argument.get_env().is_some()) {
            assert!(argument.is_hide_env_values_set(), "{} {argument}", command.get_name());
        }
    }
}
