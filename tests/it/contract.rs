//! `simulator/contract.toml`, which `.ci/specification-watch` holds against what the exchange
//! publishes, says what the client asks and reads, and what the simulator answers. Here it is held
//! against both, so that it stays true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::CommandFactory as _;
use kalshi_ingest::cli::Cli;
use kalshi_ingest::clock::TurnedClock;
use kalshi_ingest::domain::candle::Interval;
use kalshi_ingest::domain::market::Status;
use kalshi_ingest::domain::page::PageRequest;
use kalshi_ingest::domain::selection::Target;
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::tier::Tier;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::kalshi::{self, Access, Asked, Client, Endpoint, MarketList, Signer, Transport};
use kalshi_simulator::{Account, Exchange, Grant, Market, Rules, seeded_book, seeded_trades};
use serde_json::Value;
use ureq::Body;
use ureq::http::{HeaderValue, Request, Response};

use crate::support::bench::{DAY_US, NOON_US};

const BASE: &str = "http://exchange.example/trade-api/v2";
const KEY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/throwaway-keys/ed25519.pem");

type Table = toml::Table;

fn contract() -> Table {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("simulator/contract.toml");
    fs::read_to_string(path).unwrap().parse().unwrap()
}

fn operations(contract: &Table) -> &[toml::Value] {
    contract["operations"].as_array().unwrap()
}

fn flag(table: &toml::Value, name: &str) -> bool {
    table.get(name).and_then(toml::Value::as_bool).unwrap_or(false)
}

fn parameters(operation: &toml::Value) -> Table {
    operation.get("parameters").and_then(toml::Value::as_table).cloned().unwrap_or_default()
}

/// An answer of the simulator's to a question of the client's.
struct Heard {
    path: String,
    query: Vec<(String, String)>,
    status: u16,
    body: Value,
}

/// The exchange in this process, with all that it was asked and what it said.
#[derive(Clone)]
struct Overheard {
    exchange: Exchange,
    all: Arc<Mutex<Vec<Heard>>>,
}

impl Overheard {
    fn ask(&self, target: &str, headers: Vec<(String, String)>) -> kalshi_simulator::Answer {
        let answer = self.exchange.ask(target, headers).unwrap();
        let asked = self.exchange.requests().pop().unwrap();
        self.all.lock().unwrap().push(Heard {
            path: asked.path.strip_prefix("/trade-api/v2").unwrap().to_owned(),
            query: asked.query,
            status: answer.status,
            body: serde_json::from_slice(&answer.body).unwrap(),
        });
        answer
    }
}

impl Transport for Overheard {
    fn call(&self, request: Request<()>, _: Duration) -> Result<Response<Body>, ureq::Error> {
        let header =
            |name: &str, value: &HeaderValue| (name.to_owned(), value.to_str().unwrap().to_owned());
        let headers = request.headers().iter().map(|(name, value)| header(name.as_str(), value));
        let target = request.uri().path_and_query().unwrap().as_str();
        let answer = self.ask(target, headers.collect());
        let mut response = Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(*name, value);
        }
        Ok(response.body(Body::builder().data(answer.body))?)
    }
}

fn ticker(name: &str) -> Ticker {
    Ticker::new(name).unwrap()
}

/// An exchange with something of everything: live and archived, combos and books.
fn exchange() -> Exchange {
    let half = NOON_US - 60 * DAY_US;
    let cutoff_s = half / 1_000_000;
    let grant = Grant { level: "expert".to_owned(), expires_s: Some(NOON_US / 1_000_000) };
    let account = Account { grants: vec![grant], ..Account::default() };
    let rules = Rules { cutoff_s, markets_cutoff_s: cutoff_s, account, ..Rules::default() };
    let exchange = Exchange::new(rules);
    exchange.set_now(half - DAY_US);
    for (event, series) in [("KXA-1", "KXA"), ("KXMVE-1", "KXMVE"), ("KXOLD-1", "KXOLD")] {
        exchange.add_series(series, "a series");
        exchange.add_group(event, series, "an event");
        let name = format!("{event}-M");
        let closes = if series == "KXOLD" { half - 2 * DAY_US } else { NOON_US + DAY_US };
        let market = Market::new(&name, event, half - 9 * DAY_US, closes);
        exchange.add_market(Market { is_combo: series == "KXMVE", ..market });
        exchange.add_all(seeded_trades(1, &name, 3, half - 8 * DAY_US, half - 3 * DAY_US));
    }
    exchange.settle_market("KXOLD-1-M", "yes", 10_000);
    exchange.set_now(NOON_US);
    exchange.add_all(seeded_trades(2, "KXA-1-M", 3, NOON_US - DAY_US, NOON_US - 1));
    exchange.set_book("KXA-1-M", seeded_book(1, "KXA-1-M"));
    exchange
}

