//! Identities and configuration sets that a provider's key may not use.
//!
//! SES names the sender's identity in every denial, also if the whole policy is gone, so one denial does not tell whether
//! this mail is at fault or the key. The mail waits. Only if the denial has lasted for [`DENIED_FOR`] and something else of
//! the provider was accepted meanwhile is it the mail's own; if nothing was accepted, it is the key's.
//!
//! While a resource is denied, a process asks SES about it once a minute and requeues its other mail before the claim.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use shared::id::AccessKeyId;
use shared::record::{Mails, RecordError};

use crate::suspicion::MAX_GAP;

/// How long a denial has to last before it counts against the mail or the key. A policy that is being replaced is gone for
/// seconds to minutes.
const DENIED_FOR: SignedDuration = SignedDuration::from_mins(15);

/// How often a process asks SES about a denied resource.
const TRY_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// How long an item lives after its last write.
const ITEM_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// Denied resources a process remembers; all are forgotten if there are more.
const MAX_REMEMBERED: usize = 1024;

/// The last denial was within [`MAX_GAP`].
const IF_RECENT: &str = "last_denied_at >= :gap_ago";

/// What follows from a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DenialDecision {
    /// The mail waits.
    Wait,
    /// The mail will never be sent: other mail of the provider is accepted.
    Reject,
    /// The provider is suspended: nothing of it is accepted.
    Suspend,
}

/// Decides about a mail whose resource has been denied since `first_denied_at`. A mail that was handed over later gets the
/// same time: what it needs may be mended by then.
pub(crate) fn decide_denial(
    first_denied_at: Timestamp,
    accepted_at: Option<Timestamp>,
    first_seen: Timestamp,
    now: Timestamp,
) -> DenialDecision {
    if now.duration_since(first_denied_at) < DENIED_FOR {
        return DenialDecision::Wait;
    }
    match accepted_at {
        Some(accepted_at) if accepted_at >= first_denied_at => {
            if now.duration_since(first_seen) < DENIED_FOR {
                DenialDecision::Wait
            } else {
                DenialDecision::Reject
            }
        }
        _ => DenialDecision::Suspend,
    }
}

/// Denied resources, each an item of the Mails table.
#[derive(Debug)]
pub(crate) struct DeniedResources {
    mails: Mails,
    /// The denials that this process has seen.
    seen: Mutex<HashMap<(AccessKeyId, String), SeenDenial>>,
}

/// A denial that this process has seen.
#[derive(Clone, Copy, Debug)]
struct SeenDenial {
    at: Timestamp,
    /// When one mail may ask SES again.
    next_try: Timestamp,
}

impl DeniedResources {
    /// The denied resources in this table.
    pub(crate) fn new(mails: Mails) -> Self {
        Self { mails, seen: Mutex::default() }
    }

