//! What another deployment wants to know.
//!
//! The same records in the same order give the same copies: what a decision hangs on beside the record is noted at the
//! target, together with the copies.

use super::target::{Note, Notes};
use records::{Alert, AlertState, Body, Entry, Name, Observation, Record, Severity};
use rustc_hash::{FxHashMap, FxHashSet};

/// What is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// These areas and what lies in them (`plant` holds `plant/line-1`); none: all.
    pub areas: Vec<String>,
    /// Alerts from this severity on. One that has reached it is told to its end, however it goes on.
    pub min_severity: Severity,
    /// Of observations and windows.
    pub quality: Quality,
}

/// How good values must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// However they are.
    Any,
    /// At least one value that may enter statistics.
    Usable,
}

/// Why a record is not copied. Bounded: it is a metrics label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It has passed through the target already.
    BeenThere,
    /// It is about the city's own work: ticks, operators' actions, the ledger.
    Kind,
    Area,
    Severity,
    Quality,
    /// It can't be read.
    Unreadable,
}

impl Left {
    pub const ALL: [Left; 6] =
        [Left::BeenThere, Left::Kind, Left::Area, Left::Severity, Left::Quality, Left::Unreadable];

    pub const fn name(self) -> &'static str {
        match self {
            Left::BeenThere => "been_there",
            Left::Kind => "kind",
            Left::Area => "area",
            Left::Severity => "severity",
            Left::Quality => "quality",
            Left::Unreadable => "unreadable",
        }
    }
}

/// Judges records.
#[derive(Debug)]
pub(super) struct Filter {
    choice: Choice,
    /// The target's name.
    to: String,
    /// Alerts that were told and have not ended.
    told: FxHashSet<Name>,
    /// Where devices belong.
    areas: FxHashMap<Name, Name>,
    /// Not noted yet.
    news: Vec<Note>,
}

const ALERT: &str = "alert/";
const DEVICE: &str = "device/";

impl Filter {
    pub fn new(choice: Choice, to: String, notes: &Notes) -> Filter {
        let told = notes.keys().filter_map(|note| note.strip_prefix(ALERT)).map(Name::from).collect();
        let area = |(note, area): (&String, &String)| Some((note.strip_prefix(DEVICE)?.into(), area.into()));
        let areas = notes.iter().filter_map(area).collect();
        Filter { choice, to, told, areas, news: Vec::new() }
    }

    /// Whether the next record is copied; when it was, that of an alert from a severity on.
    pub fn judge(&mut self, entry: &Entry<'_>) -> Result<(), Left> {
        if entry.mirrored.is_some_and(|mirrored| mirrored.has_passed(&self.to)) {
            return Err(Left::BeenThere);
        }
        match Record::decode(entry.value).map_err(|_| Left::Unreadable)? {
            Record::Alert(alert) => self.alert(&alert),
            Record::Observation(observation) => self.observation(&observation),
            Record::Aggregate(aggregate) => {
                self.area(&aggregate.area)?;
                self.is_good_enough(aggregate.good > 0)
            }
            Record::Sighting(sighting) => self.area(&sighting.area),
            Record::Device(device) => self.device(&device.id, &device.area),
            Record::Tick(_)
            | Record::Action(_)
            | Record::Quarantined(_)
            | Record::Account(_)
            | Record::Rules(_)
            | Record::Share(_) => Err(Left::Kind),
        }
    }

    /// What must be noted with the copies that were judged since the last call.
    pub fn take_news(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.news)
    }

    fn alert(&mut self, alert: &Alert) -> Result<(), Left> {
        self.area(&alert.area)?;
        if self.choice.min_severity == Severity::Minor {
            return Ok(());
        }
        let is_told = self.told.contains(&alert.id);
        if alert.severity < self.choice.min_severity && !is_told {
            return Err(Left::Severity);
        }
        let note = || format!("{ALERT}{}", alert.id);
        match alert.state {
            AlertState::Cleared if is_told => {
                self.told.remove(&alert.id);
                self.news.push((note(), None));
            }
            AlertState::Open | AlertState::Acknowledged if !is_told => {
                self.told.insert(alert.id.clone());
                self.news.push((note(), Some(String::new())));
            }
            _ => {}
        }
        Ok(())
    }

    fn observation(&self, observation: &Observation) -> Result<(), Left> {
        if !self.choice.areas.is_empty() {
            self.area(self.areas.get(&observation.device).map_or("", Name::as_str))?;
        }
        let Body::Readings(readings) = &observation.body else { return Ok(()) };
        self.is_good_enough(readings.iter().any(|reading| reading.quality.is_usable()))
    }

    /// An entry is told when the device comes to a chosen area, is in one, or leaves it.
    fn device(&mut self, id: &Name, area: &Name) -> Result<(), Left> {
        if self.choice.areas.is_empty() {
            return Ok(());
        }
        let before = self.areas.insert(id.clone(), area.clone());
        if before.as_ref() != Some(area) {
            self.news.push((format!("{DEVICE}{id}"), Some(area.to_string())));
        }
        self.area(area).or_else(|left| before.map_or(Err(left), |before| self.area(&before)))
    }

    fn area(&self, area: &str) -> Result<(), Left> {
        let holds = |chosen: &String| {
            area.strip_prefix(chosen.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_chosen = self.choice.areas.is_empty() || self.choice.areas.iter().any(holds);
        if is_chosen { Ok(()) } else { Err(Left::Area) }
    }

    fn is_good_enough(&self, is_usable: bool) -> Result<(), Left> {
        if is_usable || self.choice.quality == Quality::Any { Ok(()) } else { Err(Left::Quality) }
    }
}
