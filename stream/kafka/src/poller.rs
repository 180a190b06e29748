//! The thread that polls Kafka for one reader, in order: records, and between them what the group decides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use records::{Entry, LogError, Offset, TopicPartition};

use crate::bystander::Probe;
use crate::error::{Refused, log_error, unavailable};
use crate::headers;
use crate::rebalances::{Item, Rebalances};

/// How long a poll waits, and so how soon the thread sees that it is to end.
const WAIT: Duration = Duration::from_millis(100);
/// How long a broker has to answer a question.
const PATIENCE: Duration = Duration::from_secs(10);
/// A reader that takes nothing for so long gets no more fetched for it, and the thread goes on speaking for it.
const STALL: Duration = Duration::from_millis(500);
/// After the close: so long nothing comes before it is asked whether anything is left but marks of transactions.
const SILENCE: Duration = Duration::from_millis(300);
/// After the close: how long a group may take to say what is ours.
const UNTOLD: Duration = Duration::from_secs(15);
/// Batches that are gathered before they are handed on.
const GATHERED: usize = 8;

/// Polls until the reader is gone.
pub(crate) struct Poller {
    consumer: Arc<BaseConsumer<Rebalances>>,
    is_closed: Arc<AtomicBool>,
    probe: Probe,
    closing: Option<Closing>,
    is_paused: bool,
}

/// The log was closed: what remains to be read.
struct Closing {
    since: Instant,
    /// What was there at that time, once it is known.
    ends: Option<BTreeMap<TopicPartition, Offset>>,
    /// When the last record came.
    heard: Instant,
    is_over: bool,
}

impl Poller {
    pub fn new(consumer: Arc<BaseConsumer<Rebalances>>, is_closed: Arc<AtomicBool>, probe: Probe) -> Poller {
        Poller { consumer, is_closed, probe, closing: None, is_paused: false }
    }

    /// Until the reader is gone, or has met an error: nothing is read past one.
    pub fn run(mut self) {
        while !self.context().seat.is_left() && !self.context().seat.is_fenced() {
            if let Err(error) = self.turn() {
                return self.context().send(Err(error));
            }
        }
    }

    /// Reads what there is, up to some batches, and hands it on.
    fn turn(&mut self) -> Result<(), LogError> {
        let mut wait = WAIT;
        while let Some(polled) = self.consumer.poll(wait) {
            wait = Duration::ZERO;
            match polled {
                Ok(message) => self.take(&message),
                Err(error) => self.meet(error)?,
            }
            if self.context().cutting().whole() >= GATHERED {
                break;
            }
        }
        let read = self.context().cutting().take();
        if let (Some(closing), false) = (&mut self.closing, read.is_empty()) {
            closing.heard = Instant::now();
        }
        for fetched in read {
            self.context().count(&fetched);
            self.hand_on(Item::Records(fetched));
        }
        self.close()
    }

    fn take(&self, message: &BorrowedMessage<'_>) {
        let Some(topic) = self.context().names.topic(message.topic()) else { return };
        let (Ok(partition), Ok(offset)) = (message.partition().try_into(), message.offset().try_into())
        else {
            return;
        };
        let (origin, mirrored) = headers::whence(message);
        let entry = Entry {
            key: message.key().unwrap_or_default(),
            value: message.payload().unwrap_or_default(),
            origin,
            mirrored,
        };
        self.context().cutting().push(TopicPartition { topic, partition }, offset, entry);
    }

