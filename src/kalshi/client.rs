//! The HTTP client: one request, one typed answer. It neither retries nor waits.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use ureq::http::{Response, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::WithoutBody;
use ureq::{Agent, RequestBuilder};

use super::decode;
use super::sign::Signer;
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind};

/// As much of a refusal as is worth reading.
const REFUSAL_BYTES_MAX: u64 = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// An answer this old comes from a cache: its `Date` does not tell what the exchange's clock shows.
const AGE_MAX: Duration = Duration::from_secs(2);
/// More is nonsense, and leaves the calendar.
const AGE_CREDIBLE: Duration = Duration::from_secs(365 * 86_400);

/// Where the exchange's API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    base: String,
    /// The base URL's own path: part of what is signed.
    base_path: String,
    trades_path: String,
}

impl Endpoint {
    /// Checks a base URL and the path of the trades below it.
    pub fn new(base_url: &str, trades_path: &str) -> Result<Endpoint, Failure> {
        let refuse = |why: &str| {
            // The URL is not repeated: it may hold what should not be printed.
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
            base_path: uri.path().trim_end_matches('/').to_owned(),
            trades_path: trades_path.to_owned(),
        })
    }
}

/// One GET, to be sent.
pub(super) struct Question<'a> {
    /// Below the base URL, percent-encoded.
    pub(super) path: Cow<'a, str>,
    pub(super) query: Vec<(&'static str, String)>,
    /// What it is about, for errors.
    pub(super) about: &'a str,
    /// A longer answer is nonsense.
    pub(super) body_bytes_max: u64,
}

/// What a client needs to know, in one place.
#[derive(Debug)]
pub struct Access {
    /// Where to ask.
    pub endpoint: Endpoint,
    /// The key to sign with, if any.
    pub signer: Option<Signer>,
    /// How many connections are worth keeping.
    pub connections: usize,
}

/// A connection pool to the exchange, shared by all workers.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    access: Access,
    requests: AtomicU64,
    /// The exchange's clock minus ours, in microseconds, as of the last answer.
    clock_offset_us: AtomicI64,
    /// Whether an answer without a `Date` was seen and told of.
    is_dateless: AtomicBool,
}

impl Client {
    /// A client that keeps connections alive, trusts what the platform trusts and honours
    /// `HTTPS_PROXY` and `NO_PROXY`. Opens nothing yet.
    pub fn new(access: Access) -> Client {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("kalshi-ingest/", env!("CARGO_PKG_VERSION")))
            .accept("application/json")
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections_per_host(access.connections)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(READ_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            .build()
            .new_agent();
        Client {
            agent,
            access,
            requests: AtomicU64::new(0),
            clock_offset_us: AtomicI64::new(0),
            is_dateless: AtomicBool::new(false),
        }
    }

    /// Requests sent so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The exchange's wall clock, as far as its answers told; ours until the first one.
    pub fn exchange_now(&self, clock: &dyn Clock) -> Timestamp {
        let offset = self.clock_offset_us.load(Ordering::Relaxed);
        Timestamp::from_micros(clock.now().micros().saturating_add(offset))
    }

    /// Sends one GET and has its answer decoded; gives up after `left` at the latest.
    ///
    /// A signature is refused when our clock is wrong; the refusal's `Date` tells by how much,
    /// so a signed request that was refused by a clock just corrected is sent once more.
    pub(super) fn get<T>(
        &self,
        question: &Question<'_>,
        left: Duration,
        clock: &dyn Clock,
        decode: impl Fn(&[u8], Timestamp) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let offset_before = self.clock_offset_us.load(Ordering::Relaxed);
        let answer = self.ask(question, left, clock, &decode);
        let is_unauthorized = matches!(&answer, Err(failure) if failure.status == Some(401));
        let has_learnt = self.clock_offset_us.load(Ordering::Relaxed) != offset_before;
        if is_unauthorized && has_learnt && self.access.signer.is_some() {
            return self.ask(question, left, clock, &decode);
        }
        answer
    }

