//! `kill -9` at random moments: what was acknowledged is there, in its place, once.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use common::*;
use embedded::Log;
use records::{Batch, Commit, Delivery, Offset, Pipe, Producer, Topic, TopicPartition};

const DIR: &str = "SLUICE_TEST_LOG_DIR";
const PARTITIONS: u32 = 4;
const WRITERS: usize = 8;

/// What the child said before it was killed: `ack <partition> <offset> <value>`.
struct Ack {
    partition: u32,
    offset: Offset,
    value: String,
}

#[test]
fn acknowledged_records_survive_five_kills() {
    survive(5);
}

#[test]
#[ignore = "needs a minute"]
fn acknowledged_records_survive_a_hundred_kills() {
    survive(100);
}

fn survive(kills: usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut acks = Vec::new();
    for _ in 0..kills {
        let before = acks.len();
        acks.extend(live_and_die(dir.path()));
        assert!(acks.len() > before, "the child acknowledged nothing");
        check(dir.path(), &acks);
    }
    println!("{} acknowledgements in {kills} lives", acks.len());
}

fn live_and_die(dir: &Path) -> Vec<Ack> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["the_child", "--exact", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let first = next_ack(&mut output).expect("the child ended by itself");
    let killer = std::thread::spawn(move || kill(child));
    let mut acks = vec![first];
    acks.extend(std::iter::from_fn(|| next_ack(&mut output)));
    killer.join().unwrap();
    acks
}

fn kill(mut child: Child) {
    let chance = RandomState::new().hash_one("when");
    std::thread::sleep(Duration::from_micros(chance % 400_000));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A line that was cut by the kill was not said.
fn next_ack(output: &mut BufReader<ChildStdout>) -> Option<Ack> {
    loop {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let words: Vec<_> = line.strip_suffix('\n')?.split(' ').collect();
        if let ["ack", partition, offset, value] = words[..] {
            let (partition, offset) = (partition.parse().unwrap(), offset.parse().unwrap());
            return Some(Ack { partition, offset, value: value.to_owned() });
        }
    }
}

#[tokio::main]
async fn check(dir: &Path, acks: &[Ack]) {
    let log = open(dir);
    let stored = all(&log, Topic::Telemetry).await;
    for Ack { partition, offset, value } in acks {
        let found = stored[*partition as usize].get(*offset as usize);
        assert_eq!(found, Some(value), "telemetry/{partition} at {offset}");
    }
    let mut seen = HashSet::new();
    assert!(stored.iter().flatten().all(|value| seen.insert(value)), "a record is there twice");
    // The job has copied the beginning of each partition, each record once, and committed how far.
    let copies = all(&log, Topic::Observations).await;
    for (partition, (copies, stored)) in copies.iter().zip(&stored).enumerate() {
        assert_eq!(copies[..], stored[..copies.len()]);
        let readers = &log.stats().partitions[partition].readers;
        let job = readers.iter().find(|reader| reader.name.to_string() == "job copy");
        assert_eq!(job.map_or(0, |job| job.next), copies.len() as Offset);
    }
}

/// The values of each partition, which begin at 0 and have no holes.
async fn all(log: &Log, topic: Topic) -> Vec<Vec<String>> {
    let mut values = vec![Vec::new(); PARTITIONS as usize];
    let stats = log.stats();
    let ends: u64 = stats.partitions.iter().filter(|p| p.partition.topic == topic).map(|p| p.next).sum();
    let mut consumer = log.consumer("check", &[topic]);
    let mut read = 0;
    while read < ends {
        let fetched = poll(&mut consumer).await.unwrap().unwrap();
        let of_partition = &mut values[fetched.partition.partition as usize];
        assert_eq!(fetched.first, of_partition.len() as Offset);
        of_partition.extend(common::values(&fetched));
        read += fetched.batch.len() as u64;
    }
    values
}

/// Appends until it is killed, from many tasks, while a job copies.
#[test]
#[ignore = "needs a parent that kills it"]
fn the_child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let log = open(Path::new(&dir));
        let copy = tokio::spawn(copy(log.clone()));
        for writer in 0..WRITERS {
            tokio::spawn(write(log.clone(), writer));
        }
        copy.await.unwrap();
    });
}

async fn write(log: Log, writer: usize) {
    let life = std::process::id();
    for n in 0.. {
        let mut batches = Vec::new();
        for partition in [n, n + writer] {
            let at = at(Topic::Telemetry, partition as u32 % PARTITIONS);
            batches.push((at, format!("{life}-{writer}-{n}-{}", batches.len())));
        }
        let records: Vec<_> = batches.iter().map(|(at, value)| (*at, batch([value]))).collect();
        let offsets = log.append(records).await.unwrap();
        acknowledge(&batches, &offsets);
    }
}

fn acknowledge(batches: &[(TopicPartition, String)], offsets: &[Offset]) {
    let mut out = std::io::stdout().lock();
    for ((at, value), offset) in batches.iter().zip(offsets) {
        writeln!(out, "ack {} {offset} {value}", at.partition).unwrap();
    }
    out.flush().unwrap();
}

async fn copy(log: Log) {
    let mut pipe = log.pipe("copy", Topic::Telemetry, 0..PARTITIONS);
    let mut committed = [0; PARTITIONS as usize];
    loop {
        let fetched = match pipe.poll().await.unwrap().expect("the log is open") {
            Delivery::Assigned { partition, committed: offset, .. } => {
                committed[partition as usize] = offset;
                continue;
            }
            Delivery::Records(fetched) => fetched,
            Delivery::Revoked { .. } => unreachable!(),
        };
        // Without a snapshot it begins at the oldest record; what is out already is not put out again.
        let partition = fetched.partition.partition;
        let mut outputs = Batch::new();
        for (offset, key, value) in fetched.records() {
            if offset >= committed[partition as usize] {
                outputs.push(key, value);
            }
        }
        committed[partition as usize] = committed[partition as usize].max(fetched.next());
        let outputs = vec![(at(Topic::Observations, partition), outputs)];
        let offsets = vec![(partition, committed[partition as usize])];
        pipe.commit(Commit { outputs, offsets, snapshots: vec![] }).await.unwrap();
    }
}
