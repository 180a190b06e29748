//! When it happened: the device's word, as far as it can be true, and corrected where its clock is known to be wrong.
//!
//! A message that was made at *t* by a clock that is ahead by *o* says *t + o* and arrives at *t + delay*. What can be
//! seen is *said − ingest = o − delay*, the apparent offset. A delay is never negative, so no apparent offset is above
//! the true one, and the highest of those that stay together is the best guess at it. A backlog has all delays there
//! are and stays nowhere; a clock that is wrong, but runs, stays where it is.

mod config;
mod plateau;
mod step;

pub use config::{ClockConfig, Policy};
pub use step::Step;

use minicbor::{Decode, Encode};
use plateau::Plateau;
use records::{Observation, Timestamp};

/// 2000-01-01T00:00:00Z: a device that says less has lost its clock.
const EARLIEST: Timestamp = Timestamp(946_684_800_000);
/// A word that counts seconds where milliseconds are meant is recognised up to so far from the gateway's clock.
const DAY: i64 = 86_400_000;
/// A plateau that does not settle gives way to a lower one after this many settling times of silence.
const STALE: u32 = 5;

/// What became of the device's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Verdict {
    /// It said none: the ingest time stands for it, and that is no fault.
    #[n(0)]
    Absent,
    /// Believed.
    #[n(1)]
    Trusted,
    /// Known to be wrong, and by how much: corrected, and usable.
    #[n(2)]
    Corrected,
    /// Known to be wrong, and not yet by how much (or not to be corrected, by policy): a guess.
    #[n(3)]
    Doubted,
}

/// What is wrong with the device's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Before 2000.
    TooOld,
    /// After the gateway's clock by more than the allowance.
    InFuture,
    /// Steadily behind the gateway's clock by more than the tolerance.
    Behind,
    /// Seconds where milliseconds are meant.
    Seconds,
}

/// The event time of a message, and how it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// When it happened, as far as we know. Not before 2000, and not after ingest time plus allowance.
    pub event_time: Timestamp,
    /// What became of the device's word.
    pub verdict: Verdict,
    /// What was wrong with it.
    pub fault: Option<Fault>,
    /// The clock has been seen to have stepped.
    pub step: Option<Step>,
}

/// What is known of a device's clock. Bounded: two plateaus, whatever comes.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct ClockModel {
    /// Where the clock stands.
    #[n(0)]
    top: Option<Plateau>,
    /// Where it may stand: it takes the place of `top` once it has settled and `top` is left or below it.
    #[n(1)]
    other: Option<Box<Plateau>>,
    /// The offset at which `top` was last known to stand, ms.
    #[n(2)]
    settled_at: i64,
    /// The newest word of a wrong clock, of a device that counts its messages.
    #[n(3)]
    newest: Option<Box<Word>>,
}

/// A word, and its place in the device's own order.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Word {
    #[n(0)]
    epoch: u32,
    #[n(1)]
    sequence: u64,
    #[cbor(n(2), with = "crate::cbor")]
    said: Timestamp,
}

/// Which plateau a message belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Other,
}

impl ClockModel {
    /// Judges a message that has not been seen before, and learns from it.
    pub fn judge(&mut self, message: &Observation, policy: Policy, config: &ClockConfig) -> Judgement {
        let ingest = message.ingest_time;
        let Some(said) = message.device_time else {
            return Judgement { event_time: ingest, verdict: Verdict::Absent, fault: None, step: None };
        };
        let fault = obvious_fault(said, ingest, config);
        match policy {
            Policy::Correct => self.correct(message, said, fault, config),
            Policy::Trust => believe(said, ingest, fault),
            Policy::Ingest => {
                let judgement = self.correct(message, said, fault, config);
                let Judgement { fault, step, .. } = judgement;
                match judgement.verdict {
                    Verdict::Corrected | Verdict::Doubted => {
                        Judgement { event_time: ingest, verdict: Verdict::Doubted, fault, step }
                    }
                    Verdict::Absent | Verdict::Trusted => judgement,
                }
            }
        }
    }

    fn correct(
        &mut self,
        message: &Observation,
        said: Timestamp,
        fault: Option<Fault>,
        config: &ClockConfig,
    ) -> Judgement {
        let ingest = message.ingest_time;
        let is_seconds = fault == Some(Fault::Seconds);
        let said = if is_seconds { Timestamp(said.0 * 1000) } else { said };
        let apparent = said.0.saturating_sub(ingest.0);
        let word = message.sequence.map(|sequence| Word { epoch: message.epoch, sequence, said });
        let may_be_set = config.is_right(apparent) || said < EARLIEST;
        if may_be_set && word.as_ref().is_some_and(|word| self.is_set_back(word)) {
            self.top = None;
        }
        let place = self.learn(apparent, said, ingest, config);
        let (place, step) = self.settle(place, config);
        self.remember(word, config);
        let (event_time, verdict) = self.event_time(place, apparent, said, ingest, config);
        let is_behind = verdict == Verdict::Corrected && self.is_behind(config);
        let fault = fault.or(is_behind.then_some(Fault::Behind));
        let verdict = if is_seconds && verdict == Verdict::Trusted { Verdict::Corrected } else { verdict };
        Judgement { event_time, verdict, fault, step }
    }

    /// Whether a clock that was wrong has been set back: the device counted on and said less.
    fn is_set_back(&self, word: &Word) -> bool {
        let is_newer = |newest: &Word| (newest.epoch, newest.sequence) < (word.epoch, word.sequence);
        self.newest.as_deref().is_some_and(|newest| is_newer(newest) && word.said < newest.said)
    }

