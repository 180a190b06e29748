//! What the gateway counts. Labels are bounded; no device is ever one.

use crate::Limits;
use crate::session::{Ending, Refusal};
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use records::Reason;

/// The gateway's metrics. Sessions count once per append, not once per message.
#[derive(Debug)]
pub struct Metrics {
    connections: IntGauge,
    pub(crate) kept_sessions: IntGauge,
    accepted: IntCounter,
    in_quarantine: IntCounter,
    quarantined: [IntCounter; Reason::ALL.len()],
    pub(crate) forbidden: IntCounter,
    abandoned: IntCounter,
    pub(crate) repeated: IntCounter,
    pub(crate) cleared: IntCounter,
    pub(crate) dropped: IntCounter,
    pub(crate) slowed: IntCounter,
    pub(crate) results: IntCounter,
    pub(crate) subscriptions: IntGauge,
    pub(crate) retained_messages: IntGauge,
    pub(crate) retained_bytes: IntGauge,
    pub(crate) retained_refused: IntCounter,
    pub(crate) deliveries_sent: IntCounter,
    pub(crate) deliveries_dropped: IntCounter,
    pub(crate) deliveries_expired: IntCounter,
    pub(crate) deliveries_too_large: IntCounter,
    pub(crate) subscribers_overflowed: IntCounter,
    pub(crate) router_restarts: IntCounter,
    pubacks: IntCounter,
    pub(crate) append_retries: IntCounter,
    pub(crate) waiting_appends: IntGauge,
    refusals: IntCounterVec,
    endings: IntCounterVec,
    sources: IntGaugeVec,
    limits: GaugeVec,
}

impl Metrics {
    /// Metrics that `registry` will show; once per registry.
    ///
    /// # Errors
    /// The registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let counter = |name: &str, help: &str| register(registry, IntCounter::new(name, help)?);
        let gauge = |name: &str, help: &str| register(registry, IntGauge::new(name, help)?);
        let by = |name: &str, help: &str, label: &str| {
            register(registry, IntCounterVec::new(Opts::new(name, help), &[label])?)
        };
        let messages = by(
            "sluice_gateway_messages_total",
            "Messages received, by what became of them: durable as telemetry or in quarantine, forbidden, \
             repeated under a packet id of QoS 2, only there to clear what was retained, dropped at QoS 0 because the \
             spool was nearly full, or abandoned unacknowledged when their session ended.",
            "outcome",
        )?;
        let quarantined =
            by("sluice_gateway_quarantined_total", "Messages in quarantine, by reason.", "reason")?;
        let deliveries = by(
            "sluice_gateway_deliveries_total",
            "Messages for subscribers, by what became of them: sent, dropped at QoS 0 without room, expired, or too \
             large for the client.",
            "outcome",
        )?;
        Ok(Metrics {
            cleared: messages.with_label_values(&["cleared"]),
            dropped: messages.with_label_values(&["dropped"]),
            deliveries_sent: deliveries.with_label_values(&["sent"]),
            deliveries_dropped: deliveries.with_label_values(&["dropped"]),
            deliveries_expired: deliveries.with_label_values(&["expired"]),
            deliveries_too_large: deliveries.with_label_values(&["too_large"]),
            subscriptions: gauge(
                "sluice_gateway_subscriptions",
                "Topic filters that somebody subscribes to.",
            )?,
            retained_messages: gauge("sluice_gateway_retained_messages", "Messages that are retained.")?,
            retained_bytes: gauge(
                "sluice_gateway_retained_bytes",
                "Bytes of the messages that are retained.",
            )?,
            retained_refused: counter(
                "sluice_gateway_retained_refused_total",
                "Messages that were to be retained and found no room.",
            )?,
            subscribers_overflowed: counter(
                "sluice_gateway_subscribers_overflowed_total",
                "Sessions that were ended because more waited for them than may.",
            )?,
            router_restarts: counter(
                "sluice_gateway_router_restarts_total",
                "How often the router of subscribers had to be started again.",
            )?,
            connections: gauge("sluice_gateway_connections", "Open connections.")?,
            kept_sessions: gauge(
                "sluice_gateway_kept_sessions",
                "Sessions without a connection that have not expired.",
            )?,
            accepted: messages.with_label_values(&["accepted"]),
            in_quarantine: messages.with_label_values(&["quarantined"]),
            quarantined: Reason::ALL.map(|reason| quarantined.with_label_values(&[reason.name()])),
            forbidden: messages.with_label_values(&["forbidden"]),
            abandoned: messages.with_label_values(&["abandoned"]),
            repeated: messages.with_label_values(&["repeated"]),
            results: counter(
                "sluice_gateway_results_total",
                "Alerts, aggregates and observations that were published to subscribers.",
            )?,
            slowed: counter(
                "sluice_gateway_slowed_total",
                "How often a session was not read from, because its device had published more than it may.",
            )?,
            pubacks: counter("sluice_gateway_pubacks_total", "Messages acknowledged.")?,
            append_retries: counter("sluice_gateway_append_retries_total", "Appends that the log refused.")?,
            waiting_appends: gauge(
                "sluice_gateway_waiting_appends",
                "Appends that the log has refused so far.",
            )?,
            refusals: by(
                "sluice_gateway_refused_connections_total",
                "Connections that did not become a session, by reason.",
                "reason",
            )?,
            endings: by(
                "sluice_gateway_sessions_ended_total",
                "Sessions that are over, by reason.",
                "reason",
            )?,
            limits: register(
                registry,
                GaugeVec::new(
                    Opts::new("sluice_gateway_limit", "What may be used at most, by what it bounds."),
                    &["limit"],
                )?,
            )?,
            sources: register(
                registry,
                IntGaugeVec::new(
                    Opts::new(
                        "sluice_gateway_source_connected",
                        "Whether a configured broker is connected: 1 or 0.",
                    ),
                    &["source"],
                )?,
            )?,
        })
    }

    /// A batch is durable, and `pubacks` of its messages are acknowledged.
    pub(crate) fn count_durable(
        &self,
        accepted: usize,
        quarantined: &[u32; Reason::ALL.len()],
        pubacks: usize,
    ) {
        self.accepted.inc_by(accepted as u64);
        self.pubacks.inc_by(pubacks as u64);
        for (counter, count) in self.quarantined.iter().zip(quarantined) {
            if *count > 0 {
                counter.inc_by(u64::from(*count));
                self.in_quarantine.inc_by(u64::from(*count));
            }
        }
    }

    pub(crate) fn count_abandoned(&self, messages: usize) {
        self.abandoned.inc_by(messages as u64);
    }

    pub(crate) fn count_refusal(&self, refusal: Refusal) {
        self.refusals.with_label_values(&[refusal.name()]).inc();
    }

    pub(crate) fn count_ending(&self, ending: Ending) {
        self.endings.with_label_values(&[ending.name()]).inc();
    }

    /// Shows what may be used.
    pub(crate) fn show_limits(&self, limits: &Limits) {
        for (name, limit) in limits.shown() {
            self.limits.with_label_values(&[name]).set(limit);
        }
    }

    /// Whether a source has its broker.
    pub(crate) fn set_source(&self, source: &str, is_connected: bool) {
        self.sources.with_label_values(&[source]).set(i64::from(is_connected));
    }

    /// Counts a connection until the returned value is dropped.
    pub(crate) fn open_connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }
}

pub(crate) struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

pub(crate) fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
