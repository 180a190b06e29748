//! A disk that forgets what was not synced: every `fsync` of this process copies the file, and a power cut leaves the
//! copies. A file that was removed is gone when its folder was synced.
//!
//! The names `fsync` and `fdatasync` of the C library are taken by functions of the test binary, so SQLite and the
//! standard library call these. They don't ask the real disk, which a power cut that doesn't happen can't harm.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is on the disk, by the files' names.
type Synced = BTreeMap<PathBuf, Vec<u8>>;

static DISK: Mutex<Synced> = Mutex::new(BTreeMap::new());

/// What the folder `dir` is after a power cut at this moment: another folder.
pub fn cut(dir: &Path) -> tempfile::TempDir {
    let after = tempfile::tempdir().expect("a folder");
    for (path, bytes) in disk().iter() {
        if let Ok(name) = path.strip_prefix(dir) {
            let to = after.path().join(name);
            std::fs::create_dir_all(to.parent().expect("it has a folder")).expect("a folder");
            std::fs::write(to, bytes).expect("a copy");
        }
    }
    after
}

/// How many bytes of the file were synced.
pub fn synced_bytes(path: &Path) -> usize {
    disk().get(path).map_or(0, Vec::len)
}

fn disk() -> MutexGuard<'static, Synced> {
    DISK.lock().unwrap_or_else(PoisonError::into_inner)
}

#[unsafe(no_mangle)]
extern "C" fn fsync(fd: c_int) -> c_int {
    sync(fd);
    0
}

#[unsafe(no_mangle)]
extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync(fd);
    0
}

fn sync(fd: c_int) {
    let Ok(path) = std::fs::read_link(format!("/proc/self/fd/{fd}")) else { return };
    // SAFETY: the caller has it open for as long as this call lasts, and it is not closed here.
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
    let Ok(metadata) = file.metadata() else { return };
    if metadata.is_dir() {
        return disk().retain(|file, _| file.parent() != Some(&path) || file.exists());
    }
    let mut bytes = vec![0; metadata.len() as usize];
    // Of a file that is open for writing alone nothing is kept.
    if file.read_exact_at(&mut bytes, 0).is_ok() {
        disk().insert(path, bytes);
    }
}
