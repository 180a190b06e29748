//! The area job: `aggregates` in, keyed by area; `alerts` out.

mod actions;
mod context;
mod merge;
mod partition;
mod pipeline;
mod rollup;
mod row;

pub use actions::PastActions;
pub use context::AreaConfig;

use crate::job::Job;
use crate::outputs::{Outputs, Partitions};
use crate::rule::Ruleset;
use crate::snapshot::{self, StateError};
use context::Context;
use partition::Partition;
use records::Record;
use std::collections::BTreeMap;

const NAME: &str = "area";

/// What only several devices of a road or a line can tell together.
pub struct AreaJob {
    context: Context,
    fingerprint: u64,
    partitions: BTreeMap<u32, Partition>,
}

impl AreaJob {
    /// A job without partitions.
    pub fn new(config: AreaConfig, rules: Ruleset, partitions: Partitions) -> AreaJob {
        let fingerprint = snapshot::fingerprint(&(&config, &rules));
        AreaJob { context: Context { config, rules, partitions }, fingerprint, partitions: BTreeMap::new() }
    }
}

impl Job for AreaJob {
    fn name(&self) -> &'static str {
        NAME
    }

    fn partitions(&self) -> Partitions {
        self.context.partitions
    }

    fn run(&mut self, partition: u32, key: &[u8], record: Record, out: &mut Outputs) {
        self.partitions.entry(partition).or_default().run(key, record, &self.context, out);
    }

    fn snapshot(&self, partition: u32) -> Vec<u8> {
        let mut bytes = snapshot::begin(NAME, self.fingerprint);
        let encoded = match self.partitions.get(&partition) {
            Some(state) => minicbor::encode(state, &mut bytes),
            None => minicbor::encode(Partition::default(), &mut bytes),
        };
        encoded.expect("a Vec takes everything");
        bytes
    }

    fn restore(&mut self, partition: u32, bytes: Option<&[u8]>) -> Result<(), StateError> {
        self.partitions.remove(&partition);
        let Some(bytes) = bytes else { return Ok(()) };
        let state = snapshot::open(bytes, NAME, self.fingerprint)?.decode()?;
        self.partitions.insert(partition, state);
        Ok(())
    }

    fn revoke(&mut self, partition: u32) {
        self.partitions.remove(&partition);
    }
}
