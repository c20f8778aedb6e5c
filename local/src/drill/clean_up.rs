//! What a drill leaves is removed: by itself, or by a later one if it was killed.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::aws_client::AwsClient;
use super::deployed_stack::DeployedStack;
use super::throw_away_user::{self, ThrowAwayUser};
use super::wait_for;
use crate::cli::DrillArguments;
use crate::console::Progress;

/// How long an off-boarded key may take to die before it is deleted by the operator.
const OFF_BOARDING_TIMEOUT: Duration = Duration::from_secs(120);

/// The API answers an onboarding within this time, whether somebody waits for it or not.
const ONBOARDING_TIMEOUT: Duration = Duration::from_secs(35);

/// Whether the stack knows the key.
#[derive(Clone, Debug)]
pub(super) enum HandOver {
    NotSent,
    /// It was sent, and the answer is not known.
    Sent,
    /// The provider's id.
    Stored(String),
    /// It was refused: nothing is stored.
    Refused,
}

/// Cleans up what earlier drills left that were killed.
///
/// # Errors
/// What could not be cleaned up.
pub(super) async fn clean_leftovers(
    progress: &Progress,
    operator: &AwsClient,
    stack: &DeployedStack,
    arguments: &DrillArguments,
) -> Result<()> {
    let age = Duration::from_secs(arguments.leftover_age * 60);
    let before = throw_away_user::leftover_before(operator.ambient().now(), age);
    for name in throw_away_user::leftovers(operator, &stack.name, before).await? {
        progress.step("leftover", &format!("{name}, of a drill that was killed: cleaning up"));
        let user = ThrowAwayUser::named(operator, name);
        let cleaned = clean_up(progress, stack, &user, &HandOver::NotSent).await;
        cleaned.with_context(|| format!("clean up {}, which an earlier drill left", user.name))?;
    }
    Ok(())
}

/// Revokes the user's provider, if there is one, then removes the user with all that it has. The provider first: its key deletes
/// itself, and the stack sees that.
///
/// # Errors
/// What is still there.
pub(super) async fn clean_up(
    progress: &Progress,
    stack: &DeployedStack,
    user: &ThrowAwayUser<'_>,
    hand_over: &HandOver,
) -> Result<()> {
    let revoked = revoke_provider(progress, stack, user, hand_over).await;
    // The key has to die whatever the stack says.
    let removed = user.remove().await;
    if removed.is_ok() {
        progress.step("removed", &format!("{} with its keys and policies", user.name));
    }
    removed.and(revoked)
}

async fn revoke_provider(
    progress: &Progress,
    stack: &DeployedStack,
    user: &ThrowAwayUser<'_>,
    hand_over: &HandOver,
) -> Result<()> {
    let provider_id = match hand_over {
        HandOver::Stored(provider_id) => Some(provider_id.clone()),
        HandOver::Refused => None,
        HandOver::NotSent => stack.provider_of(&user.name).await?,
        HandOver::Sent => {
            let stored = wait_for("the provider", ONBOARDING_TIMEOUT, || stack.provider_of(&user.name)).await;
            match stored {
                Ok(provider_id) => Some(provider_id),
                // Nothing was stored, unless the API does not say.
                Err(_) => stack.provider_of(&user.name).await?,
            }
        }
    };
    let Some(provider_id) = provider_id else { return Ok(()) };
    let path = format!("/providers/{provider_id}");
    let is_dead = async || {
        let provider = stack.show(&path).await?;
        Ok::<_, anyhow::Error>((provider["status"] == "revoked").then_some(()))
    };
    if is_dead().await?.is_some() {
        return Ok(());
    }
    stack.call("DELETE", &path, None).await?.successful(&format!("DELETE {path}"))?;
    wait_for(&format!("{provider_id} to be revoked"), OFF_BOARDING_TIMEOUT, is_dead).await?;
    progress.step("revoked", &provider_id);
    Ok(())
}
