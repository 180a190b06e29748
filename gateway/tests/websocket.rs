//! MQTT in a WebSocket, plain and through TLS.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

mod support;

use futures_util::{SinkExt, StreamExt};
use gateway::{Limits, Listener};
use std::time::Duration;
use support::proof::Proof;
use support::*;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    path: &str,
    protocol: Option<&'static str>,
) -> Result<WebSocketStream<S>, Error> {
    let mut request = format!("ws://localhost{path}").into_client_request().unwrap();
    if let Some(protocol) = protocol {
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(protocol));
    }
    client_async(request, stream).await.map(|(stream, _)| stream)
}

async fn dial(site: &Site) -> TcpStream {
    TcpStream::connect(site.websocket).await.unwrap()
}

/// A flood in frames that begin and end anywhere, each way more than any buffer holds.
async fn check_flood<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(site: Site, stream: S) {
    const MESSAGES: u16 = 20_000;
    let (mut sink, mut stream) = upgrade(stream, "/mqtt", Some("mqtt")).await.unwrap().split();
    let flood =
        [connect("d-1", 0, "d-1", PASSWORD), (1..=MESSAGES).flat_map(|id| telemetry("d-1", id)).collect()];
    let flood = flood.concat();
    let writer = tokio::spawn(async move {
        let (mut at, mut len) = (0, 1);
        while at < flood.len() {
            let end = flood.len().min(at + len);
            sink.send(Message::Binary(Bytes::copy_from_slice(&flood[at..end]))).await.unwrap();
            (at, len) = (end, len * 7 % 9973);
        }
        sink.send(Message::Ping(Bytes::from_static(b"there?"))).await.unwrap();
        sink
    });
    let expected: Vec<u8> = CONNACK.into_iter().chain((1..=MESSAGES).flat_map(puback)).collect();
    let (mut answered, mut pongs) = (Vec::new(), 0);
    while answered.len() < expected.len() || pongs == 0 {
        match stream.next().await.unwrap().unwrap() {
            Message::Binary(bytes) => answered.extend(bytes),
            Message::Pong(said) if said.as_ref() == b"there?" => pongs += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(answered == expected, "acknowledgements out of order");
    let mut sink = writer.await.unwrap();
    sink.send(Message::Binary(Bytes::from_static(&DISCONNECT))).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(Message::Close(_)))));
    assert_eq!(site.log.sequences("d-1"), (1..=u64::from(MESSAGES)).collect::<Vec<_>>());
    assert_eq!(site.metric("sluice_gateway_sessions_ended_total", "disconnect"), 1.0);
    site.close().await;
}

#[tokio::test]
async fn packets_cross_frames() {
    let site = Site::open(&["d-1"]).await;
    let stream = dial(&site).await;
    check_flood(site, stream).await;
}

#[tokio::test]
async fn packets_cross_frames_through_tls() {
    let proof = Proof::new();
    let tls = proof.tls();
    let site =
        Site::open_behind(&["d-1"], Limits::default(), |socket| Listener::tls(socket, tls.clone())).await;
    let stream = proof.dial(site.websocket).await.unwrap();
    check_flood(site, stream).await;
}

#[tokio::test]
async fn what_is_no_upgrade_to_mqtt_is_refused() {
    let patience = Duration::from_millis(700);
    let limits = Limits { handshake_timeout: patience, ..Limits::default() };
    let site = Site::open_with(&["d-1"], limits).await;
    let check = async |path, protocol, expected: u16| match upgrade(dial(&site).await, path, protocol).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status().as_u16(), expected, "{path} {protocol:?}"),
        other => panic!("{path} {protocol:?}: {other:?}"),
    };
    check("/mqtt", None, 400).await;
    check("/mqtt", Some("mqttv3.1"), 400).await;
    check("/mqtt", Some("xmqtt"), 400).await;
    check("/", Some("mqtt"), 404).await;
    check("/mqtt/", Some("mqtt"), 404).await;
    // MQTT without a WebSocket, half a request, a request of something else, and nothing.
    for said in
        [&connect("d-1", 0, "d-1", PASSWORD)[..], b"GET /mqtt HT", b"POST /mqtt HTTP/1.1\r\n\r\n", b""]
    {
        let mut wire = Wire(dial(&site).await);
        wire.send(said).await;
        wire.expect_closed().await;
    }
    assert_eq!(site.metric("sluice_gateway_refused_connections_total", "handshake"), 9.0);
    assert!(upgrade(dial(&site).await, "/mqtt?x=1", Some("a,mqtt , b")).await.is_ok());
    site.close().await;
}

#[tokio::test]
async fn a_message_over_the_limit_ends_its_connection_alone() {
    let site = Site::open_with(&["d-1"], Limits { max_payload: 1000, ..Limits::default() }).await;
    let mut bystander = site.connect("d-1").await;
    let mut stream = upgrade(dial(&site).await, "/mqtt", Some("mqtt")).await.unwrap();
    stream.send(Message::Binary(vec![0; 200_000].into())).await.unwrap();
    let Some(Ok(Message::Close(Some(close)))) = stream.next().await else { panic!("it goes on") };
    assert_eq!(close.code, CloseCode::Size);
    bystander.send(&PINGREQ).await;
    bystander.expect(&PINGRESP).await;
    site.close().await;
}
