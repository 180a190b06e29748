//! The operators' console: pages, the API under `/api/v1`, and the live feed.
//!
//! On loopback it asks for nothing; anywhere else it wants a login (see [`Login`]).

mod guard;
mod happenings;

mod login;

mod assets;

mod alerts;

mod devices;

mod ledger;

mod series;

mod query;

mod curves;

mod limits;

mod windows;

mod latest;

mod table;

mod columnar;

mod body;

mod notices;

mod feed;

mod hub;

mod actions;

mod reply;

mod instant;

mod serve;

pub use actions::Actions;
pub use limits::QueryLimits;
pub use login::{HashError, Login};
pub use serve::{ConsoleError, serve};

use crate::{AlertBook, Clock, DeviceBook, LedgerBook, Metrics, Notices};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use login::Sessions;
use std::sync::Arc;
use store::Store;
use tokio_util::sync::CancellationToken;

/// Nothing that is posted here is large.
const MOST_BODY_BYTES: usize = 64 * 1024;

/// What the console shows and acts on.
pub struct ConsoleState {
    /// Time series.
    pub store: Store,
    /// Alerts.
    pub alerts: Arc<AlertBook>,
    /// Devices.
    pub devices: Arc<DeviceBook>,
    /// What became of every message.
    pub ledger: Arc<LedgerBook>,
    /// What keeps sinks from working.
    pub notices: Notices,
    /// Where operators' actions go.
    pub actions: Actions,
    /// The clock that also stamps ingest times.
    pub clock: Clock,
    /// Who may in; `None` asks for nothing, and serves loopback clients only.
    pub login: Option<Login>,
    /// What one question may cost.
    pub limits: QueryLimits,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// Ends live feeds, which would hold up a graceful end for ever.
    pub stop: CancellationToken,
}

struct Shared {
    console: ConsoleState,
    sessions: Sessions,
    hub: hub::Hub,
}

type Context = axum::extract::State<Arc<Shared>>;

/// The routes of pages and API.
pub fn router(console: ConsoleState) -> Router {
    let hub = hub::Hub::new(&console);
    let shared = Arc::new(Shared { console, sessions: Sessions::default(), hub });
    let api = Router::new()
        .route("/devices", get(devices::list))
        .route("/devices/{id}", get(devices::one))
        .route("/areas/{id}", get(devices::area))
        .route("/quantities", get(devices::quantities))
        .route("/quarantine", get(devices::quarantine))
        .route("/ledger", get(ledger::list))
        .route("/series", get(series::series))
        .route("/query", get(query::query))
        .route("/latest", get(latest::latest))
        .route("/happenings", get(happenings::happenings))
        .route("/alerts", get(alerts::list))
        .route("/alerts/acknowledge", post(alerts::acknowledge))
        .route("/alerts/{*id}", get(alerts::one))
        .route("/notices", get(notices::list))
        .route("/feed", get(feed::feed))
        .route("/session", get(login::session))
        .route("/openapi.json", get(assets::openapi))
        .fallback(reply::no_such_route)
        .method_not_allowed_fallback(reply::no_such_method);
    Router::new()
        .nest("/api/v1", api)
        .route("/login", get(login::page).post(login::enter))
        .route("/logout", post(login::leave))
        .route("/", get(assets::index))
        .route("/{*path}", get(assets::asset))
        .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
        .layer(from_fn_with_state(Arc::clone(&shared), login::demand))
        .layer(from_fn_with_state(Arc::clone(&shared), guard::admit))
        .layer(from_fn(guard::add_headers))
        .layer(from_fn_with_state(Arc::clone(&shared), guard::count))
        .with_state(shared)
}
