//! Everything that is stored, series by series: for who takes it elsewhere.

use crate::point::RawPoint;
use crate::store::Store;
use crate::view::View;
use crate::{RawRow, StoreError};
use records::{Name, Timestamp};

impl Store {
    /// The (subject, quantity) of every series that has been seen, in order.
    pub fn names(&self) -> Vec<(Name, Name)> {
        let tables = self.tables();
        let names = tables.catalog.names().iter();
        let mut names: Vec<_> = names.map(|name| (name.subject.clone(), name.quantity.clone())).collect();
        names.sort_unstable();
        names
    }

    /// The values of a series in `[from, to)` as they were written, by event time, then ingest time. What is left
    /// as roll-ups only is not among them.
    ///
    /// # Errors
    /// [`StoreError::TooManyRows`] when there are more than an answer may have.
    pub fn values(
        &self,
        subject: &Name,
        quantity: &Name,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<RawRow>, StoreError> {
        let limit = self.options().answer_rows;
        let points =
            self.answer(subject, quantity, from, to, |view: &View<'_, RawPoint>| view.points(limit))?;
        let row = |point: RawPoint| RawRow {
            subject: subject.clone(),
            quantity: quantity.clone(),
            event_time: Timestamp(point.event_time),
            device_time: point.device_time.map(Timestamp),
            ingest_time: Timestamp(point.ingest_time),
            value: point.value,
            quality: point.quality,
        };
        Ok(points.into_iter().map(row).collect())
    }
}
