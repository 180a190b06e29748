//! The ledger: what two topics say of a device's messages, in one row an hour.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use records::{Account, AccountCounts, AccountItem, Quarantined, Reason, Record, Timestamp, Topic};
use serde_json::Value;
use support::{Console, T0, append};

const HOUR: i64 = 3_600_000;
const START: i64 = T0 - T0.rem_euclid(HOUR);

fn account(device: &str, hour: i64, counts: &[(AccountItem, usize)]) -> Record {
    let mut all = AccountCounts::default();
    counts.iter().for_each(|(item, times)| all.add(*item, *times));
    Record::Account(Account { device: device.into(), hour: Timestamp(START + hour * HOUR), counts: all })
}

fn quarantined(device: &str, at: i64, reason: Reason) -> Record {
    in_sum(device, at, reason, 1)
}

fn in_sum(device: &str, at: i64, reason: Reason, count: u32) -> Record {
    Record::Quarantined(Quarantined {
        device: device.into(),
        topic_name: String::new(),
        ingest_time: Timestamp(at),
        reason,
        detail: String::new(),
        payload: Vec::new(),
        count,
    })
}

fn number(row: &Value, name: &str) -> i64 {
    row[name].as_i64().unwrap_or(-1)
}

#[tokio::test]
async fn an_hour_of_a_device_is_one_row() {
    use AccountItem::{Accepted, Duplicate, Received, Suspect};
    let console = Console::start().await;
    let early = account("a", 0, &[(Received, 2), (Accepted, 2)]);
    let late = account("a", 0, &[(Received, 5), (Accepted, 3), (Duplicate, 2), (Suspect, 1)]);
    let next = account("a", 1, &[(Received, 2), (Accepted, 1)]);
    append(
        &console.log,
        Topic::Ledger,
        &[late, early, next, account("b", 0, &[(Received, 1), (Accepted, 1)])],
    )
    .await;
    let refused = [
        quarantined("a", START, Reason::Malformed),
        quarantined("a", START + HOUR - 1, Reason::Malformed),
        quarantined("a", START + 1, Reason::TooLarge),
        quarantined("c", START + HOUR, Reason::Empty),
        in_sum("a", START + 2, Reason::Dropped, 250),
        in_sum("a", START + 3, Reason::Dropped, 7),
    ];
    append(&console.log, Topic::Quarantine, &refused).await;
    let path = format!("/api/v1/ledger?from={START}&to={}", START + 2 * HOUR);
    let is_whole = |answer: &support::http::Answer| {
        let total = &answer.json()["total"];
        answer.status == 200
            && number(total, "received") == 8
            && number(&total["quarantined"], "malformed") == 2
            && number(&total["quarantined"], "empty") == 1
    };
    let answer = console.get_until(&path, is_whole).await.json();
    let rows = answer["hours"].as_array().unwrap();
    let keys: Vec<_> =
        rows.iter().map(|row| (row["device"].as_str().unwrap(), number(row, "hour"))).collect();
    assert_eq!(keys, [("a", START + HOUR), ("c", START + HOUR), ("a", START), ("b", START)]);
    // The row that was told last counts, in whatever order they are read.
    let a = &rows[2];
    assert_eq!((number(a, "received"), number(a, "duplicate"), number(a, "suspect")), (5, 2, 1));
    let of = |reason| number(&a["quarantined"], reason);
    assert_eq!((of("malformed"), of("too_large"), of("dropped")), (2, 1, 257));
    assert_eq!((a["is_balanced"].as_bool(), rows[0]["is_balanced"].as_bool()), (Some(true), Some(false)));
    assert_eq!(answer["total"]["is_balanced"], false);

    let one = console.get(&format!("{path}&device=a&limit=1")).await.json();
    assert_eq!((one["hours"].as_array().unwrap().len(), number(&one["total"], "received")), (1, 7));
    for wrong in ["limit=0", "limit=10001", "from=yesterday"] {
        assert_eq!(console.get(&format!("/api/v1/ledger?{wrong}")).await.status, 400, "{wrong}");
    }
}

/// What is read again after a crash is not counted again: the book knows how far it has come.
#[tokio::test]
async fn what_is_read_twice_counts_once() {
    use sinks::{LedgerBook, LedgerQuery, LedgerSink, Sink};
    use std::sync::Arc;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let log = support::log();
    append(&log, Topic::Quarantine, &[quarantined("a", START, Reason::Invalid)]).await;
    append(&log, Topic::Quarantine, &[quarantined("a", START, Reason::Invalid)]).await;
    append(
        &log,
        Topic::Ledger,
        &[account("a", 0, &[(AccountItem::Received, 1), (AccountItem::Accepted, 1)])],
    )
    .await;
    log.close();
    let query = LedgerQuery { device: None, from: Timestamp(0), to: Timestamp(i64::MAX), limit: 10 };
    for again in 0..3 {
        let book = Arc::new(LedgerBook::open(&path).unwrap());
        let mut sink = LedgerSink::new(Arc::clone(&book));
        // A group of its own each time: from the oldest record on.
        let mut consumer = log.consumer(&format!("ledger-{again}"), LedgerSink::TOPICS);
        while let Some(fetched) = records::Consumer::poll(&mut consumer).await.unwrap() {
            sink.write(&fetched).await.unwrap();
        }
        let (rows, total) = book.find(&query).unwrap();
        assert_eq!((rows.len(), total.quarantined["invalid"], total.counts["received"]), (1, 2, 1));
    }
}

/// A forwarder that has not heard that its records came brings them again, behind others. A new spool counts from 0.
#[tokio::test]
async fn what_is_brought_twice_counts_once() {
    use records::{Batch, Entry, Origin, Producer, TopicPartition};
    let console = Console::start().await;
    let mut batch = Batch::new();
    let mut bring = |device: &str, spool, offset| {
        let mut value = Vec::new();
        quarantined(device, START, Reason::Invalid).encode(&mut value);
        let origin = Some(Origin { gateway: "edge-7", spool, offset });
        batch.push_entry(Entry { key: device.as_bytes(), value: &value, origin, mirrored: None });
    };
    for (device, spool, offset) in [
        ("a", 1, 4),
        ("b", 1, 5),
        ("a", 1, 6),
        ("a", 1, 4),
        ("b", 1, 5),
        ("a", 1, 6),
        ("b", 1, 7),
        ("a", 2, 0),
    ] {
        bring(device, spool, offset);
    }
    let place = TopicPartition { topic: Topic::Quarantine, partition: 0 };
    console.log.append(vec![(place, batch)]).await.unwrap();
    append(&console.log, Topic::Quarantine, &[quarantined("c", START, Reason::Invalid)]).await;
    let path = format!("/api/v1/ledger?from={START}&to={}", START + HOUR);
    let is_read = |answer: &support::http::Answer| {
        answer.json()["hours"].as_array().is_some_and(|hours| hours.iter().any(|row| row["device"] == "c"))
    };
    let answer = console.get_until(&path, is_read).await.json();
    let counts: Vec<_> = answer["hours"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["device"].as_str().unwrap(), number(&row["quarantined"], "invalid")))
        .collect();
    assert_eq!(counts, [("a", 3), ("b", 2), ("c", 1)]);
    let has_all = |answer: &support::http::Answer| {
        answer.json()["quarantine"].as_array().is_some_and(|list| list.iter().any(|one| one["device"] == "c"))
    };
    let list = console.get_until("/api/v1/quarantine?limit=50", has_all).await.json();
    assert_eq!(list["quarantine"].as_array().unwrap().len(), 6, "each is shown once");
}
