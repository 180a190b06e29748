//! `sluice replay`: history again, by the same code, and what would have been otherwise.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use prometheus::Registry as MetricsRegistry;
use records::{Subject, Timestamp};
use serde_json::{Value, json};

use super::all::block_on;
use super::{Failure, load};
use crate::cluster::{self, Cluster};
use crate::config::{Config, LogKind};
use crate::folder::Folder;
use crate::replay::{
    Change, Difference, Life, Read, Replay, Replayed, Source, difference, lives_of, partitions_on_disk,
};
use crate::rules;

/// Which history, and by which rules.
#[derive(Args)]
pub struct Arguments {
    /// Look at what was known from this time on (RFC 3339, ingest time); without it, at all that the log has
    #[arg(long, value_parser = super::instant)]
    from: Option<Timestamp>,
    /// Look at what was known before this time; without it, up to the end of the log
    #[arg(long, value_parser = super::instant)]
    to: Option<Timestamp>,
    /// Rules to try, instead of those that the configuration names
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Begin to read so long before --from, as in 24h, and not at the oldest record: faster, and what happened before
    /// is not known
    #[arg(long, requires = "from", value_parser = crate::config::duration)]
    warm_up: Option<Duration>,
    /// Write everything that comes out into a log of its own in this folder
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// The difference as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs it and prints the difference. The server may be running.
///
/// # Errors
/// The configuration or the rules are wrong, the log can't be read, or the folder not be written.
pub fn run(config: Option<&Path>, arguments: Arguments) -> Result<(), Failure> {
    let config = load(config)?;
    let rules = rules::load(arguments.rules.as_deref().or(config.stream.rules.as_deref()))?;
    let range = arguments.from.unwrap_or(Timestamp::MIN)..arguments.to.unwrap_or(Timestamp::MAX);
    if range.is_empty() {
        return Err(Failure::usage("--to must be later than --from"));
    }
    block_on(async {
        let (source, partitions) = history(&config).await?;
        let mut replay = Replay::new(&config, source, partitions, rules);
        (replay.range, replay.warm_up, replay.into) =
            (range.clone(), arguments.warm_up, arguments.into.clone());
        replay.is_trial = arguments.rules.is_some();
        if !replay.is_trial {
            replay.as_it_was().await?;
        }
        let before = replay.past_alerts().await?;
        let (from_the_oldest, began) = (arguments.warm_up.is_none(), Instant::now());
        let mut replayed = replay.run().await?;
        let (now, shadows) = (std::mem::take(&mut replayed.alerts), std::mem::take(&mut replayed.shadows));
        let report = Report {
            from_the_oldest,
            took: began.elapsed(),
            from: arguments.from,
            difference: difference(before, now),
            shadows: lives_of(shadows),
            replayed,
        };
        match arguments.json {
            true => println!("{}", report.json()),
            false => print!("{}", report.text()),
        }
        Ok(())
    })
}

async fn history(config: &Config) -> Result<(Source, stream::Partitions), Failure> {
    match &config.log.kind {
        LogKind::Embedded => {
            let dir = Folder::at(&config.data).log();
            let partitions = partitions_on_disk(&dir)?;
            Ok((Source::Embedded(dir), partitions))
        }
        LogKind::Kafka(kafka) => {
            let options = Arc::new(cluster::options(config, kafka)?);
            let cluster = Cluster::of(config, &MetricsRegistry::new())?.expect("the log is on Kafka");
            let log = cluster.connect_patiently().await?;
            let partitions = stream::Partitions::of(&log);
            Ok((Source::Kafka(options), partitions))
        }
    }
}

struct Report {
    from_the_oldest: bool,
    took: Duration,
    from: Option<Timestamp>,
    difference: Difference,
    shadows: Vec<Life>,
    replayed: Replayed,
}

impl Report {
    fn records(&self) -> u64 {
        self.replayed.read.values().map(|read| read.records).sum()
    }

