//! The HTTP client: one request, one typed answer. It does not wait, and it repeats nothing but a signed request
//! after a 401 that corrected our clock.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::{Request, Response, Uri};

use super::decode;
use super::sign::Signer;
use super::transport::{self, Transport};
use crate::clock::Clock;
use crate::domain::evidence::{ClockPair, ExchangeClock};
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind};
use crate::proxy::Proxy;

/// The number of bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: u64 = 64 * 1024;
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// An answer this old comes from a cache: its `Date` does not show the exchange's present clock.
const AGE_MAX: Duration = Duration::from_secs(2);
/// The greatest age that is believed: subtracting a greater one could leave the calendar.
const AGE_CREDIBLE: Duration = Duration::from_secs(365 * 86_400);

/// The characters that need no encoding in a value of a query.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The address of the exchange's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    base: String,
    uri: Uri,
    /// The path of the base URL, a part of the signed message.
    base_path: String,
    trades_path: String,
}

impl Endpoint {
    /// Checks a base URL and the path of the trades below it.
    pub fn new(base_url: &str, trades_path: &str) -> Result<Endpoint, Failure> {
        let refuse = |why: &str| {
            // The URL is not repeated: it may hold a secret.
            Failure::config(format!(
                "the base URL {why}; it should look like https://external-api.kalshi.com/trade-api/v2"
            ))
        };
        let base = base_url.trim_end_matches('/');
        let uri: Uri = base.parse().map_err(|_| refuse("is not a URL"))?;
        let authority = uri.authority().ok_or_else(|| refuse("names no host"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(refuse("begins with neither https:// nor http://"));
        }
        if authority.as_str().contains('@') {
            return Err(refuse("holds a user name or password"));
        }
        if uri.query().is_some() || base.contains('#') {
            return Err(refuse("has a query"));
        }
        let path_is_plain = trades_path.starts_with('/')
            && trades_path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b));
        if !path_is_plain {
            return Err(Failure::config(format!(
                "the trades path {trades_path:?} is not a plain path such as /markets/trades"
            )));
        }
        Ok(Endpoint {
            base: base.to_owned(),
            uri: uri.clone(),
            base_path: uri.path().trim_end_matches('/').to_owned(),
            trades_path: trades_path.to_owned(),
        })
    }

    /// The base URL.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The host of the exchange, with its port if the URL names one.
    pub fn host(&self) -> String {
        self.uri.authority().map(|authority| authority.as_str().to_lowercase()).unwrap_or_default()
    }
}

/// One GET that is to be sent.
pub(super) struct Get<'a> {
    /// The path below the base URL, percent-encoded.
    pub(super) path: Cow<'a, str>,
    pub(super) query: Vec<(&'static str, String)>,
    /// The subject of the question, for errors.
    pub(super) about: &'a str,
    /// The longest body that is believed to be an answer.
    pub(super) body_bytes_max: u64,
    /// The statuses of refusals that also carry the answer in their body.
    pub(super) answered_also_with: &'static [u16],
}

/// The settings of a client.
#[derive(Debug)]
pub struct Access {
    /// The address of the API.
    pub endpoint: Endpoint,
    /// The key to sign with, if any.
    pub signer: Option<Signer>,
    /// The number of idle connections that are kept.
    pub connections: usize,
    /// The proxy, unless the exchange is asked directly.
    pub proxy: Option<Proxy>,
}

/// A connection pool to the exchange, shared by all workers.
#[derive(Debug)]
pub struct Client {
    transport: Arc<dyn Transport>,
    access: Access,
    requests: AtomicU64,
    /// The present knowledge of the exchange's clock.
    exchange_clock: Mutex<ExchangeClock>,
    /// Whether an answer without a `Date` was seen and reported.
    is_dateless: AtomicBool,
}

impl Client {
    /// Makes a client that keeps connections open and trusts the certificates that the platform trusts. It opens no
    /// connection yet.
    pub fn new(access: Access) -> Client {
        let transport = transport::network(&access);
        Client::by(transport, access)
    }

    /// Makes a client that sends its requests through this transport.
    pub fn by(transport: Arc<dyn Transport>, access: Access) -> Client {
        Client {
            transport,
            access,
            requests: AtomicU64::new(0),
            exchange_clock: Mutex::default(),
            is_dateless: AtomicBool::new(false),
        }
    }

    /// The number of requests sent so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Takes over the exchange's clock as an earlier pass knew it.
    pub fn remember(&self, exchange_clock: ExchangeClock) {
        *self.exchange_clock.lock().unwrap_or_else(PoisonError::into_inner) = exchange_clock;
    }

    /// Notes the time of a trade that an answer showed.
    pub fn show(&self, traded_at: Timestamp) {
        self.exchange_clock.lock().unwrap_or_else(PoisonError::into_inner).show(traded_at);
    }

