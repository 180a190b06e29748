//! The listener and what runs beside it.

use crate::announce::Announcer;
use crate::identity::{Denial, Roster};
use crate::kept::{Kept, Over};
use crate::listener::Door;
use crate::normalize::start_of;
use crate::outage::{Closed, Outage, until_durable};
use crate::rates::Rates;
use crate::seats::{NoSeat, Seats};
use crate::session::{Refusal, Testament, serve};
use crate::sessions::Sessions;
use crate::shed::{self, Shed};
use crate::state::{self, ALIVE, Numbers, key};
use crate::throttle::Throttle;
use crate::watch::{announce_changes, certificates, refresh, watch_certificates, watch_registry};
use crate::{Clock, Directory, Fanout, GatewayError, Limits, Listener, Metrics, SessionStore, Shedding};
use records::{Device, Note, Producer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often expired sessions are looked for, in ticks: what they take is little.
const PURGE_TICKS: u32 = 60;

/// How often it is noted that the gateway lives, in ticks.
const ALIVE_TICKS: u32 = ALIVE.as_secs() as u32 * Sessions::TICKS_PER_SECOND;

/// Time beyond the drain timeout for the last sockets to close.
const CLOSING: Duration = Duration::from_secs(2);

/// Serves devices until `stop`.
///
/// Connections wait in the listeners' backlogs until every registry entry stands on `telemetry`. After `stop`
/// nothing more is read; what was read is appended and acknowledged, sockets are closed, and the call returns
/// within [`Limits::drain_timeout`] and two seconds.
///
/// # Errors
/// The registry or the sessions could not be read at the start, or the log was closed under the gateway.
pub async fn run<P: Producer, D: Directory>(
    listeners: Vec<Listener>,
    parts: Parts<P, D>,
    stop: CancellationToken,
) -> Result<(), GatewayError> {
    let gate = Arc::new(Gate::new(parts, stop.child_token())?);
    let devices = refresh(&gate).await.map_err(GatewayError::Registry)?;
    tracing::info!(devices = devices.len(), "registry read");
    state::take_up(&gate).await?;

    let sessions = TaskTracker::new();
    if gate.shed.may_be() {
        gate.testaments.spawn(shed::tell(gate.clone()));
    }
    let (changed, changes) = unbounded_channel();
    let mut beside = JoinSet::new();
    // In a task of its own, so that subscribers keep nobody waiting; it ends with this set.
    let carrying = gate.clone();
    beside.spawn(async move { carrying.fanout.run(|notes| carrying.note(notes)).await });
    for tls in certificates(&listeners) {
        beside.spawn(watch_certificates(gate.clone(), tls));
    }
    let ended = tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = gate.log_closed.cancelled() => Err(Closed),
        () = watch_registry(&gate, &changed) => Ok(()),
        Err(closed) = announce_changes(&gate, changes) => Err(closed),
        () = sweep(&gate) => Ok(()),
        Err(closed) = announce_and_accept(&gate, &devices, listeners, &sessions) => Err(closed),
    };
    drain(&gate, &sessions).await;
    ended.map_err(|Closed| GatewayError::LogClosed)
}

/// What a gateway is made of.
pub struct Parts<P, D> {
    /// Where readings go.
    pub log: P,
    /// Where sessions outlive the process, with appends to that same log.
    pub store: Arc<dyn SessionStore>,
    /// Who may connect.
    pub registry: Arc<D>,
    /// The subscribing side; of one gateway alone.
    pub fanout: Arc<Fanout>,
    /// What time it is.
    pub clock: Clock,
    /// What it may use.
    pub limits: Limits,
    /// What it may leave out when there is nearly no room.
    pub shedding: Shedding,
    /// What it counts.
    pub metrics: Arc<Metrics>,
}

