//! So many bits a second: for what the line to the target carries.

use std::time::Duration;
use tokio::time::Instant;

/// A line that is busy for as long as what was sent takes on it.
#[derive(Debug)]
pub(crate) struct Uplink {
    bytes_per_second: Option<f64>,
    /// `None`: it has never been used.
    free_at: Option<Instant>,
    append_bytes: usize,
}

impl Uplink {
    /// `append_bytes`: what one append may carry at most. With a thin uplink no append takes longer than a second.
    pub fn new(bits_per_second: Option<u64>, append_bytes: usize) -> Uplink {
        let bytes_per_second = bits_per_second.map(|bits| (bits as f64 / 8.0).max(1.0));
        let a_second = bytes_per_second.map_or(usize::MAX, |bytes| bytes as usize);
        Uplink { bytes_per_second, free_at: None, append_bytes: append_bytes.min(a_second) }
    }

    /// What one append may carry.
    pub fn append_bytes(&self) -> usize {
        self.append_bytes
    }

    /// So much is on its way to the target.
    pub fn sent(&mut self, bytes: usize, now: Instant) {
        if let Some(per_second) = self.bytes_per_second {
            let takes = Duration::try_from_secs_f64(bytes as f64 / per_second).unwrap_or(Duration::MAX / 4);
            self.free_at = Some(self.free_at.map_or(now, |at| at.max(now)) + takes);
        }
    }

    /// When the next append may begin; `None`: at any time.
    pub fn free_at(&self) -> Option<Instant> {
        self.free_at
    }
}
