//! What can go wrong, by what the caller does about it.

use crate::Password;
use records::{LogError, Name};

/// Why the gateway ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The log was closed under the gateway, or refuses what it is offered: nothing can be accepted any more.
    #[error("the log was closed, or refuses what it is offered for good")]
    LogClosed,
    /// The registry could not be read at the start.
    #[error("the device registry can't be read")]
    Registry(#[source] RegistryError),
    /// What sessions have left behind could not be read at the start.
    #[error("the sessions in {place} can't be read")]
    Sessions {
        /// Where they are.
        place: String,
        /// Why.
        #[source]
        source: LogError,
    },
    /// The operating system refused what the gateway needs to start.
    #[error("no randomness from the operating system")]
    Randomness(#[source] getrandom::Error),
}

/// Why a call to the registry did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The id can't be a device's.
    #[error("{0:?} can't be a device id: 1 to 64 of A-Z a-z 0-9 . _ - with a letter or digit in front")]
    InvalidId(Name),
    /// Another field can't be stored.
    #[error("{field}: {detail}")]
    InvalidField {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// A chosen password is too short.
    #[error("a password needs at least {} characters", Password::MIN_CHOSEN)]
    WeakPassword,
    /// The id is taken.
    #[error("device {0:?} is registered already")]
    Duplicate(Name),
    /// There is no such device.
    #[error("device {0:?} is not registered")]
    Unknown(Name),
    /// The file was written by a newer Sluice.
    #[error("the registry file has version {0}, which is newer than this program")]
    Version(i64),
    /// The file can't be read or written.
    #[error("the registry file can't be used")]
    Unavailable(#[from] rusqlite::Error),
    /// No password could be made.
    #[error("no randomness from the operating system")]
    Randomness(#[source] getrandom::Error),
    /// No password could be hashed.
    #[error("the password can't be hashed: {0}")]
    Hash(argon2::password_hash::Error),
}
