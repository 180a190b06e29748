//! What can be chosen about a connection to Kafka.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::TopicPlans;

/// How a process meets Kafka.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port` of some brokers, separated by commas; the others are found through them.
    pub brokers: String,
    /// Stands before the name of every topic, group and transactional id, so that several deployments can share a
    /// cluster: `city-`. Empty: none.
    pub prefix: String,
    /// What this process is called in its groups: the same after a restart, and no other living process's. A restart
    /// within `session_timeout` then moves no partition, and a second process of the same name fences the first.
    pub instance: String,
    /// What the topics are like.
    pub topics: TopicPlans,
    /// How to be let in.
    pub security: Security,
    /// Appends wait while this much is on its way to the brokers.
    pub max_pending_bytes: usize,
    /// How long the producer waits for company before it sends.
    pub linger: Duration,
    /// `none`, `lz4`, `zstd`, `gzip` or `snappy`.
    pub compression: String,
    /// An append that is not acknowledged by then fails; the records may be there all the same. While it lasts, the
    /// client sends again by itself, without doubling or reordering anything.
    pub delivery_timeout: Duration,
    /// A reader that is not heard of for so long is taken for dead, and others take over its partitions. Brokers set
    /// bounds: by default 6 s to 30 min.
    pub session_timeout: Duration,
    /// A transaction that is not over by then is aborted by the broker. So long others wait for a pipe that died in
    /// the middle of a commit and did not come back.
    pub transaction_timeout: Duration,
    /// Anything else that librdkafka understands, for every client.
    pub properties: BTreeMap<String, String>,
}

/// How to be let in by the brokers. Everything but a plain connection and SASL PLAIN needs the feature `kafka-tls`.
#[derive(Clone, Default)]
pub struct Security {
    /// librdkafka's own names: `security.protocol`, `ssl.ca.location`, `ssl.certificate.location`,
    /// `ssl.key.location`, `sasl.mechanism` (`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`, `OAUTHBEARER`),
    /// `sasl.username`, `sasl.password`, …
    pub properties: BTreeMap<String, String>,
    /// Whence OAUTHBEARER's tokens come.
    pub tokens: Option<TokenSource>,
}

/// Gives a new token whenever the last one is about to end. Called on a thread of its own; it may block.
pub type TokenSource = Arc<dyn Fn() -> Result<Token, Box<dyn Error>> + Send + Sync>;

/// An OAUTHBEARER token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// As it goes to the broker.
    pub token: String,
    /// Who it speaks for.
    pub principal: String,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: i64,
}

impl Options {
    /// The defaults, for these brokers and this process.
    pub fn new(brokers: impl Into<String>, instance: impl Into<String>) -> Options {
        Options {
            brokers: brokers.into(),
            prefix: String::new(),
            instance: instance.into(),
            topics: TopicPlans::default(),
            security: Security::default(),
            max_pending_bytes: 64 << 20,
            linger: Duration::from_millis(5),
            compression: "lz4".to_owned(),
            delivery_timeout: Duration::from_secs(120),
            session_timeout: Duration::from_secs(10),
            transaction_timeout: Duration::from_secs(30),
            properties: BTreeMap::new(),
        }
    }
}

impl Options {
    /// Whether a token says who we are.
    pub(crate) fn is_by_token(&self) -> bool {
        let mechanism = ["sasl.mechanism", "sasl.mechanisms"].map(|name| self.security.properties.get(name));
        mechanism.into_iter().flatten().any(|mechanism| mechanism == "OAUTHBEARER")
    }
}

impl fmt::Debug for Security {
    /// Names alone: values are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.properties.keys().collect();
        f.debug_struct("Security")
            .field("properties", &names)
            .field("tokens", &self.tokens.is_some())
            .finish()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("principal", &self.principal)
            .field("expires_ms", &self.expires_ms)
            .finish()
    }
}
