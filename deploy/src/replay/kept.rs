//! What a replay keeps of its outputs: the alerts, for the difference, and everything, where it is wanted.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use records::{
    Alert, AppendError, Batch, Entry, LogError, Producer, Record, Timestamp, Topic, TopicPartition,
};

/// Clones keep together.
#[derive(Clone)]
pub struct Kept {
    /// Of this ingest time.
    range: Range<Timestamp>,
    alerts: Arc<Mutex<Vec<Alert>>>,
    into: Option<embedded::Log>,
}

impl Kept {
    /// Nothing yet. `into`: where everything goes.
    pub fn new(range: Range<Timestamp>, into: Option<embedded::Log>) -> Kept {
        Kept { range, alerts: Arc::default(), into }
    }

    /// Keeps what is of the range.
    ///
    /// # Errors
    /// It can't be written.
    pub async fn keep(&self, outputs: &[(TopicPartition, Batch)]) -> Result<(), LogError> {
        for (at, batch) in outputs.iter().filter(|(at, _)| at.topic == Topic::Alerts) {
            let alerts = batch.entries().filter_map(|entry| alert(*at, entry, &self.range));
            self.alerts.lock().unwrap_or_else(PoisonError::into_inner).extend(alerts);
        }
        let Some(into) = &self.into else { return Ok(()) };
        let of_range = |(at, batch): &(TopicPartition, Batch)| (*at, of_range(batch, &self.range));
        let kept: Vec<_> = outputs.iter().map(of_range).filter(|(_, batch)| !batch.is_empty()).collect();
        let appended = into.append(kept).await;
        appended.map(drop).map_err(|error: AppendError| LogError::Unavailable(error.into()))
    }

    /// The alerts' transitions of the range.
    pub fn alerts(&self) -> Vec<Alert> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The transition that a record of `alerts` is, when we knew of it in the range.
pub fn alert(at: TopicPartition, entry: Entry<'_>, range: &Range<Timestamp>) -> Option<Alert> {
    match Record::decode(entry.value) {
        Ok(Record::Alert(alert)) => range.contains(&alert.as_of).then_some(*alert),
        Ok(_) => None,
        Err(error) => {
            tracing::error!(%error, %at, "a record can't be read and is left aside");
            None
        }
    }
}

fn of_range(batch: &Batch, range: &Range<Timestamp>) -> Batch {
    let mut kept = Batch::new();
    for entry in batch.entries() {
        if Record::decode(entry.value).is_ok_and(|record| range.contains(&time_of(&record))) {
            kept.push_entry(entry);
        }
    }
    kept
}

/// Ingest time of an output: when it came, or as of when it is known.
pub fn time_of(record: &Record) -> Timestamp {
    match record {
        Record::Observation(message) => message.ingest_time,
        Record::Device(device) => device.updated_at,
        Record::Tick(tick) => tick.at,
        Record::Action(action) => action.at,
        Record::Aggregate(row) => row.as_of,
        Record::Sighting(row) => row.as_of,
        Record::Alert(alert) => alert.as_of,
        Record::Quarantined(message) => message.ingest_time,
        Record::Account(account) => account.hour,
        Record::Share(share) => share.as_of,
        Record::Rules(rules) => rules.at,
    }
}