    /// Keeps the newest word of a wrong clock.
    fn remember(&mut self, word: Option<Word>, config: &ClockConfig) {
        if !self.top.as_ref().is_some_and(|top| top.is_wrong(config)) {
            self.newest = None;
        } else if let Some(word) = word
            && self
                .newest
                .as_ref()
                .is_none_or(|newest| (newest.epoch, newest.sequence) < (word.epoch, word.sequence))
        {
            self.newest = Some(Box::new(word));
        }
    }

    /// Finds the plateau of an apparent offset, and lets it grow.
    fn learn(&mut self, apparent: i64, said: Timestamp, ingest: Timestamp, config: &ClockConfig) -> Place {
        let Some(top) = &mut self.top else {
            self.top = Some(Plateau::new(apparent, said < EARLIEST, ingest));
            return Place::Top;
        };
        if top.takes(apparent, config) {
            top.add(apparent, ingest);
            return Place::Top;
        }
        if let Some(other) = &mut self.other
            && other.takes(apparent, config)
        {
            other.add(apparent, ingest);
            return Place::Other;
        }
        let new = Plateau::new(apparent, said < EARLIEST, ingest);
        let is_better = apparent > top.offset() || (top.is_wrong(config) && config.is_right(apparent));
        if is_better && !top.has_settled(config) {
            self.top = Some(new);
            return Place::Top;
        }
        // While the clock is still heard where it stood, what is below is nothing but delayed.
        let is_free = |other: &Plateau| {
            let is_stale = top.last() >= other.last() || other.last() + config.settle * STALE < ingest;
            is_stale || apparent > other.offset() || (new.is_known_wrong() && !other.is_known_wrong())
        };
        if self.other.as_deref().is_none_or(is_free) {
            self.other = Some(Box::new(new));
        }
        Place::Other
    }

    /// Lets a plateau that has settled be the one on which the clock stands. Says where the message stands then, and
    /// whether that is a step.
    fn settle(&mut self, place: Place, config: &ClockConfig) -> (Place, Option<Step>) {
        if let (Place::Other, Some(top), Some(other)) = (place, &self.top, &self.other) {
            let is_left = top.last() < other.since() && other.is_no_delay(top.offset());
            if other.has_settled(config) && (is_left || other.offset() > top.offset()) {
                self.top = self.other.take().map(|other| *other);
                return (Place::Top, self.step(config));
            }
        }
        (place, if place == Place::Top { self.step(config) } else { None })
    }

    /// Whether the clock, once settled, stands somewhere else than before.
    fn step(&mut self, config: &ClockConfig) -> Option<Step> {
        let top = self.top.as_mut()?;
        top.judge(config);
        if !top.has_settled(config) {
            return None;
        }
        let offset = top.offset();
        let was_right = config.is_right(self.settled_at);
        let is_step =
            if top.is_wrong(config) { !config.is_near(offset, self.settled_at) } else { !was_right };
        let before = std::mem::replace(&mut self.settled_at, offset);
        is_step.then(|| Step::between(before, offset, top.is_wrong(config), top.last()))
    }

    /// The event time by the plateau that the message belongs to, or by `top` when it was only delayed.
    fn event_time(
        &self,
        place: Place,
        apparent: i64,
        said: Timestamp,
        ingest: Timestamp,
        config: &ClockConfig,
    ) -> (Timestamp, Verdict) {
        let (Some(top), other) = (&self.top, self.other.as_deref()) else { return (said, Verdict::Trusted) };
        let is_delayed = apparent < top.offset() && (said >= EARLIEST || top.is_known_wrong());
        match place {
            Place::Top => top.event_time(said, ingest, config),
            Place::Other if is_delayed => match top.event_time(said, ingest, config) {
                // A clock that was wrong may just have been set right; until that has settled nobody knows. Of two
                // guesses the earlier does less harm: the later would make all that is between them late.
                (corrected, _) if top.is_wrong(config) && config.is_right(apparent) => {
                    (corrected, Verdict::Doubted)
                }
                by_top => by_top,
            },
            Place::Other => match other.filter(|other| other.takes(apparent, config)) {
                Some(other) => other.event_time(said, ingest, config),
                None if config.is_right(apparent) => (said, Verdict::Trusted),
                None => (ingest, Verdict::Doubted),
            },
        }
    }

    /// Whether the clock is known to be slow.
    fn is_behind(&self, config: &ClockConfig) -> bool {
        self.top.as_ref().is_some_and(|top| top.offset() < 0 && top.is_wrong(config))
    }
}

/// What a word alone tells.
fn obvious_fault(said: Timestamp, ingest: Timestamp, config: &ClockConfig) -> Option<Fault> {
    if said >= EARLIEST {
        return (said > ingest + config.allowance).then_some(Fault::InFuture);
    }
    let as_seconds = said.0.saturating_mul(1000);
    let is_seconds = as_seconds >= EARLIEST.0 && as_seconds.saturating_sub(ingest.0).saturating_abs() <= DAY;
    Some(if is_seconds { Fault::Seconds } else { Fault::TooOld })
}

/// Policy *trust*: whatever can be true is.
fn believe(said: Timestamp, ingest: Timestamp, fault: Option<Fault>) -> Judgement {
    let (event_time, verdict) = match fault {
        None => (said, Verdict::Trusted),
        Some(_) => (ingest, Verdict::Doubted),
    };
    Judgement { event_time, verdict, fault, step: None }
}

#[cfg(test)]
mod tests;
