//! The program run by hand.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::client::Answer;
use crate::until;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kalshi-simulator");

/// Ends the program however the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(base_url: &str, path: &str) -> Answer {
    let host = base_url.strip_prefix("http://").unwrap().strip_suffix("/trade-api/v2").unwrap();
    let stream = std::net::TcpStream::connect(host).unwrap();
    crate::client::Client::of(stream).get(path)
}

#[test]
fn help_tells_the_switches() {
    let output = Command::new(PROGRAM).arg("--help").output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for word in [
        "--listen",
        "--markets",
        "--trades",
        "--seed",
        "--span",
        "--live",
        "--late-max",
        "--file",
        "--fault-per-mille",
        "--keyless-limit",
        "--max-ts",
        "--list-end",
        "--cutoff-ago",
        "--verbose",
    ] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn it_starts_says_where_and_serves() {
    let mut child = Command::new(PROGRAM)
        .args(["--listen", "127.0.0.1:0", "--markets", "2", "--trades", "50", "--live", "200"])
        .args(["--shape", "cents", "--late-max", "1s", "--cutoff-ago", "1h", "--run-for", "60s"])
        .args(["--keyless-limit", "1000", "--list-end", "null"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let _running = Running(child);
    let mut lines = BufReader::new(stdout).lines();
    let base_url = lines.next().unwrap().unwrap();
    let tickers: Vec<String> = lines.by_ref().take(2).map(Result::unwrap).collect();
    assert_eq!(tickers, ["KXSIM-M1", "KXSIM-M2"]);

    let first = get(&base_url, "/markets/trades?limit=1000&ticker=KXSIM-M1");
    assert!(first.json()["trades"][0]["count"].is_u64(), "{}", first.text());
    assert!(first.json()["cursor"].is_null());
    let historical = get(&base_url, "/historical/trades?limit=1000").ids();
    assert!(!historical.is_empty() && historical.len() < 100, "{}", historical.len());
    let listed = get(&base_url, "/markets?status=open").tickers();
    assert_eq!(listed.len(), 2, "{listed:?}");
    let book = get(&base_url, "/markets/KXSIM-M1/orderbook").json();
    assert!(book["orderbook_fp"]["yes_dollars"][0][0].is_string(), "{book}");
    until("the first new trade", || {
        let now = get(&base_url, "/markets/trades?limit=1000&ticker=KXSIM-M1");
        now.ids() != first.ids()
    });
}

#[test]
fn it_ends_by_itself_and_names_mistakes() {
    let timed = ["--listen", "127.0.0.1:0", "--trades", "0", "--run-for", "1ms"];
    assert!(Command::new(PROGRAM).args(timed).output().unwrap().status.success());
    for (arguments, why) in [
        (&["--file", "/nowhere/trades.jsonl"][..], "error: /nowhere/trades.jsonl: "),
        (&["--span", "0s"], "error: --span: "),
        (&["--fault", "nonsense"], "error: invalid value 'nonsense'"),
        (&["--public-key", "key.pem"], "error: the following required arguments"),
    ] {
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        assert!(!output.status.success());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with(why), "{stderr}");
    }
}
