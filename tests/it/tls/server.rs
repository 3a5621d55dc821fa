//! A PostgreSQL server that can show any of several certificates, without a restart.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::ops::Deref;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

use crate::support::postgres::{Owner, Server};

/// With what a URL has to escape, so that the escaped form may not be shown either.
pub(super) const PASSWORD: &str = "Tr0ub4dor w@rd/3";
pub(super) const PASSWORD_IN_URL: &str = "Tr0ub4dor%20w%40rd%2F3";

const RSA_KEY: &str = include_str!("../fixtures/throwaway-keys/rsa.pkcs8.pem");
const V1_CERTIFICATE: &str = include_str!("../fixtures/throwaway-keys/x509-v1.crt");
const V1_KEY: &str = include_str!("../fixtures/throwaway-keys/x509-v1.key");
const ENCRYPTED_KEY: &str = include_str!("../fixtures/throwaway-keys/rsa.encrypted.pem");
/// Of the good certificate, for a list of those taken back.
const GOOD_SERIAL: u64 = 4_711;

/// What the server shows to whoever asks for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shows {
    /// For `localhost` and 127.0.0.1, an RSA key, signed by the authority.
    Good,
    /// The same by way of an intermediate authority that the server sends along.
    Chained,
    /// For `db.example` only, signed by the authority.
    OtherHost,
    /// For `localhost`, signed by nobody.
    SelfSigned,
    /// The same, and allowed to sign others: what `openssl req -x509` makes.
    SelfSignedAuthority,
    /// For `localhost`, signed by the authority, too long ago.
    Expired,
    /// `localhost` as the common name and no alternative names: the older custom.
    CommonName,
    /// X.509 version 1: what `openssl x509 -req` made without an extension file before 3.2.
    VersionOne,
    /// No TLS at all.
    Nothing,
}

const CERTIFICATES: [Shows; 8] = [
    Shows::Good,
    Shows::Chained,
    Shows::OtherHost,
    Shows::SelfSigned,
    Shows::SelfSignedAuthority,
    Shows::Expired,
    Shows::CommonName,
    Shows::VersionOne,
];

/// How a URL names the server, which listens on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Localhost,
    Number,
    /// A name that leads nowhere, with `hostaddr`.
    Elsewhere,
    /// `hostaddr` alone.
    Nameless,
    /// A name that leads nowhere, with an address that leads here and does not look like it.
    Abroad,
    /// The server's Unix socket.
    Socket,
}

/// A server on a port of 127.0.0.1, and certificates for it.
pub(super) struct TlsServer {
    pub(super) server: Server,
    data: PathBuf,
    owner: Owner,
    pub(super) port: u16,
    /// `NAME.crt` for each [`Shows`], and `root.crt`; beside the data and gone with it.
    pub(super) certificates: PathBuf,
    keys: BTreeMap<Shows, String>,
    /// The database of the rows of tables.
    pub(super) database: String,
}

/// Those of this process that nobody has. What a test leaves behind matters to none: what is shown is set
/// anew each time.
static IDLE: Mutex<Vec<TlsServer>> = Mutex::new(Vec::new());

/// A server, given back at the end.
pub(super) struct Showing(Option<TlsServer>);

impl Deref for Showing {
    type Target = TlsServer;

    fn deref(&self) -> &TlsServer {
        self.0.as_ref().unwrap()
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).extend(self.0.take());
    }
}

impl TlsServer {
    /// One that shows that, and that nobody else has for as long.
    pub(super) fn showing(shows: Shows) -> Showing {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        // Started one after the other: the port of the first is taken when the second looks for one.
        let server = idle.pop().unwrap_or_else(TlsServer::start);
        drop(idle);
        server.show(shows);
        Showing(Some(server))
    }

