//! Completes the connection string in libpq's order: the string, the service, the environment, the defaults.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postgres::Config;
use postgres::config::ChannelBinding;

use super::parameters::{Origin, PARAMETERS, Settings};
use super::tls::{Mode, Root, Tls};
use super::{passfile, service};
use crate::error::Error;
use crate::notice::Notice;

pub(super) const PORT: u16 = 5432;
/// The socket directories: first the one of Debian, then the usual one.
const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// The default time limit. libpq waits without a limit, which few callers want.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time after which a vanished peer is noticed.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(20);
/// The interval of keepalive packets. A silent failure is noticed only by them, and the system's default is two hours.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_COUNT: u32 = 2;

/// The environment of a connection string.
pub(super) struct Surroundings<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    /// The name of the operating system's user, the last default for the database user.
    pub(super) os_user: &'a dyn Fn() -> Option<String>,
    /// The name of the session if nothing else gives one.
    pub(super) application_name: Option<&'a str>,
}

/// One server to connect to. It has no `Debug`, because it contains a password.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) host: Host,
    /// The name that the certificate has to be for.
    pub(super) name: Option<String>,
    pub(super) port: u16,
    pub(super) password: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// The directory of a Unix socket.
    Socket(PathBuf),
    Address(IpAddr),
    /// A host name, resolved when it is needed.
    Name(String),
}

/// The kind of server that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// All that is needed to connect.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) servers: Vec<Server>,
    /// All settings except the server, its password and TLS.
    pub(super) base: Config,
    pub(super) tls: Tls,
    pub(super) session: Session,
    /// Whether the servers and addresses are tried in random order.
    pub(super) is_shuffled: bool,
}

/// Makes the plan from the given values; reads the service file and the password file.
pub(super) fn plan(
    mut settings: Settings,
    around: &Surroundings<'_>,
    notices: &mut Vec<Notice>,
) -> Result<Plan, Error> {
    fill(&mut settings, around)?;
    settings.check_treatments(notices)?;
    let home = home(around);
    let user = match settings.get("user") {
        Some(user) => user.to_owned(),
        None => (around.os_user)().ok_or_else(|| {
            Error::configuration(
                "the database URL has no user, and neither has the operating system",
            )
        })?,
    };
    let database = settings.get("dbname").unwrap_or(&user).to_owned();
    let mut servers = servers(&settings)?;
    give_passwords(&mut servers, &settings, home.as_deref(), [&database, &user], notices);
    let load_balance = [("disable", false), ("random", true)];
    let session = [
        ("any", Session::Any),
        ("read-write", Session::ReadWrite),
        ("read-only", Session::ReadOnly),
        ("primary", Session::Primary),
        ("standby", Session::Standby),
        ("prefer-standby", Session::PreferStandby),
    ];
    Ok(Plan {
        servers,
        base: base(&settings, around, [&database, &user])?,
        tls: tls(&settings, home.as_deref())?,
        session: settings.word("target_session_attrs", &session, Session::Any)?,
        is_shuffled: settings.word("load_balance_hosts", &load_balance, false)?,
    })
}

/// The value of a variable; an empty variable counts as unset.
fn variable(around: &Surroundings<'_>, name: &str) -> Option<String> {
    (around.environment)(name).filter(|value| !value.is_empty())
}

fn home(around: &Surroundings<'_>) -> Option<PathBuf> {
    variable(around, "HOME").map(PathBuf::from)
}

fn fill(settings: &mut Settings, around: &Surroundings<'_>) -> Result<(), Error> {
    let said = |settings: &Settings, name: &str, variable_name: &str| {
        settings.get(name).map(str::to_owned).or_else(|| variable(around, variable_name))
    };
    if let Some(name) = said(settings, "service", "PGSERVICE") {
        let files = service::Files {
            named: said(settings, "servicefile", "PGSERVICEFILE").map(PathBuf::from),
            home: home(around),
            system: variable(around, "PGSYSCONFDIR").map(PathBuf::from),
        };
        service::fill(settings, &name, &files)?;
    }
    for parameter in PARAMETERS {
        let Some(name) = parameter.variable else { continue };
        if let Some(value) = variable(around, name) {
            settings.fill(parameter, value, Origin::Variable(name));
        }
    }
    // In libpq this variable still replaces a missing sslmode.
    let is_required = variable(around, "PGREQUIRESSL").is_some_and(|value| value.starts_with('1'));
    if is_required && settings.get("sslmode").is_none() {
        // Ignoring it would send in clear a connection that was meant to be encrypted.
        return Err(Error::configuration("PGREQUIRESSL is not read; use sslmode=require"));
    }
    Ok(())
}

