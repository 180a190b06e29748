//! The two lanes into InfluxDB: aggregates, and observations where they are asked for → lines.

use std::path::Path;

use sinks::Ambient;
use sinks::influx::{InfluxSink, Ledger, Trailing};

use super::Site;
use crate::clock;
use crate::command::Failure;
use crate::engine::Engine;

/// The lanes' groups on the log.
const LIVE: &str = "influx";
const BACKFILL: &str = "influx_backfill";

/// Starts both lanes, if there is an InfluxDB to write to.
///
/// # Errors
/// The token can't be read or used, or the ledger can't be opened.
pub(super) async fn start(site: &mut Site<'_>, log: &Engine, around: [Ambient; 2]) -> Result<(), Failure> {
    let Site { config, folder, supervisor, .. } = site;
    let Some(influx) = &config.influx else { return forget(log, &[LIVE, BACKFILL]).await };
    let ledger = Ledger::open(&folder.influx())
        .map_err(|error| Failure::because("what was sent to InfluxDB", &error))?;
    let (options, token) = (&influx.options, secret("influx.token_file", &influx.token_file)?);
    let refused = |problem| Failure::usage(format_args!("influx: {problem}"));
    let [live_ambient, backfill_ambient] = around;
    let metrics = live_ambient.metrics.clone();
    let live = InfluxSink::live(options, &token, ledger.clone(), clock::shared(), metrics.clone());
    let backfill = InfluxSink::backfill(options, &token, ledger.clone(), metrics);
    let (live, backfill) = (live.map_err(refused)?, backfill.map_err(refused)?);
    let topics = options.topics();
    supervisor.spawn("influx sink", {
        let consumer = log.own_consumer(LIVE, topics);
        |stop| async move { Ok(sinks::run(consumer, live, live_ambient, stop).await?) }
    });
    supervisor.spawn("influx backfill", {
        let consumer = log.own_consumer(BACKFILL, topics);
        let consumer = Trailing::new(consumer, ledger, options.backfill_rate);
        |stop| async move { Ok(sinks::run(consumer, backfill, backfill_ambient, stop).await?) }
    });
    Ok(())
}

/// Lets the log go on without groups that are switched off.
///
/// # Errors
/// The log can't be written.
pub(super) async fn forget(log: &Engine, groups: &[&str]) -> Result<(), Failure> {
    for group in groups {
        log.forget(group).await.map_err(|error| Failure::because("log", &error))?;
    }
    Ok(())
}

/// What a file holds that holds one secret.
///
/// # Errors
/// It can't be read.
pub(super) fn secret(key: &str, file: &Path) -> Result<String, Failure> {
    let secret = std::fs::read_to_string(file)
        .map_err(|error| Failure::because(format_args!("{key} = \"{}\"", file.display()), &error))?;
    Ok(secret.trim().to_owned())
}