    fn start() -> TlsServer {
        let port = free_port();
        let prepared = Mutex::new(None);
        let settings = [
            "listen_addresses=127.0.0.1",
            &format!("port={port}"),
            "log_connections=on",
            "password_encryption=scram-sha-256",
            // Beside the data; read when there is TLS.
            "ssl_ca_file=../certificates/root.crt",
        ];
        let server = Server::start_with(&settings, |data, owner| {
            let rules = "local all all trust\n\
                         host all anyhow 127.0.0.1/32 scram-sha-256\n\
                         hostssl all encrypted,stranger 127.0.0.1/32 scram-sha-256\n\
                         hostssl all certified 127.0.0.1/32 cert\n\
                         hostssl all vouched 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n\
                         hostnossl all plain 127.0.0.1/32 scram-sha-256\n";
            fs::write(data.join("pg_hba.conf"), rules).unwrap();
            // The support knows the socket by its default name, which has the default port in it.
            let sockets = data.parent().unwrap();
            symlink(format!(".s.PGSQL.{port}"), sockets.join(".s.PGSQL.5432")).unwrap();
            *prepared.lock().unwrap() = Some((data.to_owned(), owner));
        });
        let (data, owner) = prepared.into_inner().unwrap().unwrap();
        let mut client = Client::connect(&server.url("postgres"), NoTls).unwrap();
        for (role, password) in [
            ("anyhow", PASSWORD),
            ("encrypted", PASSWORD),
            ("plain", PASSWORD),
            ("certified", PASSWORD),
            ("vouched", PASSWORD),
            ("stranger", "another"),
        ] {
            // What they may do is not the question here.
            let make = format!("create role {role} superuser login password '{password}'");
            client.batch_execute(&make).unwrap();
        }
        let database = name_in(&server.create_database());
        let certificates = data.with_file_name("certificates");
        fs::create_dir(&certificates).unwrap();
        let keys = make_certificates(&certificates);
        // Whatever the mask of who runs the tests: the server reads this one.
        owner.own(&certificates);
        owner.own(&certificates.join("root.crt"));
        TlsServer { server, data, owner, port, certificates, keys, database }
    }

    /// Has new connections find this certificate, without a restart.
    fn show(&self, shows: Shows) {
        let ssl = if let Some(key) = self.keys.get(&shows) {
            let certificate = fs::read_to_string(self.certificate(shows)).unwrap();
            for (name, text) in [("server.crt", &certificate), ("server.key", key)] {
                let path = self.data.join(name);
                fs::write(&path, text).unwrap();
                // The server refuses a key that others may read.
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
                self.owner.own(&path);
            }
            "on"
        } else {
            "off"
        };
        let mut client = Client::connect(&self.server.url("postgres"), NoTls).unwrap();
        client.batch_execute(&format!("alter system set ssl = {ssl}")).unwrap();
        let loaded = "select pg_conf_load_time()::text, current_setting('ssl')";
        let before: String = client.query_one(loaded, &[]).unwrap().get(0);
        client.batch_execute("select pg_reload_conf()").unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        // A new connection inherits what the server had loaded when it accepted it.
        while Instant::now() < deadline {
            let mut client = Client::connect(&self.server.url("postgres"), NoTls).unwrap();
            let row = client.query_one(loaded, &[]).unwrap();
            if row.get::<_, String>(0) != before {
                assert_eq!(row.get::<_, String>(1), ssl, "{}", self.log());
                return;
            }
        }
        panic!("the server did not load its configuration again: {}", self.log());
    }

    /// The file of a certificate, for `sslrootcert`.
    pub(super) fn certificate(&self, shows: Shows) -> PathBuf {
        self.certificates.join(format!("{shows:?}.crt"))
    }

    pub(super) fn root(&self) -> String {
        self.certificates.join("root.crt").display().to_string()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.data.with_file_name("log")).unwrap()
    }

    /// Which connections of this application the server let in, and how: encrypted or not.
    pub(super) fn admitted(&self, application: &str) -> Vec<bool> {
        self.authorized(application).iter().map(|line| line.contains(" SSL enabled ")).collect()
    }

    /// What the server says of each connection of this application that it let in: for whom, to
    /// which database, and how it is encrypted.
    pub(super) fn authorized(&self, application: &str) -> Vec<String> {
        let name = format!("application_name={application}");
        let log = self.log();
        let said = log.lines().filter_map(|line| line.split("connection authorized: ").nth(1));
        said.filter(|said| said.split(' ').any(|word| word == name))
            .map(|said| said.replace(&name, ""))
            .collect()
    }

    pub(super) fn url(&self, at: At, role: &str, database: &str, query: &str) -> String {
        let (port, who) = (self.port, format!("{role}:{PASSWORD_IN_URL}"));
        let sockets = self.data.parent().unwrap().display().to_string().replace('/', "%2F");
        let begin = match at {
            At::Localhost => format!("postgres://{who}@localhost:{port}/{database}?"),
            At::Number => format!("postgres://{who}@127.0.0.1:{port}/{database}?"),
            At::Elsewhere => {
                format!("postgres://{who}@db.example:{port}/{database}?hostaddr=127.0.0.1&")
            }
            At::Nameless => {
                format!("postgres://{who}@/{database}?hostaddr=127.0.0.1&port={port}&")
            }
            At::Abroad => {
                format!("postgres://{who}@db.example:{port}/{database}?hostaddr=0.0.0.0&")
            }
            At::Socket => format!("postgres://{who}@/{database}?host={sockets}&port={port}&"),
        };
        format!("{begin}{query}")
    }
}

