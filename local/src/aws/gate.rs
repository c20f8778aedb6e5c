//! The tenants' endpoint as a fault can close it: nothing listens, so that a connection is refused and a client knows
//! that nothing of its request was written.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use super::engine::Engine;
use super::server;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Whether the tenants' endpoint takes connections.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    requested: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { requested: watch::Sender::new(true), open: watch::Sender::new(true) }
    }
}

impl Gate {
    /// Opens or closes, and waits until it is so.
    pub(super) async fn set(&self, open: bool) {
        self.requested.send_replace(open);
        // The other end lives as long as the stand-in; without it there is nothing to wait for.
        let _ = self.open.subscribe().wait_for(|is| *is == open).await;
    }

    /// Serves on a free port of the loopback interface while the gate is open. Answers the URL and the work to be done, which ends
    /// only where the port cannot be opened again.
    ///
    /// # Errors
    /// No port is free.
    pub(super) fn serve(
        &self,
        engine: Arc<Engine>,
    ) -> anyhow::Result<(String, impl Future<Output = io::Error> + use<>)> {
        let socket = reserve((Ipv4Addr::LOCALHOST, 0).into()).context("take a port for the tenants' AWS")?;
        let address = socket.local_addr()?;
        let (mut listener, mut reserved) = open(socket, address).context("listen for the tenants' AWS")?;
        let gate = self.clone();
        let work = async move {
            let mut requested = gate.requested.subscribe();
            loop {
                // The listener and all its connections end with the future that is not chosen.
                tokio::select! {
                    never = server::serve(listener, engine.clone()) => match never {},
                    _ = requested.wait_for(|open| !open) => {}
                }
                gate.open.send_replace(false);
                let _ = requested.wait_for(|open| *open).await;
                (listener, reserved) = match open(reserved, address) {
                    Ok(opened) => opened,
                    Err(error) => return error,
                };
                gate.open.send_replace(true);
            }
        };
        Ok((format!("http://{address}"), work))
    }
}

/// Lets a socket listen, and takes the next one that will have its port once it is closed.
fn open(reserved: TcpSocket, address: SocketAddr) -> io::Result<(TcpListener, TcpSocket)> {
    Ok((reserved.listen(BACKLOG)?, reserve(address)?))
}

/// A socket that holds a port without listening: connections are refused, and nobody else is given the port meanwhile. Only with
/// SO_REUSEPORT can it be bound while the one before it still listens.
fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}
