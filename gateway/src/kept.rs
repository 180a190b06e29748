//! Sessions whose connection is gone, for as long as they are to outlive it (MQTT 5, 4.1; MQTT 3.1.1, 4.1).

use crate::session::{Received, Subscriber};
use crate::sessions::{Client, Sessions};
use prometheus::IntGauge;
use records::Name;
use rustc_hash::FxHashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is kept, by device. A device can't fill it: it has so many, and its oldest gives way.
#[derive(Debug)]
pub(crate) struct Kept {
    by_device: Mutex<FxHashMap<Name, Vec<Absent>>>,
    max_per_device: usize,
    count: IntGauge,
}

/// What a session is without its connection.
#[derive(Debug, Default)]
pub(crate) struct Absence {
    pub received: Received,
    pub subscriber: Option<Box<Subscriber>>,
}

impl Absence {
    /// For another connection; `None` when something was lost that the client was owed.
    pub(crate) fn resume(mut self) -> Option<Absence> {
        self.subscriber.as_mut().is_none_or(|it| it.resume()).then_some(self)
    }
}

/// A session without a connection.
#[derive(Debug)]
struct Absent {
    client_id: Name,
    absence: Absence,
    /// The tick from which on it is gone.
    until: u32,
}

impl Kept {
    pub(crate) fn new(max_per_device: usize, count: IntGauge) -> Kept {
        Kept { by_device: Mutex::default(), max_per_device, count }
    }

    /// Keeps a session for `expiry` seconds from the tick `now` on.
    pub(crate) fn put(&self, client: &Client, absence: Absence, expiry: u32, now: u32) {
        let until = now.saturating_add(expiry.saturating_mul(Sessions::TICKS_PER_SECOND));
        let mut by_device = self.lock();
        let absent = by_device.entry(client.device.clone()).or_default();
        if absent.len() >= self.max_per_device && !absent.is_empty() {
            absent.remove(0);
            self.count.dec();
        }
        absent.push(Absent { client_id: client.id.clone(), absence, until });
        self.count.inc();
    }

    /// Takes a session out, if it is there at the tick `now`.
    pub(crate) fn take(&self, client: &Client, now: u32) -> Option<Absence> {
        let mut by_device = self.lock();
        let absent = by_device.get_mut(&client.device)?;
        let place = absent.iter().position(|absent| absent.client_id == client.id)?;
        let found = absent.remove(place);
        if absent.is_empty() {
            by_device.remove(&client.device);
        }
        self.count.dec();
        (now < found.until).then_some(found.absence)
    }

    /// Forgets those that are gone by the tick `now`.
    pub(crate) fn purge(&self, now: u32) {
        let mut by_device = self.lock();
        by_device.retain(|_, absent| {
            let before = absent.len();
            absent.retain(|absent| now < absent.until);
            self.count.sub((before - absent.len()) as i64);
            !absent.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<Name, Vec<Absent>>> {
        self.by_device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(id: &str) -> Client {
        Client { device: "d".into(), id: id.into() }
    }

    fn kept(max_per_device: usize) -> Kept {
        Kept::new(max_per_device, IntGauge::new("kept", "kept").unwrap())
    }

    #[test]
    fn a_session_is_there_until_its_time() {
        let kept = kept(9);
        for id in ["a", "b", "c"] {
            kept.put(&client(id), Absence::default(), 2, 10);
        }
        assert!(kept.take(&client("a"), 13).is_some());
        assert!(kept.take(&client("a"), 13).is_none());
        assert!(kept.take(&client("b"), 14).is_none());
        kept.purge(13);
        assert_eq!(kept.count.get(), 1);
        kept.purge(14);
        assert_eq!(kept.count.get(), 0);
        assert!(kept.lock().is_empty());
        kept.put(&client("a"), Absence::default(), u32::MAX, 10);
        kept.purge(u32::MAX - 1);
        assert!(kept.take(&client("a"), u32::MAX - 1).is_some());
    }

    #[test]
    fn the_oldest_of_a_device_gives_way() {
        let kept = kept(2);
        let ids = ["a", "b", "c"];
        ids.iter().for_each(|id| kept.put(&client(id), Absence::default(), 9, 0));
        assert_eq!(ids.map(|id| kept.take(&client(id), 1).is_some()), [false, true, true]);
        assert_eq!(kept.count.get(), 0);
    }
}
