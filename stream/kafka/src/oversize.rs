//! What the brokers will not take, however often it is offered: an operator must change the topic first.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;

use crate::settings::LARGEST_BYTES;

/// A record that is larger than its topic takes, or in a batch that is. Topics as they are made take all that may be
/// appended, so somebody has changed this one since the log was opened.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{topic} refuses a record of {bytes} bytes, or the batch that it is in: \
     its max.message.bytes must be at least {LARGEST_BYTES}"
)]
pub(crate) struct Oversize {
    topic: String,
    bytes: usize,
}

impl Oversize {
    /// Whether that is why `message` was not taken.
    pub fn of(error: &KafkaError, message: &impl Message) -> Option<Oversize> {
        use RDKafkaErrorCode::{MessageBatchTooLarge, MessageSizeTooLarge};
        let is_oversize =
            matches!(error.rdkafka_error_code(), Some(MessageBatchTooLarge | MessageSizeTooLarge));
        let bytes = message.key().map_or(0, <[u8]>::len) + message.payload().map_or(0, <[u8]>::len);
        is_oversize.then(|| Oversize { topic: message.topic().to_owned(), bytes })
    }
}
