//! One device's connection: read, normalise, append, acknowledge.
//!
//! A session reads on while an append is under way, and hands over what has gathered when it is through: one
//! append at a time, so a device's records stand on the log in the order in which it sent them, whatever fails.

mod aliases;
mod connect;
mod ending;
mod handshake;
mod intake;
mod ledger;
mod publish;
mod received;
mod scratch;
mod subscribe;
mod subscriber;
mod will;

pub(crate) use ending::{Ending, Refusal};
pub(crate) use received::Received;
pub(crate) use subscriber::Subscriber;
pub(crate) use will::Testament;

use crate::gateway::Gate;
use crate::kept::{Absence, Over};
use crate::listener::Door;
use crate::packet::{Farewell, Version, Violation, disconnect};
use crate::rates::Bucket;
use crate::sessions::Place;
use crate::state::{SessionRecord, key};
use crate::transport::Transport;
use aliases::Aliases;
use bytes::BytesMut;
use ledger::Ledger;
use publish::Oversized;
use records::{Crs, Name, Note, Producer};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use will::Will;

/// Serves one connection to its end. Never fails: whatever goes wrong ends this connection alone.
pub(crate) async fn serve<P: Producer>(stream: TcpStream, door: Door, gate: Arc<Gate<P>>) {
    // Both are boxed, so that the task of a connected session doesn't carry the room that connecting took.
    if let Some(session) = Box::pin(connect::connect(stream, door, gate)).await {
        session.run().await;
    }
}

/// A connected session. Small while idle: buffers are there only while they hold something.
pub(crate) struct Session<P: Producer> {
    transport: Transport,
    gate: Arc<Gate<P>>,
    place: Place,
    device: Sender,
    version: Version,
    aliases: Aliases,
    /// The longest packet that the client takes.
    maximum_packet_size: u32,
    /// How many messages above QoS 0 the client takes before it has acknowledged one.
    receive_maximum: u16,
    /// Seconds for which the session outlives its connection.
    expiry: u32,
    /// Under which it is noted, when it was to outlive it.
    number: Option<u64>,
    /// The start of a packet whose end hasn't come.
    unread: Vec<u8>,
    /// A payload over the limit, while it passes by.
    oversized: Option<Box<Oversized>>,
    /// Answers that the socket hasn't taken.
    outbox: BytesMut,
    ledger: Ledger,
    subscriber: Option<Box<Subscriber>>,
    will: Option<Box<Will>>,
    is_stalled: bool,
    /// How much its device may still publish; `None` when there is no bound.
    bucket: Option<Arc<Bucket>>,
    /// Messages that were read since the bucket was asked.
    published: u32,
    /// Until then nothing is read, because the bucket is empty.
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether a packet has come to its end since a read began.
    has_finished: bool,
    /// Why it ends, once that is known. From then on nothing is read; what was read still goes to the log.
    ending: Option<Ending>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Whether the client was told why it ends.
    is_told: bool,
}

/// Who sends, and where on the log it belongs.
struct Sender {
    id: Name,
    /// Others publish nothing.
    is_device: bool,
    /// The system of the positions it states.
    crs: Crs,
    /// Whether its messages of QoS 0 may be left out when there is nearly no room.
    may_be_shed: bool,
    telemetry_partition: u32,
    quarantine_partition: u32,
}

/// Bytes of answers that may wait for a client that doesn't read them, before we stop reading from it too.
const MAX_OUTBOX: usize = 64 << 10;

impl<P: Producer> Session<P> {
    async fn run(mut self: Box<Self>) {
        self.take_unread((self.gate.clock)());
        self.note_halved();
        self.charge();
        let ending = std::future::poll_fn(|cx| self.poll(cx)).await;
        self.gate.metrics.count_ending(ending);
        self.gate.metrics.count_abandoned(self.ledger.abandon());
        let dropped = self.subscriber.as_ref().map_or(0, |it| it.dropped());
        tracing::debug!(device = %self.device.id, ending = ending.name(), dropped, "session over");
        if dropped > 0 && self.gate.may_warn() {
            tracing::warn!(client = %self.device.id, dropped, "a subscriber lost messages of QoS 0: it was too slow");
        }
        // First the socket, then the place: who takes over finds the old connection closed.
        let Session {
            mut transport,
            place,
            is_told,
            gate,
            ledger,
            mut subscriber,
            will,
            device,
            expiry,
            number,
            ..
        } = *self;
        transport.finish().await;
        let is_whole = subscriber.as_mut().is_none_or(|it| it.pause());
        let mut testament = will.map(|will| Testament { will, sender: device });
        if let Some(number) = number {
            gate.numbers.gone();
            if expiry > 0 && is_whole {
                let absence = Absence { number, received: ledger.received.kept(), subscriber };
                let will = testament.take();
                gate.bury(gate.kept.put(&place.client, absence, will, expiry, gate.sessions.now()));
            } else {
                gate.bury([Over { number, testament: None }]);
            }
        }
        gate.execute(testament);
        drop(gate);
        drop(place);
        if is_told {
            transport.linger().await;
        }
    }

