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

/// After this long without a request the environment may have been frozen. Lambda freezes it between invocations without
/// notice, and the remote end has closed the sockets in the meantime.
const FROZEN_AFTER: SignedDuration = SignedDuration::from_secs(5);

/// How long an idle connection is kept. AWS's front ends close one after 20 s.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The connections of all clients, of our own account and of the tenants'. They are replaced after a gap in wall-clock
/// time, because a thawed environment holds dead sockets.
pub struct Connector {
    ambient: Ambient,
    current: Mutex<Connections>,
}

struct Connections {
    client: SharedHttpClient,
    last_used: Timestamp,
}

impl Connector {
    /// A connector without connections.
    pub fn new(ambient: Ambient) -> Self {
        Self { ambient, current: Mutex::new(Connections { client: new_client(), last_used: ambient.now() }) }
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let now = self.ambient.now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(current.last_used) > FROZEN_AFTER {
            current.client = new_client();
        }
        current.last_used = now;
        current.client.http_connector(settings, components)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Connector")
    }
}

fn new_client() -> SharedHttpClient {
    Builder::new()
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(amazon_tls())
        .build_https()
}

/// Trusts Amazon's roots only. Every endpoint is one of AWS's, and loading the platform's whole bundle would cost the first
/// request more CPU time than everything else in it.
fn amazon_tls() -> TlsContext {
    let mut trusted = TrustStore::empty();
    for certificate in amazon_roots() {
        trusted.add_pem_certificate(to_pem(certificate));
    }
    TlsContext::builder().with_trust_store(trusted).build().unwrap_or_default()
}

/// The roots of Amazon Trust Services (<https://www.amazontrust.com/repository/>) among the roots that Mozilla trusts.
fn amazon_roots() -> impl Iterator<Item = &'static [u8]> {
    const SUBJECTS: [&[u8]; 2] = [b"Amazon Root CA ", b"Starfield Services Root Certificate Authority - G2"];
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(AsRef::as_ref).filter(|certificate: &&[u8]| {
        SUBJECTS.iter().any(|subject| certificate.windows(subject.len()).any(|window| window == *subject))
    })
}

fn to_pem(certificate: &[u8]) -> String {
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