fn servers(settings: &Settings) -> Result<Vec<Server>, Error> {
    let list = |name: &str| -> Vec<&str> {
        settings.get(name).map(|list| list.split(',').map(str::trim).collect()).unwrap_or_default()
    };
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = [addresses.len(), hosts.len()].into_iter().find(|count| *count > 0).unwrap_or(1);
    if !hosts.is_empty() && hosts.len() != count {
        return Err(settings.wrong("hostaddr", "there has to be one for each host"));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(settings.wrong("port", "there has to be one, or one for each host"));
    }
    let at = |list: &[&str], at: usize| list.get(at).map_or(String::new(), |&one| one.to_owned());
    let server = |number: usize| {
        let given = at(&hosts, number);
        let port = at(&ports, if ports.len() == 1 { 0 } else { number });
        let port = if port.is_empty() { Ok(PORT) } else { port.parse() };
        let port = port
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| settings.wrong("port", "use a number from 1 to 65535"))?;
        let host = match at(&addresses, number) {
            address if !address.is_empty() => Host::Address(address.parse().map_err(|_| {
                settings.wrong("hostaddr", "use an IP address; a name belongs into host")
            })?),
            _ if given.is_empty() => Host::Socket(socket_directory()),
            _ if given.starts_with('/') => Host::Socket(PathBuf::from(&given)),
            // In libpq it marks an abstract socket; here it is more likely a password that is not encoded.
            _ if given.contains('@') => {
                return Err(settings.wrong("host", "there is an @ in it"));
            }
            _ => Host::Name(given.clone()),
        };
        let name = Some(given).filter(|host| !host.is_empty() && !host.starts_with('/'));
        Ok(Server { host, name, port, password: None })
    };
    (0..count).map(server).collect()
}

fn socket_directory() -> PathBuf {
    let exists = |directory: &&&str| Path::new(directory).is_dir();
    let first = SOCKET_DIRECTORIES.iter().find(exists).unwrap_or(&SOCKET_DIRECTORIES[0]);
    PathBuf::from(first)
}

/// Gives each server its password: the given one, or the one that the password file has for the server.
fn give_passwords(
    servers: &mut [Server],
    settings: &Settings,
    home: Option<&Path>,
    [database, user]: [&str; 2],
    notices: &mut Vec<Notice>,
) {
    if let Some(password) = settings.get("password") {
        for server in servers {
            server.password = Some(password.to_owned());
        }
        return;
    }
    let path = settings.get("passfile").map(PathBuf::from);
    let Some(path) = path.or_else(|| home.map(|home| home.join(".pgpass"))) else { return };
    let text = match passfile::read(&path) {
        Ok(Some(text)) => text,
        Ok(None) => return,
        Err(why) => return notices.push(Notice::Warning(why)),
    };
    for server in servers {
        let host = match (&server.name, &server.host) {
            (Some(name), _) | (None, Host::Name(name)) => name.clone(),
            (None, Host::Socket(path)) if *path == socket_directory() => "localhost".to_owned(),
            (None, Host::Socket(path)) => path.display().to_string(),
            (None, Host::Address(address)) => address.to_string(),
        };
        server.password = passfile::find(&text, [&host, &server.port.to_string(), database, user]);
    }
}

