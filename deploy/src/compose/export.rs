//! What is stored → files, when their time has come and all of it is stored.

use std::collections::BTreeMap;
use std::time::Duration;

use records::{Offset, TopicPartition};
use sinks::export::Export;
use sinks::{Kind, Notice, Notices, SeriesSink};
use store::Store;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Site;
use crate::clock;
use crate::engine::Engine;

/// Between two looks at what is due.
const LOOK: Duration = Duration::from_secs(5);

const SOURCE: &str = "export";

/// Starts it, if there is anything to export.
pub(super) fn start(site: &mut Site<'_>, log: &Engine, store: &Store, notices: &Notices) {
    let Site { config, supervisor, .. } = site;
    if config.exports.is_empty() {
        return;
    }
    let exports = config.exports.iter().map(|options| Export::new(options.clone(), store.clone())).collect();
    // What was read has been sealed after this, unless the sink does not get on.
    let patience = config.store.seal_age * 2 + LOOK * 4;
    let notices = notices.clone();
    let exporter =
        Exporter { exports, log: log.clone(), store: store.clone(), notices, patience, waits_for: None };
    supervisor.spawn("export", |stop| async move {
        exporter.run(stop).await;
        Ok(())
    });
}

struct Exporter {
    exports: Vec<Export>,
    log: Engine,
    store: Store,
    notices: Notices,
    patience: Duration,
    waits_for: Option<Mark>,
}

/// Where the log ended when something was due, and how far the store has come since.
struct Mark {
    ends: BTreeMap<TopicPartition, Offset>,
    stored: BTreeMap<TopicPartition, Offset>,
    moved: Instant,
}

impl Exporter {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            match self.look().await {
                Ok(()) => drop(self.notices.withdraw(SOURCE)),
                Err(error) => self.tell(error.as_ref()),
            }
        }
    }

    async fn look(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let now = clock::now();
        let mut is_due = false;
        for export in &self.exports {
            is_due |= export.is_due(now)?;
        }
        if !is_due {
            return Ok(());
        }
        if self.waits_for.is_none() {
            let stored = self.store.offsets().into_iter().collect();
            self.waits_for = Some(Mark { ends: self.log.ends().await?, stored, moved: Instant::now() });
        }
        if !self.has_all() {
            return Ok(());
        }
        self.waits_for = None;
        let exports = std::mem::take(&mut self.exports);
        let (exports, result) = tokio::task::spawn_blocking(move || {
            let result = exports.iter().try_for_each(|export| {
                while let Some(exported) = export.run(now)? {
                    let (file, rows) = (exported.file.display(), exported.rows);
                    tracing::info!(export = export.name(), %file, rows, "exported");
                }
                Ok(())
            });
            (exports, result)
        })
        .await?;
        self.exports = exports;
        result
    }

    /// Whether the store holds all that the log held when something was due. On Kafka the end of a partition may be
    /// the mark of a transaction, which nobody reads: a store that has not moved for long has read everything, or
    /// does not get on, which other notices say.
    fn has_all(&mut self) -> bool {
        let Some(mark) = &mut self.waits_for else { return true };
        let stored: BTreeMap<_, _> = self.store.offsets().into_iter().collect();
        if stored != mark.stored {
            (mark.stored, mark.moved) = (stored, Instant::now());
        }
        let series = mark.ends.iter().filter(|(partition, _)| SeriesSink::TOPICS.contains(&partition.topic));
        let is_stored = |(partition, end): (&TopicPartition, &Offset)| {
            mark.stored.get(partition).copied().unwrap_or(0) >= *end
        };
        series.into_iter().all(is_stored) || (self.log.is_shared() && mark.moved.elapsed() > self.patience)
    }

    fn tell(&self, error: &(dyn std::error::Error + 'static)) {
        let text = format!("waits, and is tried again: {error}");
        let notice = Notice { source: SOURCE, kind: Kind::Waiting, since: Some(clock::now()), text };
        if self.notices.tell(notice) {
            tracing::warn!(error, "an export could not be written; it is tried again");
        }
    }
}
