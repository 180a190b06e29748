//! How connections end.

use crate::identity::Denial;
use crate::packet::Violation;
use crate::sessions::Cut;

/// Why a session is over. Bounded: it is a metrics label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client said so.
    Disconnect,
    /// The connection broke, or the client closed it without a word.
    Lost,
    /// The client broke the protocol, or wants what is not served.
    Violation(Violation),
    /// The client published to a topic that is not its own.
    Forbidden,
    /// Somebody else ended it.
    Cut(Cut),
    /// The log takes nothing any more.
    LogClosed,
}

/// Why a connection never became a session. Bounded: it is a metrics label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No more connections than the limit.
    Full,
    /// No CONNECT in time, or the answer took too long.
    Timeout,
    /// Gone before CONNECT was there.
    Lost,
    /// What came was no CONNECT.
    Violation(Violation),
    /// A version of MQTT that is not served.
    Version,
    /// An empty client id that asks for a lasting session, or one too long to keep.
    ClientId,
    /// Who it says it is could not be confirmed.
    Denied(Denial),
    /// The log or the gateway is closing.
    Closing,
}

impl Ending {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Ending::Disconnect => "disconnect",
            Ending::Lost => "lost",
            Ending::Violation(violation) => violation.name(),
            Ending::Forbidden => "forbidden",
            Ending::Cut(Cut::KeepAlive) => "keep_alive",
            Ending::Cut(Cut::TakenOver) => "taken_over",
            Ending::Cut(Cut::Revoked) => "revoked",
            Ending::Cut(Cut::Stopping) => "stopping",
            Ending::LogClosed => "log_closed",
        }
    }
}

impl Refusal {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Refusal::Full => "full",
            Refusal::Timeout => "timeout",
            Refusal::Lost => "lost",
            Refusal::Violation(violation) => violation.name(),
            Refusal::Version => "version",
            Refusal::ClientId => "client_id",
            Refusal::Denied(Denial::Credentials) => "credentials",
            Refusal::Denied(Denial::Disabled) => "disabled",
            Refusal::Denied(Denial::Unavailable) => "registry",
            Refusal::Closing => "closing",
        }
    }
}