/// All that the client can ask, asked in all its forms, and what it heard.
fn all_questions() -> Vec<Heard> {
    let (exchange, all) = (exchange(), Arc::default());
    let overheard = Overheard { exchange, all };
    let access = Access {
        endpoint: Endpoint::new(BASE, "/markets/trades").unwrap(),
        signer: Some(Signer::from_pem_file("id", Path::new(KEY)).unwrap()),
        connections: 1,
        proxy: None,
    };
    let client = Client::by(Arc::new(overheard.clone()), access);
    let clock = TurnedClock::start(Timestamp::from_micros(NOON_US), 0);
    let left = Duration::from_secs(1);
    let (market, old, event) = (ticker("KXA-1-M"), ticker("KXOLD-1-M"), ticker("KXA-1"));
    let (series, combos) = (ticker("KXA"), ticker("KXMVE"));
    client.cutoff(left, &clock).unwrap();
    client.is_trading(left, &clock).unwrap();
    client.account_limits(left, &clock).unwrap();
    let _ = client.head(left, &clock).unwrap();
    for (tier, market) in [(Tier::Live, &market), (Tier::Archive, &old)] {
        let (cursor, min_ts) = (None, Some(1));
        let first =
            PageRequest { scope: market.clone().into(), tier, cursor, min_ts, max_ts: None };
        let page = client.trades(&first, left, &clock).unwrap();
        assert_eq!((page.events.len(), page.rejected.len()), (3, 0), "{market} {tier:?}");
        let (cursor, max_ts) = (Some("x".to_owned()), Some(NOON_US / 1_000_000));
        let _ = client.trades(&PageRequest { cursor, max_ts, ..first }, left, &clock).unwrap();
        client.market(market, tier, left, &clock).unwrap().unwrap();
    }
    lists(&client, &clock);
    client.event(&event, left, &clock).unwrap().unwrap();
    client.books(&[market.clone(), old.clone()], left, &clock).unwrap();
    for (target, name, are_combos) in [(&series, "KXA-1", false), (&combos, "KXMVE-1", true)] {
        assert_eq!(client.events(&[ticker(name)], are_combos, left, &clock).unwrap().len(), 1);
        let (series, event) = (Target::Series(target.clone()), Target::Event(ticker(name)));
        assert!(client.knows(&series, left, &clock).unwrap());
        assert!(client.knows(&event, left, &clock).unwrap());
        for cursor in [None, Some("x")] {
            let _ = client.events_with_markets(&series, cursor, left, &clock).unwrap();
        }
        let page = client.events_with_markets(&event, None, left, &clock).unwrap();
        assert_eq!(page.markets.tickers, [ticker(&format!("{name}-M"))]);
    }
    let day = (Timestamp::from_micros(NOON_US - DAY_US), Timestamp::from_micros(NOON_US));
    let both = [market.clone(), ticker("KXMVE-1-M")];
    let asked = |(from, until)| Asked { interval: Interval::Hour, from, until };
    client.candles(&both, asked(day), left, &clock).unwrap();
    client.market_candles(&series, &market, asked(day), left, &clock).unwrap().unwrap();
    let week = (
        Timestamp::from_micros(NOON_US - 68 * DAY_US),
        Timestamp::from_micros(NOON_US - 62 * DAY_US),
    );
    client.archived_candles(&old, asked(week), left, &clock).unwrap().unwrap();
    drop(client);
    std::mem::take(&mut *overheard.all.lock().unwrap())
}

