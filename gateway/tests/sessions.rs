//! Sessions over real sockets, by the byte.

mod support;

use gateway::Limits;
use records::{Body, Reason, Record, Topic};
use std::time::Duration;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

#[tokio::test]
async fn a_reading_is_acknowledged_and_on_the_log() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.connect("d-1").await;
    wire.send(&publish("up/d-1/telemetry", Some(0x1234), br#"{"pm2_5": 180.0}"#)).await;
    wire.expect(&[0x40, 0x02, 0x12, 0x34]).await;
    let records = site.log.records(Topic::Telemetry);
    let [(_, Record::Device(device)), (key, Record::Observation(observation))] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!((device.id.as_str(), key.as_str()), ("d-1", "d-1"));
    assert_eq!((observation.ingest_time, observation.event_time), (NOW, NOW));
    assert!(matches!(&observation.body, Body::Readings(readings) if readings[0].value == 180.0));
    assert_eq!(site.metric("sluice_gateway_messages_total", "accepted"), 1.0);
    assert_eq!(site.metric("sluice_gateway_pubacks_total", ""), 1.0);
    site.close().await;
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_durable() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.connect("d-1").await;
    site.log.set(Mood::Waits);
    for id in [7, 3, 5] {
        wire.send(&telemetry("d-1", id)).await;
        wire.expect_silence().await;
    }
    // The session is not stuck: it answers what needs no log.
    wire.send(&PINGREQ).await;
    wire.expect(&PINGRESP).await;
    site.log.set(Mood::Takes);
    for id in [7, 3, 5] {
        wire.expect(&puback(id)).await;
    }
    assert_eq!(site.log.sequences("d-1"), [7, 3, 5]);
    // Behind the entry the first went alone; the others gathered while it was under way, and went together.
    assert_eq!(site.log.sizes(), [1, 1, 2]);
    site.close().await;
}

#[tokio::test]
async fn packets_may_come_in_any_pieces() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.dial().await;
    let mut bytes = connect("d-1", 0, "d-1", PASSWORD);
    bytes.extend((1..=20).flat_map(|id| telemetry("d-1", id)));
    for piece in bytes.chunks(3) {
        wire.send(piece).await;
        tokio::task::yield_now().await;
    }
    wire.expect(&CONNACK).await;
    for id in 1..=20 {
        wire.expect(&puback(id)).await;
    }
    assert_eq!(site.log.sequences("d-1"), (1..=20).collect::<Vec<_>>());
    site.close().await;
}

#[tokio::test]
async fn qos_0_goes_to_the_log_without_an_answer() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.connect("d-1").await;
    let mut bytes = publish("up/d-1/telemetry", None, &reading(1));
    bytes.extend(DISCONNECT);
    wire.send(&bytes).await;
    wire.expect_closed().await;
    assert_eq!(site.log.sequences("d-1"), [1]);
    assert_eq!(site.metric("sluice_gateway_sessions_ended_total", "disconnect"), 1.0);
    site.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_log_stops_reading_and_loses_nothing() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.connect_as("d-1", "d-1", 2).await;
    for mood in [Mood::Fails, Mood::Full] {
        site.log.set(mood);
        let before = site.metric("sluice_gateway_append_retries_total", "");
        wire.send(&telemetry("d-1", 1)).await;
        site.until("the log has refused", |site| site.metric("sluice_gateway_waiting_appends", "") == 1.0)
            .await;
        // Far beyond its keep alive: we don't read, so its silence is ours.
        wire.send(&[telemetry("d-1", 2), PINGREQ.to_vec()].concat()).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        wire.expect_silence().await;
        assert!(site.metric("sluice_gateway_append_retries_total", "") - before > 10.0);
        site.log.set(Mood::Takes);
        wire.expect(&puback(1)).await;
        wire.expect(&PINGRESP).await;
        wire.expect(&puback(2)).await;
        assert_eq!(site.metric("sluice_gateway_waiting_appends", ""), 0.0);
    }
    assert_eq!(site.log.sequences("d-1"), [1, 2, 1, 2]);
    site.close().await;
}

