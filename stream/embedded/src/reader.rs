//! The two kinds of readers: [`EmbeddedConsumer`] and [`EmbeddedPipe`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use records::{Batch, Commit, Consumer, Delivery, Fetched, LogError, Offset, Pipe, Topic, TopicPartition};
use tokio::sync::oneshot;

use crate::cursor::Cursor;
use crate::error::Fault;
use crate::request::{Batches, Marks, Reply, Request, Standing, With};
use crate::seat::ReaderName;
use crate::shared::{Handle, Shared};

/// Reads topics at least once. A second one of the same group takes over from the first.
pub struct EmbeddedConsumer {
    reader: Reader,
    /// Where to begin, instead of where the group has committed.
    from: Option<BTreeMap<TopicPartition, Offset>>,
    with: With,
}

/// Reads partitions of a topic exactly once. A second one of the same job takes over the partitions they share.
pub struct EmbeddedPipe {
    reader: Reader,
    topic: Topic,
    /// The number of the first assigned partition.
    first: u32,
    assigned: VecDeque<Delivery>,
}

/// What both have in common.
struct Reader {
    cursor: Cursor,
    /// The writer was asked where we stand. A dropped poll leaves the question open for the next one.
    asked: Option<oneshot::Receiver<Result<Vec<Standing>, Fault>>>,
    is_registered: bool,
}

impl EmbeddedConsumer {
    pub(crate) fn new(handle: Arc<Handle>, group: &str, topics: &[Topic]) -> EmbeddedConsumer {
        let layout = &handle.shared.layout;
        let is_first = |(n, topic): &(usize, &Topic)| !topics[..*n].contains(topic);
        let topics = topics.iter().enumerate().filter(is_first).map(|(_, topic)| *topic);
        let partitions =
            topics.flat_map(|topic| layout.of(topic)).filter_map(|at| layout.index(at)).collect();
        let reader = Reader::new(handle, ReaderName::Group(group.to_owned()), partitions);
        EmbeddedConsumer { reader, from: None, with: With::default() }
    }

    pub(crate) fn beginning_at(mut self, from: BTreeMap<TopicPartition, Offset>) -> EmbeddedConsumer {
        self.from = Some(from);
        self
    }

    pub(crate) fn joining_at_end(mut self) -> EmbeddedConsumer {
        self.with.at_end = true;
        self
    }

    /// Makes the group known, from its first poll on at the latest.
    pub(crate) async fn introduce(mut self) -> Result<(), LogError> {
        self.reader.register(self.with).await.map(|_| ())
    }

    fn positions(&self, standings: &[Standing]) -> Vec<Offset> {
        let Some(from) = &self.from else {
            return standings.iter().map(|standing| standing.position.next).collect();
        };
        let shared = self.reader.shared();
        let at = |index: &usize| from.get(&shared.partitions[*index].at).copied().unwrap_or(0);
        self.reader.cursor.seat.partitions.iter().map(at).collect()
    }
}

impl Consumer for EmbeddedConsumer {
    async fn poll(&mut self) -> Result<Option<Fetched>, LogError> {
        if !self.reader.is_registered {
            let Some(standings) = self.reader.register(self.with).await? else { return Ok(None) };
            let positions = self.positions(&standings);
            self.reader.start(&positions)?;
        }
        self.reader.cursor.poll().await
    }

    async fn commit_noted(&mut self, standings: &[records::Standing]) -> Result<(), LogError> {
        let mut marks = Marks { is_final: true, ..Marks::default() };
        for records::Standing { partition, next, note } in standings {
            let index = self.reader.own(*partition, *next)?;
            marks.offsets.push((index, *next));
            marks.notes.push((index, note.as_str().into()));
        }
        self.reader.commit(marks).await
    }

    async fn standings(&mut self, group: &str) -> Result<Vec<records::Standing>, LogError> {
        let (shared, reader) = (self.reader.shared(), ReaderName::Group(group.to_owned()));
        let standing = |index: &usize| {
            let (position, note) = shared.roster.standing(&(*index, reader.clone()))?;
            let (partition, note) = (shared.partitions[*index].at, note.to_string());
            Some(records::Standing { partition, next: position.next, note })
        };
        Ok(self.reader.cursor.seat.partitions.iter().filter_map(standing).collect())
    }
}

impl EmbeddedPipe {
    /// Partitions that do not exist are left out.
    pub(crate) fn new(
        handle: Arc<Handle>,
        job: &str,
        topic: Topic,
        partitions: std::ops::Range<u32>,
    ) -> EmbeddedPipe {
        let first = partitions.start;
        let layout = &handle.shared.layout;
        let numbers =
            partitions.filter_map(|partition| layout.index(TopicPartition { topic, partition })).collect();
        EmbeddedPipe {
            reader: Reader::new(handle, ReaderName::Job(job.to_owned()), numbers),
            topic,
            first,
            assigned: VecDeque::new(),
        }
    }

    /// Learns where the job stands, and begins there.
    async fn assign(&mut self) -> Result<bool, LogError> {
        let Some(standings) = self.reader.register(With { snapshots: true, ..With::default() }).await? else {
            return Ok(false);
        };
        let oldest = self.reader.oldest();
        // Without a snapshot all is read again; what is missing beyond the commit is lost on us.
        let from = |(standing, oldest): (&Standing, Offset)| {
            let replay = oldest.min(standing.position.next);
            standing.snapshot.as_ref().map_or(replay, |snapshot| snapshot.offset)
        };
        let positions: Vec<_> = standings.iter().zip(oldest).map(from).collect();
        self.reader.start(&positions)?;
        let assigned = (self.first..).zip(standings).map(|(partition, standing)| Delivery::Assigned {
            partition,
            snapshot: standing.snapshot,
            committed: standing.position.next,
        });
        self.assigned = assigned.collect();
        Ok(true)
    }

