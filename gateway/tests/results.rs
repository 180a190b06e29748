//! Alerts, aggregates and observations, as those who subscribe to them get them.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

mod support;

use gateway::results::{self, Results};
use gateway::{Fanout, Metrics};
use records::{
    Aggregate, Alert, AlertState, Batch, Body, MemoryLog, Observation, Producer, Quality, Quantity, Reading,
    Record, Severity, Subject, Timestamp, Topic, TopicPartition, UseCase, Window,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::*;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

fn alert(id: &str, transition: u32, state: AlertState, severity: Severity) -> Alert {
    Alert {
        id: id.into(),
        transition,
        rule: "pm2_5-24h".into(),
        use_case: UseCase::Environment,
        subject: Subject::Device("d-1".into()),
        area: "north".into(),
        position: None,
        state,
        severity,
        opened_at: Timestamp(1000),
        at: Timestamp(2000),
        as_of: Timestamp(3000),
        quantity: "pm2_5".into(),
        value: 80.5,
        threshold: 75.0,
        text: "PM2.5 over 75".into(),
        source: "HJ 633-2012 4".into(),
        is_backfill: false,
        actor: None,
        note: None,
    }
}

/// What an alert is on the wire, apart from what [`alert`] sets for all.
fn alert_json(alert: &Alert) -> Vec<u8> {
    serde_json::to_vec(alert).unwrap()
}

async fn append(log: &MemoryLog, topic: Topic, key: &str, record: &Record) {
    let mut batch = Batch::default();
    batch.push_with(key.as_bytes(), |bytes| record.encode(bytes));
    log.append(vec![(TopicPartition { topic, partition: 0 }, batch)]).await.unwrap();
}

async fn tell(log: &MemoryLog, alert: &Alert) {
    append(log, Topic::Alerts, &alert.id, &Record::Alert(Box::new(alert.clone()))).await;
}

/// The part that publishes, which nobody was told anything by before `told`.
struct Part {
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Part {
    fn start(log: &MemoryLog, fanout: &Arc<Fanout>, told: BTreeMap<TopicPartition, u64>) -> Part {
        let metrics = Arc::new(Metrics::register(&prometheus::Registry::new()).unwrap());
        let mut results = Results { fanout: fanout.clone(), clock: Arc::new(|| NOW), metrics, told };
        let (consumer, stop) = (log.consumer("mqtt", results::TOPICS), CancellationToken::new());
        let stopped = stop.clone();
        let running =
            tokio::spawn(async move { results::run(consumer, &mut results, &stopped).await.unwrap() });
        Part { stop, running }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

async fn subscriber(site: &Site, id: &str, filter: &str, qos: u8) -> Wire {
    let mut wire = site.connect(id).await;
    wire.send(&subscribe(1, filter, qos)).await;
    wire.expect(&[0x90, 3, 0, 1, qos]).await;
    wire
}

fn delivery(topic: &str, retain: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = publish_at(topic, 0, 0, payload);
    bytes[0] |= u8::from(retain);
    bytes
}

const MODERATE: &str = "out/alerts/north/moderate/pm2_5-24h%2Fd-1%2F1000";
const SEVERE: &str = "out/alerts/north/severe/pm2_5-24h%2Fd-1%2F1000";
const ID: &str = "pm2_5-24h/d-1/1000";

async fn site() -> Site {
    let site = Site::open(&["d-1"]).await;
    for id in ["city", "late", "later", "last"] {
        add_subscriber(&site.registry, id, &["out/#"]);
    }
    site
}

#[tokio::test]
async fn an_alert_is_retained_under_its_severity_while_it_is_active() {
    let site = site().await;
    let log = MemoryLog::new(|_| 1);
    let part = Part::start(&log, &site.fanout, BTreeMap::new());
    let mut city = subscriber(&site, "city", "out/alerts/north/+/+", 0).await;
    let open = alert(ID, 0, AlertState::Open, Severity::Moderate);
    tell(&log, &open).await;
    city.expect(&delivery(MODERATE, false, &alert_json(&open))).await;

    // It gets worse: the other name holds nothing any more.
    let worse = alert(ID, 1, AlertState::Open, Severity::Severe);
    tell(&log, &worse).await;
    // What stands on the log twice is told once.
    tell(&log, &worse).await;
    city.expect(&delivery(SEVERE, false, &alert_json(&worse))).await;
    city.expect(&delivery(MODERATE, false, &[])).await;
    let mut late = subscriber(&site, "late", "out/#", 0).await;
    late.expect(&delivery(SEVERE, true, &alert_json(&worse))).await;
    late.expect_silence().await;

    let cleared = alert(ID, 2, AlertState::Cleared, Severity::Severe);
    tell(&log, &cleared).await;
    for wire in [&mut city, &mut late] {
        wire.expect(&delivery(SEVERE, false, &alert_json(&cleared))).await;
        wire.expect(&delivery(SEVERE, false, &[])).await;
    }
    subscriber(&site, "later", "out/#", 0).await.expect_silence().await;
    part.stop().await;
    site.close().await;
}

#[tokio::test]
async fn what_was_told_before_is_not_told_again_and_what_is_active_is_retained_again() {
    let site = site().await;
    let log = MemoryLog::new(|_| 1);
    // Before anybody was there: one that is over, one that is active, one that was cleared while nobody looked.
    let over = alert("over", 0, AlertState::Open, Severity::Minor);
    tell(&log, &over).await;
    tell(&log, &alert("over", 1, AlertState::Cleared, Severity::Minor)).await;
    let open = alert(ID, 0, AlertState::Open, Severity::Moderate);
    tell(&log, &open).await;
    let at = TopicPartition { topic: Topic::Alerts, partition: 0 };
    let mut city = subscriber(&site, "city", "out/#", 0).await;
    let part = Part::start(&log, &site.fanout, BTreeMap::from([(at, 3)]));
    city.expect(&delivery(MODERATE, false, &alert_json(&open))).await;
    city.expect_silence().await;
    part.stop().await;

    // A process later the gateway, which still retains it, tells only the news.
    let news = alert("new", 0, AlertState::Acknowledged, Severity::Extreme);
    let part = Part::start(&log, &site.fanout, BTreeMap::from([(at, 3)]));
    tell(&log, &news).await;
    city.expect(&delivery("out/alerts/north/extreme/new", false, &alert_json(&news))).await;
    part.stop().await;

    // And one that has forgotten it retains it again, although it has been told of long ago.
    let fresh = Site::open(&["d-1"]).await;
    add_subscriber(&fresh.registry, "last", &["out/#"]);
    let part = Part::start(&log, &fresh.fanout, BTreeMap::from([(at, 4)]));
    fresh.until("they are retained", |site| site.metric("sluice_gateway_retained_messages", "") == 2.0).await;
    let mut last = subscriber(&fresh, "last", "out/alerts/+/moderate/#", 0).await;
    last.expect(&delivery(MODERATE, true, &alert_json(&open))).await;
    part.stop().await;
    fresh.close().await;
    site.close().await;
}

#[tokio::test]
async fn aggregates_and_observations_are_json() {
    let site = site().await;
    let log = MemoryLog::new(|_| 1);
    let part = Part::start(&log, &site.fanout, BTreeMap::new());
    let mut city = subscriber(&site, "city", "out/#", 1).await;
    let aggregate = Aggregate {
        subject: Subject::Device("d-1".into()),
        area: "north/1".into(),
        quantity: Quantity::from_name("pm2_5"),
        window: Window { start: Timestamp(60_000), end: Timestamp(120_000) },
        revision: 1,
        count: 3,
        good: 2,
        sum: 71.0,
        mean: 35.5,
        min: 35.0,
        max: 36.0,
        as_of: Timestamp(130_000),
        is_backfill: false,
    };
    let none = Aggregate { good: 0, sum: 0.0, mean: 0.0, min: 0.0, max: 0.0, ..aggregate.clone() };
    append(&log, Topic::Aggregates, "north/1", &Record::Aggregate(aggregate)).await;
    let mut received = async || {
        let mut head = city.read(2).await;
        while head.last().is_some_and(|byte| byte & 0x80 > 0) {
            head.extend(city.read(1).await);
        }
        let len = head[1..].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
        let body = city.read(len).await;
        let topic_len = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let (topic, rest) = body[2..].split_at(topic_len);
        assert_eq!(head[0], 0x32, "QoS 1");
        city.send(&[&[0x40, 2], &rest[..2]].concat()).await;
        format!("{} {}\n", String::from_utf8_lossy(topic), String::from_utf8_lossy(&rest[2..]))
    };
    let first = received().await;
    append(&log, Topic::Aggregates, "north/1", &Record::Aggregate(none)).await;
    let second = received().await;
    let reading = |value, flag| Reading {
        quantity: Quantity::from_name("pm2_5"),
        value,
        quality: Quality::GOOD.failed(records::Test::Spike, flag),
    };
    let observation = Observation {
        device: "d-1".into(),
        epoch: 1,
        sequence: Some(7),
        device_time: None,
        event_time: Timestamp(61_000),
        ingest_time: Timestamp(62_000),
        position: None,
        stated: None,
        is_late: false,
        body: Body::Readings(vec![reading(35.5, records::Flag::Suspect)]),
    };
    append(&log, Topic::Observations, "d-1", &Record::Observation(observation)).await;
    let third = received().await;
    expect_test::expect![[r#"
        out/aggregates/north%2F1/d-1/pm2_5 {"subject":{"device":"d-1"},"area":"north/1","quantity":"pm2_5","unit":"ug/m3","start":60000,"end":120000,"revision":1,"count":3,"good":2,"sum":71.0,"mean":35.5,"min":35.0,"max":36.0,"as_of":130000,"is_backfill":false}
        out/aggregates/north%2F1/d-1/pm2_5 {"subject":{"device":"d-1"},"area":"north/1","quantity":"pm2_5","unit":"ug/m3","start":60000,"end":120000,"revision":1,"count":3,"good":0,"sum":0.0,"mean":null,"min":null,"max":null,"as_of":130000,"is_backfill":false}
        out/observations/d-1 {"device":"d-1","epoch":1,"sequence":7,"event_time":61000,"device_time":null,"ingest_time":62000,"position":null,"is_late":false,"readings":[{"quantity":"pm2_5","unit":"ug/m3","value":35.5,"quality":"suspect","failed":["spike"]}]}
    "#]].assert_eq(&[first, second, third].concat());
    part.stop().await;
    site.close().await;
}
