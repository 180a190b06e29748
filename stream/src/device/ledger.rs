//! What became of a device's messages, hour by hour of ingest time.
//!
//! An hour is told several times while it goes on, by default at each of its quarters, and at its end: a little later
//! for each device, so that not all do in one instant, and only of devices that said something since.

use crate::fnv::fnv1a;
use crate::outputs::Outputs;
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};
use records::{Account, AccountCounts, AccountItem, Name, Timestamp};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// Devices tell within this part of the time between two tellings.
const SPREAD: u32 = 15;

/// The open hour of a device. Nothing is remembered of those before.
#[derive(Clone, Debug)]
pub struct Ledger {
    hour: Timestamp,
    counts: AccountCounts,
    /// When what has not been told will be.
    due: Option<Timestamp>,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger { hour: Timestamp::MIN, counts: AccountCounts::default(), due: None }
    }
}

impl Ledger {
    /// A message of the device is there, as of which we know at `as_of`: tells the hour before if that is over.
    pub fn begin(&mut self, device: &Name, as_of: Timestamp, every: Duration, out: &mut Outputs) {
        let hour = as_of.floor(HOUR);
        if hour > self.hour {
            self.tell(device, out);
            // What a forwarder brought again has no time of its own: before the first hour it belongs to that.
            let is_first = self.hour == Timestamp::MIN;
            *self = Ledger {
                hour,
                counts: if is_first { self.counts } else { AccountCounts::default() },
                due: None,
            };
        }
        self.due.get_or_insert_with(|| as_of.floor(every) + every + spread(device, every / SPREAD));
    }

    /// Notes something of the open hour.
    pub fn note(&mut self, item: AccountItem, times: usize) {
        self.counts.add(item, times);
    }

    /// When the hour of the last message ends, ingest time; `None` before the first.
    pub fn ends(&self) -> Option<Timestamp> {
        (self.hour > Timestamp::MIN).then(|| self.hour + HOUR)
    }

    /// When there is something to tell, ingest time.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.due
    }

    /// Tells what has not been told, if that is due.
    pub fn expire(&mut self, device: &Name, now: Timestamp, out: &mut Outputs) {
        if self.due.is_some_and(|due| due <= now) {
            self.tell(device, out);
        }
    }

    fn tell(&mut self, device: &Name, out: &mut Outputs) {
        if self.due.take().is_some() {
            out.account(&Account { device: device.clone(), hour: self.hour, counts: self.counts });
        }
    }
}

/// From the name alone, so that it is the same everywhere.
fn spread(device: &str, most: Duration) -> Duration {
    Duration::from_millis(fnv1a(device.bytes()) % (most.as_millis() as u64).max(1))
}

impl<C> Encode<C> for Ledger {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        to.array(2 + AccountItem::ALL.len() as u64)?.i64(self.hour.0)?;
        match self.due {
            Some(due) => to.i64(due.0)?,
            None => to.null()?,
        };
        AccountItem::ALL.into_iter().try_for_each(|(item, _)| to.u32(self.counts.of(item))?.ok())
    }
}

impl<'b, C> Decode<'b, C> for Ledger {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        if from.array()? != Some(2 + AccountItem::ALL.len() as u64) {
            return Err(DecodeError::message("a ledger is an array of its counts"));
        }
        let hour = Timestamp(from.i64()?);
        let due = from.decode::<Option<i64>>()?.map(Timestamp);
        let mut counts = AccountCounts::default();
        for (item, _) in AccountItem::ALL {
            counts.add(item, from.u32()? as usize);
        }
        Ok(Ledger { hour, counts, due })
    }
}
