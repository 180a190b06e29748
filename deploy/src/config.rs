//! What a deployment can choose: parse → validate everything, with all problems at once → a plain value.

mod clock;
mod console;
mod export;
mod gateway;
mod influx;
mod kafka;
mod log;
mod mapping;
mod mirror;
mod section;
mod source;
mod spool;
mod store;
mod tls;
mod units;
mod webhook;
mod websocket;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ::gateway::SourceConfig;
use ::gateway::normalize::mapping::Mapping;
use sinks::export::ExportOptions;
use toml::de::DeTable;

pub use console::{ConsoleConfig, LoginConfig};
pub use gateway::GatewayConfig;
pub use influx::InfluxConfig;
pub use kafka::KafkaConfig;
pub use log::{LogConfig, LogKind};
pub use mirror::MirrorConfig;
pub use section::Problem;
use section::{Problems, Section};
pub use spool::SpoolConfig;
pub use store::StoreConfig;
pub use tls::{ClientTlsConfig, TlsConfig};
pub(crate) use units::duration;
pub use webhook::WebhookConfig;
pub use websocket::WebSocketConfig;

/// Everything that a file can say; [`Config::default`] is what runs without one.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where all data is kept.
    pub data: PathBuf,
    /// The log.
    pub log: LogConfig,
    /// What a gateway on Kafka keeps until Kafka has it.
    pub spool: SpoolConfig,
    /// Where devices connect.
    pub gateway: GatewayConfig,
    /// The same through TLS.
    pub tls: Option<TlsConfig>,
    /// The same in a WebSocket.
    pub websocket: WebSocketConfig,
    /// What JSON on other topic names means.
    pub mappings: Vec<Mapping>,
    /// Brokers whose messages are taken in.
    pub sources: Vec<SourceConfig>,
    /// Windows, rules, alerts.
    pub stream: StreamConfig,
    /// How the clocks of devices are judged.
    pub clock: stream::ClockConfig,
    /// Time series on disk.
    pub store: StoreConfig,
    /// Files of what is stored.
    pub exports: Vec<ExportOptions>,
    /// InfluxDB 2, for those who have it.
    pub influx: Option<InfluxConfig>,
    /// Where transitions of alerts are posted to.
    pub webhook: Option<WebhookConfig>,
    /// What another deployment is told.
    pub mirror: Option<MirrorConfig>,
    /// Operators' page and API.
    pub console: ConsoleConfig,
    /// Metrics and health.
    pub admin: AdminConfig,
}

/// `[stream]`
#[derive(Clone, Debug, PartialEq)]
pub struct StreamConfig {
    /// Rules file; the built-in rules when absent.
    pub rules: Option<PathBuf>,
    /// Tasks that share the partitions of each job.
    pub workers: u32,
    /// Longest time between commits.
    pub commit_interval: Duration,
    /// How far a device's watermark trails its newest event time.
    pub out_of_orderness: Duration,
    /// How long a closed window still accepts.
    pub allowed_lateness: Duration,
    /// How long a silent device's window stays open, in ingest time.
    pub patience: Duration,
    /// How often is told what became of a device's messages.
    pub ledger_every: Duration,
    /// A device that says nothing for this long is idle, and its state is let go.
    pub idle_after: Duration,
}

/// `[admin]`
#[derive(Clone, Debug, PartialEq)]
pub struct AdminConfig {
    /// HTTP listener of `/metrics`, `/healthz`, `/readyz`.
    pub listen: SocketAddr,
}

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data: PathBuf::from("./data"),
            log: LogConfig::default(),
            spool: SpoolConfig::default(),
            gateway: GatewayConfig::default(),
            tls: None,
            websocket: WebSocketConfig::default(),
            mappings: Vec::new(),
            sources: Vec::new(),
            stream: StreamConfig {
                rules: None,
                workers: 2,
                commit_interval: 100 * MS,
                out_of_orderness: 10 * SECOND,
                allowed_lateness: 300 * SECOND,
                patience: 30 * SECOND,
                ledger_every: 900 * SECOND,
                idle_after: 30 * DAY,
            },
            clock: stream::ClockConfig::default(),
            store: StoreConfig::default(),
            exports: Vec::new(),
            influx: None,
            webhook: None,
            mirror: None,
            console: ConsoleConfig::default(),
            admin: AdminConfig { listen: loopback(9464) },
        }
    }
}

impl Config {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Every problem in it, in the order of its lines.
    pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
        let mut problems = Problems::new(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            problems.add(error.span(), "", error.message());
        }
        let config = read(Section::root(table.into_inner()), &mut problems);
        let problems = problems.into_sorted();
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// Whether the gateway's subscribers get alerts, aggregates and observations.
    pub fn publishes_results(&self) -> bool {
        self.gateway.results.unwrap_or(self.log.kind == LogKind::Embedded)
    }
}

