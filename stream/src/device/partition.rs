//! One partition of the device job's input: its devices, and how far ingest time has come.
//!
//! Which devices share a partition is an accident, so nothing of a device's output depends on the others: they only
//! decide how early it is written, never what, nor its `as_of`. `stream/README.md` explains the rules.

use super::context::{Change, Context};
use super::deadlines::Deadlines;
use super::devices::{self, Devices};
use super::duplicates::{Arrival, Gap};
use super::state::DeviceState;
use crate::counts::Fact;
use crate::index::Index;
use crate::outputs::Outputs;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decode, Decoder, Encode, Encoder};
use records::{
    AccountItem, Action, Device, Name, Observation, Origin, Record, Rules, Subject, Tick, Timestamp,
};
use std::time::Duration;

/// Ticks for the area job are this far apart while records come.
const TELL_EVERY: Duration = Duration::from_secs(1);
const INSTANT: Duration = Duration::from_millis(1);

/// The state of one partition.
#[derive(Debug)]
pub struct Partition {
    devices: Devices,
    /// The greatest ingest time of a record or tick.
    clock: Timestamp,
    /// What the area job was told last: everything up to here has been written.
    told: Timestamp,
    index: Index,
    deadlines: Deadlines,
}

/// What a snapshot holds before the devices.
#[derive(Encode, Decode)]
struct Head {
    #[cbor(n(0), with = "crate::cbor")]
    clock: Timestamp,
    #[cbor(n(1), with = "crate::cbor")]
    told: Timestamp,
    #[n(2)]
    devices: devices::Head,
}

impl Default for Partition {
    fn default() -> Self {
        Partition {
            devices: Devices::default(),
            clock: Timestamp::MIN,
            told: Timestamp::MIN,
            index: Index::default(),
            deadlines: Deadlines::default(),
        }
    }
}

impl Partition {
    /// Begins a snapshot of the partition as it is now, behind `bytes`. One that has begun before is given up.
    pub fn begin_capture(&mut self, bytes: Vec<u8>) {
        let bytes = self.head(bytes);
        self.devices.begin_capture(bytes);
    }

    /// Goes on with it by so many devices; gives it once it is whole.
    pub fn go_on(&mut self, most: usize) -> Option<Vec<u8>> {
        self.devices.go_on(most)
    }

    /// A snapshot at once, behind `bytes`.
    pub fn snapshot(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.devices.snapshot(self.head(bytes))
    }

    fn head(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let head = Head { clock: self.clock, told: self.told, devices: self.devices.head() };
        let mut to = Encoder::new(&mut bytes);
        to.array(2).and_then(|to| to.encode(head)).expect("a Vec takes everything");
        bytes
    }

    /// Reads a snapshot.
    pub fn restore(from: &mut Decoder<'_>, context: &Context) -> Result<Partition, DecodeError> {
        if from.array()? != Some(2) {
            return Err(DecodeError::message("a partition is a head and its devices"));
        }
        let Head { clock, told, devices } = from.decode()?;
        let devices = Devices::restore(devices, from)?;
        let mut partition = Partition { devices, clock, told, ..Partition::default() };
        for number in partition.devices.numbers() {
            let devices = &partition.devices;
            partition.index.add(devices.get(number).id(), number, |number| devices.get(number).id());
            partition.devices.get_mut(number).restored(context);
            partition.schedule(number, context);
        }
        Ok(partition)
    }

    /// Whether a forwarded record of the device `key` has not been run before; notes that it is now.
    pub fn admit(&mut self, key: &[u8], origin: Origin<'_>) -> bool {
        // What is under no device's name is no device's record, and is left aside as such.
        let Ok(device) = std::str::from_utf8(key) else { return true };
        let index = self.known(device).unwrap_or_else(|| self.index_of(&Name::new(device)));
        let is_new = self.devices.admit(index, origin);
        if !is_new {
            let ledger = &mut self.devices.get_mut(index).ledger;
            [AccountItem::Received, AccountItem::Resent].into_iter().for_each(|item| ledger.note(item, 1));
        }
        is_new
    }

