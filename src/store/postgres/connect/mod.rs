//! From a connection string to a connection, as libpq would make it.
//!
//! `dsn` reads the string, `resolve` fills in what it leaves out (`service`, the environment,
//! `passfile`), `tls` and `verify` say what encryption has to prove. What is done here is to go
//! from place to place until one lets us in.

mod parameters;
mod dsn;
mod service;
mod passfile;
mod resolve;
mod tls;
mod certificate;
mod verify;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postgres::config::SslMode;
use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{Client, Socket};
use rustls::pki_types::ServerName;
use tokio_postgres_rustls::MakeRustlsConnect;

use self::resolve::{Place, Plan, Session, Surroundings, Way};
use self::tls::{Check, Mode};
use crate::failure::{Failure, Kind, one_line};

pub(in crate::store) use self::dsn::is_meant;

/// Where a server is and how to speak to it. No `Debug`: there are passwords in it.
#[derive(Clone)]
pub(in crate::store) struct Target {
    plan: Plan,
    /// Whether it was said that a connection is not as safe as it could be; once is enough.
    is_warned: Arc<AtomicBool>,
}

/// One end of a cable.
#[derive(Clone, Debug)]
enum Spot {
    Socket(PathBuf),
    Address(IpAddr),
}

/// Why a spot did not let us in.
enum Refusal {
    /// Nobody answers, or not yet, or not one that suits: the next place may.
    Absent(Failure),
    /// The server turned us away; whether it had agreed to TLS before, and in so many words.
    Away { failure: Failure, is_encrypted: bool, is_said: bool },
}

impl Refusal {
    fn into_failure(self) -> Failure {
        match self {
            Refusal::Absent(failure) | Refusal::Away { failure, .. } => failure,
        }
    }
}