    /// Waits for the reader; one that takes nothing for a while must not make the group believe that we are dead.
    fn hand_on(&mut self, item: Item) {
        let mut item = item;
        while let Err(back) = self.context().send_within(item, STALL) {
            item = back;
            self.pause();
            // Serves what the group decides; while all is paused no record comes.
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => self.take(&message),
                Some(Err(error)) => tracing::debug!(%error, "while the reader is busy"),
                None => {}
            }
        }
        self.resume();
    }

    fn pause(&mut self) {
        self.is_paused = self.each_assigned(|assignment| self.consumer.pause(assignment)) || self.is_paused;
    }

    fn resume(&mut self) {
        let is_over = self.closing.as_ref().is_some_and(|closing| closing.is_over);
        if self.is_paused && !is_over {
            self.is_paused = !self.each_assigned(|assignment| self.consumer.resume(assignment));
        }
    }

    fn each_assigned(&self, act: impl Fn(&TopicPartitionList) -> Result<(), KafkaError>) -> bool {
        let done = self.consumer.assignment().and_then(|assignment| act(&assignment));
        if let Err(error) = &done {
            tracing::warn!(%error, "partitions can't be paused or resumed");
        }
        done.is_ok()
    }

    /// What a poll may say instead of a record.
    fn meet(&self, error: KafkaError) -> Result<(), LogError> {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => self.skip_removed(),
            // The client goes on by itself.
            Some(
                Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::UnknownTopicOrPartition
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition,
            ) => {
                tracing::debug!(%error, "reading goes on when a broker answers");
                Ok(())
            }
            _ => Err(log_error(error)),
        }
    }

    /// A position is outside of what the broker has: below, and retention has removed records; or above, and records
    /// that were read are gone.
    fn skip_removed(&self) -> Result<(), LogError> {
        let positions = self.context().cutting().positions();
        for (place, position) in positions {
            let Some(position) = position else { continue };
            let (oldest, end) = self.watermarks(place)?;
            if position > end {
                let detail = "it was read, and is not there any more".to_owned();
                return Err(LogError::Damaged { partition: place, offset: position, detail });
            }
            if position < oldest {
                let lost = self.context().cutting().skip_to(place, oldest);
                self.context().lost(place, lost);
                self.go_to(place, oldest).map_err(log_error)?;
            }
        }
        Ok(())
    }

    /// A partition that has met an error takes no seek; it is given up and taken again, here alone.
    fn go_to(&self, place: TopicPartition, offset: Offset) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        let at = rdkafka::Offset::Offset(offset.cast_signed());
        list.add_partition_offset(self.context().names.of(place.topic), place.partition.cast_signed(), at)?;
        self.consumer.incremental_unassign(&list)?;
        self.consumer.incremental_assign(&list)
    }

    /// After the log was closed: reads what was there, and then says that no more comes.
    fn close(&mut self) -> Result<(), LogError> {
        if !self.is_closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let now = Instant::now();
        let is_told = self.context().seat.is_assigned();
        let closing =
            self.closing.get_or_insert(Closing { since: now, ends: None, heard: now, is_over: false });
        if closing.is_over {
            return Ok(());
        }
        let (since, heard, ends) = (closing.since, closing.heard, closing.ends.take());
        let ends = match ends {
            Some(ends) => ends,
            None if is_told => self.ends()?,
            None if since.elapsed() < UNTOLD => return Ok(()),
            None => return Err(unavailable(Refused("the group did not say what to read".to_owned()))),
        };
        let positions = self.context().cutting().positions();
        let is_left = |(place, position): &(TopicPartition, Option<Offset>)| {
            ends.get(place).is_some_and(|end| *end > 0 && position.is_none_or(|position| position < *end))
        };
        let left: Vec<_> = positions.into_iter().filter(is_left).collect();
        let is_over = left.is_empty() || heard.elapsed() > SILENCE && self.are_marks(&left)?;
        if is_over {
            self.pause();
            self.hand_on(Item::End);
        }
        if let Some(closing) = &mut self.closing {
            closing.ends = Some(ends);
            if heard.elapsed() > SILENCE {
                closing.heard = Instant::now();
            }
            closing.is_over = is_over;
        }
        Ok(())
    }

    /// Whether nothing is left there that a reader may see.
    fn are_marks(&self, left: &[(TopicPartition, Option<Offset>)]) -> Result<bool, LogError> {
        for (place, position) in left {
            if !self.probe.is_at_end(*place, *position, PATIENCE).map_err(log_error)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn ends(&self) -> Result<BTreeMap<TopicPartition, Offset>, LogError> {
        let positions = self.context().cutting().positions();
        positions.into_iter().map(|(place, _)| Ok((place, self.watermarks(place)?.1))).collect()
    }

    /// The oldest offset, and the one behind the newest.
    fn watermarks(&self, place: TopicPartition) -> Result<(Offset, Offset), LogError> {
        watermarks(&self.consumer, place).map_err(log_error)
    }

    fn context(&self) -> &Rebalances {
        self.consumer.context()
    }
}

/// The oldest offset of a partition, and the one behind the newest.
pub(crate) fn watermarks(
    consumer: &BaseConsumer<Rebalances>,
    place: TopicPartition,
) -> Result<(Offset, Offset), KafkaError> {
    let topic = consumer.context().names.of(place.topic);
    let (low, high) = consumer.fetch_watermarks(topic, place.partition.cast_signed(), PATIENCE)?;
    Ok((low.try_into().unwrap_or(0), high.try_into().unwrap_or(0)))
}
