//! What comes before MQTT: TLS, and the upgrade to a WebSocket.

use super::ending::Refusal;
use crate::gateway::Gate;
use crate::listener::Door;
use crate::tls::Certified;
use crate::transport::{Transport, without_delay};
use crate::websocket::WebSocket;
use records::Producer;
use std::io;
use tokio::net::TcpStream;
use tokio_rustls::rustls;

/// In the connection's own task: a slow client keeps nobody else waiting.
pub(super) async fn shake_hands<P: Producer>(
    stream: TcpStream,
    door: Door,
    gate: &Gate<P>,
) -> Result<(Transport, Option<Box<Certified>>), Refusal> {
    let stream = without_delay(stream);
    if door.tls.is_none() && !door.is_websocket {
        return Ok((Transport::Plain(stream), None));
    }
    let handshake = tokio::time::timeout(
        gate.limits.handshake_timeout,
        // Boxed: what a handshake needs is more than what comes after it.
        Box::pin(go_through(stream, door, gate.limits.max_websocket_message())),
    );
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        () = gate.stop.cancelled() => return Err(Refusal::Closing),
    };
    match shaken {
        Ok(Ok(shaken)) => Ok(shaken),
        Ok(Err(error)) => Err(tell_handshake(gate, &error)),
        Err(_) => Err(Refusal::Handshake),
    }
}

/// A client whose certificate is at fault is one that the operator may be looking for.
fn tell_handshake<P: Producer>(gate: &Gate<P>, error: &io::Error) -> Refusal {
    let of_tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    match of_tls {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            if gate.may_warn() {
                tracing::warn!(%error, "a client was not let in for its certificate");
            }
            Refusal::Certificate
        }
        _ => {
            tracing::debug!(%error, "no handshake");
            Refusal::Handshake
        }
    }
}

/// First TLS, then the upgrade, as far as the door has them.
async fn go_through(
    stream: TcpStream,
    door: Door,
    max_message: usize,
) -> io::Result<(Transport, Option<Box<Certified>>)> {
    let (transport, certified) = match door.tls {
        None => (Transport::Plain(stream), None),
        Some(tls) => {
            let (stream, certified) = tls.accept(stream).await?;
            (Transport::Tls(Box::new(stream)), certified)
        }
    };
    if !door.is_websocket {
        return Ok((transport, certified));
    }
    let websocket =
        WebSocket::accept(transport.into_stream(), max_message).await.map_err(io::Error::other)?;
    Ok((Transport::WebSocket(Box::new(websocket)), certified))
}
