//! What the stream stage counts. No device is ever a label.

use crate::counts::{Counts, Fact};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// All counters of this crate; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    /// By fact.
    counters: Vec<IntCounterVec>,
    commits: IntCounterVec,
    snapshots: IntCounterVec,
    snapshot_bytes: IntGaugeVec,
    lost: IntCounterVec,
}

/// Name and help of a metric; `label`: the one beside `job`, if any.
struct Family {
    name: &'static str,
    help: &'static str,
    label: Option<&'static str>,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When `registry` already holds a metric of one of the names.
    pub fn register(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let add = |metric: &IntCounterVec| registry.register(Box::new(metric.clone()));
        let counter =
            |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let mut known: Vec<(&str, IntCounterVec)> = Vec::new();
        let mut counters = Vec::new();
        for fact in Fact::ALL {
            let (family, _) = place(fact);
            let metric = match known.iter().find(|(name, _)| *name == family.name) {
                Some((_, metric)) => metric.clone(),
                None => {
                    let labels: Vec<&str> = ["job"].into_iter().chain(family.label).collect();
                    let metric = counter(family.name, family.help, &labels)?;
                    add(&metric)?;
                    known.push((family.name, metric.clone()));
                    metric
                }
            };
            counters.push(metric);
        }
        let commits = counter("sluice_stream_commits_total", "Commits", &["job"])?;
        add(&commits)?;
        let snapshots = counter("sluice_stream_snapshots_total", "Snapshots committed", &["job"])?;
        add(&snapshots)?;
        let help = "Records that retention removed before they were read";
        let lost = counter("sluice_stream_lost_records_total", help, &["job"])?;
        add(&lost)?;
        let help = "Size of the last snapshot of a partition";
        let snapshot_bytes =
            IntGaugeVec::new(Opts::new("sluice_stream_snapshot_bytes", help), &["job", "partition"])?;
        registry.register(Box::new(snapshot_bytes.clone()))?;
        Ok(Metrics { counters, commits, snapshots, snapshot_bytes, lost })
    }

    /// Counts facts.
    pub(crate) fn count(&self, job: &str, counts: &Counts) {
        for (fact, times) in counts.iter() {
            let (_, label) = place(fact);
            let labels: Vec<&str> = [job].into_iter().chain(label).collect();
            self.counters[fact as usize].with_label_values(&labels).inc_by(times);
        }
    }

    pub(crate) fn committed(&self, job: &str) {
        self.commits.with_label_values(&[job]).inc();
    }

    pub(crate) fn snapshot(&self, job: &str, partition: u32, bytes: usize) {
        self.snapshots.with_label_values(&[job]).inc();
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.snapshot_bytes.with_label_values(&[job, &partition.to_string()]).set(bytes);
    }

    pub(crate) fn lost(&self, job: &str, records: u64) {
        self.lost.with_label_values(&[job]).inc_by(records);
    }
}