fn base(
    settings: &Settings,
    around: &Surroundings<'_>,
    [database, user]: [&str; 2],
) -> Result<Config, Error> {
    let mut config = Config::new();
    config.user(user).dbname(database);
    if let Some(options) = settings.get("options") {
        config.options(options);
    }
    let said = ["application_name", "fallback_application_name"];
    let said = said.into_iter().find_map(|name| settings.get(name));
    if let Some(name) = said.or(around.application_name) {
        config.application_name(name);
    }
    let binding = [
        ("disable", ChannelBinding::Disable),
        ("prefer", ChannelBinding::Prefer),
        ("require", ChannelBinding::Require),
    ];
    config.channel_binding(settings.word("channel_binding", &binding, ChannelBinding::Prefer)?);
    let seconds = |name: &str, default: Duration| -> Result<Option<Duration>, Error> {
        let said = settings.number(name)?.map(|said| u64::try_from(said).unwrap_or(0));
        Ok(Some(said.map_or(default, Duration::from_secs)).filter(|time| !time.is_zero()))
    };
    if let Some(timeout) = seconds("connect_timeout", CONNECT_TIMEOUT)? {
        config.connect_timeout(timeout.max(Duration::from_secs(2)));
    }
    let milliseconds =
        settings.number("tcp_user_timeout")?.map(|said| u64::try_from(said).unwrap_or(0));
    let unacknowledged = milliseconds.map_or(UNACKNOWLEDGED_MAX, Duration::from_millis);
    if !unacknowledged.is_zero() {
        config.tcp_user_timeout(unacknowledged);
    }
    config.keepalives(settings.number("keepalives")?.is_none_or(|said| said != 0));
    if let Some(idle) = seconds("keepalives_idle", KEEPALIVE)? {
        config.keepalives_idle(idle);
    }
    if let Some(interval) = seconds("keepalives_interval", KEEPALIVE)? {
        config.keepalives_interval(interval);
    }
    let count = settings.number("keepalives_count")?.map(|said| u32::try_from(said).unwrap_or(0));
    let count = count.unwrap_or(KEEPALIVE_COUNT);
    if count > 0 {
        config.keepalives_retries(count);
    }
    Ok(config)
}

fn tls(settings: &Settings, home: Option<&Path>) -> Result<Tls, Error> {
    let modes = [
        ("disable", Mode::Disable),
        ("allow", Mode::Allow),
        ("prefer", Mode::Prefer),
        ("require", Mode::Require),
        ("verify-ca", Mode::VerifyCa),
        ("verify-full", Mode::VerifyFull),
    ];
    let at_home = |name: &str| home.map(|home| home.join(".postgresql").join(name));
    let file = |parameter: &str, name: &str| {
        settings.get(parameter).map(PathBuf::from).or_else(|| at_home(name))
    };
    let is_system = settings.get("sslrootcert") == Some("system");
    let default = if is_system { Mode::VerifyFull } else { Mode::Prefer };
    let mode = settings.word("sslmode", &modes, default)?;
    if is_system && mode != Mode::VerifyFull {
        return Err(settings.wrong(
            "sslmode",
            "with sslrootcert=system anybody's certificate would do; use verify-full",
        ));
    }
    let root = match settings.get("sslrootcert") {
        Some("system") => Root::System,
        Some(path) => Root::Named(PathBuf::from(path)),
        None => Root::Usual(at_home("root.crt")),
    };
    let versions = [("TLSv1", 10), ("TLSv1.1", 11), ("TLSv1.2", 12), ("TLSv1.3", 13)];
    let oldest = settings.word("ssl_min_protocol_version", &versions, 12)?;
    let newest = settings.word("ssl_max_protocol_version", &versions, 13)?;
    if newest < oldest.max(12) {
        return Err(settings.wrong(
            "ssl_max_protocol_version",
            "it is older than ssl_min_protocol_version, or than TLSv1.2",
        ));
    }
    Ok(Tls {
        mode,
        root,
        certificate: file("sslcert", "postgresql.crt"),
        key: file("sslkey", "postgresql.key"),
        revoked: file("sslcrl", "root.crl"),
        is_revoked_named: settings.get("sslcrl").is_some(),
        is_name_sent: settings.word("sslsni", &[("0", false), ("1", true)], true)?,
        has_version: [oldest <= 12, newest >= 13],
    })
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
