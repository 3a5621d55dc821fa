//! Proxies as curl takes them from the environment; and that nothing secret is ever printed.

use std::process::{Command, Output};

use kalshi_simulator::{Rules, seeded_trades};

use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::Database;
use crate::support::proxy::Proxy;
use crate::support::recorder::Recorder;

const MARKET: &str = "KXA-1-B";
const VARIABLES: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

fn bench(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    let (from, until) = (NOON_US - 60_000_000, NOON_US - 10_000_000);
    bench.exchange.add_all(seeded_trades(1, MARKET, 30, from, until));
    bench
}

/// A pass with nothing of ours in its environment but these variables.
fn pass(bench: &Bench<'_>, flags: &[&str], variables: &[(&str, String)]) -> Output {
    let mut command = bench.command(MARKET, flags);
    for name in VARIABLES {
        command.env_remove(name);
    }
    command.envs(variables.iter().map(|(name, value)| (name, value))).output().unwrap()
}

#[test]
fn the_exchange_the_gateway_and_the_switch_are_asked_through_the_proxy_of_their_scheme() {
    let database = Database::sqlite();
    let (bench, proxy) = (bench(&database), Proxy::start());
    let (gateway, switch) = (Recorder::start(200), Recorder::start(200));
    let flags = ["--push-gateway", &gateway.url, "--ping-url", &switch.url];
    let at = |user: &str| format!("http://{user}{}", proxy.address);
    let none = ("no_proxy", "localhost, 127.0.0.0/8".to_owned());
    for (variables, is_asked, why) in [
        (vec![("http_proxy", at(""))], true, "its own"),
        (vec![("all_proxy", proxy.address.to_string())], true, "of everything"),
        (vec![("https_proxy", at("")), ("HTTPS_PROXY", at(""))], false, "another scheme's"),
        (vec![("HTTP_PROXY", at(""))], false, "could be a header"),
        (vec![("http_proxy", at("")), none], false, "exempted"),
        (vec![("http_proxy", String::new())], false, "empty"),
        (vec![("http_proxy", at("me:hunt%20er2@"))], true, "with a password"),
    ] {
        let output = pass(&bench, &flags, &variables);
        assert_eq!(output.status.code(), Some(0), "{why}: {}", stderr(&output));
        let heads = proxy.take_heads();
        assert_eq!(!heads.is_empty(), is_asked, "{why}: {heads:?}");
        if !is_asked {
            continue;
        }
        // As curl does, the proxy is sent the request itself.
        for start in [
            format!("GET {}/markets/trades?", bench.server.base_url()),
            format!("POST {}/start HTTP/1.1\r\n", switch.url),
            format!("POST {}/0 HTTP/1.1\r\n", switch.url),
            format!("POST {}/metrics/job/kalshi_ingest/shard/0-of-1 HTTP/1.1\r\n", gateway.url),
        ] {
            let asked = heads.iter().filter(|head| head.starts_with(&start)).count();
            assert_eq!(asked, 1, "{why}: {start} in {heads:?}");
        }
        let is_secret = variables[0].1.contains('@');
        let basic = "proxy-authorization: basic bwu6ahvudcblcji="; // me:hunt er2
        let known = heads.iter().all(|head| head.to_lowercase().contains(basic));
        assert_eq!(known, is_secret, "{why}: {heads:?}");
    }
    assert_eq!(gateway.told().len(), 7);
    assert_eq!(switch.told().len(), 14);
    bench.assert_complete(&[MARKET], "through whomever");
}

