//! Who may in: one operator with a password, and sessions that live as long as the process or half a day.

use super::{Context, Shared};
use crate::blocking::blocking;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use axum::extract::{ConnectInfo, Extension, Request, State};
use axum::http::header::{COOKIE, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Form, Json};
use records::{Name, Timestamp};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

const COOKIE_NAME: &str = "sluice_session";
const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Checking a password costs 19 MiB and 20 ms of a core: two at a time are enough for people.
const CHECKS_AT_ONCE: usize = 2;
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Addresses whose failures are remembered; beyond, all others share one.
const MOST_ADDRESSES: usize = 10_000;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(900);
const MOST_SESSIONS: usize = 1000;

/// The operator who may log in.
#[derive(Clone)]
pub struct Login {
    name: Name,
    hash: Arc<str>,
}

impl Login {
    /// `hash` is a PHC string, `$argon2id$…`; `None` when it is not one.
    pub fn new(name: Name, hash: &str) -> Option<Login> {
        let parsed = PasswordHash::new(hash).ok()?;
        (parsed.algorithm.as_str() == "argon2id").then(|| Login { name, hash: hash.into() })
    }

    /// The hash of a password that somebody chose, for a configuration file: Argon2id at its default cost.
    ///
    /// # Errors
    /// It is shorter than [`Login::MIN_PASSWORD`] characters, or the system gives no randomness.
    pub fn hash(password: &str) -> Result<String, HashError> {
        if password.chars().count() < Login::MIN_PASSWORD {
            return Err(HashError::TooShort);
        }
        Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
    }

    /// The fewest characters of an operator's password.
    pub const MIN_PASSWORD: usize = 8;

    /// Takes as long for a wrong name as for a wrong password.
    fn admits(&self, name: &str, password: &str) -> bool {
        let Ok(hash) = PasswordHash::new(&self.hash) else { return false };
        let is_password = Argon2::default().verify_password(password.as_bytes(), &hash).is_ok();
        is_password && name == self.name
    }
}

/// Why there is no hash of a password.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Choose a longer one.
    #[error("a password has at least {} characters", Login::MIN_PASSWORD)]
    TooShort,
    /// The system could not do it.
    #[error("no hash could be made")]
    Hash(#[from] argon2::password_hash::Error),
}

/// Who asks; on loopback without a login simply "operator".
#[derive(Clone)]
pub struct Operator(pub Name);

/// Who is logged in, and who failed to.
pub struct Sessions {
    /// By the digest of the cookie: what leaks from memory is no cookie.
    by_digest: Mutex<FxHashMap<[u8; 32], Session>>,
    failures: Mutex<FxHashMap<IpAddr, Failures>>,
    checks: Semaphore,
}

struct Session {
    operator: Name,
    until: Timestamp,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Default for Sessions {
    fn default() -> Sessions {
        Sessions {
            by_digest: Mutex::default(),
            failures: Mutex::default(),
            checks: Semaphore::new(CHECKS_AT_ONCE),
        }
    }
}

impl Sessions {
    /// Starts a session; `None` when the system has no randomness to give.
    fn start(&self, operator: Name, now: Timestamp) -> Option<String> {
        let mut secret = [0u8; 32];
        getrandom::fill(&mut secret).ok()?;
        let token: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut sessions = hold(&self.by_digest);
        sessions.retain(|_, session| session.until > now);
        if sessions.len() >= MOST_SESSIONS {
            sessions.clear();
        }
        sessions.insert(digest(&token), Session { operator, until: now + LIFETIME });
        Some(token)
    }

    fn operator(&self, headers: &HeaderMap, now: Timestamp) -> Option<Name> {
        let sessions = hold(&self.by_digest);
        let session = sessions.get(&digest(cookie(headers)?))?;
        (session.until > now).then(|| session.operator.clone())
    }

    fn end(&self, headers: &HeaderMap) {
        if let Some(token) = cookie(headers) {
            hold(&self.by_digest).remove(&digest(token));
        }
    }

    /// Notes a failure; returns how long its answer is held back.
    fn fail(&self, address: IpAddr, now: Timestamp) -> Duration {
        let mut failures = hold(&self.failures);
        failures.retain(|_, failures| now.since(failures.last) < FORGOTTEN_AFTER);
        let is_known = failures.contains_key(&address);
        let address = if is_known || failures.len() < MOST_ADDRESSES { address } else { UNKNOWN };
        let entry = failures.entry(address).or_insert(Failures { count: 0, last: now });
        *entry = Failures { count: entry.count.saturating_add(1), last: now };
        Duration::from_millis(250).saturating_mul(1 << entry.count.min(10)).min(LONGEST_WAIT)
    }

