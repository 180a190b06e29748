//! Sessions whose connection is gone, for as long as they are to outlive it (MQTT 5, 4.1; MQTT 3.1.1, 4.1).

use crate::session::{Received, Subscriber, Testament};
use crate::sessions::{Client, Sessions};
use prometheus::IntGauge;
use records::Name;
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is kept, by device. A device can't fill it: it has so many, and its oldest gives way.
pub(crate) struct Kept {
    by_device: Mutex<FxHashMap<Name, Vec<Absent>>>,
    max_per_device: usize,
    count: IntGauge,
    /// How many of them have a will: mostly none, and then nobody has to look for it.
    wills: AtomicUsize,
}

/// What a session is without its connection.
#[derive(Debug)]
pub(crate) struct Absence {
    /// Under which it is noted.
    pub number: u64,
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
struct Absent {
    client_id: Name,
    absence: Absence,
    /// The tick from which on it is gone.
    until: u32,
    will: Option<Box<Waiting>>,
}

/// What came of looking for a session.
#[derive(Default)]
pub(crate) struct Taken {
    pub absence: Option<Absence>,
    pub due: Option<Testament>,
    pub over: Option<Over>,
}

/// A session that is over, with what is left to do for it.
pub(crate) struct Over {
    pub number: u64,
    pub testament: Option<Testament>,
}

/// A will that is published when its client isn't back by then.
struct Waiting {
    due: u32,
    testament: Testament,
}

impl Kept {
    pub(crate) fn new(max_per_device: usize, count: IntGauge) -> Kept {
        Kept { by_device: Mutex::default(), max_per_device, count, wills: AtomicUsize::new(0) }
    }

    /// Keeps a session for `expiry` seconds from the tick `now` on. Returns one that gave way.
    pub(crate) fn put(
        &self,
        client: &Client,
        absence: Absence,
        testament: Option<Testament>,
        expiry: u32,
        now: u32,
    ) -> Option<Over> {
        let until = after(now, expiry);
        let will = testament.map(|testament| {
            self.wills.fetch_add(1, Ordering::Relaxed);
            Box::new(Waiting { due: after(now, testament.delay()).min(until), testament })
        });
        let mut by_device = self.lock();
        let absent = by_device.entry(client.device.clone()).or_default();
        let gone = (absent.len() >= self.max_per_device && !absent.is_empty()).then(|| absent.remove(0));
        absent.push(Absent { client_id: client.id.clone(), absence, until, will });
        self.count.inc();
        gone.map(|gone| self.end(gone))
    }

    /// Whether the store must be asked what a session has received: an append was given up.
    pub(crate) fn in_doubt(&self, client: &Client) -> Option<u64> {
        let by_device = self.lock();
        let absent = by_device.get(&client.device)?.iter().find(|absent| absent.client_id == client.id)?;
        absent.absence.received.is_in_doubt().then_some(absent.absence.number)
    }

    /// What it has received, as the store says.
    pub(crate) fn settle(&self, client: &Client, received: Received) {
        let mut by_device = self.lock();
        let absent = by_device.get_mut(&client.device).into_iter().flatten();
        if let Some(absent) = absent.into_iter().find(|absent| absent.client_id == client.id) {
            absent.absence.received = received;
        }
    }

    /// Ends a session, if there is one.
    pub(crate) fn remove(&self, client: &Client) -> Option<Over> {
        self.take_out(client).map(|found| self.end(found))
    }

    /// Takes a session out, if it is there at the tick `now`; or ends it when its time is over. The will is one that is to
    /// be published now; one whose client is back in time is not.
    pub(crate) fn take(&self, client: &Client, now: u32) -> Taken {
        let Some(mut found) = self.take_out(client) else { return Taken::default() };
        if now >= found.until {
            return Taken { over: Some(self.end(found)), ..Taken::default() };
        }
        self.count.dec();
        let will = found.will.take();
        self.wills.fetch_sub(usize::from(will.is_some()), Ordering::Relaxed);
        let due = will.filter(|will| now >= will.due).map(|will| will.testament);
        Taken { absence: Some(found.absence), due, over: None }
    }

    /// The wills that are to be published at the tick `now`.
    pub(crate) fn due(&self, now: u32) -> Vec<Testament> {
        if self.wills.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let mut by_device = self.lock();
        let due = by_device.values_mut().flatten().filter_map(|absent| {
            let will = absent.will.take_if(|will| now >= will.due)?;
            self.wills.fetch_sub(1, Ordering::Relaxed);
            Some(will.testament)
        });
        due.collect()
    }

    /// Ends those whose time is over by the tick `now`.
    pub(crate) fn purge(&self, now: u32) -> Vec<Over> {
        let mut by_device = self.lock();
        let mut gone = Vec::new();
        by_device.retain(|_, absent| {
            gone.extend(absent.extract_if(.., |absent| now >= absent.until));
            !absent.is_empty()
        });
        drop(by_device);
        gone.into_iter().map(|absent| self.end(absent)).collect()
    }

    fn take_out(&self, client: &Client) -> Option<Absent> {
        let mut by_device = self.lock();
        let absent = by_device.get_mut(&client.device)?;
        let place = absent.iter().position(|absent| absent.client_id == client.id)?;
        let found = absent.remove(place);
        if absent.is_empty() {
            by_device.remove(&client.device);
        }
        Some(found)
    }

    /// One that is not there any more.
    fn end(&self, absent: Absent) -> Over {
        self.count.dec();
        self.wills.fetch_sub(usize::from(absent.will.is_some()), Ordering::Relaxed);
        Over { number: absent.absence.number, testament: absent.will.map(|will| will.testament) }
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<Name, Vec<Absent>>> {
        self.by_device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn after(now: u32, seconds: u32) -> u32 {
    now.saturating_add(seconds.saturating_mul(Sessions::TICKS_PER_SECOND))
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

    fn put(kept: &Kept, id: &str, expiry: u32, now: u32) {
        let absence = Absence { number: 1, received: Received::default(), subscriber: None };
        kept.put(&client(id), absence, None, expiry, now);
    }

    fn take(kept: &Kept, id: &str, now: u32) -> bool {
        kept.take(&client(id), now).absence.is_some()
    }

    #[test]
    fn a_session_is_there_until_its_time() {
        let kept = kept(9);
        for id in ["a", "b", "c", "d"] {
            put(&kept, id, 2, 10);
        }
        assert!(take(&kept, "a", 13) && !take(&kept, "a", 13));
        assert!(!take(&kept, "b", 14));
        assert!(kept.remove(&client("d")).is_some() && !take(&kept, "d", 11));
        kept.purge(13);
        assert_eq!(kept.count.get(), 1);
        kept.purge(14);
        assert_eq!(kept.count.get(), 0);
        assert!(kept.lock().is_empty());
        put(&kept, "a", u32::MAX, 10);
        kept.purge(u32::MAX - 1);
        assert!(take(&kept, "a", u32::MAX - 1));
    }

    #[test]
    fn the_oldest_of_a_device_gives_way() {
        let kept = kept(2);
        let ids = ["a", "b", "c"];
        ids.iter().for_each(|id| put(&kept, id, 9, 0));
        assert_eq!(ids.map(|id| take(&kept, id, 1)), [false, true, true]);
        assert_eq!(kept.count.get(), 0);
    }
}
