//! One set of rules after another: what goes on, and what ends.

use super::Ruleset;
use super::job::JobRule;
use super::threshold::ThresholdRule;

/// By kind, where each rule of the old set stands in the new one; `None` for those that it has no more, or has otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Succession {
    /// Of `threshold`.
    pub thresholds: Successors,
    /// Of `pattern`.
    pub patterns: Successors,
    /// Of `absence`.
    pub absences: Successors,
    /// Of `queue`.
    pub queues: Successors,
    /// Of `route`.
    pub routes: Successors,
    /// Of `area_share`.
    pub area_shares: Successors,
    /// Of `job`.
    pub jobs: Successors,
    /// The new set has rules about areas that must know who is in them.
    pub needs_members: bool,
}

/// Places in the new set, by place in the old one.
pub type Successors = Vec<Option<usize>>;

impl Succession {
    /// Rules that are alike in every word go on; of the others each begins anew.
    pub fn new(before: &Ruleset, after: &Ruleset) -> Succession {
        let (queues, routes) = (places(&before.queues, &after.queues), places(&before.routes, &after.routes));
        let is_known =
            |places: &Successors, count: usize| (0..count).all(|place| places.contains(&Some(place)));
        Succession {
            thresholds: places(&before.thresholds, &after.thresholds),
            patterns: places(&before.patterns, &after.patterns),
            absences: places(&before.absences, &after.absences),
            needs_members: !is_known(&queues, after.queues.len()) || !is_known(&routes, after.routes.len()),
            queues,
            routes,
            area_shares: places(&before.area_shares, &after.area_shares),
            jobs: jobs(&before.jobs, &after.jobs),
        }
    }
}

fn places<T: PartialEq>(before: &[T], after: &[T]) -> Successors {
    before.iter().map(|rule| after.iter().position(|other| other == rule)).collect()
}

/// A job is alike when its table is, what others ask of it is, and the job that it reads goes on.
fn jobs(before: &[JobRule], after: &[JobRule]) -> Successors {
    let form = |job: &JobRule| (job.id.clone(), job.definition, job.inputs.clone(), job.quantities.clone());
    let mut found = Successors::new();
    for job in before {
        let place = after.iter().position(|other| form(other) == form(job));
        let goes_on = |place: &usize| match (&job.source, &after[*place].source) {
            (None, None) => true,
            (Some(before), Some(after)) => found[before.job] == Some(after.job),
            _ => false,
        };
        let place = place.filter(goes_on);
        found.push(place);
    }
    found
}

/// Why the alerts of a rule end with the set that it was in.
pub fn why(rule: &ThresholdRule, after: &Ruleset) -> &'static str {
    if after.alerting().any(|other| other.id == rule.id) {
        "the rule was changed"
    } else {
        "the rule was removed"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_goes_on() {
        let before = Ruleset::default();
        let text = include_str!("../../rules/default.toml");
        let again = Ruleset::parse(&format!("# Another file.\n{text}")).expect("still valid");
        let same = Succession::new(&before, &again);
        assert!(same.thresholds.iter().enumerate().all(|(place, found)| *found == Some(place)));
        assert!(!same.needs_members);

        let after = Ruleset::parse(&text.replace("open = 2.8,", "open = 2.9,")).expect("still valid");
        let changed = Succession::new(&before, &after).thresholds;
        assert_eq!(changed.iter().filter(|place| place.is_none()).count(), 1);
        let place = changed.iter().position(Option::is_none).expect("it was just counted");
        assert_eq!(before.thresholds[place].id, "vibration-zone");
        assert_eq!(why(&before.thresholds[place], &after), "the rule was changed");

        let mut after = Ruleset::default();
        after.thresholds.remove(0);
        let moved = Succession::new(&before, &after).thresholds;
        assert_eq!(moved[..3], [None, Some(0), Some(1)]);
        assert_eq!(why(&before.thresholds[0], &after), "the rule was removed");
        after.queues.clear();
        assert!(!Succession::new(&before, &after).needs_members);
        assert!(Succession::new(&after, &before).needs_members);
    }
}
