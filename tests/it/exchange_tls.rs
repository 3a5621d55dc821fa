//! The exchange behind TLS and behind a proxy.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::support::bench::stderr;

const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n{\"cursor\":\"\",\"trades\":[]}";

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

/// One request, one empty page; a client that does not like the certificate just goes away.
fn answer(mut stream: StreamOwned<ServerConnection, TcpStream>) {
    let mut request = Vec::new();
    let mut bytes = [0; 1_024];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&bytes[..count]),
        }
    }
    let _ = stream.write_all(PAGE.as_bytes());
    let _ = stream.flush();
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

#[test]
fn only_a_certificate_the_platform_trusts_is_spoken_to() {
    let directory = TempDir::new().unwrap();
    for (host, trusted, code, why) in [
        ("localhost", true, 0, "the right host, signed by a trusted CA"),
        ("localhost", false, 4, "a CA that nobody trusts"),
        ("example.com", true, 4, "another host"),
    ] {
        let (ca, port, connections) = exchange_for(host);
        let file = directory.path().join("ca.pem");
        std::fs::write(&file, ca).unwrap();
        let trust = [("SSL_CERT_FILE", file.to_str().unwrap())];
        let output = pass(&directory, port, if trusted { &trust } else { &[] });
        assert_eq!(output.status.code(), Some(code), "{why}: {}", stderr(&output));
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
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut bytes = [0; 1_024];
            let count = client.read(&mut bytes).unwrap_or(0);
            let wanted = format!("CONNECT localhost:{port} ");
            assert!(bytes[..count].starts_with(wanted.as_bytes()));
            counted.fetch_add(1, Ordering::Relaxed);
            let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            thread::spawn(move || std::io::copy(&mut server, &mut client));
        }
    });
    let file = ("SSL_CERT_FILE", file.to_str().unwrap());
    let output = pass(&directory, port, &[file, ("HTTPS_PROXY", &proxy)]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(asked.load(Ordering::Relaxed) > 0);
    asked.store(0, Ordering::Relaxed);
    let output =
        pass(&directory, port, &[file, ("HTTPS_PROXY", &proxy), ("NO_PROXY", "localhost")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}
