//! The alerts that are active, and the topic name under which each is retained.

use super::topic::{is_cleared, of_alert};
use records::{Alert, Name, Offset, TopicPartition};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Active {
    by_id: FxHashMap<Name, Shown>,
    /// What is to be retained in the end, of what nobody was there to be told of; empty: nothing.
    pub history: BTreeMap<String, Vec<u8>>,
}

/// How an alert stands.
#[derive(Debug)]
struct Shown {
    topic: String,
    transition: u32,
    at: (TopicPartition, Offset),
}

/// Something to publish.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub topic: String,
    pub payload: Vec<u8>,
    pub is_retained: bool,
}

impl Active {
    /// Takes a transition, and says what is to be published for it. One that stands on the log twice, or behind a
    /// later one, says nothing.
    pub(super) fn take(&mut self, alert: &Alert, at: (TopicPartition, Offset)) -> Vec<Words> {
        let is_known = |older: &Shown| older.transition >= alert.transition;
        if self.by_id.get(&alert.id).is_some_and(is_known) {
            return Vec::new();
        }
        let payload = serde_json::to_vec(alert).expect("an alert is JSON on the log too");
        let (topic, is_over) = (of_alert(alert), is_cleared(alert));
        let mut words = vec![Words { topic: topic.clone(), payload, is_retained: !is_over }];
        let older = self.by_id.remove(&alert.id);
        // Another severity is another name, under which nothing may stay.
        if let Some(left) = older.filter(|older| is_over || older.topic != topic) {
            words.push(Words { topic: left.topic, payload: Vec::new(), is_retained: true });
        }
        if !is_over {
            self.by_id.insert(alert.id.clone(), Shown { topic, transition: alert.transition, at });
        }
        words
    }

    /// The position of the oldest transition there by which something is still active.
    pub(super) fn oldest(&self, partition: TopicPartition) -> Option<Offset> {
        let there = self.by_id.values().filter(|shown| shown.at.0 == partition);
        there.map(|shown| shown.at.1).min()
    }
}
