//! The same by looking back over everything that was ever observed.

use super::*;

/// The step that the last of `history` causes.
pub(super) fn oracle(rule: &ThresholdRule, history: &[(Window, f64)]) -> Option<Step> {
    let mut counted: Vec<(Window, f64)> = Vec::new();
    let mut is_last_counted = false;
    for (span, value) in history {
        let is_in_order = counted.iter().all(|(earlier, _)| earlier.end <= span.end);
        is_last_counted = value.is_finite() && is_in_order;
        if is_last_counted {
            counted.push((*span, *value));
        }
    }
    let last = counted.len().checked_sub(1)?;
    let before = last.checked_sub(1).map_or(0, |before| height(rule, &counted[..=before]));
    let now = height(rule, &counted);
    if !is_last_counted || before == now {
        return None;
    }
    let (change, level, threshold) = match () {
        () if before == 0 => (Change::Open, now - 1, rule.levels[now - 1].open),
        () if now == 0 => (Change::Clear, before - 1, rule.levels[0].clear),
        () if now > before => (Change::Raise, now - 1, rule.levels[now - 1].open),
        () => (Change::Lower, now - 1, rule.levels[now].clear),
    };
    let opening = (0..=last)
        .filter(|at| height(rule, &counted[..=*at]) > 0)
        .rfind(|at| *at == 0 || height(rule, &counted[..*at]) == 0)?;
    let since = held_since(rule, &counted[..=opening], |value| value >= rule.levels[0].open, rule.hold_on)?;
    Some(Step {
        change,
        severity: rule.levels[level].severity,
        level,
        threshold,
        since,
        at: counted[last].0.end,
    })
}

/// How many levels hold after the last observation: each as the last completed hold left it.
fn height(rule: &ThresholdRule, counted: &[(Window, f64)]) -> usize {
    let holds = |level: &&Level| {
        let last_verdict = |to: &usize| {
            let upto = &counted[..=*to];
            let is_on = held_since(rule, upto, |value| value >= level.open, rule.hold_on).is_some();
            let is_off = held_since(rule, upto, |value| value < level.clear, rule.hold_off).is_some();
            (is_on || is_off).then_some(is_on)
        };
        (0..counted.len()).rev().find_map(|to| last_verdict(&to)) == Some(true)
    };
    rule.levels.iter().filter(holds).count()
}

/// Since when all values satisfy `test`, if that is long enough at the last of them.
fn held_since(
    rule: &ThresholdRule,
    counted: &[(Window, f64)],
    test: impl Fn(f64) -> bool,
    hold: Duration,
) -> Option<Timestamp> {
    let is_run = |from: &usize| {
        let run = &counted[*from..];
        run.iter().all(|(_, value)| test(*value))
            && run.windows(2).all(|pair| pair[1].0.start.since(pair[0].0.end) <= rule.gap)
    };
    let from = (0..counted.len()).find(is_run)?;
    let (since, end) = (counted[from].0.start, counted.last()?.0.end);
    (end.since(since) >= hold).then_some(since)
}
