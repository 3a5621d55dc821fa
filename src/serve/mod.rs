//! `serve`: what the database says, over HTTP. Reads only; an answer is at most a second old.
//!
//! A one-shot program cannot be asked how it is; the database can, also when no pass comes any more.

mod answers;
mod health;
mod page;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oxhttp::Server;
use oxhttp::model::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use oxhttp::model::{Body, Method, Request, Response, StatusCode};

use self::answers::{Answer, View};
use crate::clock::{Clock, StopFlag};
use crate::config::ServePlan;
use crate::exit::Exit;
use crate::failure::{Failure, one_line};
use crate::store::{DatabaseUrl, Missing, Store};

/// How old an answer may be: many who ask at once cost the database one look.
const FRESH_FOR: Duration = Duration::from_secs(1);
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
    let desk = Arc::new(Desk::new(database, plan.clone(), Arc::clone(clock)));
    // Said now, and not to the first who asks.
    if let Err(words) = desk.look().overview.as_ref() {
        log::warn!("{words}; serving all the same, and looking again for every answer");
    }
    let mut server = Server::new(move |request| respond(&desk, request))
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
    while stop.signal().is_none() {
        clock.sleep(POLL);
    }
    // It was asked to end, and has nothing in hand.
    Ok(Exit::Ok)
}

fn addresses(listen: &str) -> Result<Vec<SocketAddr>, Failure> {
    let wrong =
        || Failure::config(format!("--listen {listen:?} is not an address like 127.0.0.1:8080"));
    let found: Vec<SocketAddr> =
        listen.to_socket_addrs().map_err(|error| wrong().because(error))?.collect();
    if found.is_empty() { Err(wrong()) } else { Ok(found) }
}

/// Where all who ask are answered, one after the other.
struct Desk {
    database: DatabaseUrl,
    plan: ServePlan,
    clock: Arc<dyn Clock>,
    seat: Mutex<Seat>,
}

#[derive(Default)]
struct Seat {
    store: Option<Box<dyn Store>>,
    last: Option<(Duration, Arc<View>)>,
}

impl Desk {
    fn new(database: DatabaseUrl, plan: ServePlan, clock: Arc<dyn Clock>) -> Desk {
        Desk { database, plan, clock, seat: Mutex::default() }
    }

    /// What the database says now, or a moment ago.
    fn look(&self) -> Arc<View> {
        let mut seat = self.seat.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, view)) = &seat.last
            && self.clock.elapsed().saturating_sub(*at) < FRESH_FOR
        {
            return Arc::clone(view);
        }
        let now = self.clock.now();
        let overview = seat.read(&self.database, now).map_err(|failure| {
            // A connection in an unknown state is not asked again.
            seat.store = None;
            let words = one_line(&failure);
            log::debug!("{words}");
            words
        });
        let view = Arc::new(View::new(overview, &self.plan.selection, now));
        seat.last = Some((self.clock.elapsed(), Arc::clone(&view)));
        view
    }
}

impl Seat {
    fn read(
        &mut self,
        database: &DatabaseUrl,
        now: crate::domain::time::Timestamp,
    ) -> Result<crate::domain::overview::Overview, Failure> {
        if let Some(store) = &mut self.store {
            // A connection that was idle for long may be gone without a word.
            if let Ok(overview) = store.overview(now) {
                return Ok(overview);
            }
        }
        let mut store = database.open(Missing::Refuse)?;
        store.check_schema()?;
        let overview = store.overview(now)?;
        self.store = Some(store);
        Ok(overview)
    }
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
    let body = if is_head { Body::empty() } else { Body::from(answer.body) };
    let mut response = Response::builder()
        .status(answer.status)
        .header(CONTENT_TYPE, answer.content_type)
        .header(CONTENT_SECURITY_POLICY, answer.policy)
        .header(CACHE_CONTROL, "no-store")
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
