//! What a connection string leaves out comes from the same variables and files as for psql, in
//! the same order.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::server::{PASSWORD, Shows, TlsServer};
use super::{assert_no_password, command, fresh_name, psql_with};
use crate::support::bench::stderr;

/// The string, the variables, and who is let in: the first words of what the server says. In all
/// of them, and in the files below, PORT, SILENT, DATABASE, PASSWORD and HOME stand for the real ones.
type Row = (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>);

const ANYHOW: Option<&str> = Some("user=anyhow database=DATABASE");
const CERTIFIED: Option<&str> = Some("user=certified database=DATABASE");

const ROWS: &[Row] = &[
    // The variables.
    ("postgres://", &[HOST, PORT, DATABASE, USER, WORD], ANYHOW),
    ("postgresql:///DATABASE", &[HOST, PORT, USER, WORD], ANYHOW),
    ("postgres://anyhow@localhost/DATABASE", &[PORT, WORD, ("PGUSER", "plain")], ANYHOW),
    ("dbname=DATABASE", &[HOST, PORT, USER, WORD, ("PGSSLMODE", "disable")], ANYHOW),
    ("dbname=DATABASE", &[HOST, PORT, WORD, ("PGUSER", "plain"), ("PGSSLMODE", "require")], None),
    ("host=db.example dbname=DATABASE", &[PORT, USER, WORD, ("PGHOSTADDR", "127.0.0.1")], ANYHOW),
    ("dbname=DATABASE sslmode=verify-full", &[HOST, PORT, USER, WORD, ROOT], ANYHOW),
    ("dbname=DATABASE", &[HOST, PORT, USER, WORD, ROOT, ("PGSSLMODE", "verify-ca")], ANYHOW),
    (
        "dbname=DATABASE sslmode=require",
        &[HOST, PORT, ("PGUSER", "certified"), CERT, KEY],
        CERTIFIED,
    ),
    ("dbname=DATABASE", &[HOST, PORT, USER, WORD, ("PGCHANNELBINDING", "require")], ANYHOW),
    (
        "dbname=DATABASE sslmode=disable",
        &[HOST, PORT, USER, WORD, ("PGCHANNELBINDING", "require")],
        None,
    ),
    ("dbname=DATABASE", &[HOST, PORT, USER, WORD, ("PGCONNECT_TIMEOUT", "soon")], None),
    // Quotes.
    ("host = localhost port=PORT dbname='DATABASE' user=any\\how password='PASSWORD'", &[], ANYHOW),
    ("host=localhost port=PORT dbname=DATABASE user=anyhow password=PASSWORD", &[], None),
    ("postgres://anyhow@localhost:PORT/DATABASE?ssl=true", &[WORD], ANYHOW),
    ("host=localhost port=PORT dbname=DATABASE user=anyhow no_such_option=1", &[WORD], None),
    // Several hosts: the next one if nobody answers, but not if somebody says no.
    ("postgres://anyhow@localhost:1,localhost:PORT/DATABASE", &[WORD], ANYHOW),
    ("host=/nonexistent,localhost port=PORT dbname=DATABASE user=anyhow", &[WORD], ANYHOW),
    ("host=localhost,localhost port=1,2,3 dbname=DATABASE user=anyhow", &[WORD], None),
    (
        "host=localhost port=PORT dbname=DATABASE user=anyhow target_session_attrs=read-write",
        &[WORD],
        ANYHOW,
    ),
    (
        "host=localhost port=PORT dbname=DATABASE user=anyhow target_session_attrs=primary",
        &[WORD],
        ANYHOW,
    ),
    (
        "host=localhost port=PORT dbname=DATABASE user=anyhow",
        &[WORD, ("PGTARGETSESSIONATTRS", "prefer-standby")],
        ANYHOW,
    ),
    (
        "host=localhost port=PORT dbname=DATABASE user=anyhow",
        &[WORD, ("PGTARGETSESSIONATTRS", "any"), READ_ONLY],
        ANYHOW,
    ),
    (
        "host=127.0.0.1,localhost port=SILENT,PORT dbname=DATABASE user=anyhow connect_timeout=2",
        &[WORD],
        ANYHOW,
    ),
    // The password file.
    ("host=localhost port=PORT dbname=DATABASE user=anyhow", &[("HOME", "HOME/pass")], ANYHOW),
    (
        "host=localhost port=PORT dbname=DATABASE user=anyhow",
        &[("PGPASSFILE", "HOME/pass/.pgpass")],
        ANYHOW,
    ),
    (
        "host=localhost port=PORT dbname=DATABASE user=anyhow passfile='HOME/pass/.pgpass'",
        &[],
        ANYHOW,
    ),
    ("host=localhost port=PORT dbname=DATABASE user=anyhow", &[("HOME", "HOME/open")], None),
    (
        "host=localhost port=PORT dbname=DATABASE user=anyhow",
        &[("HOME", "HOME/pass"), ("PGPASSWORD", "wrong")],
        None,
    ),
    ("host=127.0.0.1 port=PORT dbname=DATABASE user=anyhow", &[("HOME", "HOME/pass")], None),
    (
        "host=localhost,127.0.0.1 port=1,PORT dbname=DATABASE user=anyhow",
        &[("HOME", "HOME/hosts")],
        ANYHOW,
    ),
    (
        "host=localhost,127.0.0.1 port=PORT dbname=DATABASE user=anyhow",
        &[("HOME", "HOME/hosts")],
        None,
    ),
    // The service file.
    ("service=kalshi", &[WORD, ("HOME", "HOME/service")], ANYHOW),
    ("postgres://?service=kalshi", &[WORD, ("HOME", "HOME/service"), ("PGUSER", "plain")], ANYHOW),
    ("postgres://", &[WORD, ("HOME", "HOME/service"), ("PGSERVICE", "kalshi")], ANYHOW),
    ("service=kalshi", &[WORD, ("PGSERVICEFILE", "HOME/service/.pg_service.conf")], ANYHOW),
    ("service=kalshi", &[WORD, ("HOME", "HOME/pass"), ("PGSYSCONFDIR", "HOME/system")], ANYHOW),
    (
        "service=kalshi user=plain",
        &[WORD, ("HOME", "HOME/service"), ("PGSSLMODE", "require")],
        None,
    ),
    ("service=other", &[HOST, PORT, DATABASE, USER, WORD, ("HOME", "HOME/service")], None),
    ("service=wrong", &[HOST, PORT, DATABASE, USER, WORD, ("HOME", "HOME/service")], None),
    ("service=kalshi", &[WORD, ("PGSERVICEFILE", "HOME/none")], None),
    // The files of TLS.
    (
        "host=localhost port=PORT dbname=DATABASE user=anyhow sslmode=verify-full",
        &[WORD, ("HOME", "HOME/files")],
        ANYHOW,
    ),
    (
        "host=localhost port=PORT dbname=DATABASE user=certified sslmode=require",
        &[("HOME", "HOME/files")],
        CERTIFIED,
    ),
    (
        "host=localhost port=PORT dbname=DATABASE user=certified sslmode=require",
        &[("HOME", "HOME/pass")],
        None,
    ),
];

