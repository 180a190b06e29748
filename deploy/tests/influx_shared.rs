//! Two sinks processes share what goes to InfluxDB, and one of them is killed: on a real Kafka, toward a stand-in.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use records::{
    Aggregate, Batch, Producer, Quantity, Record, Subject, Timestamp, Topic, TopicPartition, Window,
};
use support::site::{PARTITIONS, Site};
use support::sluice::Folder;

const PATIENCE: Duration = Duration::from_secs(120);
const OLD: i64 = 1_000;
const FRESH: i64 = 200;
/// Records that the backfill lane of a process writes in a second.
const RATE: u32 = 300;

/// Requests as they came: who sent them, and what.
type Taken = Arc<Mutex<Vec<(String, Bytes)>>>;

/// An InfluxDB that takes everything; its address.
async fn stand_in(taken: Taken) -> String {
    async fn take(State(taken): State<Taken>, uri: Uri, body: Bytes) -> StatusCode {
        let query = uri.query().unwrap_or_default().to_owned();
        taken.lock().expect("no panic").push((query, body));
        StatusCode::NO_CONTENT
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take).with_state(taken)).await });
    url
}

fn plain(body: &[u8]) -> String {
    let mut gzip = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let gzip = gzip.as_mut().expect("gzip is there");
    let mut stdin = gzip.stdin.take().expect("it is piped");
    let body = body.to_vec();
    let feeding = std::thread::spawn(move || stdin.write_all(&body));
    let mut text = String::new();
    std::io::Read::read_to_string(gzip.stdout.as_mut().expect("it is piped"), &mut text).expect("text");
    feeding.join().expect("no panic").expect("gzip reads");
    gzip.wait().expect("it ends");
    text
}

/// Which processes have sent each line, in order.
fn senders(taken: &Taken) -> BTreeMap<String, Vec<String>> {
    let mut senders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (query, body) in taken.lock().expect("no panic").clone() {
        let org = query.split('&').find_map(|pair| pair.strip_prefix("org=")).expect("an org").to_owned();
        for line in plain(&body).lines() {
            senders.entry(line.to_owned()).or_default().push(org.clone());
        }
    }
    senders
}

fn window(partition: u32, index: i64, as_of: i64) -> Record {
    let start = 1_795_334_400_000 + index * 600_000;
    Record::Aggregate(Aggregate {
        subject: Subject::Device(format!("air-{partition}").into()),
        area: "Tianhe".into(),
        quantity: Quantity::from_name("pm2_5"),
        window: Window { start: Timestamp(start), end: Timestamp(start + 600_000) },
        revision: 0,
        count: 10,
        good: 10,
        sum: 10.0,
        mean: 1.0,
        min: 1.0,
        max: 1.0,
        as_of: Timestamp(as_of),
        is_backfill: false,
    })
}

/// Windows of these numbers on every partition.
async fn append(log: &kafka::Log, indices: std::ops::Range<i64>, as_of: i64) {
    for partition in 0..PARTITIONS {
        let mut batch = Batch::new();
        for index in indices.clone() {
            batch.push_with(b"key", |bytes| window(partition, index, as_of).encode(bytes));
        }
        let place = TopicPartition { topic: Topic::Aggregates, partition };
        log.append(vec![(place, batch)]).await.expect("the log takes it");
    }
}

fn process(site: &Site, name: &str, url: &str) -> Folder {
    let token = tempfile::NamedTempFile::new().expect("a file for the token");
    let (_, token) = token.keep().expect("it stays");
    std::fs::write(&token, "secret").expect("the file takes it");
    site.process(
        name,
        &format!(
            "[influx]\nurl = \"{url}\"\norg = \"{name}\"\nbucket = \"b\"\ntoken_file = {token:?}\n\
             batch_age = \"200ms\"\nbackfill_rate = {RATE}"
        ),
    )
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka"]
async fn what_a_killed_process_wrote_to_influxdb_the_other_goes_on_with() {
    let site = Site::on_the_given_broker();
    let taken = Taken::default();
    let url = stand_in(Arc::clone(&taken)).await;
    let folders = ["sinks-1", "sinks-2"].map(|name| process(&site, name, &url));
    let run = |folder: &Folder| {
        folder.try_start(&["sinks"]).unwrap_or_else(|| panic!("it does not start:\n{}", folder.log()))
    };
    let (first, second) = (run(&folders[0]), run(&folders[1]));
    let log = site.log("writer").await;
    let now = || deploy::clock::now().millis();

    // Until both have partitions of the live lane.
    let mut index = 0;
    let orgs = |taken: &Taken| {
        let taken = taken.lock().expect("no panic");
        taken.iter().map(|(query, _)| query.clone()).collect::<BTreeSet<_>>().len()
    };
    while orgs(&taken) < 2 {
        append(&log, index..index + 1, now()).await;
        index += 1;
        assert!(index < 200, "one of two writes nothing:\n{}\n{}", folders[0].log(), folders[1].log());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // And until the group has settled.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let probes = index;
    append(&log, index..index + OLD, now() - 3_600_000).await;
    append(&log, index + OLD..index + OLD + FRESH, now()).await;
    let lines = || senders(&taken).len() as i64;
    let partitions = i64::from(PARTITIONS);
    until("a third of the gap is written", || lines() > partitions * (probes + FRESH + OLD / 3)).await;
    let before = senders(&taken);
    let both = before.values().filter(|orgs| orgs.len() > 1).count() as i64;
    assert!(both <= partitions * probes, "{both} lines were sent twice while both were alive");
    first.kill();
    append(&log, index + OLD + FRESH..index + OLD + 2 * FRESH, now()).await;
    let all = partitions * (probes + OLD + 2 * FRESH);
    until("everything is written", || lines() == all).await;
    tokio::time::sleep(Duration::from_secs(3)).await;

    let after = senders(&taken);
    assert_eq!(after.len() as i64, all);
    let behind = |line: &&String| {
        let time: i64 = line.rsplit(' ').next().and_then(|time| time.parse().ok()).expect("a time");
        time >= 1_795_334_400_000 + probes * 600_000
    };
    let twice: Vec<_> = after.iter().filter(|(line, orgs)| behind(line) && orgs.len() > 1).collect();
    let by_one = twice.iter().filter(|(_, orgs)| orgs.iter().all(|org| *org == orgs[0])).count();
    eprintln!(
        "{} lines, {} sent again by the other after the kill, {by_one} by one",
        after.len(),
        twice.len()
    );
    assert!(twice.len() <= 3 * RATE as usize, "{} were sent again", twice.len());
    assert_eq!(by_one, 0, "nobody sends a line twice by itself");
    log.close().await;
    assert_eq!(second.stop(), Some(0), "{}", folders[1].log());
}
