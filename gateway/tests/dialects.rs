//! Payloads that are not frames, through a session.

mod support;

use records::{Record, Topic};
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
