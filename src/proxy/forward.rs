//! Requests to `http://` targets through a proxy. Like curl, we send the request itself to the proxy, with the whole
//! URL. The library would ask the proxy for a tunnel, and many proxies allow a tunnel to port 443 only. See
//! docs/upstream.md#ureq-a-tunnel-for-plain-http

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, RustlsConnector, TcpConnector, Transport,
};
use ureq::{Agent, Error, config::Config};

/// An agent that sends all its requests to this proxy.
pub(super) fn agent(config: Config, proxy: &ureq::Proxy) -> Agent {
    let credentials = proxy.username().map(|name| {
        let words = format!("{name}:{}", proxy.password().unwrap_or_default());
        format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(words))
    });
    let forward = Forward {
        proxy: proxy.uri().clone(),
        credentials: credentials.unwrap_or_default(),
        tls: RustlsConnector::default(),
    };
    let resolver = ToProxy { proxy: proxy.uri().clone(), resolver: DefaultResolver::default() };
    Agent::with_parts(config, ().chain(TcpConnector::default()).chain(forward), resolver)
}

/// A resolver that resolves the address of the proxy, for every target.
struct ToProxy {
    proxy: Uri,
    resolver: DefaultResolver,
}

impl fmt::Debug for ToProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToProxy")
    }
}

impl Resolver for ToProxy {
    fn resolve(
        &self,
        _: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.resolver.resolve(&self.proxy, config, timeout)
    }
}

/// A connector that makes a connection to the proxy usable for the target.
struct Forward {
    proxy: Uri,
    credentials: String,
    tls: RustlsConnector,
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forward")
    }
}

impl<In: Transport> Connector<In> for Forward {
    type Out = Forwarded;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Forwarded>, Error> {
        // TLS, if there is any, is between us and the proxy.
        let to_proxy = ConnectionDetails {
            uri: &self.proxy,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let connected = self.tls.connect(&to_proxy, chained)?;
        let target = details.uri.authority().map(|authority| format!("http://{authority}"));
        Ok(connected.zip(target).map(|(transport, target)| Forwarded {
            transport: Box::new(transport),
            target,
            credentials: self.credentials.clone(),
            is_at_start: true,
        }))
    }
}

/// A connection on which each request names the whole URL.
struct Forwarded {
    transport: Box<dyn Transport>,
    target: String,
    credentials: String,
    /// Whether the next bytes sent begin a request.
    is_at_start: bool,
}

impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forwarded")
    }
}

impl Transport for Forwarded {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if !std::mem::replace(&mut self.is_at_start, false) {
            return self.transport.transmit_output(amount, timeout);
        }
        let sent = &self.transport.buffers().output()[..amount];
        let whole = amended(sent, &self.target, &self.credentials);
        let mut rest = &whole[..];
        while !rest.is_empty() {
            let output = self.transport.buffers().output();
            let count = rest.len().min(output.len());
            output[..count].copy_from_slice(&rest[..count]);
            self.transport.transmit_output(count, timeout)?;
            rest = &rest[count..];
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.is_at_start = true;
        self.transport.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }
}

/// The head of a request, such as `GET /path HTTP/1.1`, with the target inserted before its path and the credentials
/// after its first line.
fn amended(head: &[u8], target: &str, credentials: &str) -> Vec<u8> {
    let mut whole = Vec::with_capacity(head.len() + target.len() + credentials.len());
    let path = head.iter().position(|byte| *byte == b' ').map_or(0, |at| at + 1);
    let line = head.windows(2).position(|two| two == b"\r\n").map_or(head.len(), |at| at + 2);
    whole.extend_from_slice(&head[..path]);
    whole.extend_from_slice(target.as_bytes());
    whole.extend_from_slice(&head[path..line]);
    whole.extend_from_slice(credentials.as_bytes());
    whole.extend_from_slice(&head[line..]);
    whole
}