    /// Takes the next record. `number`: of this partition.
    pub fn run(&mut self, number: u32, record: Record, context: &Context, out: &mut Outputs) {
        let mut is_tick = false;
        match record {
            Record::Observation(message) => self.observation(message, context, out),
            Record::Device(device) => self.device(device, context, out),
            Record::Tick(tick) => {
                out.count(Fact::Tick);
                self.clock = self.clock.max(tick.at);
                is_tick = true;
            }
            Record::Action(action) => self.action(&action, context, out),
            Record::Aggregate(_)
            | Record::Sighting(_)
            | Record::Share(_)
            | Record::Alert(_)
            | Record::Quarantined(_)
            | Record::Rules(_)
            | Record::Account(_) => {
                out.count(Fact::Misplaced);
            }
        }
        self.expire_due(context, out);
        self.tell(number, is_tick, context, out);
    }

    /// Ingest time up to which nothing more can come before a record that tells this time.
    pub fn settled(&self, time: Timestamp, context: &Context) -> Timestamp {
        self.clock.max(time) - context.config.slack
    }

    /// Other rules hold from `rules.at` on, device by device, and the area job is told where.
    pub fn succeed(&mut self, mut rules: Rules, change: &Change<'_>, out: &mut Outputs) {
        out.count(Fact::RulesChanged);
        self.expire_to(rules.at, change.before, out);
        rules.at = self.place(rules.at, out);
        out.rules(&rules);
        for index in self.devices.numbers() {
            let as_of = self.as_of(index, rules.at, out);
            self.devices.get_mut(index).succeed(change, as_of, out);
            let member = self.devices.get(index).entry().filter(|_| change.to.needs_members);
            if let Some(entry) = member {
                out.device_to_area(&Device { updated_at: rules.at, ..entry.clone() }, &entry.area);
            }
            self.schedule(index, change.after);
        }
    }

    fn observation(&mut self, message: Observation, context: &Context, out: &mut Outputs) {
        out.count(Fact::Observation);
        self.clock = self.clock.max(message.ingest_time);
        let index = self.index_of(&message.device);
        if self.devices.get(index).idle_from(context).is_some_and(|idle| idle <= message.ingest_time) {
            // As if it were a stranger, whether or not the neighbours have shown already how late it is.
            self.expire(index, message.ingest_time, context, out);
        }
        self.devices.get_mut(index).receive(message.ingest_time, context, out);
        let is_new = self.is_new(index, &message, out);
        if !is_new {
            return self.schedule(index, context);
        }
        let as_of = self.as_of(index, message.ingest_time, out);
        self.expire(index, as_of, context, out);
        self.devices.get_mut(index).observe(message, as_of, context, out);
        self.schedule(index, context);
    }

    fn is_new(&mut self, index: usize, message: &Observation, out: &mut Outputs) -> bool {
        let Some(sequence) = message.sequence else {
            out.count(Fact::Unsequenced);
            return true;
        };
        let device = self.devices.get_mut(index);
        let arrival = device.seen.mark(message.epoch, sequence);
        let (fact, item) = match arrival {
            Arrival::New(Gap::Same) => return true,
            Arrival::New(Gap::Opened) => (Fact::GapOpened, Some(AccountItem::GapOpened)),
            Arrival::New(Gap::Closed) => (Fact::GapClosed, Some(AccountItem::GapClosed)),
            Arrival::Untracked => (Fact::Untracked, None),
            Arrival::Duplicate => (Fact::Duplicate, Some(AccountItem::Duplicate)),
        };
        out.count(fact);
        item.into_iter().for_each(|item| device.ledger.note(item, 1));
        arrival != Arrival::Duplicate
    }

    fn device(&mut self, entry: Device, context: &Context, out: &mut Outputs) {
        out.count(Fact::Device);
        let index = self.index_of(&entry.id);
        // What is due before it is decided by what was known of the device until then.
        self.expire(index, entry.updated_at, context, out);
        let known = self.devices.get(index).entry();
        if known.is_some_and(|known| known.updated_at >= entry.updated_at) {
            out.count(Fact::StaleDevice);
            return;
        }
        let to_area = Device { updated_at: self.place(entry.updated_at, out), ..entry.clone() };
        let state = self.devices.get_mut(index);
        if let Some(known) = state.entry().filter(|known| known.area != entry.area) {
            // The area that it leaves must know as well.
            out.device_to_area(&to_area, &known.area);
        }
        out.device(&entry);
        out.device_to_area(&to_area, &entry.area);
        state.set_entry(entry, context);
        self.schedule(index, context);
    }

