//! The devices of a partition by number, and what of them goes into a snapshot.

use super::capture::Capture;
use super::origins::{Mark, Origins, Spool};
use super::state::DeviceState;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decode, Decoder, Encode};
use records::{Name, Origin};
use std::collections::BTreeSet;

/// States by number, and how far forwarders have brought their records.
#[derive(Debug, Default)]
pub struct Devices {
    states: Vec<DeviceState>,
    origins: Origins,
    /// Numbers of devices that are forgotten, for those that come.
    vacant: BTreeSet<usize>,
    /// The snapshot that is being taken.
    capture: Option<Capture>,
}

/// What a snapshot holds beside the devices.
#[derive(Debug, Default, Encode, Decode)]
pub struct Head {
    #[n(0)]
    spools: Vec<Spool>,
    #[n(1)]
    vacant: BTreeSet<usize>,
}

/// A device as [`Capture::take`] writes it.
#[derive(Decode)]
struct Piece {
    #[n(0)]
    number: usize,
    #[n(1)]
    state: DeviceState,
    #[n(2)]
    marks: Vec<Mark>,
}

impl Devices {
    /// The device of that number.
    pub fn get(&self, number: usize) -> &DeviceState {
        &self.states[number]
    }

    /// The device of that number, if there is one.
    pub fn find(&self, number: usize) -> Option<&DeviceState> {
        self.states.get(number)
    }

    /// The device of that number, to be changed.
    pub fn get_mut(&mut self, number: usize) -> &mut DeviceState {
        self.keep(number);
        &mut self.states[number]
    }

    /// Whether a forwarded record of the device has not been run before; notes that it is now.
    pub fn admit(&mut self, number: usize, origin: Origin<'_>) -> bool {
        self.keep(number);
        self.origins.admit(number, origin)
    }

    /// Whether a forwarder has brought something of the device.
    pub fn has_origin(&self, number: usize) -> bool {
        !self.origins.of(number).is_empty()
    }

    /// Takes a new device; returns its number.
    pub fn add(&mut self, state: DeviceState) -> usize {
        match self.vacant.pop_first() {
            Some(number) => {
                *self.get_mut(number) = state;
                number
            }
            None => {
                self.states.push(state);
                self.states.len() - 1
            }
        }
    }

    /// Gives the place of a device to whoever comes.
    pub fn remove(&mut self, number: usize) {
        *self.get_mut(number) = DeviceState::new(Name::default());
        self.vacant.insert(number);
        while self.vacant.last().is_some_and(|last| last + 1 == self.states.len()) {
            self.vacant.pop_last();
            self.states.pop();
        }
        if self.states.len() < self.states.capacity() / 4 {
            self.states.shrink_to(self.states.len() * 2);
        }
    }

    /// The numbers of all devices.
    pub fn numbers(&self) -> impl Iterator<Item = usize> + use<> {
        let vacant = self.vacant.clone();
        (0..self.states.len()).filter(move |number| !vacant.contains(number))
    }

    /// What a snapshot holds beside the devices.
    pub fn head(&self) -> Head {
        Head { spools: self.origins.spools().to_vec(), vacant: self.vacant.clone() }
    }

    /// Begins a snapshot of the devices as they are now, behind `bytes`. One that has begun before is given up.
    pub fn begin_capture(&mut self, bytes: Vec<u8>) {
        self.capture = Some(self.capture(bytes));
    }

    /// Goes on with it by so many devices; gives it once it is whole.
    pub fn go_on(&mut self, most: usize) -> Option<Vec<u8>> {
        let capture = self.capture.as_mut()?;
        for _ in 0..most {
            let Some(number) = capture.pending() else { break };
            capture.take(number, &self.states[number], self.origins.of(number));
        }
        match capture.pending() {
            Some(_) => None,
            None => self.capture.take().map(Capture::into_bytes),
        }
    }

    /// A snapshot of the devices at once, behind `bytes`.
    pub fn snapshot(&self, bytes: Vec<u8>) -> Vec<u8> {
        let mut capture = self.capture(bytes);
        while let Some(number) = capture.pending() {
            capture.take(number, &self.states[number], self.origins.of(number));
        }
        capture.into_bytes()
    }

    fn capture(&self, bytes: Vec<u8>) -> Capture {
        Capture::begin(bytes, self.states.len(), |number| !self.vacant.contains(&number))
    }

    /// Sees to it that a snapshot holds a device as it was before.
    fn keep(&mut self, number: usize) {
        if let Some(capture) = &mut self.capture {
            capture.take(number, &self.states[number], self.origins.of(number));
        }
    }

    /// Reads what a snapshot holds of them, in any order.
    pub fn restore(head: Head, from: &mut Decoder<'_>) -> Result<Devices, DecodeError> {
        let foreign = || DecodeError::message("devices that are not those that were taken");
        let count = from.array()?.and_then(|count| usize::try_from(count).ok()).ok_or_else(foreign)?;
        // Each takes more than a byte, so this asks for no more memory than the bytes account for.
        let numbers = count.checked_add(head.vacant.len()).filter(|all| *all <= from.input().len());
        let mut states: Vec<Option<DeviceState>> = Vec::new();
        states.resize_with(numbers.ok_or_else(foreign)?, || None);
        let mut origins = Origins::new(head.spools);
        for _ in 0..count {
            let Piece { number, state, marks } = from.decode()?;
            let is_vacant = head.vacant.contains(&number);
            let place = states.get_mut(number).filter(|place| place.is_none() && !is_vacant);
            *place.ok_or_else(foreign)? = Some(state);
            origins.set(number, marks);
        }
        let or_vacant =
            |state: Option<DeviceState>| state.unwrap_or_else(|| DeviceState::new(Name::default()));
        let states = states.into_iter().map(or_vacant).collect();
        Ok(Devices { states, origins, vacant: head.vacant, capture: None })
    }
}
