//! Where the gateway's sessions outlive the process: as notes in the log that it appends to, or in a file of their own.

use gateway::{Promise, SessionStore};
use prometheus::Registry as MetricsRegistry;
use records::{AppendError, Batch, LogError, Note, Noted, Producer, Timestamp, Topic, TopicPartition};

use super::registered;
use crate::clock;
use crate::command::Failure;
use crate::engine::Engine;
use crate::folder::Folder;

/// The store of one gateway.
pub(super) struct Sessions {
    /// What the gateway appends to.
    log: Engine,
    /// That log, when it is on this machine; without a spool in front of Kafka, one in which nothing but notes stands.
    notes: embedded::Log,
}

/// Opens the store that belongs to `log`.
///
/// # Errors
/// It is a file of its own, which can't be opened.
pub(super) fn open(log: &Engine, folder: &Folder, metrics: &MetricsRegistry) -> Result<Sessions, Failure> {
    let notes = match log {
        Engine::Embedded(log) => log.clone(),
        Engine::Kafka(..) => {
            let mut options = embedded::Options::default();
            Topic::ALL.iter().for_each(|topic| options[*topic].partitions = 1);
            let metrics = registered(embedded::Metrics::register(metrics))?;
            embedded::Log::open(&folder.sessions(), options, clock::shared(), metrics)
                .map_err(|error| Failure::because("sessions", &error))?
        }
    };
    Ok(Sessions { log: log.clone(), notes })
}

impl Sessions {
    /// The file, when it is one that has to be closed beside the log.
    pub(super) fn own_file(&self) -> Option<Engine> {
        matches!(self.log, Engine::Kafka(..)).then(|| Engine::Embedded(self.notes.clone()))
    }
}

impl SessionStore for Sessions {
    /// On one machine in one transaction. On Kafka one after the other: a crash between the two leaves records without
    /// their notes.
    fn append(
        &self,
        batches: Vec<(TopicPartition, Batch)>,
        notes: Vec<Note>,
    ) -> Promise<Result<(), AppendError>> {
        let (log, store) = (self.log.clone(), self.notes.clone());
        Box::pin(async move {
            match log {
                Engine::Embedded(log) => log.append_noted(batches, notes).await,
                Engine::Kafka(..) => {
                    if !batches.is_empty() {
                        log.append(batches).await?;
                    }
                    store.append_noted(Vec::new(), notes).await
                }
            }
        })
    }

    fn notes(&self, prefix: &[u8]) -> Promise<Result<Noted, LogError>> {
        let (store, prefix) = (self.notes.clone(), prefix.to_owned());
        Box::pin(async move { store.notes(&prefix).await })
    }

    fn made(&self) -> Timestamp {
        self.notes.made()
    }

    fn place(&self) -> String {
        self.notes.path().display().to_string()
    }
}
