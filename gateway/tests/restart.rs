//! A gateway that comes back: what of sessions is still there, and what must not be.

mod support;

use gateway::Limits;
use std::time::Duration;
use support::*;

const AT_ONCE: Duration = Duration::ZERO;

async fn greet(site: &Site, hello: &[u8], connack: [u8; 4]) -> Wire {
    let mut wire = site.dial().await;
    wire.send(hello).await;
    wire.expect(&connack).await;
    wire
}

#[tokio::test]
async fn a_message_of_qos_2_is_known_after_a_crash_until_it_was_released() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = greet(&site, &connect_lasting("c", "d-1"), CONNACK).await;
    wire.send(&at_qos_2(&telemetry("d-1", 7))).await;
    wire.expect(&pubrec(7)).await;

    let site = site.after_a_crash(AT_ONCE).await;
    let mut wire = greet(&site, &connect_lasting("c", "d-1"), PRESENT).await;
    wire.send(&at_qos_2(&telemetry("d-1", 7))).await;
    wire.expect(&pubrec(7)).await;
    assert_eq!(site.log.sequences("d-1"), [7]);
    wire.send(&pubrel(7)).await;
    wire.expect(&pubcomp(7)).await;

    let site = site.after_a_crash(AT_ONCE).await;
    let mut wire = greet(&site, &connect_lasting("c", "d-1"), PRESENT).await;
    wire.send(&pubrel(7)).await;
    wire.expect(&pubcomp(7)).await;
    // The number is free, and the next message under it another one.
    wire.send(&at_qos_2(&telemetry("d-1", 7))).await;
    wire.expect(&pubrec(7)).await;
    assert_eq!(site.log.sequences("d-1"), [7, 7]);
    site.close().await;
}

#[tokio::test]
async fn pubcomp_waits_until_nothing_is_known_of_the_message_any_more() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = greet(&site, &connect_lasting("c", "d-1"), CONNACK).await;
    wire.send(&at_qos_2(&telemetry("d-1", 7))).await;
    wire.expect(&pubrec(7)).await;
    site.log.set(Mood::Waits);
    wire.send(&pubrel(7)).await;
    wire.expect_silence().await;
    let crashed = site.after_a_crash(AT_ONCE).await;
    let mut late = greet(&crashed, &connect_lasting("c", "d-1"), PRESENT).await;
    late.send(&[&at_qos_2(&telemetry("d-1", 7))[..], &pubrel(7)].concat()).await;
    late.expect(&pubrec(7)).await;
    late.expect(&pubcomp(7)).await;
    assert_eq!(crashed.log.sequences("d-1"), [7]);
    site.log.set(Mood::Takes);
    wire.expect(&pubcomp(7)).await;
    site.close().await;
}

/// The log has it and says that it failed: it is offered again, and stands there once.
#[tokio::test]
async fn an_append_in_doubt_is_carried_out_once() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = greet(&site, &connect_lasting("c", "d-1"), CONNACK).await;
    wire.send(&PINGREQ).await;
    wire.expect(&PINGRESP).await;
    site.until("the session is noted", |site| site.log.noted().iter().any(|(key, _)| key[0] == b's')).await;
    site.log.set(Mood::Doubts);
    wire.send(&[at_qos_2(&telemetry("d-1", 7)), at_qos_2(&telemetry("d-1", 8))].concat()).await;
    wire.expect(&pubrec(7)).await;
    wire.expect(&pubrec(8)).await;
    assert_eq!(site.log.sequences("d-1"), [7, 8]);
    site.log.set(Mood::Takes);
    site.close().await;
}

/// The connection ends while nobody knows whether its append will be durable, and the store is asked.
#[tokio::test]
async fn an_append_that_was_given_up_is_looked_for() {
    let drain_timeout = Duration::from_millis(100);
    for (mood, sequences) in [(Mood::Doubts, &[7][..]), (Mood::Fails, &[7][..])] {
        let site = Site::open_with(&["d-1"], Limits { drain_timeout, ..Limits::default() }).await;
        let mut wire = greet(&site, &connect_lasting("c", "d-1"), CONNACK).await;
        site.until("the session is noted", |site| site.log.noted().len() >= 2).await;
        site.log.set(Mood::Waits);
        wire.send(&at_qos_2(&telemetry("d-1", 7))).await;
        wire.expect_silence().await;
        drop(wire);
        tokio::time::sleep(drain_timeout / 2).await;
        site.log.set(mood);
        site.until("it is kept", |site| site.metric("sluice_gateway_kept_sessions", "") == 1.0).await;
        site.log.set(Mood::Takes);
        let mut wire = greet(&site, &connect_lasting("c", "d-1"), PRESENT).await;
        wire.send(&[&at_qos_2(&telemetry("d-1", 7))[..], &pubrel(7)].concat()).await;
        wire.expect(&pubrec(7)).await;
        wire.expect(&pubcomp(7)).await;
        assert_eq!(site.log.sequences("d-1"), sequences, "{mood:?}");
        site.close().await;
    }
}

