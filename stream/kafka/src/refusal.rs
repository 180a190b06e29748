//! Why brokers that are there do not let us in.
//!
//! librdkafka tries again for ever, and who asks it something hears only that no answer came. Its log says why.

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;

use crate::{ConnectError, Options, TokenSource, context, settings};

/// How long a broker has to say something.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one poll waits.
const WAIT: Duration = Duration::from_millis(50);

/// Tries once more with open ears; `None` when it is not a matter of being let in.
pub(crate) fn find(options: &Options) -> Option<ConnectError> {
    let context = Listening { tokens: options.security.tokens.clone(), heard: Mutex::default() };
    let mut config = settings::bystander(options, "refusal");
    // A broker that hangs up is no error to librdkafka, and its log says why it may have.
    config.set_log_level(RDKafkaLogLevel::Info);
    let client: BaseConsumer<Listening> = BaseConsumer::from_config_and_context(&config, context).ok()?;
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        // Errors of this client are heard by its context.
        let _ = client.poll(WAIT);
        let heard =
            std::mem::take(&mut *client.context().heard.lock().unwrap_or_else(PoisonError::into_inner));
        let found = heard.iter().find_map(|why| Some((why.clone(), settings_behind(why)?)));
        if let Some((why, settings)) = found {
            return Some(ConnectError::Refused { brokers: options.brokers.clone(), why, settings });
        }
    }
    None
}

/// Which settings to look at, by librdkafka's words.
fn settings_behind(why: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if says(&["security.protocol"]) {
        Some("security.protocol")
    } else if says(&["certificate", "SSL handshake", "ssl.ca.location"]) {
        Some("ssl.ca.location")
    } else if says(&["OAUTHBEARER"]) {
        Some("sasl.mechanism and the token")
    } else if says(&["SASL", "authentication"]) {
        Some("sasl.mechanism, sasl.username and sasl.password")
    } else {
        None
    }
}

/// Keeps what went wrong.
struct Listening {
    tokens: Option<TokenSource>,
    heard: Mutex<Vec<String>>,
}

impl Listening {
    fn hear(&self, line: &str) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }
}

impl ClientContext for Listening {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, _: RDKafkaLogLevel, facility: &str, line: &str) {
        if facility == "FAIL" {
            self.hear(line);
        }
    }

    fn error(&self, _: KafkaError, reason: &str) {
        self.hear(reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        context::token(self.tokens.as_ref())
    }
}

impl ConsumerContext for Listening {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_is_away_refuses_nobody() {
        assert_eq!(settings_behind("127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed"), None);
        let denied = "SASL authentication error: Authentication failed";
        assert_eq!(settings_behind(denied), Some("sasl.mechanism, sasl.username and sasl.password"));
    }
}
