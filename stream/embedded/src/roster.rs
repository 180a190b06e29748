//! Who reads what, and how far: the `offsets` table in memory, with the seats that are taken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use records::Offset;

use crate::seat::{ReaderName, Seat};

/// How far a reader has come in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The first record whose effects are not committed.
    pub next: Offset,
    /// The oldest record that it may ask for again: for a job, the offset of its snapshot.
    pub keep: Offset,
}

/// Partition number and reader.
pub(crate) type Place = (usize, ReaderName);

/// The readers of a log.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    entries: Mutex<BTreeMap<Place, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    seat: Weak<Seat>,
    position: Option<Position>,
    note: Option<Arc<str>>,
}

impl Roster {
    /// Gives `seat` its places; whoever sat on one of them is fenced.
    pub fn sit(&self, seat: &Arc<Seat>) {
        let mut entries = self.entries();
        for index in &seat.partitions {
            let entry = entries.entry((*index, seat.name.clone())).or_default();
            let before = std::mem::replace(&mut entry.seat, Arc::downgrade(seat));
            if let Some(before) = before.upgrade() {
                before.fence();
            }
        }
    }

    pub fn position(&self, place: &Place) -> Option<Position> {
        self.entries().get(place)?.position
    }

    pub fn set(&self, positions: impl IntoIterator<Item = (Place, Position)>) {
        let mut entries = self.entries();
        for (place, position) in positions {
            entries.entry(place).or_default().position = Some(position);
        }
    }

    /// A position with what was noted beside it.
    pub fn standing(&self, place: &Place) -> Option<(Position, Arc<str>)> {
        let entries = self.entries();
        let entry = entries.get(place)?;
        Some((entry.position?, entry.note.clone().unwrap_or_default()))
    }

    pub fn note(&self, notes: impl IntoIterator<Item = (Place, Arc<str>)>) {
        let mut entries = self.entries();
        for (place, note) in notes {
            entries.entry(place).or_default().note = Some(note);
        }
    }

    /// Whether a living reader of this name has a seat.
    pub fn is_seated(&self, name: &ReaderName) -> bool {
        self.entries().iter().any(|((_, reader), entry)| reader == name && entry.seat.strong_count() > 0)
    }

    pub fn forget(&self, name: &ReaderName) {
        self.entries().retain(|(_, reader), _| reader != name);
    }

    /// The known readers of a partition.
    pub fn of(&self, index: usize) -> Vec<(ReaderName, Position)> {
        let entries = self.entries();
        let of_partition = entries.range(range_of(index));
        of_partition.filter_map(|((_, name), entry)| Some((name.clone(), entry.position?))).collect()
    }

    /// The oldest record of a partition that a known reader may ask for; [`Offset::MAX`] without readers.
    pub fn keep(&self, index: usize) -> Offset {
        let entries = self.entries();
        let of_partition = entries.range(range_of(index));
        of_partition.filter_map(|(_, entry)| Some(entry.position?.keep)).min().unwrap_or(Offset::MAX)
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<Place, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From before the first reader of a partition to before that of the next one.
fn range_of(index: usize) -> std::ops::Range<Place> {
    let before = |index| (index, ReaderName::Group(String::new()));
    before(index)..before(index + 1)
}
