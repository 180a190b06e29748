//! A topic of the source.

use super::filter::{Filter, Left};
use super::load::Load;
use super::metrics::Metrics;
use records::{Consumer, Entry, Fetched, LogError, Mirrored, Offset, Topic, TopicPartition, partition_of};
use std::collections::BTreeMap;

/// A topic's reader, and what it has given that waits.
pub(super) struct Lane<C> {
    consumer: C,
    /// Once a record has told.
    topic: Option<Topic>,
    is_open: bool,
    held: Option<Fetched>,
    /// How many of `held` were looked at.
    done: usize,
}

/// Whose records go where.
pub(super) struct Route<'a> {
    pub city: &'a str,
    pub partitions: &'a dyn Fn(Topic) -> u32,
    /// Up to how many bytes the load may be filled.
    pub bytes: usize,
}

impl<C: Consumer> Lane<C> {
    pub fn new(consumer: C) -> Lane<C> {
        Lane { consumer, topic: None, is_open: true, held: None, done: 0 }
    }

    pub fn is_waiting(&self) -> bool {
        self.is_open && self.held.is_none()
    }

    pub fn is_over(&self) -> bool {
        !self.is_open && self.held.is_none()
    }

    /// Which topic it is, when records have come.
    pub fn topic(&self) -> Option<Topic> {
        self.topic
    }

    /// Waits for records. Cancel-safe.
    pub async fn poll(&mut self, metrics: &Metrics) -> Result<(), LogError> {
        self.held = self.consumer.poll().await?;
        self.done = 0;
        self.is_open = self.held.is_some();
        if let Some(held) = &self.held {
            self.topic = Some(held.partition.topic);
            metrics.lost(held.partition.topic, held.lost);
        }
        Ok(())
    }

    /// Puts what is chosen into `load`, up to its room. `next`: where the source is to be read on; what is below is on
    /// the target, and comes again after the group has moved partitions.
    pub fn fill(
        &mut self,
        filter: &mut Filter,
        next: &mut BTreeMap<TopicPartition, Offset>,
        route: &Route<'_>,
        load: &mut Load,
        metrics: &Metrics,
    ) {
        let Some(held) = self.held.take() else { return };
        let at = held.partition;
        let (mut done, mut is_full) = (self.done, false);
        for (offset, entry) in held.entries().skip(self.done) {
            is_full = load.bytes > 0 && load.bytes + entry.len() > route.bytes;
            if is_full {
                break;
            }
            done += 1;
            if next.get(&at).is_some_and(|next| offset < *next) {
                continue;
            }
            let judged = is_too_far(&entry, route.city).map_or_else(|| filter.judge(&entry), Err);
            match judged {
                Ok(()) => copy(at, offset, entry, route, load),
                Err(left) => metrics.left(at.topic, left),
            }
            next.insert(at, offset + 1);
            load.positions.insert(at, offset + 1);
        }
        if is_full {
            (self.held, self.done) = (Some(held), done);
        }
    }

    pub async fn commit(&mut self, offsets: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        self.consumer.commit(offsets).await
    }
}

/// With the deployment it leaves at the end of its trail.
fn copy(at: TopicPartition, offset: Offset, entry: Entry<'_>, route: &Route<'_>, load: &mut Load) {
    let trail = match entry.mirrored {
        None => route.city.to_owned(),
        Some(mirrored) => format!("{},{}", mirrored.trail, route.city),
    };
    let (partition, offset) =
        entry.mirrored.map_or((at.partition, offset), |mirrored| (mirrored.partition, mirrored.offset));
    let mirrored = Some(Mirrored { trail: &trail, partition, offset });
    let partitions = (route.partitions)(at.topic);
    let to = match entry.key {
        [] => at.partition % partitions.max(1),
        key => partition_of(key, partitions),
    };
    load.is_urgent |= at.topic == Topic::Alerts;
    load.put(TopicPartition { partition: to, ..at }, Entry { mirrored, ..entry });
}

/// A record whose trail could not be written any more has gone round; it is left where it is.
pub(super) fn is_too_far(entry: &Entry<'_>, city: &str) -> Option<Left> {
    let len = entry.mirrored.map_or(0, |mirrored| mirrored.trail.len() + 1) + city.len();
    (len > usize::from(u8::MAX)).then_some(Left::BeenThere)
}
