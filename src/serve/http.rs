//! The server itself: a thread for each connection, one answer for each, and no connection holds a slot for long.
//!
//! A request has a time limit to arrive as a whole, however many parts it comes in, and its answer has one to be sent.
//! When all slots are taken, a new connection gets the slot of another one: of the client with the most connections,
//! the one that has waited longest for a request. So a client that asks at once gets its answer at once, whatever
//! other clients do.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::answers::Answer;

/// The time in which a client has to send its request, and again to receive the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time in which further bytes of a client are discarded, so that it reads our answer first.
const FAREWELL: Duration = Duration::from_millis(500);
/// The number of connections at once, if there are enough descriptors. One client holds at most half of them.
const SLOTS_MAX: usize = 256;
const SLOTS_MIN: usize = 8;
/// Descriptors that are not used for slots: the database, the listeners and the log have some twelve of them.
const DESCRIPTORS_KEPT: usize = 32;
/// The greatest size of a request's head, far more than any client of ours sends.
const HEAD_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// The stack of a thread: enough for the page; the system only provides the used part.
const STACK: usize = 512 * 1024;
/// The pause after a connection that could not be accepted because too many files are open.
const NAP: Duration = Duration::from_millis(50);

/// The request of a client.
pub(super) struct Request {
    pub(super) method: Method,
    /// The path without the query.
    pub(super) path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Other,
}

type Respond = dyn Fn(&Request) -> Answer + Send + Sync;

/// Answers all clients, in threads of its own, until the process ends.
pub(super) fn start(
    listeners: Vec<TcpListener>,
    respond: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> std::io::Result<()> {
    let limits = fs::read_to_string("/proc/self/limits").ok();
    let connections = Mutex::new(Connections::new(slots(limits.as_deref())));
    let server = Arc::new(Server { respond: Box::new(respond), connections });
    for listener in listeners {
        let server = Arc::clone(&server);
        thread::Builder::new()
            .name("listener".to_owned())
            .spawn(move || server.receive(&listener))?;
    }
    Ok(())
}

/// The number of slots under these limits of a process, in Linux's format. With as many slots as descriptors, a new
/// client would have to wait until a silent connection is closed.
fn slots(limits: Option<&str>) -> usize {
    let line = limits.and_then(|text| text.lines().find_map(|l| l.strip_prefix("Max open files")));
    let soft = line.and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
    let room = soft.map_or(SLOTS_MAX, |descriptors| descriptors.saturating_sub(DESCRIPTORS_KEPT));
    room.clamp(SLOTS_MIN, SLOTS_MAX)
}

struct Server {
    respond: Box<Respond>,
    connections: Mutex<Connections>,
}

struct Connections {
    slots: usize,
    last: u64,
    /// The connections, the oldest first.
    all: Vec<Connection>,
}

struct Connection {
    number: u64,
    client: IpAddr,
    stream: Arc<TcpStream>,
    /// Whether the whole request has arrived.
    has_asked: bool,
}

impl Connections {
    fn new(slots: usize) -> Connections {
        Connections { slots, last: 0, all: Vec::new() }
    }

    /// Adds a connection, and closes another one where no slot is left.
    fn admit(&mut self, client: IpAddr, stream: Arc<TcpStream>) -> u64 {
        let held = |client: IpAddr| {
            self.all.iter().filter(|connection| connection.client == client).count()
        };
        let busiest = if held(client) >= self.slots / 2 {
            Some(client)
        } else if self.all.len() >= self.slots {
            self.all.iter().map(|connection| connection.client).max_by_key(|client| held(*client))
        } else {
            None
        };
        if let Some(busiest) = busiest {
            self.send_away(busiest);
        }
        self.last += 1;
        self.all.push(Connection { number: self.last, client, stream, has_asked: false });
        self.last
    }

    /// Closes the oldest connection of this client without a request; if there is none, its oldest.
    fn send_away(&mut self, client: IpAddr) {
        let position = |has_asked: bool| {
            let mut connections = self.all.iter();
            connections.position(|connection| {
                connection.client == client && connection.has_asked == has_asked
            })
        };
        if let Some(at) = position(false).or_else(|| position(true)) {
            // The connection's thread notices this and ends.
            let _ = self.all.remove(at).stream.shutdown(Shutdown::Both);
        }
    }
}

impl Server {
    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(self: &Arc<Server>, listener: &TcpListener) {
        loop {
            let (stream, from) = match listener.accept() {
                Ok((stream, from)) => (Arc::new(stream), from),
                Err(error) => {
                    log::debug!("a connection could not be taken: {error}");
                    thread::sleep(NAP);
                    continue;
                }
            };
            let number = self.connections().admit(from.ip(), Arc::clone(&stream));
            let slot = Slot { server: Arc::clone(self), number };
            let serve = move || slot.serve(&stream);
            let served = thread::Builder::new().name("connection".to_owned()).stack_size(STACK);
            if let Err(error) = served.spawn(serve) {
                log::debug!("there is no room for a thread: {error}");
            }
        }
    }
}

/// A connection's slot, released when it is dropped.
struct Slot {
    server: Arc<Server>,
    number: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.server.connections().all.retain(|connection| connection.number != self.number);
    }
}