    fn ask<T>(
        &self,
        question: &Question<'_>,
        left: Duration,
        clock: &dyn Clock,
        decode: &impl Fn(&[u8], Timestamp) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let what = format!("GET {} for {}", question.path, question.about);
        let call = self.call(question, clock).config();
        let call = call.timeout_global(Some(left.min(TOTAL_TIMEOUT))).build();
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut response = call.call().map_err(|error| unanswered(&what, error))?;
        let answered_at = self.answered_at(&response, clock);
        if !response.status().is_success() {
            return Err(refused(&what, &mut response, answered_at));
        }
        let body = response
            .body_mut()
            .with_config()
            .limit(question.body_bytes_max)
            .read_to_vec()
            .map_err(|error| unanswered(&what, error))?;
        decode(&body, answered_at).map_err(|failure| {
            let kind = failure.kind;
            Failure::new(kind, what).because(failure)
        })
    }

    /// The request as it will be sent, signed if there is a key.
    fn call(&self, question: &Question<'_>, clock: &dyn Clock) -> RequestBuilder<WithoutBody> {
        let endpoint = &self.access.endpoint;
        let path = &*question.path;
        let mut call = self.agent.get(format!("{}{path}", endpoint.base));
        call = call.header("cache-control", "no-cache");
        for (name, value) in &question.query {
            call = call.query(name, value);
        }
        if let Some(signer) = &self.access.signer {
            let signed_path = format!("{}{path}", endpoint.base_path);
            for (name, value) in signer.headers(self.exchange_now(clock), "GET", &signed_path) {
                call = call.header(name, value);
            }
        }
        call
    }

    /// Where trades are.
    pub(super) fn trades_path(&self) -> &str {
        &self.access.endpoint.trades_path
    }

    /// As of when an answer speaks: its `Date` less its `Age`; for one without a `Date`, our own
    /// clock as far as it was set right before.
    ///
    /// Caches differ in whether they keep the `Date` of what they hold. The earlier reading claims
    /// no more than the answer can know.
    fn answered_at<T>(&self, response: &Response<T>, clock: &dyn Clock) -> Timestamp {
        let age = age(response);
        let told_at = if let Some(date) = header(response, "date").and_then(decode::http_date) {
            if age < AGE_MAX {
                self.learn_offset(date, clock.now());
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

    fn learn_offset(&self, date: Timestamp, now: Timestamp) {
        // `Date` has whole seconds: only a difference beyond that is one.
        let offset = date.micros().saturating_sub(now.micros());
        let offset = if offset.abs() < 2_000_000 { 0 } else { offset };
        self.clock_offset_us.store(offset, Ordering::Relaxed);
    }
}

/// How long the answer lay in caches, the most that any of them says; nothing when none says it.
fn age<T>(response: &Response<T>) -> Duration {
    let lines = response.headers().get_all("age").iter().filter_map(|value| value.to_str().ok());
    let ages = lines.flat_map(|line| line.split(',')).filter_map(decode::seconds);
    ages.max().unwrap_or_default().min(AGE_CREDIBLE)
}

fn header<'a, T>(response: &'a Response<T>, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// No complete answer came: who has to act depends on why.
fn unanswered(what: &str, error: ureq::Error) -> Failure {
    use ureq::Error;
    let (kind, message) = match &error {
        Error::Timeout(_) => (Kind::ExchangeUnavailable, format!("{what} took too long")),
        Error::BodyExceedsLimit(_) => {
            (Kind::ExchangeUnreadable, format!("{what} was answered with too large a body"))
        }
        Error::BadUri(_) | Error::InvalidProxyUrl | Error::Http(_) => {
            (Kind::Config, format!("{what} cannot be sent; check the base URL and HTTPS_PROXY"))
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

/// Whether the other side's certificate was looked at and refused. It arrives inside an I/O error.
fn is_untrusted(error: &ureq::Error) -> bool {
    let inner = match error {
        ureq::Error::Rustls(inner) => Some(inner),
        ureq::Error::Io(io) => io.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    };
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// The exchange answered, and not with 200.
fn refused(what: &str, response: &mut Response<ureq::Body>, answered_at: Timestamp) -> Failure {
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
    let said = if said.is_empty() { said } else { format!(" ({said})") };
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