    /// What of the beginning was not read, a sentence a partition: it says what cannot be known.
    fn unknown(&self) -> Vec<String> {
        let read = self.replayed.read.iter();
        let mut lines: Vec<String> = read
            .filter(|(_, read)| read.first > 0)
            .map(|(partition, read)| {
                let since = read.since.map_or_else(|| "an unknown time".to_owned(), instant);
                let (records, why) = (
                    read.first,
                    if self.from_the_oldest {
                        "are no longer on the log"
                    } else {
                        "were left out by --warm-up"
                    },
                );
                let is_late = self.from.is_some_and(|from| read.since.is_some_and(|since| since > from));
                let missing = if is_late { "; what is before it cannot be replayed" } else { "" };
                format!("telemetry/{partition}: {records} records {why}; it begins at {since}{missing}")
            })
            .collect();
        let lost = self.replayed.read.iter().filter(|(_, read)| read.lost > 0);
        lines.extend(lost.map(|(partition, Read { lost, .. })| {
            format!("telemetry/{partition}: retention removed {lost} records while they were to be read")
        }));
        if !lines.is_empty() {
            lines.push(
                "What was said before is not known: alerts and windows that were open, clocks that had been judged, \
                 numbers that had been seen, registry entries. Near the beginning the difference may be due to that."
                    .to_owned(),
            );
        }
        lines
    }

    fn text(&self) -> String {
        let Difference { same, only_before, only_now, changed } = &self.difference;
        let records = self.records();
        let rate = records as f64 / self.took.as_secs_f64().max(0.001);
        let mut text = format!("{records} records in {:.1} s, {rate:.0} a second\n", self.took.as_secs_f64());
        self.unknown().iter().for_each(|line| text += &format!("{line}\n"));
        text += &format!(
            "alerts: {same} the same, {} only before, {} only now, {} changed\n",
            only_before.len(),
            only_now.len(),
            changed.len()
        );
        only_before.iter().for_each(|life| text += &format!("only before\t{}\n", line(life)));
        only_now.iter().for_each(|life| text += &format!("only now\t{}\n", line(life)));
        self.shadows.iter().for_each(|life| text += &format!("in the shadow\t{}\n", line(life)));
        for Change { before, now, fields } in changed {
            text += &format!("changed ({})\t{}\n", fields.join(", "), line(before));
            text += &format!("\tnow\t{}\n", line(now));
        }
        text
    }

    fn json(&self) -> Value {
        let Difference { same, only_before, only_now, changed } = &self.difference;
        let lives = |lives: &[Life]| lives.iter().map(object).collect::<Vec<_>>();
        let changed = changed.iter().map(|Change { before, now, fields }| {
            json!({ "fields": fields, "before": object(before), "now": object(now) })
        });
        let read = self.replayed.read.iter().map(|(partition, read)| {
            json!({
                "partition": partition, "first": read.first, "since": read.since.map(Timestamp::millis),
                "records": read.records, "lost": read.lost,
            })
        });
        json!({
            "records": self.records(), "seconds": self.took.as_secs_f64(),
            "telemetry": read.collect::<Vec<_>>(), "unknown": self.unknown(),
            "alerts": {
                "same": same, "only_before": lives(only_before), "only_now": lives(only_now),
                "changed": changed.collect::<Vec<_>>(),
                "shadow": lives(&self.shadows),
            },
        })
    }
}

/// Rule, subject, since when, until when, how bad at its worst; columns by tab.
fn line(life: &Life) -> String {
    let cleared = life.cleared_at.map_or_else(|| "open".to_owned(), instant);
    let severity = life.severity.name();
    format!("{}\t{}\t{}\t{cleared}\t{severity}", life.rule, life.subject.name(), instant(life.opened_at))
}

fn object(life: &Life) -> Value {
    let subject = match &life.subject {
        Subject::Device(device) => json!({ "device": device }),
        Subject::Area(area) => json!({ "area": area }),
    };
    json!({
        "id": life.id, "rule": life.rule, "subject": subject, "opened_at": life.opened_at.millis(),
        "cleared_at": life.cleared_at.map(Timestamp::millis), "severity": life.severity.name(),
        "known_at": life.known_at.millis(),
    })
}

fn instant(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.millis()).map_or_else(|_| at.to_string(), |at| at.to_string())
}
