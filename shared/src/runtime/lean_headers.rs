//! Requests without the headers that nobody reads.

use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, disable_interceptor, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// By what tenants recognise our calls in their logs.
pub(crate) const USER_AGENT: &str = "sendingbee-keeper";

const CAUSE: &str = "nobody reads it";

/// Leaves out the id of each call, the number of its attempt and the SDK's list of its own features, which are put together
/// and signed for each call anew. What remains of the user agent is [`USER_AGENT`].
#[derive(Debug)]
pub(crate) struct LeanHeaders;

#[dyn_dispatch_hint]
impl Intercept for LeanHeaders {
    fn name(&self) -> &'static str {
        "LeanHeaders"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let state = config.interceptor_state();
        state.store_put(disable_interceptor::<UserAgentInterceptor>(CAUSE));
        state.store_put(disable_interceptor::<InvocationIdInterceptor>(CAUSE));
        state.store_put(disable_interceptor::<RequestInfoInterceptor>(CAUSE));
        Ok(())
    }

    // After signing: the user agent is not signed.
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request_mut().headers_mut().insert("user-agent", USER_AGENT);
        Ok(())
    }
}

/// A client of a service whose requests have [`LeanHeaders`].
macro_rules! lean_client {
    ($sdk:ident, $config:expr) => {
        $sdk::Client::from_conf($sdk::config::Builder::from($config).interceptor($crate::runtime::LeanHeaders).build())
    };
}
pub(crate) use lean_client;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::runtime::{Environment, own_config};
    use crate::testing::fake_aws;

    #[tokio::test]
    async fn a_request_has_the_headers_that_aws_needs_and_ours() {
        let environment = Environment::from_variables(&[
            ("AWS_ACCESS_KEY_ID", "own"),
            ("AWS_SECRET_ACCESS_KEY", "own"),
            ("AWS_REGION", "eu-central-1"),
        ]);
        let headers = Arc::new(Mutex::new(Default::default()));
        let seen = Arc::clone(&headers);
        let http = fake_aws(move |request| {
            *seen.lock().unwrap() = request.headers;
            async { (200, r#"{"TableNames": []}"#.to_owned()) }
        });
        let client = lean_client!(aws_sdk_dynamodb, &own_config(&environment, &http, "DYNAMODB").unwrap());
        client.list_tables().send().await.unwrap();
        let headers = headers.lock().unwrap();
        assert_eq!(
            headers.keys().collect::<Vec<_>>(),
            ["authorization", "content-length", "content-type", "user-agent", "x-amz-date", "x-amz-target"]
        );
        assert_eq!(headers["user-agent"], USER_AGENT);
        assert!(headers["authorization"].contains("SignedHeaders="), "{headers:?}");
    }
}
