//! What runs inside the loop: a pure, synchronous function from records and state to records and state.

use crate::outputs::{Outputs, Partitions};
use crate::rule::RulesSet;
use crate::snapshot::StateError;
use records::{Origin, Record};

/// A job: reads one topic, partition by partition, and writes others.
///
/// The state of each input partition is separate from that of every other, so that partitions can move between
/// workers. The same records in the same order give the same outputs and the same state, bit for bit: no clock, no
/// I/O, no chance, no map whose order could show.
pub trait Job: Send {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// How many partitions the topics have.
    fn partitions(&self) -> Partitions;

    /// Whether a record that a forwarder brought has not been run before; from now on it counts as run. Only what is
    /// admitted goes to [`Job::run`]. Called in the order of the partition, so it is part of the state.
    fn admit(&mut self, partition: u32, key: &[u8], origin: Origin<'_>) -> bool {
        let _ = (partition, key, origin);
        true
    }

    /// Takes a record of an input partition that was restored before. Never panics, whatever the record says.
    fn run(&mut self, partition: u32, key: &[u8], record: Record, out: &mut Outputs);

    /// The state of a partition, to be given to [`Job::restore`] after a restart.
    fn snapshot(&self, partition: u32) -> Vec<u8>;

    /// Begins to take the state of a partition as it is now, while [`Job::run`] goes on; a snapshot that has begun
    /// before is given up. [`Job::go_on_with_snapshot`] is asked at once, and then between records.
    fn begin_snapshot(&mut self, partition: u32) {
        let _ = partition;
    }

    /// Takes `most` more pieces of the state (devices), and gives it once it is whole. A job whose state is small gives
    /// it at once.
    fn go_on_with_snapshot(&mut self, partition: u32, most: usize) -> Option<Vec<u8>> {
        let _ = most;
        Some(self.snapshot(partition))
    }

    /// Begins with a partition: from a snapshot, or from nothing.
    ///
    /// # Errors
    /// The snapshot is none of ours; the partition then begins from nothing.
    fn restore(&mut self, partition: u32, snapshot: Option<&[u8]>) -> Result<(), StateError>;

    /// The rules that a partition will hold when it has come to the end of what it was given.
    fn rules(&self, partition: u32) -> Option<&RulesSet> {
        let _ = partition;
        None
    }

    /// Forgets a partition.
    fn revoke(&mut self, partition: u32);
}
