//! `serve`: what the database says, over HTTP. Reads only.
//!
//! A one-shot program cannot be asked how it is; the database can, also when no pass comes any more.

mod answers;
mod desk;
mod health;
mod page;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::panic;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use oxhttp::Server;
use oxhttp::model::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use oxhttp::model::{Body, HeaderValue, Method, Request, Response, StatusCode};

use self::answers::Answer;
use self::desk::Desk;
use crate::clock::{Clock, StopFlag};
use crate::config::ServePlan;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::store::DatabaseUrl;

/// How long a client may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clients at once; more have to wait.
const CONNECTIONS_MAX: usize = 64;
/// How often it is looked whether to stop.
const POLL: Duration = Duration::from_millis(100);

/// Answers until the program is asked to stop.
pub fn serve(
    plan: &ServePlan,
    database: DatabaseUrl,
    clock: &Arc<dyn Clock>,
    stop: &StopFlag,
) -> Result<Exit, Failure> {
    let no_room = |error| Failure::config("there is no room for a thread").because(error);
    let desk = Desk::open(database, plan.selection.clone(), Arc::clone(clock)).map_err(no_room)?;
    let asked = Arc::clone(&desk);
    let mut server = Server::new(move |request| respond(&asked, request))
        .with_global_timeout(PATIENCE)
        .with_max_concurrent_connections(CONNECTIONS_MAX);
    let addresses = addresses(&plan.listen)?;
    for address in &addresses {
        server = server.bind(*address);
    }
    let _listening = server.spawn().map_err(|error| {
        Failure::config(format!("listening on {} failed; choose another --listen", plan.listen))
            .because(error)
    })?;
    log::info!("serving http://{}/", plan.listen);
    keep_quiet();
    // What is wrong with the database is said now, and not to the first who asks.
    desk.look();
    while stop.signal().is_none() {
        clock.sleep(POLL);
    }
    // It was asked to end, and has nothing in hand.
    Ok(Exit::Ok)
}

/// The library panics over targets that are no paths. Its thread ends with the connection, and
/// nobody needs to read of it.
fn keep_quiet() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let is_theirs = thread::current().name().is_some_and(|name| name.contains("OxHTTP"));
        if is_theirs {
            log::debug!("a request could not be read: {info}");
        } else {
            usual(info);
        }
    }));
}

fn addresses(listen: &str) -> Result<Vec<SocketAddr>, Failure> {
    let wrong =
        || Failure::config(format!("--listen {listen:?} is not an address like 127.0.0.1:8080"));
    let found: Vec<SocketAddr> =
        listen.to_socket_addrs().map_err(|error| wrong().because(error))?.collect();
    if found.is_empty() { Err(wrong()) } else { Ok(found) }
}

fn respond(desk: &Desk, request: &mut Request<Body>) -> Response<Body> {
    let path = request.uri().path();
    log::debug!("{} {path}", request.method());
    let is_head = request.method() == Method::HEAD;
    let answer = if is_head || request.method() == Method::GET {
        answer(desk, path)
    } else {
        Answer::text(405, "this server only answers; use GET\n")
    };
    // The library ends an idle connection with an answer to nothing, which the client may take for
    // that to its next request: it looks here whether to keep one.
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let body = if is_head { Body::empty() } else { Body::from(answer.body) };
    let mut response = Response::builder()
        .status(answer.status)
        .header(CONTENT_TYPE, answer.content_type)
        .header(CONTENT_SECURITY_POLICY, answer.policy)
        .header(CACHE_CONTROL, "no-store")
        .header(CONNECTION, "close")
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(X_FRAME_OPTIONS, "DENY")
        .header(REFERRER_POLICY, "no-referrer")
        .header("cross-origin-resource-policy", "same-origin");
    if answer.status == 405 {
        response = response.header(ALLOW, "GET, HEAD");
    }
    response.body(body).unwrap_or_else(|error| {
        log::error!("an answer could not be made: {error}");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

fn answer(desk: &Desk, path: &str) -> Answer {
    match path {
        "/" => page::page(&desk.look()),
        "/overview.json" => page::json(&desk.look()),
        "/health" => health::health(&desk.look()),
        "/livez" => Answer::text(200, "ok\n"),
        "/readyz" => health::ready(&desk.look()),
        "/metrics" => answers::metrics(&desk.look()),
        // What browsers ask for unasked: nothing is not a mistake.
        "/favicon.ico" => Answer::text(204, ""),
        _ => {
            Answer::text(404, "there is /, /health, /livez, /readyz, /metrics and /overview.json\n")
        }
    }
}
