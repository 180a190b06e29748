//! `sluice`, `sluice gateway`, `sluice stream`, `sluice sinks`: the process and its parts.

use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, load};
use crate::compose::{Addresses, Sluice};
use crate::role::Role;
use crate::rules;

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// The configuration is wrong, a part can't be built, or one ended that should have gone on.
pub fn run(config: Option<&Path>, role: Role) -> Result<(), Failure> {
    let config = load(config)?;
    let rules = rules::load(config.stream.rules.as_deref())?;
    runtime()?.block_on(async {
        let interrupted = interruption();
        let sluice = Sluice::start(&config, rules, role).await?;
        announce(&sluice.addresses);
        sluice.run_until(interrupted).await
    })
}

/// Says on standard output, for programs, that all is up and where.
pub(super) fn announce(addresses: &Addresses) {
    let Addresses { mqtt, mqtts, console, admin } = addresses;
    let mqtt = mqtt.map(|address| format!(" mqtt={address}")).unwrap_or_default();
    let mqtts = mqtts.map(|address| format!(" mqtts={address}")).unwrap_or_default();
    let console = console.map(|address| format!(" console=http://{address}")).unwrap_or_default();
    println!("ready{mqtt}{mqtts}{console} admin={admin}");
}

/// The runtime of the whole process.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().map_err(|error| Failure::because("runtime", &error))
}

/// Waits for Ctrl-C or SIGTERM, and hears them from this call on: one that comes while everything starts, or right
/// after it was said that it has, ends the process in order too.
pub(super) fn interruption() -> impl Future<Output = ()> {
    let listen = |kind| signal(kind).expect("it can be listened to on every Unix");
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt()), listen(SignalKind::terminate()));
    async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
