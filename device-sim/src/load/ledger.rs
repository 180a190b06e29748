//! What the broker promised to keep: a line for each acknowledged message.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Lines `device,sequence`, appended to a file.
#[derive(Debug)]
pub struct Ledger {
    file: Mutex<File>,
    lines: Mutex<String>,
}

impl Ledger {
    /// Appends to the file at `path`.
    pub fn create(path: &Path) -> io::Result<Ledger> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Ledger { file: Mutex::new(file), lines: Mutex::new(String::new()) })
    }

    /// Notes acknowledged messages of a device.
    pub fn note(&self, device: &str, sequences: &[u64]) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for sequence in sequences {
            let _ = writeln!(lines, "{device},{sequence}");
        }
    }

    /// Writes what was noted.
    pub fn flush(&self) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        file.write_all(lines.as_bytes())
    }
}

/// Flushes every 50 ms until aborted.
pub async fn keep(ledger: Arc<Ledger>) {
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if let Err(error) = ledger.flush() {
            tracing::error!("the ledger can't be written: {error}");
        }
    }
}
