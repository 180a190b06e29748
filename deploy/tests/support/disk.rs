//! A small disk, for tests that fill it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// 64 MiB of its own, taken away when dropped.
pub struct Disk(PathBuf);

impl Disk {
    pub fn mount(at: PathBuf) -> Disk {
        std::fs::create_dir_all(&at).expect("the folder takes a mount point");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(&at).status();
        assert!(mounted.expect("mount runs").success(), "a tmpfs can be mounted (as root)");
        Disk(at)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Puts so much there that is not ours.
    pub fn fill(&self, megabytes: usize) -> PathBuf {
        let path = self.0.join("somebody-elses-data");
        std::fs::write(&path, vec![0; megabytes << 20]).expect("there is room yet");
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
