//! The same histories on a real PostgreSQL: nothing breaks when its clients and the server itself are killed, and
//! where nothing happens to it that cannot happen to SQLite they are the same to the byte.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

#[path = "../../tests/it/support/postgres.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use simulate::bench::Bench;
use simulate::counts::Counts;
use simulate::draw::draw;
use simulate::history::{History, Profile, Step, Trouble, What};
use simulate::play::play;
use simulate::server::{Restart, Terms};
use support::{Owner, binaries, fresh_directory};

/// A server that can be killed.
struct Server {
    url: String,
    restart: Restart,
    _watchdog: Child,
}

impl Server {
    fn start() -> Server {
        let bin = binaries().expect("PostgreSQL: run `apt-get install postgresql`");
        let owner = Owner::find();
        let folder = fresh_directory(owner);
        let data = folder.join("data");
        let mut initdb = owner.command(&bin.join("initdb"), &folder);
        initdb.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]);
        let made = initdb.arg("-D").arg(&data).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let settings = format!(
            "unix_socket_directories = '{}'\nlisten_addresses = ''\nfsync = off\nfull_page_writes = off\n\
             autovacuum = off\n",
            folder.display()
        );
        let file = data.join("postgresql.conf");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text + &settings).unwrap();
        let watchdog = watch(&folder);
        let control = Control { bin, owner, folder: folder.clone(), data };
        control.pg_ctl("start").unwrap();
        let host = folder.to_str().unwrap().replace('/', "%2F");
        Server {
            url: format!("postgresql://postgres@/postgres?host={host}"),
            restart: Arc::new(move || control.pg_ctl("restart")),
            _watchdog: watchdog,
        }
    }
}

struct Control {
    bin: PathBuf,
    owner: Owner,
    folder: PathBuf,
    data: PathBuf,
}

impl Control {
    /// Done when the server answers. What runs is killed first, without a word to its clients.
    fn pg_ctl(&self, what: &str) -> Result<(), String> {
        let mut command = self.owner.command(&self.bin.join("pg_ctl"), &self.folder);
        command.args([what, "--wait", "--silent", "-D"]).arg(&self.data);
        command.arg("-l").arg(self.folder.join("log"));
        if what == "restart" {
            command.args(["-m", "immediate"]);
        }
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match status.status() {
            Ok(status) if status.success() => Ok(()),
            other => {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                Err(format!("pg_ctl {what}: {other:?}\n{log}"))
            }
        }
    }
}

/// Ends the server and removes its folder as soon as this process is gone.
fn watch(folder: &Path) -> Child {
    let script = "trap '' INT TERM HUP; read _; pid=$(head -n 1 \"$1/data/postmaster.pid\"); kill -QUIT $pid; \
                  while kill -0 $pid 2>/dev/null; do sleep 0.1; done; rm -rf \"$1\"";
    Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn histories_on_a_server_that_dies_break_nothing_and_are_otherwise_those_of_sqlite() {
    let server = Server::start();
    let terms = |is_hostile| Terms {
        url: server.url.clone(),
        restart: Some(Arc::clone(&server.restart)),
        is_hostile,
    };
    let mut bench = Bench::on_server(terms(true)).unwrap();
    let mut counts = Counts::default();
    // What befalls a history follows from its seed: each has one of its own. A calm one is held to exit with 0,
    // since nothing goes wrong in it; here something does.
    let hostile = Profile::ALL.into_iter().filter(|profile| *profile != Profile::Calm);
    for (place, profile) in (1..).zip(hostile) {
        for seed in (1..=HOSTILE).map(|number| 100 * place + number) {
            let outcome = play(&draw(seed, profile), &mut bench, false);
            assert_eq!(outcome.broken, None, "seed {seed} of {profile:?}");
            counts.merge(&outcome.counts);
        }
    }
    for name in [
        "server: a client died in a call",
        "server: a connection was lost in a call",
        "server: the answer to a commit was lost",
        "server: sessions were ended",
        "server: it was killed",
    ] {
        assert!(counts.of(name) > 0, "not once: {name}: {counts:?}");
    }
    let mut bench = Bench::on_server(terms(false)).unwrap();
    let mut in_memory = Bench::new().unwrap();
    for profile in Profile::ALL {
        let all = (1..).map(|seed| (seed, draw(seed, profile)));
        for (seed, history) in all.filter(|(_, history)| !has_torn_calls(history)).take(ALIKE) {
            let here = play(&history, &mut in_memory, false);
            let there = play(&history, &mut bench, false);
            assert_eq!(there.broken, here.broken, "seed {seed} of {profile:?}");
            assert_eq!(there.digest, here.digest, "seed {seed} of {profile:?}");
        }
    }
}

/// Whether the database stops within calls, which has other parts in either store.
fn has_torn_calls(history: &History) -> bool {
    let is_torn = |step: &Step| {
        let What::Disturb { trouble, .. } = &step.what else { return false };
        matches!(trouble, Trouble::StoreTears | Trouble::DiesInside)
    };
    history.steps.iter().any(is_torn)
}

/// Seeds a profile on a server to which anything happens, and on one that is like SQLite.
const HOSTILE: u64 = 2;
const ALIKE: usize = 1;
