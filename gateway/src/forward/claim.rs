//! One gateway for each id, also when two machines say the same one.

use records::{Consumer, LogError};
use tokio_util::sync::CancellationToken;

/// Holds a gateway's id until `stop`, or until the target was closed.
///
/// `seat`: a reader of the target that is this gateway's alone, so that a second one takes its place: of a group with
/// the gateway's id in its name where the newer reader of a group fences the older one; on Kafka, of any group, with
/// the gateway's id as its `group.instance.id`. Which topic it reads does not matter, a quiet one is best; what it is
/// given is dropped, and nothing is committed.
///
/// # Errors
/// [`LogError::Fenced`] when another process has taken the id: this one must not go on. Others: the target can't be
/// read; try again with a new reader.
pub async fn claim<C: Consumer>(mut seat: C, stop: CancellationToken) -> Result<(), LogError> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            fetched = seat.poll() => {
                if fetched?.is_none() {
                    return Ok(());
                }
            }
        }
    }
}
