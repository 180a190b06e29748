//! A client library that devices might use, against a gateway.

mod support;

use rumqttc::{AsyncClient, ConnectReturnCode, ConnectionError, Event, MqttOptions, Packet, QoS};
use std::time::Duration;
use support::*;

fn options(site: &Site, device: &str, password: &str) -> MqttOptions {
    let mut options = MqttOptions::new(device, "127.0.0.1", site.address.port());
    options.set_credentials(device, password).set_keep_alive(Duration::from_secs(5)).set_inflight(100);
    options
}

#[tokio::test]
async fn a_thousand_messages_many_in_flight() {
    const MESSAGES: u64 = 1000;
    let site = Site::open(&["d-1"]).await;
    let (client, mut events) = AsyncClient::new(options(&site, "d-1", PASSWORD), 10);
    let publisher = tokio::spawn(async move {
        for sequence in 1..=MESSAGES {
            let payload = reading(sequence);
            client.publish("up/d-1/telemetry", QoS::AtLeastOnce, false, payload).await.unwrap();
        }
        client
    });
    let mut acknowledged = Vec::new();
    while acknowledged.len() < MESSAGES as usize {
        if let Event::Incoming(Packet::PubAck(puback)) = events.poll().await.unwrap() {
            acknowledged.push(puback.pkid);
        }
    }
    // The client counts its packet ids from 1 to 100 and around.
    let expected: Vec<u16> = (0..MESSAGES as u16).map(|index| index % 100 + 1).collect();
    assert_eq!(acknowledged, expected);
    assert_eq!(site.log.sequences("d-1"), (1..=MESSAGES).collect::<Vec<_>>());
    publisher.await.unwrap().disconnect().await.unwrap();
    assert!(matches!(events.poll().await, Ok(Event::Outgoing(_)) | Err(_)));
    site.close().await;
}

#[tokio::test]
async fn it_understands_why_it_is_refused() {
    let site = Site::open(&["d-1"]).await;
    let (_client, mut events) = AsyncClient::new(options(&site, "d-1", "wrong"), 10);
    let refused = events.poll().await.unwrap_err();
    let is_refused =
        matches!(refused, ConnectionError::ConnectionRefused(ConnectReturnCode::BadUserNamePassword));
    assert!(is_refused, "{refused}");
    site.close().await;
}

#[tokio::test]
async fn the_same_client_speaks_5() {
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason, PublishProperties};
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};

    let site = Site::open(&["d-1"]).await;
    let mut options = MqttOptions::new("d-1", "127.0.0.1", site.address.port());
    options.set_credentials("d-1", PASSWORD).set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = AsyncClient::new(options, 10);
    let properties = || PublishProperties { topic_alias: Some(2), ..PublishProperties::default() };
    let publish = async |topic: &str, payload| {
        client.publish_with_properties(topic, QoS::AtLeastOnce, false, payload, properties()).await.unwrap();
    };
    publish("up/d-1/telemetry", reading(1)).await;
    publish("", reading(2)).await;
    publish("up/d-2/telemetry", reading(3)).await;
    let mut reasons = Vec::new();
    while reasons.len() < 3 {
        match events.poll().await.unwrap() {
            Event::Incoming(Packet::ConnAck(connack)) => {
                let told = connack.properties.unwrap();
                assert_eq!((told.receive_max, told.topic_alias_max), (Some(1024), Some(16)));
            }
            Event::Incoming(Packet::PubAck(puback)) => reasons.push(puback.reason),
            _ => {}
        }
    }
    assert_eq!(reasons, [PubAckReason::Success, PubAckReason::Success, PubAckReason::NotAuthorized]);
    assert_eq!(site.log.sequences("d-1"), [1, 2]);
    site.close().await;
}
