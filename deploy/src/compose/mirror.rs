//! The mirror: this deployment's log → another deployment's Kafka.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use gateway::mirror::{self, MirrorError, Note, Target};
use kafka::{ConnectError, Importer};
use records::{Batch, LogError, Offset, Topic, TopicPartition};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Site, registered};
use crate::clock;
use crate::cluster::{self, Cluster};
use crate::command::Failure;
use crate::config::MirrorConfig;
use crate::engine::{Engine, EngineConsumer};
use crate::fences::Fences;
use crate::supervise::Chain;

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

type Ended = Box<dyn Error + Send + Sync>;

/// Starts it, when the configuration asks for one.
///
/// # Errors
/// The password's file of the target can't be read.
pub(super) fn start(site: &mut Site<'_>, log: &Engine, cluster: Option<Cluster>) -> Result<(), Failure> {
    let Some(config) = site.config.mirror.clone() else { return Ok(()) };
    let target = cluster::options(site.config, &config.kafka)?;
    let metrics = registered(mirror::Metrics::register(&site.metrics))?;
    let mirror = Mirror { config, log: log.clone(), cluster, target, metrics };
    site.supervisor.spawn("mirror", |stop| async move { mirror.run(stop).await });
    Ok(())
}

struct Mirror {
    config: MirrorConfig,
    log: Engine,
    /// Of the log, when it is on Kafka.
    cluster: Option<Cluster>,
    target: kafka::Options,
    metrics: mirror::Metrics,
}

impl Mirror {
    /// Begins again whenever source or target can't be used: what the target has noted says where.
    async fn run(self, stop: CancellationToken) -> Result<(), Ended> {
        let mut fences = Fences::default();
        loop {
            let again: Ended = match self.turn(&stop).await {
                Ok(()) => return Ok(()),
                Err(error) if self.is_passing(&error, &mut fences) => error.into(),
                Err(error) => return Err(error.into()),
            };
            self.metrics.went_down();
            warn!("{}; nothing is lost, trying again every second", Chain(again.as_ref()));
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    fn is_passing(&self, error: &Broken, fences: &mut Fences) -> bool {
        match error {
            Broken::Meet(ConnectError::Unavailable { .. }) => true,
            Broken::Meet(_) | Broken::OtherLog { .. } => false,
            Broken::Mirror(MirrorError::Source(error) | MirrorError::Target(error)) => match error {
                LogError::Unavailable(_) => true,
                LogError::Fenced => fences.may_join_again(Instant::now()),
                LogError::Damaged { .. } | LogError::Refused(_) => false,
            },
        }
    }

    /// From meeting both sides to the first trouble.
    async fn turn(&self, stop: &CancellationToken) -> Result<(), Broken> {
        let MirrorConfig { city, to, topics, .. } = &self.config;
        let group = |topic: &Topic| format!("mirror.{to}.{topic}");
        // The target may be away for long before the first record can be read.
        for topic in topics {
            let known = self.log.introduce(&group(topic), &[*topic]).await;
            known.map_err(|error| Broken::Mirror(MirrorError::Source(error)))?;
        }
        let meeting = async {
            if let Some(cluster) = &self.cluster {
                // So that this deployment is known by one name, whoever mirrors from it or to it.
                Importer::begin(cluster.options(), city, city, &[]).await?;
            }
            Importer::begin(self.target.clone(), city, to, topics).await
        };
        let (importer, notes) = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            met = meeting => met.map_err(Broken::Meet)?,
        };
        let log = self.log.identity();
        let from = mirror::positions(&log, &notes);
        self.check(&from).await?;
        info!(city, to, "mirroring");
        self.metrics.came_back();
        let reader = |topic| self.log.consumer_from(&group(topic), &[*topic], from.clone());
        let readers: Vec<EngineConsumer> = topics.iter().map(reader).collect();
        let source = mirror::Source { city: city.clone(), log, to: to.clone(), readers };
        let (target, choice) = (At(importer), self.config.choice.clone());
        let (options, metrics) = (self.options(), self.metrics.clone());
        let ended =
            mirror::run(source, target, &notes, choice, clock::shared(), options, metrics, stop.clone());
        ended.await.map_err(Broken::Mirror)
    }

    fn options(&self) -> mirror::Options {
        mirror::Options {
            uplink_bits_per_second: self.config.uplink_bits_per_second,
            commit_interval: self.config.commit_interval,
            ..Default::default()
        }
    }

    /// A log that ends before what the target knows of it would have its next records taken for known ones.
    async fn check(&self, from: &BTreeMap<TopicPartition, Offset>) -> Result<(), Broken> {
        let ends = self.log.ends().await.map_err(Broken::Meet)?;
        match from.iter().find(|(at, next)| ends.get(at).is_none_or(|end| *next > end)) {
            None => Ok(()),
            Some((at, next)) => Err(Broken::OtherLog { at: *at, next: *next, to: self.config.to.clone() }),
        }
    }
}

/// Why a turn ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("mirroring can't begin")]
    Meet(#[source] ConnectError),
    #[error(
        "{to} knows {at} of this deployment up to offset {next}, and the log ends before: it is another log, or an \
         older one. Put the log back, or mirror under another `city`"
    )]
    OtherLog { at: TopicPartition, next: Offset, to: String },
    #[error("mirroring has ended")]
    Mirror(#[source] MirrorError),
}

/// The target, in the mirror's words.
struct At(Importer);

impl Target for At {
    fn partitions(&self, topic: Topic) -> u32 {
        self.0.partitions(topic)
    }

    async fn commit(
        &mut self,
        copies: Vec<(TopicPartition, Batch)>,
        notes: Vec<Note>,
    ) -> Result<(), LogError> {
        self.0.commit(copies, notes).await
    }
}