#[tokio::test]
async fn an_append_in_doubt_is_made_again_before_it_is_acknowledged() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.connect("d-1").await;
    site.log.set(Mood::Doubts);
    wire.send(&telemetry("d-1", 1)).await;
    wire.expect_silence().await;
    site.log.set(Mood::Takes);
    wire.expect(&puback(1)).await;
    wire.send(&telemetry("d-1", 2)).await;
    wire.expect(&puback(2)).await;
    let sequences = site.log.sequences("d-1");
    assert!(sequences.len() >= 3, "{sequences:?}");
    assert!(sequences.is_sorted());
    site.close().await;
}

#[tokio::test]
async fn a_flood_behind_a_stuck_append_is_bounded_and_kept() {
    const FLOOD: u16 = 50_000;
    let limits = Limits { max_waiting_messages: 100, ..Limits::default() };
    let site = Site::open_with(&["d-1"], limits).await;
    let mut wire = site.connect("d-1").await;
    site.log.set(Mood::Waits);
    wire.send(&telemetry("d-1", 1)).await;
    wire.expect_silence().await;
    let flood: Vec<u8> = (2..=FLOOD).flat_map(|id| telemetry("d-1", id)).collect();
    let (mut read_half, mut write_half) = wire.0.into_split();
    let writer = tokio::spawn(async move {
        write_half.write_all(&flood).await.unwrap();
        write_half
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    site.log.set(Mood::Takes);
    let mut pubacks = vec![0; usize::from(FLOOD) * 4];
    read_half.read_exact(&mut pubacks).await.unwrap();
    let expected: Vec<u8> = (1..=FLOOD).flat_map(puback).collect();
    assert!(pubacks == expected, "acknowledgements out of order");
    assert_eq!(site.log.sequences("d-1"), (1..=u64::from(FLOOD)).collect::<Vec<_>>());
    // No append holds more than the limit and the one read that went beyond it.
    let one_read = (32 << 10) / telemetry("d-1", 1).len() + 1;
    let largest = site.log.sizes().into_iter().max().unwrap();
    assert!(largest <= 100 + one_read, "{largest}");
    drop(writer.await.unwrap());
    site.close().await;
}

#[tokio::test]
async fn a_newer_session_takes_over() {
    let site = Site::open(&["d-1", "d-2"]).await;
    let mut older = site.connect_as("d-1", "shared", 0).await;
    let mut neighbour = site.connect_as("d-2", "shared", 0).await;
    let mut newer = site.connect_as("d-1", "shared", 0).await;
    older.expect_closed().await;
    for (wire, device) in [(&mut newer, "d-1"), (&mut neighbour, "d-2")] {
        wire.send(&telemetry(device, 1)).await;
        wire.expect(&puback(1)).await;
    }
    assert_eq!(site.metric("sluice_gateway_sessions_ended_total", "taken_over"), 1.0);
    assert_eq!(site.metric("sluice_gateway_connections", ""), 2.0);
    site.close().await;
}

#[tokio::test]
async fn what_the_older_session_received_stands_before_the_newer() {
    let site = Site::open(&["d-1"]).await;
    let mut older = site.connect("d-1").await;
    site.log.set(Mood::Waits);
    older.send(&telemetry("d-1", 1)).await;
    older.expect_silence().await;
    older.send(&telemetry("d-1", 2)).await;
    older.expect_silence().await;
    let mut newer = site.dial().await;
    newer.send(&[connect("d-1", 0, "d-1", PASSWORD), telemetry("d-1", 3)].concat()).await;
    newer.expect_silence().await;
    site.log.set(Mood::Takes);
    newer.expect(&CONNACK).await;
    newer.expect(&puback(3)).await;
    assert_eq!(site.log.sequences("d-1"), [1, 2, 3]);
    site.close().await;
}

#[tokio::test]
async fn empty_client_ids_are_told_apart() {
    let site = Site::open(&["d-1"]).await;
    let mut one = site.connect_as("d-1", "", 0).await;
    let mut other = site.connect_as("d-1", "", 0).await;
    for wire in [&mut one, &mut other] {
        wire.send(&telemetry("d-1", 1)).await;
        wire.expect(&puback(1)).await;
    }
    site.close().await;
}

#[tokio::test(start_paused = true)]
async fn keep_alive_is_enforced_at_one_and_a_half() {
    let site = Site::open(&["d-1", "d-2"]).await;
    let mut wire = site.connect_as("d-1", "d-1", 10).await;
    let mut for_ever = site.connect_as("d-2", "d-2", 0).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(14)).await;
        wire.send(&PINGREQ).await;
        wire.expect(&PINGRESP).await;
    }
    let heard = Instant::now();
    wire.expect_closed().await;
    let silence = heard.elapsed().as_secs_f64();
    assert!((15.0..=15.6).contains(&silence), "{silence}");
    assert_eq!(site.metric("sluice_gateway_sessions_ended_total", "keep_alive"), 1.0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    for_ever.send(&PINGREQ).await;
    for_ever.expect(&PINGRESP).await;
    site.close().await;
}

#[tokio::test(start_paused = true)]
async fn connecting_takes_no_longer_than_its_limit() {
    let site = Site::open(&["d-1"]).await;
    let whole = connect("d-1", 0, "d-1", PASSWORD);
    for said in [&[][..], &whole[..1], &whole[..whole.len() - 1]] {
        let started = Instant::now();
        let mut wire = site.dial().await;
        wire.send(said).await;
        wire.expect_closed().await;
        assert!((10.0..10.5).contains(&started.elapsed().as_secs_f64()));
    }
    assert_eq!(site.metric("sluice_gateway_refused_connections_total", "timeout"), 3.0);
    site.close().await;
}

#[tokio::test]
async fn connect_is_refused_with_its_code() {
    let site = Site::open(&["d-1", "d-2"]).await;
    site.registry.disable("d-2", NOW).unwrap();
    let check = async |name: &str, said: Vec<u8>, code: u8| {
        let mut wire = site.dial().await;
        wire.send(&said).await;
        wire.expect(&[0x20, 0x02, 0x00, code]).await;
        wire.expect_closed().await;
        assert_eq!(site.metric("sluice_gateway_refused_connections_total", name), 1.0, "{name}");
    };
    let other_version = |name: &[u8], level: u8| {
        let mut body = vec![0, name.len() as u8];
        body.extend(name);
        body.extend([level, 0x02, 0, 0, 0, 0, 0]);
        packet(0x10, &body)
    };
    check("version", other_version(b"MQTT", 3), 1).await;
    let mut lasting = connect("", 0, "d-1", PASSWORD);
    lasting[9] &= !0x02;
    check("client_id", lasting, 2).await;
    check("credentials", connect("d-1", 0, "d-1", "wrong"), 4).await;
    check("disabled", connect("d-2", 0, "d-2", PASSWORD), 5).await;

    let again = async |said: Vec<u8>, code: u8| {
        let mut wire = site.dial().await;
        wire.send(&said).await;
        wire.expect(&[0x20, 0x02, 0x00, code]).await;
        wire.expect_closed().await;
    };
    again(other_version(b"MQIsdp", 3), 1).await;
    again(connect("d-1", 0, "d-3", PASSWORD), 4).await;
    again(connect("d-1", 0, "../d-1", PASSWORD), 4).await;
    again(connect("d-1", 0, "", ""), 4).await;
    again(packet(0x10, b"\0\x04MQTT\x04\x02\0\0\0\x01x"), 4).await;
    // Refusals end sockets, too.
    site.until("all are closed", |site| site.metric("sluice_gateway_connections", "") == 0.0).await;
    site.close().await;
}

#[tokio::test]
async fn only_ones_own_topics() {
    let site = Site::open(&["d-1", "d-2"]).await;
    for topic in ["up/d-2/telemetry", "up/d-2/state", "up/d-3/reply", "down/d-1/command", "down/d-2/command"]
    {
        let mut wire = site.connect("d-1").await;
        let own = publish("up/d-1/telemetry", Some(1), &reading(1));
        wire.send(&[own, publish(topic, Some(2), &reading(2))].concat()).await;
        // What came before it is owed its acknowledgement.
        wire.expect(&puback(1)).await;
        wire.expect_closed().await;
    }
    assert_eq!(site.metric("sluice_gateway_messages_total", "forbidden"), 5.0);
    assert_eq!(site.metric("sluice_gateway_sessions_ended_total", "forbidden"), 5.0);
    assert_eq!(site.log.sequences("d-1"), [1; 5]);
    assert_eq!(site.log.sequences("d-2"), [0; 0]);
    site.close().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_acknowledged_and_told() {
    let limits = Limits { max_payload: 1000, ..Limits::default() };
    let site = Site::open_with(&["d-1"], limits).await;
    let mut wire = site.connect("d-1").await;
    let cases: [(&str, Vec<u8>, Reason); 6] = [
        ("up/d-1/telemetry", b"\xa1".to_vec(), Reason::Malformed),
        ("up/d-1/telemetry", br#"{"pm2_5": "high"}"#.to_vec(), Reason::Invalid),
        ("up/d-1/telemetry", vec![], Reason::Empty),
        ("plant/line-1/temp", b"20.5".to_vec(), Reason::UnknownTopic),
        ("up/d-1/reply", reading(1), Reason::UnknownTopic),
        ("up/d-1/telemetry", vec![b'{'; 100_000], Reason::TooLarge),
    ];
    for (id, (topic, payload, _)) in (1..).zip(&cases) {
        wire.send(&publish(topic, Some(id), payload)).await;
        wire.expect(&puback(id)).await;
    }
    wire.send(&telemetry("d-1", 99)).await;
    wire.expect(&puback(99)).await;

    let records = site.log.records(Topic::Quarantine);
    assert_eq!(records.len(), cases.len());
    for ((key, record), (topic, payload, reason)) in records.iter().zip(&cases) {
        let Record::Quarantined(quarantined) = record else { panic!("{record:?}") };
        assert_eq!((key.as_str(), quarantined.device.as_str()), ("d-1", "d-1"));
        assert_eq!((quarantined.reason, &quarantined.topic_name.as_str()), (*reason, topic));
        assert_eq!(quarantined.payload, payload[..payload.len().min(1024)]);
        assert!(!quarantined.detail.is_empty());
        let counted = cases.iter().filter(|case| case.2 == *reason).count() as f64;
        assert_eq!(site.metric("sluice_gateway_quarantined_total", reason.name()), counted);
    }
    assert_eq!(site.metric("sluice_gateway_messages_total", "quarantined"), 6.0);
    assert_eq!(site.log.sequences("d-1"), [99]);
    site.close().await;
}

#[tokio::test]
async fn an_oversized_payload_to_somebody_else_is_forbidden_all_the_same() {
    let site = Site::open_with(&["d-1"], Limits { max_payload: 1000, ..Limits::default() }).await;
    let mut wire = site.connect("d-1").await;
    wire.send(&publish("up/d-2/telemetry", Some(1), &[0; 100_000])).await;
    wire.expect_closed().await;
    assert_eq!(site.metric("sluice_gateway_messages_total", "forbidden"), 1.0);
    assert_eq!(site.log.records(Topic::Quarantine), []);
    site.close().await;
}

#[tokio::test]
async fn states_reach_the_log() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.connect("d-1").await;
    wire.send(&publish("up/d-1/state", Some(1), br#"{"firmware": "1.2"}"#)).await;
    wire.expect(&puback(1)).await;
    let records = site.log.records(Topic::Telemetry);
    let Some((_, Record::Observation(observation))) = records.last() else { panic!("{records:?}") };
    assert!(matches!(&observation.body, Body::Status(status) if status.firmware.as_deref() == Some("1.2")));
    site.close().await;
}

#[tokio::test]
async fn subscriptions_are_granted_filter_by_filter() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.connect("d-1").await;
    let mut body = vec![0, 9];
    for filter in ["down/d-1/#", "#", "a/+"] {
        body.extend(string(filter));
        body.push(1);
    }
    wire.send(&packet(0x82, &body)).await;
    wire.expect(&[0x90, 5, 0, 9, 1, 0x80, 0x80]).await;
    wire.send(&packet(0xa2, &[&[0, 10], &string("#")[..]].concat())).await;
    wire.expect(&[0xb0, 2, 0, 10]).await;
    site.close().await;
}

#[tokio::test]
async fn a_broken_protocol_ends_the_connection_alone() {
    let site = Site::open(&["d-1", "d-2"]).await;
    let mut bystander = site.connect("d-2").await;
    let cases: [(&str, Vec<u8>); 16] = [
        ("order", connect("d-1", 0, "d-1", PASSWORD)),
        ("packet_id", publish("up/d-1/telemetry", Some(0), b"{}")),
        ("packet_id", packet(0x82, &[&[0, 0][..], &string("a"), &[0]].concat())),
        ("topic_name", publish("up/+/telemetry", Some(1), b"{}")),
        ("topic_name", publish("up/d-1/#", Some(1), b"{}")),
        ("topic_name", publish("", Some(1), b"{}")),
        ("topic_name", publish("up/\0/state", Some(1), b"{}")),
        ("topic_name", packet(0x32, b"\0\x03\xed\xa0\x80\0\x01{}")),
        ("malformed", vec![0x00, 0x00]),
        ("malformed", vec![0xf0, 0x00]),
        ("malformed", vec![0x32, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ("malformed", packet(0x36, &telemetry("d-1", 1)[2..])),
        ("malformed", packet(0x32, &[0xff, 0xff, b'u'])),
        ("protocol", packet(0x82, &[0, 1])),
        ("too_long", packet(0x82, &vec![0; 70_000])[..10].to_vec()),
        ("unexpected", puback(1).to_vec()),
    ];
    for (name, said) in cases {
        let before = site.metric("sluice_gateway_sessions_ended_total", name);
        let mut wire = site.connect("d-1").await;
        wire.send(&[telemetry("d-1", 1), said.clone(), telemetry("d-1", 3)].concat()).await;
        wire.expect(&puback(1)).await;
        wire.expect_closed().await;
        let counted = site.metric("sluice_gateway_sessions_ended_total", name) - before;
        assert_eq!(counted, 1.0, "{name}: {said:02x?}");
    }
    bystander.send(&telemetry("d-2", 1)).await;
    bystander.expect(&puback(1)).await;
    assert!(site.log.sequences("d-1").iter().all(|sequence| *sequence == 1));
    site.close().await;
}

#[tokio::test]
async fn nothing_is_heard_before_connect() {
    let site = Site::open(&["d-1"]).await;
    let cases = [telemetry("d-1", 1), PINGREQ.to_vec(), b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0xff; 64]];
    for said in cases {
        let started = Instant::now();
        let mut wire = site.dial().await;
        wire.send(&said).await;
        wire.expect_closed().await;
        assert!(started.elapsed() < Duration::from_secs(5), "{said:02x?} was waited for");
    }
    assert_eq!(site.metric("sluice_gateway_refused_connections_total", "order"), 4.0);
    assert_eq!(site.log.sequences("d-1"), [0; 0]);
    site.close().await;
}

#[tokio::test]
async fn too_many_connections_are_turned_away() {
    let site = Site::open_with(&["d-1", "d-2"], Limits { max_connections: 1, ..Limits::default() }).await;
    let first = site.connect("d-1").await;
    site.dial().await.expect_closed().await;
    assert_eq!(site.metric("sluice_gateway_refused_connections_total", "full"), 1.0);
    drop(first);
    site.until("the first is gone", |site| site.metric("sluice_gateway_connections", "") == 0.0).await;
    site.connect("d-2").await;
    site.close().await;
}

#[tokio::test]
async fn stopping_finishes_what_was_received() {
    let site = Site::open(&["d-1", "d-2"]).await;
    let mut wire = site.connect("d-1").await;
    let mut idle = site.connect("d-2").await;
    site.log.set(Mood::Waits);
    wire.send(&telemetry("d-1", 1)).await;
    wire.expect_silence().await;
    wire.send(&telemetry("d-1", 2)).await;
    wire.expect_silence().await;
    site.stop.cancel();
    idle.expect_closed().await;
    wire.expect_silence().await;
    site.log.set(Mood::Takes);
    wire.expect(&puback(1)).await;
    wire.expect(&puback(2)).await;
    wire.expect_closed().await;
    assert_eq!(site.log.sequences("d-1"), [1, 2]);
    site.close().await;
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_ever() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.connect("d-1").await;
    site.log.set(Mood::Fails);
    wire.send(&telemetry("d-1", 1)).await;
    wire.expect_silence().await;
    let started = Instant::now();
    site.stop.cancel();
    wire.expect_closed().await;
    assert!(started.elapsed() <= Duration::from_secs(7), "{:?}", started.elapsed());
    assert_eq!(site.metric("sluice_gateway_messages_total", "abandoned"), 1.0);
    site.close().await;
}

#[tokio::test]
async fn a_closed_log_ends_the_gateway() {
    for mood in [Mood::Closed, Mood::Refuses] {
        let site = Site::open(&["d-1"]).await;
        let mut wire = site.connect("d-1").await;
        site.log.set(mood);
        wire.send(&telemetry("d-1", 1)).await;
        wire.expect_closed().await;
        assert!(!site.stop.is_cancelled());
        let ended = site.running.await.unwrap();
        assert!(matches!(ended, Err(gateway::GatewayError::LogClosed)), "{ended:?}");
    }
}