    fn action(&mut self, action: &Action, context: &Context, out: &mut Outputs) {
        out.count(Fact::Action);
        let index = match &action.subject {
            Subject::Device(device) => self.known(device),
            Subject::Area(_) => None,
        };
        let alert = index.and_then(|index| {
            let as_of = self.as_of(index, action.at, out);
            self.expire(index, as_of, context, out);
            self.devices.get_mut(index).act(action, as_of, context)
        });
        match alert {
            Some(alert) => out.alert(&alert),
            None => out.count(Fact::ActionIgnored),
        }
    }

    fn index_of(&mut self, device: &Name) -> usize {
        self.known(device).unwrap_or_else(|| {
            let number = self.devices.add(DeviceState::new(device.clone()));
            let devices = &self.devices;
            self.index.add(device, number, |number| devices.get(number).id());
            number
        })
    }

    /// Gives the place of a device of which nothing is known to whoever comes.
    fn forget(&mut self, index: usize) {
        if !self.devices.get(index).is_forgotten() || self.devices.has_origin(index) {
            return;
        }
        let devices = &self.devices;
        self.index.remove(devices.get(index).id(), |number| devices.get(number).id());
        self.devices.remove(index);
    }

    fn known(&self, device: &str) -> Option<usize> {
        self.index.get(device, |number| self.devices.get(number).id())
    }

    /// The `as_of` of what a message or an action causes: when it was taken, but never before an earlier one of the device, and
    /// never where the area job believes to know everything already.
    fn as_of(&self, index: usize, ingest_time: Timestamp, out: &mut Outputs) -> Timestamp {
        let mut as_of = ingest_time.max(self.devices.get(index).heard());
        if as_of <= self.told {
            out.count(Fact::SteppedBack);
            as_of = self.told + INSTANT;
        }
        as_of
    }

    /// The place of a registry entry among the rows of an area: when the registry changed it, but never where the area
    /// job believes to know everything already. That is decided here, by this partition alone, and not there by who
    /// of several sources comes first.
    fn place(&self, updated_at: Timestamp, out: &mut Outputs) -> Timestamp {
        if updated_at > self.told {
            return updated_at;
        }
        out.count(Fact::RowLate);
        self.told + INSTANT
    }

    /// Lets the deadlines of a device up to `now` pass before something new is known of it.
    fn expire(&mut self, index: usize, now: Timestamp, context: &Context, out: &mut Outputs) {
        let device = self.devices.get_mut(index);
        while let Some(deadline) = device.deadline(context).filter(|deadline| *deadline <= now) {
            device.expire(deadline, context, out);
        }
    }

    /// Lets the deadlines of all devices pass that no record to come can be before.
    fn expire_due(&mut self, context: &Context, out: &mut Outputs) {
        self.expire_to(self.clock - context.config.slack, context, out);
    }

    fn expire_to(&mut self, now: Timestamp, context: &Context, out: &mut Outputs) {
        while let Some((at, index)) = self.deadlines.pop_due(now) {
            if self.devices.find(index).is_none_or(|device| device.scheduled != Some(at)) {
                continue;
            }
            let device = self.devices.get_mut(index);
            device.scheduled = None;
            if device.deadline(context) == Some(at) {
                device.expire(at, context, out);
            }
            self.schedule(index, context);
            self.forget(index);
        }
    }

    /// Sees to it that a device is looked at no later than its deadline. A deadline that has moved back is noticed
    /// then, so that a device that speaks often costs nothing here.
    fn schedule(&mut self, index: usize, context: &Context) {
        let device = self.devices.get_mut(index);
        let Some(deadline) = device.deadline(context) else { return };
        if device.scheduled.is_none_or(|scheduled| deadline < scheduled) {
            device.scheduled = Some(deadline);
            self.deadlines.add(deadline, index);
        }
    }

    /// Tells the area job how far this partition has come: all that is known as of then has been written.
    fn tell(&mut self, source: u32, is_tick: bool, context: &Context, out: &mut Outputs) {
        let at = self.clock - context.config.slack;
        if at >= self.told + TELL_EVERY || (is_tick && at > self.told) {
            self.told = at;
            out.tick(&Tick { at, source, sources: context.partitions.telemetry });
        }
    }
}