/// Every list of markets.
fn lists(client: &Client, clock: &TurnedClock) {
    let left = Duration::from_secs(1);
    let (event, series) = (Some(ticker("KXA-1")), Some(ticker("KXA")));
    let all = MarketList::ALL;
    for list in [
        MarketList { updated_after: Some(1), ..all.clone() },
        MarketList { series: series.clone(), closing_from: Some(1), ..all.clone() },
        MarketList { event: event.clone(), status: Some("open"), ..all.clone() },
        MarketList { status: Some("settled"), settled_from: Some(1), ..all.clone() },
        MarketList { event, ..all.clone() }.archived(),
        MarketList { series, ..all }.archived(),
        MarketList::named(&[ticker("KXA-1-M")]),
        MarketList::named(&[ticker("KXOLD-1-M"), ticker("KXOLD-1-N")]).archived(),
    ] {
        for cursor in [None, Some("x")] {
            let _ = client.markets(&list, cursor, left, clock).unwrap();
        }
    }
}

/// The operation that a path belongs to: a part that is named goes before one that is not.
fn operation_of<'a>(contract: &'a Table, path: &str) -> &'a toml::Value {
    let fits = |pattern: &str| {
        let (pattern, path) = (pattern.split('/'), path.split('/'));
        pattern.clone().count() == path.clone().count()
            && pattern.zip(path).all(|(known, part)| known.starts_with('{') || known == part)
    };
    let path_of = |operation: &&toml::Value| operation["path"].as_str().unwrap().to_owned();
    operations(contract)
        .iter()
        .filter(|operation| fits(&path_of(operation)))
        .min_by_key(|operation| path_of(operation).matches('{').count())
        .unwrap_or_else(|| panic!("{path} is asked and not in the contract"))
}

/// Whether a parameter may be sent with this value.
fn is_allowed(parameter: &toml::Value, values: &[&str]) -> bool {
    let kind = parameter["type"].as_str().unwrap();
    let fits = |value: &&str| {
        let number: Option<i64> = value.parse().ok();
        let is_of_kind = match kind {
            "integer" => number.is_some(),
            "boolean" => ["true", "false"].contains(value),
            _ => true,
        };
        let most = parameter.get("maximum").and_then(toml::Value::as_integer);
        let listed = parameter.get("enum").and_then(toml::Value::as_array);
        let is_listed = listed.is_none_or(|all| {
            all.iter().any(|one| {
                one.as_str() == Some(value) || one.as_integer() == number && number.is_some()
            })
        });
        is_of_kind && is_listed && most.is_none_or(|most| number.is_some_and(|n| n <= most))
    };
    let most = parameter.get("max_items").and_then(toml::Value::as_integer);
    let is_list = kind == "array";
    let is_short = most.is_none_or(|most| i64::try_from(values.len()).unwrap() <= most);
    values.iter().all(fits) && is_short && (is_list || values.len() == 1)
}

#[test]
fn the_client_asks_what_the_contract_says_and_all_of_it() {
    let contract = contract();
    let mut asked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Heard { path, query, .. } in all_questions() {
        let operation = operation_of(&contract, &path);
        let known = parameters(operation);
        let names: BTreeSet<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
        for name in &names {
            let parameter = known.get(*name).unwrap_or_else(|| panic!("{path} is sent {name}"));
            let values: Vec<&str> =
                query.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect();
            assert!(is_allowed(parameter, &values), "{path}: {name} is {values:?}");
        }
        for (name, _) in known.iter().filter(|(_, parameter)| flag(parameter, "required")) {
            assert!(names.contains(name.as_str()), "{path} is asked without {name}");
        }
        let path = operation["path"].as_str().unwrap().to_owned();
        asked.entry(path).or_default().extend(names.into_iter().map(str::to_owned));
    }
    let mut described: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for operation in operations(&contract).iter().filter(|found| !flag(found, "simulated")) {
        let sent = parameters(operation).into_iter().filter(|(_, found)| !flag(found, "simulated"));
        let path = operation["path"].as_str().unwrap().to_owned();
        described.insert(path, sent.map(|(name, _)| name).collect());
    }
    assert_eq!(asked, described, "asked on the left, described on the right");
}

/// The code of the client, file by file, without tests and comments.
fn client_code() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/kalshi");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        if !name.ends_with("_tests") {
            let code = text.split("#[cfg(test)]").next().unwrap().lines();
            let code = code.filter(|line| !line.trim_start().starts_with("//"));
            files.push((name, code.collect::<Vec<_>>().join("\n")));
        }
    }
    assert!(files.len() > 8, "{}", files.len());
    files
}

