//! Facts that the logic returns and the loop counts.

/// Something that happened to a record or a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An observation was read.
    Observation,
    /// A registry entry was read.
    Device,
    /// A tick was read.
    Tick,
    /// An operator's action was read.
    Action,
    /// A closed window was read.
    Aggregate,
    /// A sighting was read.
    Sighting,
    /// A device's share in a roll-up was read.
    Share,
    /// A kind that has no business on this topic was read, and left aside.
    Misplaced,
    /// Bytes that are no record were read, and left aside.
    Undecodable,
    /// A record was run in silence, because its outputs were out already.
    Replayed,
    /// A message had been seen before, and was dropped.
    Duplicate,
    /// A forwarder brought a record again, and it was dropped.
    Resent,
    /// A message had no sequence number, so nobody knows whether it had been seen before.
    Unsequenced,
    /// A message was so far back in its device's numbering that nobody remembers; it passed.
    Untracked,
    /// Sequence numbers are missing.
    GapOpened,
    /// They came after all.
    GapClosed,
    /// The device's clock said a time before 2000.
    ClockTooOld,
    /// The device's clock said a time after the gateway's.
    ClockInFuture,
    /// The device's clock said a time that is steadily behind the gateway's.
    ClockBehind,
    /// The device said seconds where milliseconds are meant.
    ClockInSeconds,
    /// A message got the time that the device's clock should have said.
    ClockCorrected,
    /// A message got a guess for its time, because the device's clock is wrong by nobody knows how much.
    ClockDoubted,
    /// A clock has settled before 2000.
    ClockReset,
    /// A clock has settled a whole number of quarter hours away.
    ClockZone,
    /// A clock has settled where it is right.
    ClockSet,
    /// A clock has settled somewhere else.
    ClockAstray,
    /// A value was outside its range.
    OutOfRange,
    /// A value came after a silence, or after others that are missing.
    AfterGap,
    /// A value stood out from those before and behind it.
    Spike,
    /// A value had changed faster than it should.
    TooFast,
    /// A value stayed where it was for too long.
    FlatLine,
    /// A device's window was far from those of its neighbours.
    DiffersFromNeighbours,
    /// A reading found no room in its window: too many quantities.
    SeriesRefused,
    /// A message was too late for any window; it passed, marked.
    LateRouted,
    /// A window was given out again because of a late message.
    WindowRevised,
    /// A series' window closed.
    WindowClosed,
    /// A user-defined job told a statistic of a window.
    JobRow,
    /// A reading was too late for a user-defined job.
    JobLate,
    /// A message was too late for a pattern, or found no room in it.
    PatternLate,
    /// A sighting ended.
    Sighted,
    /// An ingest time was so far behind that its place in the order was lost.
    SteppedBack,
    /// A registry entry was older than the one known.
    StaleDevice,
    /// A device said nothing for so long that its state was let go.
    DeviceIdle,
    /// An action met no open alert, or one that it does not change.
    ActionIgnored,
    /// An alert opened, changed or cleared.
    AlertTransition,
    /// A row for the area job came after its place in the order had passed.
    RowLate,
    /// A device's share was too late for a roll-up.
    ShareLate,
    /// A record that names rules.
    Rules,
    /// Other rules hold.
    RulesChanged,
    /// An alert of a rule in the shadow would have opened.
    ShadowOpened,
    /// It would have changed.
    ShadowChanged,
    /// It would have cleared.
    ShadowCleared,
}

impl Fact {
    /// Every fact, in order.
    pub const ALL: [Fact; 52] = [
        Fact::Observation,
        Fact::Device,
        Fact::Tick,
        Fact::Action,
        Fact::Aggregate,
        Fact::Sighting,
        Fact::Share,
        Fact::Misplaced,
        Fact::Undecodable,
        Fact::Replayed,
        Fact::Duplicate,
        Fact::Resent,
        Fact::Unsequenced,
        Fact::Untracked,
        Fact::GapOpened,
        Fact::GapClosed,
        Fact::ClockTooOld,
        Fact::ClockInFuture,
        Fact::ClockBehind,
        Fact::ClockInSeconds,
        Fact::ClockCorrected,
        Fact::ClockDoubted,
        Fact::ClockReset,
        Fact::ClockZone,
        Fact::ClockSet,
        Fact::ClockAstray,
        Fact::OutOfRange,
        Fact::AfterGap,
        Fact::Spike,
        Fact::TooFast,
        Fact::FlatLine,
        Fact::DiffersFromNeighbours,
        Fact::SeriesRefused,
        Fact::LateRouted,
        Fact::WindowRevised,
        Fact::WindowClosed,
        Fact::JobRow,
        Fact::JobLate,
        Fact::PatternLate,
        Fact::Sighted,
        Fact::SteppedBack,
        Fact::StaleDevice,
        Fact::DeviceIdle,
        Fact::ActionIgnored,
        Fact::AlertTransition,
        Fact::RowLate,
        Fact::ShareLate,
        Fact::Rules,
        Fact::RulesChanged,
        Fact::ShadowOpened,
        Fact::ShadowChanged,
        Fact::ShadowCleared,
    ];
}

/// How often each fact occurred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts([u64; Fact::ALL.len()]);

impl Default for Counts {
    fn default() -> Self {
        Counts([0; Fact::ALL.len()])
    }
}

impl Counts {
    /// Notes `times` of a fact.
    pub fn add(&mut self, fact: Fact, times: u64) {
        self.0[fact as usize] += times;
    }

    /// How often it occurred.
    pub fn of(&self, fact: Fact) -> u64 {
        self.0[fact as usize]
    }

    /// What occurred at all.
    pub fn iter(&self) -> impl Iterator<Item = (Fact, u64)> {
        Fact::ALL.into_iter().map(|fact| (fact, self.of(fact))).filter(|(_, times)| *times > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_in_their_places() {
        for (index, fact) in Fact::ALL.into_iter().enumerate() {
            assert_eq!(fact as usize, index, "{fact:?}");
        }
    }
}
