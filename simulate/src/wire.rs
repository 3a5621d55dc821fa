//! The wire: a request goes to the exchange in process, and its answer arrives as the trouble of the hour has it.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use kalshi_ingest::kalshi::Transport;
use kalshi_simulator::Delivery;
use ureq::http::{Request, Response};
use ureq::{Body, Error, Timeout};

use crate::machine::Machine;

/// What a client waits for between two bytes.
const READ_TIMEOUT: i64 = 10_000_000;

/// The wire of one process.
pub struct Wire {
    /// Where it runs.
    pub machine: Arc<Machine>,
    /// Its number.
    pub process: usize,
}

impl Wire {
    fn pass(&self, us: i64) {
        self.machine.sleep(self.process, us);
    }
}

impl Transport for Wire {
    fn call(&self, request: Request<()>, patience: Duration) -> Result<Response<Body>, Error> {
        let patience = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
        let target =
            request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let headers = { request.headers().iter() }
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        let mut state = self.machine.effect(self.process);
        let number = state.counts.of("requests");
        state.counts.one("requests");
        state.record.note_bytes(target.as_bytes());
        let mut random = state.chance(&[0xe0, number]);
        let (there, back) = (random.between(5_000, 120_000), random.between(5_000, 200_000));
        drop(state);
        if there >= patience {
            self.pass(patience);
            return Err(Error::Timeout(Timeout::Global));
        }
        self.pass(there);
        let mut state = self.machine.state();
        let now = state.now;
        let state_ref = &mut *state;
        state_ref.servers.feed(now);
        let got = state_ref.servers.ask(&target, headers, now, &mut state_ref.counts);
        let answer = got.answer;
        state.record.note(u64::from(answer.status));
        state.record.note_bytes(&answer.body);
        state.counts.one("answers");
        let short = target.strip_prefix("/trade-api/v2").unwrap_or(&target);
        state.record.tell(
            now,
            format_args!(
                "  [{}] GET {short}: {} with {} rows{}{}",
                self.process,
                answer.status,
                answer.row_count,
                if answer.fault == kalshi_simulator::Fault::None {
                    String::new()
                } else {
                    format!(", fault {:?}", answer.fault)
                },
                got.age.map_or(String::new(), |age| format!(", {age} s old")),
            ),
        );
        let is_trades = target.contains("/trades");
        drop(state);
        let left = patience - there;
        let late = |us: i64| us >= left;
        match answer.delivery {
            Delivery::Reset | Delivery::Closed | Delivery::ResetMidHeaders => {
                self.pass(back.min(left));
                let kind = match answer.delivery {
                    Delivery::Reset => io::ErrorKind::ConnectionReset,
                    _ => io::ErrorKind::UnexpectedEof,
                };
                return Err(Error::Io(kind.into()));
            }
            Delivery::Hang { ms } => {
                let hangs = i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000);
                let waits = hangs.min(READ_TIMEOUT).min(left);
                self.pass(waits);
                return Err(if waits < hangs {
                    Error::Timeout(Timeout::RecvResponse)
                } else {
                    Error::Io(io::ErrorKind::UnexpectedEof.into())
                });
            }
            _ if late(back) => {
                self.pass(left);
                return Err(Error::Timeout(Timeout::Global));
            }
            _ => self.pass(back),
        }
        let mut response = Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(*name, value);
        }
        if let Some(age) = got.age {
            response = response.header("age", age.to_string());
        }
        let len = answer.body.len();
        let body = match answer.delivery {
            Delivery::Truncated => cut(answer.body, len / 2, io::ErrorKind::UnexpectedEof),
            Delivery::Slow { bytes_per_step, pause_ms } => {
                let step = bytes_per_step.max(1);
                let pause = i64::try_from(pause_ms).unwrap_or(0).saturating_mul(1_000).max(1);
                let takes = i64::try_from(len / step).unwrap_or(0).saturating_mul(pause);
                if takes < left - back {
                    self.pass(takes);
                    Body::builder().data(answer.body)
                } else {
                    self.pass(left - back);
                    cut(answer.body, len / 2, io::ErrorKind::TimedOut)
                }
            }
            Delivery::Huge { bytes } => Body::builder().reader(io::repeat(b' ').take(bytes)),
            _ => Body::builder().data(answer.body),
        };
        let mut state = self.machine.state();
        if is_trades && answer.status == 200 {
            state.processes[self.process].rows_in_hand += answer.row_count;
        }
        drop(state);
        Ok(response.body(body)?)
    }
}

/// A body that breaks off.
fn cut(mut body: Vec<u8>, len: usize, kind: io::ErrorKind) -> Body {
    body.truncate(len);
    struct Broken(io::ErrorKind);
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
    }
    Body::builder().reader(io::Cursor::new(body).chain(Broken(kind)))
}
