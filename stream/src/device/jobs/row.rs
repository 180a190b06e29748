//! What a job tells of a device's window: rows, or the device's share in a roll-up of its area.

use super::Told;
use crate::counts::Fact;
use crate::device::context::Context;
use crate::device::pipeline::Whom;
use crate::outputs::Outputs;
use crate::rule::Finding;
use records::{Share, Subject, Timestamp};

/// Writes what a job tells. A device that nobody has assigned to an area has no share in one.
pub fn write(whom: Whom<'_>, told: &Told<'_>, as_of: Timestamp, context: &Context, out: &mut Outputs) {
    let (rule, values) = (&context.rules.jobs[told.job], &told.tally.values);
    let (window, revision) = (told.window, told.revision);
    if values.is_empty() {
        return;
    }
    if rule.area.is_none() {
        let (subject, area) = (&Subject::Device(whom.id.clone()), &whom.area());
        let backfill_after = context.config.backfill_after;
        let finding = Finding { subject, area, window, revision, values, as_of, backfill_after };
        for output in &rule.outputs {
            out.count(Fact::JobRow);
            out.aggregate(&output.row(&finding));
        }
    } else if !whom.area().is_empty() {
        let values = minicbor::to_vec(values).expect("a Vec takes everything");
        let (device, area, job) = (whom.id.clone(), whom.area(), rule.id.clone());
        let definition = rule.definition;
        out.share(&Share { device, area, job, definition, window, revision, values, as_of });
    }
}
