//! How connections end.

use crate::identity::Denial;
use crate::packet::{ReasonCode, ReturnCode, Violation};
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
    /// The client published to a topic that is not its own, in a way that could not be refused by itself.
    Forbidden,
    /// More waited for the client than may.
    TooSlow,
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
    /// No more connections from its address.
    Address,
    /// The TLS handshake or the upgrade to a WebSocket failed, or took too long.
    Handshake,
    /// Its certificate is none that is good here, or it has shown none.
    Certificate,
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
    /// Its will is for a topic name that is not its own.
    Will,
    /// It wants to authenticate in a way that is not served.
    Method,
    /// It takes no packets as long as ours may be.
    PacketSize,
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
            Ending::TooSlow => "too_slow",
            Ending::Cut(Cut::KeepAlive) => "keep_alive",
            Ending::Cut(Cut::Dawdling) => "packet_timeout",
            Ending::Cut(Cut::TakenOver) => "taken_over",
            Ending::Cut(Cut::Revoked) => "revoked",
            Ending::Cut(Cut::Stopping) => "stopping",
            Ending::LogClosed => "log_closed",
        }
    }

    /// What DISCONNECT of MQTT 5 says; `None` when the client has gone by itself.
    pub(super) const fn code(self) -> Option<ReasonCode> {
        match self {
            Ending::Disconnect | Ending::Lost => None,
            Ending::Violation(violation) => Some(violation.code()),
            Ending::Forbidden => Some(ReasonCode::NotAuthorized),
            Ending::TooSlow | Ending::Cut(Cut::Dawdling) => Some(ReasonCode::QuotaExceeded),
            Ending::Cut(Cut::KeepAlive) => Some(ReasonCode::KeepAliveTimeout),
            Ending::Cut(Cut::TakenOver) => Some(ReasonCode::SessionTakenOver),
            Ending::Cut(Cut::Revoked) => Some(ReasonCode::AdministrativeAction),
            Ending::Cut(Cut::Stopping) | Ending::LogClosed => Some(ReasonCode::ServerShuttingDown),
        }
    }
}

impl Refusal {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Refusal::Full => "full",
            Refusal::Address => "address",
            Refusal::Handshake => "handshake",
            Refusal::Certificate => "certificate",
            Refusal::Timeout => "timeout",
            Refusal::Lost => "lost",
            Refusal::Violation(violation) => violation.name(),
            Refusal::Version => "version",
            Refusal::ClientId => "client_id",
            Refusal::Denied(Denial::Credentials) => "credentials",
            Refusal::Denied(Denial::Disabled) => "disabled",
            Refusal::Denied(Denial::Unavailable) => "registry",
            Refusal::Will => "will",
            Refusal::Method => "method",
            Refusal::PacketSize => "packet_size",
            Refusal::Closing => "closing",
        }
    }

    /// What CONNACK of MQTT 3.1.1 says (table 3.1); `None` closes without a word.
    pub(super) const fn return_code(self) -> Option<ReturnCode> {
        match self {
            Refusal::Version => Some(ReturnCode::UnacceptableProtocolVersion),
            Refusal::ClientId => Some(ReturnCode::IdentifierRejected),
            Refusal::Denied(Denial::Unavailable) => Some(ReturnCode::ServerUnavailable),
            Refusal::Denied(Denial::Credentials) => Some(ReturnCode::BadUserNameOrPassword),
            Refusal::Denied(Denial::Disabled) | Refusal::Will => Some(ReturnCode::NotAuthorized),
            _ => None,
        }
    }

    /// What CONNACK of MQTT 5 says; `None` closes without a word.
    pub(super) const fn code(self) -> Option<ReasonCode> {
        match self {
            Refusal::Full
            | Refusal::Address
            | Refusal::Handshake
            | Refusal::Certificate
            | Refusal::Timeout
            | Refusal::Lost => None,
            Refusal::Violation(violation) => Some(violation.code()),
            Refusal::Version => Some(ReasonCode::UnsupportedProtocolVersion),
            Refusal::ClientId => Some(ReasonCode::ClientIdentifierNotValid),
            Refusal::Denied(Denial::Credentials) => Some(ReasonCode::BadUserNameOrPassword),
            Refusal::Denied(Denial::Disabled) | Refusal::Will => Some(ReasonCode::NotAuthorized),
            Refusal::Denied(Denial::Unavailable) => Some(ReasonCode::ServerUnavailable),
            Refusal::Method => Some(ReasonCode::BadAuthenticationMethod),
            Refusal::PacketSize => Some(ReasonCode::PacketTooLarge),
            Refusal::Closing => Some(ReasonCode::ServerShuttingDown),
        }
    }
}
