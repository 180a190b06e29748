//! MQTT in the binary frames of a WebSocket (RFC 6455; MQTT 3.1.1 and 5, 6): a byte stream like any other.

use crate::transport::Duplex;
use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

/// Where it is, and what is spoken there.
const PATH: &str = "/mqtt";
const SUBPROTOCOL: &str = "mqtt";

/// Kept for each connection, idle or not.
const READ_BUFFER: usize = 4 << 10;

/// Bytes of one frame of ours at most, and so of what waits for a client that reads nothing.
const FRAME: usize = 16 << 10;

/// A connection whose upgrade is made. Reads give what binary frames hold, wherever these begin and end; each write is
/// one of them.
#[derive(Debug)]
pub(crate) struct WebSocket {
    frames: WebSocketStream<Box<dyn Duplex>>,
    /// Of the frame that was read last.
    rest: Bytes,
}

impl WebSocket {
    /// Makes the upgrade, which takes as long as the client does. A message of more than `max_message` bytes ends the
    /// connection later.
    ///
    /// # Errors
    /// It was no upgrade, to another path (404 is answered), or without the subprotocol `mqtt` (400).
    pub(crate) async fn accept(stream: Box<dyn Duplex>, max_message: usize) -> Result<WebSocket, Error> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        let frames = accept_hdr_async_with_config(stream, Upgrade, Some(config)).await?;
        Ok(WebSocket { frames, rest: Bytes::new() })
    }

    /// Says why it ends, as far as the socket takes it.
    fn close(&mut self, cx: &mut Context<'_>, code: CloseCode, reason: &'static str) -> io::Error {
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        // The connection is given up either way.
        let _ = Pin::new(&mut self.frames).start_send(close);
        let _ = Pin::new(&mut self.frames).poll_flush(cx);
        io::Error::new(io::ErrorKind::InvalidData, reason)
    }
}

/// Looks at the request.
struct Upgrade;

impl Callback for Upgrade {
    fn on_request(self, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        if request.uri().path() != PATH {
            return Err(refusal(StatusCode::NOT_FOUND));
        }
        let offers = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
        let mut offered = offers.iter().filter_map(|offer| offer.to_str().ok()).flat_map(|it| it.split(','));
        if !offered.any(|it| it.trim() == SUBPROTOCOL) {
            return Err(refusal(StatusCode::BAD_REQUEST));
        }
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        Ok(response)
    }
}

fn refusal(status: StatusCode) -> ErrorResponse {
    let mut refusal = ErrorResponse::new(None);
    *refusal.status_mut() = status;
    refusal
}

impl AsyncRead for WebSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.frames).poll_next(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Ok(Message::Binary(payload))) => self.rest = payload,
                // What is no text either.
                Some(Ok(Message::Text(_)) | Err(Error::Utf8(_))) => {
                    let error = self.close(cx, CloseCode::Unsupported, "MQTT travels in binary frames");
                    return Poll::Ready(Err(error));
                }
                // Answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_))) => {}
                Some(Err(Error::Capacity(_))) => {
                    return Poll::Ready(Err(self.close(cx, CloseCode::Size, "a message is too long")));
                }
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let taken = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..taken]);
        self.rest.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocket {
    /// Takes nothing before the last frame is with the operating system, so that what waits is bounded.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_flush(cx))?;
        let taken = bytes.len().min(FRAME);
        let frame = Message::Binary(Bytes::copy_from_slice(&bytes[..taken]));
        Pin::new(&mut self.frames).start_send(frame).map_err(io::Error::other)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.frames).poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // One that was closed already is closed.
        if let Err(error) = ready!(Pin::new(&mut self.frames).poll_close(cx)) {
            tracing::debug!(%error, "no closing handshake");
        }
        Pin::new(self.frames.get_mut()).poll_shutdown(cx)
    }
}
