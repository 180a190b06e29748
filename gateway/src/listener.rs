//! Where clients come in.

use crate::Tls;
use tokio::net::TcpListener;

/// A bound socket, and what is spoken on it below MQTT.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) tls: Option<Tls>,
}

impl Listener {
    /// MQTT as it is.
    pub fn plain(socket: TcpListener) -> Listener {
        Listener { socket, tls: None }
    }

    /// MQTT through TLS.
    pub fn tls(socket: TcpListener, tls: Tls) -> Listener {
        Listener { socket, tls: Some(tls) }
    }
}
