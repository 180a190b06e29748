//! What a hostile client may try, one by one, in both versions: the answer is exactly this, and nobody else notices.
//! Those who take their time are in `limits.rs`, `tls.rs` and `websocket.rs`; `hostile.rs` tries what nobody thought of.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

mod support;

use records::Topic;
use support::*;

const SUBACK_REFUSED: [u8; 5] = [0x90, 3, 0, 7, 0x80];
const SUBACK_REFUSED_V5: [u8; 6] = [0x90, 4, 0, 7, 0, 0x87];

/// DISCONNECT of MQTT 5.
fn end(code: u8) -> Vec<u8> {
    vec![0xe0, 2, code, 0]
}

fn puback_v5(id: u8, code: u8) -> Vec<u8> {
    vec![0x40, 3, 0, id, code]
}

/// PUBLISH whose topic name is any bytes; of MQTT 5 with properties.
fn say(first: u8, topic: &[u8], id: u8, properties: Option<&[u8]>, payload: &[u8]) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend(topic);
    body.extend([0, id]);
    body.extend(properties.iter().flat_map(|it| [&[it.len() as u8], *it].concat()));
    body.extend(payload);
    packet(first, &body)
}

/// What comes of it.
enum Then {
    /// This is said, and the connection is closed.
    Closed(Vec<u8>),
    /// This is said, and the session goes on.
    GoesOn(Vec<u8>),
}

use Then::{Closed, GoesOn};

/// What is said behind CONNECT, and what comes of it.
type Attempt = (Vec<u8>, Then);

#[tokio::test]
async fn whatever_is_tried_has_its_answer() {
    let site = Site::open(&["d-1", "d-2"]).await;
    let mut bystander = site.connect("d-2").await;
    let own = b"up/d-1/telemetry".as_slice();
    let reading = reading(1);
    let megabyte = vec![b'x'; 1 << 20];
    let long = vec![b'x'; 65_535];
    let hello = [connect("d-1", 0, "d-1", PASSWORD), connect_v5("d-1", "d-1", &[])];
    let subscribe_v5 = |filter: &str| packet(0x82, &[&[0, 7, 0], &string(filter)[..], &[1]].concat());
    let plain = |first, topic: &[u8], id| say(first, topic, id, None, &reading);
    let five = |first, topic: &[u8], id| say(first, topic, id, Some(&[]), &reading);

    // What, in 3.1.1, in MQTT 5.
    let cases: Vec<(&str, Attempt, Attempt)> = vec![
        (
            "a megabyte behind a topic name of 65,535 bytes",
            (say(0x32, &long, 1, None, &megabyte), Closed(vec![])),
            (say(0x32, &long, 1, Some(&[]), &megabyte), Closed(end(0x95))),
        ),
        (
            "a filter of 65,535 bytes, which makes SUBSCRIBE longer than any may be",
            (subscribe(7, &"x".repeat(65_535), 1), Closed(vec![])),
            (subscribe_v5(&"x".repeat(65_535)), Closed(end(0x95))),
        ),
        (
            "a filter of 60,000 bytes",
            (subscribe(7, &"x".repeat(60_000), 1), GoesOn(SUBACK_REFUSED.to_vec())),
            (subscribe_v5(&"x".repeat(60_000)), GoesOn(vec![0x90, 4, 0, 7, 0, 0x97])),
        ),
        (
            "alias 0, and an empty topic name",
            (plain(0x32, b"", 1), Closed(vec![])),
            (say(0x32, own, 1, Some(&[0x23, 0, 0]), &reading), Closed(end(0x94))),
        ),
        ("packet id 0", (plain(0x32, own, 0), Closed(vec![])), (five(0x32, own, 0), Closed(end(0x82)))),
        ("QoS 3", (plain(0x36, own, 1), Closed(vec![])), (five(0x36, own, 1), Closed(end(0x81)))),
        ("two CONNECTs", (hello[0].clone(), Closed(vec![])), (hello[1].clone(), Closed(end(0x82)))),
        (
            "a topic name beyond ASCII",
            (plain(0x32, "up/d-1/温度".as_bytes(), 1), GoesOn(puback(1).to_vec())),
            (five(0x32, "up/d-1/温度".as_bytes(), 1), GoesOn(puback_v5(1, 0x90))),
        ),
        (
            "one that begins beyond ASCII",
            (plain(0x32, "é/x".as_bytes(), 1), GoesOn(puback(1).to_vec())),
            (five(0x32, "é/x".as_bytes(), 1), GoesOn(puback_v5(1, 0x90))),
        ),
        (
            "a surrogate in it",
            (plain(0x32, b"up/\xed\xa0\x80", 1), Closed(vec![])),
            (five(0x32, b"up/\xed\xa0\x80", 1), Closed(end(0x90))),
        ),
        (
            "U+0000 in it",
            (plain(0x32, b"up/d-1/tele\0metry", 1), Closed(vec![])),
            (five(0x32, b"up/d-1/tele\0metry", 1), Closed(end(0x90))),
        ),
        (
            "wildcards in it",
            (plain(0x32, b"up/+/telemetry", 1), Closed(vec![])),
            (five(0x32, b"up/#", 1), Closed(end(0x90))),
        ),
        (
            "a device subscribes to everything",
            (subscribe(7, "#", 1), GoesOn(SUBACK_REFUSED.to_vec())),
            (subscribe_v5("#"), GoesOn(SUBACK_REFUSED_V5.to_vec())),
        ),
        (
            "and to its neighbour's, shared",
            (subscribe(7, "$share/g/up/d-2/#", 1), GoesOn(SUBACK_REFUSED.to_vec())),
            (subscribe_v5("$share/g/up/d-2/#"), GoesOn(SUBACK_REFUSED_V5.to_vec())),
        ),
        (
            "a neighbour's topic name",
            (plain(0x32, b"up/d-2/telemetry", 1), Closed(vec![])),
            (five(0x32, b"up/d-2/telemetry", 1), GoesOn(puback_v5(1, 0x87))),
        ),
        (
            "a neighbour's command",
            (plain(0x32, b"down/d-2/command", 1), Closed(vec![])),
            (five(0x32, b"down/d-2/command", 1), GoesOn(puback_v5(1, 0x87))),
        ),
        (
            "a length that has no end",
            (b"\x32\xff\xff\xff\xff\x01".to_vec(), Closed(vec![])),
            (b"\x32\xff\xff\xff\xff\x01".to_vec(), Closed(end(0x81))),
        ),
    ];
    let mut number = 0;
    for (what, plain, five) in cases {
        for (version, (said, then)) in [plain, five].into_iter().enumerate() {
            println!("{what}, {}", ["3.1.1", "5"][version]);
            let mut wire = site.dial().await;
            wire.send(&hello[version]).await;
            if version == 0 {
                wire.expect(&CONNACK).await
            } else {
                wire.expect_connack_v5().await
            }
            // The gateway may hang up before it has read all of it.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut wire.0, &said).await;
            match then {
                Closed(answer) => {
                    wire.expect(&answer).await;
                    wire.expect_closed().await;
                }
                GoesOn(answer) => {
                    wire.expect(&answer).await;
                    wire.send(&PINGREQ).await;
                    wire.expect(&PINGRESP).await;
                }
            }
            number += 1;
            bystander.send(&telemetry("d-2", number)).await;
            bystander.expect(&puback(number)).await;
        }
    }
    assert!(site.log.sequences("d-1").is_empty(), "something of it was taken for a reading");
    assert_eq!(site.log.sequences("d-2"), (1..=u64::from(number)).collect::<Vec<_>>());
    site.close().await;
}