#[tokio::test]
async fn time_goes_on_while_nobody_is_there() {
    let limits = Limits { max_session_expiry: 60, ..Limits::default() };
    let site = Site::open_with(&["d-1"], limits).await;
    let mut gone = greet(&site, &connect_lasting("gone", "d-1"), CONNACK).await;
    gone.send(&DISCONNECT).await;
    site.until("it is kept", |site| site.metric("sluice_gateway_kept_sessions", "") == 1.0).await;
    site.advance(Duration::from_secs(40));
    let _connected = greet(&site, &connect_lasting("connected", "d-1"), CONNACK).await;
    site.until("both are noted", |site| site.log.noted().len() >= 3).await;
    let down = site.after_a_crash(Duration::from_secs(15)).await;
    greet(&down, &connect_lasting("gone", "d-1"), PRESENT).await;
    let down = site.after_a_crash(Duration::from_secs(25)).await;
    // 65 seconds are too many for the one, and 25 or less are not for the other.
    greet(&down, &connect_lasting("gone", "d-1"), CONNACK).await;
    greet(&down, &connect_lasting("connected", "d-1"), PRESENT).await;
    down.close().await;
    site.close().await;
}

#[tokio::test]
async fn what_a_client_has_ended_does_not_come_back() {
    let site = Site::open(&["d-1"]).await;
    for hello in [connect_lasting("c", "d-1"), connect("c", 0, "d-1", PASSWORD), connect_lasting("c", "d-1")]
    {
        let mut wire = greet(&site, &hello, CONNACK).await;
        wire.send(&at_qos_2(&telemetry("d-1", 7))).await;
        wire.expect(&pubrec(7)).await;
        if hello == connect("c", 0, "d-1", PASSWORD) {
            let crashed = site.after_a_crash(AT_ONCE).await;
            let mut wire = greet(&crashed, &connect_lasting("c", "d-1"), CONNACK).await;
            wire.send(&at_qos_2(&telemetry("d-1", 7))).await;
            wire.expect(&pubrec(7)).await;
            assert_eq!(crashed.log.sequences("d-1"), [7, 7, 7]);
            crashed.close().await;
        }
    }
    site.close().await;
}

#[tokio::test]
async fn sessions_of_an_older_log_and_damaged_ones_begin_anew() {
    let site = Site::open(&["d-1"]).await;
    for client in ["a", "b"] {
        let mut wire = greet(&site, &connect_lasting(client, "d-1"), CONNACK).await;
        wire.send(&at_qos_2(&telemetry("d-1", 7))).await;
        wire.expect(&pubrec(7)).await;
    }
    let mut older = site.log.copy().await;
    older.made = older.made + Duration::from_secs(1);
    let restored = site.on(older, AT_ONCE).await;
    greet(&restored, &connect_lasting("a", "d-1"), CONNACK).await;
    restored.close().await;

    let spoilt = site.log.copy().await;
    let of_a = spoilt.noted().into_iter().find(|(key, _)| key[0] == b's' && key.len() > 9).unwrap().0;
    spoilt.spoil(&of_a);
    let spoilt = site.on(spoilt, AT_ONCE).await;
    greet(&spoilt, &connect_lasting("a", "d-1"), CONNACK).await;
    greet(&spoilt, &connect_lasting("b", "d-1"), PRESENT).await;
    spoilt.close().await;
    site.close().await;
}

#[tokio::test]
async fn a_session_that_ends_with_its_connection_costs_no_note() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.connect("d-1").await;
    let before = site.log.noted();
    wire.send(&at_qos_2(&telemetry("d-1", 7))).await;
    wire.expect(&pubrec(7)).await;
    wire.send(&[telemetry("d-1", 8), pubrel(7).to_vec()].concat()).await;
    wire.expect(&puback(8)).await;
    wire.expect(&pubcomp(7)).await;
    assert_eq!(site.log.noted(), before);
    site.close().await;
}

/// PUBLISH of QoS 1 with RETAIN of MQTT 5, worth something for as long as it says.
fn retained(topic: &str, id: u8, payload: &[u8], expiry: Option<u32>) -> Vec<u8> {
    let properties = expiry.map_or(vec![0], |it| [&[5, 0x02][..], &it.to_be_bytes()].concat());
    packet(0x33, &[&string(topic)[..], &[0, id], &properties, payload].concat())
}

