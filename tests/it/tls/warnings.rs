//! Who is told that somebody on the way could read along.

use kalshi_simulator::{Rules, seeded_trades};

use super::server::{At, Shows, TlsServer, name_in};
use super::{VERIFY, ingest};
use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::Database;

const PLAIN: &str = "the connection to db.example is not encrypted; set sslmode=verify-full";
const UNCHECKED: &str = "the connection to db.example is encrypted but the server's certificate is \
                         not checked; set sslmode=verify-full";
const CHAIN: &str = "sslmode=verify-ca&sslrootcert=ROOT";

#[test]
fn what_leaves_the_machine_unprotected_is_said() {
    for (shows, at, query, warning) in [
        (Shows::OtherHost, At::Abroad, "sslmode=disable", Some(PLAIN)),
        (Shows::OtherHost, At::Abroad, "sslmode=allow", Some(PLAIN)),
        (Shows::OtherHost, At::Abroad, "", Some(UNCHECKED)),
        (Shows::OtherHost, At::Abroad, "sslmode=require", Some(UNCHECKED)),
        (Shows::OtherHost, At::Abroad, CHAIN, None),
        (Shows::OtherHost, At::Abroad, VERIFY, None),
        (Shows::OtherHost, At::Localhost, "sslmode=disable", None),
        (Shows::OtherHost, At::Localhost, "sslmode=require", None),
        (Shows::OtherHost, At::Socket, "", None),
        (Shows::Nothing, At::Abroad, "", Some(PLAIN)),
        // The way back from TLS that could not be had.
        (Shows::SelfSigned, At::Abroad, "sslmode=prefer&sslrootcert=ROOT", Some(PLAIN)),
    ] {
        let server = TlsServer::showing(shows);
        let query = query.replace("ROOT", &server.root());
        let url = server.url(at, "anyhow", &server.database, &query);
        let output = ingest(&["migrate", "--database-url", &url]);
        let errors = stderr(&output);
        assert!(output.status.success(), "{shows:?} {at:?} {query}: {errors}");
        let said: Vec<&str> = errors.lines().filter(|line| line.contains("WARN")).collect();
        let is_right = match warning {
            Some(warning) => said.len() == 1 && said[0].ends_with(warning),
            None => said.is_empty(),
        };
        assert!(is_right, "{shows:?} {at:?} {query}: {errors}");
        let output = ingest(&["migrate", "--database-url", &url, "-q"]);
        assert_eq!(stderr(&output), "", "with -q: {query}");
    }
}

#[test]
fn a_pass_says_it_once() {
    let server = TlsServer::showing(Shows::OtherHost);
    let (mut abroad, mut behind) = (Database::sqlite(), Database::sqlite());
    behind.url = server.server.create_database();
    abroad.url = server.url(At::Abroad, "encrypted", &name_in(&behind.url), "sslmode=require");
    let bench = Bench::served(&abroad, Rules::default());
    bench.exchange.add_all(seeded_trades(
        1,
        "KXTLS",
        50,
        NOON_US - 60_000_000,
        NOON_US - 30_000_000,
    ));
    let output = bench.process("KXTLS", &[]);
    let errors = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert_eq!(errors.matches(UNCHECKED).count(), 1, "{errors}");
}
