//! One device's life: connect, say what is due, remember what is not acknowledged, come back.

use super::Shared;
use super::pace::SLICE;
use crate::chance::Chance;
use crate::city::Message;
use crate::window::{Window, acknowledge};
use firmware_protocol::{Topic, UpKind};
use rumqttc::{AsyncClient, ConnectReturnCode, ConnectionError, MqttOptions, QoS};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// A device of a run.
pub struct Device {
    shared: Arc<Shared>,
    number: usize,
    topic: String,
    /// The next message to say.
    next: Option<Message>,
    limit: watch::Receiver<i64>,
    /// End of the slice that is being delivered.
    slice: i64,
}

/// Capacity of the channel into the client; what waits there waits in the window too.
const CHANNEL: usize = 8;

impl Device {
    /// A device that has said nothing yet of what is due from `from` on.
    pub fn new(shared: Arc<Shared>, number: usize, from: i64) -> Device {
        let device = shared.city.devices().get(number).map_or("", |spec| spec.id.as_str());
        let topic = Topic::Up { device, kind: UpKind::Telemetry }.to_string();
        let next = shared.city.schedule(number, from, i64::MAX).next();
        let limit = shared.pace.limit();
        Device { shared, number, topic, next, limit, slice: from + SLICE }
    }

    /// Runs until everything is said and acknowledged, or until the run stops.
    pub async fn run(mut self) {
        let shared = self.shared.clone();
        let window = Window::default();
        let mut failures = 0;
        loop {
            let before = window.taken();
            let Err(error) = self.session(&window).await else { return };
            self.note(&error);
            failures = if window.taken() > before { 0 } else { failures + 1 };
            tokio::select! {
                () = sleep(self.pause(failures)) => {}
                () = shared.stop.cancelled() => return,
            }
        }
    }

    /// One connection; `Ok` when all is said and acknowledged, or when the run stops.
    async fn session(&mut self, window: &Window) -> Result<(), ConnectionError> {
        let (client, mut events) = AsyncClient::new(self.options(), CHANNEL);
        events.network_options.set_tcp_nodelay(true);
        events.network_options.set_connection_timeout(20);
        let shared = self.shared.clone();
        let greeting = async {
            let _door = shared.doors.acquire().await;
            events.poll().await
        };
        tokio::select! {
            greeted = greeting => greeted?,
            () = shared.stop.cancelled() => return Ok(()),
        };
        let _connected = Connected::new(&shared.progress.connected);
        let now = shared.city.now();
        tokio::select! {
            lost = acknowledge(&mut events, window, |time| shared.count(time < now)) => return Err(lost),
            () = self.speak(&client, window) => {}
            () = shared.stop.cancelled() => {}
        }
        let _ = client.try_disconnect();
        let _ = timeout(Duration::from_secs(1), async { while events.poll().await.is_ok() {} }).await;
        Ok(())
    }

    /// Sends what is not acknowledged, then what is due; returns when there is nothing more, and all is
    /// acknowledged.
    async fn speak(&mut self, client: &AsyncClient, window: &Window) {
        for payload in window.reopen() {
            self.publish(client, payload).await;
        }
        while let Some(time) = self.next.as_ref().map(|message| message.time) {
            if self.shared.config.until.is_some_and(|until| time >= until) {
                break;
            }
            self.wait_for_turn(time, window).await;
            let Some(message) = self.next.take() else { break };
            self.next = self.shared.city.message(self.number, message.sequence + 1);
            let payload = message.payload.clone();
            window.push(message);
            self.publish(client, payload).await;
        }
        window.wait_below(1).await;
        while self.slice <= self.shared.city.now() {
            self.slice += SLICE;
            self.shared.pace.arrive();
        }
    }

    /// Until a message of that time may be sent: there is room, the others are abreast, and the time has come.
    async fn wait_for_turn(&mut self, time: i64, window: &Window) {
        let (start, most) = (self.shared.city.now(), usize::from(self.shared.config.in_flight.max(1)));
        while self.slice <= time.min(start) {
            window.wait_below(1).await;
            self.slice += SLICE;
            self.shared.pace.arrive();
        }
        let _ = self.limit.wait_for(|limit| time < *limit || time >= start).await;
        window.wait_below(most).await;
        if time >= start {
            let due =
                start + ((time - start) as f64 / self.shared.config.speed.max(f64::MIN_POSITIVE)) as i64;
            let wait = due - (self.shared.clock)();
            sleep(Duration::from_millis(u64::try_from(wait).unwrap_or(0))).await;
        }
    }

    /// Hands a message to the client. It fails only when the connection is lost, which ends the session; the
    /// message is in the window then.
    async fn publish(&self, client: &AsyncClient, payload: Vec<u8>) {
        if client.publish(self.topic.clone(), QoS::AtLeastOnce, false, payload).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn id(&self) -> &str {
        self.shared.city.devices().get(self.number).map_or("", |spec| &spec.id)
    }

    fn options(&self) -> MqttOptions {
        let config = &self.shared.config;
        let mut options = MqttOptions::new(self.id(), &config.host, config.port);
        options
            .set_keep_alive(Duration::from_secs(120))
            .set_inflight(config.in_flight.max(1))
            .set_max_packet_size(4_096, 262_144)
            .set_clean_session(true);
        if let Some(password) = config.passwords.get(self.id()) {
            options.set_credentials(self.id(), password);
        }
        options
    }

    /// A quarter of a second, doubled with each failure up to half a minute, and never the same for two devices.
    fn pause(&self, failures: u32) -> Duration {
        let base =
            Duration::from_millis(250).saturating_mul(1 << failures.min(7)).min(Duration::from_secs(30));
        base.mul_f64(Chance::new(self.number as u64).between(i64::from(failures), 0.75, 1.25))
    }

    fn note(&self, error: &ConnectionError) {
        match error {
            ConnectionError::ConnectionRefused(code) => {
                self.shared.progress.refused.fetch_add(1, Ordering::Relaxed);
                let is_denied =
                    matches!(code, ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized);
                let reason =
                    if is_denied { "its password is not accepted" } else { "the broker has no room" };
                tracing::warn!(device = self.id(), "refused: {reason}");
            }
            other => tracing::debug!(device = self.id(), "connection lost: {other}"),
        }
    }
}

impl Shared {
    fn count(&self, is_backlog: bool) {
        let counter = if is_backlog { &self.progress.delivered } else { &self.progress.live };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts a connection for as long as it lives.
struct Connected<'a>(&'a AtomicU64);

impl<'a> Connected<'a> {
    fn new(count: &'a AtomicU64) -> Connected<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Connected(count)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