    fn input(&self, partition: u32, offset: Offset) -> Result<usize, Fault> {
        self.reader.own(TopicPartition { topic: self.topic, partition }, offset)
    }

    fn marks(&self, commit: Commit) -> Result<Marks, Fault> {
        let mut marks =
            Marks { outputs: numbered(self.reader.shared(), commit.outputs)?, ..Marks::default() };
        for (partition, offset) in commit.offsets {
            marks.offsets.push((self.input(partition, offset)?, offset));
        }
        for (partition, snapshot) in commit.snapshots {
            check_size(snapshot.bytes.len())?;
            marks.snapshots.push((self.input(partition, snapshot.offset)?, snapshot));
        }
        Ok(marks)
    }
}

impl Pipe for EmbeddedPipe {
    async fn poll(&mut self) -> Result<Option<Delivery>, LogError> {
        if !self.reader.is_registered && !self.assign().await? {
            return Ok(None);
        }
        if self.reader.cursor.seat.is_fenced() {
            return Err(LogError::Fenced);
        }
        if let Some(delivery) = self.assigned.pop_front() {
            return Ok(Some(delivery));
        }
        Ok(self.reader.cursor.poll().await?.map(Delivery::Records))
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        // Until it has succeeded the job's state is in doubt: the next poll would assign anew.
        let was_registered = std::mem::take(&mut self.reader.is_registered);
        let marks = self.marks(commit)?;
        self.reader.commit(marks).await?;
        self.reader.is_registered = was_registered;
        Ok(())
    }
}

impl Reader {
    fn new(handle: Arc<Handle>, name: ReaderName, partitions: Vec<usize>) -> Reader {
        Reader { cursor: Cursor::new(handle, name, partitions), asked: None, is_registered: false }
    }

    fn shared(&self) -> &Shared {
        &self.cursor.handle.shared
    }

    /// Where this reader stands; `None` when the log is closed.
    async fn register(&mut self, with: With) -> Result<Option<Vec<Standing>>, LogError> {
        let asked = match &mut self.asked {
            Some(asked) => asked,
            None => {
                let (reply, asked) = oneshot::channel();
                let seat = Arc::clone(&self.cursor.seat);
                match self.shared().queue.ask(Request::Register { seat, with, reply }) {
                    Ok(()) => self.asked.insert(asked),
                    Err(_) => return Ok(None),
                }
            }
        };
        let answer = asked.await;
        self.asked = None;
        match answer {
            Ok(answer) => Ok(Some(answer?)),
            Err(_) => Ok(None),
        }
    }

    /// Begins to read. A position behind the end means that the file is older than what was read from it.
    fn start(&mut self, positions: &[Offset]) -> Result<(), Fault> {
        for (index, position) in self.cursor.seat.partitions.iter().zip(positions) {
            let partition = &self.shared().partitions[*index];
            if *position > partition.extent().next {
                let detail = format!("{} has read up to here, and it is not there", self.cursor.seat.name);
                return Err(Fault::Damaged { at: partition.at, offset: *position, detail });
            }
        }
        self.cursor.go_to(positions);
        self.is_registered = true;
        Ok(())
    }

    fn oldest(&self) -> Vec<Offset> {
        let shared = self.shared();
        let partitions = self.cursor.seat.partitions.iter();
        partitions.map(|index| shared.partitions[*index].extent().first).collect()
    }

    /// The number of a partition that this reader reads and that reaches up to `offset`.
    fn own(&self, at: TopicPartition, offset: Offset) -> Result<usize, Fault> {
        let shared = self.shared();
        let number = shared.layout.index(at).filter(|index| self.cursor.seat.partitions.contains(index));
        let Some(index) = number else {
            return Err(Fault::Unavailable(format!("{} does not read {at}", self.cursor.seat.name)));
        };
        let next = shared.partitions[index].extent().next;
        if offset > next {
            return Err(Fault::Unavailable(format!("{at} ends at {next}, so {offset} can't be committed")));
        }
        Ok(index)
    }

    async fn commit(&mut self, marks: Marks) -> Result<(), LogError> {
        let seat = Arc::clone(&self.cursor.seat);
        Ok(ask(self.shared(), |reply| Request::Commit { seat, marks, reply }).await?)
    }
}

/// Has the writer do something for a reader.
pub(crate) async fn ask<T>(shared: &Shared, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, Fault> {
    let (reply, answer) = oneshot::channel();
    shared.queue.ask(request(reply))?;
    answer.await.unwrap_or(Err(Fault::Closed))
}

/// A record or a snapshot can't be larger than this.
const LARGEST_BYTES: usize = 256 << 20;

/// Batches with the numbers of their partitions, when these exist and can be stored.
pub(crate) fn numbered(shared: &Shared, batches: Vec<(TopicPartition, Batch)>) -> Result<Batches, Fault> {
    let number = |(at, batch): (TopicPartition, Batch)| {
        check_size(batch.as_bytes().len())?;
        let index = shared.layout.index(at).ok_or_else(|| {
            let count = shared.layout.partitions(at.topic);
            Fault::Unavailable(format!("there is no {at}: {} has {count} partitions", at.topic))
        })?;
        Ok((index, batch))
    };
    batches.into_iter().map(number).collect()
}

fn check_size(bytes: usize) -> Result<(), Fault> {
    if bytes > LARGEST_BYTES {
        return Err(Fault::Unavailable(format!("{bytes} bytes at once are more than the log takes")));
    }
    Ok(())
}
