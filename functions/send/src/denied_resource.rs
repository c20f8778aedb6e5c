//! Identities and configuration sets that a provider's key may not use.
//!
//! SES names the sender's identity in every denial, also if the whole policy is gone, so one denial does not tell whether
//! this mail is at fault or the key. The mail waits. Only if the denial has lasted for [`DENIED_FOR`] and something else of
//! the provider was accepted meanwhile is it the mail's own; if nothing was accepted, it is the key's.
//!
//! A denial is remembered by the mail's sender or configuration set and not by the identity that SES names, which may be the
//! sender's domain: that mail of one address is accepted says nothing about another address of the domain.
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

use crate::suspicion::{KeyHistory, MAX_GAP};
use crate::write_limiter::WriteLimiter;

/// How long a denial has to last before it counts against the mail or the key. A policy that is being replaced is gone for
/// seconds to minutes.
const DENIED_FOR: SignedDuration = SignedDuration::from_mins(15);

/// A change of a policy reaches some of AWS later than the rest (IAM user guide, "Changes that I make are not always
/// immediately visible", which names no bound), so an acceptance so soon after the first denial may be of the old policy. It
/// does not tell whether the denial is the mail's own.
const SPREADS_FOR: SignedDuration = SignedDuration::from_mins(2);

/// That a resource is not denied any more is written at most this often by a process.
const CLEAR_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// How often a process asks SES about a denied resource.
const TRY_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// How long an item lives after its last write.
const ITEM_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// Denied resources a process remembers; all are forgotten if there are more.
const MAX_REMEMBERED: usize = 1024;

/// The last denial was within [`MAX_GAP`].
const IF_RECENT: &str = "last_denied_at >= :gap_ago";

/// There is something to forget.
const IF_DENIED: &str = "attribute_exists(first_denied_at)";

/// What follows from a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DenialDecision {
    /// The mail waits.
    Wait,
    /// The mail will never be sent: the denial is its own.
    Reject,
    /// The provider is suspended: nothing of it is accepted.
    Suspend,
}

