//! Signed requests: which keys the exchange accepts, what a refusal costs, whose clock counts,
//! and that no key is ever shown.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kalshi_simulator::{PublicKey, Rules, seeded_trades};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use tempfile::TempDir;

use crate::support::bench::{Bench, stderr};
use crate::support::database::Database;

const KEY_ID: &str = "5c6f6e0e-8f2b-4d7c-9a53-0d3f6d5f9b11";

/// As OpenSSL makes them; none of them opens anything.
const ED25519: &str = include_str!("fixtures/throwaway-keys/ed25519.pem");
const ED25519_PUBLIC: &str = include_str!("fixtures/throwaway-keys/ed25519.pub.pem");
const RSA_PKCS1: &str = include_str!("fixtures/throwaway-keys/rsa.pkcs1.pem");
const RSA_PKCS8: &str = include_str!("fixtures/throwaway-keys/rsa.pkcs8.pem");
const RSA_PUBLIC: &str = include_str!("fixtures/throwaway-keys/rsa.pub.pem");
const RSA_SHORT: &str = include_str!("fixtures/throwaway-keys/rsa-1024.pem");
const EC_PKCS8: &str = include_str!("fixtures/throwaway-keys/ec.pkcs8.pem");
const EC_SEC1: &str = include_str!("fixtures/throwaway-keys/ec.sec1.pem");
const ENCRYPTED: &str = include_str!("fixtures/throwaway-keys/encrypted.pem");
const OPENSSH: &str = include_str!("fixtures/throwaway-keys/openssh.pem");

const MARKETS: [&str; 3] = ["KXSIGN-A", "KXSIGN-B", "KXSIGN-C"];
const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;

/// An exchange with the machine's time that asks for signatures, and trades of the last hour.
fn bench(database: &Database, key: PublicKey) -> Bench<'_> {
    let bench = Bench::new(
        database,
        Rules {
            require_signature: Some(key),
            // Far less than what is tried below, far more than a slow machine takes.
            signature_skew_max_ms: Some(60_000),
            ..Rules::default()
        },
    );
    bench.run_by_the_machine();
    let now_us = bench.exchange.now_us();
    for market in MARKETS {
        // Two pages.
        let (from_us, until_us) = (now_us - HOUR_US, now_us - 60 * SECOND_US);
        bench.exchange.add_all(seeded_trades(1, market, 1_200, from_us, until_us));
    }
    bench
}

fn ed25519() -> PublicKey {
    PublicKey::from_pem(KEY_ID, ED25519_PUBLIC).unwrap()
}

fn rsa() -> PublicKey {
    PublicKey::from_pem(KEY_ID, RSA_PUBLIC).unwrap()
}

/// The newer form of PKCS#8, with the public half in it.
fn ed25519_with_public_half() -> (String, PublicKey) {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
    let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for line in STANDARD.encode(der.as_ref()).as_bytes().chunks(64) {
        writeln!(pem, "{}", str::from_utf8(line).unwrap()).unwrap();
    }
    pem += "-----END PRIVATE KEY-----\n";
    (pem, PublicKey::ed25519(KEY_ID, pair.public_key().as_ref()))
}

/// A file with this text, in a directory that lives as long as the guard.
fn key_file(text: &str) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("kalshi-key.pem");
    fs::write(&path, text).unwrap();
    (directory, path)
}

/// One pass over all markets with this key; nobody else's key comes from the environment.
fn pass(bench: &Bench<'_>, key_id: &str, key: &Path, flags: &[&str]) -> Output {
    let signed = ["--api-key-id", key_id, "--private-key-file", key.to_str().unwrap()];
    keyless(bench, &[&signed, flags].concat()).output().unwrap()
}

fn keyless(bench: &Bench<'_>, flags: &[&str]) -> Command {
    let mut command = bench.command(&MARKETS.join(","), flags);
    for variable in ["KALSHI_API_KEY_ID", "KALSHI_PRIVATE_KEY_FILE", "KALSHI_LOG_FORMAT"] {
        command.env_remove(variable);
    }
    command
}

