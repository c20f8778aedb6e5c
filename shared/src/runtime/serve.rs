//! The loop that passes Lambda's events to a handler.

use std::convert::Infallible;
use std::future::Future;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Serves events until Lambda ends the process. A handler cannot fail: the runtime would log its error with `Debug`, and
/// every failure has a response that describes it better (a problem, a partial batch response).
///
/// # Errors
/// The Runtime API is gone.
pub async fn serve<Event, Returned, Handler, Handled>(handler: Handler) -> Result<(), Error>
where
    Event: DeserializeOwned,
    Returned: Serialize,
    Handler: Fn(LambdaEvent<Event>) -> Handled,
    Handled: Future<Output = Returned>,
{
    lambda_runtime::run(service_fn(|event| {
        let handled = handler(event);
        async { Ok::<_, Infallible>(handled.await) }
    }))
    .await
}
