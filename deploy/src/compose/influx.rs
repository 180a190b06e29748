//! The two lanes into InfluxDB: aggregates, and observations where they are asked for → lines.

use std::path::Path;
use std::sync::Arc;

use sinks::Ambient;
use sinks::DeviceBook;
use sinks::influx::{BACKFILL_GROUP, InfluxSink, LIVE_GROUP, Leading, Ledger, Trailing};

use super::Site;
use crate::clock;
use crate::command::Failure;
use crate::engine::Engine;

/// Starts both lanes, if there is an InfluxDB to write to; processes share the partitions of each.
///
/// # Errors
/// The token can't be read or used, or the ledger can't be opened.
pub(super) async fn start(
    site: &mut Site<'_>,
    log: &Engine,
    devices: Arc<DeviceBook>,
    around: [Ambient; 2],
) -> Result<(), Failure> {
    let Site { config, folder, supervisor, .. } = site;
    let Some(influx) = &config.influx else { return forget(log, &[LIVE_GROUP, BACKFILL_GROUP]).await };
    let ledger = Ledger::open(&folder.influx())
        .map_err(|error| Failure::because("what was sent to InfluxDB", &error))?
        .with_devices(devices);
    let (options, token) = (&influx.options, secret("influx.token_file", &influx.token_file)?);
    let refused = |problem| Failure::usage(format_args!("influx: {problem}"));
    let [live_ambient, backfill_ambient] = around;
    let metrics = live_ambient.metrics.clone();
    let live = InfluxSink::live(options, &token, ledger.clone(), clock::shared(), metrics.clone());
    let backfill = InfluxSink::backfill(options, &token, ledger.clone(), metrics.clone());
    let (live, backfill) = (live.map_err(refused)?, backfill.map_err(refused)?);
    let topics = options.topics();
    supervisor.spawn("influx sink", {
        let consumer = log.shared_consumer(LIVE_GROUP, topics);
        let consumer = Leading::new(consumer, ledger.clone());
        |stop| async move { Ok(sinks::run(consumer, live, live_ambient, stop).await?) }
    });
    supervisor.spawn("influx backfill", {
        let consumer = log.shared_consumer(BACKFILL_GROUP, topics);
        let consumer = Trailing::new(consumer, ledger, options.backfill_rate, metrics);
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
