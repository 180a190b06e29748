//! The time series, read from the log again: after a restore, for days that were damaged, or altogether.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use embedded::Selection;
use kafka::Start;
use records::{Entry, Offset, Record, Timestamp, Topic, TopicPartition};
use sinks::store::{Rebuilt, Store, StoreError};
use sinks::{Rows, SeriesSink};

use crate::cluster;
use crate::command::Failure;
use crate::config::{Config, LogKind};
use crate::folder::Folder;

/// Rows that are gathered before they go into the store.
const GATHERED: usize = 100_000;

/// What was read again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refilled {
    /// Rows that the store has now and had not before.
    pub rows: usize,
    /// Records that the store has not read and the log no longer has, by partition.
    pub missed: BTreeMap<TopicPartition, u64>,
}

/// Reads what the log has and the store has not yet read, whatever the log's own positions say.
///
/// # Errors
/// The log can't be read, or the store not be written; what was sealed until then stays.
pub fn catch_up(config: &Config, store: &Store) -> Result<Refilled, Failure> {
    let known: BTreeMap<TopicPartition, Offset> = store.offsets().into_iter().collect();
    let mut refilled = Refilled { rows: 0, missed: missed(config, &known)? };
    let (mut rows, mut next) = (Rows::default(), known.clone());
    each_record(config, |at, offset, record| {
        if known.get(&at).is_some_and(|from| offset < *from) {
            return Ok(());
        }
        rows.add(record);
        next.insert(at, offset + 1);
        if rows.len() >= GATHERED {
            let written = std::mem::take(&mut rows).write_to(store);
            refilled.rows += written.accepted;
            if store.rows_in_memory() >= 10 * GATHERED {
                seal(store, &next).map_err(io::Error::other)?;
                store.compact().map_err(io::Error::other)?;
            }
        }
        Ok(())
    })?;
    refilled.rows += rows.write_to(store).accepted;
    seal(store, &next).map_err(|error| Failure::because("the series", &error))?;
    Ok(refilled)
}

/// Writes days anew: those of a range of event time, or those that a damaged file is of. `None` when there are none.
///
/// # Errors
/// The log can't be read or no longer has the rows, or the store not be written.
pub fn rebuild(
    config: &Config,
    store: &Store,
    range: Option<(Timestamp, Timestamp)>,
) -> Result<Option<Rebuilt>, Failure> {
    store.examine().map_err(|error| Failure::because("the series", &error))?;
    let known: BTreeMap<TopicPartition, Offset> = store.offsets().into_iter().collect();
    let Some(mut rebuild) = store.rebuild(range) else { return Ok(None) };
    let mut rows = Rows::default();
    each_record(config, |at, offset, record| {
        // What the store has not read yet is for the sink.
        if known.get(&at).is_none_or(|next| offset >= *next) {
            return Ok(());
        }
        rows.add(record);
        if rows.len() >= GATHERED {
            let Rows { raw, windows, happenings } = std::mem::take(&mut rows);
            rebuild.write(&raw, &windows, &happenings).map_err(io::Error::other)?;
        }
        Ok(())
    })?;
    let Rows { raw, windows, happenings } = rows;
    rebuild.write(&raw, &windows, &happenings).map_err(|error| Failure::because("the series", &error))?;
    let rebuilt = rebuild.finish().map_err(|error| Failure::because("the series", &error))?;
    Ok(Some(rebuilt))
}

fn seal(store: &Store, next: &BTreeMap<TopicPartition, Offset>) -> Result<(), StoreError> {
    let offsets: Vec<_> = next.iter().map(|(at, offset)| (*at, *offset)).collect();
    store.seal(&offsets).map(|_| ())
}

/// Hands out every record of the series' topics that the log has, each partition's in order. What can't be decoded
/// was counted when it was first read.
fn each_record(
    config: &Config,
    mut each: impl FnMut(TopicPartition, Offset, Record) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut decoded = |at: TopicPartition, offset: Offset, entry: Entry<'_>| match Record::decode(entry.value)
    {
        Ok(record) => each(at, offset, record),
        Err(_) => Ok(()),
    };
    for topic in SeriesSink::TOPICS {
        match &config.log.kind {
            LogKind::Embedded => on_disk(&Folder::at(&config.data).log(), *topic, &mut decoded)?,
            LogKind::Kafka(kafka) => {
                let options = cluster::options(config, kafka)?;
                kafka::view(&options, *topic, Start::Earliest, false, &mut decoded)
                    .map_err(|error| Failure::because("log", &error))?;
            }
        }
    }
    Ok(())
}

fn on_disk(
    dir: &Path,
    topic: Topic,
    each: impl FnMut(TopicPartition, Offset, Entry<'_>) -> io::Result<()>,
) -> Result<(), Failure> {
    let selection = Selection { topic, partition: None, from: 0, limit: u64::MAX };
    embedded::export(dir, selection, each).map(|_| ()).map_err(|error| Failure::because("log", &error))
}

/// How much of what the store has not read is gone from the log. Kafka's offsets have holes of its own, so there it
/// can't be told.
fn missed(
    config: &Config,
    known: &BTreeMap<TopicPartition, Offset>,
) -> Result<BTreeMap<TopicPartition, u64>, Failure> {
    if !matches!(config.log.kind, LogKind::Embedded) {
        return Ok(BTreeMap::new());
    }
    let survey =
        embedded::stats(&Folder::at(&config.data).log()).map_err(|error| Failure::because("log", &error))?;
    let ours = survey.partitions.into_iter().map(|partition| partition.stats);
    let ours = ours.filter(|stats| SeriesSink::TOPICS.contains(&stats.partition.topic));
    let gap = |stats: embedded::PartitionStats| {
        let next = known.get(&stats.partition).copied().unwrap_or(0);
        (stats.partition, stats.first.saturating_sub(next))
    };
    Ok(ours.map(gap).filter(|(_, count)| *count > 0).collect())
}
