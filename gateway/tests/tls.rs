//! MQTT through TLS.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

mod support;

use gateway::{Limits, Listener, Tls};
use std::time::Duration;
use support::proof::Proof;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

async fn session(proof: &Proof, site: &Site) -> TlsStream<TcpStream> {
    let mut wire = proof.dial(site.address).await.unwrap();
    wire.write_all(&connect("d-1", 0, "d-1", PASSWORD)).await.unwrap();
    expect(&mut wire, &CONNACK).await;
    wire
}

async fn expect(wire: &mut TlsStream<TcpStream>, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    let read = tokio::time::timeout(Duration::from_secs(10), wire.read_exact(&mut bytes)).await;
    read.expect("an answer in time").expect("an answer");
    assert_eq!(bytes, expected);
}

async fn site(tls: Tls, limits: Limits) -> Site {
    Site::open_behind(&["d-1", "d-2"], limits, |socket| Listener::tls(socket, tls.clone())).await
}

#[tokio::test]
async fn a_session_through_tls_is_one_like_others() {
    let proof = Proof::new();
    let site = site(proof.tls(), Limits::default()).await;
    let mut wire = session(&proof, &site).await;
    // More than one TLS record and one read each way.
    let flood: Vec<u8> = (1..=20_000).flat_map(|id| telemetry("d-1", id)).collect();
    let (mut read_half, mut write_half) = tokio::io::split(wire);
    let writer = tokio::spawn(async move {
        write_half.write_all(&flood).await.unwrap();
        write_half.flush().await.unwrap();
        write_half
    });
    let mut pubacks = vec![0; 4 * 20_000];
    read_half.read_exact(&mut pubacks).await.unwrap();
    assert!(pubacks == (1..=20_000).flat_map(puback).collect::<Vec<u8>>(), "acknowledgements out of order");
    wire = read_half.unsplit(writer.await.unwrap());
    wire.write_all(&DISCONNECT).await.unwrap();
    // The end is said, so that it can't be taken for a cut.
    assert_eq!(wire.read(&mut [0; 9]).await.unwrap(), 0);
    assert_eq!(site.log.sequences("d-1"), (1..=20_000).collect::<Vec<_>>());
    site.close().await;
}

#[tokio::test]
async fn a_handshake_keeps_nobody_waiting_and_ends_in_time() {
    let proof = Proof::new();
    let patience = Duration::from_millis(1500);
    let site = site(proof.tls(), Limits { handshake_timeout: patience, ..Limits::default() }).await;
    // Nothing; the start of a record; what is no TLS at all.
    let started = Instant::now();
    let mut slow = Vec::new();
    for said in [&[][..], &[0x16, 3, 1, 2, 0, 1, 0]] {
        let mut wire = site.dial().await;
        wire.send(said).await;
        slow.push(wire);
    }
    let mut stranger = site.dial().await;
    stranger.send(&connect("d-1", 0, "d-1", PASSWORD)).await;
    drop(session(&proof, &site).await);
    assert!(started.elapsed() < patience, "somebody waited for the slow ones");
    for wire in &mut slow {
        wire.expect_closed().await;
    }
    assert!(started.elapsed() >= patience);
    assert_eq!(site.metric("sluice_gateway_refused_connections_total", "handshake"), 3.0);
    site.close().await;
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_a_bad_one_for_none() {
    let (old, new, other) = (Proof::new(), Proof::new(), Proof::new());
    let tls = old.tls();
    let site = site(tls.clone(), Limits::default()).await;
    let mut wire = session(&old, &site).await;
    let garbage = "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n";
    let certificate = new.certificate.pem();
    for (certificates, key) in
        [("", new.key.as_str()), (&certificate, ""), (&certificate, &other.key), (garbage, &new.key)]
    {
        tls.replace(certificates.as_bytes(), key.as_bytes()).expect_err("it can't be used");
        old.dial(site.address).await.unwrap();
    }
    tls.replace(new.certificate.pem().as_bytes(), new.key.as_bytes()).unwrap();
    old.dial(site.address).await.expect_err("the old certificate is not shown any more");
    new.dial(site.address).await.unwrap();
    wire.write_all(&telemetry("d-1", 7)).await.unwrap();
    expect(&mut wire, &puback(7)).await;
    site.close().await;
}

#[tokio::test]
#[ignore = "needs mosquitto-clients"]
async fn mosquitto_pub_trusts_it() {
    let proof = Proof::new();
    let site = site(proof.tls(), Limits::default()).await;
    let authority = proof.write(&site);
    for (version, tls) in [("mqttv311", "tlsv1.2"), ("mqttv5", "tlsv1.3")] {
        let mut command = Command::new("mosquitto_pub");
        command.args([
            "-h",
            "localhost",
            "-p",
            &site.address.port().to_string(),
            "-u",
            "d-1",
            "-P",
            PASSWORD,
        ]);
        command.arg("--cafile").arg(&authority).args(["--tls-version", tls, "-V", version, "-q", "2"]);
        command.args(["-t", "up/d-1/telemetry", "-m", r#"{"sequence": 7, "pm2_5": 1}"#, "--repeat", "3"]);
        let published = command.output().await.expect("mosquitto-clients is installed");
        assert!(published.status.success(), "{published:?}");
    }
    assert_eq!(site.log.sequences("d-1"), [7; 6]);
    site.close().await;
}
