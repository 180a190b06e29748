//! The loop that every job runs in: poll, run, commit outputs with positions and, now and then, with a snapshot.

use crate::counts::Fact;
use crate::error::StreamError;
use crate::job::Job;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::outputs::Outputs;
use crate::progress::Progress;
use crate::snapshot::StateError;
use crate::ticker::{Ticker, Ticking};
use records::{Commit, Delivery, Fetched, LogError, Offset, Pipe, Producer, Record, Snapshot};
use std::collections::BTreeMap;
use std::future::pending;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, Sleep, interval, sleep};
use tokio_util::sync::CancellationToken;

/// How long a changed alert waits for what else there is to be committed.
const ALERT_WAIT: Duration = Duration::from_millis(2);
/// Devices of a snapshot that are taken at a time: about a millisecond.
const SLICE: usize = 1000;

/// Runs `job` over `pipe` until `stop`, or until no more will come.
///
/// Outputs, positions and snapshots are committed together, so that whatever happens each record has its effect
/// once. Stopping commits what has been processed, with a snapshot, and closes no window before its time.
/// `ticker`: for the job that reads `telemetry`.
///
/// # Errors
/// [`StreamError::Log`] when polling or committing fails; [`StreamError::Reset`] when a snapshot can't be used.
/// After both the caller starts again with a new pipe and a new job.
pub async fn run<P: Producer>(
    pipe: impl Pipe,
    job: impl Job,
    ticker: Option<Ticker<P>>,
    options: Options,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<(), StreamError> {
    let mut snapshots = interval(options.snapshot_interval);
    snapshots.set_missed_tick_behavior(MissedTickBehavior::Delay);
    snapshots.reset();
    let out = Outputs::new(job.partitions()).with_shadows(options.tells_shadows);
    let ticking = ticker.map(Ticking::new);
    let (partitions, due) = (BTreeMap::new(), None);
    let mut worker = Worker {
        pipe,
        job,
        ticking,
        options,
        metrics,
        out,
        partitions,
        snapshots,
        begun: BTreeMap::new(),
        taken: Vec::new(),
        waiting: 0,
        due,
        is_urgent: false,
    };
    worker.work(stop).await?;
    worker.commit(Snapshots::ALL).await
}

/// Which snapshots a commit begins.
#[derive(Clone, Copy)]
struct Snapshots {
    /// Of partitions that have moved by so many records since their last one.
    moved: u64,
    /// How many devices are taken before the commit. What is left is taken while records go on, and committed then.
    slice: usize,
}

impl Snapshots {
    /// Of everything that has moved, whole.
    const ALL: Snapshots = Snapshots { moved: 1, slice: usize::MAX };
    /// Of everything that has moved.
    const DUE: Snapshots = Snapshots { moved: 1, slice: SLICE };
}

struct Worker<I, J, P> {
    pipe: I,
    job: J,
    ticking: Option<Ticking<P>>,
    options: Options,
    metrics: Metrics,
    out: Outputs,
    /// Where we stand in each of our input partitions.
    partitions: BTreeMap<u32, Progress>,
    snapshots: Interval,
    /// Snapshots that are being taken, by partition, and of where.
    begun: BTreeMap<u32, Offset>,
    /// Those that are whole and wait for the next commit.
    taken: Vec<(u32, Snapshot)>,
    /// Records processed since the last commit.
    waiting: usize,
    /// When they are committed at the latest.
    due: Option<Pin<Box<Sleep>>>,
    /// An alert is among them.
    is_urgent: bool,
}

impl<I: Pipe, J: Job, P: Producer> Worker<I, J, P> {
    async fn work(&mut self, stop: CancellationToken) -> Result<(), StreamError> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = elapsed(&mut self.due) => self.commit(self.far()).await?,
                _ = self.snapshots.tick() => self.commit(Snapshots::DUE).await?,
                () = look(&mut self.ticking) => self.speak(),
                delivery = self.pipe.poll() => match self.in_log(delivery)? {
                    Some(delivery) => self.take(delivery).await?,
                    None => return Ok(()),
                },
                () = tokio::task::yield_now(), if !self.begun.is_empty() => self.go_on(SLICE),
            }
        }
    }

    /// Writes what the owner of partitions has to say.
    fn speak(&mut self) {
        if let Some(ticking) = &mut self.ticking {
            ticking.speak(|partition| self.job.rules(partition));
        }
    }

    async fn take(&mut self, delivery: Delivery) -> Result<(), StreamError> {
        match delivery {
            Delivery::Assigned { partition, snapshot, committed } => {
                self.assign(partition, snapshot, committed).await
            }
            Delivery::Revoked { partition } => self.revoke(partition).await,
            Delivery::Records(fetched) => {
                self.process(&fetched);
                // As many devices as records, so that it is done some time however much comes.
                self.go_on(fetched.batch.len());
                match self.is_full() {
                    true => self.commit(self.far()).await,
                    false => Ok(()),
                }
            }
        }
    }

    async fn assign(
        &mut self,
        partition: u32,
        snapshot: Option<Snapshot>,
        committed: Offset,
    ) -> Result<(), StreamError> {
        // A snapshot of no bytes is one that was given up; see `give_up`.
        let snapshot = snapshot.filter(|snapshot| !snapshot.bytes.is_empty());
        let bytes = snapshot.as_ref().map(|snapshot| snapshot.bytes.as_slice());
        if let Err(reason) = self.job.restore(partition, bytes) {
            return self.give_up(partition, reason).await;
        }
        let from = snapshot.map(|snapshot| snapshot.offset);
        self.begun.remove(&partition);
        if from.is_none() && committed == 0 {
            // The rules that it begins with are not on the log: from now on they are in its state, whatever the next
            // start is configured with.
            let snapshots = vec![(partition, Snapshot { offset: 0, bytes: self.job.snapshot(partition) })];
            let begun = self.pipe.commit(Commit { snapshots, ..Commit::default() }).await;
            self.in_log(begun)?;
        }
        tracing::debug!(job = self.job.name(), partition, snapshot = from, committed, "partition assigned");
        self.partitions.insert(partition, Progress::new(from, committed));
        if let Some(ticking) = &mut self.ticking {
            ticking.own(partition);
        }
        Ok(())
    }

    /// Puts an empty snapshot in place of one that can't be used, so that the next start begins at the oldest record.
    async fn give_up(&mut self, partition: u32, source: StateError) -> Result<(), StreamError> {
        let job = self.job.name();
        tracing::warn!(job, partition, reason = %source, "state refused; it is built again from the log");
        let snapshots = vec![(partition, Snapshot { offset: 0, bytes: Vec::new() })];
        let given_up = self.pipe.commit(Commit { snapshots, ..Commit::default() }).await;
        self.in_log(given_up)?;
        Err(StreamError::Reset { job, partition, source })
    }

    async fn revoke(&mut self, partition: u32) -> Result<(), StreamError> {
        // With states, so that who takes over has nothing to run again.
        self.commit(Snapshots::ALL).await?;
        self.partitions.remove(&partition);
        self.job.revoke(partition);
        if let Some(ticking) = &mut self.ticking {
            ticking.disown(partition);
        }
        tracing::info!(job = self.job.name(), partition, "partition revoked");
        Ok(())
    }

    fn process(&mut self, fetched: &Fetched) {
        let partition = fetched.partition.partition;
        let Some(progress) = self.partitions.get_mut(&partition) else {
            tracing::error!(partition, "records of a partition that was never assigned");
            return;
        };
        progress.go_to(fetched.first);
        let lost = fetched.lost;
        if lost > 0 {
            tracing::error!(
                job = self.job.name(),
                partition,
                lost,
                "retention removed records before they were read"
            );
            self.metrics.lost(self.job.name(), lost);
        }
        let mut undecodable = None;
        for (offset, entry) in fetched.entries() {
            if offset < progress.next {
                continue;
            }
            let is_replay = progress.is_replay(offset);
            self.out.set_silent(is_replay);
            if entry.origin.is_some_and(|origin| !self.job.admit(partition, entry.key, origin)) {
                self.out.count(Fact::Resent);
            } else {
                match Record::decode(entry.value) {
                    Ok(record) => self.job.run(partition, entry.key, record, &mut self.out),
                    Err(error) => {
                        self.out.count(Fact::Undecodable);
                        undecodable.get_or_insert((offset, error));
                    }
                }
            }
            self.out.set_silent(false);
            if is_replay {
                self.out.count(Fact::Replayed);
            }
            progress.advance_to(offset + 1);
        }
        if let Some((offset, error)) = undecodable {
            tracing::error!(%error, partition, offset, "a record can't be read and is left aside (first of its batch)");
        }
        self.note_batch(fetched);
    }

    fn note_batch(&mut self, fetched: &Fetched) {
        self.waiting += fetched.batch.len();
        if self.due.is_none() {
            self.due = Some(Box::pin(sleep(self.options.commit_interval)));
        }
        self.hurry();
        let has_speaker = fetched.records().any(|(_, key, _)| !key.is_empty());
        if let (Some(ticking), true) = (&mut self.ticking, has_speaker) {
            ticking.hear(fetched.partition.partition);
        }
        self.metrics.count(self.job.name(), &self.out.take_counts());
    }

    /// An alert waits for what is there already and no longer. With a commit for each, a flood of alerts would be
    /// slower than what comes.
    fn hurry(&mut self) {
        if self.out.has_alert() && !self.is_urgent {
            self.is_urgent = true;
            self.due = Some(Box::pin(sleep(self.options.commit_interval.min(ALERT_WAIT))));
        }
    }

    fn is_full(&self) -> bool {
        self.waiting >= self.options.commit_records || self.out.len_bytes() >= self.options.commit_bytes
    }

    /// Snapshots of partitions that have moved far, so that a silent replay stays short.
    fn far(&self) -> Snapshots {
        Snapshots { moved: self.options.snapshot_records.max(1), slice: SLICE }
    }

    /// Commits what has been processed, and snapshots that are whole.
    async fn commit(&mut self, snapshots: Snapshots) -> Result<(), StreamError> {
        self.due = None;
        self.is_urgent = false;
        self.waiting = 0;
        self.begin_snapshots(snapshots);
        let commit = Commit {
            outputs: self.out.take(),
            offsets: self
                .partitions
                .iter()
                .filter_map(|(n, progress)| Some((*n, progress.to_commit()?)))
                .collect(),
            snapshots: std::mem::take(&mut self.taken),
        };
        if commit.outputs.is_empty() && commit.offsets.is_empty() && commit.snapshots.is_empty() {
            return Ok(());
        }
        let size = |(n, snapshot): &(u32, Snapshot)| (*n, snapshot.offset, snapshot.bytes.len());
        let sizes: Vec<_> = commit.snapshots.iter().map(size).collect();
        let committed = self.pipe.commit(commit).await;
        self.in_log(committed)?;
        self.partitions.values_mut().for_each(Progress::committed);
        for (partition, offset, bytes) in sizes {
            self.partitions.entry(partition).and_modify(|progress| progress.snapshot_taken(offset));
            self.metrics.snapshot(self.job.name(), partition, bytes);
        }
        self.metrics.committed(self.job.name());
        Ok(())
    }

    /// Begins snapshots of partitions as they are now. One that is being taken goes on, unless all must be whole.
    fn begin_snapshots(&mut self, Snapshots { moved, slice }: Snapshots) {
        let is_whole = slice == usize::MAX;
        for (partition, progress) in &self.partitions {
            let is_waiting = self.taken.iter().any(|(taken, _)| taken == partition);
            let is_going_on = !is_whole && (is_waiting || self.begun.contains_key(partition));
            if progress.since_snapshot() >= moved && !is_going_on {
                self.taken.retain(|(taken, _)| taken != partition);
                self.job.begin_snapshot(*partition);
                self.begun.insert(*partition, progress.next);
            }
        }
        self.take_pieces(slice);
    }

    /// Goes on with snapshots between records; what is whole then is committed with what comes next.
    fn go_on(&mut self, slice: usize) {
        if self.take_pieces(slice) && self.due.is_none() {
            self.due = Some(Box::pin(sleep(self.options.commit_interval)));
        }
    }

    /// Takes so many devices more of each; returns whether a snapshot is whole now.
    fn take_pieces(&mut self, most: usize) -> bool {
        let before = self.taken.len();
        let Worker { begun, taken, job, .. } = self;
        begun.retain(|partition, offset| match job.go_on_with_snapshot(*partition, most) {
            Some(bytes) => {
                taken.push((*partition, Snapshot { offset: *offset, bytes }));
                false
            }
            None => true,
        });
        taken.len() > before
    }

    fn in_log<T>(&self, result: Result<T, LogError>) -> Result<T, StreamError> {
        result.map_err(|source| StreamError::Log { job: self.job.name(), source })
    }
}

async fn elapsed(due: &mut Option<Pin<Box<Sleep>>>) {
    match due {
        Some(sleep) => sleep.await,
        None => pending().await,
    }
}

async fn look<P: Producer>(ticking: &mut Option<Ticking<P>>) {
    match ticking {
        Some(ticking) => ticking.look().await,
        None => pending().await,
    }
}
