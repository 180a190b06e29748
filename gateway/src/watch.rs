//! Whoever may no longer connect goes: changes in the registry, and in certificate authorities and revocation lists.

use crate::gateway::Gate;
use crate::outage::Closed;
use crate::tls::Tls;
use crate::{Listener, RegistryError, Role};
use records::{Device, Producer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// How often the registry is asked for changes.
const REFRESH: Duration = Duration::from_millis(250);

/// Reads what has changed in the registry, and cuts the sessions that it ends.
pub(crate) async fn refresh<P: Producer>(gate: &Gate<P>) -> Result<Vec<Device>, RegistryError> {
    let roster = gate.roster.clone();
    let refresh = tokio::task::spawn_blocking(move || roster.refresh());
    let Ok(changed) = refresh.await else { return Ok(Vec::new()) };
    let changed = changed?;
    for entry in &changed {
        let id = &entry.device.id;
        gate.sessions.revoke(id, |fingerprint| gate.roster.holds(id, fingerprint));
    }
    let devices = changed.iter().filter(|entry| entry.role == Role::Device);
    Ok(devices.map(|entry| entry.device.clone()).collect())
}

pub(crate) async fn watch_registry<P: Producer>(gate: &Gate<P>, changed: &UnboundedSender<Vec<Device>>) {
    let mut is_readable = true;
    loop {
        tokio::time::sleep(REFRESH).await;
        match refresh(gate).await {
            Ok(devices) => {
                if !is_readable {
                    tracing::info!("the device registry can be read again");
                }
                is_readable = true;
                // The receiver lives as long as this loop: both end with `run`.
                let _ = changed.send(devices);
            }
            Err(error) if is_readable => {
                is_readable = false;
                tracing::warn!(%error, "the device registry can't be read: going on with what is known");
            }
            Err(_) => {}
        }
    }
}

/// Those of the listeners, each once.
pub(crate) fn certificates(listeners: &[Listener]) -> Vec<Tls> {
    let mut all: Vec<Tls> = Vec::new();
    for tls in listeners.iter().filter_map(|listener| listener.door.tls.as_ref()) {
        if !all.iter().any(|known| known.is_same(tls)) {
            all.push(tls.clone());
        }
    }
    all
}

/// Cuts whoever would not be let in any more, each time authorities or revocation lists have changed.
pub(crate) async fn watch_certificates<P: Producer>(gate: Arc<Gate<P>>, tls: Tls) {
    let mut changes = tls.watch();
    while changes.changed().await.is_ok() {
        let sessions = gate.sessions.clone();
        if tokio::task::spawn_blocking(move || sessions.judge_certificates()).await.is_err() {
            tracing::error!("client certificates could not be judged anew");
        }
    }
}

/// Apart from the watching, so that a log that takes nothing doesn't keep a disabled device connected.
pub(crate) async fn announce_changes<P: Producer>(
    gate: &Gate<P>,
    mut changes: UnboundedReceiver<Vec<Device>>,
) -> Result<(), Closed> {
    while let Some(devices) = changes.recv().await {
        gate.announce(&devices).await?;
    }
    Ok(())
}
