//! The log as its users hold it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use records::{
    AppendError, Batch, LogError, Note, Noted, Offset, Producer, Timestamp, Topic, TopicPartition,
};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::lock::FolderLock;
use crate::partition::Partition;
use crate::queue::Queue;
use crate::reader::{ask, numbered};
use crate::request::Request;
use crate::roster::Roster;
use crate::seat::ReaderName;
use crate::shared::{Handle, Shared, Stage};
use crate::{
    EmbeddedConsumer, EmbeddedPipe, Metrics, OpenError, Options, Stats, room, schema, verify, wal, writer,
};

/// Tells the time of an append, for retention by age.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A durable log in one folder. Cheap to clone; the clones are the same log.
///
/// Its readers need a tokio runtime. The file is closed when [`Log::close`] has been called, or the last clone
/// dropped, and the last reader is gone.
#[derive(Clone)]
pub struct Log {
    handle: Arc<Handle>,
}

impl Log {
    /// Opens the log in `dir`, or makes one.
    ///
    /// # Errors
    /// See [`OpenError`]; in each case nothing was changed.
    pub fn open(dir: &Path, options: Options, clock: Clock, metrics: Metrics) -> Result<Log, OpenError> {
        let folder = |source| OpenError::Folder { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(folder)?;
        let lock = FolderLock::take(dir)?;
        let path = dir.join("log.db");
        wal::check(&path)?;
        let conn = schema::open(&path, &options, clock())?;
        let storage = |source| OpenError::Storage { path: path.clone(), source };
        let shared = Arc::new(load(&path, &conn, options, clock, metrics).map_err(storage)?);
        let of_writer = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("log-writer".to_owned());
        let thread = thread.spawn(move || writer::run(&of_writer, conn, lock)).map_err(folder)?;
        Ok(Log { handle: Arc::new(Handle::new(shared, thread)) })
    }

    /// A reader of all partitions of `topics`, from where `group` last committed, or from the oldest record.
    ///
    /// A living reader of the same group is fenced.
    pub fn consumer(&self, group: &str, topics: &[Topic]) -> EmbeddedConsumer {
        EmbeddedConsumer::new(Arc::clone(&self.handle), group, topics)
    }

    /// The same; a group that is not known begins behind what is there at its first poll, and is known from then on.
    pub fn consumer_from_end(&self, group: &str, topics: &[Topic]) -> EmbeddedConsumer {
        self.consumer(group, topics).joining_at_end()
    }

    /// A reader as [`Log::consumer`], from these offsets on, whatever the group has committed; without one, from the oldest record.
    pub fn consumer_from(
        &self,
        group: &str,
        topics: &[Topic],
        from: BTreeMap<TopicPartition, Offset>,
    ) -> EmbeddedConsumer {
        self.consumer(group, topics).beginning_at(from)
    }

    /// Makes a group known that may come to read much later: from now on nothing is removed that it has not read. A
    /// living reader of the group is fenced.
    ///
    /// # Errors
    /// The log can't be written.
    pub async fn introduce(&self, group: &str, topics: &[Topic]) -> Result<(), LogError> {
        self.consumer(group, topics).introduce().await
    }

    /// The input of `job`: these partitions of `topic`. Pipes of one job with other partitions run beside it.
    ///
    /// A living pipe of the same job that shares a partition is fenced.
    pub fn pipe(&self, job: &str, topic: Topic, partitions: Range<u32>) -> EmbeddedPipe {
        EmbeddedPipe::new(Arc::clone(&self.handle), job, topic, partitions)
    }

    /// When this log was made, by the clock that it was opened with: it tells a log from one that took its
    /// place, for instance on a new disk.
    pub fn made(&self) -> Timestamp {
        self.handle.shared.made
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.handle.shared.path
    }

    /// What the log holds and who reads it.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.handle.shared)
    }

    /// Whether the budget is nearly used up by what is still to be read: more than 17/20 of it, when appends are refused
    /// from 18/20 on. Whoever has something that may be left out leaves it out while this is so, and keeps the rest of
    /// the room for what may not.
    pub fn is_scarce(&self) -> bool {
        let shared = &self.handle.shared;
        room::is_scarce(shared.used_bytes.load(Ordering::Relaxed), shared.options.budget_bytes)
    }