/// Outside of the range that the system gives out by itself: nobody takes it between this look
/// and the start of the server.
fn free_port() -> u16 {
    let first = 15_433 + u16::try_from(std::process::id() % 10_000).unwrap();
    let free = (first..32_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("a free port")
}

/// The database's name in a URL of the support.
pub(super) fn name_in(url: &str) -> String {
    let (base, _) = url.split_once('?').unwrap();
    base.rsplit('/').next().unwrap().to_owned()
}

/// Writes `root.crt` and a `.crt` for each kind; answers with the keys.
fn make_certificates(directory: &Path) -> BTreeMap<Shows, String> {
    let root = authority("the tests' root", None);
    let middle = authority("the tests' middle", Some(&root));
    fs::write(directory.join("root.crt"), root.pem()).unwrap();
    make_clients(directory, &root);
    for (name, serial) in [("this.crl", GOOD_SERIAL), ("other.crl", 1)] {
        fs::write(directory.join(name), revoked(serial, &root)).unwrap();
    }
    let make = |shows: Shows| {
        let key = KeyPair::generate().unwrap();
        let mut localhost =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let by = |params: &CertificateParams, key: &KeyPair, issuer: &Authority| {
            params.signed_by(key, issuer).unwrap().pem()
        };
        match shows {
            Shows::Good => {
                let rsa = KeyPair::from_pem(RSA_KEY).unwrap();
                localhost.serial_number = Some(SerialNumber::from(GOOD_SERIAL));
                (by(&localhost, &rsa, &root), RSA_KEY.to_owned())
            }
            Shows::Chained => {
                let chain = by(&localhost, &key, &middle) + &middle.pem();
                (chain, key.serialize_pem())
            }
            Shows::OtherHost => {
                let mut other = CertificateParams::new(vec!["db.example".to_owned()]).unwrap();
                // Of no weight beside an alternative name.
                other.distinguished_name.push(DnType::CommonName, "localhost");
                (by(&other, &key, &root), key.serialize_pem())
            }
            Shows::SelfSigned => {
                localhost.is_ca = IsCa::ExplicitNoCa;
                (localhost.self_signed(&key).unwrap().pem(), key.serialize_pem())
            }
            Shows::SelfSignedAuthority => {
                localhost.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                (localhost.self_signed(&key).unwrap().pem(), key.serialize_pem())
            }
            Shows::Expired => {
                localhost.not_after = date_time_ymd(2020, 1, 1);
                (by(&localhost, &key, &root), key.serialize_pem())
            }
            Shows::CommonName => {
                let mut bare = CertificateParams::default();
                bare.distinguished_name.push(DnType::CommonName, "localhost");
                (by(&bare, &key, &root), key.serialize_pem())
            }
            Shows::VersionOne => (V1_CERTIFICATE.to_owned(), V1_KEY.to_owned()),
            Shows::Nothing => unreachable!("not a certificate"),
        }
    };
    let pairs = CERTIFICATES.map(|shows| {
        let (certificate, key) = make(shows);
        fs::write(directory.join(format!("{shows:?}.crt")), certificate).unwrap();
        (shows, key)
    });
    pairs.into_iter().collect()
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str, issuer: Option<&Authority>) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    match issuer {
        None => CertifiedIssuer::self_signed(params, key).unwrap(),
        Some(issuer) => CertifiedIssuer::signed_by(params, key, issuer).unwrap(),
    }
}

/// Writes a `.crt` and a `.key` for each kind of client.
fn make_clients(directory: &Path, root: &Authority) {
    let elsewhere = authority("another root", None);
    let rsa = KeyPair::from_pem(RSA_KEY).unwrap();
    for (file, name, issuer, key) in [
        ("certified", "certified", root, &KeyPair::generate().unwrap()),
        ("other-name", "somebody", root, &KeyPair::generate().unwrap()),
        ("other-authority", "certified", &elsewhere, &KeyPair::generate().unwrap()),
        ("locked", "certified", root, &rsa),
    ] {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(key, issuer).unwrap().pem();
        fs::write(directory.join(format!("{file}.crt")), certificate).unwrap();
        write_key(&directory.join(format!("{file}.key")), &key.serialize_pem(), 0o600);
    }
    write_key(&directory.join("locked.key"), ENCRYPTED_KEY, 0o600);
    let key = fs::read_to_string(directory.join("certified.key")).unwrap();
    write_key(&directory.join("open.key"), &key, 0o644);
}

fn write_key(path: &Path, pem: &str, mode: u32) {
    fs::write(path, pem).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The root's list of what it takes back: the certificate with this number.
fn revoked(serial: u64, root: &Authority) -> String {
    let revoked = RevokedCertParams {
        serial_number: SerialNumber::from(serial),
        revocation_time: date_time_ymd(2026, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2126, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(root).unwrap().pem().unwrap()
}
