//! A reply and the way of its delivery.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::fault::Fault;
use crate::rules::Framing;

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// The number of rows in the body, for the record.
    pub(crate) row_count: usize,
    pub(crate) framing: Framing,
    pub(crate) delivery: Delivery,
}

/// The way of delivering an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The complete answer.
    Whole,
    /// The complete answer; then the connection is closed.
    CloseAfter,
    /// Half of the body; then the connection is closed.
    Truncated,
    /// A body that arrives slowly.
    Slow {
        /// The number of bytes between two pauses; 0 counts as 1.
        bytes_per_step: usize,
        /// The length of a pause, in milliseconds.
        pause_ms: u64,
    },
    /// No answer; the connection is closed after a while.
    Hang {
        /// The time until it is closed, in milliseconds.
        ms: u64,
    },
    /// No answer: the connection is reset.
    Reset,
    /// No answer: the connection is closed.
    Closed,
    /// Half of the headers.
    ResetMidHeaders,
    /// A body of that length instead of the answer's own.
    Huge {
        /// The length of the body, in bytes.
        bytes: u64,
    },
}

/// An answer that is not delivered by a socket.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// The whole body.
    pub body: Vec<u8>,
    /// The way in which it should be delivered.
    pub delivery: Delivery,
    /// The fault of the answer.
    pub fault: Fault,
    /// The number of its rows.
    pub row_count: usize,
}

impl Reply {
    fn new(status: u16, content_type: &str, body: Vec<u8>) -> Reply {
        Reply {
            status,
            headers: vec![("Content-Type", content_type.to_owned())],
            body,
            row_count: 0,
            framing: Framing::ContentLength,
            delivery: Delivery::Whole,
        }
    }

    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply::new(status, "application/json", body.into())
    }

    pub(crate) fn html(status: u16) -> Reply {
        let body = format!(
            "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n\
             <center><h1>{status} {reason}</h1></center>\r\n</body>\r\n</html>\r\n",
            reason = reason(status)
        );
        Reply::new(status, "text/html", body.into_bytes())
    }

    /// A redirection; status 301 or 302.
    pub(crate) fn redirect(status: u16, location: String) -> Reply {
        Reply::html(status).with_header("Location", location)
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: String) -> Reply {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn delivered(self, delivery: Delivery) -> Reply {
        Reply { delivery, ..self }
    }

    /// The reply with its body gzipped. A body made during delivery stays plain.
    pub(crate) fn compressed(mut self) -> Reply {
        if matches!(self.delivery, Delivery::Huge { .. }) {
            return self;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&self.body).expect("writing to memory");
        self.body = encoder.finish().expect("writing to memory");
        self.with_header("Content-Encoding", "gzip".to_owned())
            .with_header("Vary", "Accept-Encoding".to_owned())
    }

    /// The reply as a value, for a caller that delivers it.
    pub(crate) fn answer(self, fault: Fault) -> Answer {
        let Reply { status, headers, body, row_count, framing: _, delivery } = self;
        Answer { status, headers, body, delivery, fault, row_count }
    }

    /// Whether the client receives the status.
    pub(crate) fn has_status(&self) -> bool {
        !matches!(
            self.delivery,
            Delivery::Hang { .. } | Delivery::Reset | Delivery::Closed | Delivery::ResetMidHeaders
        )
    }
}

/// The text after a status; clients must ignore it.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        414 => "URI Too Long",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
