//! The two lanes into InfluxDB: aggregates, and observations where they are asked for → lines.

use sinks::Ambient;
use sinks::influx::{InfluxSink, Ledger, Trailing};

use super::Site;
use crate::clock;
use crate::command::Failure;
use crate::config::InfluxConfig;

/// Starts both lanes, if there is an InfluxDB to write to.
///
/// # Errors
/// The token can't be read or used, or the ledger can't be opened.
pub(super) fn start(site: &mut Site<'_>, around: [Ambient; 2]) -> Result<(), Failure> {
    let Site { config, folder, log, supervisor, .. } = site;
    let Some(influx) = &config.influx else { return Ok(()) };
    let ledger = Ledger::open(&folder.influx())
        .map_err(|error| Failure::because("what was sent to InfluxDB", &error))?;
    let (options, token) = (&influx.options, token(influx)?);
    let refused = |problem| Failure::usage(format_args!("influx: {problem}"));
    let [live_ambient, backfill_ambient] = around;
    let metrics = live_ambient.metrics.clone();
    let live = InfluxSink::live(options, &token, ledger.clone(), clock::shared(), metrics.clone());
    let backfill = InfluxSink::backfill(options, &token, ledger.clone(), metrics);
    let (live, backfill) = (live.map_err(refused)?, backfill.map_err(refused)?);
    let topics = options.topics();
    supervisor.spawn("influx sink", {
        let consumer = log.consumer("influx", topics);
        |stop| async move { Ok(sinks::run(consumer, live, live_ambient, stop).await?) }
    });
    supervisor.spawn("influx backfill", {
        let consumer = log.consumer("influx_backfill", topics);
        let consumer = Trailing::new(consumer, ledger, options.backfill_rate);
        |stop| async move { Ok(sinks::run(consumer, backfill, backfill_ambient, stop).await?) }
    });
    Ok(())
}

fn token(influx: &InfluxConfig) -> Result<String, Failure> {
    let file = &influx.token_file;
    let token = std::fs::read_to_string(file).map_err(|error| {
        Failure::because(format_args!("influx.token_file = \"{}\"", file.display()), &error)
    })?;
    Ok(token.trim().to_owned())
}
