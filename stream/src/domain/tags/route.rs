//! A line of readers: which tag that left one zone did not arrive at the next in time. Runs with the line, behind the
//! log.
//!
//! Readers of one rank make a zone; zones follow each other by rank. A passage through a zone is settled once:
//! arrived, missed, or over (nothing follows, or the tag went back).

mod passage;
mod zone;

use self::passage::{Passage, Verdict};
use self::zone::Zone;
use crate::domain::progress::{Progress, is_back};
use crate::rule::{RouteRule, TagRule};
use minicbor::{Decode, Encode};
use records::{Aggregate, Device, Name, Quantity, Sighting, Subject, Timestamp, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// One line: where its tags were seen last, and which zones miss some.
///
/// A miss is known when every reader of the zone has come past the deadline in event time, or has been silent for the
/// rule's patience; a sighting further downstream brings the deadline forward to itself. State is bounded by the
/// registry and by [`RouteRule::max_open`].
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Route {
    #[cbor(n(0), with = "crate::cbor")]
    line: Name,
    /// By rank, then name.
    #[n(1)]
    readers: Vec<Reader>,
    /// By rank.
    #[n(2)]
    zones: BTreeMap<u32, Zone>,
    /// Passages of each tag, one per zone, by rank.
    #[n(3)]
    tags: BTreeMap<Box<str>, Vec<Passage>>,
    /// Ingest time of the newest record.
    #[cbor(n(4), with = "crate::cbor")]
    now: Timestamp,
    /// Event time up to which all readers that speak have come.
    #[cbor(n(5), with = "crate::cbor")]
    low: Timestamp,
    /// Where `low` was when old passages were last forgotten.
    #[cbor(n(6), with = "crate::cbor")]
    tidied: Timestamp,
    /// What was given out last.
    #[n(7)]
    told: Told,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Reader {
    #[n(0)]
    rank: u32,
    #[cbor(n(1), with = "crate::cbor")]
    device: Name,
    /// What people call it.
    #[cbor(n(2), with = "crate::cbor")]
    label: Name,
    #[n(3)]
    progress: Progress,
}

#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
struct Told {
    #[n(0)]
    missing: u32,
    #[n(1)]
    rank: u32,
    #[cbor(n(2), with = "crate::cbor")]
    minute: Option<Timestamp>,
    #[n(3)]
    revision: u32,
    #[cbor(n(4), with = "crate::cbor")]
    at: Option<Timestamp>,
}

/// What a line needs to know beside its state.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Its rule.
    pub rule: &'a RouteRule,
    /// How sightings are made: how long one may still be open.
    pub tags: &'a TagRule,
}

/// A change in what a line misses.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// `tags_missing`, about the line: tags that did not arrive at its worst zone since that was last well. In the
    /// minute of `at`; a later change in the same minute is a revision. Its `is_backfill` is false: a line does not
    /// know what is old; compare `at` with `as_of`.
    pub count: Aggregate,
    /// When it happened, event time: a deadline or an arrival; never before the change before.
    pub at: Timestamp,
    /// The reader that misses them, or the readers of the zone.
    pub reader: String,
    /// The newest of the missing tags.
    pub tags: String,
}

impl Route {
    /// A line without readers.
    pub fn new(line: Name) -> Route {
        Route {
            line,
            readers: Vec::new(),
            zones: BTreeMap::new(),
            tags: BTreeMap::new(),
            now: Timestamp::MIN,
            low: Timestamp::MIN,
            tidied: Timestamp::MIN,
            told: Told::default(),
        }
    }

    /// Takes a registry entry of a reader on this line; from `as_of` on it is waited for. A disabled one is gone. Call
    /// [`Route::advance`] first.
    pub fn register(&mut self, device: &Device, as_of: Timestamp) {
        let known = self.readers.iter().find(|reader| reader.device == device.id);
        let progress = known.map_or_else(|| Progress::new(as_of), |known| known.progress.clone());
        self.readers.retain(|reader| reader.device != device.id);
        if !device.is_enabled {
            return self.forget_zones();
        }
        let label = if device.label.is_empty() { device.id.clone() } else { device.label.clone() };
        let (rank, device) = (device.rank, device.id.clone());
        let place = self.readers.partition_point(|other| (other.rank, &other.device) < (rank, &device));
        self.readers.insert(place, Reader { rank, device, label, progress });
        self.zones.entry(rank).or_default();
        self.forget_zones();
    }

    /// A reader has left the line. Call [`Route::advance`] first.
    pub fn remove(&mut self, device: &Name) {
        self.readers.retain(|reader| reader.device != *device);
        self.forget_zones();
    }

