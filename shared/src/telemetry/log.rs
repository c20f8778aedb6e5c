//! JSON log lines on standard output, one object a line.

use std::error::Error;
use std::fmt::Write as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Our own targets, which follow `LOG_LEVEL`.
const OURS: [&str; 6] = ["policy", "revoke", "revoke_worker", "send", "shared", "verify"];

/// Starts logging. Targets other than ours are clamped in code, whatever the level: at TRACE the Lambda runtime logs
/// raw events, hyper raw bytes and the SDK's signer canonical requests.
///
/// `level` is one of `error`, `warn`, `info`, `debug`, `trace`; anything else counts as `info`. A second call changes
/// nothing.
pub fn init(level: Option<&str>) {
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
        .with_writer(std::io::stdout)
        .with_filter(targets);
    let started = tracing_subscriber::registry().with(lines).try_init();
    // Only a second call can fail, and then the first one's subscriber serves.
    drop(started);
    report_panics_by_place();
}

/// The error and its causes by `Display` only, for a log line: `Debug` of an SDK error prints raw response bodies.
///
/// Only for errors of our own account's services and of our own types. What a tenant's account answered is logged as
/// the code of a [`crate::tenant::Failure`], because SES repeats addresses in its texts.
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

/// Makes a panic a log line that tells its place and not its message, which may quote a piece of a mail or worse.
fn report_panics_by_place() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
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
    fn a_chain_names_every_cause_once() {
        assert_eq!(chain(&Outer(Inner)), "put item order#1: timed out");
    }
}