fn read(mut root: Section<'_>, problems: &mut Problems<'_>) -> Config {
    let default = Config::default();
    let log = log::read(root.section("log", problems), problems);
    if let (Some(at), LogKind::Embedded) = (root.span("spool"), &log.kind) {
        problems.add(Some(at), "spool", "is only read when log.kind is \"kafka\"");
    }
    let spool = spool::read(root.section("spool", problems), problems);
    let commit_interval = log.kind.commit_interval();
    let stream_default = StreamConfig { commit_interval, ..default.stream };
    let tls = tls::read(root.section("tls", problems), problems);
    let config = Config {
        data: root.path("data", problems).unwrap_or(default.data),
        log,
        spool,
        gateway: gateway::read(root.section("gateway", problems), problems),
        websocket: websocket::read(root.section("websocket", problems), tls.is_some(), problems),
        tls,
        mappings: mapping::read(root.tables("mapping", problems), problems),
        sources: source::read(root.tables("source", problems), problems),
        stream: read_stream(root.section("stream", problems), stream_default, problems),
        clock: clock::read(root.section("clock", problems), problems),
        store: store::read(root.section("store", problems), problems),
        exports: export::read(root.tables("export", problems), problems),
        influx: influx::read(root.section("influx", problems), problems),
        webhook: webhook::read(root.section("webhook", problems), problems),
        mirror: mirror::read(root.section("mirror", problems), problems),
        console: console::read(root.section("console", problems), problems),
        admin: read_admin(root.section("admin", problems), default.admin, problems),
    };
    root.end(problems);
    check_ports(&config, problems);
    config
}

fn read_stream(mut from: Section<'_>, default: StreamConfig, problems: &mut Problems<'_>) -> StreamConfig {
    let workers = from.number("workers", u64::from(default.workers), 1..257, problems);
    let stream = StreamConfig {
        rules: from.path("rules", problems),
        workers: u32::try_from(workers).unwrap_or(default.workers),
        commit_interval: from.duration("commit_interval", default.commit_interval, MS..60 * SECOND, problems),
        out_of_orderness: from.duration("out_of_orderness", default.out_of_orderness, MS..DAY, problems),
        allowed_lateness: from.duration(
            "allowed_lateness",
            default.allowed_lateness,
            Duration::ZERO..DAY,
            problems,
        ),
        patience: from.duration("patience", default.patience, SECOND..DAY, problems),
        ledger_every: from.duration("ledger_every", default.ledger_every, SECOND..DAY, problems),
        idle_after: from.duration("idle_after", default.idle_after, HOUR..3660 * DAY, problems),
    };
    from.end(problems);
    stream
}

fn read_admin(mut from: Section<'_>, default: AdminConfig, problems: &mut Problems<'_>) -> AdminConfig {
    let admin = AdminConfig { listen: from.address("listen", default.listen, problems) };
    from.end(problems);
    admin
}

fn is_http(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace))
}

/// What stands in lists of names, and in those of files and transactions.
fn name(text: &str) -> Result<String, String> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(is_fine) {
        return Ok(text.to_owned());
    }
    Err("must be 1 to 64 of A-Z a-z 0-9 . _ -".to_owned())
}

