//! A PUBLISH: whose topic it is, what the payload says, and where it goes.

use super::Session;
use super::ending::Ending;
use crate::fanout::{NOBODY, Publication, Said};
use crate::normalize::{self, Arrival, Normalized, Rejection, start_of};
use crate::packet::{Publish, QoS, ReasonCode, Version, Violation};
use firmware_protocol::{Topic, UpKind};
use records::{Producer, Reason, Timestamp};

/// A PUBLISH whose payload is over the limit. Its bytes are not gathered, but it is acknowledged like any other.
pub(super) struct Oversized {
    /// What of it is still to come.
    missing: usize,
    ingest_time: Timestamp,
    topic: String,
    qos: QoS,
    packet_id: Option<u16>,
    payload_start: Vec<u8>,
}

/// How much of an oversized payload is kept while it passes by.
const KEPT: usize = 1024;

impl<P: Producer> Session<P> {
    pub(super) fn publish(&mut self, publish: &Publish<'_>, ingest_time: Timestamp) {
        if self.is_ahead(publish) {
            return self.violated(Violation::ReceiveMaximum);
        }
        match publish.alias {
            None => self.enter(publish, ingest_time),
            Some(_) => self.publish_by_alias(publish, ingest_time),
        }
    }

    /// Whether the client has more in flight than it may. A client of MQTT 3.1.1 was not told how many that are, and
    /// only what it leaves unreleased counts.
    fn is_ahead(&self, publish: &Publish<'_>) -> bool {
        let max = usize::from(self.gate.limits.max_in_flight);
        let is_known = publish.packet_id.is_none_or(|id| self.ledger.received.is_durable(id).is_some());
        let in_flight = match self.version {
            Version::V5 => self.ledger.in_flight(),
            Version::V311 => self.ledger.received.len(),
        };
        !is_known && in_flight >= max && (self.version == Version::V5 || publish.qos == QoS::ExactlyOnce)
    }

    /// Whether this is a message of QoS 2 that was received before.
    fn is_repeated(&mut self, publish: &Publish<'_>) -> bool {
        let packet_id = publish.packet_id.filter(|_| publish.qos == QoS::ExactlyOnce);
        let is_repeated = packet_id.is_some_and(|id| self.ledger.is_repeated(id));
        if is_repeated {
            self.gate.metrics.repeated.inc();
        }
        is_repeated
    }

    fn publish_by_alias(&mut self, publish: &Publish<'_>, ingest_time: Timestamp) {
        let mut aliases = std::mem::take(&mut self.aliases);
        match aliases.resolve(publish, self.gate.limits.max_topic_aliases) {
            Ok(topic) => self.enter(&Publish { topic, ..*publish }, ingest_time),
            Err(violation) => self.violated(violation),
        }
        self.aliases = aliases;
    }

    fn enter(&mut self, publish: &Publish<'_>, ingest_time: Timestamp) {
        if !self.gate.limits.allows_topic(publish.topic) {
            return self.violated(Violation::TopicLimit);
        }
        if self.is_repeated(publish) {
            return;
        }
        let arrival = Arrival { device: &self.device.id, crs: self.device.crs, ingest_time };
        if !self.device.is_device {
            return self.forbid(publish);
        }
        let is_clearing = publish.is_retained && publish.payload.is_empty();
        let normalized = match Topic::parse(publish.topic) {
            Ok(Topic::Up { device, .. }) if device != self.device.id => return self.forbid(publish),
            Ok(Topic::Command { .. }) => return self.forbid(publish),
            Ok(Topic::Up { .. }) if is_clearing => return self.clear(publish, ingest_time),
            _ if self.shed(publish, ingest_time) => return,
            Ok(Topic::Up { kind, .. }) => match check(publish, self.gate.limits.max_payload) {
                Ok(()) => normalize(arrival, kind, publish.payload),
                Err(rejection) => Err(rejection),
            },
            Err(error) => Err(Rejection::new(Reason::UnknownTopic, error.to_string())),
        };
        let publication = if normalized.is_ok() { self.publication(publish, ingest_time) } else { None };
        self.ledger.enter(&self.device, arrival, publish, self.version, normalized, publication);
    }

    /// What subscribers get of a message; `None` when nobody wants it.
    fn publication(&self, publish: &Publish<'_>, now: Timestamp) -> Option<Publication> {
        let origin = self.subscriber.as_ref().map_or(NOBODY, |it| it.membership.mailbox.id);
        self.gate.fanout.publication(&Said::of(publish, origin), now)
    }

    /// An empty message with RETAIN takes back what was retained (3.3.1.3). It says nothing else.
    fn clear(&mut self, publish: &Publish<'_>, now: Timestamp) {
        let Some(publication) = self.publication(publish, now) else { return };
        self.gate.metrics.cleared.inc();
        self.ledger.clear(publish, self.version, publication, now);
    }