    /// The present knowledge of the exchange's clock.
    pub fn exchange_clock(&self) -> ExchangeClock {
        *self.exchange_clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exchange's wall clock as its answers show it; our clock until the first answer.
    pub fn exchange_now(&self, clock: &dyn Clock) -> Timestamp {
        self.exchange_clock().now(clock.now())
    }

    /// The latest instant at which an answer that arrives now was given.
    pub(super) fn given_by(&self, clock: &dyn Clock) -> Timestamp {
        self.exchange_clock().given_by(clock.now())
    }

    /// The clock of the last answer, by which the exchange checks our signatures.
    fn signed_at(&self, clock: &dyn Clock) -> Timestamp {
        let known = self.exchange_clock();
        let offset_us = known.last().map(ClockPair::offset_us).or(known.offset_us());
        ExchangeClock::remembered(None, offset_us).now(clock.now())
    }

    /// Sends one GET and decodes its answer; gives up after `left` at the latest.
    ///
    /// The exchange refuses a signature when our clock is wrong. The refusal's `Date` shows the difference, so a
    /// signed request is sent once more if its refusal corrected the clock.
    pub(super) fn get<T>(
        &self,
        question: &Get<'_>,
        left: Duration,
        clock: &dyn Clock,
        decode: impl Fn(&[u8], Timestamp) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let signed = |now: Timestamp| ClockPair { date: self.signed_at(clock), ours: now };
        let before = signed(clock.now());
        let answer = self.ask(question, left, clock, &decode);
        let is_unauthorized = matches!(&answer, Err(failure) if failure.status == Some(401));
        let has_learnt = !signed(clock.now()).has_moved_alike(before);
        if is_unauthorized && has_learnt && self.access.signer.is_some() {
            return self.ask(question, left, clock, &decode);
        }
        answer
    }

    fn ask<T>(
        &self,
        question: &Get<'_>,
        left: Duration,
        clock: &dyn Clock,
        decode: &impl Fn(&[u8], Timestamp) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let what = format!("GET {} for {}", question.path, question.about);
        let url = self.url(question);
        let request = self.request(question, &url, clock);
        self.requests.fetch_add(1, Ordering::Relaxed);
        let sent_at = clock.elapsed();
        let took = || clock.elapsed().saturating_sub(sent_at).as_millis();
        let sent =
            request.and_then(|request| self.transport.call(request, left.min(TOTAL_TIMEOUT)));
        let mut response = sent.map_err(|error| {
            log::trace!("GET {url}: no answer in {} ms", took());
            unanswered(&what, error)
        })?;
        let answered_at = self.answered_at(&response, clock);
        let status = response.status();
        if !status.is_success() && !question.answered_also_with.contains(&status.as_u16()) {
            log::trace!("GET {url}: {} in {} ms", status.as_u16(), took());
            let hide = |said: String| match &self.access.signer {
                Some(signer) => signer.hide(&said),
                None => said,
            };
            return Err(refused(&what, &mut response, answered_at, hide));
        }
        let body = response
            .body_mut()
            .with_config()
            .limit(question.body_bytes_max)
            .read_to_vec()
            .map_err(|error| unanswered(&what, error))?;
        if log::log_enabled!(log::Level::Trace) {
            let (status, bytes, rows) = (status.as_u16(), body.len(), decode::count_rows(&body));
            log::trace!("GET {url}: {status} in {} ms, {bytes} bytes, {rows} rows", took());
        }
        decode(&body, answered_at).map_err(|failure| {
            let kind = failure.kind;
            Failure::new(kind, what).because(failure)
        })
    }

    /// The whole URL of a question.
    fn url(&self, question: &Get<'_>) -> String {
        let mut url = format!("{}{}", self.access.endpoint.base, question.path);
        for (at, (name, value)) in question.query.iter().enumerate() {
            url.push(if at == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, IN_QUERY));
        }
        url
    }

    /// The request, signed if there is a key.
    fn request(
        &self,
        question: &Get<'_>,
        url: &str,
        clock: &dyn Clock,
    ) -> Result<Request<()>, ureq::Error> {
        let endpoint = &self.access.endpoint;
        let path = &*question.path;
        let mut request = Request::get(url).header("cache-control", "no-cache");
        if let Some(signer) = &self.access.signer {
            let signed_path = format!("{}{path}", endpoint.base_path);
            for (name, value) in signer.headers(self.signed_at(clock), "GET", &signed_path) {
                request = request.header(name, value);
            }
        }
        Ok(request.body(())?)
    }

    /// The path of the trades.
    pub(super) fn trades_path(&self) -> &str {
        &self.access.endpoint.trades_path
    }