const HOST: (&str, &str) = ("PGHOST", "localhost");
const PORT: (&str, &str) = ("PGPORT", "PORT");
const DATABASE: (&str, &str) = ("PGDATABASE", "DATABASE");
const USER: (&str, &str) = ("PGUSER", "anyhow");
const WORD: (&str, &str) = ("PGPASSWORD", "PASSWORD");
const ROOT: (&str, &str) = ("PGSSLROOTCERT", "HOME/files/.postgresql/root.crt");
const CERT: (&str, &str) = ("PGSSLCERT", "HOME/files/.postgresql/postgresql.crt");
const KEY: (&str, &str) = ("PGSSLKEY", "HOME/files/.postgresql/postgresql.key");
const READ_ONLY: (&str, &str) = ("PGOPTIONS", "-c default_transaction_read_only=on");

/// Path, text and mode of what lies in the homes.
const FILES: &[(&str, &str, u32)] = &[
    (
        "pass/.pgpass",
        "# mine\nlocalhost:PORT:*:other:wrong\nlocalhost:*:DATABASE:anyhow:PASSWORD\nlocalhost:*:*:*:wrong\n",
        0o600,
    ),
    ("open/.pgpass", "*:*:*:*:PASSWORD\n", 0o640),
    ("hosts/.pgpass", "localhost:*:*:*:wrong\n127.0.0.1:*:*:*:PASSWORD\n", 0o600),
    (
        "service/.pg_service.conf",
        "[wrong]\nhots=localhost\n[kalshi]\n# here\nhost=localhost\nport=PORT\nuser=anyhow\ndbname=DATABASE\n",
        0o644,
    ),
    (
        "system/pg_service.conf",
        "[kalshi]\nhost=localhost\nport=PORT\nuser=anyhow\ndbname=DATABASE\n",
        0o644,
    ),
];

#[test]
fn variables_and_files_count_as_for_psql() {
    let server = TlsServer::showing(Shows::Good);
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().to_str().unwrap();
    let (port, database) = (server.port.to_string(), server.server.create_database());
    let database = super::name_in(&database);
    // Connections are made by the system and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port().to_string();
    let fill = |text: &str| {
        let text = text
            .replace("SILENT", &silent_port)
            .replace("PORT", &port)
            .replace("DATABASE", &database);
        text.replace("PASSWORD", PASSWORD).replace("HOME", home)
    };
    write_homes(directory.path(), &fill, &server.certificates);
    let mut wrong = Vec::new();
    for (text, variables, who) in ROWS {
        let name = fresh_name();
        let mut all = vec![("HOME", "/nonexistent".to_owned())];
        all.extend(variables.iter().map(|(name, value)| (*name, fill(value))));
        all.push(("PGAPPNAME", name.clone()));
        let variables: Vec<(&str, &str)> = all.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let text = fill(text);
        let output = command(&["migrate", "--database-url", &text]).envs(all.clone()).output();
        let output = output.unwrap();
        let ours = server.authorized(&name);
        let is_ours = output.status.success() == who.is_some()
            && ours.is_empty() == who.is_none()
            && ours.iter().zip(*who).all(|(said, who)| said.starts_with(&fill(who)));
        if !is_ours {
            wrong.push(format!("{text} {variables:?}: {ours:?} {}", stderr(&output)));
        }
        assert_no_password(&output, &text);
        let output = psql_with(&text, &variables);
        let both = server.authorized(&name);
        if both.len() != 2 * ours.len() || both.iter().any(|said| *said != both[0]) {
            wrong.push(format!("{text} {variables:?}: psql: {both:?} {}", stderr(&output)));
        }
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

fn write_homes(home: &Path, fill: &impl Fn(&str) -> String, certificates: &Path) {
    let write = |name: &str, bytes: &[u8], mode: u32| {
        let path = home.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for (name, text, mode) in FILES {
        write(name, fill(text).as_bytes(), *mode);
    }
    for (name, from) in [
        ("root.crt", "root.crt"),
        ("postgresql.crt", "certified.crt"),
        ("postgresql.key", "certified.key"),
    ] {
        let bytes = fs::read(certificates.join(from)).unwrap();
        write(&format!("files/.postgresql/{name}"), &bytes, 0o600);
    }
}
