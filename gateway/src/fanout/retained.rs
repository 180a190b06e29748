//! What is retained: for each topic name the last message that was to be (MQTT, 3.3.1.3).

use super::Publication;
use super::mailbox::Budget;
use crate::normalize::mapping::Filter;
use records::Timestamp;
use std::collections::BTreeMap;
use std::ops::Bound;

#[derive(Debug)]
pub(super) struct Retained {
    by_topic: BTreeMap<Box<str>, Publication>,
    bytes: usize,
    budget: Budget,
}

/// What a message did to what is retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Kept,
    Removed,
    /// There is no room for it; what was there before is gone.
    Refused,
}

impl Retained {
    pub(super) fn new(budget: Budget) -> Retained {
        Retained { by_topic: BTreeMap::new(), bytes: 0, budget }
    }

    /// An empty payload removes.
    pub(super) fn put(&mut self, publication: &Publication) -> Change {
        if let Some(older) = self.by_topic.remove(publication.topic()) {
            self.bytes -= older.len();
        }
        if publication.payload().is_empty() {
            return Change::Removed;
        }
        if !self.budget.has_room(self.by_topic.len(), self.bytes, publication.len()) {
            return Change::Refused;
        }
        self.bytes += publication.len();
        self.by_topic.insert(publication.topic().into(), publication.clone());
        Change::Kept
    }

    /// What is retained under one topic name.
    pub(super) fn payload(&self, topic: &str) -> Option<&[u8]> {
        self.by_topic.get(topic).map(Publication::payload)
    }

    /// Those that match and are still worth something at `now`.
    pub(super) fn matching<'a>(
        &'a self,
        filter: &'a Filter,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Publication> {
        let is_exact = !filter.as_str().contains(['+', '#']);
        let one = self.by_topic.get(filter.as_str()).filter(|_| is_exact);
        let front = filter.as_str().find(['+', '#']).map_or("", |end| &filter.as_str()[..end]);
        // `a/#` matches `a`, which stands before `a/`.
        let front = front.strip_suffix('/').unwrap_or(front);
        let from = self
            .by_topic
            .range::<str, _>((Bound::Included(front), Bound::Unbounded))
            .filter(move |_| !is_exact);
        let many = from
            .take_while(move |(topic, _)| topic.starts_with(front))
            .filter(|(topic, _)| filter.wildcards(topic).is_some())
            .map(|(_, publication)| publication);
        one.into_iter().chain(many).filter(move |it| it.seconds_left(now) != Some(0))
    }

    /// Takes out what is worth nothing any more at `now`.
    pub(super) fn purge(&mut self, now: Timestamp) -> Vec<Publication> {
        let is_expired = |it: &&Publication| it.seconds_left(now) == Some(0);
        let expired: Vec<Publication> = self.by_topic.values().filter(is_expired).cloned().collect();
        self.by_topic.retain(|_, it| it.seconds_left(now) != Some(0));
        self.bytes -= expired.iter().map(Publication::len).sum::<usize>();
        expired
    }

    pub(super) fn len(&self) -> usize {
        self.by_topic.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NOBODY, Said};
    use super::*;
    use crate::packet::QoS;

    fn said<'a>(topic: &'a str, payload: &'a [u8], properties: &'a [u8]) -> Publication {
        let qos = QoS::AtMostOnce;
        let said = Said { topic, payload, properties, qos, is_retained: true, origin: NOBODY };
        Publication::new(&said, 0, Timestamp(0))
    }

    fn matching(retained: &Retained, filter: &str, now: i64) -> Vec<String> {
        let filter = Filter::parse(filter).unwrap();
        retained.matching(&filter, Timestamp(now)).map(|it| it.topic().to_owned()).collect()
    }

    #[test]
    fn the_last_of_each_topic_is_there_until_it_expires() {
        let mut retained = Retained::new(Budget { messages: 9, bytes: 999 });
        for topic in ["a", "a-b", "a/b", "a/c/d", "b"] {
            assert_eq!(retained.put(&said(topic, b"1", &[])), Change::Kept);
        }
        retained.put(&said("a/b", b"2", &[0x02, 0, 0, 0, 9]));
        assert_eq!(matching(&retained, "a/#", 0), ["a", "a/b", "a/c/d"]);
        assert_eq!(matching(&retained, "a/#", 9000), ["a", "a/c/d"]);
        assert_eq!(matching(&retained, "a/b", 0), ["a/b"]);
        assert_eq!(matching(&retained, "+", 0), ["a", "a-b", "b"]);
        assert_eq!(matching(&retained, "#", 0).len(), 5);
        let purged = retained.purge(Timestamp(9000));
        assert_eq!(purged.iter().map(Publication::topic).collect::<Vec<_>>(), ["a/b"]);
        assert_eq!(retained.put(&said("b", b"", &[])), Change::Removed);
        assert_eq!(retained.len(), 3);
        for topic in ["a", "a-b", "a/c/d"] {
            assert_eq!(retained.put(&said(topic, b"", &[])), Change::Removed);
        }
        assert_eq!((retained.len(), retained.bytes()), (0, 0));
    }

    #[test]
    fn the_budget_holds() {
        let mut retained = Retained::new(Budget { messages: 2, bytes: 76 });
        assert_eq!(retained.put(&said("a", b"1", &[])), Change::Kept);
        assert_eq!(retained.put(&said("b", b"1234567890123", &[])), Change::Refused);
        assert_eq!(retained.put(&said("b", b"1", &[])), Change::Kept);
        assert_eq!(retained.put(&said("c", b"1", &[])), Change::Refused);
        assert_eq!(retained.put(&said("b", b"2", &[])), Change::Kept);
    }
}