    /// Whether a message is left out; it is counted then.
    fn shed(&self, publish: &Publish<'_>, ingest_time: Timestamp) -> bool {
        let is_shed = publish.qos == QoS::AtMostOnce && self.device.may_be_shed && self.gate.shed.is_due();
        if is_shed {
            self.gate.shed.enter(&self.device.id, publish.topic, ingest_time);
        }
        is_shed
    }

    /// MQTT 5 can refuse one message if it is one that is answered; otherwise the connection goes.
    fn forbid(&mut self, publish: &Publish<'_>) {
        if self.gate.may_warn() {
            let topic = start_of(publish.topic, 128);
            tracing::warn!(device = %self.device.id, topic, "published to a topic that is not its own: refused");
        }
        self.gate.metrics.forbidden.inc();
        match (self.version, publish.packet_id) {
            (Version::V5, Some(packet_id)) => {
                self.ledger.refuse(publish.qos, packet_id, ReasonCode::NotAuthorized);
            }
            _ => self.end(Ending::Forbidden),
        }
    }

    /// An oversized PUBLISH is at the front of what was read, and `missing` bytes of it are not there yet.
    pub(super) fn begin_oversized(&mut self, publish: &Publish<'_>, missing: usize, ingest_time: Timestamp) {
        if self.is_ahead(publish) {
            return self.violated(Violation::ReceiveMaximum);
        }
        if !self.gate.limits.allows_topic(publish.topic) {
            return self.violated(Violation::TopicLimit);
        }
        self.oversized = Some(Box::new(Oversized {
            missing,
            ingest_time,
            topic: publish.topic.to_owned(),
            qos: publish.qos,
            packet_id: publish.packet_id,
            payload_start: publish.payload[..publish.payload.len().min(KEPT)].to_vec(),
        }));
        self.pass_by(&[]);
    }

    /// Lets the bytes of an oversized PUBLISH pass, and returns how many; 0 when there is none.
    pub(super) fn pass_by(&mut self, bytes: &[u8]) -> usize {
        let Some(oversized) = &mut self.oversized else { return 0 };
        let passed = oversized.missing.min(bytes.len());
        let kept = passed.min(KEPT - oversized.payload_start.len());
        oversized.payload_start.extend_from_slice(&bytes[..kept]);
        oversized.missing -= passed;
        if oversized.missing == 0 {
            self.end_oversized();
        }
        passed
    }

    fn end_oversized(&mut self) {
        let Some(oversized) = self.oversized.take() else { return };
        self.has_finished = true;
        self.published += 1;
        let Oversized { ingest_time, topic, qos, packet_id, payload_start, .. } = *oversized;
        let payload = &payload_start[..];
        let publish = Publish {
            topic: &topic,
            qos,
            packet_id,
            is_retained: false,
            alias: None,
            is_text: false,
            properties: &[],
            payload,
        };
        if self.is_repeated(&publish) {
            return;
        }
        if !self.device.is_device {
            return self.forbid(&publish);
        }
        if is_foreign(&self.device.id, &topic) {
            return self.forbid(&publish);
        }
        if self.shed(&publish, ingest_time) {
            return;
        }
        let arrival = Arrival { device: &self.device.id, crs: self.device.crs, ingest_time };
        let rejection = too_large(self.gate.limits.max_payload);
        self.ledger.enter(&self.device, arrival, &publish, self.version, Err(rejection), None);
    }
}

/// What MQTT itself lets us say against a payload.
fn check(publish: &Publish<'_>, max_payload: usize) -> Result<(), Rejection> {
    if publish.payload.len() > max_payload {
        return Err(too_large(max_payload));
    }
    match publish.is_text.then(|| std::str::from_utf8(publish.payload)) {
        Some(Err(error)) => {
            Err(Rejection::new(Reason::Malformed, format!("not the UTF-8 that it was said to be: {error}")))
        }
        _ => Ok(()),
    }
}

fn too_large(max_payload: usize) -> Rejection {
    Rejection::new(Reason::TooLarge, format!("a payload may have {max_payload} bytes"))
}

/// Whether a topic name is one of ours that a device may not publish to: another's, or one for commands.
pub(super) fn is_foreign(device: &str, topic: &str) -> bool {
    match Topic::parse(topic) {
        Ok(Topic::Up { device: owner, .. }) => owner != device,
        Ok(Topic::Command { .. }) => true,
        Err(_) => false,
    }
}

pub(super) fn normalize(arrival: Arrival<'_>, kind: UpKind, payload: &[u8]) -> Normalized {
    match kind {
        UpKind::Telemetry => normalize::telemetry(arrival, payload),
        UpKind::State => normalize::state(arrival, payload),
        UpKind::Reply => {
            Err(Rejection::new(Reason::UnknownTopic, "no command was sent that this could answer"))
        }
    }
}
