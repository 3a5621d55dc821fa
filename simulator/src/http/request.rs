//! Reads a request.

use std::io::{self, Read};
use std::net::TcpStream;

/// The longest accepted head; real servers stop at 8 to 64 KiB.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The longest request line; a longer one gets 414.
const TARGET_BYTES_MAX: usize = 8 << 10;
/// The longest body. No route here uses a body; a short one is read and ignored.
const BODY_BYTES_MAX: u64 = 1 << 20;

const END: &[u8] = b"\r\n\r\n";

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path as sent, without the query.
    pub(crate) path: String,
    /// The query as sent, without the question mark.
    pub(crate) raw_query: String,
    /// The parameters, decoded, in order.
    pub(crate) query: Vec<(String, String)>,
    /// The headers, names in lower case, in order.
    pub(crate) headers: Vec<(String, String)>,
    is_http_1_0: bool,
}

impl Request {
    /// A request that came over no socket. The error is the status of the answer.
    pub(crate) fn get(target: &str, headers: Vec<(String, String)>) -> Result<Request, u16> {
        if TARGET_BYTES_MAX < target.len() {
            return Err(414);
        }
        if !target.starts_with('/') {
            return Err(400);
        }
        let (path, raw_query) = target.split_once('?').unwrap_or((target, ""));
        Ok(Request {
            method: "GET".to_owned(),
            path: path.to_owned(),
            raw_query: raw_query.to_owned(),
            query: pairs(raw_query),
            headers,
            is_http_1_0: false,
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a query parameter.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a query parameter, unless it is empty.
    pub(crate) fn filled_param(&self, name: &str) -> Option<&str> {
        self.param(name).filter(|value| !value.is_empty())
    }

    /// The parts of the path below a base, decoded.
    pub(crate) fn path_below(&self, base: &str) -> Option<Vec<String>> {
        let rest = self.path.strip_prefix(base)?.strip_prefix('/')?;
        Some(rest.split('/').map(|part| decoded(part, false)).collect())
    }

    pub(crate) fn accepts_gzip(&self) -> bool {
        let accepted = self.header("accept-encoding").unwrap_or_default();
        accepted.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next() == Some("gzip") && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
        })
    }

    pub(crate) fn wants_close(&self) -> bool {
        let connection = self.header("connection").unwrap_or_default().to_ascii_lowercase();
        if self.is_http_1_0 { connection != "keep-alive" } else { connection == "close" }
    }
}

/// Reads a head except its last byte, which [`finish`] reads. When a socket with unread bytes is closed, the system
/// sends RST instead of FIN: this makes a reset possible without linger options, which `std` does not offer. `None`:
/// the client closed the connection between two requests.
pub(super) fn read_head(mut stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut chunk = [0; 8 << 10];
    loop {
        let peeked_len = stream.peek(&mut chunk)?;
        if peeked_len == 0 {
            return if head.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        let seen_len = head.len();
        head.extend_from_slice(&chunk[..peeked_len]);
        let search_from = seen_len.saturating_sub(END.len() - 1);
        let end = head[search_from..].windows(END.len()).position(|window| window == END);
        if let Some(end) = end {
            head.truncate(search_from + end + END.len());
            let unread_len = head.len() - seen_len - 1;
            stream.read_exact(&mut chunk[..unread_len])?;
            return Ok(Some(head));
        }
        stream.read_exact(&mut chunk[..peeked_len])?;
        if HEAD_BYTES_MAX < head.len() {
            return Err(io::Error::other("the head of the request is too long"));
        }
    }
}

/// Reads the byte that [`read_head`] left, and a body, which is ignored.
pub(super) fn finish(mut stream: &TcpStream, request: Option<&Request>) -> io::Result<()> {
    stream.read_exact(&mut [0; 1])?;
    let declared = request.and_then(|request| request.header("content-length"));
    let body_len: u64 = declared.map_or(Ok(0), str::parse).map_err(io::Error::other)?;
    if BODY_BYTES_MAX < body_len {
        return Err(io::Error::other("the body of the request is too long"));
    }
    io::copy(&mut stream.take(body_len), &mut io::sink())?;
    Ok(())
}

/// Parses a head. The error is the status of the answer.
pub(super) fn parse(head: &[u8]) -> Result<Request, u16> {
    let head = str::from_utf8(head).map_err(|_| 400_u16)?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(400);
    };
    if TARGET_BYTES_MAX < target.len() {
        return Err(414);
    }
    if method.is_empty() || !target.starts_with('/') || !version.starts_with("HTTP/1.") {
        return Err(400);
    }
    let (path, raw_query) = target.split_once('?').unwrap_or((target, ""));
    let headers = lines.take_while(|line| !line.is_empty()).map(header);
    let headers = headers.collect::<Option<Vec<_>>>().ok_or(400_u16)?;
    if headers.iter().any(|(name, _)| name == "transfer-encoding") {
        return Err(411);
    }
    Ok(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        raw_query: raw_query.to_owned(),
        query: pairs(raw_query),
        headers,
        is_http_1_0: version == "HTTP/1.0",
    })
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
}

