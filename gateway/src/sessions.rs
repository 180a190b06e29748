//! Every session of the gateway: take-over, keep alive, revocation, stop.

use crate::identity::Proven;
use crate::tls::Certified;
use records::{Name, Timestamp};
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// The sessions that are connected, by device and client id: a device can't take over another device's session
/// by borrowing its client id.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_client: Mutex<FxHashMap<Client, Arc<Control>>>,
    /// How often the sweeper has run: the clock by which sessions say when they last heard something.
    ticks: AtomicU32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    pub device: Name,
    pub id: Name,
}

/// What others may say to a session, and what they need to know of it.
#[derive(Debug)]
pub(crate) struct Control {
    /// A [`Cut`], or 0.
    cut: AtomicU8,
    waker: Mutex<Option<Waker>>,
    /// The tick in which it last heard something.
    heard_at: AtomicU32,
    /// Silent ticks after which it is cut; 0 for never.
    patience: u32,
    /// It doesn't read, because we have no room or it has said too much: its silence is ours.
    is_stalled: AtomicBool,
    /// The tick in which half a packet began to wait for its rest, or [`NOTHING`].
    halved_at: AtomicU32,
    /// The tick since which the client takes nothing of what it is sent, or [`NOTHING`].
    untaken_at: AtomicU32,
    standing: Standing,
    is_over: AtomicBool,
    over: Notify,
}

/// No tick: it would take 68 years to come to.
const NOTHING: u32 = u32::MAX;

/// What a session stands on: when it is gone, so is the session.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Of what it was proved by.
    fingerprint: u64,
    /// From then on that is void.
    until: Option<Timestamp>,
    /// What the client has shown.
    certified: Option<Box<Certified>>,
}

/// Why a session is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cut {
    KeepAlive = 1,
    Dawdling = 2,
    TakenOver = 3,
    Revoked = 4,
    Stopping = 5,
}

/// A session's place among the others; dropped when it is over.
#[derive(Debug)]
pub(crate) struct Place {
    sessions: Arc<Sessions>,
    pub client: Client,
    pub control: Arc<Control>,
}

impl Sessions {
    /// How often silence is looked at: the grain of the keep alive.
    pub(crate) const TICK: Duration = Duration::from_millis(500);
    pub(crate) const TICKS_PER_SECOND: u32 = 2;

    /// Enters a session, and cuts the one that was there under the same client, which is returned.
    pub(crate) fn enter(
        self: &Arc<Self>,
        client: Client,
        keep_alive: u16,
        standing: Standing,
    ) -> (Place, Option<Arc<Control>>) {
        let control = Arc::new(Control {
            cut: AtomicU8::new(0),
            waker: Mutex::default(),
            heard_at: AtomicU32::new(self.now()),
            patience: patience(keep_alive),
            is_stalled: AtomicBool::new(false),
            halved_at: AtomicU32::new(NOTHING),
            untaken_at: AtomicU32::new(NOTHING),
            standing,
            is_over: AtomicBool::new(false),
            over: Notify::new(),
        });
        let older = self.lock().insert(client.clone(), control.clone());
        if let Some(older) = &older {
            older.cut(Cut::TakenOver);
        }
        (Place { sessions: self.clone(), client, control }, older)
    }

    /// The present tick.
    pub(crate) fn now(&self) -> u32 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// One more tick: cuts every session that was silent for longer than its keep alive allows, or that has had a
    /// packet in the works for longer than `packet_timeout`.
    pub(crate) fn sweep(&self, packet_timeout: Duration) {
        let now = self.ticks.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let ticks = packet_timeout.as_millis().div_ceil(Self::TICK.as_millis());
        for control in self.lock().values() {
            if control.is_dawdling(now, ticks) {
                control.cut(Cut::Dawdling);
            } else if control.is_silent(now) {
                control.cut(Cut::KeepAlive);
            }
        }
    }

    /// Cuts the sessions whose bearer token or certificate is void at `now`.
    pub(crate) fn expire(&self, now: Timestamp) {
        let is_void = |control: &&Arc<Control>| control.standing.until.is_some_and(|until| until <= now);
        for control in self.lock().values().filter(is_void) {
            control.cut(Cut::Revoked);
        }
    }

    /// Cuts the sessions of `device` unless what they were proved by still holds, which is asked by its fingerprint.
    pub(crate) fn revoke(&self, device: &str, holds: impl Fn(u64) -> bool) {
        for (client, control) in self.lock().iter() {
            if client.device == device && !holds(control.standing.fingerprint) {
                control.cut(Cut::Revoked);
            }
        }
    }

