//! What the live topics say of the same time.

use std::collections::VecDeque;
use std::ops::Range;

use kafka::Start;
use records::{Alert, Batch, Kind, Record, Rules, Timestamp, Topic, TopicPartition};
use stream::PastActions;

use super::feed::Rows;
use super::kept;
use super::lane::{Lane, Source};

/// Transitions of alerts of which we knew in the range.
///
/// # Errors
/// The log can't be read, in words.
pub async fn alerts(
    source: &Source,
    partitions: u32,
    range: &Range<Timestamp>,
) -> Result<Vec<Alert>, String> {
    let mut alerts = Vec::new();
    for partition in 0..partitions {
        let at = TopicPartition { topic: Topic::Alerts, partition };
        let mut lane = Lane::open(source.clone(), at, Start::Earliest);
        while lane.peek().await?.is_some() {
            let Some(fetched) = lane.take() else { break };
            alerts.extend(fetched.batch.entries().filter_map(|entry| kept::alert(at, entry, range)));
        }
    }
    Ok(alerts)
}

/// The first and the last change of rules. Every partition has them.
///
/// # Errors
/// The log can't be read, in words.
pub async fn changes(source: &Source, start: Start) -> Result<Option<(Rules, Rules)>, String> {
    let at = TopicPartition { topic: Topic::Telemetry, partition: 0 };
    let mut lane = Lane::open(source.clone(), at, start);
    let mut found: Option<(Rules, Rules)> = None;
    while lane.peek().await?.is_some() {
        let Some(fetched) = lane.take() else { break };
        for entry in fetched.batch.entries().filter(|entry| Kind::of(entry.value) == Some(Kind::Rules)) {
            let Ok(Record::Rules(rules)) = Record::decode(entry.value) else { continue };
            let first = found.take().map_or_else(|| rules.clone(), |(first, _)| first);
            found = Some((first, rules));
        }
    }
    Ok(found)
}

/// What operators did about alerts of areas, with the time at which it took effect.
///
/// # Errors
/// The log can't be read, in words.
pub async fn actions(
    source: &Source,
    partitions: Range<u32>,
    start: Start,
) -> Result<VecDeque<Rows>, String> {
    let mut actions = VecDeque::new();
    for partition in partitions {
        let at = TopicPartition { topic: Topic::Aggregates, partition };
        let mut lane = Lane::open(source.clone(), at, start);
        let (mut past, mut found) = (PastActions::default(), Batch::new());
        while lane.peek().await?.is_some() {
            let Some(fetched) = lane.take() else { break };
            let concerned =
                |entry: &records::Entry<'_>| matches!(Kind::of(entry.value), Some(Kind::Tick | Kind::Action));
            for entry in fetched.batch.entries().filter(concerned) {
                let Ok(record) = Record::decode(entry.value) else { continue };
                if let Some(action) = past.see(record) {
                    found.push_with(entry.key, |to| action.encode(to));
                }
            }
        }
        if !found.is_empty() {
            actions.push_back((partition, found));
        }
    }
    Ok(actions)
}
