//! The loop: what is committed, what is tried again, what is left out.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use records::{Fetched, MemoryLog, Topic};
use sinks::{Sink, SinkError, Written, run};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Hands, ambient, append_bytes, count, log, metrics};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// A sink that does as it is told.
#[derive(Clone, Default)]
struct Told {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    written: Vec<String>,
    flushed: usize,
    /// So many calls fail as if the sink were away.
    outage: usize,
    /// Values it refuses for good.
    refused: Vec<&'static str>,
    due: Option<Instant>,
}

impl Told {
    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().unwrap())
    }

    fn written(&self) -> Vec<String> {
        self.with(|inner| inner.written.clone())
    }
}

impl Inner {
    fn answer(&mut self) -> Result<(), SinkError> {
        if self.outage > 0 {
            self.outage -= 1;
            return Err(SinkError::unavailable("away"));
        }
        Ok(())
    }
}

impl Sink for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    async fn write(&mut self, fetched: &Fetched) -> Result<Written, SinkError> {
        self.with(|inner| {
            inner.answer()?;
            let values: Vec<String> =
                fetched.batch.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect();
            if values.iter().any(|value| inner.refused.contains(&value.as_str())) {
                return Err(SinkError::Rejected("not this one".to_owned()));
            }
            inner.due.get_or_insert(Instant::now() + Duration::from_secs(5));
            inner.written.extend(values);
            Ok(Written { rows: 1, ..Written::default() })
        })
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.with(|inner| {
            inner.answer()?;
            inner.due = None;
            inner.flushed += 1;
            Ok(())
        })
    }

    fn flush_due(&self) -> Option<Instant> {
        self.with(|inner| inner.due)
    }
}

const TOPIC: Topic = Topic::Alerts;

fn values(list: &[&'static str]) -> Vec<&'static [u8]> {
    list.iter().map(|value| value.as_bytes()).collect()
}

/// What a reader of the group would still have to read.
async fn unread(log: &MemoryLog) -> Vec<String> {
    let mut consumer = log.consumer("told", &[TOPIC]);
    let mut left = Vec::new();
    while let Ok(Ok(Some(fetched))) =
        timeout(Duration::from_millis(50), records::Consumer::poll(&mut consumer)).await
    {
        left.extend(fetched.batch.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()));
    }
    left
}

#[tokio::test(start_paused = true)]
async fn commits_only_what_was_flushed() {
    let (log, sink, stop) = (log(), Told::default(), CancellationToken::new());
    let (metrics, registry) = metrics();
    append_bytes(&log, TOPIC, &values(&["a", "b"])).await;
    let running = tokio::spawn(run(
        log.consumer("told", &[TOPIC]),
        sink.clone(),
        ambient(&metrics, &Hands::new()),
        stop.clone(),
    ));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(sink.written(), ["a", "b"]);
    assert_eq!(
        count(&registry, "sluice_sinks_uncommitted_records"),
        2.0,
        "written, not flushed, not committed"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(sink.with(|inner| inner.flushed), 1, "due after five seconds");
    assert_eq!(count(&registry, "sluice_sinks_uncommitted_records"), 0.0);
    append_bytes(&log, TOPIC, &values(&["c"])).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.abort();
    let _ = running.await;
    assert_eq!(unread(&log).await, ["c"], "c was written and never flushed");
}

#[tokio::test(start_paused = true)]
async fn flushes_once_more_when_stopped() {
    let (log, sink, stop) = (log(), Told::default(), CancellationToken::new());
    append_bytes(&log, TOPIC, &values(&["a"])).await;
    let around = ambient(&metrics().0, &Hands::new());
    let running = tokio::spawn(run(log.consumer("told", &[TOPIC]), sink.clone(), around, stop.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert!(unread(&log).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn waits_while_the_sink_is_away_and_loses_nothing() {
    let (log, sink, stop) = (log(), Told::default(), CancellationToken::new());
    let (metrics, registry) = metrics();
    sink.with(|inner| inner.outage = 6);
    append_bytes(&log, TOPIC, &values(&["a", "b"])).await;
    let around = ambient(&metrics, &Hands::new());
    let running = tokio::spawn(run(log.consumer("told", &[TOPIC]), sink.clone(), around, stop.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(sink.written().is_empty(), "0.1 + 0.2 + 0.4 + … s have not passed yet");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(sink.written(), ["a", "b"]);
    assert_eq!(count(&registry, "sluice_sinks_retries_total"), 6.0);
    log.close();
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_outage_does_not_keep_it_from_stopping() {
    let (log, sink, stop) = (log(), Told::default(), CancellationToken::new());
    sink.with(|inner| inner.outage = usize::MAX);
    append_bytes(&log, TOPIC, &values(&["a"])).await;
    let around = ambient(&metrics().0, &Hands::new());
    let running = tokio::spawn(run(log.consumer("told", &[TOPIC]), sink.clone(), around, stop.clone()));
    tokio::time::sleep(Duration::from_secs(100)).await;
    stop.cancel();
    timeout(Duration::from_secs(1), running).await.expect("it stops").unwrap().unwrap();
    assert_eq!(unread(&log).await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn leaves_out_the_guilty_record_alone() {
    let (log, sink, stop) = (log(), Told::default(), CancellationToken::new());
    let (metrics, registry) = metrics();
    sink.with(|inner| inner.refused = vec!["c", "f"]);
    append_bytes(&log, TOPIC, &values(&["a", "b", "c", "d", "e", "f", "g"])).await;
    log.close();
    let around = ambient(&metrics, &Hands::new());
    run(log.consumer("told", &[TOPIC]), sink.clone(), around, stop).await.unwrap();
    assert_eq!(sink.written(), ["a", "b", "d", "e", "g"]);
    assert_eq!(count(&registry, "sluice_sinks_rejected_records_total"), 2.0);
    assert!(unread(&log).await.is_empty(), "the rest is committed");
}

#[tokio::test(start_paused = true)]
async fn ends_when_the_log_takes_no_commit() {
    let (log, sink, stop) = (log(), Told::default(), CancellationToken::new());
    append_bytes(&log, TOPIC, &values(&["a"])).await;
    log.fail_next_commits(1);
    let around = ambient(&metrics().0, &Hands::new());
    let result = run(log.consumer("told", &[TOPIC]), sink, around, stop).await;
    assert!(matches!(result, Err(SinkError::Log(_))), "{result:?}");
    assert_eq!(unread(&log).await, ["a"]);
}