    /// A zone without a reader is none.
    fn forget_zones(&mut self) {
        let ranks: BTreeSet<u32> = self.readers.iter().map(|reader| reader.rank).collect();
        self.zones.retain(|rank, _| ranks.contains(rank));
    }

    /// Takes a sighting by a reader of this line, in order of `as_of`. Strangers change nothing, nor does a sighting
    /// so old that what followed is forgotten. Returns the changes up to it and by it.
    pub fn observe(&mut self, sighting: &Sighting, line: &Line<'_>) -> Vec<Missing> {
        let mut changes = self.advance(sighting.as_of, line);
        let heard = self.hear(&sighting.device, sighting.last_seen, sighting.as_of, line);
        let Some(rank) = heard else { return changes };
        self.tidy(line);
        if sighting.last_seen + line.horizon(&self.line) >= self.low {
            self.pass(rank, sighting, line);
            changes.extend(self.settle(&sighting.epc, None, line));
        }
        changes
    }

    /// A reader of this line has come to `reached` in event time, in order of `as_of`. Returns the changes up to it.
    pub fn progress(
        &mut self,
        reader: &Name,
        reached: Timestamp,
        as_of: Timestamp,
        line: &Line<'_>,
    ) -> Vec<Missing> {
        let changes = self.advance(as_of, line);
        self.hear(reader, reached, as_of, line);
        changes
    }

    /// Ingest time has reached `as_of`, and everything with a smaller `as_of` has been given. Returns the changes that
    /// were known before `as_of`, in the order in which they became known.
    pub fn advance(&mut self, as_of: Timestamp, line: &Line<'_>) -> Vec<Missing> {
        let mut changes = Vec::new();
        while let Some((known_at, rank)) = self.next_due(line).filter(|(known_at, _)| *known_at < as_of) {
            let Some((_, epc)) = self.zones.get_mut(&rank).and_then(|zone| zone.due.pop_first()) else {
                break;
            };
            changes.extend(self.settle(&epc, Some(known_at), line));
        }
        changes
    }

    /// Notes what a reader has said and returns its zone; `None` for a stranger.
    fn hear(&mut self, device: &Name, reached: Timestamp, as_of: Timestamp, line: &Line<'_>) -> Option<u32> {
        if is_back(self.now, as_of, line.rule.patience) {
            self.readers.iter_mut().for_each(|reader| reader.progress.wait_from(as_of));
        }
        let reader = self.readers.iter_mut().find(|reader| reader.device == *device)?;
        reader.progress.advance(reached, as_of);
        let rank = reader.rank;
        self.now = self.now.max(as_of);
        let speaks = |reader: &&Reader| !reader.progress.is_silent(self.now, line.rule.patience);
        let low = self.readers.iter().filter(speaks).map(|reader| reader.progress.reached).min();
        self.low = self.low.max(low.unwrap_or(Timestamp::MIN));
        Some(rank)
    }

    /// Forgets tags whose passages can decide nothing any more.
    fn tidy(&mut self, line: &Line<'_>) {
        if self.low < self.tidied + line.rule.route_time(&self.line) {
            return;
        }
        self.tidied = self.low;
        let keep = line.horizon(&self.line) + line.tags.longest;
        let low = self.low;
        self.tags.retain(|_, passages| passages.iter().any(|passage| passage.last_seen + keep >= low));
    }

    /// Notes a passage. A tag that stays in a zone is expected at the next from when it was seen last.
    fn pass(&mut self, rank: u32, sighting: &Sighting, line: &Line<'_>) {
        if self.tags.len() >= line.rule.max_open as usize && !self.tags.contains_key(&*sighting.epc) {
            self.forget_oldest();
        }
        let passages = self.tags.entry((&*sighting.epc).into()).or_default();
        let Sighting { first_seen, last_seen, .. } = *sighting;
        let new = Passage { rank, first_seen, last_seen, is_settled: false };
        match passages.iter_mut().find(|passage| passage.rank == rank) {
            None => passages.push(new),
            Some(known) if known.last_seen >= last_seen => {}
            Some(known) if known.is_settled => *known = new,
            Some(known) => known.last_seen = last_seen,
        }
        passages.sort_by_key(|passage| passage.rank);
    }

    fn forget_oldest(&mut self) {
        let newest = |passages: &[Passage]| passages.iter().map(|passage| passage.last_seen).max();
        let oldest =
            self.tags.iter().min_by_key(|(_, passages)| newest(passages)).map(|(epc, _)| epc.clone());
        if let Some(epc) = oldest {
            self.tags.remove(&epc);
        }
    }

    /// When the next miss can be known, ingest time, and in which zone.
    fn next_due(&self, line: &Line<'_>) -> Option<(Timestamp, u32)> {
        let of_zone = |(rank, zone): (&u32, &Zone)| {
            let due = Timestamp(zone.due.first()?.0);
            Some((self.known_at(*rank, due, line), *rank))
        };
        self.zones.iter().filter_map(of_zone).min()
    }

