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

use crate::job::Job;
use crate::outputs::{Outputs, Partitions};
use crate::rule::Ruleset;
use crate::snapshot::{self, StateError};
use context::Context;
use partition::Partition;
use records::{Origin, Record};
use std::collections::BTreeMap;

const NAME: &str = "device";

/// Duplicates, clock, quality, windows and rules of every device.
pub struct DeviceJob {
    context: Context,
    fingerprint: u64,
    partitions: BTreeMap<u32, Partition>,
}

impl DeviceJob {
    /// A job without partitions.
    pub fn new(config: DeviceConfig, rules: Ruleset, partitions: Partitions) -> DeviceJob {
        let fingerprint = snapshot::fingerprint(&(&config, &rules, partitions.telemetry));
        DeviceJob {
            context: Context::new(config, rules, partitions),
            fingerprint,
            partitions: BTreeMap::new(),
        }
    }
}

impl Job for DeviceJob {
    fn name(&self) -> &'static str {
        NAME
    }

    fn partitions(&self) -> Partitions {
        self.context.partitions
    }

    fn admit(&mut self, partition: u32, key: &[u8], origin: Origin<'_>) -> bool {
        self.partitions.entry(partition).or_default().admit(key, origin)
    }

    fn run(&mut self, partition: u32, _key: &[u8], record: Record, out: &mut Outputs) {
        let state = self.partitions.entry(partition).or_default();
        state.run(partition, record, &self.context, out);
    }

    fn snapshot(&self, partition: u32) -> Vec<u8> {
        let bytes = snapshot::begin(NAME, self.fingerprint);
        match self.partitions.get(&partition) {
            Some(state) => state.snapshot(bytes),
            None => Partition::default().snapshot(bytes),
        }
    }

    fn begin_snapshot(&mut self, partition: u32) {
        let bytes = snapshot::begin(NAME, self.fingerprint);
        self.partitions.entry(partition).or_default().begin_capture(bytes);
    }

    fn go_on_with_snapshot(&mut self, partition: u32, most: usize) -> Option<Vec<u8>> {
        self.partitions.get_mut(&partition)?.go_on(most)
    }

    fn restore(&mut self, partition: u32, bytes: Option<&[u8]>) -> Result<(), StateError> {
        self.partitions.remove(&partition);
        let Some(bytes) = bytes else { return Ok(()) };
        let mut state = snapshot::open(bytes, NAME, self.fingerprint)?;
        let state = Partition::restore(&mut state, &self.context)?;
        self.partitions.insert(partition, state);
        Ok(())
    }

    fn revoke(&mut self, partition: u32) {
        self.partitions.remove(&partition);
    }
}
