//! A pipe's producer: outputs, states and offsets of the input in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{ClientConfig, TopicPartitionList};
use records::{LogError, Offset, Snapshot, TopicPartition};

use crate::TokenSource;
use crate::error::{is_fenced, log_error};
use crate::names::Names;
use crate::rebalances::Rebalances;
use crate::snapshots;
use crate::transactional::{NOT_ASKED, STEP, Transactional};

/// Between two tries while the group decides.
const PAUSE: Duration = Duration::from_millis(50);

/// The transactional producer of one worker of one job.
pub(crate) struct Transactions {
    producer: Transactional,
    names: Arc<Names>,
    job: String,
    /// Partitions of the topic of states.
    snapshot_partitions: u32,
    /// How long a commit may take in all.
    patience: Duration,
}

/// What one transaction is to make visible.
pub(crate) struct Work {
    pub outputs: Vec<(TopicPartition, records::Batch)>,
    pub snapshots: Vec<(u32, Snapshot)>,
    /// For each input partition what is committed: the next offset, and where its newest state stands. The states of
    /// this very work are filled in on the way.
    pub marks: BTreeMap<TopicPartition, Mark>,
}

/// What a commit notes of one input partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub next: Offset,
    /// Where the newest state stands in the topic of states.
    pub snapshot: Option<Offset>,
}

impl Mark {
    /// As it is noted beside the offset.
    fn note(&self) -> String {
        self.snapshot.map_or_else(String::new, |at| format!("{NOTE}{at}"))
    }

    /// The reverse of `note`, of whatever somebody has noted.
    pub fn noted(text: &str) -> Option<Offset> {
        text.strip_prefix(NOTE)?.parse().ok()
    }
}

const NOTE: &str = "snapshot@";

impl Transactions {
    /// Fences the worker before with this id, and undoes what it had not finished. Blocks.
    pub fn begin(
        config: &ClientConfig,
        names: Arc<Names>,
        job: &str,
        snapshot_partitions: u32,
        patience: Duration,
        tokens: Option<TokenSource>,
    ) -> Result<Transactions, KafkaError> {
        let producer = Transactional::begin(config, patience, tokens)?;
        Ok(Transactions { producer, names, job: job.to_owned(), snapshot_partitions, patience })
    }

    /// Makes `work` visible, together or not at all, if `consumer` is still who reads its input. Blocks.
    pub fn commit(&self, work: &mut Work, consumer: &BaseConsumer<Rebalances>) -> Result<(), LogError> {
        let since = Instant::now();
        loop {
            let Err(error) = self.attempt(work, consumer) else { return Ok(()) };
            let code = error.rdkafka_error_code();
            if needs_abort(&error) {
                self.producer.again(|client| client.abort_transaction(STEP)).map_err(log_error)?;
            }
            if let Some(oversize) = self.producer.take_oversize() {
                return Err(LogError::Refused(Box::new(oversize)));
            }
            let is_deciding = matches!(
                code,
                Some(RDKafkaErrorCode::IllegalGeneration | RDKafkaErrorCode::RebalanceInProgress)
            );
            if !is_deciding || since.elapsed() > self.patience {
                return Err(log_error(error));
            }
            // What is ours stays ours, and the group tells us under which membership from now on.
            std::thread::sleep(PAUSE);
        }
    }

    fn attempt(&self, work: &mut Work, consumer: &BaseConsumer<Rebalances>) -> Result<(), KafkaError> {
        let context = consumer.context();
        // In this order: a membership that came after a loss is never used.
        let member = context.member();
        if context.seat.is_fenced() {
            return Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::AssignmentLost));
        }
        let member = member.ok_or(KafkaError::ConsumerCommit(RDKafkaErrorCode::UnknownMemberId))?;
        self.producer.forget_places();
        self.producer.client.begin_transaction()?;
        self.write(work)?;
        let offsets = self.offsets(&work.marks)?;
        if offsets.count() > 0 {
            self.producer.again(|client| client.send_offsets_to_transaction(&offsets, &member, STEP))?;
        }
        self.producer.commit()
    }

    fn write(&self, work: &mut Work) -> Result<(), KafkaError> {
        for (at, batch) in &work.outputs {
            let (topic, partition) = (self.names.of(at.topic), at.partition.cast_signed());
            for entry in batch.entries() {
                self.producer.send(topic, partition, &entry)?;
            }
        }
        if work.snapshots.is_empty() {
            return Ok(());
        }
        for (number, (partition, snapshot)) in work.snapshots.iter().enumerate() {
            self.write_snapshot(number + 1, *partition, snapshot)?;
        }
        // Where they stand is noted in the same transaction, so it must be known before.
        self.producer.flush()?;
        let places = self.producer.take_places();
        for (number, (partition, _)) in work.snapshots.iter().enumerate() {
            let at = places.get(&(number + 1)).and_then(|at| Offset::try_from(*at).ok());
            let of_partition = |(place, _): &(&TopicPartition, &mut Mark)| place.partition == *partition;
            if let Some((_, mark)) = work.marks.iter_mut().find(of_partition) {
                mark.snapshot = at;
            }
        }
        Ok(())
    }

    /// The first piece is asked where it stands, under `number`.
    fn write_snapshot(&self, number: usize, partition: u32, snapshot: &Snapshot) -> Result<(), KafkaError> {
        let at = (partition % self.snapshot_partitions).cast_signed();
        let mut asked = number;
        for piece in snapshots::pieces(&self.job, partition, snapshot) {
            let record = BaseRecord::with_opaque_to(self.names.snapshots(), asked).partition(at);
            let sent = self.producer.client.send(record.key(&piece.key).payload(&piece.value));
            sent.map_err(|(error, _)| error)?;
            asked = NOT_ASKED;
        }
        Ok(())
    }

    fn offsets(&self, marks: &BTreeMap<TopicPartition, Mark>) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(marks.len());
        for (place, mark) in marks {
            let mut at = list.add_partition(self.names.of(place.topic), place.partition.cast_signed());
            at.set_offset(rdkafka::Offset::Offset(mark.next.cast_signed()))?;
            at.set_metadata(mark.note());
        }
        Ok(list)
    }
}

/// A transaction is open, and must not stay so. (After a fatal error it is over for us.)
fn needs_abort(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.txn_requires_abort() || error.is_retriable(),
        KafkaError::ConsumerCommit(_) => false,
        other => !other.rdkafka_error_code().is_some_and(is_fenced),
    }
}
