use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::dsn;

/// The plan of the string with these variables, for a user called `os`.
fn plan_of(text: &str, variables: &[(&str, &str)]) -> Result<Plan, String> {
    let environment = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let around = Surroundings {
        environment: &environment,
        os_user: &|| Some("os".to_owned()),
        application_name: Some("billing"),
    };
    dsn::parse(text)
        .and_then(|settings| plan(settings, &around, &mut Vec::new()))
        .map_err(|error| crate::error::one_line(&error))
}

/// The notices of reading the string.
fn told(text: &str, variables: &[(&str, &str)]) -> Vec<Notice> {
    let environment = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let os_user = || Some("os".to_owned());
    let around =
        Surroundings { environment: &environment, os_user: &os_user, application_name: None };
    let mut notices = Vec::new();
    dsn::parse(text).and_then(|settings| plan(settings, &around, &mut notices)).ok().unwrap();
    notices
}

fn words(text: &str, variables: &[(&str, &str)]) -> String {
    let plan = plan_of(text, variables).unwrap_or_else(|error| panic!("{text}: {error}"));
    let server = |server: &Server| {
        let host = match &server.host {
            Host::Socket(path) if *path == socket_directory() => "socket".to_owned(),
            Host::Socket(path) => path.display().to_string(),
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        };
        format!("{host}:{}", server.port)
    };
    let servers: Vec<String> = plan.servers.iter().map(server).collect();
    let password = plan.servers[0].password.as_deref().unwrap_or("-");
    let base = &plan.base;
    let (user, database) = (base.get_user().unwrap(), base.get_dbname().unwrap());
    format!("{} {user}/{password} {database} {:?}", servers.join(","), plan.tls.mode)
}

