//! RFID readers along a line on which pallets travel.

use super::{Moment, Values, round};
use crate::chance::{Chance, SECOND};
use crate::epc::sgtin96;
use firmware_protocol::{TagRead, quantities as q};

/// A line: a pallet enters every so often and passes the readers in the order of their ranks.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Its own noise.
    pub chance: Chance,
    /// When pallet 0 enters.
    pub origin: i64,
    /// Its number, part of the item reference.
    pub number: u64,
}

/// A reader.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Where it stands.
    pub line: Line,
    /// Its place along the line.
    pub rank: u32,
    /// Its own noise.
    pub chance: Chance,
    /// When it sees no tags.
    pub blind: Vec<Blind>,
}

/// A stretch in which a reader reports, but sees no tags.
#[derive(Clone, Copy, Debug)]
pub struct Blind {
    /// First millisecond.
    pub from: i64,
    /// First millisecond after.
    pub to: i64,
}

/// Between two pallets.
const TAKT: i64 = 180 * SECOND;
/// From reader to reader.
const LEG: i64 = 90 * SECOND;
/// Most that a pallet enters early or late.
const ENTRY_JITTER: i64 = 20 * SECOND;
/// Most that it takes more or less to a reader.
const LEG_JITTER: i64 = 8 * SECOND;
/// Longest stay in a reader's field.
const STAY: i64 = 5 * SECOND;
/// A company prefix of GS1 China's range, and the first of the lines' item references.
const COMPANY: (u32, u64, u64) = (7, 6_901_234, 56_789);

impl Reader {
    /// The tags whose passage ended in `(from, to]`, in the order of their pallets.
    pub fn tag_reads(&self, from: i64, to: i64) -> Vec<TagRead> {
        let ahead = self.line.origin + i64::from(self.rank) * LEG;
        let slack = ENTRY_JITTER + LEG_JITTER + STAY;
        let first = (from - slack - ahead).div_euclid(TAKT).max(0);
        let last = (to + slack - ahead).div_euclid(TAKT);
        (first..=last).filter_map(|pallet| self.passage(pallet, ahead, from, to)).collect()
    }

    /// The reader about itself.
    pub fn values(&self, at: &Moment) -> Values {
        vec![(q::BATTERY, round(24.0 + 0.1 * self.chance.named("battery").texture(at.time), 2))]
    }

    fn passage(&self, pallet: i64, ahead: i64, from: i64, to: i64) -> Option<TagRead> {
        let jitter = |chance: Chance, most: i64| (chance.between(pallet, -1.0, 1.0) * most as f64) as i64;
        let entry = jitter(self.line.chance.named("entry"), ENTRY_JITTER);
        let seen = ahead + pallet * TAKT + entry + jitter(self.chance.named("leg"), LEG_JITTER);
        let gone = seen + self.chance.named("stay").between(pallet, 2_000.0, STAY as f64) as i64;
        let is_seen = !self.blind.iter().any(|blind| blind.from <= seen && seen < blind.to);
        if !(from < gone && gone <= to && is_seen) {
            return None;
        }
        let (digits, prefix, item) = COMPANY;
        Some(TagRead {
            epc: sgtin96(2, digits, prefix, item + self.line.number, pallet as u64)?,
            rssi: Some(self.chance.named("rssi").between(pallet, -70.0, -45.0).round() as f32),
            antenna: 1 + self.chance.named("antenna").pick(pallet, 2) as u16,
            count: 5 + self.chance.named("reads").pick(pallet, 36) as u32,
            first: Some(seen),
            last: Some(gone),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(rank: u32) -> Reader {
        let chance = Chance::new(5);
        let line = Line { chance, origin: 0, number: 1 };
        Reader { line, rank, chance: chance.child(u64::from(rank) + 1), blind: Vec::new() }
    }

    #[test]
    fn every_pallet_is_seen_once_however_time_is_cut() {
        for rank in [0, 5] {
            let whole = reader(rank).tag_reads(0, 3_600_000);
            let cut: Vec<TagRead> =
                (0..360).flat_map(|n| reader(rank).tag_reads(n * 10_000, (n + 1) * 10_000)).collect();
            assert!((17..=20).contains(&whole.len()), "{}", whole.len());
            assert_eq!(cut.iter().map(|tag| tag.epc).collect::<Vec<_>>().len(), whole.len());
            assert!(whole.iter().all(|tag| cut.contains(tag)));
        }
    }

    #[test]
    fn a_pallet_passes_the_readers_in_order() {
        let passages = |rank| reader(rank).tag_reads(0, 7_200_000);
        let at = |rank, epc| passages(rank).into_iter().find(|tag: &TagRead| tag.epc == epc).unwrap().first;
        let epc = passages(0)[3].epc;
        assert!((1..6).all(|rank| at(rank - 1, epc) < at(rank, epc)));
    }

    #[test]
    fn a_blind_reader_sees_nothing() {
        let blind = Reader { blind: vec![Blind { from: 600_000, to: 1_200_000 }], ..reader(2) };
        let seen = |tags: Vec<TagRead>| {
            tags.iter().filter(|tag| (600_000..1_200_000).contains(&tag.first.unwrap())).count()
        };
        assert_eq!(seen(blind.tag_reads(0, 3_600_000)), 0);
        assert!(seen(reader(2).tag_reads(0, 3_600_000)) >= 3);
    }
}
