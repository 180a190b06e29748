//! Publishes a recorded table with its own times: what was measured once can be judged again.

mod map;

mod table;

pub use map::{Map, ReadingMap, TimeMap};
pub use table::{Table, TableError};

use crate::city::Message;
use crate::window::{Window, acknowledge};
use firmware_protocol::{Topic, UpKind};
use rumqttc::{AsyncClient, ConnectionError, MqttOptions, QoS};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Where to replay to.
#[derive(Clone, Debug)]
pub struct ReplayConfig {
    /// Host of the broker.
    pub host: String,
    /// Its MQTT port.
    pub port: u16,
    /// Password of each device by id; a device's user is its id. A device without one connects without both.
    pub passwords: HashMap<String, String>,
    /// Most messages that wait for an acknowledgement.
    pub in_flight: u16,
    /// How many connections in a row may end without an acknowledgement before the replay gives up.
    pub attempts: u32,
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The connection failed too often in a row.
    #[error("{device}: connection failed")]
    Lost {
        /// Whose.
        device: String,
        /// Why.
        #[source]
        cause: Box<ConnectionError>,
    },
}

/// Publishes the messages of [`Map::messages`], device by device; returns how many were acknowledged.
///
/// When a connection is lost, it comes back and sends again what was not acknowledged, under the same sequence.
pub async fn replay(
    config: &ReplayConfig,
    messages: &BTreeMap<String, Vec<Message>>,
) -> Result<u64, ReplayError> {
    let mut acknowledged = 0;
    for (device, messages) in messages {
        let (window, mut rest, mut failures) = (Window::default(), &messages[..], 0);
        loop {
            let before = window.taken();
            let Err(cause) = session(config, device, &window, &mut rest).await else { break };
            failures = if window.taken() > before { 0 } else { failures + 1 };
            if failures >= config.attempts {
                return Err(ReplayError::Lost { device: device.clone(), cause: Box::new(cause) });
            }
            sleep(Duration::from_millis(250)).await;
        }
        acknowledged += window.taken();
    }
    Ok(acknowledged)
}

/// One connection; `Ok` when everything is acknowledged.
async fn session(
    config: &ReplayConfig,
    device: &str,
    window: &Window,
    rest: &mut &[Message],
) -> Result<(), ConnectionError> {
    let (client, mut events) = AsyncClient::new(options(config, device), 8);
    events.poll().await?;
    tokio::select! {
        lost = acknowledge(&mut events, window, |_| ()) => return Err(lost),
        () = speak(&client, device, window, rest, usize::from(config.in_flight.max(1))) => {}
    }
    let _ = client.try_disconnect();
    let _ = timeout(Duration::from_secs(1), async { while events.poll().await.is_ok() {} }).await;
    Ok(())
}

async fn speak(client: &AsyncClient, device: &str, window: &Window, rest: &mut &[Message], most: usize) {
    let topic = Topic::Up { device, kind: UpKind::Telemetry }.to_string();
    let publish = async |payload: Vec<u8>| {
        if client.publish(topic.clone(), QoS::AtLeastOnce, false, payload).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    for payload in window.reopen() {
        publish(payload).await;
    }
    while let [message, more @ ..] = *rest {
        window.wait_below(most).await;
        window.push(message.clone());
        *rest = more;
        publish(message.payload.clone()).await;
    }
    window.wait_below(1).await;
}

fn options(config: &ReplayConfig, device: &str) -> MqttOptions {
    let mut options = MqttOptions::new(device, &config.host, config.port);
    options
        .set_keep_alive(Duration::from_secs(60))
        .set_inflight(config.in_flight.max(1))
        .set_clean_session(true);
    if let Some(password) = config.passwords.get(device) {
        options.set_credentials(device, password);
    }
    options
}
