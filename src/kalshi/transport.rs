//! The transport of requests and answers. The client interprets both.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{Request, Response};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::client::Access;
use crate::proxy;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A way to the exchange.
pub trait Transport: Send + Sync {
    /// Sends a GET, and returns the head of the answer with a body that is still to be read. It gives up after
    /// `patience`, the body included.
    fn call(&self, request: Request<()>, patience: Duration)
    -> Result<Response<Body>, ureq::Error>;
}

/// The network, with connections that are kept open.
struct Network(Agent);

impl Transport for Network {
    fn call(
        &self,
        request: Request<()>,
        patience: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        let request = self.0.configure_request(request).timeout_global(Some(patience)).build();
        self.0.run(request)
    }
}

/// The usual transport, which trusts the certificates that the platform trusts. It opens no connection yet.
pub(super) fn network(access: &Access) -> Arc<dyn Transport> {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .user_agent(concat!("kalshi-ingest/", env!("CARGO_PKG_VERSION")))
        .accept("application/json")
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections_per_host(access.connections)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(READ_TIMEOUT))
        .timeout_per_read(Some(READ_TIMEOUT));
    Arc::new(Network(proxy::agent(config, access.proxy.as_ref())))
}

impl fmt::Debug for dyn Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}
