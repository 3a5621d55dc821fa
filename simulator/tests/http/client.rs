//! A raw HTTP client: one connection, no retries, no tolerance.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use kalshi_simulator::Server;
use serde_json::Value;

/// A test that would wait longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The trade ids of a page, in its order.
    pub(crate) fn ids(&self) -> Vec<String> {
        assert_eq!(self.status, 200, "{}", self.text());
        let page = self.json();
        let trades = page["trades"].as_array().unwrap();
        trades.iter().map(|trade| trade["trade_id"].as_str().unwrap().to_owned()).collect()
    }

    /// The tickers of a page of markets, in its order.
    pub(crate) fn tickers(&self) -> Vec<String> {
        self.texts("markets", "ticker")
    }

    /// One text field of each row of a list, in its order.
    pub(crate) fn texts(&self, list: &str, field: &str) -> Vec<String> {
        assert_eq!(self.status, 200, "{}", self.text());
        let page = self.json();
        let rows = page[list].as_array().unwrap();
        rows.iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
    }

    /// The details of a refusal.
    pub(crate) fn refused(&self) -> String {
        assert_eq!(self.status, 400, "{}", self.text());
        self.json()["error"]["details"].as_str().unwrap_or_default().to_owned()
    }

    /// The cursor of a page; every way to say that there is none is `None`.
    pub(crate) fn cursor(&self) -> Option<String> {
        let page = self.json();
        let cursor = page.get("cursor").and_then(Value::as_str).unwrap_or_default();
        (!cursor.is_empty()).then(|| cursor.to_owned())
    }
}

impl Client {
    pub(crate) fn new(server: &Server) -> Client {
        let url = server.base_url();
        let host = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap();
        Client::of(TcpStream::connect(host).unwrap())
    }

    pub(crate) fn of(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { reader: BufReader::new(stream) }
    }

    /// Asks for a path under the base, with its query.
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.try_get(path, "").unwrap()
    }

    /// Asks for a page of `/markets/trades`.
    pub(crate) fn trades(&mut self, query: &str) -> Answer {
        self.get(&format!("/markets/trades?{query}"))
    }

    /// Asks with further header lines, each ended by CRLF.
    pub(crate) fn try_get(&mut self, path: &str, headers: &str) -> io::Result<Answer> {
        self.send(&format!("GET /trade-api/v2{path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n"));
        self.answer()
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.reader.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// Reads one answer to its end.
    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let (status, headers) = self.head()?;
        let mut answer = Answer { status, headers, body: Vec::new() };
        if answer.header("transfer-encoding") == Some("chunked") {
            assert_eq!(answer.header("content-length"), None, "either, not both");
            answer.body = self.chunks()?;
        } else {
            let body_len: usize = answer.header("content-length").unwrap().parse().unwrap();
            answer.body = vec![0; body_len];
            self.reader.read_exact(&mut answer.body)?;
        }
        Ok(answer)
    }

    /// Whatever comes until the other side closes.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Status and headers; the body is left unread.
    pub(crate) fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else {
                assert_eq!(line, "");
                return Ok((status, headers));
            };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let chunk_len = usize::from_str_radix(&self.line()?, 16).unwrap();
            let mut chunk = vec![0; chunk_len];
            self.reader.read_exact(&mut chunk)?;
            assert_eq!(self.line()?, "");
            if chunk_len == 0 {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Follows cursors from the first page of a query to the end; the ids of each page.
pub(crate) fn walk(client: &mut Client, path: &str, query: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let from = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        let answer = client.get(&format!("{path}?{query}{from}"));
        pages.push(answer.ids());
        cursor = answer.cursor();
        if cursor.is_none() {
            return pages;
        }
        assert!(pages.len() < 1_000, "the walk does not end");
    }
}
