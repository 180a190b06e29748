//! Alerts to a URL.

use sinks::Ambient;
use sinks::webhook::WebhookSink;

use super::{Site, influx};
use crate::clock;
use crate::command::Failure;
use crate::engine::Engine;

/// Its group on the log.
const GROUP: &str = "webhook";

/// Starts it, if there is a URL.
///
/// # Errors
/// The secret can't be read or used.
pub(super) async fn start(site: &mut Site<'_>, log: &Engine, ambient: Ambient) -> Result<(), Failure> {
    let Site { config, supervisor, .. } = site;
    let Some(webhook) = &config.webhook else { return influx::forget(log, &[GROUP]).await };
    let secret = influx::secret("webhook.secret_file", &webhook.secret_file)?;
    let sink = WebhookSink::new(&webhook.options, &secret, clock::shared());
    let sink = sink.map_err(|problem| Failure::usage(format_args!("webhook: {problem}")))?;
    // Shared: who is called wants to hear of a transition from one of us.
    let topics = WebhookSink::TOPICS;
    let consumer = match webhook.is_from_end {
        true => log.shared_consumer_from_end(GROUP, topics),
        false => log.shared_consumer(GROUP, topics),
    };
    supervisor.spawn("webhook", |stop| async move { Ok(sinks::run(consumer, sink, ambient, stop).await?) });
    Ok(())
}