/// What the device d-1 finds retained, of its own topics.
async fn found(site: &Site) -> Vec<(String, Vec<u8>)> {
    let mut wire = greet(site, &connect("reader", 0, "d-1", PASSWORD), CONNACK).await;
    wire.send(&[packet(0x82, &[&[0, 1][..], &string("up/d-1/#"), &[0]].concat()), PINGREQ.to_vec()].concat())
        .await;
    let (mut found, mut pings) = (Vec::new(), 0);
    // What was retained stands in front of the second answer to PINGREQ.
    while pings < 2 {
        let head = wire.read(2).await;
        let body = wire.read(head[1].into()).await;
        match head[0] {
            0x90 => {}
            0xd0 => {
                pings += 1;
                wire.send(&PINGREQ).await;
            }
            kind => {
                assert_eq!(kind, 0x31);
                let len = usize::from(body[1]) + 2;
                found.push((
                    String::from_utf8(body[2..len].to_vec()).expect("a topic is text"),
                    body[len..].to_vec(),
                ));
            }
        }
    }
    found
}

async fn connected_5(site: &Site) -> Wire {
    let mut wire = site.dial().await;
    let body = [&string("MQTT")[..], &[5, 0xc2, 0, 0, 0]].concat();
    wire.send(&packet(0x10, &[body, string("d-1"), string("d-1"), string(PASSWORD)].concat())).await;
    wire.expect_connack_v5().await;
    wire
}

#[tokio::test]
async fn what_is_retained_is_there_after_a_crash_unless_it_was_taken_back_or_its_time_is_over() {
    let limits = Limits { max_retained_messages: 2, ..Limits::default() };
    let site = Site::open_with(&["d-1"], limits).await;
    let mut wire = connected_5(&site).await;
    let (state, values) = ("up/d-1/state", "up/d-1/telemetry");
    let on = br#"{"firmware": "1.2"}"#;
    let value = |n: u8| format!(r#"{{"sequence": {n}, "temperature": 1}}"#).into_bytes();
    let say = async |wire: &mut Wire, bytes: Vec<u8>, id: u8| {
        wire.send(&bytes).await;
        assert_eq!(wire.read(4).await[..2], [0x40, 2], "{id}");
    };
    say(&mut wire, retained(state, 1, on, Some(60)), 1).await;
    say(&mut wire, retained(values, 2, &value(1), None), 2).await;
    say(&mut wire, retained(values, 3, &value(2), None), 3).await;
    let expected = |now: &[(&str, &[u8])]| -> Vec<(String, Vec<u8>)> {
        now.iter().map(|(topic, payload)| ((*topic).to_owned(), payload.to_vec())).collect()
    };
    let both = expected(&[(state, on), (values, &value(2))]);
    assert_eq!(found(&site).await, both);
    assert_eq!(found(&site.after_a_crash(Duration::from_secs(59)).await).await, both);
    let later = site.after_a_crash(Duration::from_secs(60)).await;
    assert_eq!(found(&later).await, expected(&[(values, &value(2))]));
    later
        .until("the note is gone too", |site| {
            !site.log.noted().iter().any(|(key, _)| key == b"rup/d-1/state")
        })
        .await;

    say(&mut wire, retained(values, 4, b"", None), 4).await;
    let cleared = site.after_a_crash(AT_ONCE).await;
    assert_eq!(found(&cleared).await, expected(&[(state, on)]));
    for site in [site, later, cleared] {
        site.close().await;
    }
}

#[tokio::test]
async fn what_found_no_room_is_not_there_after_a_crash_either() {
    let limits = Limits { max_retained_messages: 1, ..Limits::default() };
    let site = Site::open_with(&["d-1"], limits).await;
    let mut wire = connected_5(&site).await;
    let value = br#"{"sequence": 1, "temperature": 1}"#;
    for (id, topic) in [(1, "up/d-1/state"), (2, "up/d-1/telemetry")] {
        let payload: &[u8] = if id == 1 { br#"{"firmware": "1.2"}"# } else { value };
        wire.send(&retained(topic, id, payload, None)).await;
        assert_eq!(wire.read(4).await[..2], [0x40, 2]);
    }
    let is_noted = |site: &Site, key: &[u8]| site.log.noted().iter().any(|(it, _)| it == key);
    site.until("it is not noted", |site| !is_noted(site, b"rup/d-1/telemetry")).await;
    assert!(is_noted(&site, b"rup/d-1/state"));
    site.close().await;
}
