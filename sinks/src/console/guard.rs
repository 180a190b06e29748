//! What every request passes: who may ask at all, headers that protect the page, and counting.

use super::Shared;
use super::reply::Refusal;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;
use std::sync::Arc;

/// Keeps out other sites, and without a login everybody but this machine.
pub async fn admit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let result = if shared.console.login.is_none() { check_local(&request) } else { Ok(()) };
    match result.and_then(|()| check_post(&request)) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// A page elsewhere can make a browser on this machine send requests here under its own name, by pointing that
/// name at 127.0.0.1 (DNS rebinding); the name it asked for gives it away.
fn check_local(request: &Request) -> Result<(), Refusal> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if peer.is_some_and(|ConnectInfo(peer)| !peer.ip().to_canonical().is_loopback()) {
        return Err(Refusal::Forbidden("without a login, only this machine may ask".to_owned()));
    }
    match host(request.headers(), request) {
        Some(host) if is_loopback_name(host) => Ok(()),
        _ => Err(Refusal::Forbidden("ask for localhost or 127.0.0.1".to_owned())),
    }
}

fn host<'a>(headers: &'a HeaderMap, request: &'a Request) -> Option<&'a str> {
    match headers.get(header::HOST) {
        Some(host) => host.to_str().ok(),
        None => request.uri().authority().map(|authority| authority.as_str()),
    }
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// What changes something must come from our own page, or from a program. A foreign page can post a form without
/// being asked, but not JSON, and its browser says whence it comes.
fn check_post(request: &Request) -> Result<(), Refusal> {
    if !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH | Method::DELETE) {
        return Ok(());
    }
    if !is_own_page(request) {
        return Err(Refusal::Forbidden("not from another site".to_owned()));
    }
    if request.uri().path().starts_with("/api/") && !is_json(request.headers()) {
        return Err(Refusal::Forbidden("send Content-Type: application/json".to_owned()));
    }
    Ok(())
}

/// A browser's own verdict where it gives one, which holds behind proxies too; else its `Origin` against the name
/// it asked for. Programs send neither.
fn is_own_page(request: &Request) -> bool {
    let headers = request.headers();
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let authority =
        origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    authority.is_some() && authority == host(headers, request)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: with that, browsers name no origin in our own forms either.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// The page runs what comes from here and nothing else, and stands in nobody's frame.
pub async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Counts the request under the class of its route.
pub async fn count(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let class = class(request.uri().path());
    let response = next.run(request).await;
    shared.console.metrics.request(class, response.status().as_u16());
    response
}

fn class(path: &str) -> &'static str {
    match path.strip_prefix("/api/v1/") {
        Some("feed") => "feed",
        Some(rest) => match rest.split('/').next() {
            Some("series") => "series",
            Some("devices") => "devices",
            Some("alerts") => "alerts",
            _ => "api",
        },
        None if path == "/" => "page",
        None if path == "/login" || path == "/logout" => "login",
        None => "asset",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names() {
        let check = |host: &str, expected: bool| assert_eq!(is_loopback_name(host), expected, "{host}");
        check("127.0.0.1", true);
        check("127.0.0.1:8080", true);
        check("localhost", true);
        check("LocalHost:80", true);
        check("[::1]", true);
        check("[::1]:8080", true);
        check("", false);
        check("localhost.evil.example", false);
        check("evil.example:8080", false);
        check("127.0.0.1.evil.example", false);
        check("localhost:80:80", false);
        check("192.168.0.7:8080", false);
    }
}