    /// From when on nothing more is expected of a zone about the time before `due`, ingest time.
    fn known_at(&self, rank: u32, due: Timestamp, line: &Line<'_>) -> Timestamp {
        let of_zone = self.readers.iter().filter(|reader| reader.rank == rank);
        let past = of_zone.map(|reader| reader.progress.past_from(due, line.rule.patience)).max();
        past.map_or(self.now, |past| past.max(self.now))
    }

    /// Settles what can be settled of a tag's passages. `known_at` says as of when silence counts as an answer; `None`
    /// while records of this very instant may still come.
    fn settle(&mut self, epc: &str, known_at: Option<Timestamp>, line: &Line<'_>) -> Vec<Missing> {
        let Some(passages) = self.tags.get(epc).cloned() else { return Vec::new() };
        let mut changes = Vec::new();
        for (index, passage) in passages.iter().enumerate().filter(|(_, passage)| !passage.is_settled) {
            let next = self.zones.range(passage.rank.saturating_add(1)..).next().map(|(rank, _)| *rank);
            let verdict = passage.verdict(&passages, next, line.rule.route_time(&self.line));
            if let Verdict::Open { next, at } = verdict {
                let due = at + line.slack();
                if known_at.is_none_or(|known_at| self.known_at(next, due, line) > known_at) {
                    self.zones.entry(next).or_default().due.insert((due.0, epc.into()));
                    continue;
                }
            }
            if let Some(passage) = self.tags.get_mut(epc).and_then(|passages| passages.get_mut(index)) {
                passage.is_settled = true;
            }
            changes.extend(self.count(epc, &verdict, known_at, line));
        }
        changes
    }

    /// Counts a settled passage at the zone where it was expected.
    fn count(
        &mut self,
        epc: &str,
        verdict: &Verdict,
        known_at: Option<Timestamp>,
        line: &Line<'_>,
    ) -> Option<Missing> {
        let at = match *verdict {
            Verdict::Over => return None,
            Verdict::Arrived { next, at } => {
                self.zones.get_mut(&next)?.arrived(line.rule.clear_after);
                at
            }
            Verdict::Late { next, at } | Verdict::Open { next, at } => {
                self.zones.get_mut(&next)?.missed(epc);
                at
            }
        };
        self.tell(at, known_at)
    }

    /// The zone that misses most, of several the first along the line, if that has changed.
    fn tell(&mut self, at: Timestamp, known_at: Option<Timestamp>) -> Option<Missing> {
        let worst = self.zones.iter().rev().max_by_key(|(_, zone)| zone.missing);
        let (missing, rank, tags) = match worst.filter(|(_, zone)| zone.missing > 0) {
            Some((rank, zone)) => (zone.missing, *rank, zone.named()),
            // Whoever missed some before is well now.
            None => (0, self.told.rank, String::new()),
        };
        if (missing, rank) == (self.told.missing, self.told.rank) {
            return None;
        }
        let at = self.told.at.map_or(at, |told| told.max(at));
        let window = Window::tumbling(at, MINUTE);
        let is_same_minute = self.told.minute == Some(window.start);
        let revision = if is_same_minute { self.told.revision.saturating_add(1) } else { 0 };
        self.told = Told { missing, rank, minute: Some(window.start), revision, at: Some(at) };
        let count = self.row(f64::from(missing), window, revision, known_at.unwrap_or(self.now));
        Some(Missing { count, at, reader: self.readers_of(rank), tags })
    }

    fn row(&self, value: f64, window: Window, revision: u32, as_of: Timestamp) -> Aggregate {
        Aggregate {
            subject: Subject::Area(self.line.clone()),
            area: self.line.clone(),
            quantity: Quantity::from_name("tags_missing"),
            window,
            revision,
            count: 1,
            good: 1,
            sum: value,
            mean: value,
            min: value,
            max: value,
            as_of,
            is_backfill: false,
        }
    }

    fn readers_of(&self, rank: u32) -> String {
        let labels =
            self.readers.iter().filter(|reader| reader.rank == rank).map(|reader| reader.label.as_str());
        labels.collect::<Vec<_>>().join(" / ")
    }
}

impl Line<'_> {
    /// How long a sighting can be under way to the log after its first read.
    fn slack(&self) -> Duration {
        self.tags.timeout + self.tags.longest
    }

    /// How far behind the line a passage is still judged: what could have followed it is remembered.
    fn horizon(&self, line: &str) -> Duration {
        self.rule.route_time(line) * 2 + self.slack()
    }
}

#[cfg(test)]
mod tests;
