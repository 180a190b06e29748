//! Where clients come in.

use crate::Tls;
use tokio::net::TcpListener;

/// A bound socket, and what is spoken on it below MQTT.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) door: Door,
}

/// What is spoken below MQTT.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub tls: Option<Tls>,
    pub is_websocket: bool,
}

impl Listener {
    /// MQTT as it is.
    pub fn plain(socket: TcpListener) -> Listener {
        Listener { socket, door: Door { tls: None, is_websocket: false } }
    }

    /// MQTT through TLS.
    pub fn tls(socket: TcpListener, tls: Tls) -> Listener {
        Listener { socket, door: Door { tls: Some(tls), is_websocket: false } }
    }

    /// The same, inside a WebSocket at `/mqtt` with the subprotocol `mqtt`.
    #[must_use]
    pub fn over_websocket(mut self) -> Listener {
        self.door.is_websocket = true;
        self
    }
}
