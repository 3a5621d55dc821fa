//! The exchange behind TLS and behind a proxy.

use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::support::bench::stderr;

/// Two markets that never traded and no trade, whatever is asked.
const BODY: &str = r#"{"cursor":"","markets":[{"ticker":"KXA","event_ticker":"KX","status":"active","volume_fp":"0.00"},{"ticker":"KXB","event_ticker":"KX","status":"active","volume_fp":"0.00"}],"trades":[]}"#;

/// A CA's certificate in PEM, and the port of an exchange without trades whose certificate is
/// for `host` and signed by that CA; connections are counted.
fn exchange_for(host: &str) -> (String, u16, Arc<AtomicUsize>) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::Relaxed);
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            answer(StreamOwned::new(connection, stream));
        }
    });
    (ca_pem, port, count)
}

/// Everything up to the blank line that ends a request without a body; nothing if the other side
/// goes away before that.
fn request(stream: &mut impl Read) -> String {
    let mut request = Vec::new();
    let mut bytes = [0; 1_024];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return String::new(),
            Ok(count) => request.extend_from_slice(&bytes[..count]),
        }
    }
    String::from_utf8(request).unwrap()
}

/// One request, one empty page; a client that does not like the certificate just goes away.
fn answer(mut stream: StreamOwned<ServerConnection, TcpStream>) {
    if !request(&mut stream).is_empty() {
        let length = BODY.len();
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{BODY}"
        );
        let _ = stream.flush();
    }
}

fn pass(directory: &TempDir, port: u16, variables: &[(&str, &str)]) -> Output {
    let database = format!("sqlite:{}/k.db", directory.path().display());
    let base_url = format!("https://localhost:{port}/trade-api/v2");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"]
    {
        command.env_remove(name);
    }
    command.env_remove("NO_PROXY").env_remove("no_proxy").env_remove("RUST_LOG");
    command.args(["run", "--market", "KXA,KXB", "--deadline", "5s", "--workers", "1"]);
    command.args(["--database-url", &database, "--base-url", &base_url, "-q"]);
    command.envs(variables.iter().copied()).output().unwrap()
}

/// How many of the two markets were read to the end.
fn complete(directory: &TempDir) -> i64 {
    let path = directory.path().join("k.db");
    let query = "select count(level_at) from ingestion_checkpoints where failures = 0";
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

#[test]
fn only_a_certificate_the_platform_trusts_is_spoken_to() {
    for (host, trusted, code, why) in [
        ("localhost", true, 0, "the right host, signed by a trusted CA"),
        ("localhost", false, 4, "a CA that nobody trusts"),
        ("example.com", true, 4, "another host"),
    ] {
        let directory = TempDir::new().unwrap();
        let (ca, port, connections) = exchange_for(host);
        let file = directory.path().join("ca.pem");
        std::fs::write(&file, ca).unwrap();
        let trust = [("SSL_CERT_FILE", file.to_str().unwrap())];
        let output = pass(&directory, port, if trusted { &trust } else { &[] });
        assert_eq!(output.status.code(), Some(code), "{why}: {}", stderr(&output));
        assert_eq!(complete(&directory), if code == 0 { 2 } else { 0 }, "{why}");
        if code != 0 {
            let lines = stderr(&output);
            assert_eq!(lines.lines().count(), 1, "{why}: one line: {lines}");
            assert!(lines.contains("the platform's certificates"), "{why}: {lines}");
            assert_eq!(connections.load(Ordering::Relaxed), 1, "{why}: not tried again");
        }
    }
}

#[test]
fn a_proxy_is_asked_unless_the_host_is_excepted() {
    let directory = TempDir::new().unwrap();
    let (ca, port, _) = exchange_for("localhost");
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, ca).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            noted.lock().unwrap().push(request(&mut client));
            let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            thread::spawn(move || std::io::copy(&mut server, &mut client));
        }
    });
    let file = ("SSL_CERT_FILE", file.to_str().unwrap());
    let output = pass(&directory, port, &[file, ("HTTPS_PROXY", &proxy)]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    assert_eq!(complete(&directory), 2);
    let requests = std::mem::take(&mut *asked.lock().unwrap());
    let tunnel = format!("CONNECT localhost:{port} ");
    assert!(
        !requests.is_empty() && requests.iter().all(|text| text.starts_with(&tunnel)),
        "{requests:?}"
    );
    let directory = TempDir::new().unwrap();
    let variables = [file, ("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", "localhost")];
    let output = pass(&directory, port, &variables);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    assert_eq!(complete(&directory), 2);
    assert!(asked.lock().unwrap().is_empty());
}
