//! What is counted of one message.

use crate::counts::Fact;
use crate::device::clock::{Fault, Judgement, Step, Verdict};
use crate::outputs::Outputs;
use records::{Body, Observation, Test};

/// Counts what was found of the device's clock.
pub fn count_clock(judgement: &Judgement, out: &mut Outputs) {
    match judgement.fault {
        Some(Fault::TooOld) => out.count(Fact::ClockTooOld),
        Some(Fault::InFuture) => out.count(Fact::ClockInFuture),
        Some(Fault::Behind) => out.count(Fact::ClockBehind),
        Some(Fault::Seconds) => out.count(Fact::ClockInSeconds),
        None => {}
    }
    match judgement.verdict {
        Verdict::Corrected => out.count(Fact::ClockCorrected),
        Verdict::Doubted => out.count(Fact::ClockDoubted),
        Verdict::Trusted | Verdict::Absent => {}
    }
    match judgement.step {
        Some(Step::Reset) => out.count(Fact::ClockReset),
        Some(Step::Zone) => out.count(Fact::ClockZone),
        Some(Step::Set) => out.count(Fact::ClockSet),
        Some(Step::Astray) => out.count(Fact::ClockAstray),
        None => {}
    }
}

/// Counts what the tests that depend on order have found.
pub fn count_tests(message: &Observation, out: &mut Outputs) {
    let Body::Readings(readings) = &message.body else { return };
    if readings.iter().all(|reading| reading.quality.tests == 0) {
        return;
    }
    for (test, fact) in [
        (Test::Gap, Fact::AfterGap),
        (Test::Spike, Fact::Spike),
        (Test::Rate, Fact::TooFast),
        (Test::FlatLine, Fact::FlatLine),
    ] {
        out.count_many(fact, readings.iter().filter(|reading| reading.quality.has_failed(test)).count());
    }
}
