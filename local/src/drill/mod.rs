//! The demo's whole way against a deployed stack: a throw-away IAM user's key is onboarded, sends mail, is reported and dies. On
//! the way AWS is asked what nobody has confirmed about it.

mod aws_answer;
mod aws_client;
mod aws_service;
mod clean_up;
mod deployed_stack;
mod fact;
mod report;
mod run;
mod throw_away_user;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::time::{self, sleep};

use self::aws_client::AwsClient;
use self::aws_service::AwsService;
use self::clean_up::{HandOver, clean_leftovers, clean_up};
use self::deployed_stack::DeployedStack;
use self::report::DrillReport;
use self::run::DrillRun;
use self::throw_away_user::ThrowAwayUser;
use crate::cli::DrillArguments;
use crate::console::{Progress, print};

/// Runs a drill and cleans up after it.
///
/// # Errors
/// The first step that did not end as expected, or what could not be cleaned up.
pub(crate) async fn run(arguments: &DrillArguments, started: Instant) -> Result<()> {
    let progress = Progress::new(started);
    let operator = AwsClient::from_environment(arguments.region.as_deref())?;
    let place = match operator.stand_in() {
        Some(endpoint) => {
            progress.step("against", &format!("{endpoint}, NOT AWS: what it says about a fact is our own assumption"));
            format!("{endpoint}, not AWS")
        }
        None => {
            progress.step("against", &format!("AWS, {}", operator.region()));
            "AWS".to_owned()
        }
    };
    let identity = operator
        .repeatable(AwsService::Sts, "GetCallerIdentity", &[])
        .await
        .context("AWS does not accept the credentials of the environment (expired?)")?;
    let account_id = identity.element("Account").context("GetCallerIdentity: no Account")?;
    progress.step("operator", &identity.element("Arn").unwrap_or_default());
    let stack = DeployedStack::find(&operator, &arguments.stack).await?;
    progress.step("stack", &format!("{}: API {}", stack.name, stack.api_url()));
    clean_leftovers(&progress, &operator, &stack, arguments).await?;
    stack.check_open().await?;

    let name = format!("{}{}", throw_away_user::PREFIX, operator.ambient().ulid());
    let drill = DrillRun {
        progress: &progress,
        operator: &operator,
        stack: &stack,
        account_id,
        from: &arguments.from,
        user: ThrowAwayUser::named(&operator, name),
        hand_over: Mutex::new(HandOver::NotSent),
        observations: Mutex::default(),
    };
    let result = tokio::select! {
        result = drill.run() => result,
        interrupted = interruption() => interrupted.and_then(|()| {
            print("\nInterrupted: cleaning up. Once more leaves it to a later drill.\n");
            bail!("interrupted")
        }),
    };
    if let Err(error) = &result {
        progress.step("failed", &format!("{error:#}"));
    }
    progress.step("clean up", &drill.user.name);
    let hand_over = drill.hand_over.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let cleaned = tokio::select! {
        cleaned = clean_up(&progress, &stack, &drill.user, &hand_over) => cleaned,
        interrupted = interruption() => interrupted.and_then(|()| bail!("interrupted")),
    };
    let cleaned = cleaned.with_context(|| {
        format!(
            "the user {} is not cleaned up: a drill of an hour from now on does it, or delete the user in IAM and its provider by \
             DELETE /providers/{{provider_id}}",
            drill.user.name
        )
    });
    let observations = drill.observations.into_inner().unwrap_or_else(PoisonError::into_inner);
    let times = match (result, cleaned) {
        (Ok(times), Ok(())) => times,
        (Ok(_), Err(error)) | (Err(error), Ok(())) => return Err(error.context("the drill failed")),
        (Err(error), Err(uncleaned)) => bail!("the drill failed: {error:#}; and {uncleaned:#}"),
    };
    let is_aws = operator.stand_in().is_none();
    let report =
        DrillReport { against: place, region: operator.region(), stack: stack.name.clone(), observations, times };
    if let Some(path) = &arguments.json {
        std::fs::write(path, report.to_json()).with_context(|| format!("write --json {}", path.display()))?;
    }
    progress.finish(&report.summary(), &report.next(is_aws));
    Ok(())
}

/// The end of the process as a person or its supervisor asks for it.
async fn interruption() -> Result<()> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("wait for Ctrl-C")?,
        _ = terminated.recv() => {}
    }
    Ok(())
}

/// Polls until there is something. A poll may fail some times in a row: what asks for minutes has to live with that.
async fn wait_for<T, Poll, Polled>(what: &str, timeout: Duration, poll: Poll) -> Result<T>
where
    Poll: Fn() -> Polled,
    Polled: Future<Output = Result<Option<T>>>,
{
    const FAILURES: u32 = 4;
    let deadline = time::Instant::now() + timeout;
    let mut failures = 0;
    loop {
        match poll().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => failures = 0,
            Err(error) if failures == FAILURES => return Err(error.context(format!("wait for {what}"))),
            Err(_) => failures += 1,
        }
        ensure!(time::Instant::now() < deadline, "waited {} s for {what}", timeout.as_secs());
        sleep(Duration::from_millis(500)).await;
    }
}
