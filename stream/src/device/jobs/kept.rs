//! What a pane keeps: a few values as they are, or statistics of many.
//!
//! Panes of hopping windows are many and most hold a message or two. As statistics of six inputs these take 600 bytes,
//! and a window looks at all panes that it is merged from; as values they take 100.

use super::sight::Sight;
use super::tally::{Tally, values_of};
use crate::rule::{JobRule, Windowing};
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};
use records::{Flag, Quality, Timestamp};
use std::time::Duration;

/// Most values that are kept as they are, for each input: as many take as much room as statistics of them.
const FEW: usize = 4;
const FLAGS: [Flag; 5] = [Flag::Good, Flag::NotEvaluated, Flag::Suspect, Flag::Bad, Flag::Missing];

/// The values of a pane.
#[derive(Clone, Debug, Encode, Decode)]
pub enum Kept {
    /// As they came.
    #[n(0)]
    Few(#[n(0)] Samples),
    /// Their statistics.
    #[n(1)]
    Many(#[n(0)] Tally),
}

/// Values in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Sample>);

#[derive(Clone, Copy, Debug)]
struct Sample {
    value: f64,
    /// Event time, ms after the pane's start.
    after: u32,
    /// Place among the inputs of the job.
    input: u16,
    flag: Flag,
}

impl Kept {
    /// Of no value.
    pub fn new(rule: &JobRule) -> Kept {
        // A tumbling window has one pane, and what takes long to add would be added anew for each window.
        let is_merged = matches!(rule.windowing, Windowing::Hopping { .. });
        let is_quick = rule.inputs.iter().all(|input| !input.wants.circle && !input.wants.sketch);
        let is_numbered = u16::try_from(rule.inputs.len()).is_ok();
        let is_quick = is_quick && rule.is_told_as_kept();
        match is_merged && is_quick && is_numbered {
            true => Kept::Few(Samples(Vec::with_capacity(rule.inputs.len()))),
            false => Kept::Many(Tally::default()),
        }
    }

    /// Adds what a message says.
    pub fn add(&mut self, start: Timestamp, sight: &Sight<'_>, rule: &JobRule) {
        if let Kept::Few(samples) = self {
            if samples.add(start, sight, rule) {
                return;
            }
            let mut all = Tally::of(rule);
            samples.add_to(start, rule, &mut all);
            *self = Kept::Many(all);
        }
        if let Kept::Many(all) = self {
            all.add(sight, rule);
        }
    }

    /// Lets what a message says stand, for means over time. Returns whether it came too late.
    pub fn stand(&mut self, sight: &Sight<'_>, rule: &JobRule, hold: Duration) -> bool {
        match self {
            Kept::Many(all) => all.stand(sight, rule, hold),
            Kept::Few(_) => false,
        }
    }

    /// Adds what a window holds that is told no more.
    pub fn merge(&mut self, tally: &Tally) {
        if let Kept::Many(all) = self {
            all.merge(tally);
        }
    }

    /// Statistics, where they are kept.
    pub fn tally(&self) -> Option<&Tally> {
        match self {
            Kept::Many(all) => Some(all),
            Kept::Few(_) => None,
        }
    }

    /// Adds all of it to `to`.
    pub fn add_to(&self, start: Timestamp, rule: &JobRule, to: &mut Tally) {
        match self {
            Kept::Few(samples) => samples.add_to(start, rule, to),
            Kept::Many(all) => to.merge(all),
        }
    }
}

impl Samples {
    /// Adds what a message says, if there is room.
    fn add(&mut self, start: Timestamp, sight: &Sight<'_>, rule: &JobRule) -> bool {
        let after = u32::try_from(sight.message.event_time.0.saturating_sub(start.0));
        let room = FEW * rule.inputs.len();
        let (Ok(after), true) = (after, self.0.len() < room) else { return false };
        let before = self.0.len();
        values_of(sight, rule, |input, value, quality| {
            let input = u16::try_from(input).expect("asked when the pane began");
            self.0.push(Sample { value, after, input, flag: quality.flag });
        });
        let has_room = self.0.len() <= room;
        if !has_room {
            self.0.truncate(before);
        }
        has_room
    }

    fn add_to(&self, start: Timestamp, rule: &JobRule, to: &mut Tally) {
        for Sample { value, after, input, flag } in &self.0 {
            let (input, at) = (usize::from(*input), Timestamp(start.0.saturating_add(i64::from(*after))));
            // A damaged snapshot may name one that the rule has not.
            if let (Some(to), Some(of)) = (to.values.get_mut(input), rule.inputs.get(input)) {
                to.add(at, *value, Quality { flag: *flag, tests: 0 }, of.wants);
            }
        }
    }
}

const SAMPLE_BYTES: usize = 15;

/// One string of bytes, 15 for each.
impl<C> Encode<C> for Samples {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        let mut bytes = Vec::with_capacity(self.0.len() * SAMPLE_BYTES);
        for Sample { value, after, input, flag } in &self.0 {
            bytes.extend_from_slice(&value.to_be_bytes());
            bytes.extend_from_slice(&after.to_be_bytes());
            bytes.extend_from_slice(&input.to_be_bytes());
            bytes.push(*flag as u8);
        }
        to.bytes(&bytes)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Samples {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let (samples, rest) = from.bytes()?.as_chunks::<SAMPLE_BYTES>();
        let all: Option<Vec<Sample>> = samples.iter().map(sample).collect();
        all.filter(|_| rest.is_empty()).map(Samples).ok_or_else(|| DecodeError::message("not samples"))
    }
}

fn sample(bytes: &[u8; SAMPLE_BYTES]) -> Option<Sample> {
    let (value, rest) = bytes.split_first_chunk()?;
    let (after, rest) = rest.split_first_chunk()?;
    let (input, rest) = rest.split_first_chunk()?;
    let flag = FLAGS.into_iter().find(|flag| [*flag as u8] == rest)?;
    Some(Sample {
        value: f64::from_be_bytes(*value),
        after: u32::from_be_bytes(*after),
        input: u16::from_be_bytes(*input),
        flag,
    })
}
