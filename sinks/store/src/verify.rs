//! Compares a folder with its manifest, byte for byte, beside a running store or without one.

use crate::StoreError;
use crate::day::{Found, Kind, find};
use crate::manifest::Manifest;
use crate::pages::{Footer, Tail};
use crate::sealed::SealedFile;
use crate::upkeep::clock_span;
use records::Timestamp;
use std::collections::BTreeSet;
use std::fs::{File, read_dir};
use std::path::{Path, PathBuf};

/// What was found in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files that are what was written.
    pub files: usize,
    /// Their rows.
    pub rows: u64,
    /// Their size.
    pub bytes: u64,
    /// Files that are not.
    pub faults: Vec<Fault>,
    /// Files that were found damaged before and set aside.
    pub set_aside: usize,
    /// Files that no manifest names: left by a process that died, and removed at the next start.
    pub strays: Vec<PathBuf>,
}

/// A file that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it lies, or should.
    pub path: PathBuf,
    /// Rows that it held.
    pub rows: u64,
    /// Event time of the first of them.
    pub first: Timestamp,
    /// Event time of the last.
    pub last: Timestamp,
    /// What was found, and from which hours of the day its rows are.
    pub detail: String,
}

/// Reads every file that the manifest of `dir` names, and compares sizes, checksums and numbers of rows. Changes
/// nothing, and may run while a store has the folder open: a file that was merged away meanwhile is no fault.
///
/// # Errors
/// The manifest can't be read, or a file can't for another reason than being damaged.
pub fn verify(dir: &Path) -> Result<Verified, StoreError> {
    let contents = Manifest::open_to_read(dir)?.load()?;
    let mut verified = Verified { set_aside: contents.damaged.len(), ..Verified::default() };
    let mut suspects = Vec::new();
    for file in &contents.files {
        match compare(file)? {
            None => {
                verified.files += 1;
                verified.rows += file.rows;
                verified.bytes += file.checks.bytes;
            }
            Some(detail) => suspects.push((file, detail)),
        }
    }
    let now = Manifest::open_to_read(dir)?.load()?;
    let named: BTreeSet<(Kind, u64)> = now.files.iter().map(|file| (file.kind, file.id)).collect();
    let still_counts = |file: &SealedFile| named.contains(&(file.kind, file.id));
    let faults = suspects.into_iter().filter(|(file, _)| still_counts(file));
    verified.faults = faults.map(|(file, detail)| Fault::new(file, detail)).collect();
    let before: BTreeSet<_> = contents.files.iter().map(|file| (file.kind, file.id)).collect();
    let highest = named.iter().map(|(_, id)| *id).max().unwrap_or(0);
    verified.strays = strays(dir, |kind, id| {
        // What is newer than the manifest may be on its way into it.
        id > highest || named.contains(&(kind, id)) || before.contains(&(kind, id))
    })?;
    Ok(verified)
}

impl Fault {
    fn new(file: &SealedFile, detail: String) -> Fault {
        let (first, last) = file.extent();
        let detail = format!("{detail}; its rows are from {}", clock_span(file));
        Fault { path: file.path.clone(), rows: file.rows, first, last, detail }
    }
}

/// What is wrong with a file, if anything is.
pub(crate) fn compare(file: &SealedFile) -> Result<Option<String>, StoreError> {
    let handle = match File::open(&file.path) {
        Ok(handle) => handle,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Some("it is gone".to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    let (found, checks) = (handle.metadata()?.len(), &file.checks);
    if found != checks.bytes {
        return Ok(Some(format!("{found} bytes instead of {}", checks.bytes)));
    }
    let tail = Tail::read(&handle, checks.tail_start, checks.bytes)?;
    if crc32fast::hash(&tail.bytes) != checks.tail {
        return Ok(Some("checksum of the footer".to_owned()));
    }
    let footer = match Footer::parse(&tail) {
        Ok(footer) => footer,
        Err(error) => return Ok(Some(error.to_string())),
    };
    let pages = match footer.pages() {
        Ok(pages) if pages.len() == checks.pages.len() => pages,
        Ok(pages) => return Ok(Some(format!("{} pages instead of {}", pages.len(), checks.pages.len()))),
        Err(error) => return Ok(Some(error.to_string())),
    };
    for (page, crc) in pages.iter().zip(&checks.pages) {
        if crc32fast::hash(&page.read(&handle)?) != *crc {
            return Ok(Some(format!("checksum of the page at byte {}", page.start)));
        }
    }
    let in_footer = footer.metadata.file_metadata().num_rows().unsigned_abs();
    let in_index: u64 = file.index.iter().map(|entry| u64::from(entry.rows)).sum();
    let is_right = in_footer == file.rows && in_index == file.rows;
    let detail = format!("{in_footer} rows in the footer, {in_index} in the index, {} by number", file.rows);
    Ok((!is_right).then_some(detail))
}

fn strays(dir: &Path, is_known: impl Fn(Kind, u64) -> bool) -> Result<Vec<PathBuf>, StoreError> {
    let mut strays = Vec::new();
    for kind in Kind::ALL {
        let Ok(days) = read_dir(dir.join(kind.name())) else { continue };
        for day in days {
            let Ok(files) = read_dir(day?.path()) else { continue };
            for file in files {
                let file = file?;
                let id = match find(&file.file_name().to_string_lossy()) {
                    Some(Found::Finished(id) | Found::Unfinished(id)) => id,
                    _ => continue,
                };
                if !is_known(kind, id) {
                    strays.push(file.path());
                }
            }
        }
    }
    strays.sort();
    Ok(strays)
}
