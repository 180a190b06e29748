//! Every transition of every alert to a URL, signed as Standard Webhooks 1.0.0 says (standardwebhooks.com).
//!
//! One request a transition, in the order of the log; the next goes when the one before was taken. A receiver that
//! sees a `webhook-id` twice may drop the second: it is the same in every try and in every replay.

mod call;

mod sink;

pub use call::WebhookOptions;
pub use sink::WebhookSink;