/// Two listeners on one address would fail at start with an error that names neither key.
fn check_ports(config: &Config, problems: &mut Problems<'_>) {
    let listeners = [
        ("gateway.listen", config.gateway.listen),
        ("console.listen", config.console.listen),
        ("admin.listen", config.admin.listen),
    ];
    let tls = config.tls.as_ref().map(|tls| ("tls.listen", tls.listen));
    let WebSocketConfig { listen, tls_listen } = config.websocket;
    let websocket = listen.map(|listen| ("websocket.listen", listen));
    let secure_websocket = tls_listen.map(|listen| ("websocket.tls_listen", listen));
    let listeners: Vec<_> =
        listeners.into_iter().chain(tls).chain(websocket).chain(secure_websocket).collect();
    for (index, (path, address)) in listeners.iter().enumerate() {
        let earlier = listeners[..index].iter().find(|(_, other)| other == address && address.port() != 0);
        if let Some((other, _)) = earlier {
            problems.add(None, *path, format!("{address} is taken by {other}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a file, a line each.
    pub(super) fn problems(text: &str) -> String {
        let found = Config::parse(text).expect_err("the file is broken");
        found.iter().map(|problem| format!("{problem}\n")).collect()
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Config::parse(""), Ok(Config::default()));
    }

    #[test]
    fn reads_every_key() {
        let text = r#"
            data = "/var/lib/sluice"
            [log]
            partitions = 8
            retention = "30d"
            budget = "100 GiB"
            [gateway]
            listen = "0.0.0.0:1883"
            max_connections = 50000
            max_payload = "64 KiB"
            results = false
            connect_timeout = "5s"
            [tls]
            listen = "0.0.0.0:8883"
            certificate = "/etc/sluice/certificate.pem"
            key = "/etc/sluice/key.pem"
            [tls.clients]
            authorities = "/etc/sluice/authorities.pem"
            revoked = "/etc/sluice/revoked.pem"
            name = "dns:{device}.devices.example"
            required = false
            [websocket]
            listen = "0.0.0.0:8083"
            tls_listen = "0.0.0.0:8084"
            [stream]
            rules = "rules.toml"
            workers = 4
            commit_interval = "200ms"
            out_of_orderness = "20s"
            allowed_lateness = "10m"
            patience = "1m"
            ledger_every = "5m"
            idle_after = "90d"
            [clock]
            policy = "ingest"
            [store]
            retention = "90d"
            minutes_retention = "180d"
            hours_retention = "730d"
            days_retention = "7300d"
            budget = "200 GB"
            seal_age = "30s"
            [influx]
            url = "http://tsdb.example/influx"
            org = "city"
            bucket = "telemetry"
            token_file = "/etc/sluice/influx-token"
            raw = true
            tag_area = false
            tag_quantity = false
            batch_lines = 1000
            batch_size = "256 KiB"
            batch_age = "2s"
            timeout = "10s"
            max_series = 50000
            backfill_after = "5m"
            backfill_rate = 2000
            [webhook]
            url = "https://duty.example/hooks/sluice"
            secret_file = "/etc/sluice/webhook-secret"
            timeout = "5s"
            min_severity = "severe"
            start = "earliest"
            [console]
            listen = "0.0.0.0:8080"
            operator = "wang"
            password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"
            query_series = 500
            query_rows = 50000
            query_time = "5s"
            query_memory = "64 MiB"
            [admin]
            listen = "127.0.0.1:9000"
        "#;
        let config = Config::parse(text).expect("all keys are right");
        let default = Config::default();
        assert_ne!(config.data, default.data);
        assert_ne!(config.log, default.log);
        assert_ne!(config.gateway, default.gateway);
        assert_ne!(config.tls, default.tls);
        assert_ne!(config.websocket, default.websocket);
        assert_ne!(config.stream, default.stream);
        assert_ne!(config.clock, default.clock);
        assert_ne!(config.store, default.store);
        assert_ne!(config.influx, default.influx);
        assert_ne!(config.webhook, default.webhook);
        assert_ne!(config.console, default.console);
        assert_ne!(config.admin, default.admin);
        assert_eq!(config.stream.patience, Duration::from_secs(60));
        assert_eq!(config.log.budget_bytes, 100 << 30);
        let limits = config.console.limits;
        assert_eq!((limits.series, limits.rows, limits.time.as_secs()), (500, 50_000, 5));
        assert_eq!(limits.memory_bytes, 64 << 20);
    }

    #[test]
    fn says_every_problem_at_once_with_its_line_and_path() {
        let text = "\
dta = \"./data\"
[log]
partitions = 0
retention = \"7 weeks\"
[gateway]
listen = \"localhost\"
max_connections = \"many\"
[stream]
patience = 30
[console]
listen = \"0.0.0.0:8080\"
[admin]
listen = \"127.0.0.1:1883\"
";
        expect_test::expect![[r#"
            admin.listen: 127.0.0.1:1883 is taken by gateway.listen
            line 1: dta: unknown key
            line 3: log.partitions: must be a whole number from 1 to 256
            line 4: log.retention: "7 weeks" is not a length of time such as "250ms", "30s", "5m", "24h", "7d"
            line 6: gateway.listen: "localhost" is not an address with a port such as "127.0.0.1:1883"
            line 7: gateway.max_connections: must be a whole number from 1 to 1000000
            line 9: stream.patience: must be a length of time such as "30s", not integer
            line 11: console.listen: 0.0.0.0:8080 is reachable by others, so operator and password_hash are needed
        "#]]
        .assert_eq(&problems(text));
    }

    #[test]
    fn broken_syntax_is_a_problem_with_its_line() {
        let found = problems("[log\npartitions = 4\n[gateway]\nlisten = 7\n");
        assert!(found.contains("line 1: "), "{found}");
        assert!(found.contains("gateway.listen"), "{found}");
    }
}
