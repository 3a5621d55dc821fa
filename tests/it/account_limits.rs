//! With a key, the request rate is that of the account: when the exchange is asked for it, how long the
//! answer is believed, and that no failure of that question harms a pass.

use std::process::{Command, Output};

use kalshi_ingest::clock::TURNED_BY;
use kalshi_simulator::{
    Account, Fault, Grant, LimitsShape, PublicKey, RetryAfter, Rules, seeded_trades,
};

use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    the_rate_is_asked_for_once_an_hour_and_remembered,
    the_rate_is_asked_for_again_when_a_grant_has_expired,
    another_key_is_asked_for_its_own_rate,
    a_failure_costs_one_request_in_five_minutes_and_one_warning,
    a_remembered_rate_outlives_a_failure_for_a_day,
    the_rate_of_the_user_wins_and_without_a_key_nothing_is_asked,
    shards_divide_the_rate_and_each_remembers_it,
    every_command_uses_the_rate,
    a_pass_that_asks_nothing_asks_for_no_rate,
    the_answer_about_the_rate_is_compared_with_the_remembered_clocks,
}

const MARKET: &str = "KXLIMIT-A";
const PATH: &str = "/account/limits";
const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
const KEY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/throwaway-keys/ed25519.pem");
const PUBLIC_KEY: &str = include_str!("fixtures/throwaway-keys/ed25519.pub.pem");
const SIGNED: [&str; 4] = ["--api-key-id", "a-key", "--private-key-file", KEY];

fn account(tier: &str, read_rate: i64) -> Account {
    Account { tier: tier.to_owned(), read_rate, ..Account::default() }
}

/// An exchange that knows the account and has some trades.
fn bench(database: &Database, account: Account) -> Bench<'_> {
    let bench = Bench::new(database, Rules { account, ..Rules::default() });
    let (from, until) = (NOON_US - 30 * MINUTE_US, NOON_US - MINUTE_US);
    bench.exchange.add_all(seeded_trades(1, MARKET, 20, from, until));
    bench.list_markets(MARKET);
    bench
}

fn set(bench: &Bench<'_>, account: Account) {
    bench.exchange.change(|world| world.rules.account = account);
}

/// A command that is given no rate, neither by flag nor by the surroundings.
fn command(bench: &Bench<'_>, name: &str, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
    command.args([name, "-v", "--base-url", &bench.server.base_url()]);
    command.args(["--database-url", &bench.database.url]).args(flags);
    command.env(TURNED_BY, bench.clock.to_environment()).env_remove("RUST_LOG");
    for variable in ["KALSHI_API_KEY_ID", "KALSHI_PRIVATE_KEY_FILE", "KALSHI_REQUESTS_PER_SECOND"] {
        command.env_remove(variable);
    }
    command.output().unwrap()
}

/// A pass that succeeds, and its log.
#[track_caller]
fn pass(bench: &Bench<'_>, flags: &[&str]) -> String {
    let output = command(bench, "run", &[&["--market", MARKET, "--sla", "3650d"], flags].concat());
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    said
}

/// How many questions for the limits the exchange got since the last look, each with a key.
#[track_caller]
fn asked(bench: &Bench<'_>) -> usize {
    let requests = bench.exchange.requests();
    bench.exchange.forget_requests();
    let limits = requests.iter().filter(|asked| asked.path.ends_with(PATH));
    limits.inspect(|asked| assert!(asked.header("kalshi-access-key").is_some())).count()
}

/// The rate, the tier and the rate of the account that a log names.
#[track_caller]
fn rate(said: &str) -> (f64, String) {
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("requests a second")).collect();
    let line = lines.last().unwrap_or_else(|| panic!("no rate in {said}"));
    let (before, after) = line.split_once(" requests a second").unwrap();
    let number = before.rsplit(' ').next().unwrap();
    (number.parse().unwrap(), after.to_owned())
}

#[track_caller]
fn assert_rate(said: &str, expected: f64, by: &str) {
    let (rate, after) = rate(said);
    assert!((rate - expected).abs() < 0.01, "{rate} and not {expected}: {said}");
    assert!(after.contains(by), "{by:?} in {said}");
}

