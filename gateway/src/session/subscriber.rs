//! What a session that subscribes needs: its subscriptions, what waits for it, and what it was sent and has not
//! acknowledged (MQTT, 4.3 and 4.4).

use crate::Metrics;
use crate::fanout::{self, Letter, Membership, Noted, Overflow};
use crate::packet::{Acknowledgement, Answer, Delivery, QoS, ReasonCode, Version, acknowledge, deliver};
use crate::state::key;
use bytes::BytesMut;
use records::{Note, Timestamp};
use std::collections::VecDeque;
use std::task::Context;

/// Boxed in a session: most have none.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub membership: Membership,
    /// In the order of their first sending.
    in_flight: VecDeque<InFlight>,
    /// How many of these, at the end, this connection has not seen yet.
    unsent: usize,
    last_id: u16,
    /// Of a session that outlives the process: what is to be noted, and what may be sent when that is durable.
    notes: Vec<Note>,
    held: BytesMut,
}

#[derive(Debug)]
struct InFlight {
    packet_id: u16,
    /// Of its letter, when that is noted.
    number: u64,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// PUBLISH was sent, and its acknowledgement is to come.
    Published(Letter),
    /// PUBREL was sent, and PUBCOMP is to come.
    Released,
}

/// What may be sent over a connection.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub version: Version,
    pub maximum_packet_size: usize,
    /// Messages above QoS 0 that the client takes before it has acknowledged one.
    pub receive_maximum: usize,
    /// Bytes that may wait for the socket.
    pub max_outbox: usize,
    pub now: Timestamp,
}

impl Subscriber {
    pub(super) fn new(membership: Membership) -> Subscriber {
        let (notes, held) = (Vec::new(), BytesMut::new());
        Subscriber { membership, in_flight: VecDeque::new(), unsent: 0, last_id: 0, notes, held }
    }

    /// Of an earlier process, with what waited for its client, in its order. Nobody is connected.
    pub(crate) fn restored(membership: Membership, letters: Vec<(u64, Noted)>) -> Subscriber {
        let mut subscriber = Subscriber::new(membership);
        let last = letters.last().map_or(0, |(number, _)| *number);
        let mut waiting = Vec::new();
        for (number, letter) in letters {
            let (packet_id, step) = match letter {
                Noted::Waits(letter) => {
                    waiting.push(letter);
                    continue;
                }
                Noted::Sent(packet_id, letter) => (packet_id, Step::Published(letter)),
                Noted::Released(packet_id) => (packet_id, Step::Released),
            };
            subscriber.last_id = packet_id;
            subscriber.in_flight.push_back(InFlight { packet_id, number, step });
        }
        subscriber.membership.mailbox.fill(waiting, last);
        subscriber.membership.mailbox.set_connected(false);
        subscriber
    }

    /// What is to be noted, and what may be sent when that is durable.
    pub(super) fn take_notes(&mut self) -> (Vec<Note>, BytesMut) {
        (std::mem::take(&mut self.notes), std::mem::take(&mut self.held))
    }

    /// Messages of QoS 0 that found no room.
    pub(super) fn dropped(&self) -> u64 {
        self.membership.mailbox.dropped()
    }

    /// Its connection is gone. `false` when it can't be resumed, because it has lost something.
    pub(super) fn pause(&mut self) -> bool {
        self.in_flight.shrink_to_fit();
        self.membership.mailbox.set_connected(false)
    }

    /// Another connection goes on with it: what is not acknowledged is sent again. `false` when it has lost something.
    pub(crate) fn resume(&mut self) -> bool {
        self.unsent = self.in_flight.len();
        self.membership.mailbox.set_connected(true)
    }

    /// Writes what may be sent. `true` when it stopped for want of room in the outbox; otherwise the task is woken
    /// when there is more, or an answer of the client makes room.
    pub(super) fn poll(
        &mut self,
        cx: &Context<'_>,
        line: Line,
        metrics: &Metrics,
        outbox: &mut BytesMut,
    ) -> Result<bool, Overflow> {
        loop {
            if outbox.len() >= line.max_outbox {
                return self.membership.mailbox.poll_over(cx).map(|()| true);
            }
            if self.in_flight.len() - self.unsent >= line.receive_maximum {
                return self.membership.mailbox.poll_over(cx).map(|()| false);
            }
            if self.unsent > 0 {
                self.send_again(line, outbox);
                continue;
            }
            let Some(letter) = self.membership.mailbox.poll_next(cx)? else { return Ok(false) };
            self.send(letter, line, metrics, outbox);
        }
    }

