//! The newest value of each series, by event time.

use crate::catalog::{Catalog, SeriesId};
use crate::point::RawPoint;
use records::{Name, Quality, Timestamp};

/// The newest value of a quantity, by event time.
#[derive(Clone, Debug, PartialEq)]
pub struct Latest {
    /// Of what.
    pub quantity: Name,
    /// When it happened.
    pub event_time: Timestamp,
    /// When it arrived: how old the news is.
    pub ingest_time: Timestamp,
    /// In the unit of the quantity.
    pub value: f64,
    /// What the tests said of it.
    pub quality: Quality,
}

/// By series; a series of windows alone has none.
#[derive(Default)]
pub(crate) struct LatestTable(Vec<Option<RawPoint>>);

impl LatestTable {
    /// Keeps `point` if nothing newer is known.
    pub fn offer(&mut self, series: SeriesId, point: &RawPoint) {
        if self.0.len() <= series.index() {
            self.0.resize(series.index() + 1, None);
        }
        let slot = &mut self.0[series.index()];
        if slot.is_none_or(|known| is_newer(point, &known)) {
            *slot = Some(*point);
        }
    }

    /// The latest of some series of one subject, by quantity.
    pub fn of(&self, series: impl Iterator<Item = SeriesId>, catalog: &Catalog) -> Vec<Latest> {
        let mut latest: Vec<Latest> = series.filter_map(|id| self.get(id, catalog)).collect();
        latest.sort_by(|a, b| a.quantity.cmp(&b.quantity));
        latest
    }

    fn get(&self, id: SeriesId, catalog: &Catalog) -> Option<Latest> {
        let point = self.0.get(id.index()).copied().flatten()?;
        Some(Latest {
            quantity: catalog.name(id).quantity.clone(),
            event_time: Timestamp(point.event_time),
            ingest_time: Timestamp(point.ingest_time),
            value: point.value,
            quality: point.quality,
        })
    }
}

/// Of two values of the same event time the later arrived counts, and of two such the later written.
pub(crate) fn is_newer(point: &RawPoint, known: &RawPoint) -> bool {
    (point.event_time, point.ingest_time) >= (known.event_time, known.ingest_time)
}