    /// Whether this address has failed so often of late that it isn't heard before its wait is over.
    fn is_shut_out(&self, address: IpAddr, now: Timestamp) -> bool {
        let failures = hold(&self.failures);
        failures
            .get(&address)
            .is_some_and(|failures| failures.count >= 5 && now.since(failures.last) < LONGEST_WAIT)
    }

    fn forgive(&self, address: IpAddr) {
        hold(&self.failures).remove(&address);
    }
}

/// Stands for all addresses that are not remembered one by one.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs
        .flat_map(|pairs| pairs.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE_NAME).then_some(value))
}

/// Lets in who is logged in, and everybody where no login is asked; sends others to the login page.
pub async fn demand(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let operator = match &shared.console.login {
        None => Some(Name::from("operator")),
        Some(_) => shared.sessions.operator(request.headers(), (shared.console.clock)()),
    };
    let path = request.uri().path();
    match operator {
        Some(operator) => {
            request.extensions_mut().insert(Operator(operator));
            next.run(request).await
        }
        None if path == "/login" || path == "/style.css" => next.run(request).await,
        None if path.starts_with("/api/") => super::reply::Refusal::Unauthorized.into_response(),
        None => Redirect::to("/login").into_response(),
    }
}

pub async fn page(State(shared): Context) -> Response {
    match shared.console.login {
        Some(_) => form(StatusCode::OK, ""),
        None => Redirect::to("/").into_response(),
    }
}

#[derive(Deserialize)]
pub struct Credentials {
    name: String,
    password: String,
}

pub async fn enter(
    State(shared): Context,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    Form(credentials): Form<Credentials>,
) -> Response {
    let Some(login) = shared.console.login.clone() else { return Redirect::to("/").into_response() };
    let address = peer.map_or(UNKNOWN, |peer| peer.0.0.ip().to_canonical());
    let (sessions, metrics) = (&shared.sessions, &shared.console.metrics);
    if sessions.is_shut_out(address, (shared.console.clock)()) {
        metrics.login("refused");
        return form(StatusCode::TOO_MANY_REQUESTS, "Too many attempts. Wait ten seconds.");
    }
    let is_admitted = check(&shared, login.clone(), credentials).await;
    let now = (shared.console.clock)();
    if !is_admitted {
        metrics.login("wrong");
        tracing::warn!(%address, "a login failed");
        tokio::time::sleep(sessions.fail(address, now)).await;
        return form(StatusCode::UNAUTHORIZED, "Name or password is wrong.");
    }
    let Some(token) = sessions.start(login.name, now) else {
        return form(StatusCode::SERVICE_UNAVAILABLE, "No session could be started. Try again.");
    };
    metrics.login("right");
    sessions.forgive(address);
    ([(SET_COOKIE, set_cookie(&token, LIFETIME, &headers))], Redirect::to("/")).into_response()
}

async fn check(shared: &Arc<Shared>, login: Login, credentials: Credentials) -> bool {
    let Ok(_permit) = shared.sessions.checks.acquire().await else { return false };
    blocking(move || login.admits(&credentials.name, &credentials.password)).await
}

pub async fn leave(State(shared): Context, headers: HeaderMap) -> Response {
    shared.sessions.end(&headers);
    ([(SET_COOKIE, set_cookie("", Duration::ZERO, &headers))], Redirect::to("/login")).into_response()
}

/// Who asks, and whether there is something to leave.
pub async fn session(State(shared): Context, Extension(operator): Extension<Operator>) -> Response {
    Json(json!({ "operator": operator.0, "has_login": shared.console.login.is_some() })).into_response()
}

/// Marked for TLS alone when the page came over TLS.
fn set_cookie(token: &str, lifetime: Duration, headers: &HeaderMap) -> String {
    let is_tls = headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let secure = if is_tls { "; Secure" } else { "" };
    let age = lifetime.as_secs();
    format!("{COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
}

fn form(status: StatusCode, problem: &str) -> Response {
    let page = include_str!("../../console/login.html").replace("{{problem}}", problem);
    (status, Html(page)).into_response()
}
