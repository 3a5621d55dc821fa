//! How an error is sorted, and where its cause is, by servers that say one thing.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::error::Error as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use pg_connect::{Error, ErrorKind, Options};

/// The error of a connection to a server that says this to the first message, and leaves.
fn error(says: &'static [u8]) -> Error {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let (mut client, _) = server.accept().unwrap();
        let mut first = [0; 4];
        client.read_exact(&mut first).unwrap();
        let mut rest = vec![0; usize::try_from(u32::from_be_bytes(first)).unwrap() - 4];
        client.read_exact(&mut rest).unwrap();
        client.write_all(says).unwrap();
    });
    let text = format!("postgres://me:hunter2@127.0.0.1:{port}/orders?sslmode=disable");
    let string = Options::new().environment(&|_| None).given_as("--database").parse(&text).unwrap();
    let error = string.connect().err().expect("no connection");
    serving.join().unwrap();
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}/orders")), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    error
}

fn code(error: &Error) -> Option<&str> {
    Some(error.source()?.downcast_ref::<postgres::Error>()?.code()?.code())
}

#[test]
fn a_server_that_says_no_has_refused() {
    let no = error(b"E\0\0\0\x1fSFATAL\0C28P01\0Mwho is it?\0\0");
    assert_eq!((no.kind(), code(&no)), (ErrorKind::Refused, Some("28P01")));
    assert!(no.to_string().ends_with("check the user and the password"), "{no}");
}

#[test]
fn a_server_that_is_full_or_starting_or_gone_may_be_back() {
    let full = error(b"E\0\0\0\x19SFATAL\0C53300\0Mfull\0\0");
    assert_eq!((full.kind(), code(&full)), (ErrorKind::Unavailable, Some("53300")));
    let starting = error(b"E\0\0\0\x19SFATAL\0C57P03\0Mwait\0\0");
    assert_eq!((starting.kind(), code(&starting)), (ErrorKind::Unavailable, Some("57P03")));
    let gone = error(b"");
    assert_eq!((gone.kind(), code(&gone)), (ErrorKind::Unavailable, None));
    assert!(gone.to_string().ends_with("check --database and that the server is up"), "{gone}");
}

#[test]
fn a_port_where_nobody_listens_is_unavailable() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    drop(server);
    let text = format!("host=127.0.0.1 port={port} user=me");
    let error = Options::new().environment(&|_| None).parse(&text).unwrap().connect().err();
    assert_eq!(error.unwrap().kind(), ErrorKind::Unavailable);
}

#[test]
fn a_string_that_is_wrong_is_the_users() {
    let error = Options::new().environment(&|_| None).parse("postgres://db/x?nothing=1");
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Configuration);
}
