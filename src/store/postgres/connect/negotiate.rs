//! One server, with TLS or without: what `sslmode` allows, and the other way where it does.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use postgres::config::SslMode;
use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{Client, Config, Socket};
use rustls::pki_types::ServerName;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Target;
use super::resolve::Place;
use super::tls::{Check, Mode};
use crate::failure::{Failure, one_line};

const USUAL_ADVICE: &str = "check --database-url and that the server is up";

/// One end of a cable.
#[derive(Clone, Debug)]
pub(super) enum Spot {
    Socket(PathBuf),
    Address(IpAddr),
}

/// Why a spot did not let us in.
pub(super) enum Refusal {
    /// Nobody answers, or not yet, or not one that suits: the next place may.
    Absent(Failure),
    /// There is somebody who will not have us; whether it may go better the other way, with TLS
    /// or without.
    Away { failure: Failure, is_other_way_open: bool },
}

impl Refusal {
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Refusal::Absent(failure) | Refusal::Away { failure, .. } => failure,
        }
    }
}

impl Target {
    /// One spot, with TLS or without as `sslmode` says, and the other way where it allows that.
    pub(super) fn negotiate(&self, place: &Place, spot: &Spot) -> Result<(Client, bool), Refusal> {
        // A socket is not encrypted, whatever was said.
        let mode = if matches!(spot, Spot::Socket(_)) { Mode::Disable } else { self.plan.tls.mode };
        match mode {
            Mode::Disable => self.attempt(place, spot, SslMode::Disable),
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => {
                self.attempt(place, spot, SslMode::Require)
            }
            Mode::Allow => match self.attempt(place, spot, SslMode::Disable) {
                Err(Refusal::Away { failure, is_other_way_open: true }) => self
                    .attempt(place, spot, SslMode::Prefer)
                    .map_err(|other| both(other, &failure)),
                other => other,
            },
            Mode::Prefer => match self.attempt(place, spot, SslMode::Prefer) {
                Err(Refusal::Away { failure, is_other_way_open: true }) => {
                    log::debug!("{}; once more without TLS", one_line(&failure));
                    self.attempt(place, spot, SslMode::Disable)
                        .map_err(|other| both(other, &failure))
                }
                other => other,
            },
        }
    }

    fn attempt(
        &self,
        place: &Place,
        spot: &Spot,
        ssl_mode: SslMode,
    ) -> Result<(Client, bool), Refusal> {
        let mut config = self.plan.base.clone();
        config.port(place.port).ssl_mode(ssl_mode);
        if let Some(password) = &place.password {
            config.password(password);
        }
        let is_agreed = Arc::new(AtomicBool::new(false));
        let connected = match spot {
            Spot::Socket(path) => {
                config.host_path(path);
                within_timeout(config, postgres::NoTls)
            }
            // It is never asked for TLS then.
            Spot::Address(address) if ssl_mode == SslMode::Disable => {
                config.hostaddr(*address);
                within_timeout(config, postgres::NoTls)
            }
            Spot::Address(address) => {
                let away = |failure| Refusal::Away { failure, is_other_way_open: true };
                let name = self.server_name(place, *address).map_err(away)?;
                config.hostaddr(*address).host(&name);
                let inner = MakeRustlsConnect::new(self.plan.tls.client().map_err(away)?);
                within_timeout(config, Noting { inner, is_agreed: Arc::clone(&is_agreed) })
            }
        };
        let is_encrypted = is_agreed.load(Ordering::SeqCst);
        match connected {
            Some(Ok(client)) => Ok((client, is_encrypted)),
            Some(Err(error)) => Err(self.refusal(&error, ssl_mode, is_encrypted)),
            None => Err(Refusal::Absent(self.failure(USUAL_ADVICE, "no answer in time"))),
        }
    }

    /// What the certificate has to be for; the address where it may be for anybody.
    fn server_name(&self, place: &Place, address: IpAddr) -> Result<String, Failure> {
        match &place.name {
            Some(name) if ServerName::try_from(name.as_str()).is_ok() => Ok(name.clone()),
            _ if self.plan.tls.check() != Check::Host => Ok(address.to_string()),
            Some(_) => Err(Failure::config("sslmode=verify-full needs a host that is a DNS name")),
            None => Err(Failure::config("sslmode=verify-full needs a host beside hostaddr")),
        }
    }

