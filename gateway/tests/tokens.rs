//! Bearer tokens in a password's place.

mod support;

use support::{CONNACK, NOW, Site, connect, puback, publish, reading};

#[tokio::test]
async fn a_token_is_as_good_as_the_password_until_it_expires() {
    let site = Site::open(&["d-1", "d-2"]).await;
    let minute = std::time::Duration::from_secs(60);
    let token = site.registry.token("d-1", NOW + minute).unwrap();
    let expired = site.registry.token("d-1", NOW).unwrap();

    for (device, token) in [("d-2", &token), ("d-1", &expired)] {
        let mut wire = site.dial().await;
        wire.send(&connect("c", 0, device, token)).await;
        wire.expect(&[0x20, 2, 0, 4]).await;
    }
    let mut wire = site.dial().await;
    wire.send(&connect("c", 0, "d-1", &token)).await;
    wire.expect(&CONNACK).await;
    wire.send(&publish("up/d-1/telemetry", Some(1), &reading(1))).await;
    wire.expect(&puback(1)).await;

    site.advance(minute);
    wire.expect_closed().await;
    let mut wire = site.dial().await;
    wire.send(&connect("c", 0, "d-1", &token)).await;
    wire.expect(&[0x20, 2, 0, 4]).await;
    site.close().await;
}

#[tokio::test]
async fn a_new_password_voids_tokens_and_cuts_their_sessions() {
    let site = Site::open(&["d-1"]).await;
    let token = site.registry.token("d-1", NOW + std::time::Duration::from_secs(60)).unwrap();
    let mut wire = site.dial().await;
    wire.send(&connect("c", 0, "d-1", &token)).await;
    wire.expect(&CONNACK).await;
    site.registry.rotate("d-1").unwrap();
    wire.expect_closed().await;
    let mut wire = site.dial().await;
    wire.send(&connect("c", 0, "d-1", &token)).await;
    wire.expect(&[0x20, 2, 0, 4]).await;
    site.close().await;
}
