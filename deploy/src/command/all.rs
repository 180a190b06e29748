//! `sluice`, `sluice gateway`, `sluice stream`, `sluice sinks`: the process and its parts.

use std::path::Path;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, load};
use crate::compose::{Addresses, Sluice};
use crate::role::Role;
use crate::rules;

/// How long a thread may still be held at the end.
const LEFT_BEHIND: Duration = Duration::from_secs(2);

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// The configuration is wrong, a part can't be built, or one ended that should have gone on.
pub fn run(config: Option<&Path>, role: Role) -> Result<(), Failure> {
    let config = load(config)?;
    let rules = rules::load(config.stream.rules.as_deref())?;
    block_on(async {
        let mut interrupted = std::pin::pin!(interruption());
        // A start may wait long for a Kafka that is away; nothing has been acknowledged by a part that is not built.
        let sluice = tokio::select! {
            () = &mut interrupted => return Ok(()),
            started = Sluice::start(&config, rules, role) => started?,
        };
        announce(&sluice.addresses);
        sluice.run_until(interrupted).await
    })
}

/// Says on standard output, for programs, that all is up and where.
pub(super) fn announce(addresses: &Addresses) {
    let Addresses { mqtt, mqtts, websocket, secure_websocket, console, admin } = addresses;
    let mqtt = mqtt.map(|address| format!(" mqtt={address}")).unwrap_or_default();
    let mqtts = mqtts.map(|address| format!(" mqtts={address}")).unwrap_or_default();
    let websocket = websocket.map(|address| format!(" ws={address}")).unwrap_or_default();
    let secure_websocket = secure_websocket.map(|address| format!(" wss={address}")).unwrap_or_default();
    let console = console.map(|address| format!(" console=http://{address}")).unwrap_or_default();
    println!("ready{mqtt}{mqtts}{websocket}{secure_websocket}{console} admin={admin}");
}

/// Runs `whole` on the runtime of the whole process. What holds a thread when it is done (a client that waits for its
/// broker) has a moment to end and is then left behind: nothing that was acknowledged depends on it.
///
/// # Errors
/// Those of `whole`, and no runtime.
pub(super) fn block_on(whole: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.enable_all().build().map_err(|error| Failure::because("runtime", &error))?;
    let result = runtime.block_on(whole);
    runtime.shutdown_timeout(LEFT_BEHIND);
    result
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
