//! SUBSCRIBE and UNSUBSCRIBE: what a client may have, and what it is told.

use super::ending::Ending;
use super::subscriber::{Line, Subscriber};
use super::{MAX_OUTBOX, Session};
use crate::fanout::{Membership, check_filter};
use crate::normalize::start_of;
use crate::packet::{
    Answer, Options, ReasonCode, Subscribe, Unsubscribe, Version, Violation, suback, unsuback,
};
use records::{Producer, Timestamp};
use std::task::Context;

/// What SUBACK of MQTT 3.1.1 says of a filter that is refused, for whatever reason.
const FAILURE: u8 = 0x80;

impl<P: Producer> Session<P> {
    pub(super) fn subscribe(&mut self, subscribe: &Subscribe<'_>, now: Timestamp) {
        let filters = subscribe.filters(self.version);
        let codes: Vec<u8> = filters
            .map(|(filter, options)| {
                match (self.subscribe_to(filter, options, subscribe.identifier, now), self.version) {
                    (Ok(()), _) => options.qos as u8,
                    (Err(code), Version::V5) => code as u8,
                    (Err(_), Version::V311) => FAILURE,
                }
            })
            .collect();
        let packet_id = subscribe.packet_id;
        self.answer(|outbox, version| suback(outbox, version, packet_id, &codes));
    }

    fn subscribe_to(
        &mut self,
        filter: &str,
        options: Options,
        identifier: Option<u32>,
        now: Timestamp,
    ) -> Result<(), ReasonCode> {
        if !self.gate.limits.allows_topic(filter) {
            return Err(ReasonCode::QuotaExceeded);
        }
        let parsed = check_filter(filter).ok_or(ReasonCode::TopicFilterInvalid)?;
        if !self.gate.roster.may_subscribe(&self.device.id, filter) {
            if self.gate.may_warn() {
                let filter = start_of(filter, 128);
                tracing::warn!(client = %self.device.id, filter, "may not subscribe to that: refused");
            }
            return Err(ReasonCode::NotAuthorized);
        }
        let subscriber = self.subscriber.get_or_insert_with(|| {
            Box::new(Subscriber::new(Membership::new(self.gate.fanout.clone(), self.number)))
        });
        let membership = &mut subscriber.membership;
        if membership.len() >= self.gate.limits.max_subscriptions && !membership.has(filter) {
            return Err(ReasonCode::QuotaExceeded);
        }
        let notes = membership.subscribe(&parsed, options, identifier, now);
        notes.into_iter().for_each(|note| self.ledger.note(note));
        Ok(())
    }

    /// What waits for the client already is still sent (3.10.4).
    pub(super) fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) {
        let codes: Vec<u8> = unsubscribe
            .filters()
            .map(|filter| {
                let subscriber = self.subscriber.as_mut();
                match subscriber.and_then(|it| it.membership.unsubscribe(filter)) {
                    Some(notes) => {
                        notes.into_iter().for_each(|note| self.ledger.note(note));
                        ReasonCode::Success
                    }
                    None => ReasonCode::NoSubscriptionExisted,
                }
            })
            .map(|code| code as u8)
            .collect();
        let packet_id = unsubscribe.packet_id;
        self.answer(|outbox, version| unsuback(outbox, version, packet_id, &codes));
    }

    /// An answer to what was never sent. It may be one to what an older connection of the same session was sent, and
    /// then it is of no consequence.
    pub(super) fn take_answer(&mut self, answer: Answer) {
        let Some(subscriber) = &mut self.subscriber else { return self.violated(Violation::Unexpected) };
        if !subscriber.answer(answer, self.version, &mut self.outbox) {
            tracing::debug!(client = %self.device.id, ?answer, "answers nothing");
        }
        self.note_deliveries();
    }

    /// What became of letters that outlive the process.
    fn note_deliveries(&mut self) {
        let Some(subscriber) = &mut self.subscriber else { return };
        let (notes, held) = subscriber.take_notes();
        notes.into_iter().for_each(|note| self.ledger.note(note));
        if !held.is_empty() {
            self.ledger.answer(&held);
        }
    }

    /// Writes what waits for the client. `true` when there is more than the outbox takes.
    pub(super) fn deliver(&mut self, cx: &Context<'_>) -> bool {
        let Some(subscriber) = self.subscriber.as_mut().filter(|_| self.ending.is_none()) else {
            return false;
        };
        let line = Line {
            version: self.version,
            maximum_packet_size: self.maximum_packet_size as usize,
            receive_maximum: self.receive_maximum.min(self.gate.limits.max_in_flight).into(),
            max_outbox: MAX_OUTBOX,
            now: (self.gate.clock)(),
        };
        let polled = subscriber.poll(cx, line, &self.gate.metrics, &mut self.outbox);
        self.note_deliveries();
        match polled {
            Ok(has_more) => has_more,
            Err(_) => {
                if self.gate.may_warn() {
                    let (client, id) = (&self.device.id, start_of(&self.place.client.id, 64));
                    tracing::warn!(%client, id, "a subscriber is too slow: closed, and its session is over");
                }
                self.end(Ending::TooSlow);
                false
            }
        }
    }
}
