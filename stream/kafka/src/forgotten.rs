//! Partitions that their group has forgotten.
//!
//! Members that cooperate give a partition up in one generation of their group, and who is to have it receives it in the
//! next. When all die in between and come back as the static members that they were, the group hands out what the last
//! generation said, in which nobody has the partition, and sees no reason for a next one. It decides anew when a member
//! comes that it does not know: so one of them goes, and comes back under another name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use records::Topic;

use crate::error::{Refused, unavailable};
use crate::rebalances::Rebalances;
use crate::seat::Seat;
use crate::shared::Shared;

/// How long brokers may take to describe a group.
const PATIENCE: Duration = Duration::from_secs(5);
/// So often in a row the same must be missing: a partition that is handed over is nobody's for a while.
const LOOKS: u32 = 4;
/// A static member's id ends with a dash and a UUID.
const SUFFIX: usize = 37;

type Place = (String, u32);

/// How often a reader of each group has changed its name.
#[derive(Default)]
pub(crate) struct Renamed(Mutex<BTreeMap<String, u32>>);

impl Renamed {
    /// What `instance` is called in `group` by now.
    pub fn name(&self, group: &str, instance: &str) -> String {
        let renamed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        renamed.get(group).map_or_else(|| instance.to_owned(), |times| format!("{instance}~{times}"))
    }

    fn again(&self, group: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(group.to_owned()).or_default() += 1;
    }
}

/// Looks at a reader's group now and then, and ends the reader when it is the one to come back under another name.
pub(crate) struct Watch {
    group: String,
    /// What the reader is called in the group.
    instance: String,
    /// Whoever drops it last waits for its end, so it is held on blocking threads alone.
    consumer: Weak<BaseConsumer<Rebalances>>,
    seat: Arc<Seat>,
    /// All that the group reads.
    places: BTreeSet<Place>,
    renamed: Arc<Renamed>,
    /// Between two looks.
    pause: Duration,
}

impl Watch {
    pub fn new(
        shared: &Shared,
        (group, instance): (String, String),
        topics: &[Topic],
        consumer: &Arc<BaseConsumer<Rebalances>>,
    ) -> Watch {
        let partitions = |topic: &Topic| {
            let name = shared.names.of(*topic).to_owned();
            (0..shared.options.topics[*topic].partitions).map(move |partition| (name.clone(), partition))
        };
        let places = topics.iter().flat_map(partitions).collect();
        let (renamed, pause) = (Arc::clone(&shared.renamed), shared.options.session_timeout / LOOKS);
        let (consumer, seat) = (Arc::downgrade(consumer), Arc::clone(&consumer.context().seat));
        Watch { group, instance, consumer, seat, places, renamed, pause }
    }

    /// Until the reader is gone.
    pub async fn run(self) {
        let (pause, seat) = (self.pause, Arc::clone(&self.seat));
        let mut looking = Looking { watch: self, missing: BTreeSet::new(), looks: 0 };
        loop {
            tokio::time::sleep(pause).await;
            if seat.is_left() {
                return;
            }
            let look = tokio::task::spawn_blocking(move || looking.look());
            match look.await.expect("looking does not panic") {
                Some(goes_on) => looking = goes_on,
                None => return,
            }
        }
    }

    /// What nobody has, if it is on us to do something about it.
    fn missing(&self, consumer: &BaseConsumer<Rebalances>) -> Result<BTreeSet<Place>, KafkaError> {
        let found = consumer.fetch_group_list(Some(&self.group), PATIENCE)?;
        let ours =
            found.groups().iter().find(|group| group.name() == self.group && group.state() == "Stable");
        let members = ours.map(|group| group.members()).unwrap_or_default();
        let members: Vec<(&str, BTreeSet<Place>)> = members
            .iter()
            .map(|member| (instance(member.id()), assigned(member.assignment().unwrap_or_default())))
            .collect();
        // Whose partitions wait until the group has given the old name up: the fewer the better.
        let least = members.iter().min_by_key(|(instance, places)| (places.len(), *instance));
        if least.is_none_or(|(instance, _)| *instance != self.instance) {
            return Ok(BTreeSet::new());
        }
        let is_nobodys = |place: &&Place| members.iter().all(|(_, places)| !places.contains(*place));
        Ok(self.places.iter().filter(is_nobodys).cloned().collect())
    }
}

struct Looking {
    watch: Watch,
    /// What was missing at the last look, and in how many before it.
    missing: BTreeSet<Place>,
    looks: u32,
}

impl Looking {
    /// Blocks. `None`: there is nothing more to do.
    fn look(mut self) -> Option<Looking> {
        let consumer = self.watch.consumer.upgrade()?;
        let group = &self.watch.group;
        let missing = self.watch.missing(&consumer).unwrap_or_else(|error| {
            tracing::debug!(%error, group, "the group can't be looked at");
            BTreeSet::new()
        });
        self.looks = if !missing.is_empty() && missing == self.missing { self.looks + 1 } else { 0 };
        self.missing = missing;
        if self.looks < LOOKS {
            return Some(self);
        }
        tracing::warn!(group, missing = ?self.missing, "the group has forgotten partitions; joining it anew");
        self.watch.renamed.again(group);
        consumer.context().send(Err(unavailable(Refused("the group has forgotten partitions".to_owned()))));
        None
    }
}

fn instance(member: &str) -> &str {
    member.get(..member.len().saturating_sub(SUFFIX)).unwrap_or_default()
}

/// What an assignment of the consumer protocol says: a version, then each topic with its partitions.
fn assigned(bytes: &[u8]) -> BTreeSet<Place> {
    let mut places = BTreeSet::new();
    let mut rest = bytes.get(2..).unwrap_or_default();
    let Some(topics) = take_int(&mut rest) else { return places };
    for _ in 0..topics {
        let Some(topic) = take_text(&mut rest) else { return places };
        let Some(count) = take_int(&mut rest) else { return places };
        for _ in 0..count {
            let Some(partition) = take_int(&mut rest) else { return places };
            places.insert((topic.clone(), partition));
        }
    }
    places
}

fn take_int(rest: &mut &[u8]) -> Option<u32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    u32::try_from(i32::from_be_bytes(*head)).ok()
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let (head, tail) = rest.split_first_chunk::<2>()?;
    let (text, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*head)))?;
    *rest = tail;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read() {
        let bytes = b"\0\x01\0\0\0\x02\0\x02ab\0\0\0\x02\0\0\0\x03\0\0\0\x05\0\x01c\0\0\0\x01\0\0\0\0\xff\xff\xff\xff";
        let place = |topic: &str, partition| (topic.to_owned(), partition);
        assert_eq!(assigned(bytes), BTreeSet::from([place("ab", 3), place("ab", 5), place("c", 0)]));
        for len in 0..bytes.len() {
            assert!(assigned(&bytes[..len]).len() <= 3, "what is cut off is left out");
        }
        assert_eq!(assigned(b""), BTreeSet::new());
    }

    #[test]
    fn a_members_name_is_told_from_its_id() {
        assert_eq!(instance("stream-2-820b5882-ef5d-40a7-8c5c-f091e9a77139"), "stream-2");
        assert_eq!(instance("x"), "");
    }

    #[test]
    fn names_change_by_group() {
        let renamed = Renamed::default();
        assert_eq!(renamed.name("a", "s"), "s");
        renamed.again("a");
        renamed.again("a");
        assert_eq!((renamed.name("a", "s"), renamed.name("b", "s")), ("s~2".to_owned(), "s".to_owned()));
    }
}