    /// Appends every batch to its partition and carries out the notes, all of it or nothing; the contract is that of
    /// [`Producer::append`]. Notes without any records are taken as long as the file can grow: where records wait for
    /// room, they may be what makes it.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn append_noted(
        &self,
        batches: Vec<(TopicPartition, Batch)>,
        notes: Vec<Note>,
    ) -> Result<(), AppendError> {
        self.append_all(batches, notes).await.map(|_| ())
    }

    /// What is noted under keys that begin with `prefix`, behind all that was appended before this call.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn notes(&self, prefix: &[u8]) -> Result<Noted, LogError> {
        let prefix = prefix.to_owned();
        Ok(ask(&self.handle.shared, |reply| Request::Recall { prefix, reply }).await?)
    }

    async fn append_all(
        &self,
        batches: Vec<(TopicPartition, Batch)>,
        notes: Vec<Note>,
    ) -> Result<Vec<Offset>, AppendError> {
        let shared = &self.handle.shared;
        let batches = numbered(shared, batches)?;
        let (reply, answer) = oneshot::channel();
        shared.queue.append(Request::Append { batches, notes, reply }).await?;
        match answer.await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(AppendError::Closed),
        }
    }

    /// Forgets a consumer group or a job that will not come back, with its snapshots, so that nothing is kept for it.
    ///
    /// # Errors
    /// It is reading now, or the log can't be written.
    pub async fn forget(&self, reader: ReaderName) -> Result<(), LogError> {
        Ok(ask(&self.handle.shared, |reply| Request::Forget { reader, reply }).await?)
    }

    /// From this call on, awaited or not, appends are refused, and readers end when they have read what is there;
    /// they may still commit.
    ///
    /// The future completes when everything that was queued is durable. The folder is free for another process
    /// when it has completed and no reader lives any more.
    pub fn close(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.handle.shared);
        shared.queue.close();
        async move {
            let is_done = |stage: &Stage| match stage {
                Stage::Open => false,
                // Without readers the writer ends at once; wait for it, so that the folder is free.
                Stage::Drained => shared.queue.has_readers(),
                Stage::Ended => true,
            };
            // It fails when the sender is gone, and we hold the sender.
            let _ = shared.stage.subscribe().wait_for(is_done).await;
        }
    }
}

impl Producer for Log {
    fn partitions(&self, topic: Topic) -> u32 {
        self.handle.shared.layout.partitions(topic)
    }

    async fn append(&self, batches: Vec<(TopicPartition, Batch)>) -> Result<Vec<Offset>, AppendError> {
        self.append_all(batches, Vec::new()).await
    }
}

/// Looks at the newest rows, which a crash could have torn, so that damage is known before a reader comes there. What
/// comes is still taken: it stands behind the damage, which no reader passes.
fn tell_damage(conn: &Connection, partition: &Partition, metrics: &Metrics) {
    if let Err(fault) = verify::check_newest(conn, partition.at, partition.extent()) {
        metrics.damaged_partitions.inc();
        tracing::error!(error = %fault, "the log is not as it was written");
    }
}

fn load(
    path: &Path,
    conn: &Connection,
    options: Options,
    clock: Clock,
    metrics: Metrics,
) -> rusqlite::Result<Shared> {
    let layout = crate::layout::Layout::new(|topic| options[topic].partitions);
    let partition = |at| Ok(Partition::new(at, schema::extent(conn, at)?));
    let partitions = layout.all().map(partition).collect::<rusqlite::Result<_>>()?;
    let roster = Roster::default();
    roster.set(schema::positions(conn, &layout)?);
    roster.note(schema::standing_notes(conn, &layout)?);
    for partition in &partitions {
        tell_damage(conn, partition, &metrics);
    }
    Ok(Shared {
        path: path.to_owned(),
        made: schema::made(conn)?,
        queue: Queue::new(&options),
        used_bytes: AtomicU64::new(0),
        options,
        layout,
        partitions,
        roster,
        stage: watch::Sender::new(Stage::Open),
        metrics,
        clock,
    })
}
