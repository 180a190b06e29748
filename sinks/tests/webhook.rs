//! Alerts to a URL that answers as it is told.
#![cfg(all(feature = "webhook", feature = "influx"))]
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use records::{Alert, AlertState, MemoryLog, Severity, Topic};
use sha2::Sha256;
use sinks::webhook::{WebhookOptions, WebhookSink};
use sinks::{Ambient, Kind, Notices, SinkError, run};
use std::sync::{Arc, Mutex};
use support::{Hands, T0, alert, ambient, append, count, eventually, log, metrics, next, on_log};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

type Seen = Arc<Mutex<Vec<(HeaderMap, String)>>>;
type Reply = Arc<Mutex<Box<dyn FnMut(&str) -> u16 + Send>>>;

/// A receiver and a sink toward it.
struct World {
    log: MemoryLog,
    seen: Seen,
    reply: Reply,
    notices: Notices,
    registry: prometheus::Registry,
    stop: CancellationToken,
    running: JoinHandle<Result<(), SinkError>>,
}

impl World {
    async fn start(reply: impl FnMut(&str) -> u16 + Send + 'static, min_severity: Severity) -> World {
        let (seen, reply): (Seen, Reply) = (Seen::default(), Arc::new(Mutex::new(Box::new(reply))));
        let router = Router::new().fallback(receive).with_state((Arc::clone(&seen), Arc::clone(&reply)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?of=sluice", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let (log, notices, stop, hands) = (log(), Notices::default(), CancellationToken::new(), Hands::new());
        let (metrics, registry) = metrics();
        let options = WebhookOptions { url, min_severity, ..WebhookOptions::default() };
        let sink = WebhookSink::new(&options, SECRET, hands.clock()).unwrap();
        let around = Ambient { notices: notices.clone(), ..ambient(&metrics, &hands) };
        let running =
            tokio::spawn(run(log.consumer("webhook", WebhookSink::TOPICS), sink, around, stop.clone()));
        World { log, seen, reply, notices, registry, stop, running }
    }

    fn bodies(&self) -> Vec<Alert> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }

    async fn until_seen(&self, count: usize) {
        eventually(async || (self.seen.lock().unwrap().len() >= count).then_some(())).await;
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

async fn receive(State((seen, reply)): State<(Seen, Reply)>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    assert_eq!(parts.uri.to_string(), "/hook?of=sluice");
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let status = reply.lock().unwrap()(&body);
    seen.lock().unwrap().push((parts.headers, body));
    StatusCode::from_u16(status).unwrap()
}

/// As a receiver checks it, from the standard alone.
fn check_signature(headers: &HeaderMap, body: &str) {
    let text = |name: &str| headers[name].to_str().unwrap();
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.{body}", text("webhook-id"), text("webhook-timestamp")).as_bytes());
    let signature = STANDARD.decode(text("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
    mac.verify_slice(&signature).unwrap();
    assert_eq!(text("idempotency-key"), text("webhook-id"));
    assert_eq!(text("webhook-timestamp"), (T0 / 1000).to_string());
    assert_eq!(text("content-type"), "application/json");
}

#[tokio::test]
async fn every_transition_goes_out_signed_and_in_order() {
    let world = World::start(|_| 204, Severity::Minor).await;
    let opened = alert("air-1", T0);
    let cleared = next(&opened, AlertState::Cleared, T0 + 60_000);
    let other = alert("天河-2", T0 + 1);
    append(&world.log, Topic::Alerts, &[on_log(&opened), on_log(&other), on_log(&cleared)]).await;
    world.until_seen(3).await;
    assert_eq!(world.bodies(), [opened, other, cleared]);
    let seen = world.seen.lock().unwrap().clone();
    seen.iter().for_each(|(headers, body)| check_signature(headers, body));
    let mut ids: Vec<_> = seen.iter().map(|(headers, _)| headers["webhook-id"].clone()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    world.end().await;
}

/// What was taken is not sent again when a later one of the batch fails, and what is sent again has the same id.
#[tokio::test]
async fn an_outage_doubles_nothing() {
    let mut tries = 0;
    let reply = move |body: &str| {
        let is_third = body.contains("air-3");
        tries += u32::from(is_third);
        if is_third && tries <= 3 { 503 } else { 200 }
    };
    let world = World::start(reply, Severity::Minor).await;
    let alerts: Vec<_> = (1..=5).map(|number| on_log(&alert(&format!("air-{number}"), T0))).collect();
    append(&world.log, Topic::Alerts, &alerts).await;
    world.until_seen(8).await;
    let subjects: Vec<String> = world.bodies().iter().map(|alert| alert.subject.name().to_string()).collect();
    assert_eq!(subjects, ["air-1", "air-2", "air-3", "air-3", "air-3", "air-3", "air-4", "air-5"]);
    let seen = world.seen.lock().unwrap().clone();
    let id = |index: usize| seen[index].0["webhook-id"].clone();
    assert!(id(2) == id(3) && id(3) == id(5) && id(2) != id(6));
    assert_eq!(count(&world.registry, "sluice_sinks_retries_total"), 3.0);
    world.end().await;
}

#[tokio::test]
async fn what_is_refused_is_left_out_alone() {
    let reply = |body: &str| if body.contains("air-2") { 422 } else { 200 };
    let world = World::start(reply, Severity::Minor).await;
    let alerts: Vec<_> = (1..=4).map(|number| on_log(&alert(&format!("air-{number}"), T0))).collect();
    append(&world.log, Topic::Alerts, &alerts).await;
    eventually(async || {
        (count(&world.registry, "sluice_sinks_rejected_records_total") == 1.0
            && count(&world.registry, "sluice_sinks_uncommitted_records") == 0.0
            && world.bodies().iter().any(|alert| alert.subject.name() == "air-4"))
        .then_some(())
    })
    .await;
    let taken = world.bodies().iter().filter(|alert| alert.subject.name() != "air-2").count();
    assert_eq!(taken, 3, "nothing is sent twice for another's sake");
    world.end().await;
}

#[tokio::test]
async fn a_wrong_address_bars_it_until_somebody_comes() {
    let world = World::start(|_| 404, Severity::Minor).await;
    append(&world.log, Topic::Alerts, &[on_log(&alert("air-1", T0))]).await;
    world.until_seen(2).await;
    assert_eq!(world.notices.all()[0].kind, Kind::Barred);
    *world.reply.lock().unwrap() = Box::new(|_| 200);
    eventually(async || world.notices.all().is_empty().then_some(())).await;
    world.end().await;
}

#[tokio::test]
async fn what_is_not_bad_enough_is_passed_over() {
    let world = World::start(|_| 200, Severity::Severe).await;
    let mut severe = alert("air-2", T0);
    severe.severity = Severity::Severe;
    append(&world.log, Topic::Alerts, &[on_log(&alert("air-1", T0)), on_log(&severe)]).await;
    world.until_seen(1).await;
    assert_eq!(world.bodies(), [severe]);
    world.end().await;
}