/// Where a fact is counted, and under which label value.
fn place(fact: Fact) -> (Family, Option<&'static str>) {
    let plain = |name, help| (Family { name, help, label: None }, None);
    let labelled = |name, help, label, value| (Family { name, help, label: Some(label) }, Some(value));
    let record = |kind| labelled("sluice_stream_records_total", "Records read, by kind", "kind", kind);
    let gap = |change| {
        labelled(
            "sluice_stream_gaps_total",
            "Runs of missing sequence numbers, by what became of them",
            "change",
            change,
        )
    };
    let clock = |what| {
        labelled(
            "sluice_stream_clock_faults_total",
            "Messages whose device's clock can't be right",
            "fault",
            what,
        )
    };
    let shadow = |transition| {
        labelled(
            "sluice_stream_shadow_transitions_total",
            "Transitions of alerts that nobody is told of, because their rule is in the shadow",
            "transition",
            transition,
        )
    };
    let step = |to| {
        labelled(
            "sluice_stream_clock_steps_total",
            "Steps of devices' clocks, by what they look like",
            "to",
            to,
        )
    };
    let test = |test| {
        labelled(
            "sluice_stream_quality_failures_total",
            "Values that a test of quality did not pass, or noted",
            "test",
            test,
        )
    };
    let untold = |why| {
        labelled(
            "sluice_stream_unchecked_messages_total",
            "Messages that could not be checked for duplicates",
            "why",
            why,
        )
    };
    match fact {
        Fact::Observation => record("observation"),
        Fact::Device => record("device"),
        Fact::Tick => record("tick"),
        Fact::Action => record("action"),
        Fact::Aggregate => record("aggregate"),
        Fact::Sighting => record("sighting"),
        Fact::Share => record("share"),
        Fact::Rules => record("rules"),
        Fact::Misplaced => record("misplaced"),
        Fact::Undecodable => record("undecodable"),
        Fact::Replayed => {
            plain("sluice_stream_replayed_records_total", "Records run in silence after a start")
        }
        Fact::Duplicate => {
            plain("sluice_stream_duplicates_total", "Messages that had been seen before, dropped")
        }
        Fact::Resent => {
            plain("sluice_stream_resent_records_total", "Records that a forwarder brought again, dropped")
        }
        Fact::Unsequenced => untold("unsequenced"),
        Fact::Untracked => untold("too_far_back"),
        Fact::GapOpened => gap("opened"),
        Fact::GapClosed => gap("closed"),
        Fact::ClockTooOld => clock("too_old"),
        Fact::ClockInFuture => clock("in_future"),
        Fact::ClockBehind => clock("behind"),
        Fact::ClockInSeconds => clock("in_seconds"),
        Fact::ClockCorrected => plain(
            "sluice_stream_clock_corrected_total",
            "Messages that got the time the clock should have said",
        ),
        Fact::ClockDoubted => plain(
            "sluice_stream_clock_doubted_total",
            "Messages whose time is a guess; their values are suspect",
        ),
        Fact::ClockReset => step("reset"),
        Fact::ClockZone => step("zone"),
        Fact::ClockSet => step("set"),
        Fact::ClockAstray => step("astray"),
        Fact::OutOfRange => test("range"),
        Fact::AfterGap => test("gap"),
        Fact::Spike => test("spike"),
        Fact::TooFast => test("rate"),
        Fact::FlatLine => test("flat_line"),
        Fact::DiffersFromNeighbours => plain(
            "sluice_stream_neighbour_failures_total",
            "Windows of devices that were left out because they differ from their neighbours, each time they are told",
        ),
        Fact::SeriesRefused => plain(
            "sluice_stream_refused_readings_total",
            "Readings without room in their window: too many quantities",
        ),
        Fact::LateRouted => {
            plain("sluice_stream_late_messages_total", "Messages too late for any window, passed on marked")
        }
        Fact::WindowRevised => {
            plain("sluice_stream_window_revisions_total", "Windows given out again because of late messages")
        }
        Fact::WindowClosed => plain("sluice_stream_windows_total", "Windows closed, per series"),
        Fact::JobRow => plain("sluice_stream_job_rows_total", "Statistics that user-defined jobs told"),
        Fact::JobLate => {
            plain("sluice_stream_job_late_messages_total", "Messages too late for a user-defined job")
        }
        Fact::PatternLate => plain(
            "sluice_stream_pattern_late_messages_total",
            "Messages too late for a pattern of a rule, or without room in it",
        ),
        Fact::Sighted => plain("sluice_stream_sightings_total", "Sightings of tags"),
        Fact::SteppedBack => plain(
            "sluice_stream_ingest_steps_back_total",
            "Messages whose ingest time lay behind what was settled",
        ),
        Fact::StaleDevice => {
            plain("sluice_stream_stale_devices_total", "Registry entries older than the one known")
        }
        Fact::DeviceIdle => plain(
            "sluice_stream_idle_devices_total",
            "Devices silent for so long that their state was let go",
        ),
        Fact::ActionIgnored => {
            plain("sluice_stream_ignored_actions_total", "Actions that no open alert was waiting for")
        }
        Fact::AlertTransition => plain("sluice_stream_alert_transitions_total", "Transitions of alerts"),
        Fact::RowLate => {
            plain("sluice_stream_late_rows_total", "Rows of devices behind what an area had settled")
        }
        Fact::ShadowOpened => shadow("opened"),
        Fact::ShadowChanged => shadow("changed"),
        Fact::ShadowCleared => shadow("cleared"),
        Fact::RulesChanged => {
            plain("sluice_stream_rules_changes_total", "Times that other rules began to hold in a partition")
        }
        Fact::ShareLate => {
            plain("sluice_stream_late_shares_total", "Shares of devices too late for a roll-up of their area")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_fact_under_its_name() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        for (index, fact) in Fact::ALL.into_iter().enumerate() {
            let mut counts = Counts::default();
            counts.add(fact, index as u64 + 1);
            metrics.count("device", &counts);
        }
        let total: f64 = registry
            .gather()
            .iter()
            .flat_map(|family| family.get_metric().to_vec())
            .map(|metric| metric.get_counter().get_value())
            .sum();
        let count = Fact::ALL.len() as f64;
        assert_eq!(total, count * (count + 1.0) / 2.0);
        assert!(Metrics::register(&registry).is_err());
    }
}