#[test]
fn what_the_string_leaves_out_is_filled_in() {
    let all = [
        ("PGHOST", "env"),
        ("PGPORT", "6000"),
        ("PGDATABASE", "envdb"),
        ("PGUSER", "envuser"),
        ("PGPASSWORD", "envword"),
        ("PGSSLMODE", "verify-full"),
    ];
    for (text, variables, found) in [
        ("postgres://", &[][..], "socket:5432 os/- os Prefer"),
        ("postgresql:///orders", &[], "socket:5432 os/- orders Prefer"),
        ("postgres://me@", &[], "socket:5432 me/- me Prefer"),
        ("postgres://", &all, "env:6000 envuser/envword envdb VerifyFull"),
        ("postgres://me:w@db:1/k?sslmode=allow", &all, "db:1 me/w k Allow"),
        ("host=db", &all, "db:6000 envuser/envword envdb VerifyFull"),
        ("postgres:///?host=", &all, "socket:6000 envuser/envword envdb VerifyFull"),
        ("host=db", &[("PGHOST", ""), ("PGUSER", "")], "db:5432 os/- os Prefer"),
        ("hostaddr=192.0.2.1", &[], "192.0.2.1:5432 os/- os Prefer"),
        ("host=db hostaddr=::1", &[], "::1:5432 os/- os Prefer"),
        ("postgres://db", &[("PGHOSTADDR", "192.0.2.1")], "192.0.2.1:5432 os/- os Prefer"),
        ("host=a,b port=1,2", &[], "a:1,b:2 os/- os Prefer"),
        ("host=a,b port=7", &[], "a:7,b:7 os/- os Prefer"),
        ("postgres://a,b:2/k", &[], "a:5432,b:2 os/- k Prefer"),
        ("host=a,,/run/pg", &[], "a:5432,socket:5432,/run/pg:5432 os/- os Prefer"),
        ("host=db sslrootcert=system", &[], "db:5432 os/- os VerifyFull"),
        ("host=db", &[("PGREQUIRESSL", "0")], "db:5432 os/- os Prefer"),
        // libpq ignores it as well.
        ("host=db sslmode=prefer", &[("PGREQUIRESSL", "1")], "db:5432 os/- os Prefer"),
    ] {
        assert_eq!(words(text, variables), found, "{text} {variables:?}");
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (text, variables, part) in [
        ("host=a,b port=1,2,3", &[][..], "port"),
        ("host=db", &[("PGREQUIRESSL", "1")], "use sslmode=require"),
        ("host=a,b hostaddr=::1", &[], "hostaddr"),
        ("hostaddr=localhost", &[], "hostaddr"),
        ("port=0", &[], "port"),
        ("port=65536", &[], "port"),
        ("host=@abstract", &[], "host"),
        ("sslmode=maybe", &[], "use disable, allow, prefer, require, verify-ca, verify-full"),
        ("host=db", &[("PGSSLMODE", "maybe")], "sslmode in PGSSLMODE"),
        ("sslrootcert=system sslmode=verify-ca", &[], "use verify-full"),
        ("sslrootcert=system", &[("PGSSLMODE", "prefer")], "use verify-full"),
        ("connect_timeout=soon", &[], "connect_timeout"),
        ("channel_binding=maybe", &[], "channel_binding"),
        ("target_session_attrs=best", &[], "prefer-standby"),
        ("ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2", &[], "older"),
        ("ssl_max_protocol_version=TLSv1.1", &[], "older"),
        ("host=db", &[("PGREQUIREAUTH", "md5")], "require_auth in PGREQUIREAUTH"),
        ("service=none", &[], "\"none\""),
        ("host=db", &[("PGSERVICE", "none")], "\"none\""),
        ("host=db", &[("PGSERVICE", "x"), ("PGSERVICEFILE", "/no/such/file")], "/no/such/file"),
    ] {
        let Err(error) = plan_of(text, variables) else { panic!("{text} was taken") };
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn the_service_comes_after_the_string_and_before_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("services");
    let text = "[orders]\nhost=service\nuser=serviceuser\nsslmode=require\nport=1\nport=2\n[odd]\nservice=x\n";
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let variables =
        [("PGSERVICEFILE", file), ("PGUSER", "envuser"), ("PGDATABASE", "envdb"), ("PGPORT", "9")];
    assert_eq!(words("service=orders host=a", &variables), "a:1 serviceuser/- envdb Require");
    let named = [&variables[..], &[("PGSERVICE", "orders")]].concat();
    assert_eq!(words("postgres:///k", &named), "service:1 serviceuser/- k Require");
    assert_eq!(
        words("postgres:///k?service=orders", &variables),
        "service:1 serviceuser/- k Require"
    );
    let Err(error) = plan_of("service=odd", &variables) else { panic!("a service in a service") };
    assert!(error.contains("line 8"), "{error}");
}

#[test]
fn each_place_has_its_own_line_of_the_password_file() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".pgpass");
    fs::write(
        &path,
        "a:5432:k:me:for a\nb:7:k:me:for b\nlocalhost:5432:*:*:local\n/run/pg:*:*:*:there\n",
    )
    .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let home = home.path().to_str().unwrap();
    let passwords = |text: &str, variables: &[(&str, &str)]| {
        let variables =
            [&[("HOME", home), ("PGUSER", "me"), ("PGDATABASE", "k")], variables].concat();
        let servers = plan_of(text, &variables).unwrap_or_else(|error| panic!("{error}")).servers;
        servers.into_iter().map(|server| server.password).collect::<Vec<_>>()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(passwords("host=a,b,c port=5432,7,5432", &[]), [some("for a"), some("for b"), None]);
    assert_eq!(passwords("postgres://", &[]), [some("local")], "the default socket");
    assert_eq!(passwords("host=/run/pg", &[]), [some("there")], "another socket");
    assert_eq!(passwords("host=a hostaddr=192.0.2.1", &[]), [some("for a")], "the name counts");
    assert_eq!(passwords("host=a password=x", &[]), [some("x")]);
    assert_eq!(passwords("host=a", &[("PGPASSWORD", "y")]), [some("y")]);
    assert_eq!(passwords("host=a", &[("PGPASSFILE", "/no/such/file")]), [None]);
    assert_eq!(passwords(&format!("host=a passfile='{home}/.pgpass'"), &[]), [some("for a")]);
}

#[test]
fn times_are_libpqs_and_have_an_end() {
    let base = |text: &str| plan_of(text, &[]).unwrap_or_else(|error| panic!("{error}")).base;
    let usual = base("host=db");
    assert_eq!(usual.get_connect_timeout(), Some(&CONNECT_TIMEOUT));
    assert_eq!(usual.get_tcp_user_timeout(), Some(&UNACKNOWLEDGED_MAX));
    assert_eq!(usual.get_application_name(), Some("billing"));
    let said = base(
        "host=db connect_timeout=1 tcp_user_timeout=5000 keepalives_count=7 keepalives=0 \
         fallback_application_name=other channel_binding=require options='-c geqo=off'",
    );
    assert_eq!(said.get_connect_timeout(), Some(&Duration::from_secs(2)), "libpq's least");
    assert_eq!(said.get_tcp_user_timeout(), Some(&Duration::from_secs(5)), "milliseconds");
    assert_eq!(said.get_keepalives_retries(), Some(7));
    assert!(!said.get_keepalives());
    assert_eq!(said.get_application_name(), Some("other"));
    assert_eq!(said.get_channel_binding(), ChannelBinding::Require);
    assert_eq!(said.get_options(), Some("-c geqo=off"));
    assert_eq!(base("host=db connect_timeout=0").get_connect_timeout(), None, "without end");
}

#[test]
fn what_is_not_read_is_told() {
    let detail = "sslcompression in the database URL changes nothing: TLS is never compressed";
    assert_eq!(told("host=db sslcompression=1", &[]), [Notice::Detail(detail.to_owned())]);
}
