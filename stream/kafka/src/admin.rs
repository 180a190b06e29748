//! The topics on the cluster: made as planned, looked at, and held against the plan.
//!
//! ```no_run
//! # async fn example() -> Result<(), kafka::ConnectError> {
//! let admin = kafka::admin::Admin::connect(&kafka::Options::new("broker:9092", "admin"))?;
//! for name in admin.create().await? {
//!     println!("made {name}");
//! }
//! for violation in admin.check().await? {
//!     eprintln!("{violation}");
//! }
//! # Ok(()) }
//! ```

mod state;
mod token;
mod violation;

pub use state::TopicState;
pub use violation::Violation;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use records::{Offset, Topic, TopicPartition};

use crate::context::Asking;
use crate::names::Names;
use crate::settings::LARGEST_BYTES;
use crate::{Cleanup, ConnectError, Options, TopicPlan, TopicPlans, refusal, settings};

/// How long a broker has for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a new topic may take to be known everywhere.
const SETTLING: Duration = Duration::from_secs(30);

/// Speaks with the cluster about one deployment's topics.
pub struct Admin {
    client: Arc<AdminClient<Asking>>,
    options: Options,
    names: Names,
    plans: TopicPlans,
}

impl Admin {
    /// Speaks for the topics that `options` plan. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ConnectError::Settings`]; [`ConnectError::Refused`] when there is no token where one is needed.
    pub fn connect(options: &Options) -> Result<Admin, ConnectError> {
        let context = Asking { tokens: options.security.tokens.clone() };
        let client = AdminClient::from_config_and_context(&settings::client(options), context)
            .map_err(ConnectError::Settings)?;
        if options.is_by_token() {
            token::give(&client, options.security.tokens.as_ref()).map_err(|why| ConnectError::Refused {
                brokers: options.brokers.clone(),
                why: why.to_string(),
                settings: "sasl.mechanism and the token",
            })?;
        }
        let (options, names) = (options.clone(), Names::new(&options.prefix));
        Ok(Admin { client: Arc::new(client), plans: options.topics, options, names })
    }

    /// Makes the topics that are not there, as planned, and waits until every broker asked knows them. Tells the names
    /// of those that it made. What is there stays as it is: [`Admin::check`] says what is wrong with it.
    ///
    /// # Errors
    /// [`ConnectError::Unavailable`]; some topics may have been made, and creating again is right.
    pub async fn create(&self) -> Result<Vec<String>, ConnectError> {
        let there = self.describe().await?;
        let missing: Vec<_> =
            self.planned().filter(|(name, _)| !there.iter().any(|at| at.name == *name)).collect();
        let configs: Vec<_> = missing.iter().map(|(_, plan)| config(plan)).collect();
        let planned = missing.iter().zip(&configs);
        let topics: Vec<_> = planned.map(|((name, plan), config)| new_topic(name, plan, config)).collect();
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
        let results = self.client.create_topics(topics.iter(), &options).await;
        let mut made = Vec::new();
        for result in results.map_err(|source| self.unavailable(source))? {
            match result {
                Ok(name) => made.push(name),
                // Somebody else was faster.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(self.unavailable(KafkaError::AdminOp(code))),
            }
        }
        self.settled().await?;
        Ok(made)
    }

    /// The planned topics that are there, as they are.
    ///
    /// # Errors
    /// [`ConnectError::Unavailable`].
    pub async fn describe(&self) -> Result<Vec<TopicState>, ConnectError> {
        let metadata = self.metadata().await?;
        let planned: Vec<_> = self.planned().map(|(name, _)| name).collect();
        let is_there = |name: &&str| {
            let mut topics = metadata.topics().iter();
            topics.any(|topic| {
                topic.name() == *name && topic.error().is_none() && !topic.partitions().is_empty()
            })
        };
        let there: Vec<_> = planned.into_iter().filter(is_there).collect();
        if there.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<_> = there.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let configs = self.client.describe_configs(asked.iter(), &options).await;
        let configs = configs.map_err(|source| self.unavailable(source))?;
        let mut states = Vec::new();
        for resource in configs {
            let resource = resource.map_err(|code| self.unavailable(KafkaError::AdminOp(code)))?;
            states.extend(state(&metadata, &resource));
        }
        Ok(states)
    }

    /// Every promise of the plan that a topic does not keep; none: all is well.
    ///
    /// # Errors
    /// [`ConnectError::Unavailable`].
    pub async fn check(&self) -> Result<Vec<Violation>, ConnectError> {
        let states = self.describe().await?;
        Ok(self.planned().flat_map(|(name, plan)| violation::of(name, &plan, &states)).collect())
    }

    /// How many partitions each of `topics` has, when they and the topic `mirrors` are fit for a mirror's copies: how
    /// many, and how long records stay, is for their owner to say.
    ///
    /// # Errors
    /// [`ConnectError::Topics`]; [`ConnectError::Unavailable`].
    pub(crate) async fn check_target(&self, topics: &[Topic]) -> Result<BTreeMap<Topic, u32>, ConnectError> {
        let states = self.describe().await?;
        let found = |name: &str| states.iter().find(|state| state.name == name).map_or(0, |at| at.partitions);
        let any_age = Cleanup::Delete { age: Some(Duration::ZERO), bytes: Some(0) };
        let wanted = topics.iter().map(|topic| {
            let name = self.names.of(*topic);
            (name, TopicPlan { partitions: found(name), cleanup: any_age, ..self.plans[*topic] })
        });
        let wanted = wanted.chain([(self.names.mirrors(), self.plans.mirrors)]);
        let violations: Vec<_> =
            wanted.flat_map(|(name, plan)| violation::of(name, &plan, &states)).collect();
        if !violations.is_empty() {
            return Err(ConnectError::Topics(violations));
        }
        Ok(topics.iter().map(|topic| (*topic, found(self.names.of(*topic)))).collect())
    }

