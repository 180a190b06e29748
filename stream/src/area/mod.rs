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
use std::sync::Arc;

const NAME: &str = "area";

/// What only several devices of a road or a line can tell together.
pub struct AreaJob {
    /// What a partition begins with that no rules have been written to.
    first: Arc<Context>,
    fingerprint: u64,
    partitions: BTreeMap<u32, Held>,
}

/// A partition, and the rules that hold in it.
struct Held {
    context: Arc<Context>,
    state: Partition,
}

impl AreaJob {
    /// A job without partitions. `rules`: those that a partition begins with; what follows stands on the log.
    pub fn new(config: AreaConfig, rules: Ruleset, partitions: Partitions) -> AreaJob {
        let fingerprint = snapshot::fingerprint(&config);
        let first = Arc::new(Context { config, rules, partitions });
        AreaJob { first, fingerprint, partitions: BTreeMap::new() }
    }
}

impl Held {
    fn new(first: &Arc<Context>) -> Held {
        Held { context: first.clone(), state: Partition::new(&first.rules) }
    }
}

impl Job for AreaJob {
    fn name(&self) -> &'static str {
        NAME
    }

    fn partitions(&self) -> Partitions {
        self.first.partitions
    }

    fn run(&mut self, partition: u32, key: &[u8], record: Record, out: &mut Outputs) {
        let held = self.partitions.entry(partition).or_insert_with(|| Held::new(&self.first));
        held.state.run(key, record, &mut held.context, out);
    }

    fn snapshot(&self, partition: u32) -> Vec<u8> {
        let mut bytes = snapshot::begin(NAME, self.fingerprint);
        let encoded = match self.partitions.get(&partition) {
            Some(held) => minicbor::encode(&held.state, &mut bytes),
            None => minicbor::encode(Partition::new(&self.first.rules), &mut bytes),
        };
        encoded.expect("a Vec takes everything");
        bytes
    }

    fn restore(&mut self, partition: u32, bytes: Option<&[u8]>) -> Result<(), StateError> {
        self.partitions.insert(partition, Held::new(&self.first));
        let Some(bytes) = bytes else { return Ok(()) };
        let state: Partition = snapshot::open(bytes, NAME, self.fingerprint)?.decode()?;
        state.reign().check(&self.first.rules.text).map_err(StateError::Damaged)?;
        let context = self.first.with(&state.reign().now().text);
        self.partitions.insert(partition, Held { context, state });
        Ok(())
    }

    fn revoke(&mut self, partition: u32) {
        self.partitions.remove(&partition);
    }
}