impl Slot {
    fn serve(&self, stream: &TcpStream) {
        let (answer, is_head) = match hear(stream, Instant::now() + PATIENCE) {
            Ok(request) => {
                let mut connections = self.server.connections();
                let own =
                    connections.all.iter_mut().find(|connection| connection.number == self.number);
                if let Some(connection) = own {
                    connection.has_asked = true;
                }
                drop(connections);
                ((self.server.respond)(&request), request.method == Method::Head)
            }
            Err(Some(answer)) => (answer, false),
            Err(None) => return,
        };
        let bytes = bytes(&answer, is_head);
        if say(stream, &bytes, Instant::now() + PATIENCE).is_ok() {
            let _ = stream.shutdown(Shutdown::Write);
            let until = Instant::now() + FAREWELL;
            // If a connection is closed with unread bytes, it is reset and the client may lose our answer.
            while matches!(listen(stream, &mut [0; 4_096], until), Ok(1..)) {}
        }
    }
}

/// Reads one whole request before `until`. The error is the answer to an invalid request; `None` for a client that has
/// left.
fn hear(stream: &TcpStream, until: Instant) -> Result<Request, Option<Answer>> {
    let refuse = |status, words| Err(Some(Answer::text(status, words)));
    let (mut head, mut part) = (Vec::new(), [0; 2_048]);
    loop {
        match listen(stream, &mut part, until) {
            Ok(0) => return Err(None),
            Ok(count) => head.extend_from_slice(&part[..count]),
            Err(error) if is_timeout(&error) => return refuse(408, "the request took too long\n"),
            Err(_) => return Err(None),
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut read = httparse::Request::new(&mut headers);
        match read.parse(&head) {
            Ok(httparse::Status::Complete(_)) => {
                let method = match read.method {
                    Some("GET") => Method::Get,
                    Some("HEAD") => Method::Head,
                    _ => Method::Other,
                };
                let Some(path) = path(read.path.unwrap_or_default()) else {
                    return refuse(400, "the target is no path\n");
                };
                return Ok(Request { method, path: path.to_owned() });
            }
            Ok(httparse::Status::Partial) if head.len() < HEAD_MAX => {}
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return refuse(431, "the request is too long\n");
            }
            Err(_) => return refuse(400, "this is no request of HTTP/1.1\n"),
        }
    }
}

