//! From a connection URL to a connection, with `sslmode` meaning what libpq means by it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use postgres::config::{Host, SslMode};
use postgres::{Client, Config};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::failure::{Failure, Kind};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that vanished is noticed after this long, well within a pass.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(20);
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Where a server is and how to speak to it.
#[derive(Clone)]
pub(in crate::store) struct Target {
    config: Config,
    check: Check,
}

/// How much of the server's certificate is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Check {
    /// Encrypted, but with whom is not asked: `prefer`, and `require` without a root.
    Nothing,
    /// Signed by this root: `require` with `sslrootcert`.
    Chain(Root),
    /// Signed by this root for this host: `verify-full`.
    Host(Root),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Root {
    File(PathBuf),
    System,
}

impl Target {
    /// Reads a `postgres://` URL. Errors never repeat it: it may hold a password.
    pub(in crate::store) fn parse(url: &str) -> Result<Target, Failure> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = None;
        let mut root = None;
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "sslmode" => mode = Some(value),
                "sslrootcert" if value == "system" => root = Some(Root::System),
                "sslrootcert" => root = Some(Root::File(PathBuf::from(value))),
                _ => rest.push(pair),
            }
        }
        let (ssl_mode, check) = match (mode.as_deref().unwrap_or("prefer"), root) {
            ("disable", _) => (SslMode::Disable, Check::Nothing),
            ("prefer", _) => (SslMode::Prefer, Check::Nothing),
            ("require", None) => (SslMode::Require, Check::Nothing),
            ("require", Some(root)) => (SslMode::Require, Check::Chain(root)),
            ("verify-full", root) => (SslMode::Require, Check::Host(root.unwrap_or(Root::System))),
            (other, _) => {
                return Err(Failure::config(format!(
                    "the database URL has sslmode={other:?}; use disable, prefer, require or verify-full"
                )));
            }
        };
        let url =
            if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        let mut config: Config = url.parse().map_err(|error: postgres::Error| {
            Failure::config(
                "the database URL cannot be read; write it like postgres://user@host:5432/database",
            )
            .because(error)
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Failure::config(
                "the database URL names no host; write it like postgres://user@host:5432/database",
            ));
        }
        let is_odd = |text: &str| text.contains('@');
        let any_host_is_odd =
            config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if is_odd(name)));
        if any_host_is_odd || config.get_dbname().is_some_and(is_odd) {
            // What stands in the wrong place may be a part of the password.
            return Err(Failure::config(
                "the database URL has an @ too many; percent-encode the password (@ is %40, / is %2F, # is %23)",
            ));
        }
        config.ssl_mode(ssl_mode);
        if config.get_application_name().is_none() {
            config.application_name("kalshi-ingest");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED_MAX);
        }
        // Silence is only noticed by asking: the default is to ask after two hours.
        config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).keepalives_retries(2);
        Ok(Target { config, check })
    }

    /// Host, port and database: what may be printed.
    pub(in crate::store) fn place(&self) -> String {
        let ports = self.config.get_ports();
        let port_of = |at: usize| ports.get(at).or_else(|| ports.first()).copied().unwrap_or(5432);
        let mut hosts: Vec<String> = self
            .config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(at, host)| match host {
                Host::Tcp(name) => format!("{name}:{}", port_of(at)),
                #[cfg(unix)]
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        if hosts.is_empty() {
            let addresses = self.config.get_hostaddrs().iter().enumerate();
            hosts = addresses.map(|(at, address)| format!("{address}:{}", port_of(at))).collect();
        }
        match self.config.get_dbname() {
            Some(name) => format!("{}/{name}", hosts.join(",")),
            None => hosts.join(","),
        }
    }

    pub(super) fn connect(&self) -> Result<Client, Failure> {
        let what = format!("connecting to PostgreSQL at {}", self.place());
        let tls = MakeRustlsConnect::new(self.tls()?);
        self.config.connect(tls).map_err(|error| {
            let message = format!("{what} failed; {}", advice(&error));
            Failure::new(Kind::StoreUnavailable, message).because(error)
        })
    }

    fn tls(&self) -> Result<ClientConfig, Failure> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let any_host = |signed_by| AnyHost { provider: Arc::clone(&provider), signed_by };
        let verifier: Arc<dyn ServerCertVerifier> = match &self.check {
            Check::Nothing => Arc::new(any_host(None)),
            Check::Chain(root) => Arc::new(any_host(Some(webpki(root, &provider)?))),
            Check::Host(root) => webpki(root, &provider)?,
        };
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|builder| {
                builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
            })
            .map_err(|error| Failure::new(Kind::StoreUnavailable, "setting up TLS").because(error))
    }
}

