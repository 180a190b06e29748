//! What operators should know about the sinks themselves: which of them waits, for what, and since when.

use records::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One per source at a time; cheap to clone.
#[derive(Clone, Default)]
pub struct Notices {
    by_source: Arc<Mutex<BTreeMap<&'static str, Notice>>>,
}

/// Something that keeps a part from working.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The sink, or the part that it is about.
    pub source: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// When it began, where that is known.
    #[serde(rename = "since_ms", serialize_with = "as_millis")]
    pub since: Option<Timestamp>,
    /// In words, for people.
    pub text: String,
}

/// What a notice asks of who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Time may heal it.
    Waiting,
    /// A person has to put something right.
    Barred,
    /// Data is damaged, and answers miss it.
    Damaged,
}

impl Notices {
    /// Shows a notice; the words of the newest of a kind, the time of the first. Whether its kind is news.
    pub fn tell(&self, notice: Notice) -> bool {
        let mut notices = self.hold();
        match notices.get_mut(notice.source) {
            Some(shown) if shown.kind == notice.kind => {
                shown.text = notice.text;
                false
            }
            _ => {
                notices.insert(notice.source, notice);
                true
            }
        }
    }

    /// It is over. Whether there was something.
    pub fn withdraw(&self, source: &'static str) -> bool {
        self.hold().remove(source).is_some()
    }

    /// All of them, by source.
    pub fn all(&self) -> Vec<Notice> {
        self.hold().values().cloned().collect()
    }

    fn hold(&self) -> MutexGuard<'_, BTreeMap<&'static str, Notice>> {
        self.by_source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn as_millis<S: serde::Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(Timestamp::millis).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_news_once_and_goes() {
        let notices = Notices::default();
        let notice = |kind, since, text: &str| Notice {
            source: "influx",
            kind,
            since: Some(Timestamp(since)),
            text: text.to_owned(),
        };
        assert!(notices.tell(notice(Kind::Waiting, 1, "refused")));
        assert!(!notices.tell(notice(Kind::Waiting, 2, "timed out")));
        assert_eq!(notices.all(), [notice(Kind::Waiting, 1, "timed out")]);
        assert!(notices.tell(notice(Kind::Barred, 3, "401")));
        assert!(notices.withdraw("influx"));
        assert!(!notices.withdraw("influx"));
        assert!(notices.all().is_empty());
    }
}
