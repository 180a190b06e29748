//! Clients that prove themselves by certificates.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

mod support;

use gateway::{ClientRule, Limits, Listener, Tls};
use rcgen::{SanType, date_time_ymd};
use std::time::Duration;
use support::proof::{Authority, Holder, Proof, clock};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

type Secure = TlsStream<TcpStream>;

fn asking(proof: &Proof, template: &str, is_required: bool, authorities: &str) -> Tls {
    let tls = proof.tls();
    let rule = ClientRule { name: template.parse().unwrap(), is_required };
    tls.ask_clients(rule, authorities.as_bytes(), None, clock()).unwrap();
    tls
}

async fn site(devices: &[&str], tls: &Tls) -> Site {
    Site::open_behind(devices, Limits::default(), |socket| Listener::tls(socket, tls.clone())).await
}

/// CONNECT of MQTT 3.1.1 with neither user name nor password.
fn connect_anonymous(client_id: &str) -> Vec<u8> {
    packet(0x10, &[b"\0\x04MQTT\x04\x02\0\0", &string(client_id)[..]].concat())
}

async fn answer(wire: &mut Secure, said: &[u8]) -> Option<[u8; 4]> {
    let mut bytes = [0; 4];
    wire.write_all(said).await.ok()?;
    let read = timeout(Duration::from_secs(10), wire.read_exact(&mut bytes)).await;
    read.expect("an answer or an end in time").ok().map(|_| bytes)
}

/// What the gateway says to a CONNECT; `None` when the connection is no good at all.
async fn arrive(proof: &Proof, site: &Site, holder: Option<&Holder>, hello: &[u8]) -> Option<[u8; 4]> {
    let mut wire = proof.dial_as(site.address, holder).await.ok()?;
    answer(&mut wire, hello).await
}

async fn session(proof: &Proof, site: &Site, holder: &Holder, client_id: &str) -> Secure {
    let mut wire = proof.dial_as(site.address, Some(holder)).await.unwrap();
    assert_eq!(answer(&mut wire, &connect_anonymous(client_id)).await, Some(CONNACK));
    wire
}

async fn is_alive(wire: &mut Secure) -> bool {
    let mut bytes = [0; 2];
    let said = wire.write_all(&PINGREQ).await;
    said.is_ok() && wire.read_exact(&mut bytes).await.is_ok() && bytes == PINGRESP
}

async fn until_closed(wire: &mut Secure) {
    let ended = timeout(Duration::from_secs(10), wire.read(&mut [0; 1])).await.expect("closed in time");
    assert!(ended.is_err() || ended.is_ok_and(|read| read == 0));
}

#[tokio::test]
async fn a_certificate_says_who_it_is() {
    let (proof, ours, stranger) = (Proof::new(), Authority::new("ours"), Authority::new("ours"));
    let tls = asking(&proof, "cn:{device}", true, &ours.pem());
    let site = site(&["d-1", "d-2"], &tls).await;
    let certificate = ours.sign("d-1", 1, |_| {});
    let refused = |code| Some([0x20, 2, 0, code]);
    let check = async |holder: Option<&Holder>, hello: Vec<u8>, expected| {
        assert_eq!(arrive(&proof, &site, holder, &hello).await, expected, "{hello:?}");
    };
    // With a password it needs none, and no other's name is it.
    check(Some(&certificate), connect_anonymous("c"), Some(CONNACK)).await;
    check(Some(&certificate), connect("c", 0, "d-1", "whatever it is"), Some(CONNACK)).await;
    check(Some(&certificate), connect("c", 0, "d-2", PASSWORD), refused(4)).await;
    check(Some(&ours.sign("d-9", 2, |_| {})), connect_anonymous("c"), refused(4)).await;
    check(Some(&ours.sign("no name", 3, |_| {})), connect("c", 0, "d-1", PASSWORD), refused(4)).await;
    // These don't come as far as MQTT.
    check(Some(&stranger.sign("d-1", 1, |_| {})), connect_anonymous("c"), None).await;
    check(None, connect("c", 0, "d-1", PASSWORD), None).await;
    let expired = ours.sign("d-1", 4, |params| params.not_after = date_time_ymd(2027, 1, 14));
    check(Some(&expired), connect_anonymous("c"), None).await;
    site.until("they are counted", |site| {
        site.metric("sluice_gateway_refused_connections_total", "certificate") == 3.0
    })
    .await;

    let mut wire = session(&proof, &site, &certificate, "c").await;
    assert_eq!(answer(&mut wire, &telemetry("d-1", 7)).await, Some(puback(7)));
    assert_eq!(site.log.sequences("d-1"), [7]);
    // A password that is rotated is not what it stands on; the entry is.
    site.registry.rotate("d-1").unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(is_alive(&mut wire).await);
    site.registry.disable("d-1", NOW).unwrap();
    until_closed(&mut wire).await;
    check(Some(&certificate), connect_anonymous("c"), refused(5)).await;
    site.close().await;
}

