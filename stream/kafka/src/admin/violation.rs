//! A promise that a topic does not keep.

use std::time::Duration;

use super::TopicState;
use crate::settings::LARGEST_BYTES;
use crate::{Cleanup, TopicPlan};

/// A promise that a topic does not keep, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The topic is not there.
    #[error("{topic} is not there")]
    Missing {
        /// The topic.
        topic: String,
    },
    /// A key would stand in another partition than its records so far.
    #[error("{topic} has {found} partitions and must have {asked}; a change is a migration into new topics")]
    Partitions {
        /// The topic.
        topic: String,
        /// As it is.
        found: u32,
        /// As planned.
        asked: u32,
    },
    /// Fewer brokers than planned would have to be lost to lose records.
    #[error("{topic} has a partition with {found} replicas where {asked} were asked")]
    Replication {
        /// The topic.
        topic: String,
        /// As it is.
        found: u32,
        /// As planned.
        asked: u32,
    },
    /// A setting is not what the promise needs.
    #[error("{topic} has {setting}={found}, which {why}; it must be {asked}")]
    Setting {
        /// The topic.
        topic: String,
        /// Kafka's name of it.
        setting: &'static str,
        /// As it is.
        found: String,
        /// What it must be, in words.
        asked: String,
        /// What would come of it.
        why: &'static str,
    },
}

/// What is wrong with the topic `name`.
pub(super) fn of(name: &str, plan: &TopicPlan, states: &[TopicState]) -> Vec<Violation> {
    let topic = name.to_owned();
    let Some(state) = states.iter().find(|state| state.name == name) else {
        return vec![Violation::Missing { topic }];
    };
    let mut found = Vec::new();
    if state.partitions != plan.partitions {
        found.push(Violation::Partitions {
            topic: topic.clone(),
            found: state.partitions,
            asked: plan.partitions,
        });
    }
    if state.replication < plan.replication {
        let (found_replicas, asked) = (state.replication, plan.replication);
        found.push(Violation::Replication { topic: topic.clone(), found: found_replicas, asked });
    }
    let settings = rules(plan).into_iter().filter(|rule| !rule.holds(state));
    found.extend(settings.map(|rule| Violation::Setting {
        topic: topic.clone(),
        setting: rule.setting,
        found: state.setting(rule.setting).to_owned(),
        asked: rule.asked(),
        why: rule.why,
    }));
    found
}

/// What a setting must be.
struct Rule {
    setting: &'static str,
    must: Must,
    why: &'static str,
}

enum Must {
    Be(&'static str),
    /// A number, -1 being more than any.
    BeAtLeast(Option<u64>),
}

impl Rule {
    fn holds(&self, state: &TopicState) -> bool {
        match self.must {
            Must::Be(asked) => state.setting(self.setting) == asked,
            Must::BeAtLeast(None) => state.number(self.setting) == Some(-1),
            Must::BeAtLeast(Some(asked)) => {
                let is_enough = |found: i64| u64::try_from(found).map_or(found == -1, |found| found >= asked);
                state.number(self.setting).is_some_and(is_enough)
            }
        }
    }

    fn asked(&self) -> String {
        match self.must {
            Must::Be(asked) => asked.to_owned(),
            Must::BeAtLeast(None) => "-1".to_owned(),
            Must::BeAtLeast(Some(asked)) => format!("at least {asked}"),
        }
    }
}

fn rules(plan: &TopicPlan) -> Vec<Rule> {
    let at_least = |setting, number, why| Rule { setting, must: Must::BeAtLeast(number), why };
    let be = |setting, asked, why| Rule { setting, must: Must::Be(asked), why };
    let mut rules = vec![
        at_least(
            "min.insync.replicas",
            Some(u64::from(plan.min_insync)),
            "acknowledges what too few brokers have",
        ),
        at_least("max.message.bytes", Some(LARGEST_BYTES as u64), "refuses records that are allowed"),
        be("unclean.leader.election.enable", "false", "lets a broker lead that lacks acknowledged records"),
        be("message.timestamp.type", "LogAppendTime", "lets a sender's clock decide what retention removes"),
    ];
    match plan.cleanup {
        Cleanup::Compact => {
            rules.push(be("cleanup.policy", "compact", "would remove the state of a quiet partition"))
        }
        Cleanup::Delete { age, bytes } => rules.extend([
            be("cleanup.policy", "delete", "would remove all but the newest record of each key"),
            at_least("retention.ms", age.map(millis), "removes records before their time"),
            at_least("retention.bytes", bytes, "removes records before their time"),
        ]),
    }
    rules
}

fn millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const PLAN: TopicPlan = TopicPlan {
        partitions: 4,
        replication: 3,
        min_insync: 2,
        cleanup: Cleanup::Delete { age: Some(Duration::from_secs(60)), bytes: None },
    };

    fn sound() -> TopicState {
        let config = super::super::config(&PLAN).into_iter().map(|(name, value)| (name.to_owned(), value));
        let (name, config) = ("telemetry".to_owned(), config.collect::<BTreeMap<_, _>>());
        TopicState { name, partitions: 4, replication: 3, in_sync: 3, config }
    }

    fn check(change: impl FnOnce(&mut TopicState), expected: &[&str]) {
        let mut state = sound();
        change(&mut state);
        let found = of("telemetry", &PLAN, &[state]);
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }

    fn set(name: &str, value: &str) -> impl FnOnce(&mut TopicState) {
        move |state| drop(state.config.insert(name.to_owned(), value.to_owned()))
    }

    #[test]
    fn what_we_make_is_what_we_ask_for() {
        check(|_| {}, &[]);
        check(set("retention.ms", "-1"), &[]);
        check(|state| state.replication = 4, &[]);
    }

    #[test]
    fn every_broken_promise_is_named() {
        check(|state| state.name = "other".to_owned(), &["telemetry is not there"]);
        check(
            |state| state.partitions = 3,
            &["telemetry has 3 partitions and must have 4; a change is a migration into new topics"],
        );
        check(
            |state| state.replication = 1,
            &["telemetry has a partition with 1 replicas where 3 were asked"],
        );
        check(
            set("cleanup.policy", "compact"),
            &[
                "telemetry has cleanup.policy=compact, which would remove all but the newest record of each key; \
               it must be delete",
            ],
        );
        check(
            set("min.insync.replicas", "1"),
            &["telemetry has min.insync.replicas=1, which acknowledges what too few brokers have; \
               it must be at least 2"],
        );
        check(
            set("retention.ms", "59999"),
            &[
                "telemetry has retention.ms=59999, which removes records before their time; it must be at least 60000",
            ],
        );
        check(
            set("retention.bytes", "1000"),
            &["telemetry has retention.bytes=1000, which removes records before their time; it must be -1"],
        );
    }
}
