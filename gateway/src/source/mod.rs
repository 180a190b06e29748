//! A broker that a site already has, as a door: its messages go the way of those that devices bring themselves.
//!
//! The session at the broker is persistent and a message is acknowledged when it is durable here, so what the broker
//! has taken is not lost, whoever of the two goes down. A message that was durable and not yet acknowledged comes
//! again; the stream knows it by its sequence.

mod broker;
mod config;
mod devices;
mod intake;
mod newcomers;
mod subscriptions;

pub use config::{MqttVersion, SourceConfig};

use crate::normalize::mapping::{Mapped, Mapping};
use crate::normalize::{self, Arrival, Normalized, Rejection};
use crate::outage::{Closed, Outage};
use crate::{Clock, GatewayError, Limits, Metrics, Registry};
use broker::{Delivery, Events, Heard, Link};
use devices::{Devices, Standing};
use firmware_protocol::{Topic, UpKind};
use intake::{Gathered, Intake, Owed};
use records::{Crs, Device, Name, Producer, Reason, Timestamp};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use subscriptions::Subscriptions;
use tokio_util::sync::CancellationToken;

/// What a source works with.
#[derive(Clone)]
pub struct Source<P> {
    /// The broker, and what is taken from it.
    pub config: SourceConfig,
    /// What JSON on topic names that are not ours means.
    pub mappings: Arc<[Mapping]>,
    /// Where it goes.
    pub log: P,
    /// The devices that are known, and what was subscribed to.
    pub registry: Arc<Registry>,
    /// The gateway's clock.
    pub clock: Clock,
    /// Largest payload, and how much may wait for the log.
    pub limits: Limits,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
}

/// How often the registry is asked for changes.
const REFRESH: Duration = Duration::from_millis(250);

/// How long the last acknowledgements may take to reach the broker.
const FAREWELL: Duration = Duration::from_secs(2);

/// Takes what the broker has until `stop`, connecting again for as long as it takes.
///
/// After `stop` what was received is brought to the log and acknowledged, within [`Limits::drain_timeout`] and two
/// seconds. What isn't is the broker's still.
///
/// # Errors
/// The registry could not be read at the start, or the log was closed.
pub async fn run<P: Producer>(source: Source<P>, stop: CancellationToken) -> Result<(), GatewayError> {
    let devices = Devices::load(source.registry.clone(), source.config.new_devices_per_minute)
        .await
        .map_err(GatewayError::Registry)?;
    let (link, events) = broker::open(&source.config, &source.limits);
    let outage = Outage::new(source.metrics.clone());
    let subscriptions = Subscriptions::new(&source.config, source.registry.clone());
    let intake = Intake::new(source.log.clone(), outage);
    let door = Door { source, devices, link, subscriptions, intake, connection: 0, failures: 0 };
    door.run(events, stop).await.map_err(|Closed| GatewayError::LogClosed)
}

/// A source at work.
struct Door<P: Producer> {
    source: Source<P>,
    devices: Devices,
    link: Link,
    subscriptions: Subscriptions,
    intake: Intake<P>,
    /// Counts connections: a packet id means nothing to another one.
    connection: u64,
    /// Attempts to connect that failed one after the other.
    failures: u32,
}

type Next = Pin<Box<dyn Future<Output = (Events, Heard)> + Send>>;

/// The event loop is lent to a future, which is never dropped half-way: a write cut in two would break the stream.
fn next(mut events: Events, delay: Duration) -> Next {
    Box::pin(async move {
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let heard = events.next().await;
        (events, heard)
    })
}

