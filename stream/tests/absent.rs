//! What must not be in this crate: anything whose answer changes from run to run.

use std::fs;
use std::path::{Path, PathBuf};

/// Words that may stand nowhere.
const FORBIDDEN: &[&str] = &[
    "HashMap",
    "HashSet",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "getrandom",
    "thread_rng",
    "RandomState",
    "std::env",
    "std::fs",
    "std::thread",
    "tokio::spawn",
];

#[test]
fn nothing_that_changes_from_run_to_run() {
    let mut found = Vec::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&file).expect("sources are text");
        let said = FORBIDDEN.iter().filter(|word| text.contains(**word));
        found.extend(said.map(|word| format!("{}: {word}", file.display())));
    }
    assert_eq!(found, Vec::<String>::new());
}

/// The one table without an order is never walked: it has no method that would.
#[test]
fn the_index_can_only_be_asked() {
    let index = include_str!("../src/index.rs");
    let index = index.split("#[cfg(test)]").next().expect("a first piece");
    let walks = ["iter", "keys", "values", "drain", "retain", "into_iter", "Deref"];
    assert_eq!(walks.iter().filter(|walk| index.contains(**walk)).collect::<Vec<_>>(), Vec::<&&str>::new());
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files.extend(sources(&path)),
            false => files.push(path),
        }
    }
    files
}
