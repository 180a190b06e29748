//! What came out of a run, read straight from the log, and without what the wall clock decides.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use embedded::{Log, Metrics, Options};
use prometheus::Registry;
use records::{Consumer, Name, Record, Subject, Topic, Window};

/// Everything that must be equal between two runs on the same telemetry.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// How often each (device, sequence) is in `observations`.
    pub observations: BTreeMap<(Name, u64), u32>,
    /// The newest revision of every closed window; floats by their bits.
    pub aggregates: BTreeMap<(Subject, String, Window), Row>,
    /// Every transition of every alert, without the ingest time as of which it was known.
    pub alerts: BTreeMap<(Name, u32), String>,
    /// Tags at readers.
    pub sightings: Vec<String>,
}

/// An aggregate without revision, `as_of` and `is_backfill`: these tell of arrival, not of the device.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    count: u32,
    good: u32,
    bits: [u64; 4],
}

impl Outcome {
    /// Where it is read.
    pub const TOPICS: &[Topic] = &[Topic::Observations, Topic::Aggregates, Topic::Alerts];

    /// Reads until nothing has come for 3 s; the first record may take `patience`.
    pub async fn of(mut consumer: impl Consumer, mut patience: Duration) -> Outcome {
        let (mut outcome, mut revisions) = (Outcome::default(), BTreeMap::new());
        while let Ok(fetched) = tokio::time::timeout(patience, consumer.poll()).await {
            let fetched = fetched.expect("the log reads").expect("the log is open");
            for (_, _, value) in fetched.records() {
                note(&mut outcome, &mut revisions, Record::decode(value).expect("every record decodes"));
            }
            patience = Duration::from_secs(3);
        }
        outcome.sightings.sort();
        outcome
    }

    /// Reads the log of a data folder that no process uses.
    pub fn read(data: &Path, partitions: u32) -> Outcome {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(read(data, partitions))
    }
}

async fn read(data: &Path, partitions: u32) -> Outcome {
    let mut options = Options::default();
    for topic in [Topic::Telemetry, Topic::Observations, Topic::Aggregates] {
        options[topic].partitions = partitions;
    }
    let metrics = Metrics::register(&Registry::new()).expect("an empty registry takes all");
    let log = Log::open(&data.join("log"), options, deploy::clock::shared(), metrics).expect("the log opens");
    let outcome = Outcome::of(log.consumer("judge", Outcome::TOPICS), Duration::from_secs(2)).await;
    log.close().await;
    outcome
}

type Revisions = BTreeMap<(Subject, String, Window), u32>;

fn note(outcome: &mut Outcome, revisions: &mut Revisions, record: Record) {
    match record {
        Record::Observation(observation) => {
            let sequence = observation.sequence.expect("these devices count");
            *outcome.observations.entry((observation.device, sequence)).or_default() += 1;
        }
        Record::Aggregate(row) => {
            let key = (row.subject, row.quantity.name().to_owned(), row.window);
            let newest = revisions.entry(key.clone()).or_default();
            if row.revision >= *newest {
                *newest = row.revision;
                let bits = [row.sum, row.mean, row.min, row.max].map(f64::to_bits);
                outcome.aggregates.insert(key, Row { count: row.count, good: row.good, bits });
            }
        }
        Record::Alert(mut alert) => {
            alert.as_of = records::Timestamp(0);
            alert.is_backfill = true;
            let text = serde_json::to_string(&alert).expect("an alert is JSON");
            let before = outcome.alerts.insert((alert.id.clone(), alert.transition), text);
            assert_eq!(before, None, "{} transition {} is on the log twice", alert.id, alert.transition);
        }
        Record::Sighting(sighting) => {
            let times = (sighting.first_seen, sighting.last_seen, sighting.count);
            outcome.sightings.push(format!("{} {} {times:?}", sighting.device, sighting.epc));
        }
        _ => {}
    }
}