impl Target {
    /// Reads a connection string and fills in the rest. No error repeats it: it may hold a password.
    pub(in crate::store) fn parse(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Target, Failure> {
        let os_user = || whoami::username().ok();
        let plan =
            resolve::plan(dsn::parse(text)?, &Surroundings { environment, os_user: &os_user })?;
        Ok(Target { plan, is_warned: Arc::default() })
    }

    /// Host, port and database: what may be printed.
    pub(in crate::store) fn place(&self) -> String {
        let place = |place: &Place| match (&place.way, &place.name) {
            (Way::Socket(path), _) if place.port == resolve::PORT => path.display().to_string(),
            (Way::Socket(path), _) => format!("{}:{}", path.display(), place.port),
            (_, Some(name)) | (Way::Name(name), _) => format!("{name}:{}", place.port),
            (Way::Address(address), None) => format!("{address}:{}", place.port),
        };
        let places: Vec<String> = self.plan.places.iter().map(place).collect();
        match self.plan.base.get_dbname() {
            Some(name) => format!("{}/{name}", places.join(",")),
            None => places.join(","),
        }
    }

    /// The first place that suits. As libpq: the next one is tried when nobody answers, but not
    /// when a server says no.
    pub(super) fn connect(&self) -> Result<Client, Failure> {
        let mut places: Vec<&Place> = self.plan.places.iter().collect();
        if self.plan.is_shuffled {
            places.sort_by_cached_key(|_| RandomState::new().build_hasher().finish());
        }
        let wishes: &[Session] = match &self.plan.session {
            Session::PreferStandby => &[Session::Standby, Session::Any],
            other => std::slice::from_ref(other),
        };
        let mut last = None;
        for wish in wishes {
            for place in &places {
                match self.connect_to(place, *wish) {
                    Ok(client) => return Ok(client),
                    Err(Refusal::Absent(failure)) => last = Some(failure),
                    Err(refusal @ Refusal::Away { .. }) => return Err(refusal.into_failure()),
                }
            }
        }
        Err(last.unwrap_or_else(|| self.failure("name a host", "no place to connect to")))
    }

    fn connect_to(&self, place: &Place, wish: Session) -> Result<Client, Refusal> {
        let spots: Vec<Spot> = match &place.way {
            Way::Socket(path) => vec![Spot::Socket(path.clone())],
            Way::Address(address) => vec![Spot::Address(*address)],
            Way::Name(name) => (name.as_str(), place.port)
                .to_socket_addrs()
                .map_err(|error| Refusal::Absent(self.failure("check the host", error)))?
                .map(|address| Spot::Address(address.ip()))
                .collect(),
        };
        let mut last = self.failure("check the host", "it has no address");
        for spot in spots {
            match self.negotiate(place, &spot) {
                Ok((mut client, is_encrypted)) => match self.suits(&mut client, wish) {
                    Ok(()) => {
                        self.warn_of_strangers(place, &spot, is_encrypted);
                        return Ok(client);
                    }
                    Err(failure) => last = failure,
                },
                Err(Refusal::Absent(failure)) => last = failure,
                Err(away) => return Err(away),
            }
        }
        Err(Refusal::Absent(last))
    }

    /// One spot, with TLS or without as `sslmode` says, and the other way where it allows that.
    fn negotiate(&self, place: &Place, spot: &Spot) -> Result<(Client, bool), Refusal> {
        // A socket is not encrypted, whatever was said.
        let mode = if matches!(spot, Spot::Socket(_)) { Mode::Disable } else { self.plan.tls.mode };
        match mode {
            Mode::Disable => self.attempt(place, spot, SslMode::Disable),
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => {
                self.attempt(place, spot, SslMode::Require)
            }
            Mode::Allow => match self.attempt(place, spot, SslMode::Disable) {
                Err(Refusal::Away { failure, is_said: true, .. }) => self
                    .attempt(place, spot, SslMode::Prefer)
                    .map_err(|other| both(other, &failure)),
                other => other,
            },
            Mode::Prefer => match self.attempt(place, spot, SslMode::Prefer) {
                Err(Refusal::Away { failure, is_encrypted: true, .. }) => {
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
            Spot::Socket(path) => config.host_path(path).connect(postgres::NoTls),
            // It is never asked for TLS then.
            Spot::Address(address) if ssl_mode == SslMode::Disable => {
                config.hostaddr(*address).connect(postgres::NoTls)
            }
            Spot::Address(address) => {
                let away = |failure| Refusal::Away { failure, is_encrypted: true, is_said: false };
                let name = self.server_name(place, *address).map_err(away)?;
                let client = self.plan.tls.client().map_err(away)?;
                let tls = Noting {
                    inner: MakeRustlsConnect::new(client),
                    is_agreed: Arc::clone(&is_agreed),
                };
                config.hostaddr(*address).host(&name).connect(tls)
            }
        };
        let is_encrypted = is_agreed.load(Ordering::SeqCst);
        match connected {
            Ok(client) => Ok((client, is_encrypted)),
            Err(error) => Err(self.refusal(&error, is_encrypted)),
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

    fn refusal(&self, error: &postgres::Error, is_encrypted: bool) -> Refusal {
        let failure = self.failure(advice(error), one_line(error));
        // No code: the socket, the handshake, or what we miss ourselves, such as a password.
        let is_said = match error.code().map(postgres::error::SqlState::code) {
            // Starting up, shutting down, recovering.
            Some("57P03") => return Refusal::Absent(failure),
            Some(code) => code.starts_with("28"),
            None if error.to_string() == "error connecting to server" => {
                return Refusal::Absent(failure);
            }
            None => false,
        };
        // Only the handshake and the credentials could go better the other way.
        let is_handshake = error.to_string() == "error performing TLS handshake";
        Refusal::Away { failure, is_encrypted: is_encrypted && (is_said || is_handshake), is_said }
    }

    fn failure(
        &self,
        advice: &str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Failure {
        let message = format!("connecting to PostgreSQL at {} failed; {advice}", self.place());
        Failure::new(Kind::StoreUnavailable, message).because(cause)
    }

    /// Whether the server is of the kind that is wanted.
    fn suits(&self, client: &mut Client, wish: Session) -> Result<(), Failure> {
        let (question, expected) = match wish {
            Session::Any | Session::PreferStandby => return Ok(()),
            Session::ReadWrite => ("current_setting('transaction_read_only')", "off"),
            Session::ReadOnly => ("current_setting('transaction_read_only')", "on"),
            Session::Primary => ("pg_is_in_recovery()::text", "false"),
            Session::Standby => ("pg_is_in_recovery()::text", "true"),
        };
        let found = client.query_typed_one(&format!("select {question}"), &[]);
        let found: String = found.map_err(|error| self.failure(advice(&error), error))?.get(0);
        if found == expected {
            return Ok(());
        }
        Err(self.failure("see target_session_attrs", "the server is not of the kind wanted"))
    }

    /// Says so when somebody on the way could read along, or be somebody else.
    fn warn_of_strangers(&self, place: &Place, spot: &Spot, is_encrypted: bool) {
        let host = place.name.clone().unwrap_or_else(|| match spot {
            Spot::Address(address) => address.to_string(),
            Spot::Socket(path) => path.display().to_string(),
        });
        if let Some(warning) = warning(&host, spot, is_encrypted, self.plan.tls.check())
            && !self.is_warned.swap(true, Ordering::Relaxed)
        {
            log::warn!("{warning}");
        }
    }
}

fn warning(host: &str, spot: &Spot, is_encrypted: bool, check: Check) -> Option<String> {
    match spot {
        Spot::Address(address) if !address.to_canonical().is_loopback() => {}
        _ => return None,
    }
    match (is_encrypted, check) {
        (false, _) => {
            Some(format!("the connection to {host} is not encrypted; set sslmode=verify-full"))
        }
        (true, Check::Nothing) => Some(format!(
            "the connection to {host} is encrypted but the server's certificate is not checked; \
             set sslmode=verify-full"
        )),
        (true, Check::Chain | Check::Host) => None,
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
        Refusal::Away { failure, is_encrypted, is_said } => {
            Refusal::Away { failure: add(failure), is_encrypted, is_said }
        }
    }
}

/// What to do about a connection that was not made.
fn advice(error: &postgres::Error) -> &'static str {
    match error.code().map(postgres::error::SqlState::code) {
        Some(code) if code.starts_with("28") => "check the user and the password",
        Some("3D000") => "create the database, or check its name",
        Some("53300") => "the server has no connection left",
        None if one_line(error).contains("password missing") => {
            "the server asks for a password and there is none, neither in --database-url \
             nor in PGPASSWORD nor for this host, port, database and user in ~/.pgpass"
        }
        _ => "check --database-url and that the server is up",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leaves_the_machine_is_warned_of() {
        let spot = |text: &str| Spot::Address(text.parse().unwrap());
        for (spot, is_encrypted, check, words) in [
            (spot("192.0.2.1"), false, Check::Nothing, Some("not encrypted")),
            (spot("192.0.2.1"), false, Check::Host, Some("not encrypted")),
            (spot("2001:db8::1"), true, Check::Nothing, Some("certificate is not checked")),
            (spot("192.0.2.1"), true, Check::Chain, None),
            (spot("192.0.2.1"), true, Check::Host, None),
            (spot("127.0.0.2"), false, Check::Nothing, None),
            (spot("::1"), false, Check::Nothing, None),
            (spot("::ffff:127.0.0.1"), false, Check::Nothing, None),
            (Spot::Socket(PathBuf::from("/tmp")), false, Check::Nothing, None),
        ] {
            let said = warning("db.example", &spot, is_encrypted, check);
            assert_eq!(said.is_some(), words.is_some(), "{spot:?} {said:?}");
            if let (Some(said), Some(words)) = (said, words) {
                assert!(said.contains(words) && said.contains("db.example"), "{said}");
                assert!(said.ends_with("set sslmode=verify-full"), "{said}");
            }
        }
    }

    #[test]
    fn no_error_and_no_place_shows_the_password() {
        let parse = |url: &str| Target::parse(url, &|_| None);
        let good = parse("postgres://me:hunter2@db.example:6543/kalshi").ok().unwrap();
        assert_eq!(good.place(), "db.example:6543/kalshi");
        for url in [
            "postgres://me:hunter2@db.example/kalshi?sslmode=maybe",
            "postgres://me:hunter2@db.example/kalshi?no_such_option=1",
            "postgres://me:hunter2@db.example:port/kalshi",
            "postgres://me:hunter2@db.example:99999/kalshi",
            "postgres://me:x@hunter2@db.example/kalshi",
            "postgres://me:x/y@hunter2@db.example/kalshi",
            "host=db password=x hunter2=y",
            "host=a@hunter2 user=me",
            "host=db port=hunter2",
            "host=db hostaddr=hunter2",
            "host=db sslmode=hunter2",
            "host=db connect_timeout=hunter2",
        ] {
            let Err(failure) = parse(url) else { panic!("{url} was accepted") };
            let line = one_line(&failure);
            assert!(!line.contains("hunter2"), "{line}");
        }
    }
}
