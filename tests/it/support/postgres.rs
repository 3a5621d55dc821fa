//! A real PostgreSQL for the tests: a throw-away server from the installed binaries, one a
//! test process, one database a test. `TEST_DATABASE_URL` names a running server instead.
//!
//! Works as root (drops to another user, since the server refuses root) and as anybody. The
//! server dies with the test process however that ends: a watchdog waits for the end of a pipe
//! that only this process holds.

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

const INSTALL: &str = "PostgreSQL is not installed: run `apt-get install postgresql` (or your \
     system's equivalent), or set TEST_DATABASE_URL to a server where databases may be created";

/// The server shared by this process's tests.
pub(crate) struct Server {
    /// Everything of a URL but the database's name, around a `{}`.
    template: String,
    directory: Option<PathBuf>,
    _watchdog: Option<Child>,
}

/// The server; started at the first call.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match env::var("TEST_DATABASE_URL") {
        Ok(url) => Server::running(&url),
        Err(_) => Server::start(&[]),
    })
}

impl Server {
    fn running(url: &str) -> Server {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let at = base.rfind('/').filter(|at| *at > "postgresql://".len());
        let host = at.map_or(base, |at| &base[..at]);
        let template = format!("{host}/{{}}?{query}");
        Server { template, directory: None, _watchdog: None }
    }

    #[expect(clippy::zombie_processes, reason = "the watchdog ends the server after us")]
    /// Starts a server that also takes `settings`, such as `ssl=on`; its data directory is
    /// `directory()`, prepared by `prepare` before the start.
    pub(crate) fn start_with(settings: &[&str], prepare: impl Fn(&Path, Owner)) -> Server {
        let bin = binaries().unwrap_or_else(|| panic!("{INSTALL}"));
        let owner = Owner::find();
        let directory = fresh_directory(owner);
        let data = directory.join("data");
        fill(&bin, owner, &directory, &data);
        prepare(&data, owner);
        let log = fs::File::create(directory.join("log")).unwrap();
        let mut command = owner.command(&bin.join("postgres"), &directory);
        command.arg("-D").arg(&data).arg("-k").arg(&directory);
        let quick = ["fsync=off", "full_page_writes=off", "autovacuum=off", "max_connections=200"];
        for setting in quick.iter().chain(settings) {
            command.arg("-c").arg(setting);
        }
        if !settings.iter().any(|setting| setting.starts_with("listen_addresses")) {
            command.args(["-c", "listen_addresses="]);
        }
        let server = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let watchdog = watch(Some(server.id()), &directory);
        let host = directory.to_str().unwrap().replace('/', "%2F");
        let template = format!("postgresql://postgres@/{{}}?host={host}&port=5432");
        let server = Server { template, directory: Some(directory), _watchdog: Some(watchdog) };
        server.wait();
        server
    }

    fn start(settings: &[&str]) -> Server {
        Server::start_with(settings, |_, _| {})
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut error = None;
        while Instant::now() < deadline {
            match Client::connect(&self.url("postgres"), NoTls) {
                Ok(_) => return,
                Err(reason) => error = Some(reason),
            }
            sleep(Duration::from_millis(20));
        }
        let log = self.directory.as_ref().map(|dir| fs::read_to_string(dir.join("log")));
        panic!("the test server does not answer: {error:?}\n{log:?}");
    }

    /// What it has written to its log so far.
    #[allow(dead_code, reason = "the benchmarks read no log")]
    pub(crate) fn log(&self) -> String {
        let directory = self.directory.as_ref().expect("a server that was started here");
        String::from_utf8_lossy(&fs::read(directory.join("log")).unwrap()).into_owned()
    }

    /// The URL of one of its databases.
    pub(crate) fn url(&self, database: &str) -> String {
        self.template.replace("{}", database)
    }

    /// Makes an empty database; answers with its URL.
    pub(crate) fn create_database(&self) -> String {
        self.copy("template1")
    }

