//! Connects to one server, with TLS or without as `sslmode` says, and then the other way where it allows that.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use postgres::config::SslMode;
use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{Client, Config, Socket};
use rustls::pki_types::ServerName;
use tokio::runtime::Builder;

use super::resolve::Server;
use super::tls::{Check, Mode};
use crate::connection_string::ConnectionString;
use crate::error::{Error, ErrorKind, one_line};
use crate::notice::Notice;
use crate::stream::Encryption;

/// A resolved address of a server.
#[derive(Clone, Debug)]
pub(super) enum Endpoint {
    Socket(PathBuf),
    Address(IpAddr),
}

/// The reason why an endpoint gave no connection.
pub(super) enum Refusal {
    /// No server answers, or the server is not acceptable: the next server may be.
    Absent(Error),
    /// The server refused the connection. `is_other_way_open`: the opposite choice of TLS may work.
    Away { error: Error, is_other_way_open: bool },
}

impl Refusal {
    pub(super) fn into_error(self) -> Error {
        match self {
            Refusal::Absent(error) | Refusal::Away { error, .. } => error,
        }
    }
}

impl ConnectionString {
    /// Connects to one endpoint, with TLS or without as `sslmode` says, and the other way where it allows that.
    pub(crate) fn negotiate(
        &self,
        server: &Server,
        endpoint: &Endpoint,
        tell: &mut dyn FnMut(Notice),
    ) -> Result<(Client, bool), Refusal> {
        // A Unix socket is never encrypted, whatever the mode says.
        let mode = if matches!(endpoint, Endpoint::Socket(_)) {
            Mode::Disable
        } else {
            self.plan.tls.mode
        };
        match mode {
            Mode::Disable => self.attempt(server, endpoint, SslMode::Disable, tell),
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => {
                self.attempt(server, endpoint, SslMode::Require, tell)
            }
            Mode::Allow => match self.attempt(server, endpoint, SslMode::Disable, tell) {
                Err(Refusal::Away { error: first, is_other_way_open: true }) => self
                    .attempt(server, endpoint, SslMode::Prefer, tell)
                    .map_err(|other| both(other, &first)),
                other => other,
            },
            Mode::Prefer => match self.attempt(server, endpoint, SslMode::Prefer, tell) {
                Err(Refusal::Away { error: first, is_other_way_open: true }) => {
                    tell(Notice::Detail(format!("{}; once more without TLS", one_line(&first))));
                    self.attempt(server, endpoint, SslMode::Disable, tell)
                        .map_err(|other| both(other, &first))
                }
                other => other,
            },
        }
    }

    fn attempt(
        &self,
        server: &Server,
        endpoint: &Endpoint,
        ssl_mode: SslMode,
        tell: &mut dyn FnMut(Notice),
    ) -> Result<(Client, bool), Refusal> {
        let mut config = self.plan.base.clone();
        config.port(server.port).ssl_mode(ssl_mode);
        if let Some(password) = &server.password {
            config.password(password);
        }
        let is_agreed = Arc::new(AtomicBool::new(false));
        let connected = match endpoint {
            Endpoint::Socket(path) => {
                config.host_path(path);
                within_timeout(config, postgres::NoTls)
            }
            // The client never asks for TLS then.
            Endpoint::Address(address) if ssl_mode == SslMode::Disable => {
                config.hostaddr(*address);
                within_timeout(config, postgres::NoTls)
            }
            Endpoint::Address(address) => {
                let away = |error| Refusal::Away { error, is_other_way_open: true };
                let name = self.server_name(server, *address).map_err(away)?;
                config.hostaddr(*address).host(&name);
                let client = self.plan.tls.client(tell).map_err(away)?;
                within_timeout(config, Encryption::new(client, Arc::clone(&is_agreed)))
            }
        };
        let is_encrypted = is_agreed.load(Ordering::SeqCst);
        match connected {
            Ok(Ok(client)) => Ok((client, is_encrypted)),
            Ok(Err(error)) => Err(self.refusal(error, ssl_mode, is_encrypted)),
            Err(Unasked::Silent) => {
                Err(Refusal::Absent(self.absent(&self.usual_advice(), "no answer in time")))
            }
            Err(Unasked::Short(error)) => {
                let advice = "let this process have more open files or threads";
                Err(Refusal::Absent(self.absent(advice, error)))
            }
        }
    }

    /// The name that the certificate has to be for; the address where any name is accepted.
    fn server_name(&self, server: &Server, address: IpAddr) -> Result<String, Error> {
        match &server.name {
            Some(name) if ServerName::try_from(name.as_str()).is_ok() => Ok(name.clone()),
            _ if self.plan.tls.check() != Check::Host => Ok(address.to_string()),
            Some(_) => {
                Err(Error::configuration("sslmode=verify-full needs a host that is a DNS name"))
            }
            None => Err(Error::configuration("sslmode=verify-full needs a host beside hostaddr")),
        }
    }

