//! For unit tests: a fake AWS, which is a connector that answers SDK clients with a function, and the log of a test.

pub mod mail;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Once};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::Value;
use tokio::time::sleep;

use crate::telemetry;

/// A request as the fake AWS receives it.
pub struct FakeRequest {
    /// The whole URI.
    pub uri: String,
    /// The operation in `X-Amz-Target`, which the JSON protocols send; empty for the others.
    pub target: String,
    /// Its headers, by name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// Status and body.
pub type FakeResponse = (u16, String);

/// A connector whose requests are all answered by `serve`, over whatever clients use it.
pub fn fake_aws<Serve, Served>(serve: Serve) -> SharedHttpClient
where
    Serve: Fn(FakeRequest) -> Served + Send + Sync + 'static,
    Served: Future<Output = FakeResponse> + Send + 'static,
{
    fake_aws_behind(|_| Duration::ZERO, serve)
}

/// The same behind connections that take so long for a URI. Like a real connector, it polls a request's body only once it
/// has a connection, and fails if the body does.
pub fn fake_aws_behind<Serve, Served>(connect: fn(&str) -> Duration, serve: Serve) -> SharedHttpClient
where
    Serve: Fn(FakeRequest) -> Served + Send + Sync + 'static,
    Served: Future<Output = FakeResponse> + Send + 'static,
{
    SharedHttpClient::new(FakeConnector { connect, serve: Arc::new(serve) })
}

struct FakeConnector<Serve> {
    connect: fn(&str) -> Duration,
    serve: Arc<Serve>,
}

impl<Serve, Served> HttpConnector for FakeConnector<Serve>
where
    Serve: Fn(FakeRequest) -> Served + Send + Sync + 'static,
    Served: Future<Output = FakeResponse> + Send + 'static,
{
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let serve = Arc::clone(&self.serve);
        let connect = (self.connect)(request.uri());
        HttpConnectorFuture::new(async move {
            if !connect.is_zero() {
                sleep(connect).await;
            }
            let body = std::mem::replace(request.body_mut(), SdkBody::taken());
            let body = ByteStream::new(body).collect().await.map_err(|error| ConnectorError::user(error.into()))?;
            let body = body.into_bytes().to_vec();
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let headers = request.headers().iter();
            let request = FakeRequest {
                uri: request.uri().to_owned(),
                target: target.rsplit('.').next().unwrap_or_default().to_owned(),
                headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                body: String::from_utf8_lossy(&body).into_owned(),
            };
            let (status, body) = serve(request).await;
            let status = status.try_into().map_err(|_| ConnectorError::user("no HTTP status".into()))?;
            Ok(HttpResponse::new(status, SdkBody::from(body)))
        })
    }
}

impl<Serve, Served> HttpClient for FakeConnector<Serve>
where
    Serve: Fn(FakeRequest) -> Served + Send + Sync + 'static,
    Served: Future<Output = FakeResponse> + Send + 'static,
{
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Self { connect: self.connect, serve: Arc::clone(&self.serve) })
    }
}

impl<Serve> fmt::Debug for FakeConnector<Serve> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FakeConnector")
    }
}

/// What a test's thread logs, from [`capture_log`] until it is dropped.
pub struct CapturedLog(Rc<RefCell<Vec<u8>>>);

thread_local! {
    static LOG: RefCell<Option<Rc<RefCell<Vec<u8>>>>> = const { RefCell::new(None) };
}

/// Starts the subscriber of the functions, once for all tests of the process, and captures what this thread logs as
/// CloudWatch Logs would receive it. A test with `#[tokio::test]` runs its tasks on its own thread.
///
/// One subscriber for all: `tracing` caches whether a call of its macros is of interest to anybody, and may ask only the
/// subscriber of the thread that comes first.
pub fn capture_log() -> CapturedLog {
    static START: Once = Once::new();
    START.call_once(|| {
        // Fails only if the process has a subscriber already, and then the test finds no lines.
        drop(tracing::subscriber::set_global_default(telemetry::subscriber(None, || ThreadLog)));
        tracing::callsite::rebuild_interest_cache();
    });
    let bytes = Rc::default();
    LOG.set(Some(Rc::clone(&bytes)));
    CapturedLog(bytes)
}

impl CapturedLog {
    /// The lines so far. One that is no JSON is null.
    pub fn lines(&self) -> Vec<Value> {
        let bytes = self.0.borrow();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap_or_default()).collect()
    }
}

impl Drop for CapturedLog {
    fn drop(&mut self) {
        LOG.set(None);
    }
}

/// Writes to the log that this thread captures, if it does.
struct ThreadLog;

impl io::Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow(|log| {
            if let Some(log) = log {
                log.borrow_mut().extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