fn errors(output: &Output) -> Vec<String> {
    stderr(output).lines().filter(|line| line.contains(" ERROR ")).map(str::to_owned).collect()
}

/// No line of the key, and nothing of its kind, on either stream.
#[track_caller]
fn assert_no_key(output: &Output, key: &str, why: &str) {
    for stream in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(stream);
        let secret = key.lines().filter(|line| !line.is_empty() && !line.starts_with("-----"));
        for line in secret {
            assert!(!text.contains(line), "{why}: {text}");
            // Nor a part that is long enough to mean anything.
            for part in line.as_bytes().chunks_exact(16) {
                assert!(!text.contains(str::from_utf8(part).unwrap()), "{why}: {text}");
            }
        }
    }
}

#[test]
fn every_kind_of_key_the_exchange_hands_out_is_accepted() {
    let (newer, newer_public) = ed25519_with_public_half();
    let windows = ED25519.replace('\n', "\r\n");
    let annotated = format!("Kalshi, read only\n\n{RSA_PKCS1}\n");
    for (key, public, why) in [
        (ED25519, ed25519(), "Ed25519, PKCS#8 version 1, as OpenSSL makes it"),
        (&newer, newer_public, "Ed25519, PKCS#8 version 2, as ring makes it"),
        (RSA_PKCS1, rsa(), "RSA, PKCS#1"),
        (RSA_PKCS8, rsa(), "RSA, PKCS#8"),
        (&windows, ed25519(), "saved by an editor of Windows"),
        (&annotated, rsa(), "with words around it"),
    ] {
        let database = Database::sqlite();
        let bench = bench(&database, public);
        let (_directory, path) = key_file(key);
        let output = pass(&bench, KEY_ID, &path, &[]);
        assert_eq!(output.status.code(), Some(0), "{why}: {}", stderr(&output));
        bench.assert_complete(&MARKETS, why);
        let requests = bench.exchange.requests();
        // The list of markets, the newest trade of all, where the archive ends.
        assert_eq!(requests.len(), 2 * MARKETS.len() + 3, "{why}: nothing was asked twice");
        for request in requests {
            assert_eq!(request.header("kalshi-access-key"), Some(KEY_ID), "{why}");
        }
    }
}

