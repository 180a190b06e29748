//! Payloads that are not frames, through a session.

mod support;

use gateway::NewDevice;
use records::{Crs, Record, StatedPosition, Topic};
use support::{Site, puback, publish};

#[tokio::test]
async fn a_pack_of_several_instants_is_one_message_and_one_append() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.connect("d-1").await;
    let pack = br#"[{"n":"temperature","u":"K","v":300.0},{"n":"temperature","u":"Cel","t":-60,"v":26.0}]"#;
    wire.send(&publish("up/d-1/telemetry", Some(7), pack)).await;
    wire.expect(&puback(7)).await;
    let broken = br#"[{"n":"temperature","u":"%RH","v":300.0}]"#;
    wire.send(&publish("up/d-1/telemetry", Some(8), broken)).await;
    wire.expect(&puback(8)).await;

    let times: Vec<_> = site
        .log
        .records(Topic::Telemetry)
        .into_iter()
        .filter_map(|(key, record)| match record {
            Record::Observation(observation) if key == "d-1" => Some(observation.event_time.millis()),
            _ => None,
        })
        .collect();
    assert_eq!(times, [support::NOW.millis() - 60_000, support::NOW.millis()]);
    assert_eq!(site.log.records(Topic::Quarantine).len(), 1);
    let messages = |outcome| site.metric("sluice_gateway_messages_total", outcome);
    assert_eq!((messages("accepted"), messages("quarantined")), (1.0, 1.0));
    site.close().await;
}

#[tokio::test]
async fn a_position_of_gcj02_becomes_wgs84_and_is_kept_beside_it() {
    let site = Site::open(&[]).await;
    let device = NewDevice { crs: Crs::Gcj02, ..support::new_device("bus-7") };
    site.registry.add_with_password(device, support::PASSWORD, support::NOW).unwrap();
    let mut wire = site.connect("bus-7").await;
    let payload = br#"{"position": [113.2697296, 23.1264233], "speed": 43.5}"#;
    wire.send(&publish("up/bus-7/telemetry", Some(1), payload)).await;
    wire.expect(&puback(1)).await;
    let records = site.log.records(Topic::Telemetry);
    let Some((_, Record::Observation(observation))) = records.last() else { panic!("{records:?}") };
    let position = observation.position.unwrap();
    assert!((position.lon - 113.2644).abs() < 1e-6 && (position.lat - 23.1291).abs() < 1e-6, "{position:?}");
    let stated = StatedPosition { crs: Crs::Gcj02, lon: 113.2697296, lat: 23.1264233 };
    assert_eq!(observation.stated, Some(stated));
    site.close().await;
}
