//! Tests that depend on order: gap, spike, rate of change and flat line.
//!
//! All but the spike test know at once. A spike is a jump that is taken back (IOOS QARTOD, manual for temperature and
//! salinity, test 6, with both differences instead of their mean, so that a spike does not mark its neighbours): a
//! message with a jump waits for the next value of that quantity, and the device's windows wait with it; at most for as
//! long as its rule says, and no longer than the patience of its window. A value that nobody could compare passes.

use super::track::Track;
use crate::device::order::{Arrived, Place};
use crate::rule::QualityRule;
use minicbor::{Decode, Encode};
use records::{Body, Flag, Observation, Quality, Reading, Test, Timestamp};

/// Most messages of a device that wait for what comes behind a jump; then the first goes as it is.
const MOST: usize = 4;
/// Readings of a message behind this many are not tested for spikes: a word holds no more.
const MOST_READINGS: usize = 64;

/// What is remembered of a device's quantities, and messages whose jumps are open. Bounded by the number of rules.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Sequel {
    /// By code.
    #[n(0)]
    tracks: Vec<Track>,
    /// In the order in which they came.
    #[n(1)]
    open: Vec<Open>,
}

/// A message with jumps.
#[derive(Clone, Debug, Encode, Decode)]
struct Open {
    #[n(0)]
    arrived: Arrived,
    /// Of which readings, as bits.
    #[n(1)]
    jumps: u64,
}

/// The rule of a quantity by its code.
pub type RuleOf<'r> = &'r dyn Fn(u16) -> Option<&'r QualityRule>;

impl Sequel {
    /// Judges the next message of the device in its order, whose values were judged one by one. Gives `go` the messages
    /// that go on: those that waited for it, and it itself unless it has a jump.
    pub fn judge(
        &mut self,
        mut arrived: Arrived,
        place: Place,
        rule_of: RuleOf<'_>,
        now: Timestamp,
        go: &mut dyn FnMut(Arrived),
    ) {
        let mut jumps = 0;
        let at = arrived.message.event_time;
        let mut wait = None;
        if let Body::Readings(readings) = &mut arrived.message.body {
            for (index, reading) in readings.iter_mut().enumerate() {
                if place == Place::AfterGap {
                    reading.quality = reading.quality.noted(Test::Gap);
                }
                let is_testable = !matches!(reading.quality.flag, Flag::Bad | Flag::Missing);
                let Some(code) = reading.quantity.code().filter(|_| is_testable) else { continue };
                let Some(rule) = rule_of(code).filter(|rule| rule.depends_on_order()) else { continue };
                if self.take(code, at, reading, rule) && index < MOST_READINGS {
                    jumps |= 1 << index;
                    let own = rule.spike.map(|spike| now + spike.wait);
                    wait = wait.into_iter().chain(own).min();
                }
            }
        }
        self.close(go);
        let Some(due) = wait else { return go(arrived) };
        arrived.due = due;
        self.open.push(Open { arrived, jumps });
        if self.open.len() > MOST {
            go(self.give_up(0));
        }
    }

    /// Takes a value; returns whether it is a jump that may be a spike.
    fn take(&mut self, code: u16, at: Timestamp, reading: &mut Reading, rule: &QualityRule) -> bool {
        let value = reading.value;
        let found = self.tracks.binary_search_by_key(&code, |track| track.code);
        let Ok(index) = found else {
            let index = found.unwrap_or_else(|index| index);
            self.tracks.insert(index, Track::new(code, at, value));
            return false;
        };
        self.decide(index, code, value, rule);
        let track = &mut self.tracks[index];
        let is_after_gap = track.is_after_gap(at, rule);
        reading.quality = track.judge(at, value, is_after_gap, rule, reading.quality);
        track.stay(at, value, is_after_gap, rule);
        let is_jump = rule.spike.is_some_and(|spike| (value - track.value).abs() > spike.suspect);
        if is_jump && !is_after_gap {
            return true;
        }
        track.stand(at, value);
        false
    }

    /// The value behind an open jump of a quantity has come: it was a spike if that went back.
    fn decide(&mut self, track: usize, code: u16, next: f64, rule: &QualityRule) {
        let track = &mut self.tracks[track];
        for Open { arrived, jumps } in &mut self.open {
            let at = arrived.message.event_time;
            let Some((index, reading)) = jump_of(&mut arrived.message, *jumps, code) else { continue };
            *jumps &= !(1 << index);
            let (up, down) = (reading.value - track.value, reading.value - next);
            let height = if (up > 0.0) == (down > 0.0) { up.abs().min(down.abs()) } else { 0.0 };
            match rule.spike {
                Some(spike) if height > spike.bad => reading.quality = failed(reading, Flag::Bad),
                Some(spike) if height > spike.suspect => reading.quality = failed(reading, Flag::Suspect),
                _ => track.stand(at, reading.value),
            }
        }
    }

    /// Those of which no jump is open any more go.
    fn close(&mut self, go: &mut dyn FnMut(Arrived)) {
        while let Some(index) = self.open.iter().position(|open| open.jumps == 0) {
            go(self.open.remove(index).arrived);
        }
    }

    /// Those go that must wait no longer: at `now`, ingest time, or of a time up to `progress`.
    pub fn expire(&mut self, now: Timestamp, progress: Timestamp, go: &mut dyn FnMut(Arrived)) {
        let is_over = |open: &Open| open.arrived.due <= now || open.arrived.message.event_time <= progress;
        while let Some(index) = self.open.iter().position(is_over) {
            go(self.give_up(index));
        }
    }

    /// When the first has waited long enough, ingest time.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.open.iter().map(|open| open.arrived.due).min()
    }

    /// The first time of which a message waits: no window that holds it may close.
    pub fn first(&self) -> Option<Timestamp> {
        self.open.iter().map(|open| open.arrived.message.event_time).min()
    }

    /// Nobody knows what its jumps were: they stand.
    fn give_up(&mut self, index: usize) -> Arrived {
        let Open { arrived, jumps } = self.open.remove(index);
        let Body::Readings(readings) = &arrived.message.body else { return arrived };
        for (index, reading) in readings.iter().enumerate().take(MOST_READINGS) {
            let code = reading.quantity.code().filter(|_| jumps & 1 << index != 0);
            let Some(code) = code else { continue };
            if let Ok(track) = self.tracks.binary_search_by_key(&code, |track| track.code) {
                self.tracks[track].stand(arrived.message.event_time, reading.value);
            }
        }
        arrived
    }
}

fn failed(reading: &Reading, flag: Flag) -> Quality {
    reading.quality.failed(Test::Spike, flag)
}

/// The reading of that quantity with an open jump.
fn jump_of(message: &mut Observation, jumps: u64, code: u16) -> Option<(usize, &mut Reading)> {
    let Body::Readings(readings) = &mut message.body else { return None };
    let mut open = readings.iter_mut().enumerate().take(MOST_READINGS);
    open.find(|(index, reading)| jumps & 1 << index != 0 && reading.quantity.code() == Some(code))
}
