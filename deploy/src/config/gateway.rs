//! `[gateway]`: where devices connect, and what they may use.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use gateway::Limits;

use super::section::{Problems, Section};

/// `[gateway]`
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayConfig {
    /// MQTT listener.
    pub listen: SocketAddr,
    /// Whether subscribers get alerts, aggregates and observations; on the embedded log they do unless somebody says
    /// no, on Kafka they don't unless somebody says yes: they would come over the gateway's uplink.
    pub results: Option<bool>,
    /// What all connections, and each of them, may use.
    pub limits: Limits,
}

impl Default for GatewayConfig {
    fn default() -> GatewayConfig {
        GatewayConfig { listen: super::loopback(1883), results: None, limits: Limits::default() }
    }
}

/// A handshake, or the way to CONNACK.
const TIMEOUT: Range<Duration> = Duration::from_millis(100)..Duration::from_secs(3600);

/// Reads the section.
pub fn read(mut from: Section<'_>, problems: &mut Problems<'_>) -> GatewayConfig {
    let GatewayConfig { listen, limits, .. } = GatewayConfig::default();
    let gateway = GatewayConfig {
        listen: from.address("listen", listen, problems),
        results: from.span("results").map(|_| from.flag("results", false, problems)),
        limits: read_limits(&mut from, limits, problems),
    };
    from.end(problems);
    gateway
}

fn read_limits(from: &mut Section<'_>, default: Limits, problems: &mut Problems<'_>) -> Limits {
    let mut number =
        |name, default, range: Range<u64>| count(from.number(name, default as u64, range, problems));
    let limits = Limits {
        max_connections: number("max_connections", default.max_connections, 1..1_000_001),
        max_connections_per_address: number(
            "max_connections_per_address",
            default.max_connections_per_address,
            1..1_000_001,
        ),
        max_topic: number("max_topic_bytes", default.max_topic, 80..65_536),
        max_topic_levels: number("max_topic_levels", default.max_topic_levels, 3..65_536),
        max_retained_messages: number("max_retained_messages", default.max_retained_messages, 0..100_000_001),
        max_subscriptions: number("max_subscriptions", default.max_subscriptions, 1..65_536),
        ..default
    };
    let in_flight = from.number("max_in_flight", u64::from(limits.max_in_flight), 1..65_536, problems);
    let per_second =
        from.number("max_publish_rate", u64::from(limits.max_publish_rate), 0..1_000_001, problems);
    let burst = from.number("max_publish_burst", u64::from(limits.max_publish_burst), 1..1_000_001, problems);
    let payload = from.size("max_payload", limits.max_payload as u64, 256..64 << 20, problems);
    let retained = from.size("max_retained", limits.max_retained_bytes as u64, 0..1 << 40, problems);
    Limits {
        max_in_flight: u16::try_from(in_flight).unwrap_or(limits.max_in_flight),
        max_publish_rate: u32::try_from(per_second).unwrap_or(limits.max_publish_rate),
        max_publish_burst: u32::try_from(burst).unwrap_or(limits.max_publish_burst),
        max_payload: count(payload),
        max_retained_bytes: count(retained),
        handshake_timeout: from.duration("handshake_timeout", limits.handshake_timeout, TIMEOUT, problems),
        connect_timeout: from.duration("connect_timeout", limits.connect_timeout, TIMEOUT, problems),
        packet_timeout: from.duration("packet_timeout", limits.packet_timeout, TIMEOUT, problems),
        ..limits
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn every_limit_can_be_chosen() {
        let text = r#"
            [gateway]
            max_connections = 7
            max_connections_per_address = 6
            max_payload = "1 KiB"
            max_in_flight = 5
            max_topic_bytes = 100
            max_topic_levels = 4
            max_subscriptions = 3
            max_retained_messages = 2
            max_retained = "2 KiB"
            handshake_timeout = "2s"
            connect_timeout = "1s"
            packet_timeout = "3s"
            max_publish_rate = 10
            max_publish_burst = 20
        "#;
        let expected = Limits {
            max_connections: 7,
            max_connections_per_address: 6,
            max_payload: 1024,
            max_in_flight: 5,
            max_topic: 100,
            max_topic_levels: 4,
            max_subscriptions: 3,
            max_retained_messages: 2,
            max_retained_bytes: 2048,
            handshake_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(1),
            packet_timeout: Duration::from_secs(3),
            max_publish_rate: 10,
            max_publish_burst: 20,
            ..Limits::default()
        };
        assert_eq!(Config::parse(text).expect("all keys are right").gateway.limits, expected);
    }
}
