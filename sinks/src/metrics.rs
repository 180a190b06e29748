//! What the sinks and the console count. No device is ever a label.

use crate::Written;
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use std::time::Duration;

/// All counters of this crate; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    records: IntCounterVec,
    rows: IntCounterVec,
    undecodable: IntCounterVec,
    rejected: IntCounterVec,
    retries: IntCounterVec,
    flushes: IntCounterVec,
    uncommitted: IntGaugeVec,
    lag: GaugeVec,
    barred: IntGaugeVec,
    over_budget: IntCounterVec,
    influx_gap: IntGauge,
    influx_series: IntGauge,
    requests: IntCounterVec,
    logins: IntCounterVec,
    feed_clients: IntGauge,
    feed_dropped: IntCounter,
    alert_transitions: IntCounter,
    alerts_active: IntGaugeVec,
    sealed_rows: IntCounter,
    sealed_bytes: IntCounter,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When `registry` already holds a metric of one of the names.
    pub fn register(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let counters =
            |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
                let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
                registry.register(Box::new(metric.clone()))?;
                Ok(metric)
            };
        let gauges = |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, prometheus::Error> {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let lag = GaugeVec::new(
            Opts::new("sluice_sinks_lag_seconds", "Age of the newest record when it was written"),
            &["sink"],
        )?;
        registry.register(Box::new(lag.clone()))?;
        let feed_clients = IntGauge::new("sluice_sinks_feed_clients", "Clients on the live feed")?;
        registry.register(Box::new(feed_clients.clone()))?;
        let feed_dropped = IntCounter::new(
            "sluice_sinks_feed_dropped_total",
            "Feed clients that were too slow and were sent away to resume",
        )?;
        registry.register(Box::new(feed_dropped.clone()))?;
        let alert_transitions =
            IntCounter::new("sluice_sinks_alert_transitions_total", "New transitions in the alert book")?;
        registry.register(Box::new(alert_transitions.clone()))?;
        let sealed_rows = IntCounter::new("sluice_sinks_sealed_rows_total", "Rows sealed to disk")?;
        registry.register(Box::new(sealed_rows.clone()))?;
        let sealed_bytes = IntCounter::new("sluice_sinks_sealed_bytes_total", "Bytes of sealed files")?;
        registry.register(Box::new(sealed_bytes.clone()))?;
        let influx_gap = IntGauge::new(
            "sluice_sinks_influx_gap_records",
            "Records that were left out while InfluxDB was away, and are not written yet, by whichever process",
        )?;
        registry.register(Box::new(influx_gap.clone()))?;
        let influx_series = IntGauge::new("sluice_sinks_influx_series", "Series written to InfluxDB")?;
        registry.register(Box::new(influx_series.clone()))?;
        Ok(Metrics {
            records: counters("sluice_sinks_records_total", "Records read from the log", &["sink"])?,
            rows: counters("sluice_sinks_rows_total", "Rows that came of the records", &["sink"])?,
            undecodable: counters(
                "sluice_sinks_undecodable_records_total",
                "Records whose bytes could not be read",
                &["sink"],
            )?,
            rejected: counters(
                "sluice_sinks_rejected_records_total",
                "Records the sink refused for good",
                &["sink"],
            )?,
            retries: counters("sluice_sinks_retries_total", "Tries while a sink was unavailable", &["sink"])?,
            flushes: counters("sluice_sinks_flushes_total", "Flushes after which was committed", &["sink"])?,
            uncommitted: gauges(
                "sluice_sinks_uncommitted_records",
                "Records written and not yet committed to the log",
                &["sink"],
            )?,
            lag,
            barred: gauges(
                "sluice_sinks_barred",
                "1 while a sink waits for a person to put something right",
                &["sink"],
            )?,
            over_budget: counters(
                "sluice_sinks_over_budget_points_total",
                "Points left out because their series would have been one too many",
                &["sink"],
            )?,
            influx_gap,
            influx_series,
            requests: counters(
                "sluice_sinks_http_requests_total",
                "HTTP requests by class of route and of status",
                &["route", "status"],
            )?,
            logins: counters("sluice_sinks_logins_total", "Attempts to log in", &["result"])?,
            feed_clients,
            feed_dropped,
            alert_transitions,
            alerts_active: gauges(
                "sluice_sinks_alerts_active",
                "Alerts that are not cleared",
                &["use_case", "severity"],
            )?,
            sealed_rows,
            sealed_bytes,
        })
    }

    /// The counters of one sink.
    pub(crate) fn of(&self, sink: &'static str) -> SinkMetrics<'_> {
        SinkMetrics { metrics: self, sink }
    }

    pub(crate) fn transitions(&self, new: u64) {
        self.alert_transitions.inc_by(new);
    }

    pub(crate) fn active(&self, use_case: &str, severity: &str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.alerts_active.with_label_values(&[use_case, severity]).set(count);
    }

    pub(crate) fn sealed(&self, rows: usize, bytes: u64) {
        self.sealed_rows.inc_by(rows as u64);
        self.sealed_bytes.inc_by(bytes);
    }

    #[cfg_attr(not(feature = "influx"), expect(dead_code, reason = "only that sink has this"))]
    pub(crate) fn influx_gaps(&self, records: u64) {
        self.influx_gap.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    #[cfg_attr(not(feature = "influx"), expect(dead_code, reason = "only that sink has this"))]
    pub(crate) fn influx_series(&self, series: usize) {
        self.influx_series.set(i64::try_from(series).unwrap_or(i64::MAX));
    }

    #[cfg_attr(not(feature = "influx"), expect(dead_code, reason = "only that sink has this"))]
    pub(crate) fn over_budget(&self, sink: &'static str, points: u64) {
        self.over_budget.with_label_values(&[sink]).inc_by(points);
    }

    pub(crate) fn request(&self, route: &'static str, status: u16) {
        let status = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[route, status]).inc();
    }

    pub(crate) fn login(&self, result: &'static str) {
        self.logins.with_label_values(&[result]).inc();
    }

    pub(crate) fn feed_opened(&self) {
        self.feed_clients.inc();
    }

    pub(crate) fn feed_closed(&self) {
        self.feed_clients.dec();
    }

    pub(crate) fn feed_dropped(&self) {
        self.feed_dropped.inc();
    }

    pub(crate) fn feed_count(&self) -> i64 {
        self.feed_clients.get()
    }
}