    /// Goes on for as long as something moves. When it returns `Pending`, whatever can move wakes the task.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        loop {
            let cut = self.place.control.poll_cut(cx);
            self.advance_ledger(cx);
            let has_more = self.deliver(cx);
            if !self.ledger.is_empty() {
                self.advance_ledger(cx);
            }
            self.write(cx);
            if let Some(ending) = self.ending {
                // It may have ended just now, and left a will.
                self.advance_ledger(cx);
                let is_over = self.is_drained(cx);
                if is_over {
                    self.tell(ending);
                    self.write(cx);
                }
                let is_said = self.outbox.is_empty() || self.is_late(cx);
                return if is_over && is_said { Poll::Ready(ending) } else { Poll::Pending };
            }
            let moved = self.may_read(cx) && self.read(cx);
            match cut {
                Some(crate::sessions::Cut::KeepAlive) if moved => {
                    self.place.control.forgive_silence();
                }
                Some(cut) => self.end(Ending::Cut(cut)),
                None if has_more && self.outbox.is_empty() => {}
                None if !moved => return Poll::Pending,
                None => {}
            }
        }
    }

    fn advance_ledger(&mut self, cx: &mut Context<'_>) {
        let durable = self.ledger.poll(cx, &self.gate, &self.device, self.version, &mut self.outbox);
        if durable.is_err() {
            self.gate.metrics.count_abandoned(self.ledger.abandon());
            self.gate.log_closed.cancel();
            self.end(Ending::LogClosed);
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) {
        let before = self.outbox.len();
        if let Poll::Ready(Err(error)) = self.transport.poll_write_all(cx, &mut self.outbox) {
            tracing::debug!(device = %self.device.id, %error, "write failed");
            self.outbox.clear();
            self.end(Ending::Lost);
        }
        let has_taken = self.outbox.len() < before;
        self.place.control.set_untaken(!self.outbox.is_empty(), has_taken, self.gate.sessions.now());
        if self.outbox.is_empty() && self.outbox.capacity() > 0 {
            self.outbox = BytesMut::new();
        }
    }

    /// MQTT 5, 3.14.2.2.2: a session that was to end with its connection can't be kept by an afterthought.
    fn disconnect(&mut self, farewell: Farewell) {
        match farewell.session_expiry {
            Some(1..) if self.expiry == 0 => return self.violated(Violation::Protocol),
            Some(seconds) => self.expiry = seconds.min(self.gate.limits.max_session_expiry),
            None => {}
        }
        if !farewell.with_will {
            self.will = None;
        }
        self.end(Ending::Disconnect);
    }

    /// An answer that grows with what was asked, and that the client may not want at that length. What a session is to
    /// remember is durable before its client is told.
    fn answer(&mut self, write: impl FnOnce(&mut BytesMut, Version)) {
        let mut answer = BytesMut::new();
        write(&mut answer, self.version);
        if answer.len() > self.maximum_packet_size as usize {
            self.violated(Violation::TooLong);
        } else if self.number.is_some() {
            self.ledger.answer(&answer);
        } else {
            self.outbox.extend_from_slice(&answer);
        }
    }

    fn violated(&mut self, violation: Violation) {
        tracing::debug!(device = %self.device.id, violation = violation.name(), "connection closed");
        self.end(Ending::Violation(violation));
    }

    /// The first reason stands. A will that is not to wait is entered behind all that the client has said itself.
    fn end(&mut self, ending: Ending) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(ending);
        let is_to_wait = self.expiry > 0 && self.will.as_ref().is_some_and(|will| will.delay > 0);
        if ending != Ending::LogClosed
            && !is_to_wait
            && let Some(will) = self.will.take()
        {
            will.enter(&mut self.ledger, &self.device, &self.gate);
        }
        if ending != Ending::LogClosed && self.expiry > 0 {
            self.note(false);
        }
    }

    /// A session that is to outlive its connection is noted in front of all that it remembers.
    fn begin(&mut self) {
        if self.number.is_some() {
            self.gate.numbers.connected();
            self.note(true);
        }
    }

    /// Notes since when it has a connection, or hasn't.
    fn note(&mut self, is_connected: bool) {
        let Some(number) = self.number else { return };
        let record = SessionRecord {
            device: self.device.id.clone(),
            client_id: self.place.client.id.clone(),
            expiry: self.expiry,
            at_ms: (self.gate.clock)().millis(),
            is_connected,
        };
        self.ledger.note(Note::Put { key: key::session(number), value: record.encode() });
    }

    /// Whether all that was received is on the log, or can't be in time.
    fn is_drained(&mut self, cx: &mut Context<'_>) -> bool {
        self.ledger.is_empty() || self.is_late(cx)
    }

    /// Whether the ending has taken as long as it may.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let timeout = self.gate.limits.drain_timeout;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        deadline.as_mut().poll(cx).is_ready()
    }

    /// Says why it ends, once, to a client that has words for it.
    fn tell(&mut self, ending: Ending) {
        if self.version == Version::V5
            && !self.is_told
            && let Some(code) = ending.code()
        {
            disconnect(&mut self.outbox, code);
            self.is_told = true;
        }
    }
}
