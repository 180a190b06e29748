//! What the area job reads beside ticks, and its order.

use records::{Action, Aggregate, Device, Name, Record, Rules, Share, Sighting, Timestamp};
use std::cmp::Ordering;

/// A record that waits for its turn.
#[derive(Clone, Debug)]
pub enum Row {
    /// Other rules hold.
    Rules(Rules),
    /// A registry entry for the job of `area`, which it may have left.
    Device(Device, Name),
    /// A closed window of a device.
    Aggregate(Aggregate),
    /// What a device brings to a roll-up.
    Share(Share),
    /// A tag at a reader.
    Sighting(Sighting),
    /// An operator's action.
    Action(Action),
}

impl Row {
    /// Which area it is about; none when about all.
    pub fn area(&self) -> Option<&Name> {
        Some(match self {
            Row::Rules(_) => return None,
            Row::Device(_, area) => area,
            Row::Aggregate(row) => &row.area,
            Row::Share(row) => &row.area,
            Row::Sighting(row) => &row.area,
            Row::Action(action) => action.subject.name(),
        })
    }

    /// Its place in ingest time: for a registry entry when the registry changed it, for an action when it was taken.
    pub fn as_of(&self) -> Timestamp {
        match self {
            Row::Rules(rules) => rules.at,
            Row::Device(device, _) => device.updated_at,
            Row::Aggregate(row) => row.as_of,
            Row::Share(row) => row.as_of,
            Row::Sighting(row) => row.as_of,
            Row::Action(action) => action.at,
        }
    }

    /// Moves a row that came too late to where it can still be.
    pub fn set_as_of(&mut self, as_of: Timestamp) {
        match self {
            Row::Rules(rules) => rules.at = as_of,
            Row::Device(device, _) => device.updated_at = as_of,
            Row::Aggregate(row) => row.as_of = as_of,
            Row::Share(row) => row.as_of = as_of,
            Row::Sighting(row) => row.as_of = as_of,
            Row::Action(action) => action.at = as_of,
        }
    }

    /// The order of rows of one `as_of`: total but for rows that are alike, so that nobody can tell from which
    /// partition, or how early, a row came. Windows and sightings stand in the order of event time: a backlog may
    /// bring many of both in one instant, and a reader's progress must not run ahead of its sightings.
    pub fn order(&self, other: &Row) -> Ordering {
        let place = |row: &Row| match row {
            Row::Rules(_) => (-1, Timestamp::MIN, 0),
            Row::Device(..) => (0, Timestamp::MIN, 0),
            Row::Sighting(row) => (1, row.last_seen, 0),
            Row::Aggregate(row) => (1, row.window.end, 1),
            Row::Share(row) => (1, row.window.end, 2),
            Row::Action(_) => (2, Timestamp::MIN, 0),
        };
        place(self).cmp(&place(other)).then_with(|| match (self, other) {
            (Row::Rules(a), Row::Rules(b)) => a.text.cmp(&b.text),
            (Row::Device(a, area_a), Row::Device(b, area_b)) => (area_a, &a.id).cmp(&(area_b, &b.id)),
            (Row::Aggregate(a), Row::Aggregate(b)) => {
                let key = |row: &Aggregate| (row.window.start, row.revision);
                key(a)
                    .cmp(&key(b))
                    .then_with(|| (&a.area, &a.subject, &a.quantity).cmp(&(&b.area, &b.subject, &b.quantity)))
            }
            (Row::Share(a), Row::Share(b)) => {
                let key = |row: &Share| (row.window.start, row.revision);
                key(a)
                    .cmp(&key(b))
                    .then_with(|| (&a.area, &a.device, &a.job).cmp(&(&b.area, &b.device, &b.job)))
            }
            (Row::Sighting(a), Row::Sighting(b)) => {
                let key = |row: &Sighting| (row.first_seen, row.count);
                key(a)
                    .cmp(&key(b))
                    .then_with(|| (&a.area, &a.device, &a.epc).cmp(&(&b.area, &b.device, &b.epc)))
            }
            (Row::Action(a), Row::Action(b)) => {
                (&a.alert, &a.actor, &a.note).cmp(&(&b.alert, &b.actor, &b.note))
            }
            _ => Ordering::Equal,
        })
    }

    /// As it stands in a snapshot: a record and its area.
    pub fn into_record(self) -> (Name, Record) {
        let area = self.area().cloned().unwrap_or_default();
        let record = match self {
            Row::Rules(rules) => Record::Rules(rules),
            Row::Device(device, _) => Record::Device(device),
            Row::Aggregate(row) => Record::Aggregate(row),
            Row::Share(row) => Record::Share(row),
            Row::Sighting(row) => Record::Sighting(row),
            Row::Action(action) => Record::Action(action),
        };
        (area, record)
    }

    /// The row of a record for the job of `area`; `None` for kinds that are no rows.
    pub fn from_record(area: &str, record: Record) -> Option<Row> {
        match record {
            Record::Rules(rules) => Some(Row::Rules(rules)),
            Record::Device(device) => Some(Row::Device(device, area.into())),
            Record::Aggregate(row) => Some(Row::Aggregate(row)),
            Record::Share(row) => Some(Row::Share(row)),
            Record::Sighting(row) => Some(Row::Sighting(row)),
            Record::Action(action) => Some(Row::Action(action)),
            Record::Observation(_)
            | Record::Tick(_)
            | Record::Alert(_)
            | Record::Quarantined(_)
            | Record::Account(_) => None,
        }
    }
}
