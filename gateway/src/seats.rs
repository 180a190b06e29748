//! Room for connections: in all, and for each address.

use rustc_hash::FxHashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What of the room is taken.
#[derive(Debug)]
pub(crate) struct Seats {
    taken: Mutex<Taken>,
    max: usize,
    max_per_address: usize,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: FxHashMap<IpAddr, usize>,
}

/// One connection's room, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    address: IpAddr,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSeat {
    /// For nobody.
    Full,
    /// For that address.
    Address,
}

impl Seats {
    pub(crate) fn new(max: usize, max_per_address: usize) -> Arc<Seats> {
        Arc::new(Seats { taken: Mutex::default(), max, max_per_address })
    }

    /// Room for one more connection from `peer`.
    pub(crate) fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Seat, NoSeat> {
        let address = network(peer);
        let mut taken = self.lock();
        if taken.all >= self.max {
            return Err(NoSeat::Full);
        }
        let of_address = taken.by_address.get(&address).copied().unwrap_or(0);
        if of_address >= self.max_per_address {
            return Err(NoSeat::Address);
        }
        taken.by_address.insert(address, of_address + 1);
        taken.all += 1;
        Ok(Seat { seats: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.all -= 1;
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

/// What one subscriber of a provider has: an address of IPv4, also when it is written as one of IPv6, or a network of
/// 64 bits (RFC 6177).
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_counted_in_all_and_by_network() {
        let seats = Seats::new(3, 2);
        let take = |address: &str| seats.take(address.parse().unwrap());
        let _a = take("10.0.0.1").unwrap();
        let b = take("::ffff:10.0.0.1").unwrap();
        assert_eq!(take("10.0.0.1").unwrap_err(), NoSeat::Address);
        let c = take("2001:db8:0:1::1").unwrap();
        assert_eq!(take("10.0.0.2").unwrap_err(), NoSeat::Full);
        drop(b);
        let _d = take("2001:db8:0:1:ffff::2").unwrap();
        drop(c);
        let _e = take("2001:db8:0:1::3").unwrap();
        assert_eq!(take("2001:db8:0:1::4").unwrap_err(), NoSeat::Full);
        drop(_a);
        assert_eq!(take("2001:db8:0:1::4").unwrap_err(), NoSeat::Address);
        drop((_d, _e));
        assert!(seats.lock().by_address.is_empty() && seats.lock().all == 0);
    }
}