/// A request target. A location without a host refers to the same host.
pub(crate) fn target(path: &str, raw_query: &str) -> String {
    let mark = if raw_query.is_empty() { "" } else { "?" };
    format!("{path}{mark}{raw_query}")
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (decoded(name, true), decoded(value, true)))
        .collect()
}

/// Decodes percent escapes; an invalid escape stays as it is. A plus is a space in queries only.
fn decoded(text: &str, has_plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| byte == b'%');
        if let Some(value) = digits.and_then(hex_value) {
            plain.push(value);
            at += 3;
        } else {
            plain.push(if has_plus && byte == b'+' { b' ' } else { byte });
            at += 1;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn hex_value(digits: &[u8]) -> Option<u8> {
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = str::from_utf8(digits).ok().filter(|_| is_hex)?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_apart() {
        let head = "GET /a/b?x=1&y=%41+b%zz&flag&x=2 HTTP/1.1\r\nHost: h\r\nX-Key:  v \r\n\r\n";
        let request = parse(head.as_bytes()).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/a/b"));
        let query: Vec<_> = request.query.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(query, ["x=1", "y=A b%zz", "flag=", "x=2"]);
        assert_eq!(request.param("x"), Some("1"), "the first counts");
        assert_eq!(request.header("x-key"), Some("v"));
        assert!(!request.wants_close());
        assert_eq!(request.path_below("/a"), Some(vec!["b".to_owned()]));
        assert_eq!(request.path_below("/b"), None);
        let escaped = parse(b"GET /a/b%20c+d/e HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(escaped.path_below("/a").unwrap(), ["b c+d", "e"]);
    }

    #[test]
    fn nonsense_is_refused() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(TARGET_BYTES_MAX));
        for (head, status) in [
            ("GET /\r\n\r\n", 400),
            ("GET / HTTP/2\r\n\r\n", 400),
            ("GET http://h/ HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
            (&long, 414),
        ] {
            assert_eq!(parse(head.as_bytes()).unwrap_err(), status, "{head}");
        }
    }

    #[test]
    fn closing_and_compression_follow_the_headers() {
        let request = |version: &str, header: &str| {
            parse(format!("GET / {version}\r\n{header}\r\n\r\n").as_bytes()).unwrap()
        };
        assert!(request("HTTP/1.1", "Connection: Close").wants_close());
        assert!(request("HTTP/1.0", "Host: h").wants_close());
        assert!(!request("HTTP/1.0", "Connection: keep-alive").wants_close());
        assert!(request("HTTP/1.1", "Accept-Encoding: br, gzip;q=0.5").accepts_gzip());
        assert!(!request("HTTP/1.1", "Accept-Encoding: gzip;q=0, deflate").accepts_gzip());
        assert!(!request("HTTP/1.1", "Accept: gzip").accepts_gzip());
    }
}
