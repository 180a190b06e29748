//! A PUBLISH: whose topic it is, what the payload says, and where it goes.

use super::ending::Ending;
use super::{Sender, Session};
use crate::normalize::{self, Arrival, Normalized, Rejection};
use crate::packet::Publish;
use firmware_protocol::{Topic, UpKind};
use records::{Producer, Reason, Timestamp};

/// A PUBLISH whose payload is over the limit. Its bytes are not gathered, but it is acknowledged like any other.
pub(super) struct Oversized {
    /// What of it is still to come.
    missing: usize,
    ingest_time: Timestamp,
    topic: String,
    packet_id: Option<u16>,
    payload_start: Vec<u8>,
}

/// How much of an oversized payload is kept while it passes by.
const KEPT: usize = 1024;

impl<P: Producer> Session<P> {
    pub(super) fn publish(&mut self, publish: &Publish<'_>, ingest_time: Timestamp) {
        let arrival = Arrival { device: &self.device.id, crs: self.device.crs, ingest_time };
        let normalized = match Topic::parse(publish.topic) {
            Ok(Topic::Up { device, kind }) if device == self.device.id => {
                normalize(arrival, kind, publish.payload)
            }
            Ok(_) => return self.forbid(publish.topic),
            Err(error) => Err(Rejection::new(Reason::UnknownTopic, error.to_string())),
        };
        self.ledger.enter(&self.device, arrival, publish, normalized);
    }

    /// MQTT 3.1.1 has no way to refuse one message, so the connection goes.
    fn forbid(&mut self, topic: &str) {
        if self.gate.may_warn() {
            tracing::warn!(device = %self.device.id, topic, "published to a topic that is not its own: closed");
        }
        self.gate.metrics.forbidden.inc();
        self.end(Ending::Forbidden);
    }

    /// An oversized PUBLISH is at the front of what was read, and `missing` bytes of it are not there yet.
    pub(super) fn begin_oversized(&mut self, publish: &Publish<'_>, missing: usize, ingest_time: Timestamp) {
        self.oversized = Some(Box::new(Oversized {
            missing,
            ingest_time,
            topic: publish.topic.to_owned(),
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
        let Oversized { ingest_time, topic, packet_id, payload_start, .. } = *oversized;
        if let Ok(topic_name) = Topic::parse(&topic)
            && !is_own(&self.device, &topic_name)
        {
            return self.forbid(&topic);
        }
        let detail = format!("a payload may have {} bytes", self.gate.limits.max_payload);
        let publish = Publish { topic: &topic, packet_id, payload: &payload_start };
        let arrival = Arrival { device: &self.device.id, crs: self.device.crs, ingest_time };
        self.ledger.enter(&self.device, arrival, &publish, Err(Rejection::new(Reason::TooLarge, detail)));
    }
}

fn is_own(sender: &Sender, topic: &Topic<'_>) -> bool {
    matches!(topic, Topic::Up { device, .. } if *device == sender.id)
}

fn normalize(arrival: Arrival<'_>, kind: UpKind, payload: &[u8]) -> Normalized {
    match kind {
        UpKind::Telemetry => normalize::telemetry(arrival, payload),
        UpKind::State => normalize::state(arrival, payload),
        UpKind::Reply => {
            Err(Rejection::new(Reason::UnknownTopic, "no command was sent that this could answer"))
        }
    }
}