impl<P: Producer> Door<P> {
    async fn run(mut self, events: Events, stop: CancellationToken) -> Result<(), Closed> {
        let mut heard = next(events, Duration::ZERO);
        let mut refresh = tokio::time::interval(REFRESH);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.intake.hand_over();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                durable = self.intake.durable(), if self.intake.is_under_way() => self.acknowledge(&durable?),
                (events, said) = &mut heard, if self.intake.has_room(&self.source.limits) => {
                    let delay = self.take(said).await;
                    heard = next(events, delay);
                }
                _ = refresh.tick() => self.devices.refresh().await,
            }
        }
        self.close(heard).await
    }

    /// Takes what the broker said. Gives how long to wait before listening again.
    async fn take(&mut self, heard: Heard) -> Duration {
        match heard {
            Heard::Nothing => {}
            Heard::Published(delivery) => self.publish(delivery).await,
            Heard::Connected => {
                self.connection += 1;
                self.failures = 0;
                self.tell_connected(true);
                self.subscriptions.begin(&self.link).await;
            }
            Heard::Subscribed(granted) => self.subscriptions.granted(&granted, &self.link),
            Heard::Unsubscribed => self.subscriptions.released().await,
            Heard::Lost(why) => return self.lost(&why),
        }
        Duration::ZERO
    }

    /// What is acknowledged from now on would be another connection's packet id.
    fn lost(&mut self, why: &str) -> Duration {
        let source = self.source.config.name.as_str();
        if self.failures == 0 {
            self.connection += 1;
            tracing::warn!(source, why, "the broker can't be reached: trying again");
        }
        self.tell_connected(false);
        let delay = Duration::from_millis(100 << self.failures.min(8));
        self.failures += 1;
        delay
    }

    fn tell_connected(&self, is_connected: bool) {
        let source = self.source.config.name.as_str();
        if is_connected {
            tracing::info!(source, "connected to the broker");
        }
        self.source.metrics.set_source(source, is_connected);
    }

    async fn publish(&mut self, delivery: Delivery) {
        let ingest_time = (self.source.clock)();
        let owed = delivery.packet_id().map(|packet_id| Owed { packet_id, connection: self.connection });
        let (topic, payload) = (delivery.topic(), delivery.payload());
        let said = self.understand(topic, payload, ingest_time);
        let standing = match &said.device {
            Some(device) => self.devices.meet(device, ingest_time).await,
            None => Standing::Welcome(None),
        };
        match standing {
            Standing::Disabled => self.intake.forbid(),
            Standing::TooMany { is_first } => {
                let rejection = self.refuse_newcomer(is_first);
                self.enter(None, ingest_time, topic, payload, Err(rejection));
            }
            Standing::Welcome(entry) => {
                if let Some(entry) = entry {
                    self.intake.introduce(entry);
                }
                let device = said.device.map(|device| device.id);
                self.enter(device, ingest_time, topic, payload, said.normalized);
            }
        }
        self.intake.owe(owed);
    }

    /// What is nobody's goes to quarantine under the name of the source.
    fn enter(
        &mut self,
        device: Option<Name>,
        ingest_time: Timestamp,
        topic: &str,
        payload: &[u8],
        normalized: Normalized,
    ) {
        let device = device.unwrap_or_else(|| Name::new(&self.source.config.name));
        let arrival = Arrival { device: &device, crs: Crs::Wgs84, ingest_time };
        self.intake.enter(arrival, topic, payload, normalized);
    }

    fn refuse_newcomer(&self, is_first: bool) -> Rejection {
        let (source, most) = (self.source.config.name.as_str(), self.source.config.new_devices_per_minute);
        if is_first {
            tracing::warn!(
                source,
                most,
                "brings too many new devices a minute: what they say is quarantined"
            );
        }
        let detail = format!("a source may bring {most} new devices a minute, and this is of one more");
        Rejection::new(Reason::TooManyDevices, detail)
    }

    /// Our own topic names first, then the mappings in their order.
    fn understand(&self, topic: &str, payload: &[u8], ingest_time: Timestamp) -> Said {
        let nobody = |rejection| Said { device: None, normalized: Err(rejection) };
        if payload.len() > self.source.limits.max_payload {
            let detail = format!("a payload may have {} bytes", self.source.limits.max_payload);
            return nobody(Rejection::new(Reason::TooLarge, detail));
        }
        if let Ok(Topic::Up { device, kind }) = Topic::parse(topic) {
            return self.own(device, kind, payload, ingest_time);
        }
        let mapped =
            self.source.mappings.iter().find_map(|mapping| mapping.apply(topic, payload, ingest_time));
        match mapped {
            Some(Mapped { device, normalized }) => {
                let device =
                    device.map(|device| Met { id: device.id, described: Some((device.family, device.area)) });
                Said { device, normalized }
            }
            None => nobody(Rejection::new(Reason::UnknownTopic, "neither our own nor in a mapping")),
        }
    }

    fn own(&self, device: &str, kind: UpKind, payload: &[u8], ingest_time: Timestamp) -> Said {
        let id = Name::new(device);
        let arrival = Arrival { device: &id, crs: self.devices.crs_of(device), ingest_time };
        let normalized = match kind {
            UpKind::Telemetry => normalize::telemetry(arrival, payload),
            UpKind::State => normalize::state(arrival, payload),
            UpKind::Reply => Err(Rejection::new(Reason::UnknownTopic, "no command goes out by this broker")),
        };
        Said { device: Some(Met { id, described: None }), normalized }
    }

    /// Its messages are durable. What came by an earlier connection comes again, and is acknowledged then.
    fn acknowledge(&mut self, work: &Gathered) {
        let current = work.owed.iter().filter(|owed| owed.connection == self.connection);
        let sent = current.filter(|owed| self.link.acknowledge(owed.packet_id)).count();
        work.count(&self.source.metrics, sent);
    }

    /// Brings everything to the log that was received, for as long as that may take.
    async fn drain(&mut self) -> Result<(), Closed> {
        self.intake.hand_over();
        while self.intake.is_under_way() {
            let work = self.intake.durable().await?;
            self.acknowledge(&work);
            self.intake.hand_over();
        }
        Ok(())
    }

    async fn close(mut self, heard: Next) -> Result<(), Closed> {
        let timeout = self.source.limits.drain_timeout;
        let drained = tokio::time::timeout(timeout, self.drain()).await.unwrap_or(Ok(()));
        self.source.metrics.count_abandoned(self.intake.abandon());
        self.link.disconnect();
        let farewell = async move {
            let (mut events, mut said) = heard.await;
            while !matches!(said, Heard::Lost(_)) {
                said = events.next().await;
            }
        };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::debug!(source = self.source.config.name, "no farewell from the broker");
        }
        self.source.metrics.set_source(&self.source.config.name, false);
        drained
    }
}

/// A message, understood.
struct Said {
    device: Option<Met>,
    normalized: Normalized,
}

/// A device that was met at a broker.
struct Met {
    id: Name,
    /// Family and area, where a mapping says them.
    described: Option<(records::Family, Name)>,
}

impl Met {
    /// What stands on the log of a device that nobody has registered.
    fn entry(&self, now: Timestamp) -> Option<Device> {
        let (family, area) = self.described.clone()?;
        Some(Device {
            id: self.id.clone(),
            family,
            label: Name::default(),
            area,
            rank: 0,
            position: None,
            is_enabled: true,
            updated_at: now,
            limits: Vec::new(),
        })
    }
}
