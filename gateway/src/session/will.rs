//! What a client wants to be published when it is gone without a word (MQTT, 3.1.2.5).
//!
//! A will is a message like any other: it is normalised, appended, counted, and sent to subscribers when it is durable.

use super::Sender;
use super::ledger::Ledger;
use super::publish::normalize;
use crate::fanout::{NOBODY, Said};
use crate::gateway::Gate;
use crate::normalize::{Arrival, Rejection};
use crate::packet::{self, Publish, QoS, Version};
use bytes::BytesMut;
use firmware_protocol::Topic;
use records::{Producer, Reason};
use std::sync::Arc;
use std::task::Poll;

/// A will, as long as its connection lives.
#[derive(Debug)]
pub(super) struct Will {
    topic: Box<str>,
    payload: Box<[u8]>,
    qos: QoS,
    is_retained: bool,
    properties: Box<[u8]>,
    /// Seconds.
    pub delay: u32,
}

/// A will whose connection is gone.
pub(crate) struct Testament {
    pub(super) will: Box<Will>,
    pub(super) sender: Sender,
}

impl Will {
    pub(super) fn new(will: &packet::Will<'_>) -> Will {
        Will {
            topic: will.topic.into(),
            payload: will.payload.into(),
            qos: will.qos,
            is_retained: will.is_retained,
            properties: will.properties.into(),
            delay: will.delay,
        }
    }

    /// Enters it as if its sender had just published it.
    pub(super) fn enter<P: Producer>(&self, ledger: &mut Ledger, sender: &Sender, gate: &Gate<P>) {
        let arrival = Arrival { device: &sender.id, crs: sender.crs, ingest_time: (gate.clock)() };
        let publish = Publish {
            topic: &self.topic,
            qos: self.qos,
            packet_id: None,
            is_retained: self.is_retained,
            alias: None,
            is_text: false,
            properties: &self.properties,
            payload: &self.payload,
        };
        let normalized = match Topic::parse(&self.topic) {
            Ok(Topic::Up { kind, .. }) => normalize(arrival, kind, &self.payload),
            _ => Err(Rejection::new(Reason::UnknownTopic, "a will with a topic name that nobody knows")),
        };
        let said = Said::of(&publish, NOBODY);
        let publication =
            normalized.as_ref().ok().and_then(|_| gate.fanout.publication(&said, arrival.ingest_time));
        ledger.enter(sender, arrival, &publish, Version::V311, normalized, publication);
    }
}

impl Testament {
    /// Seconds from the end of the connection.
    pub(crate) fn delay(&self) -> u32 {
        self.will.delay
    }

    /// Returns when it is durable, or the log is closed.
    pub(crate) async fn execute<P: Producer>(self, gate: Arc<Gate<P>>) {
        let Testament { will, sender } = self;
        let (mut ledger, mut nowhere) = (Ledger::default(), BytesMut::new());
        will.enter(&mut ledger, &sender, &gate);
        std::future::poll_fn(|cx| match ledger.poll(cx, &gate, &sender, Version::V311, &mut nowhere) {
            Ok(()) if ledger.is_empty() => Poll::Ready(()),
            Ok(()) => Poll::Pending,
            Err(_) => {
                gate.metrics.count_abandoned(ledger.abandon());
                gate.log_closed.cancel();
                Poll::Ready(())
            }
        })
        .await;
    }
}