    /// Cuts the sessions whose certificate is not good any more. Takes two signatures for each that has one.
    pub(crate) fn judge_certificates(&self) {
        // Not under the lock: others come and go meanwhile.
        let all = self.lock();
        let certified = all.values().filter(|control| control.standing.certified.is_some());
        let certified: Vec<_> = certified.cloned().collect();
        drop(all);
        for control in certified.iter().filter(|control| !control.is_certificate_good()) {
            control.cut(Cut::Revoked);
        }
    }

    /// Cuts everybody.
    pub(crate) fn stop(&self) {
        for control in self.lock().values() {
            control.cut(Cut::Stopping);
        }
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<Client, Arc<Control>>> {
        self.by_client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One and a half times the keep alive (MQTT 3.1.1, 3.1.2.10). A packet counts from the beginning of its tick, and
/// only more silence than this ends the session, so it ends at most one tick late and never early.
fn patience(keep_alive: u16) -> u32 {
    match u32::from(keep_alive) {
        0 => 0,
        seconds => (seconds * Sessions::TICKS_PER_SECOND * 3).div_ceil(2),
    }
}

impl Control {
    /// Ends the session. Silence is the weakest reason, because it may be taken back.
    pub(crate) fn cut(&self, reason: Cut) {
        if self.cut.fetch_max(reason as u8, Ordering::AcqRel) < reason as u8 {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Whether the session is to end; if not, the task is woken when it is.
    pub(crate) fn poll_cut(&self, cx: &Context<'_>) -> Option<Cut> {
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        drop(waker);
        Cut::from_code(self.cut.load(Ordering::Acquire))
    }

    /// Takes back a cut for silence: something was there to read after all.
    pub(crate) fn forgive_silence(&self) -> bool {
        self.cut.compare_exchange(Cut::KeepAlive as u8, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Something came in the tick `now`.
    pub(crate) fn hear(&self, now: u32) {
        self.heard_at.store(now, Ordering::Relaxed);
    }

    /// From now on the session reads, or doesn't for reasons of ours. What was begun begins anew.
    pub(crate) fn set_stalled(&self, is_stalled: bool, now: u32) {
        self.hear(now);
        if self.halved_at.load(Ordering::Relaxed) != NOTHING {
            self.halved_at.store(now, Ordering::Relaxed);
        }
        self.is_stalled.store(is_stalled, Ordering::Relaxed);
    }

    /// Whether half a packet waits for its rest, and is another one than before.
    pub(crate) fn set_halved(&self, is_halved: bool, is_another: bool, now: u32) {
        note_since(&self.halved_at, is_halved, is_another, now);
    }

    /// Whether something waits for the client to take it, and it has taken some just now.
    pub(crate) fn set_untaken(&self, is_untaken: bool, has_taken: bool, now: u32) {
        note_since(&self.untaken_at, is_untaken, has_taken, now);
    }

    /// Whether it needs no certificate, or has one that what is in force now would let in.
    pub(crate) fn is_certificate_good(&self) -> bool {
        self.standing.certified.as_ref().is_none_or(|certified| certified.is_good())
    }

    /// Returns when the session is over.
    pub(crate) async fn until_over(&self) {
        let mut over = std::pin::pin!(self.over.notified());
        over.as_mut().enable();
        if !self.is_over.load(Ordering::Acquire) {
            over.await;
        }
    }

    /// A packet counts from the beginning of its tick, as silence does.
    fn is_dawdling(&self, now: u32, ticks: u128) -> bool {
        let is_old = |since: &AtomicU32| {
            let since = since.load(Ordering::Relaxed);
            since != NOTHING && u128::from(now.wrapping_sub(since)) > ticks
        };
        is_old(&self.untaken_at) || is_old(&self.halved_at) && !self.is_stalled.load(Ordering::Relaxed)
    }

    fn is_silent(&self, now: u32) -> bool {
        let silent_for = now.wrapping_sub(self.heard_at.load(Ordering::Relaxed));
        self.patience > 0 && silent_for > self.patience && !self.is_stalled.load(Ordering::Relaxed)
    }
}

/// Notes since when something is so: since now if it wasn't, or begins anew.
fn note_since(since: &AtomicU32, is_so: bool, is_anew: bool, now: u32) {
    let was_so = since.load(Ordering::Relaxed) != NOTHING;
    if !is_so && was_so {
        since.store(NOTHING, Ordering::Relaxed);
    } else if is_so && (is_anew || !was_so) {
        since.store(now, Ordering::Relaxed);
    }
}

impl Standing {
    pub(crate) fn of(proven: &Proven, certified: Option<Box<Certified>>) -> Standing {
        Standing { fingerprint: proven.fingerprint, until: proven.until, certified }
    }
}

impl Cut {
    fn from_code(code: u8) -> Option<Cut> {
        [Cut::KeepAlive, Cut::Dawdling, Cut::TakenOver, Cut::Revoked, Cut::Stopping]
            .into_iter()
            .find(|cut| *cut as u8 == code)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sessions = self.sessions.lock();
        if sessions.get(&self.client).is_some_and(|control| Arc::ptr_eq(control, &self.control)) {
            sessions.remove(&self.client);
        }
        drop(sessions);
        self.control.is_over.store(true, Ordering::Release);
        self.control.over.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(keep_alive: u16) -> (Arc<Sessions>, Place) {
        let sessions = Arc::new(Sessions::default());
        let client = Client { device: "d".into(), id: "c".into() };
        let (place, older) = sessions.enter(client, keep_alive, Standing::default());
        assert!(older.is_none());
        (sessions, place)
    }

    fn cut(place: &Place) -> Option<Cut> {
        place.control.poll_cut(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn silence_is_cut_after_one_and_a_half_keep_alives() {
        for (keep_alive, ticks) in [(1, 3), (2, 6), (10, 30), (u16::MAX, 196_605)] {
            let (sessions, place) = enter(keep_alive);
            (0..ticks).for_each(|_| sessions.sweep(PATIENCE));
            assert_eq!(cut(&place), None, "{keep_alive} s");
            sessions.sweep(PATIENCE);
            assert_eq!(cut(&place), Some(Cut::KeepAlive), "{keep_alive} s");
        }
        let (sessions, place) = enter(0);
        (0..1_000_000).for_each(|_| sessions.sweep(PATIENCE));
        assert_eq!(cut(&place), None);
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn half_a_packet_is_not_waited_for_as_long_as_its_bytes_dribble_in() {
        let (sessions, place) = enter(1);
        let tick = |is_halved, is_another| {
            place.control.hear(sessions.now());
            place.control.set_halved(is_halved, is_another, sessions.now());
            sessions.sweep(Duration::from_secs(2));
        };
        tick(true, false);
        (0..3).for_each(|_| tick(true, false));
        // Another packet has begun, and has its own time; so it has when it was we who didn't read.
        tick(true, true);
        (0..2).for_each(|_| tick(true, false));
        place.control.set_stalled(true, sessions.now());
        (0..100).for_each(|_| sessions.sweep(Duration::from_secs(2)));
        place.control.set_stalled(false, sessions.now());
        (0..4).for_each(|_| tick(true, false));
        assert_eq!(cut(&place), None);
        tick(true, false);
        assert_eq!(cut(&place), Some(Cut::Dawdling));
    }

    #[test]
    fn who_takes_nothing_is_not_waited_for() {
        let (sessions, place) = enter(0);
        for has_taken in [false, false, false, true, false, false, false] {
            place.control.set_untaken(true, has_taken, sessions.now());
            sessions.sweep(Duration::from_secs(2));
            assert_eq!(cut(&place), None);
        }
        sessions.sweep(Duration::from_secs(2));
        assert_eq!(cut(&place), Some(Cut::Dawdling));
    }

    #[test]
    fn only_silence_is_forgiven() {
        let (_sessions, place) = enter(0);
        place.control.cut(Cut::KeepAlive);
        assert!(place.control.forgive_silence());
        assert_eq!(cut(&place), None);
        place.control.cut(Cut::KeepAlive);
        place.control.cut(Cut::TakenOver);
        assert!(!place.control.forgive_silence());
        assert_eq!(cut(&place), Some(Cut::TakenOver));
    }

    #[test]
    fn a_place_that_was_taken_over_leaves_the_newer_alone() {
        let (sessions, older) = enter(0);
        let (newer, replaced) = sessions.enter(older.client.clone(), 0, Standing::default());
        assert!(Arc::ptr_eq(&replaced.unwrap(), &older.control));
        assert_eq!(cut(&older), Some(Cut::TakenOver));
        drop(older);
        sessions.stop();
        assert_eq!(cut(&newer), Some(Cut::Stopping));
        drop(newer);
        assert!(sessions.lock().is_empty());
    }
}
