//! Which forwarded records have been run: one number for each device and the spool it came from.
//!
//! A forwarder brings the records of a device in the order in which they stand on the spool, and begins again behind
//! its last commit after a crash. So what it sends again is what is not beyond the greatest offset seen of that
//! device, exactly. One number for a whole partition would not do: after an outage live records of one device
//! overtake the backlog of another (`gateway/README.md`).

use crate::cbor;
use minicbor::{Decode, Encode};
use records::{Name, Offset, Origin};

/// How far the devices of a partition have been read from each spool. Empty where gateways append directly.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// In the order of their first appearance: a few for each gateway.
    spools: Vec<Spool>,
    /// By the number of the device.
    marks: Vec<Vec<Mark>>,
}

/// Where a forwarder reads.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Spool {
    #[cbor(n(0), with = "cbor")]
    gateway: Name,
    #[n(1)]
    made: u64,
}

/// All records of a device up to here have been run.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct Mark {
    /// Index into `spools`.
    #[n(0)]
    spool: u32,
    #[n(1)]
    last: Offset,
}

impl Origins {
    /// Whether a record of this device has not been run before; notes that it is now.
    pub fn admit(&mut self, device: usize, origin: Origin<'_>) -> bool {
        let spool = self.spool(origin);
        if self.marks.len() <= device {
            self.marks.resize(device + 1, Vec::new());
        }
        let marks = &mut self.marks[device];
        match marks.iter_mut().find(|mark| mark.spool == spool) {
            Some(mark) if origin.offset <= mark.last => return false,
            Some(mark) => mark.last = origin.offset,
            None => marks.push(Mark { spool, last: origin.offset }),
        }
        true
    }

    /// Nothing has been read from these spools, whose numbers are those of before.
    pub fn new(spools: Vec<Spool>) -> Origins {
        Origins { spools, marks: Vec::new() }
    }

    /// What has been read from, in the order of its numbers.
    pub fn spools(&self) -> &[Spool] {
        &self.spools
    }

    /// How far a device has been read from each.
    pub fn of(&self, device: usize) -> &[Mark] {
        self.marks.get(device).map_or(&[], Vec::as_slice)
    }

    /// Puts back what [`Origins::of`] gave.
    pub fn set(&mut self, device: usize, marks: Vec<Mark>) {
        if marks.is_empty() {
            return;
        }
        if self.marks.len() <= device {
            self.marks.resize(device + 1, Vec::new());
        }
        self.marks[device] = marks;
    }

    fn spool(&mut self, origin: Origin<'_>) -> u32 {
        let is_it = |spool: &Spool| spool.made == origin.spool && spool.gateway == origin.gateway;
        let number = self.spools.iter().position(is_it).unwrap_or_else(|| {
            self.spools.push(Spool { gateway: Name::new(origin.gateway), made: origin.spool });
            self.spools.len() - 1
        });
        u32::try_from(number).expect("fewer than 2^32 spools fit the memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        origins: &mut Origins,
        device: usize,
        (gateway, spool, offset): (&str, u64, Offset),
        is_new: bool,
    ) {
        let origin = Origin { gateway, spool, offset };
        assert_eq!(origins.admit(device, origin), is_new, "{device} {origin:?}");
    }

    #[test]
    fn what_is_not_beyond_the_greatest_offset_has_been_run() {
        let mut origins = Origins::default();
        assert!(origins.of(3).is_empty());
        check(&mut origins, 3, ("a", 1, 0), true);
        assert!(origins.of(3).len() == 1 && origins.of(2).is_empty());
        check(&mut origins, 3, ("a", 1, 0), false);
        check(&mut origins, 3, ("a", 1, 7), true);
        check(&mut origins, 3, ("a", 1, 6), false);
        // Another device, gateway or spool counts for itself.
        check(&mut origins, 0, ("a", 1, 6), true);
        check(&mut origins, 3, ("b", 1, 6), true);
        check(&mut origins, 3, ("a", 2, 6), true);
        check(&mut origins, 3, ("a", 1, 7), false);
        check(&mut origins, 3, ("b", 1, 7), true);
    }
}
