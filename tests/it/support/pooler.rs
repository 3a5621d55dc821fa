//! A real pgbouncer between the program and a server.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use postgres::config::Host;
use postgres::{Client, Config, NoTls};

use super::postgres::{Owner, Server, fresh_directory, watch};

const INSTALL: &str =
    "pgbouncer is not installed: run `apt-get install pgbouncer` (or your system's equivalent)";
const PORT: u16 = 6432;

/// For how long a client has a connection to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lent {
    Transaction,
    /// As long as it stays: to the client it is as if there were no pooler.
    Session,
}

/// Gone with this process, as the server is.
pub(crate) struct Pooler {
    directory: PathBuf,
    _watchdog: Child,
}

impl Pooler {
    /// In front of all databases of the server, with so many connections to each, lent for so long.
    #[expect(clippy::zombie_processes, reason = "the watchdog ends the pooler after us")]
    pub(crate) fn start(server: &Server, size: usize, lent: Lent) -> Pooler {
        let owner = Owner::find();
        let directory = fresh_directory(owner);
        let here = directory.display();
        let behind: Config = server.url("postgres").parse().unwrap();
        let [Host::Unix(sockets)] = behind.get_hosts() else { panic!("not our own server") };
        let mode = match lent {
            Lent::Transaction => "transaction",
            // The databases of the tests before hold no connections of the server.
            Lent::Session => "session\nserver_idle_timeout = 3",
        };
        let settings = format!(
            "[databases]\n* = host={} port=5432\n\
             [pgbouncer]\nlisten_port = {PORT}\nlisten_addr =\nunix_socket_dir = {here}\n\
             auth_type = trust\nauth_file = {here}/users\nlogfile = {here}/log\n\
             pool_mode = {mode}\ndefault_pool_size = {size}\nmax_db_connections = {size}\n",
            sockets.display(),
        );
        for (name, text) in [("pgbouncer.ini", settings.as_str()), ("users", "\"postgres\" \"\"\n")]
        {
            fs::write(directory.join(name), text).unwrap();
            owner.own(&directory.join(name));
        }
        let child = owner
            .command(&program(), &directory)
            .arg("-q")
            .arg(directory.join("pgbouncer.ini"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let watchdog = watch(Some(child.id()), &directory);
        let pooler = Pooler { directory, _watchdog: watchdog };
        pooler.wait();
        pooler
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if Client::connect(&self.url("postgres"), NoTls).is_ok() {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        panic!("pgbouncer does not answer: {}", self.log());
    }

    /// The way through it to one of the server's databases.
    pub(crate) fn url(&self, database: &str) -> String {
        let here = self.directory.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@/{database}?host={here}&port={PORT}")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

/// Debian keeps it out of the path of ordinary users.
fn program() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join("pgbouncer"))
        .find(|program| Path::exists(program))
        .unwrap_or_else(|| panic!("{INSTALL}"))
}
