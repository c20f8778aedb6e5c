//! Log lines on standard output, one JSON object per line.

use std::error::Error;
use std::fmt::Write as _;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The targets of our own crates, which follow `LOG_LEVEL`.
const OURS: [&str; 6] = ["policy", "revoke", "revoke_worker", "send", "shared", "verify"];

/// Starts logging to standard output. A second call changes nothing.
pub fn init(level: Option<&str>) {
    let started = subscriber(level, std::io::stdout).try_init();
    // Only a second call can fail, and then the first one's subscriber serves.
    drop(started);
    log_panics_by_place();
}

/// The subscriber that [`init`] starts, with another writer: tests read its lines as CloudWatch Logs does. Targets other
/// than ours are off whatever the level: at TRACE the Lambda runtime logs raw events, hyper raw bytes and the SDK's signer
/// canonical requests.
///
/// `level` is one of `error`, `warn`, `info`, `debug`, `trace`; anything else counts as `info`.
pub fn subscriber<Writer>(level: Option<&str>, writer: Writer) -> impl Subscriber + Send + Sync
where
    Writer: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let level = level.and_then(|level| level.parse::<LevelFilter>().ok()).unwrap_or(LevelFilter::INFO);
    let targets = Targets::new()
        .with_targets(OURS.map(|target| (target, level)))
        .with_target("lambda_runtime", LevelFilter::OFF)
        .with_default(LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer)
        .with_filter(targets);
    tracing_subscriber::registry().with(lines)
}

/// The error and its causes as text for a log line. It uses `Display` only: `Debug` of an SDK error prints raw response
/// bodies.
///
/// Use it for errors of our own account's services and of our own types. What a tenant's account answered is logged as the
/// code of a [`crate::tenant::Failure`], because SES repeats addresses in its texts.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// Logs a panic with its place and without its message, which may quote a part of a mail or a secret.
fn log_panics_by_place() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "the function panicked");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("put item order#1")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("timed out")]
    struct Inner;

    #[test]
    fn an_error_chain_names_every_cause_once() {
        assert_eq!(chain(&Outer(Inner)), "put item order#1: timed out");
    }
}
