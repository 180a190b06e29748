//! A power cut at every step: what was not made durable is gone, names of files as well as their bytes.
//!
//! The manifest is taken as it is: SQLite makes it durable by itself.

use super::killed::{check_survivor, life, live, options_of};
use super::oracle::copy;
use crate::Store;
use crate::steps::Steps;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Its name, its number, and whether it is a folder.
type Named = (OsString, u64, bool);

/// What of a folder would be there after a power cut.
struct Disk {
    root: PathBuf,
    /// Another name of every file that has been in a durable folder, by number, so that unlinking spares its bytes.
    attic: tempfile::TempDir,
    /// The durable names of each folder.
    names: BTreeMap<PathBuf, Vec<Named>>,
    /// Files whose bytes are durable.
    bytes: BTreeSet<u64>,
}

impl Disk {
    fn synced(&mut self, path: &Path) {
        let Ok(found) = fs::metadata(path) else { return };
        if !found.is_dir() {
            self.bytes.insert(found.ino());
            return;
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(path).expect("read") {
            let entry = entry.expect("read");
            let found = entry.metadata().expect("there");
            if found.is_file() {
                // It fails when it was kept before.
                let _ = fs::hard_link(entry.path(), self.attic.path().join(found.ino().to_string()));
            }
            names.push((entry.file_name(), found.ino(), found.is_dir()));
        }
        self.names.insert(path.to_owned(), names);
    }

    fn cut(&self, dir: &Path, to: &Path) {
        fs::create_dir_all(to).expect("made");
        for (name, number, is_dir) in self.names.get(dir).into_iter().flatten() {
            if *is_dir {
                self.cut(&dir.join(name), &to.join(name));
            } else if name.to_string_lossy().ends_with(".parquet") || name.to_string_lossy().starts_with('_')
            {
                let bytes = fs::read(self.attic.path().join(number.to_string())).expect("kept");
                let length = if self.bytes.contains(number) { bytes.len() } else { bytes.len() / 2 };
                fs::write(to.join(name), &bytes[..length]).expect("written");
            }
        }
    }

    fn grave(&self) -> tempfile::TempDir {
        let grave = tempfile::tempdir().expect("made");
        self.cut(&self.root, grave.path());
        for name in ["manifest.db", "manifest.db-wal", "manifest.db-shm"] {
            if self.root.join(name).exists() {
                fs::copy(self.root.join(name), grave.path().join(name)).expect("copied");
            }
        }
        grave
    }
}

#[test]
fn a_power_cut_at_any_step_takes_nothing_that_was_committed() {
    for removes in [false, true] {
        let dir = tempfile::tempdir().expect("made");
        let (names, bytes) = (BTreeMap::new(), BTreeSet::new());
        let attic = tempfile::tempdir().expect("made");
        let disk = Arc::new(Mutex::new(Disk { root: dir.path().to_owned(), attic, names, bytes }));
        let graves = Arc::new(Mutex::new(Vec::new()));
        let (heard, cut, dug) = (Arc::clone(&disk), Arc::clone(&disk), Arc::clone(&graves));
        let steps = Steps {
            on_sync: Some(Arc::new(move |path| heard.lock().expect("unpoisoned").synced(path))),
            hook: Some(Arc::new(move |step| {
                let grave = cut.lock().expect("unpoisoned").grave();
                dug.lock().expect("unpoisoned").push((step, grave));
                Ok(())
            })),
        };
        let store = Store::open_with(dir.path(), options_of(removes), steps).expect("opens");
        live(&store, &life()[..14], |_| ());
        drop(store);
        let graves = std::mem::take(&mut *graves.lock().expect("unpoisoned"));
        assert!(graves.len() > 100, "{}", graves.len());
        // Every step once in every few of its kind: each look takes its time.
        for (_, grave) in graves.iter().step_by(5) {
            check_survivor(grave.path(), removes);
        }
    }
}

/// The simulation is one that forgets: without the folders' names there is nothing.
#[test]
fn what_was_never_synced_is_forgotten() {
    let (dir, attic) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    fs::create_dir(dir.path().join("observations")).expect("made");
    fs::write(dir.path().join("observations/0000000001.parquet"), "rows").expect("written");
    let (names, bytes) = (BTreeMap::new(), BTreeSet::new());
    let mut disk = Disk { root: dir.path().to_owned(), attic, names, bytes };
    let read = |disk: &Disk| {
        let (grave, whole) = (disk.grave(), tempfile::tempdir().expect("made"));
        copy(grave.path(), whole.path());
        fs::read_to_string(whole.path().join("observations/0000000001.parquet")).ok()
    };
    assert_eq!(read(&disk), None);
    disk.synced(&dir.path().join("observations"));
    assert_eq!(read(&disk), None, "the folder itself has no name yet");
    disk.synced(dir.path());
    assert_eq!(read(&disk).as_deref(), Some("ro"), "its bytes are not all there");
    disk.synced(&dir.path().join("observations/0000000001.parquet"));
    assert_eq!(read(&disk).as_deref(), Some("rows"));
}
