//! How far the source was read, as it is noted at the target.

use super::target::{Note, Notes};
use records::{Offset, Topic, TopicPartition};
use std::collections::BTreeMap;

/// Before the name of a position's note.
const AT: &str = "at/";

/// The note of a position. `log` tells a log from one that took its place and counts from 0 again.
pub(super) fn note(log: &str, at: TopicPartition, next: Offset) -> Note {
    (format!("{AT}{log}/{at}"), Some(next.to_string()))
}

/// The positions among `notes` that are of this log.
pub fn positions(log: &str, notes: &Notes) -> BTreeMap<TopicPartition, Offset> {
    let read = |(name, says): (&String, &String)| {
        let place = name.strip_prefix(AT)?.strip_prefix(log)?.strip_prefix('/')?;
        let (topic, partition) = place.split_once('/')?;
        let topic = Topic::ALL.into_iter().find(|known| known.name() == topic)?;
        Some((TopicPartition { topic, partition: partition.parse().ok()? }, says.parse().ok()?))
    };
    notes.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_noted() {
        let at = TopicPartition { topic: Topic::Alerts, partition: 7 };
        let (name, says) = note("1800", at, 1 << 40);
        let notes = Notes::from([(name, says.expect("a position says something"))]);
        assert_eq!(positions("1800", &notes), BTreeMap::from([(at, 1 << 40)]));
        assert_eq!(positions("180", &notes), BTreeMap::new(), "another log");
    }
}
