//! The network of a process: a request goes to the exchange within this program, and its answer arrives as the present
//! trouble allows.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use kalshi_ingest::kalshi::Transport;
use kalshi_simulator::{Delivery, Fault};
use ureq::http::uri::PathAndQuery;
use ureq::http::{Request, Response};
use ureq::{Body, Error, Timeout};

use crate::machine::Machine;
use crate::servers::Got;

/// The longest wait of a client between two bytes.
const READ_TIMEOUT: i64 = 10_000_000;

/// The network of one process.
pub struct Wire {
    /// The machine of the process.
    pub machine: Arc<Machine>,
    /// The number of the process.
    pub process: usize,
}

/// One request on its way, and the rest of its time.
struct Way {
    target: String,
    headers: Vec<(String, String)>,
    /// The time for the way there and back.
    there: i64,
    back: i64,
}

impl Wire {
    fn pass(&self, us: i64) {
        self.machine.sleep(self.process, us);
    }

    /// Sends a request: from here on the process can be killed with a request on its way.
    fn set_out(&self, request: &Request<()>) -> Way {
        let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        let headers = request.headers().iter();
        let headers = headers.filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        let mut state = self.machine.effect(self.process);
        let number = state.counts.of("requests");
        state.counts.one("requests");
        state.record.note_bytes(target.as_bytes());
        let mut random = state.chance(&[0xe0, number]);
        let (there, back) = (random.between(5_000, 120_000), random.between(5_000, 200_000));
        Way { target, headers: headers.collect(), there, back }
    }

    /// Lets the exchange answer.
    fn arrive(&self, way: &mut Way) -> Got {
        let mut state = self.machine.state();
        let state = &mut *state;
        state.servers.feed(state.now);
        let headers = std::mem::take(&mut way.headers);
        let got = state.servers.ask(&way.target, headers, state.now, &mut state.counts);
        let answer = &got.answer;
        state.record.note(u64::from(answer.status));
        state.record.note_bytes(&answer.body);
        state.counts.one("answers");
        if state.record.is_told() {
            let short = way.target.strip_prefix("/trade-api/v2").unwrap_or(&way.target);
            let fault = match answer.fault {
                Fault::None => String::new(),
                fault => format!(", fault {fault:?}"),
            };
            let age = got.age.map_or(String::new(), |age| format!(", {age} s old"));
            let (process, status, rows) = (self.process, answer.status, answer.row_count);
            state.record.tell(
                state.now,
                format_args!("  [{process}] GET {short}: {status} with {rows} rows{fault}{age}"),
            );
        }
        got
    }

    /// Delivers the answer, or fails.
    fn come_back(&self, delivery: Delivery, back: i64, left: i64) -> Result<(), Error> {
        match delivery {
            Delivery::Reset | Delivery::Closed | Delivery::ResetMidHeaders => {
                self.pass(back.min(left));
                let kind = match delivery {
                    Delivery::Reset => io::ErrorKind::ConnectionReset,
                    _ => io::ErrorKind::UnexpectedEof,
                };
                Err(Error::Io(kind.into()))
            }
            Delivery::Hang { ms } => {
                let hangs = i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000);
                let waits = hangs.min(READ_TIMEOUT).min(left);
                self.pass(waits);
                Err(if waits < hangs {
                    Error::Timeout(Timeout::RecvResponse)
                } else {
                    Error::Io(io::ErrorKind::UnexpectedEof.into())
                })
            }
            _ if back >= left => {
                self.pass(left);
                Err(Error::Timeout(Timeout::Global))
            }
            _ => {
                self.pass(back);
                Ok(())
            }
        }
    }

    /// The body, as far as it arrives in the remaining time.
    fn body(&self, body: Vec<u8>, delivery: Delivery, left: i64) -> Body {
        let len = body.len();
        match delivery {
            Delivery::Truncated => cut(body, len / 2, io::ErrorKind::UnexpectedEof),
            Delivery::Slow { bytes_per_step, pause_ms } => {
                let pause = i64::try_from(pause_ms).unwrap_or(0).saturating_mul(1_000).max(1);
                let steps = i64::try_from(len / bytes_per_step.max(1)).unwrap_or(0);
                let takes = steps.saturating_mul(pause);
                self.pass(takes.min(left));
                if takes < left {
                    Body::builder().data(body)
                } else {
                    cut(body, len / 2, io::ErrorKind::TimedOut)
                }
            }
            Delivery::Huge { bytes } => Body::builder().reader(io::repeat(b' ').take(bytes)),
            _ => Body::builder().data(body),
        }
    }
}

impl Transport for Wire {
    fn call(&self, request: Request<()>, patience: Duration) -> Result<Response<Body>, Error> {
        let patience = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
        let mut way = self.set_out(&request);
        if way.there >= patience {
            self.pass(patience);
            return Err(Error::Timeout(Timeout::Global));
        }
        self.pass(way.there);
        let Got { answer, age } = self.arrive(&mut way);
        let left = patience - way.there;
        self.come_back(answer.delivery, way.back, left)?;
        let mut response = Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(*name, value);
        }
        if let Some(age) = age {
            response = response.header("age", age.to_string());
        }
        let body = self.body(answer.body, answer.delivery, left - way.back);
        if answer.status == 200 && way.target.contains("/trades") {
            let mut state = self.machine.state();
            state.processes[self.process].rows_in_hand += answer.row_count;
        }
        Ok(response.body(body)?)
    }
}

/// A reader that fails.
struct Broken(io::ErrorKind);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
}

/// A body that ends with an error after `len` bytes.
fn cut(mut body: Vec<u8>, len: usize, kind: io::ErrorKind) -> Body {
    body.truncate(len);
    Body::builder().reader(io::Cursor::new(body).chain(Broken(kind)))
}
