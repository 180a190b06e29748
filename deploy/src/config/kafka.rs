//! `[log.kafka]`: the log across machines.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::section::{Problems, Section};
use super::{HOUR, MS, SECOND};

/// `[log.kafka]`, read when `log.kind` is `kafka`.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaConfig {
    /// `host:port` of some brokers, separated by commas.
    pub brokers: String,
    /// Stands before the names of topics, groups and transactional ids.
    pub prefix: String,
    /// What this process is called in its groups; this machine's name when absent.
    pub instance: Option<String>,
    /// On how many brokers each record is kept.
    pub replication: u32,
    /// How many of these must have a record before it is acknowledged.
    pub min_insync: u32,
    /// How long the producer waits for company before it sends.
    pub linger: Duration,
    /// `none`, `lz4`, `zstd`, `gzip` or `snappy`.
    pub compression: String,
    /// Appends wait while this much is on its way.
    pub max_pending_bytes: u64,
    /// An append that is not acknowledged by then fails, and is done again.
    pub delivery_timeout: Duration,
    /// A worker that is silent for so long is taken for dead.
    pub session_timeout: Duration,
    /// A transaction that is open for longer is aborted by the broker.
    pub transaction_timeout: Duration,
    /// How to be let in.
    pub security: BTreeMap<String, String>,
    /// A file with the password of SASL and nothing else, so that no secret stands in the configuration.
    pub password_file: Option<PathBuf>,
    /// A file with OAUTHBEARER's token (a JSON Web Token), read again whenever one is needed.
    pub token_file: Option<PathBuf>,
    /// Anything else that librdkafka understands.
    pub properties: BTreeMap<String, String>,
}

/// What librdkafka can compress with.
const COMPRESSIONS: [&str; 5] = ["none", "lz4", "zstd", "gzip", "snappy"];

/// How to say who we are, in librdkafka's words.
const MECHANISMS: [&str; 2] = ["sasl.mechanism", "sasl.mechanisms"];

/// What keeps the log's promises, so nobody may set it.
const OURS: [&str; 14] = [
    "bootstrap.servers",
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "isolation.level",
    "auto.offset.reset",
    "partitioner",
    "group.id",
    "group.instance.id",
    "transactional.id",
    "session.timeout.ms",
    "delivery.timeout.ms",
];

impl Default for KafkaConfig {
    fn default() -> KafkaConfig {
        KafkaConfig {
            brokers: String::new(),
            prefix: String::new(),
            instance: None,
            replication: 3,
            min_insync: 2,
            linger: 5 * MS,
            compression: "lz4".to_owned(),
            max_pending_bytes: 64 << 20,
            delivery_timeout: 120 * SECOND,
            session_timeout: 10 * SECOND,
            transaction_timeout: 30 * SECOND,
            security: BTreeMap::new(),
            password_file: None,
            token_file: None,
            properties: BTreeMap::new(),
        }
    }
}

/// Reads the section; it must name brokers.
pub fn read(mut from: Section<'_>, problems: &mut Problems<'_>) -> KafkaConfig {
    let default = KafkaConfig::default();
    let brokers = brokers(&mut from, problems);
    let mut count = |name: &str, default: u32| {
        u32::try_from(from.number(name, default.into(), 1..8, problems)).unwrap_or(default)
    };
    let (replication, min_insync) =
        (count("replication", default.replication), count("min_insync", default.min_insync));
    if min_insync > replication {
        let message = format!("can't be more than replication, which is {replication}");
        problems.add(None, from.path_of("min_insync"), message);
    }
    let kafka = KafkaConfig {
        brokers,
        prefix: name(&mut from, "prefix", problems).unwrap_or_default(),
        instance: name(&mut from, "instance", problems),
        replication,
        min_insync,
        linger: from.duration("linger", default.linger, Duration::ZERO..SECOND, problems),
        compression: compression(&mut from, default.compression, problems),
        max_pending_bytes: from.size("max_pending", default.max_pending_bytes, 1 << 20..1 << 32, problems),
        delivery_timeout: from.duration(
            "delivery_timeout",
            default.delivery_timeout,
            5 * SECOND..HOUR,
            problems,
        ),
        session_timeout: from.duration(
            "session_timeout",
            default.session_timeout,
            SECOND..HOUR / 2,
            problems,
        ),
        transaction_timeout: from.duration(
            "transaction_timeout",
            default.transaction_timeout,
            SECOND..HOUR / 4,
            problems,
        ),
        password_file: from.path("password_file", problems),
        token_file: from.path("token_file", problems),
        security: texts(from.section("security", problems), problems),
        properties: properties(from.section("properties", problems), problems),
    };
    let is_by_token =
        MECHANISMS.iter().any(|key| kafka.security.get(*key).is_some_and(|value| value == "OAUTHBEARER"));
    if is_by_token && kafka.token_file.is_none() {
        problems.add(
            None,
            from.path_of("token_file"),
            "OAUTHBEARER needs the file that its token is read from",
        );
    }
    from.end(problems);
    kafka
}

