//! The gateway: devices → telemetry.

use std::sync::Arc;

use gateway::{Fanout, Listener, Metrics, Parts, Registry, Shedding, Source};

use super::certificate::CertificateFiles;
use super::listeners::Doors;
use super::sessions::Sessions;
use super::{Site, registered};
use crate::clock;
use crate::command::{Failure, open_registry};
use crate::engine::Engine;

/// What others need of it.
pub(super) struct Gateway {
    /// Who may connect.
    pub registry: Arc<Registry>,
    /// Its subscribing side.
    pub fanout: Arc<Fanout>,
    /// What it counts.
    pub metrics: Arc<Metrics>,
}

/// Starts it; what devices say goes to `log`, with what is to be remembered of `sessions`, and some of it may be left
/// out.
///
/// # Errors
/// The registry can't be opened, or the certificate can't be used.
pub(super) fn start(
    site: &mut Site<'_>,
    log: Engine,
    sessions: Sessions,
    shedding: Shedding,
    doors: Doors,
) -> Result<Gateway, Failure> {
    let listeners = listeners(site, doors)?;
    let registry = Arc::new(open_registry(&site.folder)?);
    let metrics = Arc::new(registered(Metrics::register(&site.metrics))?);
    let limits = site.config.gateway.limits.clone();
    start_sources(site, &log, &registry, &limits, &metrics);
    let fanout = Arc::new(Fanout::new(&limits, metrics.clone()));
    let gateway = Gateway { registry: registry.clone(), fanout: fanout.clone(), metrics: metrics.clone() };
    site.supervisor.spawn("gateway", |stop| async move {
        let clock = clock::shared();
        let store = Arc::new(sessions);
        let parts = Parts { log, store, registry, fanout, clock, limits, shedding, metrics };
        Ok(gateway::run(listeners, parts, stop).await?)
    });
    Ok(gateway)
}

/// Each with what is spoken on it; the certificate is kept as its files are.
fn listeners(site: &mut Site<'_>, doors: Doors) -> Result<Vec<Listener>, Failure> {
    let mut listeners = vec![Listener::plain(doors.mqtt)];
    listeners.extend(doors.websocket.map(|socket| Listener::plain(socket).over_websocket()));
    if let Some(tls) = &site.config.tls {
        let (files, tls) = CertificateFiles::load(tls, clock::shared())?;
        let secure = |socket| Listener::tls(socket, tls.clone());
        listeners.extend(doors.mqtts.map(secure));
        listeners.extend(doors.secure_websocket.map(secure).map(Listener::over_websocket));
        site.supervisor.spawn("certificate", |stop| async move {
            files.watch(tls, stop).await;
            Ok(())
        });
    }
    Ok(listeners)
}

/// One part for each broker, so that one that is gone disturbs no other.
fn start_sources(
    site: &mut Site<'_>,
    log: &Engine,
    registry: &Arc<Registry>,
    limits: &gateway::Limits,
    metrics: &Arc<Metrics>,
) {
    for config in &site.config.sources {
        let source = Source {
            config: config.clone(),
            mappings: site.config.mappings.as_slice().into(),
            log: log.clone(),
            registry: registry.clone(),
            clock: clock::shared(),
            limits: limits.clone(),
            metrics: metrics.clone(),
        };
        site.supervisor.spawn("source", |stop| async move { Ok(gateway::source::run(source, stop).await?) });
    }
}
