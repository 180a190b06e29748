//! The client's side of MQTT 3.1.1 and 5, made one.

use super::{MqttVersion, SourceConfig};
use crate::Limits;
use bytes::Bytes;
use rumqttc::{QoS, v5};

/// Requests that wait for the event loop: an acknowledgement for every packet id there is, and some more.
const REQUESTS: usize = 70_000;

/// The largest packet that MQTT knows. A limit of our own would end the connection over a message that the broker
/// keeps, again and again; what is too large goes to quarantine instead.
const MAX_PACKET: usize = 268_435_460;

/// How long the broker keeps the session of a client that is gone, s.
const SESSION_EXPIRY: u32 = u32::MAX;

/// Says things to the broker.
pub(super) enum Link {
    V311(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

/// Hears them.
pub(super) enum Events {
    V311(Box<rumqttc::EventLoop>),
    V5(Box<v5::EventLoop>),
}

/// What was heard.
pub(super) enum Heard {
    Connected,
    Published(Delivery),
    /// For each filter, whether it was granted.
    Subscribed(Vec<bool>),
    Unsubscribed,
    /// The connection is gone, or was not made.
    Lost(String),
    Nothing,
}

/// A message of the broker.
pub(super) struct Delivery {
    topic: String,
    payload: Bytes,
    /// To be acknowledged under this number; nothing at QoS 0.
    packet_id: Option<u16>,
}

/// A link that is not connected yet; hearing makes it connect.
pub(super) fn open(config: &SourceConfig, limits: &Limits) -> (Link, Events) {
    match config.version {
        MqttVersion::V311 => {
            let (client, events) = rumqttc::AsyncClient::new(options_v311(config), REQUESTS);
            (Link::V311(client), Events::V311(Box::new(events)))
        }
        MqttVersion::V5 => {
            let (client, events) = v5::AsyncClient::new(options_v5(config, limits), REQUESTS);
            (Link::V5(client), Events::V5(Box::new(events)))
        }
    }
}

fn options_v311(config: &SourceConfig) -> rumqttc::MqttOptions {
    let mut options = rumqttc::MqttOptions::new(config.client_id(), &config.host, config.port);
    options.set_clean_session(false).set_manual_acks(true).set_keep_alive(config.keep_alive);
    options.set_max_packet_size(MAX_PACKET, MAX_PACKET);
    if let Some((user, password)) = &config.login {
        options.set_credentials(user, password);
    }
    options
}

fn options_v5(config: &SourceConfig, limits: &Limits) -> v5::MqttOptions {
    let mut options = v5::MqttOptions::new(config.client_id(), &config.host, config.port);
    options.set_clean_start(false).set_manual_acks(true).set_keep_alive(config.keep_alive);
    options.set_session_expiry_interval(Some(SESSION_EXPIRY));
    options.set_max_packet_size(Some(MAX_PACKET as u32));
    options.set_receive_maximum(Some(u16::try_from(limits.max_waiting_messages).unwrap_or(u16::MAX).max(1)));
    if let Some((user, password)) = &config.login {
        options.set_credentials(user, password);
    }
    options
}

impl Link {
    /// Whether it was passed on. It isn't only when nobody polls the event loop any more.
    pub(super) fn acknowledge(&self, packet_id: u16) -> bool {
        match self {
            Link::V311(client) => {
                let mut publish = rumqttc::Publish::new("", QoS::AtLeastOnce, "");
                publish.pkid = packet_id;
                client.try_ack(&publish).is_ok()
            }
            Link::V5(client) => {
                let mut publish =
                    v5::mqttbytes::v5::Publish::new("", v5::mqttbytes::QoS::AtLeastOnce, "", None);
                publish.pkid = packet_id;
                client.try_ack(&publish).is_ok()
            }
        }
    }

    pub(super) fn subscribe(&self, filters: &[String]) {
        let asked =
            match self {
                Link::V311(client) => client
                    .try_subscribe_many(
                        filters
                            .iter()
                            .map(|filter| rumqttc::SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce)),
                    )
                    .map_err(|error| error.to_string()),
                Link::V5(client) => client
                    .try_subscribe_many(filters.iter().map(|filter| {
                        v5::mqttbytes::v5::Filter::new(filter, v5::mqttbytes::QoS::AtLeastOnce)
                    }))
                    .map_err(|error| error.to_string()),
            };
        if let Err(error) = asked {
            tracing::warn!(error, "the subscription could not be asked for");
        }
    }

    pub(super) fn unsubscribe(&self, filter: &str) {
        let asked = match self {
            Link::V311(client) => client.try_unsubscribe(filter).map_err(|error| error.to_string()),
            Link::V5(client) => client.try_unsubscribe(filter).map_err(|error| error.to_string()),
        };
        if let Err(error) = asked {
            tracing::warn!(error, filter, "the end of a subscription could not be asked for");
        }
    }

    /// Asks for a good end, in which the broker keeps the session.
    pub(super) fn disconnect(&self) {
        let _ = match self {
            Link::V311(client) => client.try_disconnect().is_ok(),
            Link::V5(client) => client.try_disconnect().is_ok(),
        };
    }
}

impl Events {
    /// The next thing that happens. Not to be dropped before it is done.
    pub(super) async fn next(&mut self) -> Heard {
        match self {
            Events::V311(events) => match events.poll().await {
                Ok(rumqttc::Event::Incoming(packet)) => heard_v311(packet),
                Ok(rumqttc::Event::Outgoing(_)) => Heard::Nothing,
                Err(error) => Heard::Lost(error.to_string()),
            },
            Events::V5(events) => match events.poll().await {
                Ok(v5::Event::Incoming(packet)) => heard_v5(packet),
                Ok(v5::Event::Outgoing(_)) => Heard::Nothing,
                Err(error) => Heard::Lost(error.to_string()),
            },
        }
    }
}

fn heard_v311(packet: rumqttc::Packet) -> Heard {
    use rumqttc::{Packet, SubscribeReasonCode};
    match packet {
        Packet::ConnAck(_) => Heard::Connected,
        Packet::Publish(publish) => {
            let packet_id = (publish.qos != QoS::AtMostOnce).then_some(publish.pkid);
            Heard::Published(Delivery { topic: publish.topic, payload: publish.payload, packet_id })
        }
        Packet::SubAck(ack) => {
            let is_granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
            Heard::Subscribed(ack.return_codes.iter().map(is_granted).collect())
        }
        Packet::UnsubAck(_) => Heard::Unsubscribed,
        _ => Heard::Nothing,
    }
}

fn heard_v5(packet: v5::mqttbytes::v5::Packet) -> Heard {
    use v5::mqttbytes::v5::{Packet, SubscribeReasonCode};
    match packet {
        Packet::ConnAck(_) => Heard::Connected,
        Packet::Publish(publish) => {
            let packet_id = (publish.qos != v5::mqttbytes::QoS::AtMostOnce).then_some(publish.pkid);
            let topic = String::from_utf8_lossy(&publish.topic).into_owned();
            Heard::Published(Delivery { topic, payload: publish.payload, packet_id })
        }
        Packet::SubAck(ack) => {
            let is_granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
            Heard::Subscribed(ack.return_codes.iter().map(is_granted).collect())
        }
        Packet::UnsubAck(_) => Heard::Unsubscribed,
        _ => Heard::Nothing,
    }
}

impl Delivery {
    pub(super) fn packet_id(&self) -> Option<u16> {
        self.packet_id
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }
}
