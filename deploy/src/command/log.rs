//! `sluice log …`: looks into the log's file and copies it, also while the server runs.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use embedded::{Selection, Survey};
use records::{Entry, Offset, Timestamp, Topic, TopicPartition};
use serde_json::json;

use super::{Failure, load};
use crate::clock;
use crate::folder::Folder;

/// Which log, and what to do with it.
#[derive(Args)]
pub struct Arguments {
    /// The spool of a gateway on Kafka instead of the log
    #[arg(long, global = true)]
    spool: bool,

    #[command(subcommand)]
    command: Command,
}

/// What to do with the log.
#[derive(Subcommand)]
pub enum Command {
    /// Read everything and name all that is not as it was written
    Verify,
    /// Show what is in each partition and how far each reader is
    Stats,
    /// Print records as JSON, a line each: key and value as hexadecimal digits
    Export(ExportArguments),
    /// Copy the log into a folder that holds none
    Backup {
        /// The folder
        to: PathBuf,
    },
}

/// Which records.
#[derive(Args)]
pub struct ExportArguments {
    /// telemetry, observations, aggregates, alerts, quarantine or audit
    #[arg(value_parser = topic)]
    topic: Topic,
    /// Of this partition alone
    #[arg(long)]
    partition: Option<u32>,
    /// From this offset of each partition on
    #[arg(long, default_value_t = 0)]
    from: Offset,
    /// At most so many of each partition
    #[arg(long, default_value_t = u64::MAX)]
    limit: u64,
}

/// Runs the command on the log of the configured data folder.
///
/// # Errors
/// There is no log, it can't be read, or it is damaged.
pub fn run(config: Option<&Path>, arguments: Arguments) -> Result<(), Failure> {
    let folder = Folder::at(&load(config)?.data);
    let dir = if arguments.spool { folder.spool() } else { folder.log() };
    match arguments.command {
        Command::Verify => return verify(&dir),
        Command::Stats => embedded::stats(&dir).map(|survey| print!("{}", table(&survey))),
        Command::Export(arguments) => export(&dir, &arguments),
        Command::Backup { to } => embedded::backup(&dir, &to, clock::now())
            .map(|()| println!("copied to {}", to.join("log.db").display())),
    }
    .map_err(|error| Failure::because("log", &error))
}

fn verify(dir: &Path) -> Result<(), Failure> {
    let found = embedded::verify(dir).map_err(|error| Failure::because("log", &error))?;
    let embedded::Verification { records, bytes, notes, .. } = &found;
    println!("{records} records of {bytes} bytes and {notes} notes are as they were written");
    if found.damages.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = found.damages.iter().map(ToString::to_string).collect();
    Err(Failure::failed(format_args!("log:\n{}", lines.join("\n"))))
}

fn export(dir: &Path, arguments: &ExportArguments) -> Result<(), embedded::InspectError> {
    let ExportArguments { topic, partition, from, limit } = *arguments;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let selection = Selection { topic, partition, from, limit };
    embedded::export(dir, selection, |at, offset, entry| writeln!(out, "{}", line(at, offset, entry)))?;
    out.flush().map_err(embedded::InspectError::Output)
}

fn line(at: TopicPartition, offset: Offset, entry: Entry<'_>) -> serde_json::Value {
    let mut line = json!({
        "topic": at.topic.name(), "partition": at.partition, "offset": offset,
        "key": hexadecimal(entry.key), "value": hexadecimal(entry.value),
    });
    if let Some(origin) = entry.origin {
        line["origin"] = json!({ "gateway": origin.gateway, "spool": origin.spool, "offset": origin.offset });
    }
    line
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One line a partition and one a reader of it, columns by tab.
fn table(survey: &Survey) -> String {
    let made = survey.made.map_or_else(|| "unknown".to_owned(), |made| made.millis().to_string());
    let mut text = format!(
        "made_ms\t{made}\nfile_bytes\t{}\nfree_bytes\t{}\nwal_bytes\t{}\n\
         notes\t{}\nnote_bytes\t{}\npartition\tfirst\tnext\tbytes\toldest_ms\tnewest_ms\treader\tposition\tlag\n",
        survey.file_bytes, survey.free_bytes, survey.wal_bytes, survey.notes.count, survey.notes.bytes
    );
    let millis = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.millis().to_string());
    for partition in &survey.partitions {
        let stats = &partition.stats;
        let extent = format!("{}\t{}\t{}\t{}", stats.partition, stats.first, stats.next, stats.bytes);
        let times = format!("{}\t{}", millis(partition.oldest), millis(partition.newest));
        text += &format!("{extent}\t{times}\t\t\t\n");
        for reader in &stats.readers {
            text += &format!("{extent}\t{times}\t{}\t{}\t{}\n", reader.name, reader.next, reader.lag);
        }
    }
    text
}

/// The topic of that name.
pub(super) fn topic(text: &str) -> Result<Topic, String> {
    let names: Vec<&str> = Topic::ALL.into_iter().map(Topic::name).collect();
    Topic::ALL
        .into_iter()
        .find(|topic| topic.name() == text)
        .ok_or_else(|| format!("must be one of {}", names.join(", ")))
}
