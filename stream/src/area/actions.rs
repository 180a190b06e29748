//! Where operators' actions stood among the rows of an area, for who runs these rows again.

use super::merge::Merge;
use records::{Action, Record};

/// Looks at one partition of `aggregates` as the area job wrote and read it.
///
/// An action is taken at its own time, or, when it came late, as soon as that was possible: how far all sources had
/// come by then. That is told by where it stands among their ticks, so it must be noted before the rows are made
/// anew and the ticks of several sources interleave in another way.
#[derive(Clone, Debug, Default)]
pub struct PastActions(Merge);

impl PastActions {
    /// Takes the next record. Of an action it gives back the same with the time at which it took effect: with that it
    /// has the same effect wherever before that time it stands.
    pub fn see(&mut self, record: Record) -> Option<Action> {
        match record {
            Record::Tick(tick) => {
                self.0.tick(&tick);
                None
            }
            Record::Action(action) => Some(Action { at: self.0.place(action.at), ..action }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::{Subject, Tick, Timestamp, Verb};

    #[test]
    fn an_action_that_came_late_is_taken_as_soon_as_it_was() {
        let mut past = PastActions::default();
        let tick = |at, source| Record::Tick(Tick { at: Timestamp(at), source, sources: 2 });
        let action = |at| {
            let subject = Subject::Area("road".into());
            let (alert, actor) = ("queue/road/1".into(), "li".into());
            let (verb, at) = (Verb::Acknowledge, Timestamp(at));
            Record::Action(Action { alert, subject, verb, actor, at, note: String::new() })
        };
        let mut at = |record| past.see(record).map(|action: Action| action.at);
        assert_eq!(at(action(5)), Some(Timestamp(5)));
        assert_eq!([at(tick(20, 0)), at(tick(9, 1))], [None, None]);
        assert_eq!(at(action(9)), Some(Timestamp(10)));
        assert_eq!(at(action(10)), Some(Timestamp(10)));
        assert_eq!(at(action(30)), Some(Timestamp(30)));
    }
}
