//! A record as a line of JSON. Times are milliseconds since 1970; what is absent is left out.

use records::{
    AccountItem, Aggregate, Body, Entry, Observation, Offset, Record, Sighting, Subject, TopicPartition,
};
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Where it stands, its key, and what it says. Bytes that can't be read are told as hexadecimal digits.
pub fn line(at: TopicPartition, offset: Offset, entry: Entry<'_>) -> Value {
    let mut line = json!({
        "topic": at.topic.name(), "partition": at.partition, "offset": offset,
        "key": String::from_utf8_lossy(entry.key),
    });
    if let Some(origin) = entry.origin {
        line["origin"] = json!({ "gateway": origin.gateway, "spool": origin.spool, "offset": origin.offset });
    }
    if let Some(mirrored) = entry.mirrored {
        let (partition, offset) = (mirrored.partition, mirrored.offset);
        line["mirrored"] = json!({ "trail": mirrored.trail, "partition": partition, "offset": offset });
    }
    let (kind, said) = match Record::decode(entry.value) {
        Ok(record) => said(record),
        Err(error) => ("unreadable", json!({ "why": error.to_string(), "bytes": hexadecimal(entry.value) })),
    };
    line["kind"] = json!(kind);
    line[kind] = without_nulls(said);
    line
}

fn said(record: Record) -> (&'static str, Value) {
    match record {
        Record::Observation(observation) => ("observation", self::observation(observation)),
        Record::Device(device) => ("device", json!(device)),
        Record::Tick(tick) => {
            ("tick", json!({ "at": tick.at.millis(), "source": tick.source, "sources": tick.sources }))
        }
        Record::Action(action) => (
            "action",
            json!({
                "alert": action.alert, "subject": subject(&action.subject), "actor": action.actor,
                "verb": format!("{:?}", action.verb).to_lowercase(), "at": action.at.millis(), "note": action.note,
            }),
        ),
        Record::Aggregate(aggregate) => ("aggregate", self::aggregate(&aggregate)),
        Record::Sighting(sighting) => ("sighting", self::sighting(&sighting)),
        Record::Alert(alert) => ("alert", json!(alert)),
        Record::Share(share) => (
            "share",
            json!({
                "device": share.device, "area": share.area, "job": share.job,
                "start": share.window.start.millis(), "end": share.window.end.millis(),
                "revision": share.revision, "as_of": share.as_of.millis(), "values": hexadecimal(&share.values),
            }),
        ),
        Record::Rules(rules) => {
            ("rules", json!({ "at": rules.at.millis(), "text": rules.text, "replaces": rules.replaces }))
        }
        Record::Account(account) => {
            let counts = AccountItem::ALL.map(|(item, name)| (name, account.counts.of(item)));
            (
                "account",
                json!({
                    "device": account.device, "hour": account.hour.millis(), "counts": BTreeMap::from(counts),
                }),
            )
        }
        Record::Quarantined(quarantined) => (
            "quarantined",
            json!({
                "device": quarantined.device, "topic_name": quarantined.topic_name,
                "ingest_time": quarantined.ingest_time.millis(), "reason": quarantined.reason.name(),
                "detail": quarantined.detail, "payload": hexadecimal(&quarantined.payload),
                "count": quarantined.count,
            }),
        ),
    }
}

fn observation(from: Observation) -> Value {
    let mut to = json!({
        "device": from.device, "epoch": from.epoch, "sequence": from.sequence,
        "device_time": from.device_time.map(|time| time.millis()), "event_time": from.event_time.millis(),
        "ingest_time": from.ingest_time.millis(), "position": from.position, "late": from.is_late,
    });
    let (name, body) = body(from.body);
    to[name] = body;
    to
}

fn body(body: Body) -> (&'static str, Value) {
    match body {
        Body::Readings(readings) => {
            let reading = |reading: &records::Reading| json!({ "quantity": reading.quantity.name(), "value": reading.value, "quality": quality(reading.quality) });
            ("readings", readings.iter().map(reading).collect())
        }
        Body::TagReads(reads) => {
            let read = |read: &records::TagRead| {
                json!({
                    "epc": read.epc, "antenna": read.antenna, "rssi": read.rssi, "count": read.count,
                    "first_seen": read.first_seen.map(|time| time.millis()),
                    "last_seen": read.last_seen.map(|time| time.millis()),
                })
            };
            ("tag_reads", reads.iter().map(read).collect())
        }
        Body::Passages(passages) => {
            let passage = |passage: &records::Passage| {
                let class = format!("{:?}", passage.class).to_lowercase();
                let (at, lane) = (passage.at.millis(), passage.lane);
                json!({ "at": at, "lane": lane, "speed": passage.speed, "class": class })
            };
            ("passages", passages.iter().map(passage).collect())
        }
        Body::Status(status) => (
            "status",
            json!({
                "firmware": status.firmware, "uptime_s": status.uptime_s, "battery_v": status.battery_v,
                "text": status.text,
            }),
        ),
    }
}

fn quality(from: records::Quality) -> Value {
    json!({ "flag": from.flag, "tests": from.tests })
}

fn aggregate(from: &Aggregate) -> Value {
    json!({
        "subject": subject(&from.subject), "area": from.area, "quantity": from.quantity.name(),
        "start": from.window.start.millis(), "end": from.window.end.millis(), "revision": from.revision,
        "count": from.count, "good": from.good, "sum": from.sum, "mean": from.mean, "min": from.min,
        "max": from.max, "as_of": from.as_of.millis(), "backfill": from.is_backfill,
    })
}

fn sighting(from: &Sighting) -> Value {
    json!({
        "area": from.area, "device": from.device, "epc": from.epc, "first_seen": from.first_seen.millis(),
        "last_seen": from.last_seen.millis(), "count": from.count, "as_of": from.as_of.millis(),
    })
}

fn subject(subject: &Subject) -> Value {
    match subject {
        Subject::Device(device) => json!({ "device": device }),
        Subject::Area(area) => json!({ "area": area }),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect::<Map<_, _>>())
        }
        Value::Array(values) => values.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
