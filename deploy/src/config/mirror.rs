//! `[mirror]`: what another deployment is told.

use std::time::Duration;

use gateway::mirror::{Choice, Quality};
use records::Topic;

use super::kafka::{self, KafkaConfig};
use super::section::{Problems, Section};
use super::webhook::severity;
use super::{MS, SECOND};
use records::Severity;

/// `[mirror]`; absent: nothing is mirrored.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorConfig {
    /// What this deployment is called.
    pub city: String,
    /// What the deployment at the target is called.
    pub to: String,
    /// The most urgent first.
    pub topics: Vec<Topic>,
    /// Which records of them.
    pub choice: Choice,
    /// What may be sent, bits per second before compression.
    pub uplink_bits_per_second: Option<u64>,
    /// The longest time between two commits; an alert goes at once.
    pub commit_interval: Duration,
    /// `[mirror.kafka]`: where to.
    pub kafka: KafkaConfig,
}

/// What can be mirrored, the most urgent first.
const TOPICS: [Topic; 3] = [Topic::Alerts, Topic::Aggregates, Topic::Observations];

/// Reads the section when the file has one.
pub fn read(mut from: Section<'_>, problems: &mut Problems<'_>) -> Option<MirrorConfig> {
    if from.is_empty() {
        return None;
    }
    let (to_at, to_path) = (from.span("to"), from.path_of("to"));
    let city = from.required("city", problems, super::name).unwrap_or_default();
    let to = from.required("to", problems, super::name).unwrap_or_default();
    if !to.is_empty() && to == city {
        problems.add(to_at, to_path, "is this deployment itself");
    }
    let uplink = from.number("uplink_bits_per_second", 0, 0..1 << 40, problems);
    let mirror = MirrorConfig {
        city,
        to,
        topics: topics(&mut from, problems),
        choice: Choice {
            areas: from.texts("areas", problems).into_iter().map(|(_, area)| area).collect(),
            min_severity: severity(&mut from, Severity::Minor, problems),
            quality: quality(&mut from, problems),
        },
        uplink_bits_per_second: (uplink > 0).then_some(uplink),
        commit_interval: from.duration("commit_interval", 200 * MS, 10 * MS..60 * SECOND, problems),
        kafka: kafka::read(from.section("kafka", problems), problems),
    };
    from.end(problems);
    Some(mirror)
}

fn topics(from: &mut Section<'_>, problems: &mut Problems<'_>) -> Vec<Topic> {
    let path = from.path_of("topics");
    let named = from.texts("topics", problems);
    if named.is_empty() {
        return vec![Topic::Alerts, Topic::Aggregates];
    }
    for (at, name) in &named {
        if !TOPICS.iter().any(|topic| topic.name() == name) {
            let known = TOPICS.map(Topic::name).join(", ");
            problems.add(Some(at.clone()), path.clone(), format!("\"{name}\" is none of {known}"));
        }
    }
    TOPICS.into_iter().filter(|topic| named.iter().any(|(_, name)| topic.name() == name)).collect()
}

fn quality(from: &mut Section<'_>, problems: &mut Problems<'_>) -> Quality {
    let read = |text: &str| match text {
        "any" => Ok(Quality::Any),
        "usable" => Ok(Quality::Usable),
        _ => Err("must be any or usable".to_owned()),
    };
    from.read("quality", problems, read).unwrap_or(Quality::Any)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn reads_every_key() {
        let text = r#"
            [mirror]
            city = "guangzhou"
            to = "guangdong"
            topics = ["observations", "alerts"]
            areas = ["tianhe", "plant/line-1"]
            min_severity = "severe"
            quality = "usable"
            uplink_bits_per_second = 2000000
            commit_interval = "1s"
            [mirror.kafka]
            brokers = "province:9092"
            prefix = "gd-"
        "#;
        let mirror = Config::parse(text).expect("all keys are right").mirror.expect("it is there");
        assert_eq!(mirror.topics, [Topic::Alerts, Topic::Observations], "the most urgent first");
        assert_eq!(mirror.choice.areas, ["tianhe", "plant/line-1"]);
        assert_eq!(mirror.choice.min_severity, Severity::Severe);
        assert_eq!(mirror.choice.quality, Quality::Usable);
        assert_eq!((mirror.uplink_bits_per_second, mirror.commit_interval), (Some(2_000_000), SECOND));
        assert_eq!((mirror.kafka.brokers.as_str(), mirror.kafka.prefix.as_str()), ("province:9092", "gd-"));
    }

    #[test]
    fn says_what_is_missing_and_what_is_wrong() {
        let text = "\
[mirror]
city = \"gz\"
to = \"gz\"
topics = [\"telemetry\"]
min_severity = \"bad\"
quality = \"best\"
[mirror.kafka]
brokers = \"province\"
";
        let found = Config::parse(text).expect_err("the section is broken");
        let found: String = found.iter().map(|problem| format!("{problem}\n")).collect();
        expect_test::expect![[r#"
            line 3: mirror.to: is this deployment itself
            line 4: mirror.topics: "telemetry" is none of alerts, aggregates, observations
            line 5: mirror.min_severity: must be minor, moderate, severe or extreme
            line 6: mirror.quality: must be any or usable
            line 8: mirror.kafka.brokers: must be hosts with ports such as "kafka-1:9092,kafka-2:9092"
        "#]]
        .assert_eq(&found);
        let found = Config::parse("[mirror]\nto = \"a,b\"\n").expect_err("half of it is missing");
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
