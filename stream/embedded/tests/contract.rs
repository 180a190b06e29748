//! The promises that every log makes.

#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::ops::Range;

use common::open_with;
use embedded::{EmbeddedConsumer, EmbeddedPipe, Log, Options};
use records::Topic;
use records::contract::{Engine, PARTITIONS};

struct Embedded {
    dir: tempfile::TempDir,
    log: Log,
}

impl Embedded {
    fn new() -> Embedded {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        Embedded { dir, log }
    }
}

fn open(dir: &std::path::Path) -> Log {
    let mut options = Options::default();
    for topic in Topic::ALL {
        options[topic].partitions = PARTITIONS;
    }
    open_with(dir, options).unwrap()
}

impl Engine for Embedded {
    type Producer = Log;
    type Consumer = EmbeddedConsumer;
    type Pipe = EmbeddedPipe;

    fn producer(&self) -> Log {
        self.log.clone()
    }

    fn consumer(&self, group: &str, topics: &[Topic]) -> EmbeddedConsumer {
        self.log.consumer(group, topics)
    }

    fn consumer_from_end(&self, group: &str, topics: &[Topic]) -> EmbeddedConsumer {
        self.log.consumer_from_end(group, topics)
    }

    fn pipe(&self, job: &str, topic: Topic, partitions: Range<u32>) -> EmbeddedPipe {
        self.log.pipe(job, topic, partitions)
    }

    fn close(&self) {
        drop(self.log.close());
    }

    fn restart(self) -> Embedded {
        let Embedded { dir, log } = self;
        drop(log);
        Embedded { log: open(dir.path()), dir }
    }
}

records::contract_tests!(Embedded::new());
records::range_tests!(Embedded::new());
