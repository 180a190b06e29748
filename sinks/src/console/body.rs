//! Answers that are sent while they are made, packed for those who can unpack them.

use super::reply::Refusal;
use super::table::Format;
use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Pieces that may wait for a slow client; who makes them waits then.
const WAITING: usize = 2;

/// A piece is sent when it has so many bytes.
const PIECE: usize = 64 * 1024;

/// Takes the pieces of an answer.
pub struct Feeder {
    pieces: Sender<Result<Bytes, Refusal>>,
    packer: Option<GzEncoder<Vec<u8>>>,
    plain: Vec<u8>,
}

/// Runs `answer` where blocking is allowed and sends what it feeds. A refusal before the first piece is sent becomes
/// the answer; behind it the connection is cut, so that nobody takes a part for the whole.
pub async fn streamed(
    format: Format,
    headers: &HeaderMap,
    answer: impl FnOnce(&mut Feeder) -> Result<(), Refusal> + Send + 'static,
) -> Result<Response, Refusal> {
    let (pieces, mut sent) = channel(WAITING);
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // What is packed already only costs time to pack once more.
    let is_packed = format != Format::Parquet && accepts_gzip(accepted);
    tokio::task::spawn_blocking(move || {
        let packer = is_packed.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let mut feeder = Feeder { pieces, packer, plain: Vec::new() };
        match answer(&mut feeder) {
            Ok(()) => feeder.end(),
            // Nobody listening is no failure.
            Err(refusal) => drop(feeder.pieces.blocking_send(Err(refusal))),
        }
    });
    // The end of the answer is a piece in any case.
    let first =
        sent.recv().await.ok_or_else(|| Refusal::Unavailable("it could not be made".to_owned()))??;
    let rest = ReceiverStream::new(sent).map(|piece| piece.map_err(|_| std::io::Error::other("cut short")));
    let body = Body::from_stream(tokio_stream::once(Ok(first)).chain(rest));
    let mut response =
        ([(CONTENT_TYPE, format.content_type()), (VARY, "accept-encoding")], body).into_response();
    if is_packed {
        response.headers_mut().insert(CONTENT_ENCODING, axum::http::HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

impl Feeder {
    /// Takes `text`, and leaves it empty. `false` when nobody listens any more.
    pub fn feed(&mut self, text: &mut String) -> bool {
        let goes_on = self.feed_bytes(text.as_bytes());
        text.clear();
        goes_on
    }

    /// Takes a list as text: what stands before it, between two items and behind it, and the items. Stops when nobody
    /// listens any more.
    pub fn list<T>(
        &mut self,
        (head, between, tail): (&str, &str, &str),
        items: impl IntoIterator<Item = T>,
        write: impl Fn(T, &mut String),
    ) {
        let mut text = head.to_owned();
        for (index, item) in items.into_iter().enumerate() {
            text.push_str(if index > 0 { between } else { "" });
            write(item, &mut text);
            if !self.feed(&mut text) {
                return;
            }
        }
        text.push_str(tail);
        self.feed(&mut text);
    }

    /// [`Feeder::feed`] with bytes.
    pub fn feed_bytes(&mut self, bytes: &[u8]) -> bool {
        match &mut self.packer {
            Some(packer) => packer.write_all(bytes).expect("memory takes it"),
            None => self.plain.extend_from_slice(bytes),
        }
        let ready = self.packer.as_mut().map_or(&mut self.plain, GzEncoder::get_mut);
        ready.len() < PIECE || self.pieces.blocking_send(Ok(std::mem::take(ready).into())).is_ok()
    }

    fn end(self) {
        let rest = match self.packer {
            Some(packer) => packer.finish().expect("memory takes it"),
            None => self.plain,
        };
        // Nobody listening is no failure.
        let _ = self.pieces.blocking_send(Ok(rest.into()));
    }
}

/// Whether gzip is among what a client accepts, and not refused by a weight of 0.
fn accepts_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight =
            parts.find_map(|part| part.strip_prefix("q=")).and_then(|weight| weight.parse::<f32>().ok());
        is_gzip && weight.is_none_or(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_who_accepts_it() {
        let check = |accepted, expected| assert_eq!(accepts_gzip(accepted), expected, "{accepted}");
        check("gzip, deflate, br", true);
        check("br;q=1.0, GZIP;q=0.5", true);
        check("gzip;q=0", false);
        check("identity", false);
        check("", false);
    }
}
