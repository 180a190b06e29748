//! `sluice topic …`: the topics on a Kafka cluster.

use std::path::Path;

use clap::Subcommand;
use kafka::ConnectError;
use kafka::admin::Admin;

use super::all::runtime;
use super::{Failure, load};
use crate::cluster;
use crate::config::LogKind;

/// What to do with the topics.
#[derive(Subcommand)]
pub enum Command {
    /// Make the topics that are not there, then check all
    Create,
    /// Say what would break a promise of the log
    Check,
    /// Say how the topics are, a line each
    Describe,
}

/// Runs the command against the configured cluster.
///
/// # Errors
/// The log is embedded; no broker answers; a topic would break a promise.
pub fn run(config: Option<&Path>, command: &Command) -> Result<(), Failure> {
    let config = load(config)?;
    let LogKind::Kafka(kafka) = &config.log.kind else {
        return Err(Failure::usage("the embedded log makes its topics by itself; log.kind is \"embedded\""));
    };
    let options = cluster::options(&config, kafka)?;
    runtime()?.block_on(async {
        let admin = Admin::connect(&options).map_err(unable)?;
        match command {
            Command::Create => create(&admin).await,
            Command::Check => check(&admin).await,
            Command::Describe => describe(&admin).await,
        }
    })
}

async fn create(admin: &Admin) -> Result<(), Failure> {
    for name in admin.create().await.map_err(unable)? {
        println!("made {name}");
    }
    check(admin).await
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
