//! Signed requests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kalshi_simulator::{PublicKey, Rules};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair};

use crate::client::{Answer, Client};
use crate::{START_US, exchange};

const PATH: &str = "/trade-api/v2/markets/trades";
const KEY_ID: &str = "a952bcbe-ec3b-4b5b-b8f9-11dae589608c";
const NOW_MS: i64 = START_US / 1_000;

/// Made for these tests; it guards nothing.
const THROWAWAY_RSA_KEY: &str = include_str!("throwaway_test_rsa_key.pem");

fn rsa_key() -> RsaKeyPair {
    let base64 = THROWAWAY_RSA_KEY.split_once("-----BEGIN PRIVATE KEY-----").unwrap().1;
    let base64: String = base64.split_once("-----END").unwrap().0.split_whitespace().collect();
    RsaKeyPair::from_pkcs8(&STANDARD.decode(base64).unwrap()).unwrap()
}

fn rsa_signature(encoding: &'static dyn ring::signature::RsaEncoding, message: &str) -> Vec<u8> {
    let key = rsa_key();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    signature
}

fn ed25519_key() -> Ed25519KeyPair {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()
}

fn signed(client: &mut Client, key_id: &str, timestamp_ms: i64, signature: &[u8]) -> Answer {
    let signature = STANDARD.encode(signature);
    let headers = format!(
        "KALSHI-ACCESS-KEY: {key_id}\r\nKALSHI-ACCESS-TIMESTAMP: {timestamp_ms}\r\n\
         KALSHI-ACCESS-SIGNATURE: {signature}\r\n"
    );
    client.try_get("/markets/trades?limit=5", &headers).unwrap()
}

fn check_refused(answer: &Answer, details: &str) {
    assert_eq!(answer.status, 401, "{details}");
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "token_authentication_failure");
    assert_eq!(error["details"], details);
}

#[test]
fn an_ed25519_signature_is_accepted_and_anything_else_refused() {
    let key = ed25519_key();
    let public = PublicKey::ed25519(KEY_ID, key.public_key().as_ref());
    let rules = Rules { require_signature: Some(public), ..Rules::default() };
    let (exchange, server) = exchange(rules, 10);
    exchange.set_now(START_US);
    let mut client = Client::new(&server);
    let sign = |timestamp_ms: i64, rest: &str| key.sign(format!("{timestamp_ms}{rest}").as_bytes());
    let message = format!("GET{PATH}");

    let genuine = sign(NOW_MS, &message);
    assert_eq!(signed(&mut client, KEY_ID, NOW_MS, genuine.as_ref()).ids().len(), 5);

    check_refused(&client.trades(""), "no KALSHI-ACCESS-KEY");
    check_refused(&signed(&mut client, "another", NOW_MS, genuine.as_ref()), "unknown key");
    let incorrect = "incorrect signature";
    check_refused(&signed(&mut client, KEY_ID, NOW_MS + 1, genuine.as_ref()), incorrect);
    for wrong in
        [format!("get{PATH}"), format!("GET{PATH}?limit=5"), "GET/markets/trades".to_owned()]
    {
        let signature = sign(NOW_MS, &wrong);
        check_refused(&signed(&mut client, KEY_ID, NOW_MS, signature.as_ref()), incorrect);
    }
    check_refused(&signed(&mut client, KEY_ID, NOW_MS, b"short"), incorrect);
    let last = exchange.requests().pop().unwrap();
    assert_eq!((last.status, last.trades_request), (Some(401), None));
}

#[test]
fn a_skewed_clock_is_refused_beyond_the_limit() {
    let key = ed25519_key();
    let public = PublicKey::ed25519(KEY_ID, key.public_key().as_ref());
    let rules = Rules {
        require_signature: Some(public),
        signature_skew_max_ms: Some(1_000),
        ..Rules::default()
    };
    let (exchange, server) = exchange(rules, 10);
    exchange.set_now(START_US);
    let mut client = Client::new(&server);
    let mut ask = |timestamp_ms: i64| {
        let signature = key.sign(format!("{timestamp_ms}GET{PATH}").as_bytes());
        signed(&mut client, KEY_ID, timestamp_ms, signature.as_ref())
    };
    for skew_ms in [-1_000, 1_000] {
        assert_eq!(ask(NOW_MS + skew_ms).status, 200, "{skew_ms}");
    }
    let too_far = "timestamp too far from the exchange's time";
    for skew_ms in [-1_001, 1_001, -NOW_MS, i64::MAX - NOW_MS] {
        check_refused(&ask(NOW_MS + skew_ms), too_far);
    }
    exchange.change(|world| world.rules.signature_skew_max_ms = None);
    assert_eq!(ask(1).status, 200, "any clock will do");
}

#[test]
fn an_rsa_signature_must_be_pss() {
    let der = rsa_key().public().as_ref().to_vec();
    let public = PublicKey::rsa(KEY_ID, &der);
    assert_eq!(PublicKey::from_pem(KEY_ID, THROWAWAY_RSA_KEY), Ok(public.clone()));
    let rules = Rules { require_signature: Some(public), ..Rules::default() };
    let (exchange, server) = exchange(rules, 10);
    exchange.set_now(START_US);
    let mut client = Client::new(&server);
    let message = format!("{NOW_MS}GET{PATH}");

    let pss = rsa_signature(&RSA_PSS_SHA256, &message);
    assert_eq!(signed(&mut client, KEY_ID, NOW_MS, &pss).ids().len(), 5);
    let pkcs1 = rsa_signature(&RSA_PKCS1_SHA256, &message);
    check_refused(&signed(&mut client, KEY_ID, NOW_MS, &pkcs1), "incorrect signature");
}

#[test]
fn a_public_key_in_pem_is_read_or_refused() {
    let bytes = [7; 32];
    let info = [&b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..], &bytes].concat();
    let pem = |der: &[u8]| {
        let base64 = STANDARD.encode(der);
        format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n")
    };
    let expected = PublicKey::ed25519(KEY_ID, &bytes);
    assert_eq!(PublicKey::from_pem(KEY_ID, &pem(&info)), Ok(expected));
    for (text, why) in [
        ("ssh-ed25519 AAAA", "not a PEM text of a PUBLIC KEY"),
        (&pem(&info[..20]), "not a SubjectPublicKeyInfo"),
        (&pem(&[&info[..8], b"\x71", &info[9..]].concat()), "neither an RSA nor an Ed25519 key"),
    ] {
        assert_eq!(PublicKey::from_pem(KEY_ID, text), Err(why.to_owned()));
    }
}