#[tokio::test]
async fn a_packet_id_that_is_used_again() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.connect("d-1").await;
    // At QoS 1 the first exchange may be over: the receiver can't tell, and the stream drops what is the same.
    wire.send(&telemetry("d-1", 7).repeat(3)).await;
    wire.expect(&puback(7).repeat(3)).await;
    // At QoS 2 it is the same message until it is released, whatever else it says, and goes to the log once.
    let twice = |sequence| publish_at("up/d-1/telemetry", 2, 8, &reading(sequence));
    for sequence in [100, 101, 102] {
        wire.send(&twice(sequence)).await;
        wire.expect(&[0x50, 2, 0, 8]).await;
    }
    wire.send(&packet(0x62, &[0, 8])).await;
    wire.expect(&[0x70, 2, 0, 8]).await;
    wire.send(&twice(103)).await;
    wire.expect(&[0x50, 2, 0, 8]).await;
    assert_eq!(site.log.sequences("d-1"), [7, 7, 7, 100, 103]);
    site.close().await;
}

#[tokio::test]
async fn client_ids_of_any_kind_and_messages_before_connack() {
    let site = Site::open(&["d-1"]).await;
    for (number, client_id) in
        (1..).zip(["/", "a/b", "+", "#", "$SYS", "$share/g/x", "up/d-2/#", "温度", "a b"])
    {
        // All in one go, before anybody could have read CONNACK (MQTT 3.1.1, 3.1.4).
        let mut wire = site.dial().await;
        let hello = connect(client_id, 0, "d-1", PASSWORD);
        wire.send(&[hello, subscribe(9, "up/d-1/#", 1), telemetry("d-1", number)].concat()).await;
        wire.expect(&CONNACK).await;
        wire.expect(&[0x90, 3, 0, 9, 1]).await;
        wire.expect(&puback(number)).await;
        let [kind, ..] = wire.read(2).await[..] else { panic!("two bytes") };
        assert_eq!(kind, 0x32, "its own message comes back to {client_id:?}");
    }
    // Without CONNECT there is nothing to be had.
    for said in [telemetry("d-1", 100), publish_v5("up/d-1/telemetry", 1, b"{}"), PINGREQ.to_vec()] {
        let mut wire = site.dial().await;
        wire.send(&said).await;
        wire.expect_closed().await;
    }
    assert_eq!(site.log.sequences("d-1"), (1..=9).collect::<Vec<_>>());
    assert!(site.log.records(Topic::Quarantine).is_empty());
    site.close().await;
}
