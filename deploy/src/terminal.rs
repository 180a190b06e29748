//! The terminal: log lines, and under them one line of progress that they never break.

use std::io::{IsTerminal, Stderr, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Standard error, shared by the log and the progress line.
#[derive(Clone)]
pub struct Terminal {
    is_interactive: bool,
    progress: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts logging to standard error. `filter` is a level, or levels by module: `info,gateway=debug`.
    ///
    /// # Errors
    /// The filter can't be read.
    pub fn start(filter: &str) -> Result<Terminal, String> {
        let filter: Targets = filter.parse().map_err(|error| format!("log filter \"{filter}\": {error}"))?;
        let is_interactive = std::io::stderr().is_terminal();
        let terminal = Terminal { is_interactive, progress: Arc::default() };
        let lines = tracing_subscriber::fmt::layer()
            .compact()
            .with_target(false)
            .with_ansi(is_interactive)
            .with_writer(terminal.clone());
        // A second start (tests in one process) keeps the first log.
        let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
        Ok(terminal)
    }

    /// Shows `line` under the log, in place of the one before; an empty line takes it away. Where nobody watches
    /// (a file, a pipe) it does nothing, and the caller logs now and then.
    pub fn progress(&self, line: &str) {
        if !self.is_interactive {
            return;
        }
        let mut progress = self.lock();
        line.clone_into(&mut progress);
        let _ = write!(std::io::stderr(), "\r\x1b[2K{progress}");
    }

    /// Whether a person watches.
    pub fn is_interactive(&self) -> bool {
        self.is_interactive
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = Line<'a>;
    fn make_writer(&'a self) -> Line<'a> {
        Line { progress: self.lock(), out: std::io::stderr() }
    }
}

/// Writes one log line above the progress line.
pub struct Line<'a> {
    progress: MutexGuard<'a, String>,
    out: Stderr,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.progress.is_empty() {
            return self.out.write_all(bytes);
        }
        self.out.write_all(b"\r\x1b[2K")?;
        self.out.write_all(bytes)?;
        self.out.write_all(self.progress.as_bytes())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