/// The counters of one sink.
pub(crate) struct SinkMetrics<'a> {
    metrics: &'a Metrics,
    sink: &'static str,
}

impl SinkMetrics<'_> {
    pub(crate) fn wrote(&self, records: u64, written: &Written, lag: Option<Duration>) {
        let (metrics, sink) = (self.metrics, [self.sink]);
        metrics.records.with_label_values(&sink).inc_by(records);
        metrics.rows.with_label_values(&sink).inc_by(written.rows);
        metrics.undecodable.with_label_values(&sink).inc_by(written.undecodable);
        if let Some(lag) = lag {
            metrics.lag.with_label_values(&sink).set(lag.as_secs_f64());
        }
    }

    pub(crate) fn uncommitted(&self, records: u64) {
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        self.metrics.uncommitted.with_label_values(&[self.sink]).set(records);
    }

    pub(crate) fn flushed(&self) {
        self.metrics.flushes.with_label_values(&[self.sink]).inc();
        self.uncommitted(0);
    }

    pub(crate) fn rejected(&self) {
        self.metrics.rejected.with_label_values(&[self.sink]).inc();
    }

    pub(crate) fn barred(&self, is_barred: bool) {
        self.metrics.barred.with_label_values(&[self.sink]).set(is_barred.into());
    }

    pub(crate) fn retried(&self) {
        self.metrics.retries.with_label_values(&[self.sink]).inc();
    }
}
