//! The tenants' endpoint as a fault can close it: nothing listens, so that a connection is refused and a client knows
//! that nothing of its request was written.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::engine::Engine;
use super::server;

/// How soon the port is tried again where somebody else holds it.
const RETRY: Duration = Duration::from_millis(20);

/// Whether the tenants' endpoint takes connections.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    wanted: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { wanted: watch::Sender::new(true), open: watch::Sender::new(true) }
    }
}

impl Gate {
    /// Opens or closes, and waits until it is so.
    pub(crate) async fn set(&self, open: bool) {
        self.wanted.send_replace(open);
        // The other end lives as long as the stand-in; without it there is nothing to wait for.
        let _ = self.open.subscribe().wait_for(|is| *is == open).await;
    }

    /// Serves on a free port of the loopback interface while the gate is open. Answers the URL and the work to be done.
    ///
    /// # Errors
    /// No port is free.
    pub(crate) async fn serve(
        &self,
        engine: Arc<Engine>,
    ) -> anyhow::Result<(String, impl Future<Output = Infallible> + use<>)> {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.context("listen for the tenants' AWS")?;
        let address = listener.local_addr()?;
        let gate = self.clone();
        let work = async move {
            let mut wanted = gate.wanted.subscribe();
            loop {
                // The listener and all its connections end with the future that is not chosen.
                tokio::select! {
                    never = server::serve(listener, engine.clone()) => match never {},
                    _ = wanted.wait_for(|open| !open) => {}
                }
                gate.open.send_replace(false);
                let _ = wanted.wait_for(|open| *open).await;
                listener = loop {
                    match TcpListener::bind(address).await {
                        Ok(listener) => break listener,
                        Err(error) => tracing::warn!(%address, %error, "the tenants' endpoint cannot open again yet"),
                    }
                    tokio::time::sleep(RETRY).await;
                };
                gate.open.send_replace(true);
            }
        };
        Ok((format!("http://{address}"), work))
    }
}