/// What all sessions share.
pub(crate) struct Gate<P: Producer> {
    pub log: P,
    pub store: Arc<dyn SessionStore>,
    pub numbers: Numbers,
    pub roster: Arc<Roster>,
    pub sessions: Arc<Sessions>,
    pub kept: Kept,
    pub fanout: Arc<Fanout>,
    pub outage: Arc<Outage>,
    pub shed: Shed,
    pub rates: Rates,
    pub clock: Clock,
    pub limits: Limits,
    pub metrics: Arc<Metrics>,
    pub stop: CancellationToken,
    /// Cancelled by whoever meets a closed log first.
    pub log_closed: CancellationToken,
    announcer: Announcer,
    throttle: Throttle,
    /// Wills on their way to the log, and what is to be told of messages that were left out.
    testaments: TaskTracker,
}

impl<P: Producer> Gate<P> {
    fn new<D: Directory>(parts: Parts<P, D>, stop: CancellationToken) -> Result<Gate<P>, GatewayError> {
        let Parts { log, store, registry, fanout, clock, limits, shedding, metrics } = parts;
        metrics.show_limits(&limits);
        let outage = Outage::new(metrics.clone());
        Ok(Gate {
            log,
            store,
            numbers: Numbers::default(),
            roster: Arc::new(Roster::new(registry, clock.clone(), limits.max_verifications)?),
            sessions: Arc::default(),
            kept: Kept::new(limits.max_kept_sessions, metrics.kept_sessions.clone()),
            fanout,
            announcer: Announcer::new(outage.clone()),
            outage,
            shed: Shed::new(shedding, metrics.dropped.clone()),
            rates: Rates::new(limits.max_publish_rate, limits.max_publish_burst),
            clock,
            limits,
            metrics,
            stop,
            log_closed: CancellationToken::new(),
            throttle: Throttle::default(),
            testaments: TaskTracker::new(),
        })
    }

    /// Returns when these entries, or newer ones, stand on the log.
    pub(crate) async fn announce(&self, devices: &[Device]) -> Result<(), Closed> {
        self.announcer.announce(&self.log, devices).await.inspect_err(|Closed| self.log_closed.cancel())
    }

    /// Publishes wills, in tasks of their own.
    pub(crate) fn execute(self: &Arc<Self>, testaments: impl IntoIterator<Item = Testament>) {
        for testament in testaments {
            self.testaments.spawn(testament.execute(self.clone()));
        }
    }

    /// Done when these are durable.
    pub(crate) fn note(&self, notes: Vec<Note>) -> impl Future<Output = Result<(), Closed>> + use<P> {
        let (store, outage, closed) = (self.store.clone(), self.outage.clone(), self.log_closed.clone());
        async move {
            let offer = || store.append(Vec::new(), notes.clone());
            until_durable(offer, &outage).await.inspect_err(|Closed| closed.cancel())
        }
    }

    /// Notes in a task of its own.
    pub(crate) fn note_later(&self, notes: Vec<Note>) {
        if !notes.is_empty() {
            self.testaments.spawn(self.note(notes));
        }
    }

    /// Nothing is kept any more of sessions that are over, and their wills are published; in tasks of their own.
    pub(crate) fn bury(self: &Arc<Self>, over: impl IntoIterator<Item = Over>) {
        let mut removals = Vec::new();
        for Over { number, testament } in over {
            removals.push(Note::RemoveUnder { prefix: key::session(number) });
            self.execute(testament);
        }
        self.note_later(removals);
    }

    /// Whether one more line about a single client may be logged now.
    pub(crate) fn may_warn(&self) -> bool {
        self.throttle.allows(self.sessions.now())
    }

    /// Tells the operator who could not connect.
    pub(crate) fn tell_denial(&self, user: &str, denial: Denial) {
        if self.may_warn() {
            let user = start_of(user, 64);
            tracing::warn!(user, why = Refusal::Denied(denial).name(), "a device was not let in");
        }
    }
}

