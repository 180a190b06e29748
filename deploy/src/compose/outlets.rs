//! The sinks and what they are shown by: observations, aggregates, alerts → series, alert book, device book → console.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sinks::{
    AlertBook, AlertSink, Ambient, ConsoleState, DeviceBook, DeviceSink, LedgerBook, LedgerSink, Login,
    Notices, SeriesSink,
};
use store::Store;
use tokio::net::TcpListener;

use super::{Site, export, influx, registered, webhook};
use crate::command::Failure;
use crate::config::Config;
use crate::engine::Engine;
use crate::{clock, cluster, refill};

/// Starts them all.
///
/// # Errors
/// A read model can't be opened, or does not belong to this log.
pub(super) async fn start(site: &mut Site<'_>, log: &Engine, page: TcpListener) -> Result<(), Failure> {
    let Site { config, folder, metrics, supervisor } = site;

    // ### Sinks.
    let sink_metrics = registered(sinks::Metrics::register(metrics))?;
    let store = open_store(config, &folder.series(), log).await?;
    let alerts = AlertBook::open(&folder.alerts()).map_err(|error| Failure::because("alert book", &error))?;
    let devices =
        DeviceBook::open(&folder.devices()).map_err(|error| Failure::because("device book", &error))?;
    let ledger = LedgerBook::open(&folder.ledger()).map_err(|error| Failure::because("ledger", &error))?;
    let (alerts, devices, ledger) = (Arc::new(alerts), Arc::new(devices), Arc::new(ledger));
    let notices = Notices::default();
    let ambient = |seed| Ambient {
        metrics: sink_metrics.clone(),
        notices: notices.clone(),
        clock: clock::shared(),
        seed,
        look_again: Duration::from_secs(60),
    };
    supervisor.spawn("series sink", {
        let consumer = log.own_consumer("series", SeriesSink::TOPICS);
        let (sink_metrics, ambient) = (sink_metrics.clone(), ambient(1));
        let sink = SeriesSink::new(store.clone(), clock::shared(), config.store.seal_age, sink_metrics);
        |stop| async move { Ok(sinks::run(consumer, sink, ambient, stop).await?) }
    });
    supervisor.spawn("alert sink", {
        let consumer = log.own_consumer("alerts", AlertSink::TOPICS);
        let (sink, ambient) = (AlertSink::new(alerts.clone(), sink_metrics.clone()), ambient(2));
        |stop| async move { Ok(sinks::run(consumer, sink, ambient, stop).await?) }
    });
    supervisor.spawn("device sink", {
        let consumer = log.own_consumer("devices", DeviceSink::TOPICS);
        let (sink, ambient) = (DeviceSink::new(devices.clone()), ambient(3));
        |stop| async move { Ok(sinks::run(consumer, sink, ambient, stop).await?) }
    });

    supervisor.spawn("ledger sink", {
        let consumer = log.own_consumer("ledger", LedgerSink::TOPICS);
        let (sink, ambient) = (LedgerSink::new(ledger.clone()), ambient(7));
        |stop| async move { Ok(sinks::run(consumer, sink, ambient, stop).await?) }
    });

    let (lanes, caller) = ([ambient(4), ambient(5)], ambient(6));

    let (exported, told, known) = (store.clone(), notices.clone(), devices.clone());

    // ### Console: pages, API, live feed.
    let login = login(config)?;
    supervisor.spawn("console", {
        let actions = sinks::console::Actions::new(log.clone());
        let limits = config.console.limits;
        move |stop| async move {
            let state = ConsoleState {
                store,
                alerts,
                devices,
                ledger,
                notices,
                actions,
                clock: clock::shared(),
                login,
                metrics: sink_metrics,
                limits,
                stop: stop.clone(),
            };
            Ok(sinks::console::serve(page, sinks::console::router(state), stop).await?)
        }
    });
    export::start(site, log, &exported, &told);
    influx::start(site, log, known, lanes).await?;
    webhook::start(site, log, caller).await
}

/// Log and series are a pair: series that are ahead of the log would take its next records for known ones.
async fn open_store(config: &Config, path: &Path, log: &Engine) -> Result<Store, Failure> {
    let options = store::Options {
        seal_age: config.store.seal_age,
        retention: Some(config.store.retention),
        minutes_retention: Some(config.store.minutes_retention),
        hours_retention: Some(config.store.hours_retention),
        days_retention: Some(config.store.days_retention),
        budget_bytes: config.store.budget_bytes,
        ..Default::default()
    };
    let store = Store::open(path, options).map_err(|error| Failure::because("time series", &error))?;
    let ends = cluster::patiently(async || log.ends().await).await?;
    let ahead = store.offsets().into_iter().find(|(at, next)| ends.get(at).is_none_or(|end| next > end));
    match ahead {
        None => not_behind(config, store, log).await,
        Some((at, next)) => Err(Failure::failed(format_args!(
            "the series in {} know {at} up to offset {next}, and the log ends before: they belong to another log. \
             Put the log back, or move the series away",
            path.display()
        ))),
    }
}

/// Series that were put back from a copy are behind the position that the log keeps for them: they read on from where
/// they end.
async fn not_behind(config: &Config, store: Store, log: &Engine) -> Result<Store, Failure> {
    let Engine::Embedded(log) = log else { return Ok(store) };
    let known: std::collections::BTreeMap<_, _> = store.offsets().into_iter().collect();
    let ours = embedded::ReaderName::Group("series".to_owned());
    let is_behind = log.stats().partitions.iter().any(|at| {
        let position = at.readers.iter().find(|reader| reader.name == ours).map_or(0, |reader| reader.next);
        SeriesSink::TOPICS.contains(&at.partition.topic)
            && known.get(&at.partition).copied().unwrap_or(0) < position
    });
    if !is_behind {
        return Ok(store);
    }
    let (config, filled) = (config.clone(), store.clone());
    let refilled = tokio::task::spawn_blocking(move || refill::catch_up(&config, &filled)).await;
    let refilled = refilled.map_err(|error| Failure::failed(error.to_string()))??;
    tracing::warn!(
        rows = refilled.rows,
        missed = refilled.missed.values().sum::<u64>(),
        "the series were behind the log, as after a restore, and have read on from it"
    );
    Ok(store)
}

fn login(config: &Config) -> Result<Option<Login>, Failure> {
    let Some(login) = &config.console.login else { return Ok(None) };
    let made = Login::new(login.operator.as_str().into(), &login.password_hash);
    made.map(Some).ok_or_else(|| Failure::usage("console.password_hash is not an argon2id hash"))
}