#[tokio::test]
async fn an_alternative_name_and_a_password_where_certificates_are_optional() {
    let (proof, authority) = (Proof::new(), Authority::new("ours"));
    let tls = asking(&proof, "dns:{device}.devices.example", false, &authority.pem());
    let site = site(&["d-1"], &tls).await;
    let named = authority.sign("anything", 1, |params| {
        params.subject_alt_names =
            vec![SanType::DnsName("d-1.devices.example".to_owned().try_into().unwrap())];
    });
    drop(session(&proof, &site, &named, "c").await);
    let hello = connect("c", 0, "d-1", PASSWORD);
    assert_eq!(arrive(&proof, &site, None, &hello).await, Some(CONNACK));
    // Who shows a certificate is who it says, and a password doesn't make up for it.
    let nameless = authority.sign("d-1", 2, |_| {});
    assert_eq!(arrive(&proof, &site, Some(&nameless), &hello).await, Some([0x20, 2, 0, 4]));
    site.close().await;
}

#[tokio::test]
async fn a_session_ends_with_its_certificate() {
    let (proof, authority) = (Proof::new(), Authority::new("ours"));
    let tls = asking(&proof, "cn:{device}", true, &authority.pem());
    let site = site(&["d-1"], &tls).await;
    // NOW is 2027-01-15 08:00 UTC.
    let short = authority.sign("d-1", 1, |params| params.not_after = date_time_ymd(2027, 1, 16));
    let mut wire = session(&proof, &site, &short, "c").await;
    site.advance(Duration::from_secs(16 * 3600));
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(is_alive(&mut wire).await, "good through its last second");
    site.advance(Duration::from_secs(1));
    until_closed(&mut wire).await;
    assert_eq!(site.metric("sluice_gateway_sessions_ended_total", "revoked"), 1.0);
    site.close().await;
}

#[tokio::test]
async fn a_bad_list_leaves_the_old_one_in_force() {
    let (proof, authority, other) = (Proof::new(), Authority::new("ours"), Authority::new("others"));
    let tls = asking(&proof, "cn:{device}", true, &authority.pem());
    let site = site(&["d-1", "d-2"], &tls).await;
    let (first, second) = (authority.sign("d-1", 1, |_| {}), authority.sign("d-2", 2, |_| {}));
    let mut wire = session(&proof, &site, &first, "c").await;
    tls.replace_revoked(authority.revoke(&[2]).as_bytes()).unwrap();
    let garbage = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    for list in ["", "text", garbage, &authority.pem()] {
        tls.replace_revoked(list.as_bytes()).expect_err("it is no list");
    }
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for authorities in ["", garbage, &format!("{}{garbage}", other.pem())] {
        tls.replace_authorities(authorities.as_bytes()).expect_err("it is no authority");
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(is_alive(&mut wire).await);
    assert_eq!(arrive(&proof, &site, Some(&second), &connect_anonymous("c")).await, None);
    drop(session(&proof, &site, &first, "d").await);
    // A new certificate of the listener's leaves clients as they are.
    let renewed = Proof::new();
    tls.replace(renewed.certificate.pem().as_bytes(), renewed.key.as_bytes()).unwrap();
    assert!(is_alive(&mut wire).await);
    assert_eq!(arrive(&renewed, &site, Some(&second), &connect_anonymous("c")).await, None);
    site.close().await;
}

/// Sessions whose certificates are judged anew while they go on.
const LIVE: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorities_are_rotated_under_live_sessions() {
    let (proof, old, new) = (Proof::new(), Authority::new("old"), Authority::new("new"));
    let tls = asking(&proof, "cn:{device}", true, &old.pem());
    let site = site(&["d-1", "d-2", "d-3"], &tls).await;
    let certificate = old.sign("d-1", 1, |_| {});
    let mut wires = Vec::new();
    for number in 0..LIVE {
        wires.push(session(&proof, &site, &certificate, &format!("c-{number}")).await);
    }
    let mut lost = session(&proof, &site, &old.sign("d-2", 2, |_| {}), "lost").await;

    // The new one comes in beside the old one.
    tls.replace_authorities(format!("{}{}", old.pem(), new.pem()).as_bytes()).unwrap();
    let mut moved = session(&proof, &site, &new.sign("d-3", 1, |_| {}), "moved").await;
    let started = Instant::now();
    tls.replace_revoked(old.revoke(&[2]).as_bytes()).unwrap();
    until_closed(&mut lost).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    println!("one of {LIVE} revoked and gone after {:?}", started.elapsed());

    let mut asked = JoinSet::new();
    for mut wire in wires {
        asked.spawn(async move { is_alive(&mut wire).await.then_some(wire) });
    }
    let mut wires: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
    assert_eq!(wires.len(), LIVE, "somebody else was dropped");
    assert!(is_alive(&mut moved).await);
    assert_eq!(site.metric("sluice_gateway_sessions_ended_total", ""), 1.0);

    // The old one goes, and takes those with it who haven't moved.
    let started = Instant::now();
    tls.replace_authorities(new.pem().as_bytes()).unwrap();
    until_closed(wires.last_mut().unwrap()).await;
    site.until("all of the old are gone", |site| {
        site.metric("sluice_gateway_sessions_ended_total", "revoked") == LIVE as f64 + 1.0
    })
    .await;
    println!("{LIVE} cut after {:?}", started.elapsed());
    assert!(is_alive(&mut moved).await);
    assert_eq!(arrive(&proof, &site, Some(&certificate), &connect_anonymous("c")).await, None);
    site.close().await;
}
