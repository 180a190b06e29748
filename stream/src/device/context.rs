//! What the device job knows beside its state; the same for every partition.

use super::config::{DeviceConfig, Times};
use super::watch::Watch;
use crate::outputs::Partitions;
use crate::rule::{Concern, QualityRule, Ruleset, Succession};
use records::{Family, Quantity};
use std::sync::Arc;

/// Rules that follow others.
pub struct Change<'c> {
    /// What held.
    pub before: &'c Context,
    /// What holds from now on.
    pub after: &'c Context,
    /// What goes on.
    pub to: Succession,
}

/// Configuration and rules.
pub struct Context {
    /// How time is judged.
    pub config: DeviceConfig,
    /// The rules.
    pub rules: Ruleset,
    /// How many partitions the topics have.
    pub partitions: Partitions,
    /// What tag reads are counted as.
    pub tag_reads: Quantity,
    /// Threshold rules by family.
    watches: [Watch; Family::ALL.len()],
    /// Rules on silence by family: places in the rules file.
    absences: [Vec<usize>; Family::ALL.len()],
    /// Patterns by family: places in the rules file.
    patterns: [Vec<usize>; Family::ALL.len()],
    /// User-defined jobs by family: places in the rules file.
    jobs: [Vec<usize>; Family::ALL.len()],
    /// Rules on values by family and number of the quantity: places in the rules file.
    qualities: [Vec<Option<u16>>; Family::ALL.len()],
    /// Families that have tests which depend on order.
    has_order: [bool; Family::ALL.len()],
}

impl Context {
    /// Sorts the rules.
    pub fn new(config: DeviceConfig, rules: Ruleset, partitions: Partitions) -> Context {
        let mut absences = [const { Vec::new() }; Family::ALL.len()];
        for (index, rule) in rules.absences.iter().enumerate() {
            absences[rule.family as usize].push(index);
        }
        let mut patterns = [const { Vec::new() }; Family::ALL.len()];
        for (index, rule) in rules.patterns.iter().enumerate() {
            patterns[rule.alert.family as usize].push(index);
        }
        let mut jobs = [const { Vec::new() }; Family::ALL.len()];
        for (index, job) in rules.jobs.iter().enumerate() {
            let concerned = Family::ALL.into_iter().filter(|family| *job.concern(*family) != Concern::None);
            concerned.for_each(|family| jobs[family as usize].push(index));
        }
        let mut qualities = [const { Vec::new() }; Family::ALL.len()];
        let mut has_order = [false; Family::ALL.len()];
        for (place, rule) in (0..).zip(&rules.qualities) {
            let places = &mut qualities[rule.family as usize];
            let Some(code) = rule.quantity.code().map(usize::from) else { continue };
            places.resize(places.len().max(code + 1), None);
            places[code] = Some(place);
            has_order[rule.family as usize] |= rule.depends_on_order();
        }
        Context {
            watches: Family::ALL.map(|family| Watch::new(family, &rules.thresholds)),
            config,
            rules,
            partitions,
            absences,
            patterns,
            jobs,
            qualities,
            has_order,
            tag_reads: Quantity::from_name("tag_reads"),
        }
    }

    /// The same by other rules, which were valid when they were heard.
    pub fn with(self: &Arc<Context>, text: &str) -> Arc<Context> {
        if *text == *self.rules.text {
            return self.clone();
        }
        let rules = Ruleset::parse(text).expect("what is no ruleset is never heard");
        Arc::new(Context::new(self.config.clone(), rules, self.partitions))
    }

    /// What changes when `after` holds instead.
    pub fn change<'c>(&'c self, after: &'c Context) -> Change<'c> {
        Change { before: self, after, to: Succession::new(&self.rules, &after.rules) }
    }

    /// The times of a family.
    pub fn times(&self, family: Family) -> &Times {
        self.config.times.of(family)
    }

    /// The rules on silence of a family.
    pub fn absences_of(&self, family: Family) -> &[usize] {
        &self.absences[family as usize]
    }

    /// The patterns of a family.
    pub fn patterns_of(&self, family: Family) -> &[usize] {
        &self.patterns[family as usize]
    }

    /// The jobs of a family.
    pub fn jobs_of(&self, family: Family) -> &[usize] {
        &self.jobs[family as usize]
    }

    /// What is expected of a quantity of a family, by its number.
    pub fn quality_of(&self, family: Family, code: u16) -> Option<&QualityRule> {
        let place = (*self.qualities[family as usize].get(usize::from(code))?)?;
        self.rules.qualities.get(usize::from(place))
    }

    /// Whether a family has tests that depend on order.
    pub fn depends_on_order(&self, family: Family) -> bool {
        self.has_order[family as usize]
    }

    /// The threshold rules about a family.
    pub fn watch(&self, family: Family) -> &Watch {
        &self.watches[family as usize]
    }
}
