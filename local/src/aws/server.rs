//! The stand-in's endpoint: HTTP/1.1, with connections that a fault can reset.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use anyhow::Context as _;
use axum::body::Bytes;
use axum::http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::engine::{ConnectionReset, Engine};

/// The largest request of the services here is a mail of 40 MB:
/// <https://docs.aws.amazon.com/ses/latest/dg/quotas.html>; base64 makes a third more of it.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// Takes the address, before anything is built that needs to know its port.
///
/// # Errors
/// The address is taken, or not this machine's; the message names the flag that moves it.
pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "the AWS stand-in cannot listen on {address} (is another `local` running?); \
             `--aws-port` moves it, 0 takes a free port"
        )
    })
}

/// Serves until dropped; open connections end with it.
pub(super) async fn serve(listener: TcpListener, engine: Arc<Engine>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                connections.spawn(connect(stream, peer.ip(), engine.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "the stand-in could not accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connect(stream: TcpStream, peer: IpAddr, engine: Arc<Engine>) {
    // Requests and answers are written whole; waiting to fill a packet would only add to the latency.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket { stream, reset: reset.clone() };
    let service = service_fn(move |request| {
        let engine = engine.clone();
        let reset = reset.clone();
        async move {
            let result = respond(request, peer, &engine).await;
            if result.is_err() {
                reset.store(true, Ordering::Relaxed);
            }
            result
        }
    });
    let served = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the stand-in ended early");
    }
}

async fn respond(
    request: Request<Incoming>,
    peer: IpAddr,
    engine: &Engine,
) -> Result<Response<Full<Bytes>>, ConnectionReset> {
    let (parts, body) = request.into_parts();
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => engine.answer(parts, body.to_bytes(), peer).await,
        Err(_) => {
            let mut response = Response::new(Full::from("The body is too large or was cut off.\n"));
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            Ok(response)
        }
    }
}

/// A connection that closes with a reset (RST) once a fault has struck.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // Without lingering, closing throws away what is unsent and resets: the client reads ECONNRESET.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A shutdown says an orderly end, which a reset is not.
        if self.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
