//! Several processes on one Kafka, each with a folder of its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::outcome::Outcome;
use super::sluice::Folder;

/// Partitions of the topics that have several.
pub const PARTITIONS: u32 = 4;

/// A deployment with topics that nobody else uses.
pub struct Site {
    brokers: String,
    prefix: String,
    copies: u32,
}

impl Site {
    /// Makes the topics on the Kafka at `brokers`, with so many copies of everything.
    pub fn new(brokers: &str, copies: u32) -> Site {
        static SITES: AtomicU32 = AtomicU32::new(0);
        let (now, number) = (deploy::clock::now().millis(), SITES.fetch_add(1, Ordering::Relaxed));
        let prefix = format!("test-{now}-{number}-");
        let site = Site { brokers: brokers.trim().to_owned(), prefix, copies };
        let made = site.process("admin", "").command(&["topic", "create"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        site
    }

    /// The Kafka that `SLUICE_KAFKA` names.
    pub fn on_the_given_broker() -> Site {
        let brokers = std::env::var("SLUICE_KAFKA").expect("SLUICE_KAFKA names a broker");
        Site::new(&brokers, 1)
    }

    /// The folder and configuration of a process of this name; `more` is added to the configuration.
    pub fn process(&self, instance: &str, more: &str) -> Folder {
        let kafka = self.kafka();
        Folder::new(&format!(
            "[log]\nkind = \"kafka\"\npartitions = {PARTITIONS}\n[log.kafka]\n{kafka}\n\
             instance = \"{instance}\"\nsession_timeout = \"6s\"\n{more}\n"
        ))
    }

    /// Where it is, in the words of a configuration.
    pub fn kafka(&self) -> String {
        let Site { brokers, prefix, copies } = self;
        let in_sync = copies.div_ceil(2);
        format!(
            "brokers = \"{brokers}\"\nprefix = \"{prefix}\"\nreplication = {copies}\nmin_insync = {in_sync}"
        )
    }

    /// What is on the topics now.
    pub fn outcome(&self) -> Outcome {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let log = self.log("judge").await;
            let outcome = Outcome::of(log.consumer("judge", Outcome::TOPICS), Duration::from_secs(15)).await;
            log.close().await;
            outcome
        })
    }

    /// The log as the tests read it.
    pub async fn log(&self, instance: &str) -> kafka::Log {
        let mut options = kafka::Options::new(self.brokers.clone(), instance);
        options.prefix.clone_from(&self.prefix);
        for plan in options
            .topics
            .topics
            .iter_mut()
            .chain([&mut options.topics.snapshots, &mut options.topics.mirrors])
        {
            (plan.replication, plan.min_insync) = (1, 1);
            plan.cleanup = match plan.cleanup {
                kafka::Cleanup::Compact => kafka::Cleanup::Compact,
                kafka::Cleanup::Delete { .. } => {
                    kafka::Cleanup::Delete { age: Some(Duration::from_secs(1)), bytes: Some(1) }
                }
            };
            if plan.partitions > 1 {
                plan.partitions = PARTITIONS;
            }
        }
        let metrics =
            kafka::Metrics::register(&prometheus::Registry::new()).expect("an empty registry takes all");
        kafka::Log::connect(options, metrics).await.expect("the topics are there")
    }
}

/// Waits until a process has said so.
pub fn wait_for_log(folder: &Folder, text: &str, patience: Duration) {
    let deadline = std::time::Instant::now() + patience;
    while !folder.log().contains(text) {
        assert!(std::time::Instant::now() < deadline, "\"{text}\" is not said:\n{}", folder.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}