#[test]
fn a_proxy_that_is_none_is_the_operators_mistake() {
    let database = Database::sqlite();
    let bench = bench(&database);
    let nobody = "http://me:hunter2@127.0.0.1:1";
    for (variable, value, exit, part) in [
        ("http_proxy", "htp://me:hunter2@p:1", 2, "http_proxy begins with neither"),
        ("ALL_PROXY", "http://me:hunter2@p:port", 2, "ALL_PROXY has a port"),
        ("all_proxy", "http://me:hunter2@", 2, "all_proxy names no host"),
        ("http_proxy", nobody, 0, "got no complete answer"),
    ] {
        let flags = ["-vv", "--deadline", "2s"];
        let output = pass(&bench, &flags, &[(variable, value.to_owned())]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(exit), "{value}: {said}");
        assert!(said.contains(part) && !said.contains("hunter2"), "{value}: {said}");
    }
    // Only of those that are asked.
    let ping = ["--ping-url", "https://hc.example/x"];
    let output = pass(&bench, &ping, &[("https_proxy", "htp://p".to_owned())]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let output = pass(&bench, &[], &[("https_proxy", "htp://p".to_owned())]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

/// Whether the curl that is installed asks the proxy; `None` where none is.
fn curl_asks(proxy: &Proxy, target: &str, variables: &[(&str, String)]) -> Option<bool> {
    let mut curl = Command::new("curl");
    for name in VARIABLES {
        curl.env_remove(name);
    }
    curl.args(["-s", "-m", "3", "-o", "/dev/null", target]);
    curl.envs(variables.iter().map(|(name, value)| (name, value))).output().ok()?;
    Some(!proxy.take_heads().is_empty())
}

#[test]
fn curl_asks_the_same() {
    let proxy = Proxy::start();
    let (http, https) = ("http://e.example:1/", "https://e.example:1/");
    let at = proxy.address.to_string();
    let list = |list: &str| vec![("http_proxy", at.clone()), ("no_proxy", list.to_owned())];
    let own = |name| vec![(name, at.clone())];
    let cases = [
        (http, own("http_proxy")),
        (http, own("HTTP_PROXY")),
        (http, own("https_proxy")),
        (http, own("ALL_PROXY")),
        (https, own("HTTPS_PROXY")),
        (https, own("http_proxy")),
        (https, own("all_proxy")),
        (http, vec![("http_proxy", at.clone()), ("NO_PROXY", "x, e.example".to_owned())]),
        (http, list("x e.example")),
        (http, list("*")),
        (http, list("*,x")),
        (http, list("e.example:1")),
        (http, list("example")),
        (http, list(".example.")),
        (http, list("E.Example")),
        (http, list("ample")),
        (http, list("*.example")),
        ("http://127.0.0.1:1/", list("127.0.0.0/8")),
        ("http://127.0.0.1:1/", list("10.0.0.0/8,localhost")),
        ("http://127.0.0.1:1/", list("0.0.1")),
        ("http://[::1]:1/", list("::1")),
        ("http://[::1]:1/", list("fd00::/8")),
        ("http://localhost:1/", list("127.0.0.1")),
    ];
    for (target, variables) in cases {
        let Some(asks) = curl_asks(&proxy, target, &variables) else { return };
        let environment = |name: &str| {
            let known = variables.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| value.clone())
        };
        let ours = kalshi_ingest::proxy::proxy_for(&target.parse().unwrap(), &environment);
        assert_eq!(ours.unwrap().is_some(), asks, "{target} {variables:?}");
    }
}

#[test]
fn nothing_secret_is_printed_at_any_level() {
    let database = Database::sqlite();
    let (bench, proxy) = (bench(&database), Proxy::start());
    bench.run_by_the_machine();
    let (gateway, switch) = (Recorder::start(500), Recorder::start(200));
    let (push, ping) = (format!("{}/hunter1", gateway.url), format!("{}/hunter2", switch.url));
    let key = "tests/it/fixtures/throwaway-keys/rsa.pkcs8.pem";
    let flags = ["--api-key-id", "hunter3", "--private-key-file", key];
    let told = ["--push-gateway", &push, "--ping-url", &ping];
    let through = [("http_proxy", format!("http://me:hunter4@{}", proxy.address))];
    let nowhere = [("http_proxy", "http://me:hunter4@127.0.0.1:1".to_owned())];
    for level in ["trace", "ureq=trace,ureq_proto=trace,rustls=trace,kalshi_ingest=trace", ""] {
        for variables in [&through, &nowhere] {
            let rust_log = ("RUST_LOG", level.to_owned());
            let variables = [&variables[..], &[rust_log]].concat();
            let more = if level.is_empty() { &["-vv", "--log-format", "json"][..] } else { &[] };
            let flags = [&flags[..], &told, more, &["--deadline", "2s"]].concat();
            let output = pass(&bench, &flags, &variables);
            let said = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("GET http"), "{level}: {said}");
            for secret in ["hunter", "SIGNATURE", "signature", "aHVudGVyN", "bWU6"] {
                assert!(!said.contains(secret), "{level}: {secret} in {said}");
            }
        }
    }
    let heads = proxy.take_heads().concat();
    for secret in ["hunter1", "hunter2", "hunter3", "bWU6aHVudGVyNA==", "signature"] {
        let is_sent = heads.to_lowercase().contains(&secret.to_lowercase());
        assert!(is_sent, "{secret} was not even sent: {heads}");
    }
    let mut help = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
    help.env("KALSHI_API_KEY_ID", "hunter3").env("KALSHI_PING_URL", &ping);
    let said = help.env("KALSHI_PUSH_GATEWAY", &push).args(["run", "--help"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&said.stdout).contains("hunter"));
}

#[test]
fn every_request_is_told_as_it_can_be_pasted() {
    let database = Database::sqlite();
    let bench = bench(&database);
    let output = pass(&bench, &["-vv"], &[]);
    let said = stderr(&output);
    let url = format!("GET {}/markets/trades?limit=1000&ticker={MARKET}", bench.server.base_url());
    let line = said.lines().find(|line| line.contains(&url)).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains(": 200 in ") && line.ends_with(" bytes, 30 rows"), "{line}");
    assert!(!stderr(&pass(&bench, &["-v"], &[])).contains("GET http"), "not yet at one -v");
}
