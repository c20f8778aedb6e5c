//! The fake AWS of unit tests: a connector that answers SDK clients with a function.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

/// A request as the fake AWS receives it.
pub struct FakeRequest {
    /// The whole URI.
    pub uri: String,
    /// The operation in `X-Amz-Target`, which the JSON protocols send; empty for the others.
    pub target: String,
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
    SharedHttpClient::new(FakeConnector(Arc::new(serve)))
}

struct FakeConnector<Serve>(Arc<Serve>);

impl<Serve, Served> HttpConnector for FakeConnector<Serve>
where
    Serve: Fn(FakeRequest) -> Served + Send + Sync + 'static,
    Served: Future<Output = FakeResponse> + Send + 'static,
{
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let serve = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let body = std::mem::replace(request.body_mut(), SdkBody::taken());
            let body = ByteStream::new(body).collect().await.map(|body| body.into_bytes().to_vec()).unwrap_or_default();
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let request = FakeRequest {
                uri: request.uri().to_owned(),
                target: target.rsplit('.').next().unwrap_or_default().to_owned(),
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
        SharedHttpConnector::new(Self(Arc::clone(&self.0)))
    }
}

impl<Serve> fmt::Debug for FakeConnector<Serve> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FakeConnector")
    }
}
