//! The envelope of a job's state: version, job and configuration, so that foreign state is refused, not misread.

use crate::fnv::fnv1a;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decoder, Encoder};
use std::fmt::Debug;

/// Version of the state's layout: one more with every change that is not merely an added optional field.
const VERSION: u32 = 12;

/// Why a snapshot is not restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Written by another version of Sluice.
    #[error("state has version {found}, this program reads version {VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
    /// Written by another job.
    #[error("state belongs to the {found} job")]
    Job {
        /// Its job.
        found: String,
    },
    /// Written under other times.
    #[error("state was made under another configuration")]
    Configuration,
    /// Not state at all.
    #[error("state is damaged: {0}")]
    Damaged(String),
}

impl From<DecodeError> for StateError {
    fn from(error: DecodeError) -> StateError {
        StateError::Damaged(error.to_string())
    }
}

/// Begins an envelope; the state belongs behind it.
pub fn begin(job: &str, fingerprint: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut to = Encoder::new(&mut bytes);
    to.array(4)
        .and_then(|to| to.u32(VERSION))
        .and_then(|to| to.str(job))
        .and_then(|to| to.u64(fingerprint))
        .expect("a Vec takes everything");
    bytes
}

/// Opens an envelope; what is left to be read is the state.
pub fn open<'b>(bytes: &'b [u8], job: &str, fingerprint: u64) -> Result<Decoder<'b>, StateError> {
    let mut from = Decoder::new(bytes);
    from.array()?;
    let found = from.u32()?;
    if found != VERSION {
        return Err(StateError::Version { found });
    }
    let found = from.str()?;
    if found != job {
        return Err(StateError::Job { found: found.into() });
    }
    if from.u64()? != fingerprint {
        return Err(StateError::Configuration);
    }
    Ok(from)
}

/// A number that tells configurations apart: FNV-1a over what they print as.
pub fn fingerprint(configuration: &impl Debug) -> u64 {
    fnv1a(format!("{configuration:?}").bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_state_is_refused() {
        let mut bytes = begin("device", 7);
        minicbor::encode(vec![1u32, 2], &mut bytes).expect("a Vec takes everything");
        let open = |bytes: &[u8], job, fingerprint| -> Result<Vec<u32>, StateError> {
            Ok(open(bytes, job, fingerprint)?.decode()?)
        };
        assert_eq!(open(&bytes, "device", 7), Ok(vec![1, 2]));
        assert_eq!(open(&bytes, "device", 8), Err(StateError::Configuration));
        assert_eq!(open(&bytes, "area", 7), Err(StateError::Job { found: "device".into() }));
        assert!(matches!(open(&bytes[..4], "device", 7), Err(StateError::Damaged(_))));
        assert!(matches!(open(&[], "device", 7), Err(StateError::Damaged(_))));
        let mut newer = bytes.clone();
        newer[1] = VERSION as u8 + 1;
        assert_eq!(open(&newer, "device", 7), Err(StateError::Version { found: VERSION + 1 }));
    }
}
