//! The log across machines: Apache Kafka, by librdkafka.
//!
//! It keeps the promises of [`records`]'s log traits that one machine's log keeps: an append is durable when it is
//! acknowledged (idempotent, acks=all), a [`Pipe`](records::Pipe) reads and writes exactly once (transactions with
//! the input's offsets), and a [`Consumer`](records::Consumer) goes on where it committed. What Kafka adds is company:
//! workers share the partitions of a topic, and take over from one another.
//!
//! Nothing here decodes a record, knows what a topic is for, or reads a file or the environment.

pub mod admin;
mod append;
mod bystander;
mod consumer;
mod context;
mod cutting;
mod error;
mod forgotten;
mod headers;
mod importer;
mod log;
mod metrics;
mod names;
mod objection;
mod options;
mod oversize;
mod pipe;
mod poller;
mod producer;
mod reading;
mod rebalances;
mod refusal;
mod seat;
mod settings;
mod shared;
mod snapshots;
mod topics;
mod transactional;
mod transactions;
mod viewer;

pub use consumer::KafkaConsumer;
pub use error::ConnectError;
pub use importer::{Importer, Note};
pub use log::Log;
pub use metrics::Metrics;
pub use objection::objection;
pub use options::{Options, Security, Token, TokenSource};
pub use pipe::KafkaPipe;
pub use topics::{Cleanup, TopicPlan, TopicPlans};

/// How often a job over this log should commit: a transaction costs the brokers a few writes whatever it holds.
pub const COMMIT_INTERVAL: std::time::Duration = std::time::Duration::from_millis(200);
pub use viewer::{Start, ViewError, view, view_partition};
