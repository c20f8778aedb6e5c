//! Waiting for what happens, and for what must not happen.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

/// How long a test waits for something that normally takes only seconds. It is long because the machine may be slow.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(150);

/// Polls until `poll` returns a value. Panics with the description after [`WAIT_TIMEOUT`].
pub(crate) async fn eventually<T, Poll, Polled>(description: &str, poll: Poll) -> T
where
    Poll: Fn() -> Polled,
    Polled: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = poll().await {
            return value;
        }
        assert!(started.elapsed() < WAIT_TIMEOUT, "waited {WAIT_TIMEOUT:?} for: {description}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Gives something that must not happen the time to happen.
pub(crate) async fn wait_for_nothing(seconds: f64) {
    sleep(Duration::from_secs_f64(seconds)).await;
}

/// The machine's clock, which also stamps the request log of the stand-in.
#[expect(clippy::disallowed_methods, reason = "a test compares with the times in the request log")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