    fn refusal(&self, error: &postgres::Error, asked: SslMode, is_encrypted: bool) -> Refusal {
        let failure = self.failure(advice(error), one_line(error));
        let code = error.code().map(postgres::error::SqlState::code);
        // The client has no better name for these two than its words.
        let is = |words: &str| code.is_none() && error.to_string() == words;
        // Starting up, shutting down or recovering is as good as not being there.
        if code == Some("57P03") || is("error connecting to server") {
            return Refusal::Absent(failure);
        }
        // As in libpq: only credentials and the handshake could go better the other way.
        let is_turned_away = code.is_some_and(|code| code.starts_with("28"));
        let is_other_way_open = match asked {
            SslMode::Disable => is_turned_away,
            _ => is_encrypted && (is_turned_away || is("error performing TLS handshake")),
        };
        Refusal::Away { failure, is_other_way_open }
    }
}

/// What the last way came to, with what the first said if that was something else.
fn both(last: Refusal, first: &Failure) -> Refusal {
    let cause = |failure: &Failure| {
        std::error::Error::source(failure).map_or_else(|| failure.to_string(), one_line)
    };
    let add = |failure: Failure| {
        let (one, other) = (cause(&failure), cause(first));
        if one == other {
            return failure;
        }
        Failure::new(failure.kind, failure.to_string()).because(format!("{one} (before: {other})"))
    };
    match last {
        Refusal::Absent(failure) => Refusal::Absent(add(failure)),
        Refusal::Away { failure, is_other_way_open } => {
            Refusal::Away { failure: add(failure), is_other_way_open }
        }
    }
}

/// The client's own limit ends with the handshake of TCP: a server that accepts and then says
/// nothing is left to itself by this one. `None`: the time is over.
fn within_timeout<T>(config: Config, tls: T) -> Option<Result<Client, postgres::Error>>
where
    T: MakeTlsConnect<Socket> + Send + 'static,
    T::TlsConnect: Send,
    T::Stream: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let Some(limit) = config.get_connect_timeout().copied() else {
        return Some(config.connect(tls));
    };
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Nobody may be waiting any more.
        let _ = sender.send(config.connect(tls));
    });
    receiver.recv_timeout(limit).ok()
}

/// What to do about a connection that was not made.
pub(super) fn advice(error: &postgres::Error) -> &'static str {
    match error.code().map(postgres::error::SqlState::code) {
        Some(code) if code.starts_with("28") => "check the user and the password",
        Some("3D000") => "create the database, or check its name",
        Some("53300") => "the server has no connection left",
        None if one_line(error).contains("password missing") => {
            "the server asks for a password and there is none, neither in --database-url \
             nor in PGPASSWORD nor for this host, port, database and user in ~/.pgpass"
        }
        _ => USUAL_ADVICE,
    }
}

/// rustls, and a note when the server agrees to it.
struct Noting {
    inner: MakeRustlsConnect,
    is_agreed: Arc<AtomicBool>,
}

struct NotingConnect {
    inner: <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect,
    is_agreed: Arc<AtomicBool>,
}

impl MakeTlsConnect<Socket> for Noting {
    type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = NotingConnect;
    type Error = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<NotingConnect, Self::Error> {
        let inner = MakeTlsConnect::<Socket>::make_tls_connect(&mut self.inner, host)?;
        Ok(NotingConnect { inner, is_agreed: Arc::clone(&self.is_agreed) })
    }
}

impl TlsConnect<Socket> for NotingConnect {
    type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
    type Error =
        <<MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect as TlsConnect<Socket>>::Error;
    type Future =
        <<MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect as TlsConnect<Socket>>::Future;

    fn connect(self, socket: Socket) -> Self::Future {
        self.is_agreed.store(true, Ordering::SeqCst);
        self.inner.connect(socket)
    }
}