    fn refusal(&self, error: postgres::Error, asked: SslMode, is_encrypted: bool) -> Refusal {
        let code = error.code().map(postgres::error::SqlState::code);
        // The client distinguishes these two errors only by their text. See
        // docs/upstream.md#postgres-the-kind-of-an-error
        let is = |words: &str| code.is_none() && error.to_string() == words;
        // A server that starts, stops or recovers counts as absent.
        let is_absent = code == Some("57P03") || is("error connecting to server");
        // As in libpq: the other way can only help against wrong credentials or a failed handshake.
        let is_turned_away = code.is_some_and(|code| code.starts_with("28"));
        // Where libpq would encrypt, nothing may be sent in clear instead. Here the certificate is only too old for
        // rustls.
        let is_too_old = one_line(&error).contains("UnsupportedCertVersion");
        let is_handshake = is("error performing TLS handshake") && !is_too_old;
        let is_other_way_open = match asked {
            SslMode::Disable => is_turned_away,
            _ => is_encrypted && (is_turned_away || is_handshake),
        };
        // The server has no connection or no memory left; it may accept a later attempt.
        let is_short =
            code.is_some_and(|code| ["53", "57"].iter().any(|class| code.starts_with(class)));
        let is_passing = is_absent || is_short || is_cut(&error);
        let kind = if is_passing { ErrorKind::Unavailable } else { ErrorKind::Refused };
        let error = self.error(kind, &self.advice(&error), error);
        if is_absent { Refusal::Absent(error) } else { Refusal::Away { error, is_other_way_open } }
    }

    /// Advice for a connection that was not made.
    pub(crate) fn advice(&self, error: &postgres::Error) -> String {
        match error.code().map(postgres::error::SqlState::code) {
            Some(code) if code.starts_with("28") => "check the user and the password".to_owned(),
            Some("3D000") => "create the database, or check its name".to_owned(),
            Some("53300") => "the server has no connection left".to_owned(),
            None if one_line(error).contains("password missing") => format!(
                "the server asks for a password and there is none, neither in {} \
                 nor in PGPASSWORD nor for this host, port, database and user in ~/.pgpass",
                self.given_as
            ),
            None if one_line(error).contains("UnsupportedCertVersion") => {
                "the server's certificate is of X.509 version 1; make one of version 3".to_owned()
            }
            _ => self.usual_advice(),
        }
    }

    fn usual_advice(&self) -> String {
        format!("check {} and that the server is up", self.given_as)
    }
}

/// Whether the connection ended in the middle of an exchange.
fn is_cut(error: &postgres::Error) -> bool {
    let cause = std::error::Error::source(error);
    let kind = cause.and_then(|cause| cause.downcast_ref()).map(io::Error::kind);
    let is_end = |kind| {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof,
        };
        matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof)
    };
    error.is_closed() || kind.is_some_and(is_end)
}

/// The error of the last way, with the error of the first way if it differs.
fn both(last: Refusal, first: &Error) -> Refusal {
    let cause = |error: &Error| {
        std::error::Error::source(error).map_or_else(|| error.to_string(), one_line)
    };
    let add = |error: Error| {
        let (one, other) = (cause(&error), cause(first));
        if one == other {
            return error;
        }
        Error::new(error.kind(), error.to_string()).because(format!("{one} (before: {other})"))
    };
    match last {
        Refusal::Absent(error) => Refusal::Absent(add(error)),
        Refusal::Away { error, is_other_way_open } => {
            Refusal::Away { error: add(error), is_other_way_open }
        }
    }
}

/// The reason why the server's answer is unknown.
enum Unasked {
    /// The time is over.
    Silent,
    /// This process has no descriptor or no thread left for a connection.
    Short(io::Error),
}

/// The client's own time limit ends after the TCP handshake. This limit also covers a server that accepts and then
/// does not answer. See docs/upstream.md#postgres-a-time-limit-that-ends-early
fn within_timeout<T>(config: Config, tls: T) -> Result<Result<Client, postgres::Error>, Unasked>
where
    T: MakeTlsConnect<Socket> + Send + 'static,
    T::TlsConnect: Send,
    T::Stream: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let limit = config.get_connect_timeout().copied();
    // The client makes such a runtime itself and panics if it cannot. The descriptors of this one are free again. See
    // docs/upstream.md#postgres-a-panic-without-a-descriptor
    drop(Builder::new_current_thread().enable_all().build().map_err(Unasked::Short)?);
    let (sender, receiver) = mpsc::channel();
    let connect = move || {
        // The receiver may be gone.
        let _ = sender.send(config.connect(tls));
    };
    thread::Builder::new().spawn(connect).map_err(Unasked::Short)?;
    let answered = match limit {
        Some(limit) => receiver.recv_timeout(limit),
        None => receiver.recv().map_err(RecvTimeoutError::from),
    };
    answered.map_err(|error| match error {
        RecvTimeoutError::Timeout => Unasked::Silent,
        // The thread panicked: another part of the process took the descriptors in the meantime.
        RecvTimeoutError::Disconnected => {
            Unasked::Short(io::Error::other("the client gave up without a word"))
        }
    })
}
