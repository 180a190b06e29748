//! `sluice topic …`: the topics on a Kafka cluster, and what stands on those of either log.

mod tail;
mod words;

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Subcommand;
use kafka::ConnectError;
use kafka::admin::{Admin, Violation};

use super::all::block_on;
use super::{Failure, load};
use crate::cluster;
use crate::config::{Config, LogKind};

/// How long all brokers have to hear of a new topic.
const SETTLING: Duration = Duration::from_secs(30);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(200);

/// What to do with the topics.
#[derive(Subcommand)]
pub enum Command {
    /// Make the topics that are not there, then check all
    Create,
    /// Say what would break a promise of the log
    Check,
    /// Say how the topics are, a line each
    Describe,
    /// Print the records of a topic, of either log, as they come
    Tail(tail::Arguments),
}

/// Runs the command on the configured log.
///
/// # Errors
/// The log is embedded, where topics need no making; no broker answers; a topic would break a promise.
pub fn run(config: Option<&Path>, command: &Command) -> Result<(), Failure> {
    let config = load(config)?;
    match command {
        Command::Create => on_cluster(&config, create),
        Command::Check => on_cluster(&config, check),
        Command::Describe => on_cluster(&config, describe),
        Command::Tail(arguments) => tail::run(&config, arguments),
    }
}

fn on_cluster(config: &Config, act: impl AsyncFnOnce(&Admin) -> Result<(), Failure>) -> Result<(), Failure> {
    let LogKind::Kafka(kafka) = &config.log.kind else {
        return Err(Failure::usage("the embedded log makes its topics by itself; log.kind is \"embedded\""));
    };
    let options = cluster::options(config, kafka)?;
    block_on(async { act(&Admin::connect(&options).map_err(unable)?).await })
}

async fn create(admin: &Admin) -> Result<(), Failure> {
    for name in admin.create().await.map_err(unable)? {
        println!("made {name}");
    }
    wait_until_known(admin).await?;
    check(admin).await
}

/// The broker that is asked next may not have heard of a new topic yet.
async fn wait_until_known(admin: &Admin) -> Result<(), Failure> {
    let deadline = Instant::now() + SETTLING;
    let is_unknown = |violation: &Violation| matches!(violation, Violation::Missing { .. });
    while admin.check().await.map_err(unable)?.iter().any(is_unknown) && Instant::now() < deadline {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn check(admin: &Admin) -> Result<(), Failure> {
    let violations = admin.check().await.map_err(unable)?;
    if violations.is_empty() {
        println!("all topics are as they must be");
        return Ok(());
    }
    let lines: String = violations.iter().map(|violation| format!("\n  {violation}")).collect();
    Err(Failure::failed(format_args!("the topics are not as they must be:{lines}")))
}

async fn describe(admin: &Admin) -> Result<(), Failure> {
    for topic in admin.describe().await.map_err(unable)? {
        println!("{topic}");
    }
    Ok(())
}

fn unable(error: ConnectError) -> Failure {
    Failure::because("topics", &error)
}
