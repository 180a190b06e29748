//! The promises that every log makes.

#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::ops::Range;

use common::{connect_now, options, prefix};
use kafka::{KafkaConsumer, KafkaPipe, Log, Options};
use records::contract::{Engine, PARTITIONS};
use records::{Commit, Delivery, LogError, Pipe, Topic};

struct OnKafka {
    options: Options,
    log: Log,
}

impl OnKafka {
    fn new() -> OnKafka {
        let options = options(&prefix("contract"), "one", PARTITIONS);
        OnKafka { log: connect_now(options.clone()), options }
    }
}

impl Engine for OnKafka {
    type Producer = Log;
    type Consumer = KafkaConsumer;
    type Pipe = Shown;

    fn producer(&self) -> Log {
        self.log.clone()
    }

    fn consumer(&self, group: &str, topics: &[Topic]) -> KafkaConsumer {
        self.log.consumer(group, topics)
    }

    fn consumer_from_end(&self, group: &str, topics: &[Topic]) -> KafkaConsumer {
        self.log.consumer_from_end(group, topics)
    }

    fn pipe(&self, job: &str, topic: Topic, partitions: Range<u32>) -> Shown {
        Shown { pipe: self.log.pipe(job, topic), partitions }
    }

    fn close(&self) {
        drop(self.log.close());
    }

    fn restart(self) -> OnKafka {
        let OnKafka { options, log } = self;
        drop(log);
        OnKafka { log: connect_now(options.clone()), options }
    }
}

/// A pipe gets all partitions when there is one worker; here some are shown.
struct Shown {
    pipe: KafkaPipe,
    partitions: Range<u32>,
}

impl Pipe for Shown {
    async fn poll(&mut self) -> Result<Option<Delivery>, LogError> {
        loop {
            let delivery = self.pipe.poll().await?;
            let partition = match &delivery {
                None => return Ok(None),
                Some(Delivery::Assigned { partition, .. } | Delivery::Revoked { partition }) => *partition,
                Some(Delivery::Records(fetched)) => fetched.partition.partition,
            };
            if self.partitions.contains(&partition) {
                return Ok(delivery);
            }
        }
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        self.pipe.commit(commit).await
    }
}

records::contract_tests!(OnKafka::new(), ignore = "needs Kafka");