async fn sweep<P: Producer>(gate: &Arc<Gate<P>>) {
    let mut ticks = tokio::time::interval(Sessions::TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut said = JoinSet::new();
    loop {
        ticks.tick().await;
        gate.sessions.sweep(gate.limits.packet_timeout);
        gate.sessions.expire((gate.clock)());
        gate.execute(gate.kept.due(gate.sessions.now()));
        while said.try_join_next().is_some() {}
        if gate.sessions.now().is_multiple_of(ALIVE_TICKS)
            && said.is_empty()
            && gate.numbers.is_any_connected()
        {
            // So that after a crash it is known how long connections lasted. A log that takes nothing keeps no keep
            // alive waiting.
            let alive = Note::Put { key: key::ALIVE.to_vec(), value: key::time((gate.clock)()) };
            said.spawn(gate.note(vec![alive]));
        }
        if gate.sessions.now().is_multiple_of(PURGE_TICKS) {
            gate.bury(gate.kept.purge(gate.sessions.now()));
            let expired = gate.fanout.purge((gate.clock)());
            gate.note_later(expired.iter().map(state::release).collect());
            gate.rates.purge();
        }
    }
}

async fn announce_and_accept<P: Producer>(
    gate: &Arc<Gate<P>>,
    devices: &[Device],
    listeners: Vec<Listener>,
    sessions: &TaskTracker,
) -> Result<(), Closed> {
    gate.announce(devices).await?;
    let seats = Seats::new(gate.limits.max_connections, gate.limits.max_connections_per_address);
    // They end with this set, which is dropped when the gateway stops.
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(gate.clone(), listener, seats.clone(), sessions.clone()));
    }
    while accepting.join_next().await.is_some() {}
    Ok(())
}

async fn accept<P: Producer>(
    gate: Arc<Gate<P>>,
    listener: Listener,
    seats: Arc<Seats>,
    sessions: TaskTracker,
) {
    let mut failures = 0;
    loop {
        match listener.socket.accept().await {
            Ok((stream, peer)) => {
                failures = 0;
                open(&gate, (stream, peer), listener.door.clone(), &seats, &sessions);
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(%error, "no connection can be accepted: trying again");
                }
                tokio::time::sleep(crate::outage::backoff(failures)).await;
                failures += 1;
            }
        }
    }
}

fn open<P: Producer>(
    gate: &Arc<Gate<P>>,
    (stream, peer): (TcpStream, SocketAddr),
    door: Door,
    seats: &Arc<Seats>,
    sessions: &TaskTracker,
) {
    let seat = match seats.take(peer.ip()) {
        Ok(seat) => seat,
        Err(NoSeat::Full) => return gate.metrics.count_refusal(Refusal::Full),
        Err(NoSeat::Address) => return gate.metrics.count_refusal(Refusal::Address),
    };
    let open = gate.metrics.open_connection();
    let session = serve(stream, door, gate.clone());
    sessions.spawn(async move {
        session.await;
        drop((open, seat));
    });
}

/// The client was gone before it was accepted; nothing is wrong with the listener.
fn concerns_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

async fn drain<P: Producer>(gate: &Arc<Gate<P>>, sessions: &TaskTracker) {
    // Ends those that are still connecting, also when it was the log that closed.
    gate.stop.cancel();
    gate.sessions.stop();
    sessions.close();
    let deadline = gate.limits.drain_timeout + CLOSING;
    let ended = async {
        sessions.wait().await;
        // Wills end with the process, and so they wait no longer.
        gate.execute(gate.kept.due(u32::MAX));
        gate.shed.end();
        gate.testaments.close();
        gate.testaments.wait().await;
    };
    if tokio::time::timeout(deadline, ended).await.is_err() {
        let (sessions, wills) = (sessions.len(), gate.testaments.len());
        tracing::warn!(sessions, wills, "some sessions did not end in time");
    }
    let messages = gate.shed.untold();
    if messages > 0 {
        tracing::error!(messages, "left out, and missing in the ledger: the log had no room to tell");
    }
}
