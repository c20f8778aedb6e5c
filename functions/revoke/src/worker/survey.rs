//! The survey: what may outlive a key, read with the key itself right before it deletes itself.
//!
//! It costs time in which a thief can use the key, so it is bounded and asks everything at once; and nothing that it finds,
//! or fails to find, stops the deletion.

use std::time::Duration;

use jiff::Timestamp;
use shared::record::{
    ForeignPolicy, IdentityPolicies, KeyItem, MAX_FOREIGN_POLICIES, OtherKey, OtherKeys, Owner, ProgressOutcome,
    ReadOutcome, RecordError, Removal, ResidualAccess,
};
use shared::tenant::{Clients, Credential, Failure, FailureKind};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Worker;
use super::foreign_principals::{UNREADABLE, foreign_principals};
use super::key_step::{is_survey_due, may_remove_policies, with_survey};

/// The time for reading. It usually takes 0.2 s; SES lets the policies of one identity be read in a second.
pub(super) const SURVEY_TIMEOUT: Duration = Duration::from_secs(2);

/// The time for removing policies, which an order or the tenant's consent has to ask for. SES lets one be removed in a second.
pub(super) const REMOVAL_TIMEOUT: Duration = Duration::from_secs(5);

/// SES takes these calls once a second.
const THROTTLED_PAUSE: Duration = Duration::from_secs(1);

/// A foreign policy with the whole name of its identity, which may be an address. So it has no `Debug`.
struct FoundPolicy {
    identity: String,
    record: ForeignPolicy,
}

/// What a survey found.
struct Survey {
    other_keys: OtherKeys,
    policies_outcome: ReadOutcome,
    identities_read: usize,
    policies: Vec<FoundPolicy>,
}

impl Worker {
    /// Surveys what may outlive the key, if it is time. Returns the key with what was found; `None` if another worker wrote
    /// progress in between.
    pub(super) async fn survey(
        &self,
        key: &KeyItem,
        owner: &Owner,
        credential: &Credential,
    ) -> Result<Option<KeyItem>, RecordError> {
        if !is_survey_due(key, self.ambient.now()) {
            return Ok(Some(key.clone()));
        }
        self.take_survey(key, owner, credential, may_remove_policies(key), SURVEY_TIMEOUT).await
    }

    /// Surveys what may outlive the key within `time`, and removes foreign identity policies if they are to be `removed`.
    pub(super) async fn take_survey(
        &self,
        key: &KeyItem,
        owner: &Owner,
        credential: &Credential,
        removed: bool,
        time: Duration,
    ) -> Result<Option<KeyItem>, RecordError> {
        let now = self.ambient.now();
        let mut survey = Survey::read(&self.tenants, credential, &owner.account_id, time).await;
        if !removed {
            return Ok(Some(with_survey(key, survey.residual_access(now))));
        }
        for policy in survey.policies.iter_mut() {
            policy.record.removal = Removal::NotDone;
        }
        let mut surveyed = with_survey(key, survey.residual_access(now));
        if !survey.policies.is_empty() {
            // Recorded before anything is removed: if this worker dies, the next one knows what was there.
            surveyed.attempts = surveyed.attempts.saturating_add(1);
            if self.write(key, &surveyed).await? == ProgressOutcome::Superseded {
                return Ok(None);
            }
            survey.remove_policies(&self.tenants, credential).await;
            surveyed = with_survey(&surveyed, survey.residual_access(now));
        }
        Ok(Some(surveyed))
    }
}

impl Survey {
    async fn read(tenants: &Clients, credential: &Credential, own_account: &str, time: Duration) -> Self {
        let mut survey = Self {
            other_keys: OtherKeys { outcome: ReadOutcome::Unknown, keys: Vec::new() },
            policies_outcome: ReadOutcome::Unknown,
            identities_read: 0,
            policies: Vec::new(),
        };
        let deadline = Instant::now() + time;
        let other_keys = timeout_at(deadline, read_other_keys(tenants, credential));
        // What was read before the time is over stays.
        let policies = timeout_at(deadline, read_policies(tenants, credential, own_account, &mut survey));
        let (other_keys, policies) = tokio::join!(other_keys, policies);
        if let Ok(policies_outcome) = policies {
            survey.policies_outcome = policies_outcome;
        } else if survey.identities_read > 0 {
            survey.policies_outcome = ReadOutcome::Partial;
        }
        if let Ok(other_keys) = other_keys {
            survey.other_keys = other_keys;
        }
        if survey.policies.len() > MAX_FOREIGN_POLICIES {
            survey.policies.truncate(MAX_FOREIGN_POLICIES);
            survey.policies_outcome = ReadOutcome::Partial;
        }
        survey
    }

