//! The one HTTP connector of a process.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};

use super::Ambient;

/// A silence longer than this means that the environment may have been frozen. Lambda freezes it between invocations
/// without telling it, and the far end has closed the sockets meanwhile.
const FROZEN_AFTER: SignedDuration = SignedDuration::from_secs(5);

/// Below the 20 s after which AWS's front ends close an idle connection.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// Connections shared by all clients, ours and the tenants', and replaced after a gap in wall-clock time, because a
/// thawed environment holds dead sockets.
pub struct Connector {
    ambient: Ambient,
    current: Mutex<Current>,
}

struct Current {
    client: SharedHttpClient,
    used: Timestamp,
}

impl Connector {
    /// A connector without connections.
    pub fn new(ambient: Ambient) -> Self {
        Self { ambient, current: Mutex::new(Current { client: fresh(), used: ambient.now() }) }
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let now = self.ambient.now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(current.used) > FROZEN_AFTER {
            current.client = fresh();
        }
        current.used = now;
        current.client.http_connector(settings, components)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Connector")
    }
}

fn fresh() -> SharedHttpClient {
    Builder::new()
        .pool_idle_timeout(POOL_IDLE)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(amazon())
        .build_https()
}

/// Trusts Amazon's roots and no others. Every endpoint here is AWS's, and loading the platform's whole bundle would cost
/// the first request more CPU than all else in it.
fn amazon() -> TlsContext {
    let mut trusted = TrustStore::empty();
    for certificate in amazon_roots() {
        trusted.add_pem_certificate(pem(certificate));
    }
    TlsContext::builder().with_trust_store(trusted).build().unwrap_or_default()
}

/// The roots of Amazon Trust Services (<https://www.amazontrust.com/repository/>) among those that Mozilla trusts.
fn amazon_roots() -> impl Iterator<Item = &'static [u8]> {
    const SUBJECTS: [&[u8]; 2] = [b"Amazon Root CA ", b"Starfield Services Root Certificate Authority - G2"];
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(AsRef::as_ref).filter(|certificate: &&[u8]| {
        SUBJECTS.iter().any(|subject| certificate.windows(subject.len()).any(|part| part == *subject))
    })
}

fn pem(certificate: &[u8]) -> String {
    let base64 = STANDARD.encode(certificate);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazons_five_roots_are_trusted() {
        assert_eq!(amazon_roots().count(), 5);
    }
}