    /// The instant that an answer describes: its `Date` less its `Age`. Without a `Date`, it is our own clock with the
    /// last known correction.
    ///
    /// Some caches keep the `Date` of a stored answer and some do not. The earlier reading claims no more than the
    /// answer can know.
    fn answered_at<T>(&self, response: &Response<T>, clock: &dyn Clock) -> Timestamp {
        let age = age(response);
        let told_at = if let Some(date) = header(response, "date").and_then(decode::http_date) {
            if age < AGE_MAX {
                self.hear(date, clock.now());
            }
            date
        } else {
            if !self.is_dateless.swap(true, Ordering::Relaxed) {
                log::warn!(
                    "the exchange's answers carry no Date: windows follow our own clock; keep it right"
                );
            }
            self.exchange_now(clock)
        };
        told_at.before(age)
    }

    fn hear(&self, date: Timestamp, ours: Timestamp) {
        let mut known = self.exchange_clock.lock().unwrap_or_else(PoisonError::into_inner);
        known.hear(ClockPair { date, ours });
    }
}

/// The time that the answer lay in caches: the longest `Age` of all headers, or zero without one.
fn age<T>(response: &Response<T>) -> Duration {
    let lines = response.headers().get_all("age").iter().filter_map(|value| value.to_str().ok());
    let ages = lines.flat_map(|line| line.split(',')).filter_map(decode::seconds);
    ages.max().unwrap_or_default().min(AGE_CREDIBLE)
}

fn header<'a, T>(response: &'a Response<T>, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// The failure when no complete answer arrived. The cause decides who has to act.
fn unanswered(what: &str, error: ureq::Error) -> Failure {
    use ureq::Error;
    let (kind, message) = match &error {
        Error::Timeout(_) => (Kind::ExchangeUnavailable, format!("{what} took too long")),
        Error::BodyExceedsLimit(_) => {
            (Kind::ExchangeUnreadable, format!("{what} was answered with too large a body"))
        }
        Error::BadUri(_) | Error::InvalidProxyUrl | Error::Http(_) => {
            (Kind::Config, format!("{what} cannot be sent; check the base URL"))
        }
        _ if is_untrusted(&error) => (
            Kind::ExchangeForbids,
            format!(
                "{what} found no TLS it may trust; check the clock and the platform's certificates"
            ),
        ),
        _ => (Kind::ExchangeUnavailable, format!("{what} got no complete answer")),
    };
    Failure::new(kind, message).because(error)
}

/// Whether the certificate of the other side was checked and rejected. The rejection is inside an I/O error. See
/// docs/upstream.md#ureq-a-refused-certificate
fn is_untrusted(error: &ureq::Error) -> bool {
    let inner = match error {
        ureq::Error::Rustls(inner) => Some(inner),
        ureq::Error::Io(io) => io.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    };
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// The failure when the exchange answered with a status other than 200.
fn refused(
    what: &str,
    response: &mut Response<ureq::Body>,
    answered_at: Timestamp,
    hide: impl Fn(String) -> String,
) -> Failure {
    let status = response.status().as_u16();
    let wait =
        header(response, "retry-after").and_then(|text| decode::retry_after(text, answered_at));
    let location = header(response, "location").map(str::to_owned);
    let body = response.body_mut().with_config().limit(REFUSAL_BYTES_MAX).read_to_vec();
    let mut said = decode::refusal(&body.unwrap_or_default());
    let (kind, advice) = match status {
        408 | 425 | 429 | 500..=599 => (Kind::ExchangeUnavailable, ""),
        401 => (
            Kind::ExchangeForbids,
            "; check --api-key-id, --private-key-file and the clock, or give no key",
        ),
        403 => (Kind::ExchangeForbids, "; this address or key may be blocked"),
        300..=399 => {
            said = format!("a redirect to {}", location.as_deref().unwrap_or("nowhere"));
            (Kind::ExchangeRefused, "; check --base-url")
        }
        404 | 405 => (Kind::ExchangeRefused, "; check --base-url and --trades-path"),
        _ => (Kind::ExchangeRefused, ""),
    };
    let said = if said.is_empty() { said } else { format!(" ({})", hide(said)) };
    Failure::new(kind, format!("{what} was answered {status}{said}{advice}"))
        .with_status(status)
        .with_retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_checked_before_anything_is_sent() {
        for (url, accepted, why) in [
            ("https://external-api.kalshi.com/trade-api/v2", true, "the default"),
            ("http://127.0.0.1:8099/trade-api/v2/", true, "loopback, trailing slash"),
            ("external-api.kalshi.com", false, "no scheme"),
            ("ftp://example.com", false, "another scheme"),
            ("https://user:secret@example.com", false, "a password in it"),
            ("https://example.com/?x=1", false, "a query"),
            ("", false, "nothing"),
        ] {
            let endpoint = Endpoint::new(url, "/markets/trades");
            assert_eq!(endpoint.is_ok(), accepted, "{url:?}: {why}");
            if let Err(failure) = endpoint {
                assert!(!failure.to_string().contains("secret"), "{failure}");
            }
        }
        assert!(Endpoint::new("https://example.com", "markets trades").is_err());
    }
}