    fn residual_access(&self, checked_at: Timestamp) -> ResidualAccess {
        ResidualAccess {
            checked_at,
            other_keys: self.other_keys.clone(),
            identity_policies: IdentityPolicies {
                outcome: self.policies_outcome,
                identities_read: self.identities_read,
                foreign: self.policies.iter().map(|policy| policy.record.clone()).collect(),
            },
        }
    }

    /// Removes what was found, as far as the time goes. A policy that cannot be read is left alone.
    async fn remove_policies(&mut self, tenants: &Clients, credential: &Credential) {
        let removals = async {
            for policy in self.policies.iter_mut().filter(|policy| !policy.record.account_ids.contains(UNREADABLE)) {
                let removed = repeat_while_throttled(|| {
                    tenants.delete_identity_policy(credential, &policy.identity, &policy.record.policy_name)
                })
                .await;
                (policy.record.removal, policy.record.removal_error) = match removed {
                    Ok(()) => (Removal::Removed, None),
                    Err(Failure { kind: FailureKind::NotFound, .. }) => (Removal::Removed, None),
                    // It may have been removed: the next survey shows it.
                    Err(failure) if failure.is_unknown() => (Removal::NotDone, failure.code),
                    Err(failure) => (Removal::Failed, failure.code),
                };
            }
        };
        // The rest stays `not_done`.
        let _ = timeout(REMOVAL_TIMEOUT, removals).await;
    }
}

async fn read_other_keys(tenants: &Clients, credential: &Credential) -> OtherKeys {
    match tenants.list_own_access_keys(credential).await {
        Ok(keys) => OtherKeys {
            outcome: ReadOutcome::Complete,
            keys: keys
                .into_iter()
                .filter(|key| key.access_key_id != credential.access_key_id.as_str())
                .map(|key| OtherKey { access_key_id: key.access_key_id, active: key.is_active })
                .collect(),
        },
        Err(failure) => OtherKeys { outcome: failed(&failure), keys: Vec::new() },
    }
}

/// Reads one identity after the other, those first that mail can be sent from.
async fn read_policies(
    tenants: &Clients,
    credential: &Credential,
    own_account: &str,
    survey: &mut Survey,
) -> ReadOutcome {
    let identities = match tenants.list_identity_names(credential).await {
        Ok(identities) => identities,
        Err(failure) => return failed(&failure),
    };
    let mut outcome = if identities.complete { ReadOutcome::Complete } else { ReadOutcome::Partial };
    for identity in identities.names {
        match repeat_while_throttled(|| tenants.get_identity_policies(credential, &identity)).await {
            Ok(policies) => {
                survey.identities_read += 1;
                for (policy_name, document) in policies {
                    let account_ids = foreign_principals(&document, own_account);
                    if !account_ids.is_empty() {
                        let record = ForeignPolicy {
                            identity: without_local_part(&identity),
                            policy_name,
                            account_ids,
                            removal: Removal::NotOrdered,
                            removal_error: None,
                        };
                        survey.policies.push(FoundPolicy { identity: identity.clone(), record });
                    }
                }
            }
            // It is gone: it has no policies.
            Err(Failure { kind: FailureKind::NotFound, .. }) => {}
            // The others would be denied too, and each denial is one more that detectors count.
            Err(failure) if survey.identities_read == 0 => return failed(&failure),
            Err(_) => outcome = ReadOutcome::Partial,
        }
    }
    outcome
}

/// Makes a call until it is not throttled. Whoever calls bounds the time.
async fn repeat_while_throttled<T, Called>(call: impl Fn() -> Called) -> Result<T, Failure>
where
    Called: Future<Output = Result<T, Failure>>,
{
    loop {
        match call().await {
            Err(Failure { kind: FailureKind::Throttled, .. }) => sleep(THROTTLED_PAUSE).await,
            answer => return answer,
        }
    }
}

fn failed(failure: &Failure) -> ReadOutcome {
    match failure.kind {
        FailureKind::Denied(_) => ReadOutcome::Denied,
        _ => ReadOutcome::Unknown,
    }
}