#[test]
fn the_path_of_another_endpoint_is_what_is_signed() {
    let database = Database::sqlite();
    let bench = bench(&database, ed25519());
    let (_directory, path) = key_file(ED25519);
    // The cutoff is now: everything is historical.
    let cutoff_s = bench.exchange.now_us() / SECOND_US;
    bench.exchange.change(|world| world.rules.cutoff_s = cutoff_s);
    let output = pass(&bench, KEY_ID, &path, &["--trades-path", "/historical/trades"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    bench.assert_complete(&MARKETS, "the historical tier, signed");
}

#[test]
fn a_key_the_exchange_does_not_know_costs_one_request_and_exits_with_4() {
    let (another, _) = ed25519_with_public_half();
    for (key_id, key, says, why) in [
        ("another-id", ED25519, "unknown key", "wrong key id"),
        (KEY_ID, &another, "incorrect signature", "wrong key"),
        (KEY_ID, RSA_PKCS8, "incorrect signature", "wrong kind of key"),
    ] {
        let database = Database::sqlite();
        let bench = bench(&database, ed25519());
        let (_directory, path) = key_file(key);
        let output = pass(&bench, key_id, &path, &["--workers", "1"]);
        assert_forbidden(&bench, &output, says, why);
        assert_no_key(&output, key, why);
    }
    let database = Database::sqlite();
    let bench = bench(&database, ed25519());
    let output = keyless(&bench, &["--workers", "1"]).output().unwrap();
    assert_forbidden(&bench, &output, "no KALSHI-ACCESS-KEY", "no key");
}

/// The pass stopped at the first refusal, said so once, and says what to check.
#[track_caller]
fn assert_forbidden(bench: &Bench<'_>, output: &Output, says: &str, why: &str) {
    assert_eq!(output.status.code(), Some(4), "{why}: {}", stderr(output));
    let errors = errors(output);
    assert_eq!(errors.len(), 1, "{why}: {errors:?}");
    for part in ["401", says, "--api-key-id", "--private-key-file", "clock"] {
        assert!(errors[0].contains(part), "{why}: {part:?} in {errors:?}");
    }
    let asked: Vec<_> = bench.exchange.requests().iter().map(|asked| asked.status).collect();
    assert_eq!(
        asked,
        [Some(401)],
        "{why}: one request for {} markets, {:?}",
        MARKETS.len(),
        bench
            .exchange
            .requests()
            .iter()
            .map(|a| (a.path.clone(), a.query.clone()))
            .collect::<Vec<_>>()
    );
    assert!(bench.database.trades().is_empty(), "{why}");
}

#[test]
fn several_readers_stop_at_their_first_refusal() {
    let database = Database::sqlite();
    let bench = bench(&database, ed25519());
    let (_directory, path) = key_file(RSA_PKCS8);
    let markets: Vec<String> = (0..40).map(|number| format!("KXSIGN-{number}")).collect();
    let key = path.to_str().unwrap();
    let signed = ["--api-key-id", KEY_ID, "--private-key-file", key, "--workers", "8"];
    let output = bench.process(&markets.join(","), &signed);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(errors(&output).len(), 1, "{}", stderr(&output));
    // Each of the eight may have asked before the first answer was there, and none asks twice.
    let asked = bench.exchange.requests();
    assert!((1..=8).contains(&asked.len()), "{} requests", asked.len());
}

#[test]
fn a_refusal_by_the_clock_is_learnt_from_and_the_request_signed_again() {
    let database = Database::sqlite();
    let bench = bench(&database, ed25519());
    bench.exchange.set_offset_us(HOUR_US);
    let (_directory, path) = key_file(ED25519);
    let output = pass(&bench, KEY_ID, &path, &["--workers", "1"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let statuses: Vec<_> = bench.exchange.requests().iter().map(|asked| asked.status).collect();
    assert_eq!(statuses[..2], [Some(401), Some(200)], "its Date tells by how much");
    assert!(statuses[1..].iter().all(|status| *status == Some(200)), "and once is enough");
}

#[test]
fn an_accepted_answer_tells_the_time_that_the_next_request_is_signed_with() {
    let database = Database::sqlite();
    let bench = bench(&database, ed25519());
    bench.exchange.set_offset_us(HOUR_US);
    bench.exchange.change(|world| world.rules.signature_skew_max_ms = None);
    let (_directory, path) = key_file(ED25519);
    let output = pass(&bench, KEY_ID, &path, &["--workers", "1"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let requests = bench.exchange.requests();
    let behind_us = requests.iter().map(|asked| {
        let signed_ms: i64 = asked.header("kalshi-access-timestamp").unwrap().parse().unwrap();
        asked.asked_us - signed_ms * 1_000
    });
    let behind: Vec<bool> = behind_us.map(|behind_us| behind_us > HOUR_US / 2).collect();
    let mut expected = vec![false; requests.len()];
    expected[0] = true;
    assert_eq!(behind, expected, "our clock is used once");
}

#[test]
fn a_file_that_holds_no_usable_key_is_named_and_not_quoted() {
    let database = Database::sqlite();
    let bench = bench(&database, ed25519());
    let broken = ED25519.replacen("MC4C", "!?4C", 1);
    let cut_off = &RSA_PKCS8[..RSA_PKCS8.len() / 2];
    for (text, says, why) in [
        ("c2VjcmV0IGdhcmJhZ2UgdGhhdCBpcyBubyBQRU0=\n", "BEGIN PRIVATE KEY", "no PEM"),
        ("", "BEGIN PRIVATE KEY", "an empty file"),
        (&broken, "BEGIN PRIVATE KEY", "a PEM that is not base64"),
        (cut_off, "BEGIN PRIVATE KEY", "half a PEM"),
        (EC_PKCS8, "BEGIN PRIVATE KEY", "an elliptic curve that the exchange does not take"),
        (EC_SEC1, "not RSA or Ed25519", "the same in its own format"),
        (OPENSSH, "BEGIN PRIVATE KEY", "OpenSSH's format"),
        (ENCRYPTED, "BEGIN PRIVATE KEY", "a key under a passphrase"),
        (RSA_SHORT, "TooSmall", "an RSA key of 1024 bits"),
        (ED25519_PUBLIC, "BEGIN PRIVATE KEY", "the public half"),
    ] {
        let (_directory, path) = key_file(text);
        for flags in [&[][..], &["-v", "-v", "--log-format", "json"]] {
            let output = pass(&bench, KEY_ID, &path, flags);
            let errors = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{why}: {errors}");
            assert_eq!(errors.lines().count(), 1, "{why}: {errors}");
            for part in [path.to_str().unwrap(), says] {
                assert!(errors.contains(part), "{why}: {part:?} in {errors}");
            }
            assert_no_key(&output, text, why);
        }
    }
    let (directory, _) = key_file("");
    let missing = directory.path().join("no-such-key.pem");
    for (path, why) in [(&*missing, "a missing file"), (directory.path(), "a directory")] {
        let output = pass(&bench, KEY_ID, path, &[]);
        let errors = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{why}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{why}: {errors}");
        assert!(errors.contains(path.to_str().unwrap()), "{why}: {errors}");
    }
    assert_eq!(bench.requests(), 0, "all of this is found before anything is asked");
}

#[test]
fn half_a_key_is_a_mistake_and_not_a_pass_without_one() {
    let database = Database::sqlite();
    let bench = bench(&database, ed25519());
    let (_directory, path) = key_file(ED25519);
    let path = path.to_str().unwrap();
    for (flag, variable, value) in [
        ("--api-key-id", "KALSHI_API_KEY_ID", KEY_ID),
        ("--private-key-file", "KALSHI_PRIVATE_KEY_FILE", path),
    ] {
        let by_flag = keyless(&bench, &[flag, value]).output().unwrap();
        let by_variable = keyless(&bench, &[]).env(variable, value).output().unwrap();
        for (output, why) in [(by_flag, flag), (by_variable, variable)] {
            let errors = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{why}: {errors}");
            assert_eq!(errors.lines().count(), 1, "{why}: {errors}");
            assert!(errors.contains("--api-key-id and --private-key-file"), "{why}: {errors}");
        }
    }
    assert_eq!(bench.requests(), 0);
}

#[test]
fn the_key_is_not_shown_however_much_is_said() {
    for (key, public) in [(ED25519, ed25519()), (RSA_PKCS1, rsa()), (RSA_PKCS8, rsa())] {
        for (key_id, code) in [(KEY_ID, 0), ("another-id", 4)] {
            for flags in [&["-v", "-v"][..], &["-v", "-v", "--log-format", "json"]] {
                let database = Database::sqlite();
                let bench = bench(&database, public.clone());
                let (_directory, path) = key_file(key);
                let output = pass(&bench, key_id, &path, flags);
                let errors = stderr(&output);
                assert_eq!(output.status.code(), Some(code), "{errors}");
                assert_no_key(&output, key, "said everything");
                // Who holds the log is not who holds the key, for as long as a signature counts.
                let requests = bench.exchange.requests();
                for header in ["kalshi-access-key", "kalshi-access-signature"] {
                    for request in &requests {
                        assert!(!errors.contains(request.header(header).unwrap()), "{errors}");
                    }
                }
            }
        }
    }
}