/// What to do about a connection that was not made.
fn advice(error: &postgres::Error) -> &'static str {
    match error.code().map(postgres::error::SqlState::code) {
        Some(code) if code.starts_with("28") => "check the user and the password in the URL",
        Some("3D000") => "create the database, or check its name",
        Some("53300") => "the server has no connection left",
        None if crate::failure::one_line(error).contains("password missing") => {
            "the server asks for a password and the URL holds none \
             (write it like postgres://user:password@host/database; PGPASSWORD is not read)"
        }
        _ => "check --database-url and that the server is up",
    }
}

fn webpki(
    root: &Root,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Failure> {
    let mut roots = RootCertStore::empty();
    match root {
        Root::System => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Root::File(path) => {
            let what = || Failure::config(format!("sslrootcert {} cannot be read", path.display()));
            let pem = fs::read(path).map_err(|error| what().because(error))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| what().because(error))?;
                roots.add(certificate).map_err(|error| what().because(error))?;
            }
            if roots.is_empty() {
                return Err(what().because("it holds no certificate"));
            }
        }
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| {
            Failure::config(
                "there is no root certificate to check the database server with; give sslrootcert",
            )
            .because(error)
        })
}

/// What libpq asks of a certificate short of `verify-full`: nothing, which proves nothing about
/// the server, or who signed it, for whatever host.
#[derive(Debug)]
struct AnyHost {
    provider: Arc<CryptoProvider>,
    signed_by: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for AnyHost {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(roots) = &self.signed_by else { return Ok(ServerCertVerified::assertion()) };
        match roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is compared last: everything else was found good.
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    // That the server holds the certificate's key is always checked: SCRAM's channel binding
    // rests on it.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sslmode_means_what_libpq_means() {
        let file = Root::File(PathBuf::from("/etc/ca dir/root.crt"));
        for (query, mode, check) in [
            ("", SslMode::Prefer, Check::Nothing),
            ("?sslmode=disable", SslMode::Disable, Check::Nothing),
            ("?sslmode=require", SslMode::Require, Check::Nothing),
            (
                "?sslmode=require&sslrootcert=/etc/ca%20dir/root.crt",
                SslMode::Require,
                Check::Chain(file.clone()),
            ),
            ("?sslmode=verify-full", SslMode::Require, Check::Host(Root::System)),
            (
                "?connect_timeout=3&sslrootcert=/etc/ca%20dir/root.crt&sslmode=verify-full",
                SslMode::Require,
                Check::Host(file),
            ),
        ] {
            let target = Target::parse(&format!("postgres://me@db.example/kalshi{query}")).unwrap();
            assert_eq!((target.config.get_ssl_mode(), target.check), (mode, check), "{query:?}");
        }
    }

    #[test]
    fn no_error_and_no_place_shows_the_password() {
        let good = Target::parse("postgres://me:hunter2@db.example:6543/kalshi").unwrap();
        assert_eq!(good.place(), "db.example:6543/kalshi");
        for url in [
            "postgres://me:hunter2@db.example/kalshi?sslmode=maybe",
            "postgres://me:hunter2@db.example/kalshi?no_such_option=1",
            "postgres://me:hunter2@db.example:port/kalshi",
            "postgres://me:hunter2@",
            "postgres://me:x@hunter2@db.example/kalshi",
            "postgres://me:x/y@hunter2@db.example/kalshi",
        ] {
            let Err(failure) = Target::parse(url) else { panic!("{url} was accepted") };
            let line = crate::failure::one_line(&failure);
            assert!(!line.contains("hunter2"), "{line}");
        }
    }
}
