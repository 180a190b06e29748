//! What is left out while there is nearly no room: which messages, and that every one of them is told.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

mod support;

use gateway::{Limits, NewDevice, Shedding};
use records::{Family, Quarantined, Reason, Record, Timestamp, Topic};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::*;

/// A gateway that may leave out what these families say, and the switch.
async fn site(devices: &[&str], families: &[Family]) -> (Site, Arc<AtomicBool>) {
    let is_scarce = Arc::new(AtomicBool::new(false));
    let told = is_scarce.clone();
    let is_asked = Arc::new(move || told.load(Ordering::Relaxed));
    let shedding = Shedding { families: families.to_vec(), is_scarce: is_asked };
    (Site::open_shedding(devices, shedding).await, is_scarce)
}

/// A reading at QoS 0.
fn careless(device: &str, sequence: u64) -> Vec<u8> {
    publish(&format!("up/{device}/telemetry"), None, &reading(sequence))
}

/// What was told of messages that were left out, as device, hour and count.
fn told(site: &Site) -> Vec<(String, Timestamp, u32)> {
    let told = |(key, record): (String, Record)| match record {
        Record::Quarantined(Quarantined {
            device,
            ingest_time,
            reason: Reason::Dropped,
            count,
            payload,
            ..
        }) => {
            assert!(*key == *device && payload.is_empty());
            Some((key, ingest_time.floor(Duration::from_secs(3600)), count))
        }
        _ => None,
    };
    let mut told: Vec<_> = site.log.records(Topic::Quarantine).into_iter().filter_map(told).collect();
    told.sort();
    told
}

/// The same in one sum a device.
fn sum(site: &Site, device: &str) -> u32 {
    told(site).iter().filter(|(known, ..)| known == device).map(|(.., count)| count).sum()
}

fn dropped(site: &Site) -> f64 {
    site.metric("sluice_gateway_messages_total", "dropped")
}

/// Returns when everything before has been read.
async fn settle(wire: &mut Wire) {
    wire.send(&PINGREQ).await;
    wire.expect(&PINGRESP).await;
}

#[tokio::test]
async fn only_qos_0_of_named_families_is_left_out_and_every_message_is_told() {
    let (site, is_scarce) = site(&["air-1", "air-2"], &[Family::Air]).await;
    let water = NewDevice { family: Family::Water, ..new_device("water-1") };
    site.registry.add_with_password(water, PASSWORD, NOW).unwrap();
    let mut one = site.connect("air-1").await;
    let mut two = site.connect("air-2").await;
    let mut other = site.connect("water-1").await;

    one.send(&careless("air-1", 1)).await;
    settle(&mut one).await;
    is_scarce.store(true, Ordering::Relaxed);
    // QoS 1 and 2 in between are kept, in order.
    let garbage = publish("up/air-1/telemetry", None, b"{");
    let lost = publish("nobody/knows", None, b"x");
    let careful = publish_at("up/air-1/telemetry", 2, 11, &reading(11));
    one.send(
        &[careless("air-1", 2), telemetry("air-1", 10), garbage, lost, careful, careless("air-1", 3)]
            .concat(),
    )
    .await;
    one.expect(&[puback(10), [0x50, 2, 0, 11]].concat()).await;
    two.send(&[careless("air-2", 1), careless("air-2", 2)].concat()).await;
    settle(&mut two).await;
    other.send(&[careless("water-1", 1), telemetry("water-1", 2)].concat()).await;
    other.expect(&puback(2)).await;
    site.until("six are left out", |site| dropped(site) == 6.0).await;
    is_scarce.store(false, Ordering::Relaxed);
    one.send(&[careless("air-1", 4), telemetry("air-1", 12)].concat()).await;
    one.expect(&puback(12)).await;

    assert_eq!(site.log.sequences("air-1"), [1, 10, 11, 4, 12]);
    assert_eq!(site.log.sequences("air-2"), [0; 0]);
    assert_eq!(site.log.sequences("water-1"), [1, 2]);
    site.until("all of it is told", |site| sum(site, "air-1") == 4 && sum(site, "air-2") == 2).await;
    assert_eq!(site.metric("sluice_gateway_messages_total", ""), 7.0 + 6.0);
    assert_eq!(site.metric("sluice_gateway_quarantined_total", ""), 0.0);
    site.close().await;
}

/// What somebody else's topic is stays forbidden, however little room there is.
#[tokio::test]
async fn a_topic_of_another_device_is_no_less_forbidden() {
    let (site, is_scarce) = site(&["air-1"], &[Family::Air]).await;
    is_scarce.store(true, Ordering::Relaxed);
    let mut wire = site.connect("air-1").await;
    wire.send(&careless("air-2", 1)).await;
    wire.expect_closed().await;
    assert_eq!((dropped(&site), site.metric("sluice_gateway_messages_total", "forbidden")), (0.0, 1.0));
    site.close().await;
}

/// A payload over the limit would go to quarantine with its beginning, which takes room too.
#[tokio::test]
async fn an_oversized_payload_is_left_out_too() {
    let (site, is_scarce) = site(&["air-1"], &[Family::Air]).await;
    is_scarce.store(true, Ordering::Relaxed);
    let mut wire = site.connect("air-1").await;
    let large = vec![b'{'; Limits::default().max_payload + 1];
    wire.send(&publish("up/air-1/telemetry", None, &large)).await;
    settle(&mut wire).await;
    site.until("it is told", |site| sum(site, "air-1") == 1).await;
    assert_eq!(site.log.records(Topic::Quarantine).len(), 1);
    site.close().await;
}

/// While a log takes nothing at all, sums wait, each under its hour; what is left at the end is told before the end.
#[tokio::test]
async fn what_was_left_out_while_the_log_was_full_is_told_afterwards_by_its_hour() {
    let (site, is_scarce) = site(&["air-1"], &[Family::Air]).await;
    let mut wire = site.connect("air-1").await;
    is_scarce.store(true, Ordering::Relaxed);
    site.log.set(Mood::Full);
    let hour = NOW.floor(Duration::from_secs(3600));
    for number in 0..5 {
        wire.send(&careless("air-1", number)).await;
    }
    settle(&mut wire).await;
    site.advance(Duration::from_secs(3600));
    wire.send(&[careless("air-1", 5), careless("air-1", 6)].concat()).await;
    settle(&mut wire).await;
    site.until("the first attempt was refused", |site| {
        site.metric("sluice_gateway_append_retries_total", "") > 0.0
    })
    .await;
    assert_eq!((told(&site), dropped(&site)), (Vec::new(), 7.0));
    site.log.set(Mood::Takes);
    site.until("all of it is told", |site| sum(site, "air-1") == 7).await;
    let of = |hour: Timestamp| {
        told(&site).iter().filter(|(_, known, _)| *known == hour).map(|it| it.2).sum::<u32>()
    };
    assert_eq!((of(hour), of(hour + Duration::from_secs(3600))), (5, 2));

    wire.send(&[careless("air-1", 7), DISCONNECT.to_vec()].concat()).await;
    site.until("one more is left out", |site| dropped(site) == 8.0).await;
    let log = site.log.clone();
    site.close().await;
    let counts = log.records(Topic::Quarantine).into_iter().map(|(_, record)| match record {
        Record::Quarantined(quarantined) => quarantined.count,
        other => panic!("{other:?}"),
    });
    assert_eq!(counts.sum::<u32>(), 8);
}