fn brokers(from: &mut Section<'_>, problems: &mut Problems<'_>) -> String {
    let (at, path) = (from.span("brokers"), from.path_of("brokers"));
    let brokers = from.text("brokers", problems).unwrap_or_default();
    let has_port = |broker: &str| {
        broker
            .trim()
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    if !brokers.split(',').all(has_port) {
        let message = "must be hosts with ports such as \"kafka-1:9092,kafka-2:9092\"";
        problems.add(at, path, message);
    }
    brokers
}

/// What may stand in the name of a topic, for it becomes part of one.
fn name(from: &mut Section<'_>, key: &str, problems: &mut Problems<'_>) -> Option<String> {
    let (at, path) = (from.span(key), from.path_of(key));
    let name = from.text(key, problems)?;
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 100 || !name.bytes().all(is_fine) {
        problems.add(at, path, "must be 1 to 100 of A-Z a-z 0-9 . _ -");
    }
    Some(name)
}

fn compression(from: &mut Section<'_>, default: String, problems: &mut Problems<'_>) -> String {
    let (at, path) = (from.span("compression"), from.path_of("compression"));
    let Some(found) = from.text("compression", problems) else { return default };
    if !COMPRESSIONS.contains(&found.as_str()) {
        problems.add(at, path, format!("\"{found}\" is none of {}", COMPRESSIONS.join(", ")));
    }
    found
}

/// librdkafka's words, which it judges itself.
fn texts(from: Section<'_>, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
    let keys: Vec<_> =
        from.keys().into_iter().map(|key| (from.span(&key), from.path_of(&key), key)).collect();
    let values = from.into_texts(problems);
    for (at, path, key) in keys {
        let objection = values.get(&key).and_then(|value| kafka::objection(&key, value));
        if let Some(objection) = objection {
            problems.add(at, path, objection);
        }
    }
    values
}

fn properties(from: Section<'_>, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
    for key in OURS {
        if let Some(at) = from.span(key) {
            let message =
                "is not for choosing: the log's promises hang on it, or a key of [log.kafka] sets it";
            problems.add(Some(at), from.path_of(key), message);
        }
    }
    texts(from, problems)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, LogKind};

    #[test]
    fn reads_every_key() {
        let text = r#"
            [log]
            kind = "kafka"
            [log.kafka]
            brokers = "kafka-1:9092,kafka-2:9092"
            prefix = "city-"
            instance = "stream-1"
            replication = 5
            min_insync = 3
            linger = "20ms"
            compression = "zstd"
            max_pending = "16 MiB"
            delivery_timeout = "60s"
            session_timeout = "6s"
            transaction_timeout = "20s"
            password_file = "/run/secrets/kafka"
            token_file = "/run/secrets/token"
            [log.kafka.security]
            "security.protocol" = "SASL_PLAINTEXT"
            [log.kafka.properties]
            "socket.keepalive.enable" = "true"
        "#;
        let config = Config::parse(text).expect("all keys are right");
        let LogKind::Kafka(kafka) = config.log.kind else { panic!("it says kafka") };
        assert_eq!(kafka.instance.as_deref(), Some("stream-1"));
        assert_eq!((kafka.replication, kafka.min_insync), (5, 3));
        assert_eq!(kafka.max_pending_bytes, 16 << 20);
        assert_eq!(kafka.security["security.protocol"], "SASL_PLAINTEXT");
        assert_eq!(kafka.properties["socket.keepalive.enable"], "true");
    }

    #[test]
    fn says_every_problem_at_once() {
        let text = "\
[log]
kind = \"kafka\"
[log.kafka]
brokers = \"kafka-1\"
prefix = \"a/b\"
replication = 2
min_insync = 3
compression = \"rar\"
[log.kafka.properties]
acks = \"1\"
\"linger.ms\" = 5
";
        let found = Config::parse(text).expect_err("the section is broken");
        let found: String = found.iter().map(|problem| format!("{problem}\n")).collect();
        expect_test::expect![[r#"
            log.kafka.min_insync: can't be more than replication, which is 2
            line 4: log.kafka.brokers: must be hosts with ports such as "kafka-1:9092,kafka-2:9092"
            line 5: log.kafka.prefix: must be 1 to 100 of A-Z a-z 0-9 . _ -
            line 8: log.kafka.compression: "rar" is none of none, lz4, zstd, gzip, snappy
            line 10: log.kafka.properties.acks: is not for choosing: the log's promises hang on it, or a key of [log.kafka] sets it
            line 11: log.kafka.properties.linger.ms: must be a text, not integer
        "#]].assert_eq(&found);
    }

    #[test]
    fn a_section_that_nobody_reads_is_told() {
        let found = Config::parse("[log.kafka]\nbrokers = \"kafka:9092\"\n").expect_err("kind is embedded");
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().contains("log.kind"), "{}", found[0]);
    }
}
