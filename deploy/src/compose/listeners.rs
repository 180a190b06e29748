//! What listens: bound before any part runs, so that a port in use stops nothing half-way.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::Addresses;
use crate::command::Failure;
use crate::config::{Config, WebSocketConfig};
use crate::role::Role;

/// Everything that somebody connects to.
pub(super) struct Listeners {
    /// For devices; `None` without a gateway.
    pub devices: Option<Doors>,
    /// Page and API; `None` without sinks.
    pub page: Option<TcpListener>,
    /// Metrics and health.
    pub health: TcpListener,
}

/// Where devices come in; `None`: it isn't wanted.
pub(super) struct Doors {
    /// MQTT.
    pub mqtt: TcpListener,
    /// MQTT through TLS.
    pub mqtts: Option<TcpListener>,
    /// MQTT in a WebSocket.
    pub websocket: Option<TcpListener>,
    /// The same through TLS.
    pub secure_websocket: Option<TcpListener>,
}

impl Doors {
    async fn bind(config: &Config) -> Result<Doors, Failure> {
        let WebSocketConfig { listen: websocket, tls_listen: secure_websocket } = config.websocket;
        Ok(Doors {
            mqtts: listen_if("tls.listen", config.tls.as_ref().map(|tls| tls.listen)).await?,
            websocket: listen_if("websocket.listen", websocket).await?,
            secure_websocket: listen_if("websocket.tls_listen", secure_websocket).await?,
            mqtt: listen("gateway.listen", config.gateway.listen).await?,
        })
    }
}

impl Listeners {
    /// Binds those of `role`.
    ///
    /// # Errors
    /// The first that can't be bound, by its key.
    pub async fn bind(config: &Config, role: Role) -> Result<Listeners, Failure> {
        let devices = if role.has_gateway() { Some(Doors::bind(config).await?) } else { None };
        let page = role.has_sinks().then_some(config.console.listen);
        Ok(Listeners {
            devices,
            page: listen_if("console.listen", page).await?,
            health: listen("admin.listen", config.admin.listen).await?,
        })
    }

    /// Where they are.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn addresses(&self) -> Result<Addresses, Failure> {
        Ok(Addresses {
            mqtt: self.devices.as_ref().map(|doors| bound(&doors.mqtt)).transpose()?,
            mqtts: self.door(|doors| &doors.mqtts)?,
            websocket: self.door(|doors| &doors.websocket)?,
            secure_websocket: self.door(|doors| &doors.secure_websocket)?,
            console: self.page.as_ref().map(bound).transpose()?,
            admin: bound(&self.health)?,
        })
    }

    fn door(&self, which: fn(&Doors) -> &Option<TcpListener>) -> Result<Option<SocketAddr>, Failure> {
        self.devices.as_ref().and_then(|doors| which(doors).as_ref()).map(bound).transpose()
    }
}

async fn listen_if(key: &str, address: Option<SocketAddr>) -> Result<Option<TcpListener>, Failure> {
    match address {
        Some(address) => listen(key, address).await.map(Some),
        None => Ok(None),
    }
}

async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Failure::because(format_args!("{key} = \"{address}\""), &error))
}

fn bound(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::because("listener", &error))
}
