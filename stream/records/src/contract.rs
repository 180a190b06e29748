//! The log's contract as tests that every engine runs, so that a stage that works on one works on all.
//!
//! An engine implements [`Engine`] in its tests and says
//! `records::contract_tests!(MyEngine::new());`, which makes one `#[tokio::test]` of each promise. An engine whose
//! pipes are told their partitions adds `records::range_tests!(MyEngine::new());`.

mod closing;
mod consuming;
mod harness;
mod piping;
mod piping_once;
mod producing;

pub use closing::*;
pub use consuming::*;
pub use piping::*;
pub use piping_once::*;
pub use producing::*;

use crate::{Consumer, Pipe, Producer, Topic};
use std::ops::Range;

/// How the contract opens a log of the kind under test. It begins empty, with [`PARTITIONS`] of each topic.
pub trait Engine: Sized + Send + Sync {
    /// Its producer.
    type Producer: Producer;
    /// Its consumer.
    type Consumer: Consumer + 'static;
    /// Its pipe.
    type Pipe: Pipe + 'static;

    /// A producer.
    fn producer(&self) -> Self::Producer;

    /// A consumer of all partitions of these topics.
    fn consumer(&self, group: &str, topics: &[Topic]) -> Self::Consumer;

    /// The same; a group that has committed nothing stands behind what is there when it first polls.
    fn consumer_from_end(&self, group: &str, topics: &[Topic]) -> Self::Consumer;

    /// A pipe over these partitions of a topic; it takes over from older ones of the same job. An engine where workers
    /// share partitions by themselves shows these alone, and runs no `range_tests!`.
    fn pipe(&self, job: &str, topic: Topic, partitions: Range<u32>) -> Self::Pipe;

    /// Ends the log for good: polls give what is there and then `None`, appends fail.
    fn close(&self);

    /// The same log as a new process finds it. No producer or reader is alive when this is called. A log that
    /// does not outlive the process returns itself.
    fn restart(self) -> Self;
}

/// How many partitions each topic has in these tests.
pub const PARTITIONS: u32 = 3;

/// One `#[tokio::test]` for each promise of the contract; the argument makes an empty [`Engine`]. `ignore = "why"`
/// behind it makes tests that run when they are asked for.
#[macro_export]
macro_rules! contract_tests {
    ($engine:expr $(, ignore = $why:literal)?) => {
        $crate::contract_tests! { @each [$(#[ignore = $why])?] $engine;
            offsets_count_from_zero_without_holes
            an_empty_append_is_fine
            records_come_back_as_written
            origins_come_back_as_written
            one_callers_appends_stand_in_order
            a_batch_stands_together_where_the_answer_says
            a_dropped_append_is_not_taken_back
            a_waiting_consumer_wakes
            a_dropped_poll_loses_nothing
            a_consumer_reads_all_its_topics
            a_consumer_goes_on_where_it_committed
            what_was_not_committed_comes_again
            groups_do_not_disturb_each_other
            a_commit_concerns_its_partitions_alone
            a_note_stands_beside_its_offset
            who_begins_at_the_end_stands_there
            a_pipe_begins_with_what_is_assigned
            a_waiting_pipe_wakes
            a_dropped_poll_of_a_pipe_loses_nothing
            a_commit_shows_outputs_offsets_and_snapshots
            a_pipe_without_commit_leaves_nothing
            the_newest_snapshot_is_kept
            without_a_snapshot_all_is_replayed
            jobs_do_not_disturb_each_other
            the_older_pipe_is_fenced
            crashes_neither_lose_nor_double
            a_closed_log_is_read_to_its_end
            a_closed_log_takes_no_appends
            a_restart_keeps_everything
        }
    };
    (@each $attributes:tt $engine:expr; $($promise:ident)*) => {
        $($crate::contract_tests! { @one $attributes $engine; $promise })*
    };
    (@one [$(#[$attribute:meta])*] $engine:expr; $promise:ident) => {
        #[tokio::test]
        $(#[$attribute])*
        async fn $promise() {
            $crate::contract::$promise($engine).await;
        }
    };
}

/// The promises of engines whose pipes are told which partitions are theirs.
#[macro_export]
macro_rules! range_tests {
    ($engine:expr) => {
        $crate::contract_tests! { @each [] $engine;
            a_pipe_reads_its_partitions_alone
            pipes_of_other_partitions_are_not_fenced
        }
    };
}
