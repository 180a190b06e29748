//! A byte stream to a client: plain, through TLS, or in a WebSocket.

use crate::websocket::WebSocket;
use bytes::{Buf, BytesMut};
use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// How long, and how far, a refused client may go on talking so that it gets to read why it was refused.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 << 10;

#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    /// Boxed, so that a plain connection doesn't carry its room.
    Tls(Box<TlsStream<TcpStream>>),
    /// Over either of these.
    WebSocket(Box<WebSocket>),
}

/// Answers go out at once instead of waiting for more.
pub(crate) fn without_delay(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "acknowledgements may be delayed: TCP_NODELAY was refused");
    }
    stream
}

/// Bytes both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Debug + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Debug + Unpin + Send> Duplex for S {}

impl Transport {
    /// Reads what is there, up to the buffer's size; 0 at the end of the stream.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(self.stream().poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes until `bytes` is empty, and all that was written is with the operating system.
    pub(crate) fn poll_write_all(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut BytesMut,
    ) -> Poll<io::Result<()>> {
        while !bytes.is_empty() {
            match ready!(self.stream().poll_write(cx, bytes))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => bytes.advance(written),
            }
        }
        self.stream().poll_flush(cx)
    }

    /// Ends our side, after what was written.
    pub(crate) async fn finish(&mut self) {
        // The peer may be gone already, and then there is nobody to tell. One that reads nothing is not waited for.
        let _ = tokio::time::timeout(LINGER, self.stream().shutdown()).await;
    }

    /// Leaves the peer time to read: closing over bytes that nobody has read would reset the connection and take
    /// our last answer with it.
    pub(crate) async fn linger(mut self) {
        let drain = async {
            let mut rest = self.stream().take(LINGER_BYTES);
            let mut nowhere = [0; 1024];
            while rest.read(&mut nowhere).await.is_ok_and(|read| read > 0) {}
        };
        let _ = tokio::time::timeout(LINGER, drain).await;
    }

    /// Itself, for what is laid over it.
    pub(crate) fn into_stream(self) -> Box<dyn Duplex> {
        match self {
            Transport::Plain(stream) => Box::new(stream),
            Transport::Tls(stream) => stream,
            Transport::WebSocket(stream) => stream,
        }
    }

    fn stream(&mut self) -> Pin<&mut dyn Duplex> {
        match self {
            Transport::Plain(stream) => Pin::new(stream),
            Transport::Tls(stream) => Pin::new(&mut **stream),
            Transport::WebSocket(stream) => Pin::new(&mut **stream),
        }
    }
}
