//! A copy of a folder, taken while a store has it open, and the way back.

use crate::StoreError;
use crate::manifest::Manifest;
use crate::steps::Steps;
use crate::verify::{Verified, verify};
use crate::writing::sync_dir;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// How often a backup takes the manifest anew because files were merged away under it.
const TRIES: u32 = 20;

/// What a backup or a restore copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The target holds something already. Name another.
    #[error("{} is not empty", .0.display())]
    Occupied(PathBuf),
    /// The backup is not what was written: restore from another.
    #[error("{} of its files are damaged, the first is {}: {}", .0.len(), .0[0].path.display(), .0[0].detail)]
    Damaged(Vec<crate::Fault>),
    /// Files were merged faster than they could be copied. Try when less is written.
    #[error("files were merged away under the backup {TRIES} times")]
    Restless,
    /// The folder can't be read, or the copy not written.
    #[error("copying failed")]
    Failed(#[from] StoreError),
}

impl From<std::io::Error> for CopyError {
    fn from(error: std::io::Error) -> CopyError {
        CopyError::Failed(error.into())
    }
}

/// Copies what the store in `dir` holds as of its last seal to `to`, which is made, and makes it durable. A store
/// may have `dir` open and go on writing.
///
/// # Errors
/// See [`CopyError`]. What was copied so far stays in `to`.
pub fn backup(dir: &Path, to: &Path) -> Result<Copied, CopyError> {
    claim(to)?;
    let mut copied = Copied::default();
    let mut done = BTreeSet::new();
    for _ in 0..TRIES {
        let manifest = to.join("manifest.db");
        match std::fs::remove_file(&manifest) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => Manifest::open_to_read(dir)?.copy_to(&manifest)?,
        }
        if copy_files(dir, to, &mut done, &mut copied)? {
            drop_others(to, &done)?;
            File::open(&manifest)?.sync_all()?;
            sync_dir(&Steps::default(), to)?;
            return Ok(copied);
        }
    }
    Err(CopyError::Restless)
}

/// Puts a backup where a store will be opened: `dir` must be absent or empty. The backup is verified first.
///
/// # Errors
/// See [`CopyError`].
pub fn restore(backup: &Path, dir: &Path) -> Result<Copied, CopyError> {
    let Verified { faults, .. } = verify(backup)?;
    if !faults.is_empty() {
        return Err(CopyError::Damaged(faults));
    }
    self::backup(backup, dir)
}

fn claim(to: &Path) -> Result<(), CopyError> {
    std::fs::create_dir_all(to)?;
    match std::fs::read_dir(to)?.next() {
        None => Ok(()),
        Some(_) => Err(CopyError::Occupied(to.to_owned())),
    }
}

/// Copies the files that the copied manifest names and that are not there yet. `false` when one has gone.
fn copy_files(
    dir: &Path,
    to: &Path,
    done: &mut BTreeSet<PathBuf>,
    copied: &mut Copied,
) -> Result<bool, CopyError> {
    for file in Manifest::open_to_read(to)?.load()?.files {
        let Ok(path) = file.path.strip_prefix(to) else { continue };
        if done.contains(path) {
            continue;
        }
        let (from, target) = (dir.join(path), &file.path);
        let folder = target.parent().unwrap_or(to);
        std::fs::create_dir_all(folder)?;
        match std::fs::copy(&from, target) {
            Ok(bytes) => copied.bytes += bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        File::open(target)?.sync_all()?;
        sync_dir(&Steps::default(), folder)?;
        copied.files += 1;
        done.insert(path.to_owned());
    }
    Ok(true)
}

/// Removes copies of files that were merged away before the manifest was taken for the last time.
fn drop_others(to: &Path, done: &BTreeSet<PathBuf>) -> Result<(), CopyError> {
    let files = Manifest::open_to_read(to)?.load()?.files;
    let named: BTreeSet<PathBuf> =
        files.iter().filter_map(|file| Some(file.path.strip_prefix(to).ok()?.to_owned())).collect();
    for path in done.difference(&named) {
        std::fs::remove_file(to.join(path))?;
    }
    Ok(())
}