/// The warnings about the question for the limits.
fn warnings(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.contains(" WARN ") && line.contains(PATH)).collect()
}

fn the_rate_is_asked_for_once_an_hour_and_remembered(database: &Database) {
    let bench = bench(database, account("advanced", 300));
    let key = PublicKey::from_pem("a-key", PUBLIC_KEY).unwrap();
    bench.exchange.change(|world| world.rules.require_signature = Some(key));
    let said = pass(&bench, &SIGNED);
    assert_rate(&said, 30.0, "by the account's limits (tier advanced, 30 in all)");
    let first = bench.exchange.requests().remove(0);
    assert!(first.path.ends_with(PATH), "the rate comes first: {}", first.path);
    assert_eq!(first.status, Some(200), "the signature covers the path");
    assert_eq!(asked(&bench), 1);
    // From now on the account has another rate and another shape.
    set(&bench, Account { shape: LimitsShape::Flat, ..account("prime", 480) });
    for (minutes, expected, questions) in
        [(1, 30.0, 0), (58, 30.0, 0), (1, 480.0, 1), (59, 480.0, 0), (1, 480.0, 1)]
    {
        bench.advance(minutes * MINUTE_US);
        let said = pass(&bench, &SIGNED);
        assert_rate(&said, expected, "by the account's limits");
        assert_eq!(asked(&bench), questions, "{minutes} minutes later");
        assert_eq!(warnings(&said), [""; 0]);
    }
    assert!(pass(&bench, &SIGNED).contains("(tier prime, 480 in all)"));
}

fn the_rate_is_asked_for_again_when_a_grant_has_expired(database: &Database) {
    let ends = |minutes: i64| Grant {
        level: "prime".to_owned(),
        expires_s: Some((NOON_US + minutes * MINUTE_US) / SECOND_US),
    };
    let permanent = Grant { level: "basic".to_owned(), expires_s: None };
    let grants = vec![ends(30), permanent, ends(10), ends(-10)];
    let bench = bench(database, Account { grants, ..account("prime", 4_800) });
    assert_rate(&pass(&bench, &SIGNED), 480.0, "tier prime");
    assert_eq!(asked(&bench), 1);
    set(&bench, account("basic", 200));
    bench.advance(9 * MINUTE_US);
    assert_rate(&pass(&bench, &SIGNED), 480.0, "tier prime");
    assert_eq!(asked(&bench), 0, "the grant holds");
    bench.advance(MINUTE_US);
    assert_rate(&pass(&bench, &SIGNED), 20.0, "tier basic");
    assert_eq!(asked(&bench), 1, "it has expired");
    // A grant that has expired is not followed by a rate that is merely remembered.
    set(&bench, Account { grants: vec![ends(80)], ..account("prime", 4_800) });
    bench.advance(60 * MINUTE_US);
    assert_rate(&pass(&bench, &SIGNED), 480.0, "tier prime");
    bench.exchange.fail_always(PATH, Some(Fault::Status(500)));
    bench.advance(10 * MINUTE_US);
    assert_rate(&pass(&bench, &SIGNED), 20.0, "the account's limits are not known");
}

fn another_key_is_asked_for_its_own_rate(database: &Database) {
    let bench = bench(database, account("advanced", 300));
    assert_rate(&pass(&bench, &SIGNED), 30.0, "tier advanced");
    set(&bench, account("expert", 600));
    let other = ["--api-key-id", "another-key", "--private-key-file", KEY];
    assert_rate(&pass(&bench, &other), 60.0, "tier expert");
    assert_eq!(asked(&bench), 2);
    assert_rate(&pass(&bench, &other), 60.0, "tier expert");
    assert_eq!(asked(&bench), 0);
    let kept = database.texts("select limits_key as x from exchange_records");
    let kept = kept[0].as_deref().unwrap();
    assert!(kept.len() > 40 && !kept.contains("key"), "a digest and not the key: {kept}");
}

