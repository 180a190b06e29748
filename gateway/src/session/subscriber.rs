//! What a session that subscribes needs: its subscriptions, what waits for it, and what it was sent and has not
//! acknowledged (MQTT, 4.3 and 4.4).

use crate::Metrics;
use crate::fanout::{Letter, Membership, Overflow};
use crate::packet::{Acknowledgement, Answer, Delivery, QoS, ReasonCode, Version, acknowledge, deliver};
use bytes::BytesMut;
use records::Timestamp;
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
}

#[derive(Debug)]
struct InFlight {
    packet_id: u16,
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
        Subscriber { membership, in_flight: VecDeque::new(), unsent: 0, last_id: 0 }
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
                acknowledge(outbox, version, Acknowledgement::Pubrel, answer.packet_id, code);
                if let Some(place) = place.filter(|_| fits) {
                    self.in_flight[place].step = Step::Released;
                }
            }
            _ => {
                if let Some(place) = place.filter(|_| fits) {
                    self.in_flight.remove(place);
                }
            }
        }
        fits || answer.what == Acknowledgement::Pubrec
    }

    fn send_again(&mut self, line: Line, outbox: &mut BytesMut) {
        let place = self.in_flight.len() - self.unsent;
        let InFlight { packet_id, step } = &self.in_flight[place];
        let is_through = match step {
            Step::Published(letter) => write(letter, *packet_id, true, line, outbox),
            Step::Released => {
                acknowledge(outbox, line.version, Acknowledgement::Pubrel, *packet_id, ReasonCode::Success);
                true
            }
        };
        self.unsent -= 1;
        if !is_through {
            self.in_flight.remove(place);
        }
    }

    fn send(&mut self, letter: Letter, line: Line, metrics: &Metrics, outbox: &mut BytesMut) {
        if letter.publication.seconds_left(line.now) == Some(0) {
            return metrics.deliveries_expired.inc();
        }
        let packet_id = if letter.qos == QoS::AtMostOnce { 0 } else { self.free_id() };
        if !write(&letter, packet_id, false, line, outbox) {
            // [MQTT-3.1.2-25]: as if it had been sent.
            return metrics.deliveries_too_large.inc();
        }
        metrics.deliveries_sent.inc();
        if packet_id > 0 {
            self.in_flight.push_back(InFlight { packet_id, step: Step::Published(letter) });
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