    /// Makes a copy of another database of this server; answers with its URL.
    pub(crate) fn copy(&self, template: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kalshi_test_{}_{number}", std::process::id());
        let mut client = Client::connect(&self.url("postgres"), NoTls).unwrap();
        client.batch_execute(&format!("drop database if exists {name}")).unwrap();
        // Two thirds of the time of a copy by way of the log, where there is the choice; and what the first
        // connection finds out about the tables is copied as well.
        let version = "select current_setting('server_version_num')::integer";
        let version: i32 = client.query_one(version, &[]).unwrap().get(0);
        let how = if version >= 150_000 { " strategy file_copy" } else { "" };
        client.batch_execute(&format!("create database {name} template {template}{how}")).unwrap();
        self.url(&name)
    }
}

/// The newest installed server binaries.
pub(crate) fn binaries() -> Option<PathBuf> {
    if let Some(dir) = env::var_os("TEST_PG_BINDIR") {
        return Some(PathBuf::from(dir));
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .map(|(version, path)| (version, path.join("bin")))
        .filter(|(_, bin)| bin.join("initdb").exists())
        .max();
    let on_path = || {
        env::split_paths(&env::var_os("PATH").unwrap_or_default())
            .find(|dir| dir.join("initdb").exists() && dir.join("postgres").exists())
    };
    newest.map(|(_, bin)| bin).or_else(on_path)
}

/// Makes the data of a server without databases: the first of a process by initdb, the others as copies, which
/// are ten times as fast.
fn fill(bin: &Path, owner: Owner, directory: &Path, data: &Path) {
    static FIRST: OnceLock<(PathBuf, Child)> = OnceLock::new();
    let (first, _) = FIRST.get_or_init(|| {
        let directory = &fresh_directory(owner);
        let watchdog = watch(None, directory);
        let first = directory.join("data");
        let mut initdb = owner.command(&bin.join("initdb"), directory);
        initdb.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]);
        let made = initdb.arg("-D").arg(&first).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        (first, watchdog)
    });
    let mut copy = owner.command(Path::new("cp"), directory);
    let copied = copy.arg("-Rp").arg(first).arg(data).output().unwrap();
    assert!(copied.status.success(), "cp: {}", String::from_utf8_lossy(&copied.stderr));
}

/// Who runs the server: ourselves, or somebody else when we are root.
#[derive(Clone, Copy)]
pub(crate) struct Owner(Option<(u32, u32)>);

impl Owner {
    pub(crate) fn find() -> Owner {
        if fs::metadata("/proc/self").map_or(1, |metadata| metadata.uid()) != 0 {
            return Owner(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let ids = ["postgres", "nobody"].iter().find_map(|name| {
            let line = passwd.lines().find(|line| line.starts_with(&format!("{name}:")))?;
            let fields: Vec<&str> = line.split(':').collect();
            Some((fields[2].parse().ok()?, fields[3].parse().ok()?))
        });
        Owner(Some(ids.expect("a user other than root to run PostgreSQL as")))
    }

    /// A program run as this user, with nothing said about PostgreSQL.
    pub(crate) fn command(self, program: &Path, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(directory);
        for (name, _) in env::vars_os().filter(|(name, _)| {
            name.to_str().is_some_and(|name| name.starts_with("PG") || name.starts_with("LC_"))
        }) {
            command.env_remove(name);
        }
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Makes `path` this user's.
    pub(crate) fn own(self, path: &Path) {
        if let Some((uid, gid)) = self.0 {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }
}

/// A new one. Short (a socket path has at most 107 bytes) and readable by the server's user.
pub(crate) fn fresh_directory(owner: Owner) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = PathBuf::from(format!("/tmp/kpg-{}-{number}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    owner.own(&directory);
    directory
}

/// Ends the server, if there is one, and removes its directory as soon as this process is gone.
pub(crate) fn watch(server: Option<u32>, directory: &Path) -> Child {
    let script = "trap '' INT TERM HUP; read _; kill -QUIT $1 2>/dev/null; \
                  while kill -0 $1 2>/dev/null; do sleep 0.1; done; rm -rf \"$2\"";
    Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(server.map(|id| id.to_string()).unwrap_or_default())
        .arg(directory)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
