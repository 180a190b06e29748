//! The device job: `telemetry` in, keyed by device; `observations`, `aggregates` and `alerts` out.

mod capture;
mod clock;
mod config;
mod context;
mod deadlines;
mod devices;
mod duplicates;
mod jobs;
mod ledger;
mod order;
mod ordered;
mod origins;
mod panes;
mod partition;
mod patterns;
mod pipeline;
mod quality;
mod silence;
mod state;
mod watch;
mod window;

pub use clock::{ClockConfig, Policy};
pub use config::{DeviceConfig, FamilyTimes, Times};

use crate::counts::Fact;
use crate::job::Job;
use crate::outputs::{Outputs, Partitions};
use crate::rule::{Heard, Reign, RulesSet, Ruleset};
use crate::snapshot::{self, StateError};
use context::Context;
use minicbor::Encoder;
use partition::Partition;
use records::{Origin, Record, Rules, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

const NAME: &str = "device";

/// Duplicates, clock, quality, windows and rules of every device.
pub struct DeviceJob {
    /// What a partition begins with that no rules have been written to.
    first: Arc<Context>,
    fingerprint: u64,
    /// Whether rules on the log are passed over.
    is_fixed: bool,
    partitions: BTreeMap<u32, Held>,
}

/// A partition, and the rules that hold in it.
struct Held {
    reign: Reign,
    context: Arc<Context>,
    state: Partition,
}

impl DeviceJob {
    /// A job without partitions. `rules`: those that a partition begins with; what follows stands on the log.
    pub fn new(config: DeviceConfig, rules: Ruleset, partitions: Partitions) -> DeviceJob {
        let fingerprint = snapshot::fingerprint(&(&config, partitions.telemetry));
        let first = Arc::new(Context::new(config, rules, partitions));
        DeviceJob { first, fingerprint, is_fixed: false, partitions: BTreeMap::new() }
    }

    /// The same, by these rules whatever the log says: for trying them on history.
    pub fn fixed(self) -> DeviceJob {
        DeviceJob { is_fixed: true, ..self }
    }
}

impl Held {
    fn new(first: &Arc<Context>) -> Held {
        let reign = Reign::new(&first.rules.text);
        Held { reign, context: first.clone(), state: Partition::default() }
    }

    /// A snapshot's envelope and the rules; the state belongs behind them.
    fn envelope(&self, fingerprint: u64) -> Vec<u8> {
        let mut bytes = snapshot::begin(NAME, fingerprint);
        let mut to = Encoder::new(&mut bytes);
        to.array(2).and_then(|to| to.encode(&self.reign)).expect("a Vec takes everything");
        bytes
    }

    fn hear(&mut self, rules: Rules, out: &mut Outputs) {
        out.count(Fact::Rules);
        if self.reign.hear(rules) == Heard::Invalid {
            out.count(Fact::Undecodable);
        }
    }

    /// Lets rules hold whose time has come by a record that tells `time`.
    fn succeed(&mut self, time: Timestamp, first: &Arc<Context>, out: &mut Outputs) {
        while let Some((set, replaces)) = self.reign.succeed(self.state.settled(time, &self.context)) {
            let rules = Rules { at: set.since, text: set.text.clone(), replaces };
            let after = first.with(&set.text);
            self.state.succeed(rules, &self.context.change(&after), out);
            self.context = after;
        }
    }
}

impl Job for DeviceJob {
    fn name(&self) -> &'static str {
        NAME
    }

    fn partitions(&self) -> Partitions {
        self.first.partitions
    }

    fn admit(&mut self, partition: u32, key: &[u8], origin: Origin<'_>) -> bool {
        let held = self.partitions.entry(partition).or_insert_with(|| Held::new(&self.first));
        held.state.admit(key, origin)
    }

    fn run(&mut self, partition: u32, _key: &[u8], record: Record, out: &mut Outputs) {
        let held = self.partitions.entry(partition).or_insert_with(|| Held::new(&self.first));
        match record {
            Record::Rules(rules) if self.is_fixed => drop(rules),
            Record::Rules(rules) => held.hear(rules, out),
            record => {
                if held.reign.has_next() {
                    held.succeed(time_of(&record), &self.first, out);
                }
                held.state.run(partition, record, &held.context, out);
            }
        }
    }

    fn snapshot(&self, partition: u32) -> Vec<u8> {
        match self.partitions.get(&partition) {
            Some(held) => held.state.snapshot(held.envelope(self.fingerprint)),
            None => {
                let held = Held::new(&self.first);
                held.state.snapshot(held.envelope(self.fingerprint))
            }
        }
    }

    fn begin_snapshot(&mut self, partition: u32) {
        let held = self.partitions.entry(partition).or_insert_with(|| Held::new(&self.first));
        let envelope = held.envelope(self.fingerprint);
        held.state.begin_capture(envelope);
    }

    fn go_on_with_snapshot(&mut self, partition: u32, most: usize) -> Option<Vec<u8>> {
        self.partitions.get_mut(&partition)?.state.go_on(most)
    }

    fn restore(&mut self, partition: u32, bytes: Option<&[u8]>) -> Result<(), StateError> {
        self.partitions.insert(partition, Held::new(&self.first));
        let Some(bytes) = bytes else { return Ok(()) };
        let mut from = snapshot::open(bytes, NAME, self.fingerprint)?;
        from.array()?;
        let reign: Reign = from.decode()?;
        reign.check(&self.first.rules.text).map_err(StateError::Damaged)?;
        let context = self.first.with(&reign.now().text);
        let state = Partition::restore(&mut from, &context)?;
        self.partitions.insert(partition, Held { reign, context, state });
        Ok(())
    }

    fn rules(&self, partition: u32) -> Option<&RulesSet> {
        self.partitions.get(&partition).map(|held| held.reign.last())
    }

    fn revoke(&mut self, partition: u32) {
        self.partitions.remove(&partition);
    }
}

/// The time that a record tells of the partition, ingest time.
fn time_of(record: &Record) -> Timestamp {
    match record {
        Record::Observation(message) => message.ingest_time,
        Record::Tick(tick) => tick.at,
        _ => Timestamp::MIN,
    }
}
