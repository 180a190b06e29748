//! `[spool]`: what a gateway keeps until Kafka has it.

use std::time::Duration;

use records::Family;

use super::section::{Problems, Section};
use super::{MS, SECOND};

/// `[spool]`, read when `log.kind` is `kafka`.
#[derive(Clone, Debug, PartialEq)]
pub struct SpoolConfig {
    /// `false`: no spool; PUBACK waits for Kafka.
    pub is_enabled: bool,
    /// Whose spool it is: no other gateway's name. When absent, what the process is called on Kafka.
    pub gateway: Option<String>,
    /// What it may take on disk; then devices wait.
    pub budget_bytes: u64,
    /// Families whose messages of QoS 0 are left out, and counted, when that is nearly used up.
    pub may_drop: Vec<Family>,
    /// Backlog goes at most at this rate.
    pub backlog_records_per_second: u32,
    /// The same in bytes.
    pub backlog_bytes_per_second: u32,
    /// What live records and backlog together may send, bits per second before compression.
    pub uplink_bits_per_second: Option<u64>,
    /// How often the spool notes what Kafka has.
    pub commit_interval: Duration,
}

impl Default for SpoolConfig {
    fn default() -> SpoolConfig {
        let forward = gateway::forward::Options::default();
        SpoolConfig {
            is_enabled: true,
            gateway: None,
            budget_bytes: 20_000_000_000,
            may_drop: Vec::new(),
            backlog_records_per_second: forward.backlog_records_per_second,
            backlog_bytes_per_second: forward.backlog_bytes_per_second,
            uplink_bits_per_second: forward.uplink_bits_per_second,
            commit_interval: forward.commit_interval,
        }
    }
}

/// Reads the section.
pub fn read(mut from: Section<'_>, problems: &mut Problems<'_>) -> SpoolConfig {
    let default = SpoolConfig::default();
    let bytes = from.size(
        "backlog_bytes_per_second",
        default.backlog_bytes_per_second.into(),
        1 << 10..1 << 32,
        problems,
    );
    let records = from.number(
        "backlog_records_per_second",
        default.backlog_records_per_second.into(),
        1..1 << 32,
        problems,
    );
    let uplink = from.number("uplink_bits_per_second", 0, 0..1 << 40, problems);
    let spool = SpoolConfig {
        is_enabled: from.flag("enabled", default.is_enabled, problems),
        gateway: from.text("gateway", problems),
        budget_bytes: from.size("budget", default.budget_bytes, 64 << 20..1 << 50, problems),
        backlog_records_per_second: u32::try_from(records).unwrap_or(u32::MAX),
        backlog_bytes_per_second: u32::try_from(bytes).unwrap_or(u32::MAX),
        uplink_bits_per_second: (uplink > 0).then_some(uplink),
        may_drop: families(&mut from, problems),
        commit_interval: from.duration(
            "commit_interval",
            default.commit_interval,
            10 * MS..60 * SECOND,
            problems,
        ),
    };
    from.end(problems);
    spool
}

fn families(from: &mut Section<'_>, problems: &mut Problems<'_>) -> Vec<Family> {
    let path = from.path_of("may_drop");
    let named = from.texts("may_drop", problems).into_iter().filter_map(|(at, name)| {
        let family = Family::from_name(&name);
        if family.is_none() {
            let names = Family::ALL.map(Family::name).join(", ");
            problems.add(Some(at), path.as_str(), format!("\"{name}\" is none of {names}"));
        }
        family
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const KAFKA: &str = "[log]\nkind = \"kafka\"\n[log.kafka]\nbrokers = \"k:9092\"\n[spool]\n";

    #[test]
    fn families_that_may_miss_something_are_named() {
        let config = Config::parse(&format!("{KAFKA}may_drop = [\"traffic\", \"other\"]\n"));
        assert_eq!(config.expect("both are families").spool.may_drop, [Family::Traffic, Family::Other]);
        let found = Config::parse(&format!("{KAFKA}may_drop = [\"traffic\", \"cars\"]\n"));
        let found: Vec<_> = found.expect_err("one is none").iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("line 6: spool.may_drop: \"cars\" is none of other, air,"), "{found:?}");
    }
}