fn a_failure_costs_one_request_in_five_minutes_and_one_warning(database: &Database) {
    let bench = bench(database, account("prime", 4_800));
    let key = PublicKey::from_pem("a-key", PUBLIC_KEY).unwrap();
    let faults = [
        Fault::Status(401),
        Fault::Status(403),
        Fault::Status(404),
        Fault::Status(500),
        Fault::TooMany { retry_after: None },
        Fault::TooMany { retry_after: Some(RetryAfter::Seconds(3_600)) },
        Fault::Reset,
        Fault::Truncated,
        Fault::Garbage,
        Fault::NotTrades,
        Fault::Huge { bytes: 1_000_000 },
    ];
    for fault in faults {
        database.execute("delete from exchange_records");
        bench.exchange.fail_always(PATH, Some(fault));
        for (minutes, questions) in [(1, 1), (1, 0), (3, 0), (1, 1), (4, 0)] {
            bench.advance(minutes * MINUTE_US);
            let said = pass(&bench, &SIGNED);
            assert_rate(&said, 20.0, "the account's limits are not known");
            assert_eq!(asked(&bench), questions, "{fault:?}: {said}");
            let warnings = warnings(&said);
            assert_eq!(warnings.len(), questions, "{fault:?}: {said}");
            let is_plain = |line: &&str| {
                line.contains(PATH) && line.contains("20 requests a second") && line.contains("5m")
            };
            assert!(warnings.iter().all(is_plain), "{fault:?}: {warnings:?}");
        }
    }
    bench.exchange.fail_always(PATH, None);
    for nonsense in [0, -1, 1_000_000, i64::MAX] {
        for shape in [LimitsShape::Nested, LimitsShape::Flat] {
            database.execute("delete from exchange_records");
            set(&bench, Account { shape, ..account("prime", nonsense) });
            let said = pass(&bench, &SIGNED);
            assert_rate(&said, 20.0, "the account's limits are not known");
            assert_eq!((asked(&bench), warnings(&said).len()), (1, 1), "{nonsense}: {said}");
        }
    }
    // A silent endpoint takes a part of the time and no more.
    bench.exchange.change(|world| world.rules.require_signature = Some(key));
    database.execute("delete from exchange_records");
    bench.exchange.fail_always(PATH, Some(Fault::Hang { ms: 60_000 }));
    let said = pass(&bench, &[&SIGNED[..], &["--deadline", "2s"]].concat());
    assert!(said.contains("took too long"), "{said}");
    assert_eq!((asked(&bench), warnings(&said).len()), (1, 1), "{said}");
    bench.assert_complete(&[MARKET], "after all that");
}

fn a_remembered_rate_outlives_a_failure_for_a_day(database: &Database) {
    let bench = bench(database, account("advanced", 300));
    assert_rate(&pass(&bench, &SIGNED), 30.0, "tier advanced");
    bench.exchange.fail_always(PATH, Some(Fault::Status(503)));
    bench.advance(23 * 60 * MINUTE_US);
    let said = pass(&bench, &SIGNED);
    assert_rate(&said, 30.0, "tier advanced");
    assert!(warnings(&said)[0].contains("30 requests a second"), "{said}");
    bench.advance(60 * MINUTE_US);
    assert_rate(&pass(&bench, &SIGNED), 20.0, "the account's limits are not known");
}

fn the_rate_of_the_user_wins_and_without_a_key_nothing_is_asked(database: &Database) {
    let bench = bench(database, account("advanced", 300));
    let fast = bench.process(MARKET, &[&["-v"][..], &SIGNED].concat());
    assert_eq!(fast.status.code(), Some(0), "{}", stderr(&fast));
    assert!(!stderr(&fast).contains("requests a second"), "{}", stderr(&fast));
    assert_eq!(asked(&bench), 0, "the bench gives a rate");
    let keyless = pass(&bench, &[]);
    assert!(!keyless.contains("account"), "{keyless}");
    assert_eq!(asked(&bench), 0, "there is no key");
}