    /// How long mail that uses these resources has to wait, because one of them was denied a moment ago. Once a minute one
    /// mail may try.
    pub(crate) fn hold(&self, access_key_id: &AccessKeyId, names: &[String], now: Timestamp) -> Option<SignedDuration> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_empty() {
            return None;
        }
        let resources: Vec<_> = names.iter().map(|name| (access_key_id.clone(), name.clone())).collect();
        let latest = resources.iter().filter_map(|resource| seen.get(resource)).map(|denial| denial.next_try).max()?;
        if latest > now {
            return Some(latest.duration_since(now));
        }
        for resource in &resources {
            if let Some(denial) = seen.get_mut(resource) {
                denial.next_try = now + TRY_INTERVAL;
            }
        }
        None
    }

    /// How long mail that was let through at `since` has to wait after all, because one of its resources was denied since.
    pub(crate) fn denied_since(
        &self,
        access_key_id: &AccessKeyId,
        names: &[String],
        since: Timestamp,
        now: Timestamp,
    ) -> Option<SignedDuration> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let denials = names.iter().filter_map(|name| seen.get(&(access_key_id.clone(), name.clone())));
        let next_try = denials.filter(|denial| denial.at >= since).map(|denial| denial.next_try).max()?;
        Some(next_try.duration_since(now))
    }

    /// Records a denial. Returns since when the resource has been denied.
    pub(crate) async fn record(
        &self,
        access_key_id: &AccessKeyId,
        name: &str,
        now: Timestamp,
    ) -> Result<Timestamp, RecordError> {
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() >= MAX_REMEMBERED {
                seen.clear();
            }
            let denial = SeenDenial { at: now, next_try: now + TRY_INTERVAL };
            seen.insert((access_key_id.clone(), name.to_owned()), denial);
        }
        let pk = pk(access_key_id, name);
        let update = |expression: &str| {
            self.mails
                .update(&pk)
                .update_expression(expression)
                .return_values(ReturnValue::AllNew)
                .expression_attribute_values(":now", number(now.as_millisecond()))
                .expression_attribute_values(":expiry", number((now + ITEM_LIFE).as_second()))
        };
        let again = update("SET last_denied_at = :now, expires_at = :expiry")
            .expression_attribute_values(":gap_ago", number((now - MAX_GAP).as_millisecond()))
            .condition_expression(IF_RECENT);
        let item = match again.send().await {
            Ok(answer) => answer.attributes.unwrap_or_default(),
            Err(error)
                if matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) =>
            {
                let first = update("SET first_denied_at = :now, last_denied_at = :now, expires_at = :expiry");
                first.send().await.map_err(RecordError::dynamodb("UpdateItem", &pk))?.attributes.unwrap_or_default()
            }
            Err(error) => return Err(RecordError::dynamodb("UpdateItem", &pk)(error)),
        };
        let first = item.get("first_denied_at").and_then(|first| first.as_n().ok());
        Ok(first.and_then(|ms| Timestamp::from_millisecond(ms.parse().ok()?).ok()).unwrap_or(now))
    }

    /// Forgets the denials of these resources, because SES accepted a mail that uses them.
    pub(crate) async fn clear(&self, access_key_id: &AccessKeyId, names: &[String]) -> Result<(), RecordError> {
        for name in names {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&(access_key_id.clone(), name.clone()));
            let pk = pk(access_key_id, name);
            let forget = self
                .mails
                .update(&pk)
                .update_expression("REMOVE first_denied_at, last_denied_at")
                .condition_expression("attribute_exists(first_denied_at)");
            match forget.send().await {
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.as_service_error(),
                        Some(UpdateItemError::ConditionalCheckFailedException(_))
                    ) => {}
                Err(error) => return Err(RecordError::dynamodb("UpdateItem", &pk)(error)),
            }
        }
        Ok(())
    }
}

/// A hash of the name, because it may be an address.
fn pk(access_key_id: &AccessKeyId, name: &str) -> String {
    let hex: String = Sha256::digest(name.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("denied#{access_key_id}#{hex}")
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::time;

    #[test]
    fn a_denial_counts_after_a_quarter_of_an_hour_and_acceptances_say_against_whom() {
        let first = time("2026-11-23T10:00:00Z");
        let cases = [
            ("2026-11-23T10:14:59Z", None, "2026-11-23T09:00:00Z", DenialDecision::Wait),
            ("2026-11-23T10:14:59Z", Some("2026-11-23T10:05:00Z"), "2026-11-23T09:00:00Z", DenialDecision::Wait),
            ("2026-11-23T10:15:00Z", None, "2026-11-23T09:00:00Z", DenialDecision::Suspend),
            ("2026-11-23T10:15:00Z", Some("2026-11-23T09:59:59Z"), "2026-11-23T09:00:00Z", DenialDecision::Suspend),
            ("2026-11-23T10:15:00Z", Some("2026-11-23T10:05:00Z"), "2026-11-23T09:00:00Z", DenialDecision::Reject),
            ("2026-11-23T10:15:00Z", Some("2026-11-23T10:05:00Z"), "2026-11-23T10:10:00Z", DenialDecision::Wait),
            ("2026-11-23T10:25:00Z", Some("2026-11-23T10:05:00Z"), "2026-11-23T10:10:00Z", DenialDecision::Reject),
        ];
        for (now, accepted_at, first_seen, expected) in cases {
            let decision = decide_denial(first, accepted_at.map(time), time(first_seen), time(now));
            assert_eq!(decision, expected, "{now} {accepted_at:?} {first_seen}");
        }
    }
}