    /// The offset behind the newest record of every partition of the log's topics, which must be there.
    ///
    /// # Errors
    /// [`ConnectError::Unavailable`].
    pub async fn ends(&self) -> Result<BTreeMap<TopicPartition, Offset>, ConnectError> {
        let (client, plans) = (Arc::clone(&self.client), self.plans);
        let topics = Topic::ALL.map(|topic| (topic, self.names.of(topic).to_owned()));
        let ask = move || {
            let mut ends = BTreeMap::new();
            for (topic, name) in &topics {
                for partition in 0..plans[*topic].partitions {
                    let marks = client.inner().fetch_watermarks(name, partition.cast_signed(), PATIENCE)?;
                    let place = TopicPartition { topic: *topic, partition };
                    ends.insert(place, marks.1.try_into().unwrap_or(0));
                }
            }
            Ok(ends)
        };
        let asked = tokio::task::spawn_blocking(ask).await.expect("asking for offsets does not panic");
        asked.map_err(|source| self.unavailable(source))
    }

    fn planned(&self) -> impl Iterator<Item = (&str, TopicPlan)> {
        let topics = Topic::ALL.into_iter().map(|topic| (self.names.of(topic), self.plans[topic]));
        let ours =
            [(self.names.snapshots(), self.plans.snapshots), (self.names.mirrors(), self.plans.mirrors)];
        topics.chain(ours)
    }

    /// Waits until what was made has leaders.
    async fn settled(&self) -> Result<(), ConnectError> {
        let settle = async {
            loop {
                let metadata = self.metadata().await?;
                let has_leaders = |name: &str| {
                    let topic = metadata.topics().iter().find(|topic| topic.name() == name);
                    topic.is_some_and(|topic| {
                        !topic.partitions().is_empty() && topic.partitions().iter().all(|at| at.leader() >= 0)
                    })
                };
                if self.planned().all(|(name, _)| has_leaders(name)) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let late = |_| Err(self.unavailable(KafkaError::AdminOp(RDKafkaErrorCode::LeaderNotAvailable)));
        tokio::time::timeout(SETTLING, settle).await.unwrap_or_else(late)
    }

    async fn metadata(&self) -> Result<Metadata, ConnectError> {
        let client = Arc::clone(&self.client);
        let fetch = move || client.inner().fetch_metadata(None, PATIENCE);
        let fetched = tokio::task::spawn_blocking(fetch).await.expect("asking for metadata does not panic");
        match fetched {
            Ok(metadata) => Ok(metadata),
            Err(source) => Err(self.refusal().await.unwrap_or_else(|| self.unavailable(source))),
        }
    }

    /// Whether no answer came because we are not let in.
    async fn refusal(&self) -> Option<ConnectError> {
        let options = self.options.clone();
        let found = tokio::task::spawn_blocking(move || refusal::find(&options)).await;
        found.expect("asking why does not panic")
    }

    fn unavailable(&self, source: KafkaError) -> ConnectError {
        ConnectError::Unavailable { brokers: self.options.brokers.clone(), source }
    }
}

/// A topic's settings in Kafka's words.
type Config = BTreeMap<&'static str, String>;

fn config(plan: &TopicPlan) -> Config {
    let mut config = Config::from([
        ("min.insync.replicas", plan.min_insync.to_string()),
        ("max.message.bytes", LARGEST_BYTES.to_string()),
        // By the broker's clock, so that a gateway's wrong clock neither keeps nor removes anything.
        ("message.timestamp.type", "LogAppendTime".to_owned()),
        ("unclean.leader.election.enable", "false".to_owned()),
    ]);
    match plan.cleanup {
        Cleanup::Delete { age, bytes } => {
            let age = age.map_or_else(|| "-1".to_owned(), |age| age.as_millis().to_string());
            let bytes = bytes.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string());
            config.extend([
                ("cleanup.policy", "delete".to_owned()),
                ("retention.ms", age),
                ("retention.bytes", bytes),
            ]);
        }
        Cleanup::Compact => {
            // Small segments: only what is no longer written to is compacted.
            config.extend([
                ("cleanup.policy", "compact".to_owned()),
                ("segment.bytes", (64 << 20).to_string()),
                ("min.cleanable.dirty.ratio", "0.2".to_owned()),
            ]);
        }
    }
    config
}

fn new_topic<'a>(name: &'a str, plan: &TopicPlan, config: &'a Config) -> NewTopic<'a> {
    let replication = TopicReplication::Fixed(plan.replication.cast_signed());
    let topic = NewTopic::new(name, plan.partitions.cast_signed(), replication);
    config.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
}

fn state(metadata: &Metadata, resource: &ConfigResource) -> Option<TopicState> {
    let OwnedResourceSpecifier::Topic(name) = &resource.specifier else { return None };
    let topic = metadata.topics().iter().find(|topic| topic.name() == name)?;
    let least = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
    let in_sync = topic.partitions().iter().map(|partition| partition.isr().len()).min();
    let config = resource.entries.iter().filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?)));
    Some(TopicState {
        name: name.clone(),
        partitions: u32::try_from(topic.partitions().len()).ok()?,
        replication: u32::try_from(least?).ok()?,
        in_sync: u32::try_from(in_sync?).ok()?,
        config: config.collect(),
    })
}
