//! Writes a reply, correctly or with a fault.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::reply::{Delivery, Reply, reason};
use super::stop::StopSignal;
use crate::rules::Framing;

/// The size of the pieces in which bodies are chunked and huge bodies are made.
const PIECE_BYTES: usize = 16 << 10;

const HUGE_START: &[u8] = br#"{"cursor":"","padding":""#;
const HUGE_END: &[u8] = br#"","trades":[]}"#;

/// The next step for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Keep,
    Close,
}

/// Delivers a reply whose delivery begins after the request was read to its end.
pub(super) fn deliver(
    stream: &TcpStream,
    reply: &Reply,
    is_last: bool,
    stop: &StopSignal,
) -> io::Result<Then> {
    let body = reply.body.as_slice();
    match reply.delivery {
        Delivery::Reset | Delivery::Closed => return Ok(Then::Close),
        Delivery::Hang { ms } => {
            stop.pause(Duration::from_millis(ms));
            return Ok(Then::Close);
        }
        Delivery::ResetMidHeaders => {
            let head = head(reply, body.len(), is_last);
            send(stream, &head[..head.len() / 2])?;
            return Ok(Then::Close);
        }
        Delivery::Whole | Delivery::CloseAfter => {
            let mut bytes = head(reply, body.len(), is_last);
            for piece in pieces(body, reply.framing) {
                frame(&mut bytes, piece, reply.framing);
            }
            bytes.extend_from_slice(end(reply.framing));
            send(stream, &bytes)?;
        }
        Delivery::Truncated => {
            let mut bytes = head(reply, body.len(), is_last);
            frame(&mut bytes, &body[..body.len() / 2], reply.framing);
            send(stream, &bytes)?;
            return Ok(Then::Close);
        }
        Delivery::Slow { bytes_per_step, pause_ms } => {
            send(stream, &head(reply, body.len(), is_last))?;
            for piece in body.chunks(bytes_per_step.max(1)) {
                stop.pause(Duration::from_millis(pause_ms));
                if stop.is_stopped() {
                    return Ok(Then::Close);
                }
                let mut bytes = Vec::with_capacity(piece.len() + 16);
                frame(&mut bytes, piece, reply.framing);
                send(stream, &bytes)?;
            }
            send(stream, end(reply.framing))?;
        }
        Delivery::Huge { bytes } => huge(stream, reply, bytes, is_last)?,
    }
    let is_over = is_last || reply.delivery == Delivery::CloseAfter;
    Ok(if is_over { Then::Close } else { Then::Keep })
}

fn huge(stream: &TcpStream, reply: &Reply, bytes: u64, is_last: bool) -> io::Result<()> {
    let length = usize::try_from(bytes).map_err(io::Error::other)?;
    send(stream, &head(reply, length, is_last))?;
    let mut padding_len = length.saturating_sub(HUGE_START.len() + HUGE_END.len());
    let has_ends = HUGE_START.len() + HUGE_END.len() <= length;
    if !has_ends {
        padding_len = length; // Too short to be JSON, but as long as was asked for.
    }
    let piece = vec![b' '; PIECE_BYTES];
    let send_piece = |piece: &[u8]| {
        let mut framed = Vec::with_capacity(piece.len() + 16);
        frame(&mut framed, piece, reply.framing);
        send(stream, &framed)
    };
    if has_ends {
        send_piece(HUGE_START)?;
    }
    while 0 < padding_len {
        let step = padding_len.min(piece.len());
        send_piece(&piece[..step])?;
        padding_len -= step;
    }
    if has_ends {
        send_piece(HUGE_END)?;
    }
    send(stream, end(reply.framing))
}

fn head(reply: &Reply, body_len: usize, is_last: bool) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, reason(reply.status));
    let mut put = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            head.push_str(part);
        }
    };
    for (name, value) in &reply.headers {
        put(name, value);
    }
    match reply.framing {
        Framing::ContentLength => put("Content-Length", &body_len.to_string()),
        Framing::Chunked => put("Transfer-Encoding", "chunked"),
    }
    if is_last {
        put("Connection", "close");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.reserve(body_len.min(1 << 20));
    bytes
}

fn pieces(body: &[u8], framing: Framing) -> impl Iterator<Item = &[u8]> {
    let piece_len = match framing {
        Framing::ContentLength => body.len().max(1),
        Framing::Chunked => PIECE_BYTES,
    };
    body.chunks(piece_len)
}

fn frame(bytes: &mut Vec<u8>, piece: &[u8], framing: Framing) {
    match framing {
        Framing::ContentLength => bytes.extend_from_slice(piece),
        Framing::Chunked if piece.is_empty() => {} // An empty chunk would end the body.
        Framing::Chunked => {
            bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(b"\r\n");
        }
    }
}

fn end(framing: Framing) -> &'static [u8] {
    match framing {
        Framing::ContentLength => b"",
        Framing::Chunked => b"0\r\n\r\n",
    }
}

fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)
}
