//! What librdkafka calls back, alike for every client.

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::TokenSource;

/// An outage is told once, however many clients feel it and however often each of them tries.
const OUTAGE: Duration = Duration::from_secs(60);

/// What librdkafka mends by itself, or tells whoever asked for it: a connection, a request, a step of a transaction that
/// failed.
const MENDED: &[&str] = &["FAIL", "REQTMOUT", "TXNERR", "ADDOFFSETS", "ADDPARTS"];

/// librdkafka's log lines. None of them is an error: what it can't mend comes to us as one.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        _ if MENDED.contains(&facility) => tracing::debug!(target: "librdkafka", facility, "{line}"),
        RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
            tracing::debug!(target: "librdkafka", facility, "{line}");
        }
        _ => tracing::warn!(target: "librdkafka", facility, "{line}"),
    }
}

/// A broker that went away is met again; everything else is worth a line.
pub(crate) fn note_error(error: &KafkaError, reason: &str) {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, Resolve};
    match error.rdkafka_error_code() {
        Some(BrokerTransportFailure | Resolve) => tracing::debug!(%error, reason, "a broker is away"),
        // The end of a partition is no error: who reads states asks for it.
        Some(RDKafkaErrorCode::PartitionEOF) => {}
        Some(AllBrokersDown) if is_news() => {
            tracing::warn!(reason, "no broker can be reached; nothing is lost, trying again");
        }
        Some(AllBrokersDown) => tracing::debug!(reason, "no broker can be reached"),
        _ => tracing::warn!(%error, reason, "Kafka"),
    }
}

/// Whether nobody has told of an outage for a while. Each new sign of one belongs to the last.
fn is_news() -> bool {
    static HEARD: Mutex<Option<Instant>> = Mutex::new(None);
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    heard.replace(Instant::now()).is_none_or(|before| before.elapsed() > OUTAGE)
}

/// A token for librdkafka.
pub(crate) fn token(tokens: Option<&TokenSource>) -> Result<OAuthToken, Box<dyn Error>> {
    let source = tokens.ok_or("OAUTHBEARER is asked for, and there is no source of tokens")?;
    let token = source()?;
    Ok(OAuthToken { token: token.token, principal_name: token.principal, lifetime_ms: token.expires_ms })
}

/// The part of rdkafka's `ClientContext` that every context of ours says in the same words.
macro_rules! speak_as_client {
    () => {
        const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

        fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, line: &str) {
            $crate::context::log(level, facility, line);
        }

        fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
            $crate::context::note_error(&error, reason);
        }

        fn generate_oauth_token(
            &self,
            _: Option<&str>,
        ) -> Result<rdkafka::client::OAuthToken, Box<dyn std::error::Error>> {
            $crate::context::token(self.tokens.as_ref())
        }
    };
}
pub(crate) use speak_as_client;

/// The context of a client that only asks.
pub(crate) struct Asking {
    pub tokens: Option<TokenSource>,
}

impl rdkafka::ClientContext for Asking {
    speak_as_client!();
}

impl rdkafka::consumer::ConsumerContext for Asking {}
