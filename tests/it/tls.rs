//! PostgreSQL over TLS: what each `sslmode` accepts from which server, next to what libpq does
//! with the same URL, and that no password is ever shown.

mod server;
mod rows;
mod surroundings;
mod warnings;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use kalshi_simulator::{Rules, seeded_trades};

use self::rows::{AS_LIBPQ, MATRIX, MODES, Row, UNLIKE_LIBPQ, VERIFY};
use self::server::{At, PASSWORD, PASSWORD_IN_URL, Shows, TlsServer, name_in};
use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::{Database, assert_rows};
use crate::support::postgres::binaries;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Encrypted,
    Plain,
    /// By either side: exit status 5.
    Refused,
    /// The URL itself is found wrong: exit status 2; for libpq the same as refused.
    Misread,
}
use Seen::{Encrypted, Misread, Plain, Refused};

#[test]
fn sslmode_and_certificate_decide_as_in_libpq() {
    let like = AS_LIBPQ.iter().map(|row| (*row, row.4, "as libpq"));
    let unlike = UNLIKE_LIBPQ.iter().map(|(row, libpq, why)| (*row, *libpq, *why));
    let mut rows: Vec<_> = like.chain(unlike).collect();
    let queries = queries();
    for (shows, role, with_root, seen) in MATRIX {
        for (query, seen) in queries[usize::from(*with_root)].iter().zip(seen) {
            rows.push(((*shows, At::Localhost, *role, query, *seen, ""), *seen, "the matrix"));
        }
    }
    // One reload a certificate.
    rows.sort_by_key(|(row, ..)| row.0);
    let mut wrong = Vec::new();
    for rows in rows.chunk_by(|(one, ..), (other, ..)| one.0 == other.0) {
        let server = TlsServer::showing(rows[0].0.0);
        for (row, libpq, why) in rows {
            if let Err(complaint) = check(&server, row, *libpq) {
                wrong.push(format!("{row:?} ({why}): {complaint}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every `sslmode`, without a root and with one.
fn queries() -> [Vec<String>; 2] {
    let all = |rest: &str| MODES.iter().map(|mode| format!("sslmode={mode}{rest}")).collect();
    [all(""), all("&sslrootcert=ROOT")]
}

/// Runs both programs on a row; the error says what was unexpected.
fn check(server: &TlsServer, row: &Row<'_>, libpq: Seen) -> Result<(), String> {
    let (shows, at, role, query, seen, says) = *row;
    let query = query
        .replace("ROOT", &server.root())
        .replace("CERTS", &server.certificates.display().to_string())
        .replace("ITSELF", &server.certificate(shows).display().to_string())
        .replace("GARBAGE", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let url = |application: &str| {
        let query = format!("application_name={application}&{query}");
        server.url(at, role, &server.database, &query)
    };
    let name = fresh_name();
    let output = ingest(&["migrate", "--database-url", &url(&name)]);
    let (errors, code) = (stderr(&output), output.status.code());
    let ours = match code {
        Some(0) => encryption(server, &name),
        Some(2) => Misread,
        Some(5) => Refused,
        _ => return Err(format!("exit status {code:?}: {errors}")),
    };
    if ours != seen {
        return Err(format!("{ours:?}: {errors}"));
    }
    if !matches!(seen, Encrypted | Plain) && (errors.lines().count() != 1 || !errors.contains(says))
    {
        return Err(format!("not one line with {says:?}: {errors}"));
    }
    assert_no_password(&output, &errors);
    let name = fresh_name();
    let output = psql(&url(&name));
    let theirs = if output.status.success() { encryption(server, &name) } else { Refused };
    let libpq = if libpq == Misread { Refused } else { libpq };
    if theirs != libpq {
        return Err(format!("libpq: {theirs:?} and not {libpq:?}: {}", stderr(&output)));
    }
    Ok(())
}

/// How the server took every connection of this application.
fn encryption(server: &TlsServer, application: &str) -> Seen {
    let admitted = server.admitted(application);
    let is_encrypted = admitted.first().expect("a connection in the server's log");
    assert!(admitted.iter().all(|other| other == is_encrypted), "{admitted:?}");
    if *is_encrypted { Encrypted } else { Plain }
}

/// An `application_name` to find in the server's log.
fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("attempt-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The program, with nothing from the environment it was started in.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
    command.env_clear().args(args);
    command
}

fn ingest(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// libpq's own opinion, without the files of whoever runs the tests.
fn psql(url: &str) -> Output {
    psql_with(url, &[("HOME", "/nonexistent")])
}

/// The same with these variables.
fn psql_with(url: &str, variables: &[(&str, &str)]) -> Output {
    // Debian's in the path is a script around it that takes five times as long to start.
    let beside = binaries().map(|bin| bin.join("psql")).filter(|path| path.exists());
    Command::new(beside.unwrap_or_else(|| PathBuf::from("psql")))
        .env_clear()
        .envs(env::var_os("PATH").map(|path| ("PATH", path)))
        .env("LC_ALL", "C")
        .envs(variables.iter().copied())
        .args(["--no-psqlrc", "--no-password", "--command", "select 1", url])
        .output()
        .unwrap_or_else(|error| {
            panic!("psql: {error}; run `apt-get install postgresql-client` or your system's like")
        })
}

#[track_caller]
fn assert_no_password(output: &Output, why: &str) {
    for stream in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(stream);
        // Any part of it would be too much.
        for part in ["Tr0ub4dor", PASSWORD, PASSWORD_IN_URL, "ord/3", "ord%2F3"] {
            assert!(!text.contains(part), "{why}: {text}");
        }
    }
}

#[test]
fn a_wrong_password_is_refused_in_one_line_and_shown_nowhere() {
    let server = TlsServer::showing(Shows::Good);
    let right = server.url(At::Localhost, "encrypted", &server.database, VERIFY);
    let right = right.replace("ROOT", &server.root());
    let wrong = right.replace("//encrypted:", "//stranger:");
    for flags in [&[][..], &["-v"], &["-v", "-v"], &["-v", "-v", "--log-format", "json"], &["-q"]] {
        let output = ingest(&[&["migrate", "--database-url", &wrong], flags].concat());
        assert_eq!(output.status.code(), Some(5), "{flags:?}: {}", stderr(&output));
        assert_no_password(&output, "a wrong password");
        let output = ingest(&[&["migrate", "--database-url", &right], flags].concat());
        assert_eq!(output.status.code(), Some(0), "{flags:?}: {}", stderr(&output));
        assert_no_password(&output, "the right password");
    }
    let file = server.certificates.join("url");
    fs::write(&file, format!("{wrong}\n")).unwrap();
    for (variable, value) in
        [("DATABASE_URL", &*wrong), ("DATABASE_URL_FILE", file.to_str().unwrap())]
    {
        let output = command(&["migrate"]).env(variable, value).output().unwrap();
        let errors = stderr(&output);
        assert_eq!(output.status.code(), Some(5), "{variable}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{variable}: {errors}");
        assert!(errors.contains("password authentication failed"), "{variable}: {errors}");
        assert!(errors.contains(&format!("localhost:{}", server.port)), "{variable}: {errors}");
        assert_no_password(&output, variable);
    }
}

#[test]
fn verify_full_without_a_root_trusts_what_the_system_trusts() {
    let server = TlsServer::showing(Shows::Good);
    for query in ["sslmode=verify-full", "sslmode=verify-full&sslrootcert=system"] {
        for (roots, code, says) in [
            (Some(server.root()), 0, "schema"),
            (Some(server.certificate(Shows::OtherHost).display().to_string()), 5, "UnknownIssuer"),
        ] {
            let name = fresh_name();
            let query = format!("{query}&application_name={name}");
            let url = server.url(At::Localhost, "encrypted", &server.database, &query);
            let mut command = command(&["migrate", "--database-url", &url]);
            let output = command.envs(roots.map(|path| ("SSL_CERT_FILE", path))).output().unwrap();
            let errors = stderr(&output);
            assert_eq!(output.status.code(), Some(code), "{query}: {errors}");
            assert!(errors.contains(says), "{query}: {errors}");
            assert_eq!(server.admitted(&name), vec![true; usize::from(code == 0)], "{query}");
        }
    }
}

#[test]
fn a_pass_over_verify_full_stores_every_trade() {
    let server = TlsServer::showing(Shows::Chained);
    let name = fresh_name();
    let query = VERIFY.replace("ROOT", &server.root()) + "&application_name=" + &name;
    // Written over TLS, read by way of the socket.
    let (mut in_front, mut behind) = (Database::sqlite(), Database::sqlite());
    behind.url = server.server.create_database();
    in_front.url = server.url(At::Number, "encrypted", &name_in(&behind.url), &query);
    let bench = Bench::new(&in_front, Rules::default());
    let markets = ["KXTLS-A", "KXTLS-B"];
    for market in markets {
        let hour_us = 3_600_000_000;
        bench.exchange.add_all(seeded_trades(
            1,
            market,
            1_500,
            NOON_US - hour_us,
            NOON_US - 60_000_000,
        ));
    }
    for why in ["the first pass", "a pass over what is there"] {
        let output = bench.process("KXTLS-A,KXTLS-B", &["-v", "-v"]);
        assert_eq!(output.status.code(), Some(0), "{why}: {}", stderr(&output));
        assert_no_password(&output, why);
        assert_rows(&behind.trades(), &bench.truth(&markets), why);
    }
    assert_eq!(encryption(&server, &name), Encrypted);
}
