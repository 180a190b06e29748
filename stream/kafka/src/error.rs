//! What can go wrong, by what the caller does about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use records::{AppendError, LogError};

use crate::admin::Violation;

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The options are not possible, or need a feature that is not built in. Change them.
    #[error("the settings for Kafka are refused")]
    Settings(#[source] KafkaError),
    /// No broker answers. Try again later.
    #[error("no answer from Kafka at {brokers}")]
    Unavailable {
        /// Who was asked.
        brokers: String,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// There are brokers, and they do not let us in. Change the settings.
    #[error("Kafka at {brokers} does not let us in: {why}; see {settings}")]
    Refused {
        /// Who was asked.
        brokers: String,
        /// In librdkafka's words.
        why: String,
        /// Which of librdkafka's properties to look at.
        settings: &'static str,
    },
    /// The topics are not what the log's promises need. Make or mend them.
    #[error("the topics are not as they must be: {}", violations(.0))]
    Topics(Vec<Violation>),
    /// The deployment goes by another name than the mirror says, so that records could go round in circles.
    #[error("the deployment at {brokers} is called {found}, not {asked}")]
    Name {
        /// Who was asked.
        brokers: String,
        /// As it was first called.
        found: String,
        /// As it is called now.
        asked: String,
    },
}

fn violations(all: &[Violation]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Something is wrong with what was asked, not with Kafka.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub String);

pub(crate) fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> LogError {
    LogError::Unavailable(Box::new(error))
}

pub(crate) fn append_unavailable(error: impl std::error::Error + Send + Sync + 'static) -> AppendError {
    AppendError::Unavailable(Box::new(error))
}

/// In the words of the log's traits.
pub(crate) fn log_error(error: KafkaError) -> LogError {
    match error.rdkafka_error_code() {
        Some(code) if is_fenced(code) => LogError::Fenced,
        _ => unavailable(error),
    }
}

/// Whether somebody else has taken over.
pub(crate) fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::Fenced
            | Code::FencedInstanceId
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::UnknownMemberId
            | Code::AssignmentLost
    )
}