/// A question that is new would not be asked by the test above.
#[test]
fn no_path_in_the_client_is_without_an_operation() {
    let shape = |path: &str| -> String {
        let pieces =
            path.split('{').map(|piece| piece.split_once('}').map_or(piece, |(_, rest)| rest));
        pieces.collect::<Vec<_>>().join("{}")
    };
    let contract = contract();
    let paths = operations(&contract).iter().filter(|found| !flag(found, "simulated"));
    let shapes: Vec<String> = paths.map(|found| shape(found["path"].as_str().unwrap())).collect();
    let mut looked = 0;
    let asks = |code: &str| code.contains("question(") || code.contains("Question");
    for (name, code) in client_code().into_iter().filter(|(_, code)| asks(code)) {
        for literal in code.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/')) {
            let text = shape(literal);
            if text.starts_with("/{}") || !text[1..].starts_with(|c: char| c.is_ascii_lowercase()) {
                continue;
            }
            let is_whole = shapes.contains(&text);
            let is_begun =
                text.ends_with('/') && shapes.iter().any(|known| known.starts_with(&text));
            assert!(is_whole || is_begun, "{name}: {literal} is not in the contract");
            looked += 1;
        }
    }
    assert!(looked >= 12, "{looked} paths");
}

/// The fields of each struct that is decoded, by the struct's file and name.
fn decoded() -> BTreeMap<String, BTreeSet<String>> {
    let mut structs = BTreeMap::new();
    for (file, code) in client_code() {
        for part in code.split("Deserialize)]").skip(1) {
            let Some((head, rest)) = part.split_once('{') else { continue };
            let Some((_, name)) = head.split_once("struct ") else { continue };
            let name = name.split(['<', ' ', '(']).next().unwrap();
            let body = rest.split("\n}").next().unwrap();
            let lines = body.lines().map(|line| line.trim().trim_start_matches("pub(super) "));
            let fields = lines.filter(|line| !line.starts_with('#'));
            let fields = fields.filter_map(|line| Some(line.split_once(':')?.0.to_owned()));
            structs.insert(format!("{file}::{name}"), fields.collect());
        }
    }
    structs
}

