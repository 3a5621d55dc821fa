//! The HTTP messages of a pass: to the dead-man switch and to the push gateway. The pass does not wait long for them,
//! and their failure never changes the exit status.

use std::fmt;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};

use crate::failure::{Failure, one_line};
use crate::proxy::{self, Proxy};

/// The most time that a pass spends on one message.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// The number of attempts to report the end of a pass.
const ATTEMPTS: u32 = 2;
const PROMETHEUS: &str = "text/plain; version=0.0.4";
const PLAIN: &str = "text/plain; charset=utf-8";

/// The URL of a receiver. Its path may be a secret, so only the host is ever shown.
#[derive(Clone)]
pub struct Webhook {
    base: String,
    /// The flag that gave the URL, and its host.
    name: String,
    proxy: Option<Proxy>,
}

impl Webhook {
    /// Reads the value of `flag`, and finds the proxy for it in the environment. Errors do not repeat the value.
    pub fn parse(
        flag: &str,
        url: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Webhook, Failure> {
        let wrong = || Failure::config(format!("{flag} is not a URL like https://host/path"));
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let is_bare = uri.query().is_none() && !url.contains('#');
        if !matches!(uri.scheme_str(), Some("http" | "https")) || !is_bare {
            return Err(wrong());
        }
        let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
        let name = format!("{flag} at {host}{port}");
        let proxy = proxy::proxy_for(&uri, environment)?;
        Ok(Webhook { base: url.trim_end_matches('/').to_owned(), name, proxy })
    }

    /// Sends one POST to a path below the URL.
    fn post(
        &self,
        below: &str,
        content_type: &str,
        body: &str,
        patience: Duration,
    ) -> Result<(), Failure> {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("kalshi-ingest/", env!("CARGO_PKG_VERSION")))
            // After a redirect the POST would become a GET, whose answer has no meaning here.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(patience));
        let sent = proxy::agent(config, self.proxy.as_ref())
            .post(format!("{}{below}", self.base))
            .content_type(content_type)
            .send(body.as_bytes());
        let failed = || Failure::config(format!("telling {} failed; check the URL", self.name));
        let answer = sent.map_err(|error| match error {
            // The text of these errors can contain the URL.
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => failed(),
            error => failed().because(error),
        })?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(failed().because(format!("it answered {}", answer.status().as_u16())))
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.name)
    }
}

/// A dead-man switch in the style of healthchecks.io: it receives `/start`, then `/<exit status>`
/// (<https://healthchecks.io/docs/signaling_failures/>), and raises the alarm when nothing arrives.
pub struct Ping {
    webhook: Webhook,
    started: Option<JoinHandle<()>>,
}

impl Ping {
    /// Reports the beginning of a pass, in a thread beside the pass.
    pub fn start(webhook: Webhook) -> Ping {
        let told = webhook.clone();
        let tell = move || {
            if let Err(failure) = told.post("/start", PLAIN, "", PATIENCE) {
                log::warn!("{}", one_line(&failure));
            }
        };
        Ping { webhook, started: thread::Builder::new().name("ping".to_owned()).spawn(tell).ok() }
    }

    /// Reports the end of a pass, with its closing line.
    pub fn end(self, exit_code: u8, words: &str) {
        if let Some(started) = self.started {
            // The start is sent first; otherwise it could arrive last and count as the latest message.
            let _ = started.join();
        }
        let mut last = Ok(());
        for _ in 0..ATTEMPTS {
            last = self.webhook.post(&format!("/{exit_code}"), PLAIN, words, PATIENCE);
            if last.is_ok() {
                return;
            }
        }
        if let Err(failure) = last {
            log::warn!("{}", one_line(&failure));
        }
    }
}

/// Replaces the push gateway's metrics of this shard, metric by metric.
pub fn push(webhook: &Webhook, shard: &str, metrics: &str) -> Result<(), Failure> {
    let below = format!("/metrics/job/kalshi_ingest/shard/{shard}");
    webhook.post(&below, PROMETHEUS, metrics, 2 * PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_url_that_can_be_told_something_is_taken_and_none_is_repeated() {
        for url in [
            "",
            "hunter2",
            "ftp://host/hunter2",
            "https://",
            "https://host/p?key=hunter2",
            "https://host/hunter2#start",
        ] {
            let error = Webhook::parse("--ping-url", url, &|_| None).unwrap_err();
            let line = one_line(&error);
            assert!(line.contains("--ping-url") && !line.contains("hunter2"), "{line}");
        }
        let webhook =
            Webhook::parse("--ping-url", "https://hc.example/hunter2/", &|_| None).unwrap();
        assert_eq!(webhook.base, "https://hc.example/hunter2");
        assert_eq!(format!("{webhook:?}"), "Webhook(--ping-url at hc.example)");
    }

    #[test]
    fn a_failure_names_the_host_alone() {
        let webhook =
            Webhook::parse("--ping-url", "http://127.0.0.1:1/hunter2", &|_| None).unwrap();
        let line = one_line(&webhook.post("/start", PLAIN, "", PATIENCE).unwrap_err());
        assert!(line.contains("127.0.0.1") && !line.contains("hunter2"), "{line}");
    }
}
