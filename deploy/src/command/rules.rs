//! `sluice rules …`: puts a rules file in force while the server runs.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use stream::rule::Ruleset;

use super::{Failure, load};
use crate::rules;

/// What to do with rules.
#[derive(Subcommand)]
pub enum Command {
    /// Put this file in the place of the one that the configuration names; a running server takes it up within seconds,
    /// at one instant in all partitions
    Apply {
        /// The new rules
        file: PathBuf,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
    },
}

/// Checks all of it before anything is written.
///
/// # Errors
/// The configuration names no rules file, the new rules have problems (all of them, a line each), or the file can't be
/// written.
pub fn run(config: Option<&Path>, command: Command) -> Result<(), Failure> {
    let Command::Apply { file, dry_run } = command;
    let config = load(config)?;
    let Some(place) = config.stream.rules else {
        let why = "the configuration names no rules file: the built-in rules are in force, and stay. Set stream.rules";
        return Err(Failure::usage(why));
    };
    let after = rules::load(Some(file.as_path()))?;
    // What stands there may be broken by hand: the server runs by what was there before.
    let before = rules::load(Some(place.as_path())).ok();
    print!("{}", difference(before.as_ref(), &after));
    if dry_run || before.is_some_and(|before| before.text == after.text) {
        return Ok(());
    }
    replace(&place, &after.text)
        .map_err(|error| Failure::because(format_args!("{} can't be written", place.display()), &error))?;
    println!("{} is in place; a server that runs by it takes it up within seconds", place.display());
    Ok(())
}

/// Whoever reads the file meanwhile sees the old one or the new one.
fn replace(place: &Path, text: &str) -> std::io::Result<()> {
    let beside = place.with_extension("toml.new");
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, place)
}

/// A line for each part of the file that is otherwise.
fn difference(before: Option<&Ruleset>, after: &Ruleset) -> String {
    let (old, new) = (before.map(Ruleset::parts).unwrap_or_default(), after.parts());
    let gone = old.keys().filter(|name| !new.contains_key(*name)).map(|name| ("removed", name));
    let there = new.iter().filter_map(|(name, part)| match old.get(name) {
        None => Some(("new", name)),
        Some(known) => (known != part).then_some(("changed", name)),
    });
    gone.chain(there).map(|(what, name)| format!("{what}\t{name}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_otherwise_is_named() {
        let before = Ruleset::default();
        assert_eq!(difference(Some(&before), &before), "");
        let mut after =
            Ruleset::parse(&before.text.replace("open = 2.8,", "open = 2.9,")).expect("still valid");
        after.thresholds[0].id = "air".into();
        after.air.min_good = 9;
        let expected = "removed\tthreshold pm25-iaqi\nchanged\tair\nnew\tthreshold air\nchanged\tthreshold vibration-zone\n";
        assert_eq!(difference(Some(&before), &after), expected);
        assert!(difference(None, &after).lines().all(|line| line.starts_with("new\t")));
    }
}