/// Decides about a mail whose resource has been denied since `first_denied_at`. A mail that was handed over later gets the
/// same time: what it needs may be mended by then. So does a provider that was resumed later.
///
/// The denial of a mail that is no text never suspends. What ends a suspension is that text may be sent: the provider would be
/// resumed and suspended again as long as such mail waits.
pub(crate) fn decide_denial(
    first_denied_at: Timestamp,
    history: KeyHistory,
    first_seen: Timestamp,
    is_text: bool,
    now: Timestamp,
) -> DenialDecision {
    let lasts_for = |since: Timestamp| now.duration_since(since) >= DENIED_FOR;
    let since = history.resumed_at.map_or(first_denied_at, |resumed_at| resumed_at.max(first_denied_at));
    if !lasts_for(since) {
        return DenialDecision::Wait;
    }
    let is_accepted = |accepted_at: Timestamp| accepted_at >= since + SPREADS_FOR;
    match history.accepted_at {
        Some(accepted_at) if !is_accepted(accepted_at) && !lasts_for(accepted_at) => DenialDecision::Wait,
        accepted_at if !is_text || accepted_at.is_some_and(is_accepted) => {
            if lasts_for(first_seen) {
                DenialDecision::Reject
            } else {
                DenialDecision::Wait
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
    cleared: WriteLimiter<(AccessKeyId, String)>,
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
        Self { mails, seen: Mutex::default(), cleared: WriteLimiter::new(CLEAR_INTERVAL) }
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

    /// Notes a denial in this process alone. Other mail that uses the resource waits so long.
    pub(crate) fn note(&self, access_key_id: &AccessKeyId, name: &str, wait: SignedDuration, now: Timestamp) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_REMEMBERED {
            seen.clear();
        }
        seen.insert((access_key_id.clone(), name.to_owned()), SeenDenial { at: now, next_try: now + wait });
    }

    /// Records a denial. Returns since when the resource has been denied.
    pub(crate) async fn record(
        &self,
        access_key_id: &AccessKeyId,
        name: &str,
        now: Timestamp,
    ) -> Result<Timestamp, RecordError> {
        self.note(access_key_id, name, TRY_INTERVAL, now);
        self.cleared.forget(&(access_key_id.clone(), name.to_owned()));
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
    pub(crate) async fn clear(
        &self,
        access_key_id: &AccessKeyId,
        names: &[String],
        now: Timestamp,
    ) -> Result<(), RecordError> {
        for name in names {
            let resource = (access_key_id.clone(), name.clone());
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&resource);
            if self.cleared.begin(resource.clone(), now)
                && let Err(error) = self.forget(&pk(access_key_id, name)).await
            {
                self.cleared.forget(&resource);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn forget(&self, pk: &str) -> Result<(), RecordError> {
        let forget = self
            .mails
            .update(pk)
            .update_expression("REMOVE first_denied_at, last_denied_at")
            .condition_expression(IF_DENIED);
        match forget.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) =>
            {
                Ok(())
            }
            Err(error) => Err(RecordError::dynamodb("UpdateItem", pk)(error)),
        }
    }
}

/// A hash of the name, because it may be an address.
fn pk(access_key_id: &AccessKeyId, name: &str) -> String {
    let hex = base16ct::lower::encode_string(&Sha256::digest(name.as_bytes())[..16]);
    format!("denied#{access_key_id}#{hex}")
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{FakeMails, time};

    const ADDRESS: &str = "identity/jane@example.com";

    fn key() -> AccessKeyId {
        AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap()
    }

    fn after(seconds: i64) -> Timestamp {
        time("2026-11-23T10:00:00Z") + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_denial_counts_after_a_quarter_of_an_hour_and_acceptances_say_against_whom() {
        use DenialDecision::{Reject, Suspend, Wait};
        // In minutes after the first denial: now, the last acceptance, the resumption, and when the mail was handed over.
        let cases = [
            (14.9, None, None, -60.0, Wait),
            (14.9, Some(5.0), None, -60.0, Wait),
            (15.0, None, None, -60.0, Suspend),
            (15.0, None, None, 10.0, Suspend),
            (15.0, Some(-0.1), None, -60.0, Suspend),
            (15.0, Some(5.0), None, -60.0, Reject),
            (15.0, Some(5.0), None, 10.0, Wait),
            (25.0, Some(5.0), None, 10.0, Reject),
            // Accepted while the policy that is gone still held in a part of AWS: not the mail's own fault, and no proof
            // that nothing is accepted either.
            (15.0, Some(0.01), None, -60.0, Wait),
            (15.0, Some(1.99), None, -60.0, Wait),
            (15.02, Some(0.01), None, -60.0, Suspend),
            (16.9, Some(1.99), None, -60.0, Wait),
            (17.0, Some(1.99), None, -60.0, Suspend),
            (15.0, Some(2.0), None, -60.0, Reject),
            // A denial that comes late after the suspension was lifted.
            (20.1, None, Some(20.0), -60.0, Wait),
            (20.1, Some(20.05), Some(20.0), -60.0, Wait),
            (34.9, Some(30.0), Some(20.0), -60.0, Wait),
            (35.0, Some(30.0), Some(20.0), -60.0, Reject),
            (35.0, None, Some(20.0), -60.0, Suspend),
            (35.0, Some(10.0), Some(20.0), -60.0, Suspend),
            (15.0, None, Some(-60.0), -60.0, Suspend),
        ];
        let at = |minutes: f64| after(0) + SignedDuration::from_secs_f64(minutes * 60.0);
        for (now, accepted, resumed, first_seen, expected) in cases {
            let history = KeyHistory { accepted_at: accepted.map(at), resumed_at: resumed.map(at) };
            let decide = |is_text| decide_denial(at(0.0), history, at(first_seen), is_text, at(now));
            assert_eq!(decide(true), expected, "{now} {accepted:?} {resumed:?} {first_seen}");
            // What is no text ends itself and not the provider, and has its quarter of an hour too.
            let of_other = match expected {
                Suspend if first_seen > now - 15.0 => Wait,
                Suspend => Reject,
                expected => expected,
            };
            assert_eq!(decide(false), of_other, "no text: {now} {accepted:?} {resumed:?} {first_seen}");
        }
    }

    proptest! {
        #[test]
        fn no_mail_is_rejected_and_no_provider_suspended_without_what_the_rule_asks_for(
            accepted in prop::option::of(-4000_i64..4000),
            resumed in prop::option::of(-4000_i64..4000),
            first_seen in -4000_i64..4000,
            is_text: bool,
            now in 0_i64..4000,
        ) {
            let quarter = DENIED_FOR.as_secs();
            let history = KeyHistory { accepted_at: accepted.map(after), resumed_at: resumed.map(after) };
            let decide = |now| decide_denial(after(0), history, after(first_seen), is_text, after(now));
            let since = resumed.unwrap_or(0).max(0);
            match decide(now) {
                DenialDecision::Reject => {
                    prop_assert!(now - since >= quarter && now - first_seen >= quarter);
                    prop_assert!(!is_text || accepted.is_some_and(|accepted| accepted >= since + SPREADS_FOR.as_secs()));
                }
                DenialDecision::Suspend => {
                    prop_assert!(is_text && now - since >= quarter);
                    prop_assert!(accepted.is_none_or(|accepted| now - accepted >= quarter));
                }
                DenialDecision::Wait => {
                    // It does not wait for ever: if nothing more happens, it ends.
                    let latest = since.max(first_seen).max(accepted.unwrap_or(0)) + quarter;
                    prop_assert!(decide(latest) != DenialDecision::Wait);
                    prop_assert!(now < latest);
                }
            }
        }
    }

    #[tokio::test]
    async fn an_acceptance_clears_what_it_uses_and_nothing_else() {
        let resources = DeniedResources::new(FakeMails::default().mails());
        let other = "identity/ann@example.com";
        for name in [ADDRESS, other] {
            assert_eq!(resources.record(&key(), name, after(0)).await.unwrap(), after(0));
        }
        // Two acceptances at the same moment: the second one counts too.
        resources.clear(&key(), &["identity/third@example.com".to_owned()], after(100)).await.unwrap();
        resources.clear(&key(), &[ADDRESS.to_owned()], after(100)).await.unwrap();
        assert_eq!(resources.record(&key(), ADDRESS, after(200)).await.unwrap(), after(200));
        assert_eq!(resources.record(&key(), other, after(200)).await.unwrap(), after(0));
    }

    #[tokio::test]
    async fn a_denial_after_an_acceptance_is_cleared_by_the_next_acceptance_at_once() {
        let table = FakeMails::default();
        let resources = DeniedResources::new(table.mails());
        let names = [ADDRESS.to_owned()];
        for second in 0..60 {
            resources.clear(&key(), &names, after(second)).await.unwrap();
        }
        assert_eq!(table.updates(), 1, "not a write for every mail");
        resources.record(&key(), ADDRESS, after(60)).await.unwrap();
        resources.clear(&key(), &names, after(61)).await.unwrap();
        assert_eq!(resources.record(&key(), ADDRESS, after(62)).await.unwrap(), after(62));
    }

    #[tokio::test]
    async fn a_clearance_that_could_not_be_written_is_written_by_the_next_mail() {
        let table = FakeMails::default();
        let resources = DeniedResources::new(table.mails());
        let names = [ADDRESS.to_owned()];
        resources.record(&key(), ADDRESS, after(0)).await.unwrap();
        table.set_failing(true);
        assert!(resources.clear(&key(), &names, after(1)).await.is_err());
        table.set_failing(false);
        resources.clear(&key(), &names, after(2)).await.unwrap();
        assert_eq!(resources.record(&key(), ADDRESS, after(3)).await.unwrap(), after(3));
    }

    #[test]
    fn while_a_resource_is_denied_one_mail_tries_and_the_others_wait() {
        let resources = DeniedResources::new(FakeMails::default().mails());
        let names = [ADDRESS.to_owned(), "configuration-set/x".to_owned()];
        let hold = |second| resources.hold(&key(), &names, after(second)).map(|wait| wait.as_secs());
        assert_eq!(hold(0), None);
        resources.note(&key(), ADDRESS, SignedDuration::from_secs(15), after(0));
        assert_eq!(hold(1), Some(14));
        assert_eq!(hold(15), None, "one mail tries");
        assert_eq!(hold(15), Some(60), "and no other");
        assert_eq!(resources.hold(&key(), &["identity/ann@example.com".to_owned()], after(15)), None);
        let since = |second| resources.denied_since(&key(), &names, after(second), after(2)).is_some();
        assert!(since(0) && !since(1), "mail that was let through before the denial waits");
    }
}
