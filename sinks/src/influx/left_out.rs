//! What the live lane leaves to the backfill lane, whichever process that runs in.
//!
//! What counts stands on the log, as notes beside the offsets of the live lane's group; here is what this process
//! last saw of it, and what it has left out since it committed.

use super::gaps::Gaps;
use records::{LogError, Offset, Standing, TopicPartition};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// A window: the hash of its series, and its start.
pub type WindowKey = (u64, i64);

/// What is left out and not written yet.
#[derive(Default)]
pub struct LeftOut {
    /// How far the group has come, whoever it was.
    next: BTreeMap<TopicPartition, Offset>,
    /// What it has noted.
    noted: Gaps,
    /// Left out by this process, and not committed.
    opened: Gaps,
    /// Revisions that were left out alone, …
    alone: BTreeSet<(TopicPartition, Offset)>,
    /// … and of each window the newest.
    revisions: FxHashMap<WindowKey, (TopicPartition, Offset)>,
}

impl LeftOut {
    /// Takes in where both groups stand.
    ///
    /// # Errors
    /// [`LogError::Damaged`]: a note is none of ours.
    pub fn see(&mut self, live: &[Standing], backfill: &[Standing]) -> Result<(), LogError> {
        self.noted = open_gaps(live, backfill)?;
        for Standing { partition, next, .. } in live {
            // What is below was decided by whoever committed it.
            self.opened.close_below(*partition, *next);
            self.next.insert(*partition, *next);
        }
        let Self { noted, opened, alone, revisions, .. } = self;
        alone.retain(|(at, offset)| noted.has(*at, *offset) || opened.has(*at, *offset));
        revisions.retain(|_, place| alone.contains(place));
        Ok(())
    }

    /// Records of a partition that is read now are left out.
    pub fn leave(&mut self, partition: TopicPartition, range: std::ops::Range<Offset>) {
        self.opened.open(partition, range);
    }

    /// Whether a revision of this window must wait for an older one of the same window that may be among what was left
    /// out; then it is left out as well, so that the backfill lane, which goes in order, writes it last.
    pub fn must_wait(&mut self, partition: TopicPartition, offset: Offset, window: WindowKey) -> bool {
        if !self.may_hold_older(partition, window) {
            return false;
        }
        self.opened.open(partition, offset..offset + 1);
        self.alone.insert((partition, offset));
        self.revisions.insert(window, (partition, offset));
        true
    }

    fn may_hold_older(&self, partition: TopicPartition, window: WindowKey) -> bool {
        if self.revisions.contains_key(&window) {
            return true;
        }
        let all = 0..Offset::MAX;
        let open = self.noted.within(partition, all.clone()) + self.opened.within(partition, all);
        // Of revisions that were left out alone it is known what they are.
        let known = self.alone.iter().filter(|(at, _)| *at == partition).count() as u64;
        open > known
    }

    /// What is to be committed at `next`; nothing when somebody has come further meanwhile.
    pub fn standing(&self, partition: TopicPartition, next: Offset) -> Option<Standing> {
        if self.next.get(&partition).is_some_and(|theirs| *theirs > next) {
            return None;
        }
        let mut gaps = self.noted.clone();
        gaps.add(&self.opened);
        Some(Standing { partition, next, note: gaps.note(partition) })
    }
}

/// What the live lane's group has noted, without what is written since.
///
/// # Errors
/// [`LogError::Damaged`]: a note is none of ours.
pub fn open_gaps(live: &[Standing], backfill: &[Standing]) -> Result<Gaps, LogError> {
    let mut gaps = Gaps::default();
    for Standing { partition, next, note } in live {
        let damaged = |detail| LogError::Damaged { partition: *partition, offset: *next, detail };
        gaps.open_noted(*partition, note).map_err(damaged)?;
    }
    for Standing { partition, next, .. } in backfill {
        gaps.close_below(*partition, *next);
    }
    Ok(gaps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::Topic;

    const AT: TopicPartition = TopicPartition { topic: Topic::Aggregates, partition: 1 };

    fn at(next: Offset, note: &str) -> Standing {
        Standing { partition: AT, next, note: note.to_owned() }
    }

    #[test]
    fn what_is_committed_holds_what_was_noted_and_what_was_left_since() {
        let mut left = LeftOut::default();
        left.see(&[at(100, "10+20")], &[at(15, "")]).expect("ours");
        left.leave(AT, 100..120);
        assert_eq!(left.standing(AT, 130), Some(at(130, "15+15 70+20")));
        left.see(&[at(130, "15+15 70+20")], &[at(110, "")]).expect("ours");
        assert_eq!(left.standing(AT, 140), Some(at(140, "110+10")));
    }

    /// The partition went to another process, which wrote what we had left out, and came further.
    #[test]
    fn who_came_further_decides() {
        let mut left = LeftOut::default();
        left.leave(AT, 100..120);
        left.see(&[at(150, "")], &[]).expect("ours");
        assert_eq!(left.standing(AT, 120), None);
        assert_eq!(left.standing(AT, 160), Some(at(160, "")));
    }

    #[test]
    fn a_revision_waits_for_what_may_be_older() {
        let mut left = LeftOut::default();
        assert!(!left.must_wait(AT, 5, (1, 0)), "nothing is left out");
        left.see(&[at(100, "10+20")], &[]).expect("ours");
        assert!(left.must_wait(AT, 100, (1, 0)));
        left.see(&[at(101, "10+20 70")], &[at(30, "")]).expect("ours");
        assert!(left.must_wait(AT, 101, (1, 0)), "the revision before is not written yet");
        assert!(!left.must_wait(AT, 102, (2, 0)), "nothing older of this one can be left");
        left.see(&[at(103, "100+2")], &[at(102, "")]).expect("ours");
        assert!(!left.must_wait(AT, 103, (1, 0)), "all is written");
    }

    #[test]
    fn a_note_of_somebody_else_is_said() {
        let seen = LeftOut::default().see(&[at(7, "what is this")], &[]);
        assert!(matches!(seen, Err(LogError::Damaged { offset: 7, .. })), "{seen:?}");
    }
}
