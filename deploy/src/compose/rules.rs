//! The rules that are to hold: the file at the start, and again whenever it changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stream::rule::{RulesSet, Ruleset};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::rules;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long after they were seen rules begin to hold: all partitions have been told by then, so all change at one
/// instant of ingest time.
const LEAD: Duration = Duration::from_secs(3);

/// The wish for these rules, from soon on.
pub(super) fn wish(rules: &Ruleset) -> RulesSet {
    RulesSet { text: rules.text.to_string(), since: clock::now() + LEAD }
}

/// The rules file, and what it held when it was last looked at.
pub(super) struct RulesFile {
    path: PathBuf,
    seen: String,
}

impl RulesFile {
    /// `seen`: what was read of it already.
    pub fn new(path: &Path, seen: &Ruleset) -> RulesFile {
        RulesFile { path: path.to_owned(), seen: seen.text.to_string() }
    }

    /// Wishes for what the file says, until `stop`. What is wrong is told once, and nothing of it is written.
    pub async fn watch(mut self, wishes: watch::Sender<RulesSet>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            match self.look() {
                Ok(Some(rules)) => {
                    tracing::info!("the rules file has changed: its rules begin to hold in {LEAD:?}");
                    wishes.send_replace(wish(&rules));
                }
                Ok(None) => {}
                Err(problem) => tracing::warn!("{problem}\nthe old rules stay in force"),
            }
        }
    }

    /// The rules, if they are others than before. A file that can't be read just now is looked at again: somebody may be
    /// replacing it.
    fn look(&mut self) -> Result<Option<Ruleset>, String> {
        let Ok(text) = std::fs::read_to_string(&self.path) else { return Ok(None) };
        if text == self.seen {
            return Ok(None);
        }
        self.seen = text;
        rules::parse(&self.path, &self.seen).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_wished_for_once_and_a_bad_one_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rules.toml");
        let good = Ruleset::default();
        let mut file = RulesFile::new(&path, &good);
        assert!(matches!(file.look(), Ok(None)), "it is not there");
        std::fs::write(&path, &*good.text).expect("a file");
        assert!(matches!(file.look(), Ok(None)));
        std::fs::write(&path, "[air]\nmin_good = 0\n").expect("a file");
        assert!(file.look().is_err_and(|problem| problem.contains("min_good")));
        assert!(matches!(file.look(), Ok(None)));
        let other = good.text.replace("min_good = 1", "min_good = 2");
        std::fs::write(&path, &other).expect("a file");
        assert!(file.look().is_ok_and(|rules| rules.is_some_and(|rules| rules.air.min_good == 2)));
        assert!(matches!(file.look(), Ok(None)));
    }
}