    /// The client has answered. `false` when there is nothing that this could answer.
    pub(super) fn answer(&mut self, answer: Answer, version: Version, outbox: &mut BytesMut) -> bool {
        let sent = self.in_flight.len() - self.unsent;
        let place = self.in_flight.iter().take(sent).position(|it| it.packet_id == answer.packet_id);
        let fits = place.is_some_and(|place| self.in_flight[place].step.awaits(answer.what));
        match answer.what {
            Acknowledgement::Pubrec if !answer.is_refusal => {
                let code =
                    if place.is_some() { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
                if let Some(place) = place.filter(|_| fits) {
                    self.in_flight[place].step = Step::Released;
                }
                let number = place.map(|place| &self.in_flight[place]);
                let number = number.filter(|it| matches!(it.step, Step::Released)).map_or(0, |it| it.number);
                let value = fanout::released(answer.packet_id);
                // Who was told to release it must not get it again after a restart.
                let outbox = if self.note(number, Some(value)) { &mut self.held } else { outbox };
                acknowledge(outbox, version, Acknowledgement::Pubrel, answer.packet_id, code);
            }
            _ => {
                if let Some(gone) = place.filter(|_| fits).and_then(|place| self.in_flight.remove(place)) {
                    self.note(gone.number, None);
                }
            }
        }
        fits || answer.what == Acknowledgement::Pubrec
    }

    fn send_again(&mut self, line: Line, outbox: &mut BytesMut) {
        let place = self.in_flight.len() - self.unsent;
        let InFlight { packet_id, step, .. } = &self.in_flight[place];
        let is_through = match step {
            Step::Published(letter) => write(letter, *packet_id, true, line, outbox),
            Step::Released => {
                acknowledge(outbox, line.version, Acknowledgement::Pubrel, *packet_id, ReasonCode::Success);
                true
            }
        };
        self.unsent -= 1;
        if !is_through && let Some(gone) = self.in_flight.remove(place) {
            self.note(gone.number, None);
        }
    }

    /// Notes what has become of a letter, or that nothing is left of it; `false` when it is not noted at all.
    fn note(&mut self, number: u64, value: Option<Vec<u8>>) -> bool {
        let Some(session) = self.membership.mailbox.session.filter(|_| number > 0) else { return false };
        let key = key::letter(session, number);
        self.notes.push(match value {
            Some(value) => Note::Put { key, value },
            None => Note::Remove { key },
        });
        true
    }

    fn send(&mut self, letter: Letter, line: Line, metrics: &Metrics, outbox: &mut BytesMut) {
        let number = letter.number;
        if letter.publication.seconds_left(line.now) == Some(0) {
            self.note(number, None);
            return metrics.deliveries_expired.inc();
        }
        let packet_id = if letter.qos == QoS::AtMostOnce { 0 } else { self.free_id() };
        // At QoS 2 the client knows the message by its packet id, and so must who sends it again after a restart.
        let is_held = letter.qos == QoS::ExactlyOnce && number > 0;
        let outbox = if is_held { &mut self.held } else { outbox };
        if !write(&letter, packet_id, letter.is_again, line, outbox) {
            self.note(number, None);
            // [MQTT-3.1.2-25]: as if it had been sent.
            return metrics.deliveries_too_large.inc();
        }
        if is_held {
            self.note(number, Some(letter.noted(packet_id)));
        }
        metrics.deliveries_sent.inc();
        if packet_id > 0 {
            self.in_flight.push_back(InFlight { packet_id, number, step: Step::Published(letter) });
        }
    }

    /// Fewer are in flight than there are.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.in_flight.iter().any(|it| it.packet_id == self.last_id) {
                return self.last_id;
            }
        }
    }
}

impl Step {
    fn awaits(&self, what: Acknowledgement) -> bool {
        match self {
            Step::Published(letter) if letter.qos == QoS::AtLeastOnce => what == Acknowledgement::Puback,
            Step::Published(_) => what == Acknowledgement::Pubrec,
            Step::Released => what == Acknowledgement::Pubcomp,
        }
    }
}

/// `false` when it is more than the client takes. What was begun is finished, even when its time is over meanwhile.
fn write(letter: &Letter, packet_id: u16, is_dup: bool, line: Line, outbox: &mut BytesMut) -> bool {
    let publication = &letter.publication;
    let delivery = Delivery {
        topic: publication.topic(),
        payload: publication.payload(),
        properties: publication.properties(),
        expiry: publication.seconds_left(line.now),
        identifiers: &letter.identifiers,
        qos: letter.qos,
        packet_id,
        is_dup,
        is_retained: letter.is_retained,
    };
    deliver(outbox, line.version, line.maximum_packet_size, &delivery)
}