/// An identity as it is recorded: no address is stored.
fn without_local_part(identity: &str) -> String {
    identity.rsplit_once('@').map_or_else(|| identity.to_owned(), |(_, domain)| format!("…@{domain}"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use shared::id::AccessKeyId;
    use shared::runtime::Environment;
    use shared::tenant::{Region, SecretAccessKey};
    use shared::testing::{FakeRequest, FakeResponse, fake_aws};

    use super::*;

    const OWN_ACCOUNT: &str = "171436882533";

    fn credential() -> Credential {
        Credential {
            access_key_id: AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap(),
            secret_access_key: SecretAccessKey::from_pasted("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ+/01").unwrap(),
            region: Region::parse("eu-central-1").unwrap(),
        }
    }

    fn clients<Serve, Served>(serve: Serve) -> Clients
    where
        Serve: Fn(FakeRequest) -> Served + Send + Sync + 'static,
        Served: Future<Output = FakeResponse> + Send + 'static,
    {
        let environment = Environment::from_variables(&[("TENANT_AWS_ENDPOINT_URL", "https://tenant.test")]);
        Clients::new(&environment, &fake_aws(serve))
    }

    fn keys(ids: &[&str]) -> FakeResponse {
        let members: String = ids
            .iter()
            .map(|id| {
                format!("<member><UserName>u</UserName><AccessKeyId>{id}</AccessKeyId><Status>Active</Status></member>")
            })
            .collect();
        let body = format!(
            "<ListAccessKeysResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ListAccessKeysResult>\
             <IsTruncated>false</IsTruncated><AccessKeyMetadata>{members}</AccessKeyMetadata></ListAccessKeysResult>\
             </ListAccessKeysResponse>"
        );
        (200, body)
    }

    fn identities(names: &[&str]) -> FakeResponse {
        let identities: Vec<_> =
            names.iter().map(|name| json!({ "IdentityName": name, "SendingEnabled": true })).collect();
        (200, json!({ "EmailIdentities": identities }).to_string())
    }

    fn policy_of(account: &str) -> String {
        json!({"Statement": [{"Effect": "Allow", "Principal": {"AWS": account}, "Action": "ses:SendEmail"}]})
            .to_string()
    }

    fn denied(action: &str) -> FakeResponse {
        // IAM's words (IAM user guide, "Troubleshoot access denied error messages").
        let text = format!(
            "User: arn:aws:iam::171436882533:user/u is not authorized to perform: {action} because no identity-based policy \
             allows the {action} action"
        );
        let body = if action.starts_with("iam:") {
            format!("<ErrorResponse><Error><Code>AccessDenied</Code><Message>{text}</Message></Error></ErrorResponse>")
        } else {
            json!({"__type": "AccessDeniedException", "message": text}).to_string()
        };
        (403, body)
    }

    fn throttled() -> FakeResponse {
        (429, json!({"__type": "TooManyRequestsException", "message": "Rate exceeded"}).to_string())
    }

    /// Which call it is.
    fn call_of(request: &FakeRequest) -> &'static str {
        match request.uri.as_str() {
            _ if request.body.contains("Action=ListAccessKeys") => "ListAccessKeys",
            uri if uri.contains("/policies/") => "DeleteEmailIdentityPolicy",
            uri if uri.contains("/policies") => "GetEmailIdentityPolicies",
            uri if uri.contains("identities") => "ListEmailIdentities",
            uri => panic!("unexpected {uri}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_key_and_foreign_policies_are_found_and_no_address_is_kept() {
        let tenants = clients(|request| async move {
            match call_of(&request) {
                "ListAccessKeys" => keys(&["AKIASP2TPHJSQH3FJRUX", "AKIAQNZGKIQY56JQ7WML"]),
                "ListEmailIdentities" => identities(&["example.com", "jane@example.org"]),
                _ if request.uri.contains("example.com") => {
                    (200, json!({"Policies": {"own": policy_of(OWN_ACCOUNT)}}).to_string())
                }
                _ => (200, json!({"Policies": {"theirs": policy_of("123456789012")}}).to_string()),
            }
        });
        let survey = Survey::read(&tenants, &credential(), OWN_ACCOUNT, SURVEY_TIMEOUT).await;
        let found = survey.residual_access(Timestamp::UNIX_EPOCH);
        assert_eq!(
            serde_json::to_value(&found).unwrap(),
            json!({
                "checked_at": "1970-01-01T00:00:00Z",
                "other_keys": {
                    "outcome": "complete", "keys": [{"access_key_id": "AKIAQNZGKIQY56JQ7WML", "active": true}]
                },
                "identity_policies": {
                    "outcome": "complete", "identities_read": 2,
                    "foreign": [{
                        "identity": "…@example.org", "policy_name": "theirs", "account_ids": ["123456789012"],
                        "removal": "not_ordered",
                    }],
                },
            })
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_denied_is_unknown_and_is_asked_once() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let tenants = clients(move |request| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                match call_of(&request) {
                    "ListAccessKeys" => denied("iam:ListAccessKeys"),
                    "ListEmailIdentities" => identities(&["a.example", "b.example", "c.example"]),
                    _ => denied("ses:GetEmailIdentityPolicies"),
                }
            }
        });
        let survey = Survey::read(&tenants, &credential(), OWN_ACCOUNT, SURVEY_TIMEOUT).await;
        assert_eq!((survey.other_keys.outcome, survey.policies_outcome), (ReadOutcome::Denied, ReadOutcome::Denied));
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_survey_takes_two_seconds_at_most_and_keeps_what_it_has_read() {
        let answered = Arc::new(Mutex::new(0));
        let tenants = clients(move |request| {
            let answered = Arc::clone(&answered);
            async move {
                match call_of(&request) {
                    "ListAccessKeys" => std::future::pending().await,
                    "ListEmailIdentities" => identities(&["a.example", "b.example", "c.example", "d.example"]),
                    // As SES limits it.
                    _ => {
                        let mut answered = answered.lock().unwrap();
                        *answered += 1;
                        match *answered % 2 {
                            0 => throttled(),
                            _ => (200, json!({"Policies": {"p": policy_of("123456789012")}}).to_string()),
                        }
                    }
                }
            }
        });
        let started = Instant::now();
        let survey = Survey::read(&tenants, &credential(), OWN_ACCOUNT, SURVEY_TIMEOUT).await;
        assert!(started.elapsed() <= SURVEY_TIMEOUT + Duration::from_millis(10), "{:?}", started.elapsed());
        assert_eq!((survey.other_keys.outcome, survey.policies_outcome), (ReadOutcome::Unknown, ReadOutcome::Partial));
        assert!(survey.identities_read >= 2 && survey.policies.len() == survey.identities_read);
        assert!(survey.residual_access(Timestamp::UNIX_EPOCH).says_something());
    }

    #[tokio::test(start_paused = true)]
    async fn policies_are_removed_as_far_as_aws_lets_us_and_the_time_goes() {
        let tenants = clients(|request| async move {
            match call_of(&request) {
                "ListAccessKeys" => denied("iam:ListAccessKeys"),
                "ListEmailIdentities" => identities(&["example.com"]),
                "GetEmailIdentityPolicies" => {
                    let names = ["a-removed", "b-gone", "c-denied", "d-odd", "e-hangs", "f-late"];
                    let policies: serde_json::Map<_, _> = names
                        .iter()
                        .map(|name| {
                            let document = if *name == "d-odd" { "odd".to_owned() } else { policy_of("123456789012") };
                            ((*name).to_owned(), json!(document))
                        })
                        .collect();
                    (200, json!({ "Policies": policies }).to_string())
                }
                _ if request.uri.contains("a-removed") => (200, "{}".to_owned()),
                _ if request.uri.contains("b-gone") => {
                    (404, json!({"__type": "NotFoundException", "message": "gone"}).to_string())
                }
                _ if request.uri.contains("c-denied") => denied("ses:DeleteEmailIdentityPolicy"),
                _ if request.uri.contains("e-hangs") => std::future::pending().await,
                _ if request.uri.contains("f-late") => throttled(),
                _ => panic!("{}", request.uri),
            }
        });
        let started = Instant::now();
        let mut survey = Survey::read(&tenants, &credential(), OWN_ACCOUNT, SURVEY_TIMEOUT).await;
        for policy in &mut survey.policies {
            policy.record.removal = Removal::NotDone;
        }
        survey.remove_policies(&tenants, &credential()).await;
        assert!(started.elapsed() <= REMOVAL_TIMEOUT + Duration::from_millis(20), "{:?}", started.elapsed());
        let removals: Vec<_> =
            survey.policies.iter().map(|policy| (policy.record.policy_name.as_str(), policy.record.removal)).collect();
        assert_eq!(
            removals,
            [
                ("a-removed", Removal::Removed),
                ("b-gone", Removal::Removed),
                ("c-denied", Removal::Failed),
                ("d-odd", Removal::NotDone),
                ("e-hangs", Removal::NotDone),
                ("f-late", Removal::NotDone),
            ]
        );
        assert_eq!(survey.policies[2].record.removal_error.as_deref(), Some("AccessDeniedException"));
    }
}
