//! What is given out of a device's windows.

use crate::counts::Fact;
use crate::device::context::Context;
use crate::device::pipeline::{Pipeline, Whom};
use crate::device::window::{Cell, Pane};
use crate::outputs::Outputs;
use records::{Aggregate, Flag, Reading, Subject, Timestamp, Window};

/// Gives out a window that has closed, by quantity.
pub fn give(
    pane: &mut Pane,
    whom: Whom<'_>,
    pipeline: &mut Pipeline,
    as_of: Timestamp,
    context: &Context,
    out: &mut Outputs,
) {
    let span = pane.span();
    for cell in pane.cells_mut() {
        out.count(Fact::WindowClosed);
        pipeline.window(whom, &row(whom, span, cell, as_of, context), context, out);
    }
}

/// Gives out a window as it stands, which no rule looks at.
pub fn give_alone(pane: &mut Pane, whom: Whom<'_>, as_of: Timestamp, context: &Context, out: &mut Outputs) {
    let span = pane.span();
    for cell in pane.cells_mut() {
        out.count(Fact::WindowClosed);
        out.aggregate(&row(whom, span, cell, as_of, context));
    }
}

/// Gives out again what late readings changed, by quantity.
pub fn revise(
    pane: &mut Pane,
    readings: &[Reading],
    whom: Whom<'_>,
    pipeline: &mut Pipeline,
    as_of: Timestamp,
    context: &Context,
    out: &mut Outputs,
) {
    let span = pane.span();
    let counts = |reading: &Reading| reading.quality.flag != Flag::Missing;
    for cell in pane.cells_mut() {
        if readings.iter().any(|reading| counts(reading) && reading.quantity == cell.quantity) {
            out.count(if cell.emissions == 0 { Fact::WindowClosed } else { Fact::WindowRevised });
            pipeline.window(whom, &row(whom, span, cell, as_of, context), context, out);
        }
    }
}

/// A series' window as it stands.
fn row(whom: Whom<'_>, window: Window, cell: &mut Cell, as_of: Timestamp, context: &Context) -> Aggregate {
    let revision = cell.emissions;
    cell.emissions = cell.emissions.saturating_add(1);
    let sum = cell.sum.round();
    let (mean, min, max) =
        if cell.good == 0 { (0.0, 0.0, 0.0) } else { (sum / f64::from(cell.good), cell.min, cell.max) };
    Aggregate {
        subject: Subject::Device(whom.id.clone()),
        area: whom.area(),
        quantity: cell.quantity.clone(),
        window,
        revision,
        count: cell.count,
        good: cell.good,
        sum,
        mean,
        min,
        max,
        as_of,
        is_backfill: window.end + context.config.backfill_after < as_of,
    }
}
