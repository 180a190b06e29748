//! What one gateway and one connection may use.

use crate::packet::MAX_CONTROL;
use std::time::Duration;

/// Bounds, with defaults that suit a small machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Sockets open at once. One more is closed as soon as it was accepted.
    pub max_connections: usize,
    /// The same from one address; in IPv6 from one network of 64 bits.
    pub max_connections_per_address: usize,
    /// Bytes of a payload. A larger one goes to quarantine with its first bytes.
    pub max_payload: usize,
    /// Bytes of a topic name or filter.
    pub max_topic: usize,
    /// Levels of one.
    pub max_topic_levels: usize,
    /// Messages of QoS above 0 that a client of MQTT 5 may have unacknowledged; it is told. Messages of QoS 2 that a
    /// client of any version may have unreleased.
    pub max_in_flight: u16,
    /// Topic aliases that a client of MQTT 5 may use; it is told.
    pub max_topic_aliases: u16,
    /// The longest keep alive of a client of MQTT 5, in seconds: one that asks for more, or for none, is told to
    /// keep this. A client of 3.1.1 can't be told, and keeps its own.
    pub max_keep_alive: u16,
    /// How long a session may outlive its connection, in seconds: one that asks for more gets this.
    pub max_session_expiry: u32,
    /// Sessions without a connection that are kept for one device.
    pub max_kept_sessions: usize,
    /// From accept to the end of the TLS handshake and of the upgrade to a WebSocket.
    pub handshake_timeout: Duration,
    /// From there to CONNACK.
    pub connect_timeout: Duration,
    /// From a packet's first byte to its last, whatever the keep alive is; and how long a client may take none of the
    /// bytes that it is sent.
    pub packet_timeout: Duration,
    /// Messages that a device may publish in a second, over all its connections and in the long run; 0 is no bound.
    pub max_publish_rate: u32,
    /// How many of them may come at once.
    pub max_publish_burst: u32,
    /// Messages of one connection that were read and are not yet handed to the log, because an append is under
    /// way; at this many the gateway stops reading from its socket.
    pub max_waiting_messages: usize,
    /// The same in bytes of records.
    pub max_waiting_bytes: usize,
    /// How long a session that ends may take to bring what it has received to the log.
    pub drain_timeout: Duration,
    /// Topic filters of one session.
    pub max_subscriptions: usize,
    /// Messages that may wait for one subscriber, also while it is away; one more of QoS above 0 ends its session.
    pub max_queued_messages: usize,
    /// The same in bytes.
    pub max_queued_bytes: usize,
    /// Messages that are retained.
    pub max_retained_messages: usize,
    /// The same in bytes.
    pub max_retained_bytes: usize,
    /// Bytes that may wait for the router.
    pub max_fanout_bytes: usize,
    /// Passwords checked against their hash at once; the others wait.
    pub max_verifications: usize,
}

/// What topic name and properties may add to a payload in a packet of MQTT 5.
const PUBLISH_HEAD: usize = 4096;

impl Limits {
    /// Whether a topic name or filter is short enough.
    pub(crate) fn allows_topic(&self, topic: &str) -> bool {
        topic.len() <= self.max_topic
            && topic.bytes().filter(|it| *it == b'/').count() < self.max_topic_levels
    }

    /// What the metrics show of it, by name.
    pub(crate) fn shown(&self) -> [(&'static str, f64); 15] {
        [
            ("connections", self.max_connections as f64),
            ("connections_per_address", self.max_connections_per_address as f64),
            ("handshake_seconds", self.handshake_timeout.as_secs_f64()),
            ("connect_seconds", self.connect_timeout.as_secs_f64()),
            ("packet_seconds", self.packet_timeout.as_secs_f64()),
            ("publish_rate", f64::from(self.max_publish_rate)),
            ("publish_burst", f64::from(self.max_publish_burst)),
            ("payload_bytes", self.max_payload as f64),
            ("packet_bytes", self.max_packet() as f64),
            ("topic_bytes", self.max_topic as f64),
            ("topic_levels", self.max_topic_levels as f64),
            ("in_flight", f64::from(self.max_in_flight)),
            ("subscriptions", self.max_subscriptions as f64),
            ("retained_messages", self.max_retained_messages as f64),
            ("retained_bytes", self.max_retained_bytes as f64),
        ]
    }

    /// Bytes of a packet of MQTT 5: a client is told, and one that sends more is disconnected.
    pub(crate) fn max_packet(&self) -> usize {
        self.max_payload.saturating_add(PUBLISH_HEAD)
    }

    /// Bytes of a message in a WebSocket, which is gathered before it is read: the longest packet that is taken, with
    /// as much again for others beside it.
    pub(crate) fn max_websocket_message(&self) -> usize {
        self.max_packet().max(MAX_CONTROL).saturating_mul(2)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_connections: 20_000,
            max_connections_per_address: 10_000,
            max_payload: 256 << 10,
            max_topic: 1024,
            max_topic_levels: 32,
            max_in_flight: 1024,
            max_topic_aliases: 16,
            max_keep_alive: 3600,
            max_session_expiry: 86_400,
            max_kept_sessions: 8,
            handshake_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            packet_timeout: Duration::from_secs(120),
            max_publish_rate: 20_000,
            max_publish_burst: 40_000,
            max_waiting_messages: 4096,
            max_waiting_bytes: 512 << 10,
            drain_timeout: Duration::from_secs(5),
            max_subscriptions: 256,
            max_queued_messages: 10_000,
            max_queued_bytes: 16 << 20,
            max_retained_messages: 100_000,
            max_retained_bytes: 64 << 20,
            max_fanout_bytes: 32 << 20,
            max_verifications: 2,
        }
    }
}
