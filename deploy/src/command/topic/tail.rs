//! `sluice topic tail`: the records of a topic as they come, on either log.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use embedded::Selection;
use kafka::{Start, ViewError};
use records::{Entry, Offset, Timestamp, Topic, TopicPartition};
use serde_json::Value;

use super::words;
use crate::cluster;
use crate::command::Failure;
use crate::config::{Config, LogKind};
use crate::folder::Folder;

/// How often the embedded log is looked into for more.
const PAUSE: Duration = Duration::from_millis(200);

/// Which records.
#[derive(Args)]
pub struct Arguments {
    /// telemetry, observations, aggregates, alerts, quarantine or audit
    #[arg(value_parser = crate::command::log::topic)]
    topic: Topic,
    /// A JSON object a line, instead of columns
    #[arg(long)]
    json: bool,
    /// earliest, latest, @MILLISECONDS since 1970 (by when the log took a record), or an offset in each partition
    #[arg(long, default_value = "latest", value_parser = start)]
    from: Start,
    /// Only records that say so: FIELD=VALUE, as in severity=extreme; all of several must hold
    #[arg(long = "where", value_name = "FIELD=VALUE", value_parser = condition)]
    conditions: Vec<Condition>,
    /// End when all that is there was printed
    #[arg(long)]
    exit: bool,
}

/// A field's name, and the value that it must have.
type Condition = (String, String);

/// Prints until everything is printed, with `--exit`, or for ever.
///
/// # Errors
/// The log can't be read.
pub fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let mut print = |at: TopicPartition, offset: Offset, entry: Entry<'_>| {
        let line = words::line(at, offset, entry);
        if !arguments.conditions.iter().all(|condition| holds(&line, condition)) {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        if arguments.json { writeln!(out, "{line}") } else { writeln!(out, "{}", columns(&line)) }
    };
    let ended = match &config.log.kind {
        LogKind::Embedded => on_disk(&Folder::at(&config.data).log(), arguments, &mut print),
        LogKind::Kafka(kafka) => {
            let options = cluster::options(config, kafka)?;
            kafka::view(&options, arguments.topic, arguments.from, !arguments.exit, &mut print)
                .map_err(in_words)
        }
    };
    ended.or_else(Stopped::into_result)
}

/// Why printing ended early.
enum Stopped {
    /// Nobody reads what is printed any more, as behind `| head`.
    Unread,
    Failed(Failure),
}

impl Stopped {
    fn into_result(self) -> Result<(), Failure> {
        match self {
            Stopped::Unread => Ok(()),
            Stopped::Failed(failure) => Err(failure),
        }
    }
}

fn in_words(error: ViewError) -> Stopped {
    match error {
        ViewError::Output(_) => Stopped::Unread,
        other => Stopped::Failed(Failure::because("topic", &other)),
    }
}

type Print<'a> = &'a mut dyn FnMut(TopicPartition, Offset, Entry<'_>) -> std::io::Result<()>;

/// Looks into the file again and again, beside the process that has it.
fn on_disk(dir: &Path, arguments: &Arguments, print: Print<'_>) -> Result<(), Stopped> {
    let failed = |error: embedded::InspectError| match error {
        embedded::InspectError::Output(_) => Stopped::Unread,
        other => Stopped::Failed(Failure::because("log", &other)),
    };
    let mut positions = beginnings(dir, arguments).map_err(failed)?;
    loop {
        for (at, position) in &mut positions {
            let selection = Selection {
                topic: at.topic,
                partition: Some(at.partition),
                from: *position,
                limit: u64::MAX,
            };
            embedded::export(dir, selection, |at, offset, entry| {
                *position = offset + 1;
                print(at, offset, entry)
            })
            .map_err(failed)?;
        }
        if arguments.exit {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

fn beginnings(
    dir: &Path,
    arguments: &Arguments,
) -> Result<BTreeMap<TopicPartition, Offset>, embedded::InspectError> {
    if let Start::At(time) = arguments.from {
        return embedded::offsets_at(dir, arguments.topic, time);
    }
    let survey = embedded::stats(dir)?;
    let stats = survey.partitions.into_iter().map(|partition| partition.stats);
    let of_topic = stats.filter(|stats| stats.partition.topic == arguments.topic);
    let beginning = |stats: embedded::PartitionStats| match arguments.from {
        Start::Offset(offset) => offset,
        Start::Latest => stats.next,
        Start::Earliest | Start::At(_) => stats.first,
    };
    Ok(of_topic.map(|stats| (stats.partition, beginning(stats))).collect())
}

/// Partition, offset, key, kind, and what it says.
fn columns(line: &Value) -> String {
    let kind = line["kind"].as_str().unwrap_or_default();
    let key = line["key"].as_str().unwrap_or_default();
    format!("{}\t{}\t{key}\t{kind}\t{}", line["partition"], line["offset"], line[kind])
}

/// Whether a field of that name, at any depth, has that value; texts are compared without quotation marks.
fn holds(value: &Value, condition: &Condition) -> bool {
    let (field, wanted) = condition;
    let is_it = |value: &Value| match value {
        Value::String(text) => text == wanted,
        other => serde_json::from_str(wanted).is_ok_and(|wanted: Value| *other == wanted),
    };
    match value {
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| (name == field && is_it(value)) || holds(value, condition))
        }
        Value::Array(values) => values.iter().any(|value| holds(value, condition)),
        _ => false,
    }
}

fn condition(text: &str) -> Result<Condition, String> {
    let parts = text.split_once('=').filter(|(field, _)| !field.is_empty());
    let (field, value) = parts.ok_or_else(|| "must be FIELD=VALUE, as in severity=extreme".to_owned())?;
    Ok((field.to_owned(), value.to_owned()))
}

fn start(text: &str) -> Result<Start, String> {
    let wrong = || "must be earliest, latest, an offset, or @ and milliseconds since 1970".to_owned();
    match text {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        text => match text.strip_prefix('@') {
            Some(millis) => millis.parse().map(|millis| Start::At(Timestamp(millis))).map_err(|_| wrong()),
            None => text.parse().map(Start::Offset).map_err(|_| wrong()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_condition_is_looked_for_at_any_depth() {
        let line = json!({ "alert": { "severity": "extreme", "subject": { "area": "a" }, "transition": 2 } });
        let check = |text: &str, expected: bool| {
            assert_eq!(holds(&line, &condition(text).expect("it is one")), expected, "{text}");
        };
        check("severity=extreme", true);
        check("area=a", true);
        check("transition=2", true);
        check("severity=minor", false);
        check("level=extreme", false);
        assert!(condition("severity").is_err());
    }

    #[test]
    fn a_start_is_a_word_an_offset_or_a_time() {
        assert_eq!(start("earliest"), Ok(Start::Earliest));
        assert_eq!(start("17"), Ok(Start::Offset(17)));
        assert_eq!(start("@1700000000000"), Ok(Start::At(Timestamp(1_700_000_000_000))));
        assert!(start("yesterday").is_err());
    }
}
