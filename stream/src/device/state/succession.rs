//! Other rules hold: what a device keeps, and what it ends.

use super::{DeviceState, rows};
use crate::device::context::{Change, Context};
use crate::device::pipeline::Whom;
use crate::outputs::Outputs;
use records::Timestamp;

impl DeviceState {
    /// Other rules hold, as of which we know at `as_of`. The state of rules and jobs that are alike goes on; alerts of
    /// others end and say why, and windows of other jobs are let go.
    pub fn succeed(&mut self, change: &Change<'_>, as_of: Timestamp, out: &mut Outputs) {
        let DeviceState { id, entry, pipeline, silence, jobs, .. } = self;
        let whom = Whom { id, entry: entry.as_deref() };
        pipeline.succeed(whom, change, as_of, out);
        silence.succeed(whom, change, as_of, out);
        jobs.succeed(&change.to.jobs);
        self.change_windows(change, as_of, out);
        self.restored(change.after);
    }

    /// When the windows of its family have another length: those that are open are told as they stand, and no rule
    /// looks at them. What comes later of that time is late.
    fn change_windows(&mut self, change: &Change<'_>, as_of: Timestamp, out: &mut Outputs) {
        let family = self.whom().family();
        let length = |context: &Context| context.rules.windows.of(family);
        if length(change.before) == length(change.after) {
            return;
        }
        let mut panes = std::mem::take(&mut self.panes);
        panes.close(Timestamp::MAX, |pane| {
            rows::give_alone(pane, self.whom(), as_of, change.before, out);
        });
        self.let_go_to = self.let_go_to.max(self.newest);
    }
}