#[test]
fn each_field_that_is_decoded_is_described_and_the_other_way_round() {
    let contract = contract();
    let objects = contract["objects"].as_table().unwrap();
    let structs = decoded();
    let readers = |object: &toml::Value| -> Vec<String> {
        let names = object["read_by"].as_array().unwrap().iter();
        names.map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let fields = |object: &toml::Value| -> BTreeSet<String> {
        object["fields"].as_table().unwrap().keys().cloned().collect()
    };
    for (name, decodes) in &structs {
        let described: BTreeSet<String> = objects
            .values()
            .filter(|object| readers(object).contains(name))
            .flat_map(fields)
            .collect();
        let missing: Vec<&String> = decodes.difference(&described).collect();
        assert!(missing.is_empty(), "{name} reads {missing:?}, which no object that it reads has");
        assert!(!described.is_empty(), "{name} reads no object of the contract");
    }
    for (name, object) in objects {
        let known = readers(object);
        for reader in &known {
            assert!(structs.contains_key(reader), "{name} is read by {reader}, which is not there");
        }
        let decodes: BTreeSet<String> =
            known.iter().flat_map(|name| structs[name].clone()).collect();
        let unread: Vec<String> = fields(object).difference(&decodes).cloned().collect();
        assert!(unread.is_empty() || known.is_empty(), "{name} has {unread:?}, which nobody reads");
    }
    assert!(structs.len() > 20, "{}", structs.len());
}

/// Holds a value against an object of the contract; notes which fields were seen.
fn hold(contract: &Table, name: &str, value: &Value, seen: &mut BTreeSet<String>) {
    let fields = contract["objects"][name]["fields"].as_table().unwrap();
    for (field, described) in fields {
        let place = format!("{name}.{field}");
        let Some(value) = value.get(field) else {
            assert!(!flag(described, "required"), "{place} is not there: {value}");
            continue;
        };
        assert!(!flag(described, "unspecified"), "{place} has not been sent for long: {value}");
        seen.insert(place.clone());
        if value.is_null() {
            assert!(flag(described, "nullable"), "{place} is null");
            continue;
        }
        let of = described.get("of").and_then(toml::Value::as_str);
        let object = of.filter(|of| contract["objects"].get(of).is_some());
        match described["type"].as_str().unwrap() {
            "string" => assert!(value.is_string(), "{place} is {value}"),
            "integer" => assert!(value.is_i64(), "{place} is {value}"),
            "boolean" => assert!(value.is_boolean(), "{place} is {value}"),
            "object" => hold(contract, object.unwrap(), value, seen),
            "array" => {
                for row in value.as_array().unwrap_or_else(|| panic!("{place} is {value}")) {
                    if let Some(object) = object {
                        hold(contract, object, row, seen);
                    } else {
                        let mut parts = row.as_array().unwrap().iter();
                        assert!(parts.all(Value::is_string), "{place} holds {row}");
                    }
                }
            }
            other => panic!("{place} is of the type {other}"),
        }
        if let Some(listed) = described.get("enum").and_then(toml::Value::as_array) {
            assert!(listed.iter().any(|one| one.as_str() == value.as_str()), "{place} is {value}");
        }
    }
}

#[test]
fn the_simulator_answers_as_the_contract_says() {
    let contract = contract();
    let mut heard = all_questions();
    let overheard = Overheard { exchange: exchange(), all: Arc::default() };
    for path in ["/series", "/markets/KXA-1-M/orderbook?depth=1", "/historical/trades?limit=1001"] {
        overheard.ask(&format!("/trade-api/v2{path}"), Vec::new());
    }
    overheard.exchange.change(|world| world.rules.exchange_status.unavailable = true);
    overheard.ask("/trade-api/v2/exchange/status", Vec::new());
    heard.append(&mut overheard.all.lock().unwrap());
    let (mut seen, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for Heard { path, status, body, .. } in &heard {
        let operation = operation_of(&contract, path);
        let also = operation.get("also_answered_with").and_then(toml::Value::as_array);
        let is_answer = *status == 200
            || also
                .is_some_and(|all| all.iter().any(|s| s.as_integer() == Some(i64::from(*status))));
        if is_answer {
            hold(&contract, operation["answer"].as_str().unwrap(), body, &mut seen);
        } else {
            assert_eq!(*status, 400, "{path}");
            let refusal = operation["refusal"].as_str().unwrap();
            // As the exchange does, it nests what the specification has flat.
            hold(&contract, refusal, &body["error"], &mut seen);
        }
        paths.insert(operation["path"].as_str().unwrap());
    }
    assert_eq!(paths.len(), operations(&contract).len(), "each is asked");
    let objects = contract["objects"].as_table().unwrap();
    for (name, object) in objects {
        for (field, described) in object["fields"].as_table().unwrap() {
            let place = format!("{name}.{field}");
            let is_expected = !flag(described, "unspecified");
            assert_eq!(
                seen.contains(&place),
                is_expected,
                "{place}: the simulator has no such case"
            );
        }
    }
}

#[test]
fn the_words_of_the_contract_are_understood() {
    let contract = contract();
    let words = |object: &str, field: &str| -> Vec<String> {
        let listed = contract["objects"][object]["fields"][field]["enum"].as_array().unwrap();
        listed.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    for word in words("market", "status") {
        assert!(!matches!(Status::parse(&word), Status::Other(_)), "{word}");
    }
    for field in ["taker_outcome_side", "taker_book_side", "taker_side"] {
        for word in words("trade", field) {
            let row = format!(
                r#"{{"trade_id":"t","ticker":"KXA","count_fp":"1.00","yes_price_dollars":"0.5000",
                "created_time":"2026-01-01T00:00:00Z","{field}":"{word}"}}"#
            );
            let now = Timestamp::from_micros(NOON_US);
            assert!(kalshi::normalize(&row, &ticker("KXA").into(), now).is_ok(), "{field} {word}");
        }
    }
    let cli = Cli::command();
    let run = cli.find_subcommand("run").unwrap();
    let default = |name: &str| {
        let argument = run.get_arguments().find(|found| found.get_long() == Some(name)).unwrap();
        argument.get_default_values()[0].to_string_lossy().into_owned()
    };
    assert_eq!(contract["server"].as_str(), Some(default("base-url").as_str()));
    assert_eq!(
        operation_of(&contract, &default("trades-path"))["path"].as_str(),
        Some("/markets/trades")
    );
}