fn shards_divide_the_rate_and_each_remembers_it(database: &Database) {
    let bench = bench(database, account("advanced", 300));
    for shard in ["0/4", "1/4", "2/4", "3/4"] {
        let flags = [&SIGNED[..], &["--shard", shard]].concat();
        assert_rate(&pass(&bench, &flags), 7.5, "(tier advanced, 30 in all)");
        assert_eq!(asked(&bench), 1, "{shard}");
        assert_rate(&pass(&bench, &flags), 7.5, "(tier advanced, 30 in all)");
        assert_eq!(asked(&bench), 0, "{shard}");
    }
    bench.exchange.fail_always(PATH, Some(Fault::Status(500)));
    let flags = [&SIGNED[..], &["--shard", "0/5"]].concat();
    assert_rate(&pass(&bench, &flags), 4.0, "the account's limits are not known");
}

fn every_command_uses_the_rate(database: &Database) {
    let bench = bench(database, account("expert", 600));
    let market = [&SIGNED[..], &["--market", MARKET]].concat();
    let window = [&market[..], &["--from", "2026-07-25", "--to", "2026-07-25T12:00:00Z"]].concat();
    for (name, flags, expected) in [
        ("markets", &market, 60.0),
        ("orderbooks", &market, 60.0),
        ("completeness", &market, 60.0),
        ("run", &market, 60.0),
        ("backfill", &window, 45.0),
        ("backfill", &[&window[..], &["--dry-run"]].concat(), 45.0),
    ] {
        let said = stderr(&command(&bench, name, flags));
        assert_rate(&said, expected, "(tier expert, 60 in all)");
        let questions = usize::from(name == "markets");
        assert_eq!(asked(&bench), questions, "{name}: they share what they know");
    }
    database.execute("delete from exchange_records");
    let said = stderr(&command(&bench, "backfill", &[&window[..], &["--dry-run"]].concat()));
    assert_rate(&said, 45.0, "(tier expert, 60 in all)");
    assert_eq!(asked(&bench), 1);
    assert_eq!(database.number("select count(*) as x from exchange_records"), 0, "nothing written");
}

fn a_pass_that_asks_nothing_asks_for_no_rate(database: &Database) {
    let bench = bench(database, account("advanced", 300));
    let mut store = database.open();
    let lock = store.try_lock("run-0-of-1").unwrap();
    assert!(lock.is_some());
    assert!(pass(&bench, &SIGNED).contains("another pass is at work"));
    assert_eq!(bench.exchange.requests().len(), 0);
    drop(lock);
    drop(store);
    let busy = Fault::TooMany { retry_after: Some(RetryAfter::Seconds(3_600)) };
    bench.exchange.fail_always("*", Some(busy));
    pass(&bench, &SIGNED);
    assert_eq!(asked(&bench), 1, "nobody was told to come back later before");
    bench.exchange.fail_always("*", None);
    bench.advance(6 * MINUTE_US);
    let said = pass(&bench, &SIGNED);
    assert!(said.contains("asking nothing before"), "{said}");
    assert_eq!((bench.exchange.requests().len(), warnings(&said).len()), (0, 0), "{said}");
    // The request that finds out whether the exchange answers again is no question for the rate.
    bench.advance(5 * MINUTE_US);
    pass(&bench, &SIGNED);
    assert_eq!(asked(&bench), 0);
    bench.advance(MINUTE_US);
    assert_rate(&pass(&bench, &SIGNED), 30.0, "tier advanced");
    assert_eq!(asked(&bench), 1);
}

/// After a break of more than an hour the question for the rate is the first of the pass.
fn the_answer_about_the_rate_is_compared_with_the_remembered_clocks(database: &Database) {
    let bench = bench(database, account("advanced", 300));
    pass(&bench, &SIGNED);
    // The exchange's answers are those of two hours ago.
    bench.clock.turn(120 * MINUTE_US);
    let said = pass(&bench, &SIGNED);
    assert_eq!(asked(&bench), 2, "{said}");
    assert!(said.contains("the exchange's clock moved 0s since the pass before"), "{said}");
}
