//! A way to PostgreSQL on which the client's questions are counted.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use postgres::Config;
use postgres::config::Host;

/// The same database by way of a proxy that counts into `count` each time the client waits for
/// an answer: a simple query, or the end of an extended one.
pub(crate) fn counted(url: &str, count: &Arc<AtomicUsize>) -> String {
    let config: Config = url.parse().unwrap();
    let (user, name) =
        (config.get_user().unwrap().to_owned(), config.get_dbname().unwrap().to_owned());
    let password = config.get_password().map(|word| format!(":{}", String::from_utf8_lossy(word)));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::clone(count);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (reader, writer) = server_side(&config);
            let (back, count) = (client.try_clone().unwrap(), Arc::clone(&count));
            thread::spawn(move || carry(reader, back));
            thread::spawn(move || count_questions(client, writer, &count));
        }
    });
    format!(
        "postgres://{user}{}@127.0.0.1:{port}/{name}?sslmode=disable",
        password.unwrap_or_default()
    )
}

fn server_side(config: &Config) -> (Box<dyn Read + Send>, Box<dyn Write + Send>) {
    match &config.get_hosts()[0] {
        Host::Tcp(name) => {
            let port = config.get_ports().first().copied().unwrap_or(5432);
            let stream = TcpStream::connect((name.as_str(), port)).unwrap();
            (Box::new(stream.try_clone().unwrap()), Box::new(stream))
        }
        Host::Unix(directory) => {
            let stream = UnixStream::connect(directory.join(".s.PGSQL.5432")).unwrap();
            (Box::new(stream.try_clone().unwrap()), Box::new(stream))
        }
    }
}

fn carry(mut from: Box<dyn Read + Send>, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// Passes messages on one by one: a type, a length that counts itself, a body. The first message
/// of a connection has no type.
fn count_questions(mut client: TcpStream, mut server: Box<dyn Write + Send>, count: &AtomicUsize) {
    let mut has_type = false;
    loop {
        let mut head = vec![0; if has_type { 5 } else { 4 }];
        if client.read_exact(&mut head).is_err() {
            return;
        }
        let length = u32::from_be_bytes(head[head.len() - 4..].try_into().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap() - 4];
        if client.read_exact(&mut body).is_err() {
            return;
        }
        if has_type && matches!(head[0], b'Q' | b'S') {
            count.fetch_add(1, Ordering::SeqCst);
        }
        has_type = true;
        if server.write_all(&head).and_then(|()| server.write_all(&body)).is_err() {
            return;
        }
    }
}
