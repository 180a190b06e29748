//! `/feed`: what happens, as it happens, by server-sent events.
//!
//! `event: alert` carries an id; a client that comes back with it as `Last-Event-ID` gets every transition behind
//! it, once. `event: latest` carries none: who comes back asks for `/devices` again. `event: reset` says that the
//! client's id is of another book, and that it had better ask for everything again.

use super::hub::Gathered;
use super::reply::{Params, Refusal};
use super::{Context, Shared};
use crate::alerts::Transition;
use crate::blocking::blocking;
use crate::{AlertBook, Metrics};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client waits before it comes back.
const RETRY: Duration = Duration::from_secs(1);
const MOST_CLIENTS: i64 = 256;
/// Events on their way to a client.
const IN_FLIGHT: usize = 32;
/// A client that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// Missed transitions are read in pages of so many.
const PAGE: u32 = 500;

#[derive(Deserialize)]
pub struct Asked {
    after: Option<u64>,
}

pub async fn feed(
    State(shared): Context,
    headers: HeaderMap,
    Params(asked): Params<Asked>,
) -> Result<Response, Refusal> {
    let metrics = shared.console.metrics.clone();
    if metrics.feed_count() >= MOST_CLIENTS {
        return Err(Refusal::Unavailable(format!("the feed has {MOST_CLIENTS} clients already")));
    }
    let watcher = Watcher::start(&shared, resume_point(&headers, &asked)?).await?;
    let (client, events) = mpsc::channel(IN_FLIGHT);
    tokio::spawn(watcher.serve(client));
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("still here");
    Ok(Sse::new(ReceiverStream::new(events).map(Ok::<_, Infallible>)).keep_alive(heartbeat).into_response())
}

/// The header is what a browser sends when it comes back; it is newer than the address it first asked.
fn resume_point(headers: &HeaderMap, asked: &Asked) -> Result<Option<u64>, Refusal> {
    match headers.get("last-event-id") {
        None => Ok(asked.after),
        Some(id) if id.is_empty() => Ok(asked.after),
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse().ok());
            id.map(Some).ok_or_else(|| Refusal::BadRequest("Last-Event-ID: a number".to_owned()))
        }
    }
}

/// One client of the feed.
struct Watcher {
    book: Arc<AlertBook>,
    alerts: Receiver<Arc<Transition>>,
    latest: Receiver<Gathered>,
    stop: CancellationToken,
    presence: Presence,
    /// The number of the last transition the client has, or will have when `ready` is sent.
    seen: u64,
    /// There may be transitions in the book that `alerts` will not bring.
    is_behind: bool,
    ready: VecDeque<Event>,
}

/// Counts the client for as long as it is here.
struct Presence(Metrics);

impl Presence {
    fn new(metrics: &Metrics) -> Presence {
        metrics.feed_opened();
        Presence(metrics.clone())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.feed_closed();
    }
}

impl Watcher {
    /// Subscribes first and asks for the newest behind it, so that nothing falls between.
    async fn start(shared: &Arc<Shared>, after: Option<u64>) -> Result<Watcher, Refusal> {
        let console = &shared.console;
        let presence = Presence::new(&console.metrics);
        let (alerts, latest) = (console.alerts.subscribe(), shared.hub.subscribe());
        let book = Arc::clone(&console.alerts);
        let newest = blocking(move || book.newest()).await?;
        let is_foreign = after.is_some_and(|after| after > newest);
        let seen = if is_foreign { newest } else { after.unwrap_or(newest) };
        let mut ready = VecDeque::from([Event::default().retry(RETRY).comment("welcome")]);
        if is_foreign {
            ready.push_back(Event::default().event("reset").id(newest.to_string()).data("{}"));
        }
        Ok(Watcher {
            book: Arc::clone(&console.alerts),
            alerts,
            latest,
            stop: console.stop.clone(),
            presence,
            seen,
            is_behind: seen < newest,
            ready,
        })
    }

    /// Sends events until the client leaves, is too slow, or all of this stops.
    async fn serve(mut self, client: Sender<Event>) {
        loop {
            let event = tokio::select! {
                () = client.closed() => return,
                event = self.next() => event,
            };
            let Some(event) = event else { return };
            match timeout(PATIENCE, client.send(event)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => return self.presence.0.feed_dropped(),
            }
        }
    }

    /// The next event; `None` ends the connection, and the client comes back for the rest.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_behind {
                self.catch_up().await?;
                continue;
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                transition = self.alerts.recv() => {
                    let transition = self.still_with_us(transition)?;
                    self.offer(&transition)?;
                }
                gathered = self.latest.recv() => {
                    let gathered = self.still_with_us(gathered)?;
                    return Some(Event::default().event("latest").data(&*gathered));
                }
            }
        }
    }

    /// Reads a page of what the client missed.
    async fn catch_up(&mut self) -> Option<()> {
        let (book, seen) = (Arc::clone(&self.book), self.seen);
        match blocking(move || book.after(seen, PAGE)).await {
            Ok(page) => {
                self.is_behind = page.len() == PAGE as usize;
                page.iter().try_for_each(|transition| self.offer(transition))
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the feed could not read the alert book"
                );
                None
            }
        }
    }

    /// Makes the event of a transition, unless the client has it.
    fn offer(&mut self, transition: &Transition) -> Option<()> {
        if transition.seq > self.seen {
            self.seen = transition.seq;
            let event = Event::default().event("alert").id(transition.seq.to_string());
            self.ready.push_back(event.json_data(&transition.alert).ok()?);
        }
        Some(())
    }

    /// A client that is too slow is sent away, and resumes from the book.
    fn still_with_us<T>(&self, received: Result<T, RecvError>) -> Option<T> {
        if let Err(RecvError::Lagged(_)) = received {
            self.presence.0.feed_dropped();
        }
        received.ok()
    }
}