/// The path of a target, which may be a whole URL.
fn path(target: &str) -> Option<&str> {
    let target = match target.split_once("://") {
        Some(("http" | "https", rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    let path = target.split(['?', '#']).next()?;
    path.starts_with('/').then_some(path)
}

/// Reads the next bytes. A client that sends one byte each second gets no more time than one that sends none.
fn listen(stream: &TcpStream, part: &mut [u8], until: Instant) -> std::io::Result<usize> {
    loop {
        stream.set_read_timeout(Some(left(until)?))?;
        match { stream }.read(part) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            heard => return heard,
        }
    }
}

fn say(stream: &TcpStream, bytes: &[u8], until: Instant) -> std::io::Result<()> {
    let mut said = 0;
    while said < bytes.len() {
        stream.set_write_timeout(Some(left(until)?))?;
        match { stream }.write(&bytes[said..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => said += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The time left before `until`; a timeout when it is over, since a timeout of zero would mean no limit.
fn left(until: Instant) -> std::io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// The bytes of an answer. Every connection ends with it.
fn bytes(answer: &Answer, is_head: bool) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    let mut add = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            head.push_str(part);
        }
    };
    if answer.status != 204 {
        add("content-type", answer.content_type);
        add("content-length", &answer.body.len().to_string());
    }
    if answer.status == 405 {
        add("allow", "GET, HEAD");
    }
    add("content-security-policy", &answer.policy);
    add("cache-control", "no-store");
    add("connection", "close");
    add("x-content-type-options", "nosniff");
    add("x-frame-options", "DENY");
    add("referrer-policy", "no-referrer");
    add("cross-origin-resource-policy", "same-origin");
    head.push_str("\r\n");
    if !is_head && answer.status != 204 {
        head.push_str(&answer.body);
    }
    head.into_bytes()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Answer",
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_target_has_a_path_or_is_none() {
        for (target, expected) in [
            ("/", Some("/")),
            ("/livez", Some("/livez")),
            ("/livez?x=1#y", Some("/livez")),
            ("http://host:8080/livez?x", Some("/livez")),
            ("http://host", Some("/")),
            ("host:80", None),
            ("*", None),
            ("", None),
            ("ftp://host/x", None),
        ] {
            assert_eq!(path(target), expected, "{target}");
        }
    }

    /// The numbers of the connections that are left after these clients came, some of which have sent a request.
    fn left_of(clients: &[u8], asked: &[u64]) -> Vec<u64> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = Arc::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let mut connections = Connections::new(SLOTS_MAX);
        for client in clients {
            let client = IpAddr::from([10, 0, 0, *client]);
            let number = connections.admit(client, Arc::clone(&stream));
            if asked.contains(&number) {
                connections.all.last_mut().unwrap().has_asked = true;
            }
        }
        connections.all.iter().map(|connection| connection.number).collect()
    }

    #[test]
    fn who_waits_longest_without_a_word_makes_room() {
        let left = left_of(&[1; SLOTS_MAX / 2 + 2], &[1]);
        assert_eq!(left.len(), SLOTS_MAX / 2, "one client has its share");
        assert_eq!(left[..2], [1, 4], "who has asked stays, the oldest others go");
        let many: Vec<u8> = (0..SLOTS_MAX)
            .map(|n| if n < 100 { 1 } else { 2 + u8::try_from(n % 10).unwrap() })
            .collect();
        let left = left_of(&[&many[..], &[200]].concat(), &[]);
        assert_eq!((left.len(), left[0]), (SLOTS_MAX, 2), "the client with the most gives way");
    }

    #[test]
    fn there_are_no_more_places_than_descriptors() {
        let limits = |soft: &str| {
            format!(
                "Limit  Soft Limit  Hard Limit\nMax open files  {soft}  1048576  files\nMax x  1\n"
            )
        };
        for (soft, expected) in [
            ("1024", SLOTS_MAX),
            ("unlimited", SLOTS_MAX),
            ("64", 32),
            ("41", 9),
            ("16", SLOTS_MIN),
            ("0", SLOTS_MIN),
        ] {
            assert_eq!(slots(Some(&limits(soft))), expected, "{soft}");
        }
        assert_eq!((slots(None), slots(Some(""))), (SLOTS_MAX, SLOTS_MAX), "elsewhere");
    }
}
