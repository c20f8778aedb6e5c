//! What a notice leads to: an order for each key of the account that it names, and an event that says so.

use jiff::Timestamp;
use shared::id::{OrderId, ProviderId};
use shared::queue::{Message, MessageOutcome, dead_letter};
use shared::record::{BreachScope, ListedProvider, Provider, RecordError, StatusName};
use shared::telemetry::{Event, NoticeEvent, UnmatchedReportEvent, chain};

use super::{AwsNotice, NoticeReaction, NoticeSubject};
use crate::intake::Intake;
use crate::intake::breach_report::BreachReport;
use crate::intake::order_execution::OrderError;

/// Providers of an account in one read of the index.
const PAGE: i32 = 100;

/// Events about things that a notice names and that reach nobody. Any AWS account may forward notices to us, and one that names
/// thousands of keys must not become thousands of events. How many there were stands in `Breach Notice`.
const MAX_UNMATCHED_EVENTS: usize = 10;

/// A provider that a notice reaches, and what its order is for.
struct ReachedProvider {
    provider: Provider,
    scope: BreachScope,
}

/// What one thing that a notice names reaches.
enum NoticeReach {
    Providers(Vec<ReachedProvider>),
    /// Nobody, for this reason.
    Unmatched(&'static str),
}

/// What was done about a notice so far.
#[derive(Default)]
struct NoticeProgress {
    provider_ids: Vec<ProviderId>,
    orders: Vec<OrderId>,
    /// Why a person has to judge.
    alert: Option<&'static str>,
    unmatched: usize,
    /// Something failed that the next delivery has to do again.
    is_incomplete: bool,
}

impl NoticeProgress {
    fn action(&self) -> &'static str {
        if !self.orders.is_empty() {
            "revoked"
        } else if self.alert.is_some() {
            "alerted"
        } else if self.unmatched > 0 {
            "unmatched"
        } else {
            "ignored"
        }
    }
}

impl Intake {
    /// Handles a notice of AWS. A repeated one, and each copy of it, finds its orders and completes what is left of them to do.
    pub(in crate::intake) async fn handle_notice(&self, message: &Message) -> MessageOutcome {
        let notice = match AwsNotice::parse(message) {
            Ok(notice) => notice,
            Err(invalid) => return dead_letter(&self.dead_letters, message, "invalid_notice", &invalid).await,
        };
        let mut progress = NoticeProgress::default();
        if notice.alert_only == Some("other_account") {
            // Whose keys these are is not known from the envelope, so nothing is looked up.
            progress.alert = notice.alert_only;
        } else {
            for subject in &notice.subjects {
                if let Err(error) = Box::pin(self.act_on(&notice, subject, &mut progress)).await {
                    progress.is_incomplete = true;
                    tracing::warn!(
                        source = notice.source.as_str(),
                        account_id = notice.account_id,
                        error = chain(&error),
                        "notice of AWS not acted on: it is retried"
                    );
                }
            }
        }
        let action = progress.action();
        tracing::info!(
            source = notice.source.as_str(),
            account_id = notice.account_id,
            finding = notice.finding,
            action,
            orders = progress.orders.len(),
            unmatched = progress.unmatched,
            "notice of AWS handled"
        );
        if action != "ignored" {
            progress.is_incomplete |= !self.notify_of_notice(&notice, &progress).await;
        }
        if progress.is_incomplete { MessageOutcome::Retry } else { MessageOutcome::Done }
    }

    /// One thing that a notice names. One that fails does not stop the rest.
    async fn act_on(
        &self,
        notice: &AwsNotice,
        subject: &NoticeSubject,
        progress: &mut NoticeProgress,
    ) -> Result<(), OrderError> {
        let reached = match self.reach_of(notice, subject).await? {
            NoticeReach::Providers(reached) => reached,
            NoticeReach::Unmatched(reason) => {
                progress.unmatched += 1;
                if progress.unmatched <= MAX_UNMATCHED_EVENTS {
                    progress.is_incomplete |= !self.notify_unmatched(unmatched(notice, subject, reason)).await;
                }
                return Ok(());
            }
        };
        for ReachedProvider { provider, scope } in reached {
            match notice.reaction(probed_at(&provider, &scope)) {
                NoticeReaction::Revoke => {
                    let of = match &scope {
                        BreachScope::AccessKeyId(access_key_id) => access_key_id.as_str(),
                        _ => provider.provider_id.as_str(),
                    };
                    let order_id = notice.order_id(of);
                    let execution = self.order_revocation(order_id.clone(), report(notice, scope)).await?;
                    progress.is_incomplete |= !execution.is_complete();
                    progress.orders.push(order_id);
                }
                NoticeReaction::Alert(reason) => progress.alert = Some(reason),
                NoticeReaction::Ignore => continue,
            }
            if !progress.provider_ids.contains(&provider.provider_id) {
                progress.provider_ids.push(provider.provider_id);
            }
        }
        Ok(())
    }

    /// The providers of the notice's account that something names. What is of another account is nobody's.
    async fn reach_of(&self, notice: &AwsNotice, subject: &NoticeSubject) -> Result<NoticeReach, RecordError> {
        match subject {
            NoticeSubject::Unreadable => Ok(NoticeReach::Unmatched("no_key")),
            NoticeSubject::Key(access_key_id) => {
                let Some(owner) = self.providers.key(access_key_id).await?.and_then(|key| key.owner) else {
                    return Ok(NoticeReach::Unmatched("unknown_key"));
                };
                if owner.account_id != notice.account_id {
                    return Ok(NoticeReach::Unmatched("foreign_account"));
                }
                Ok(match self.providers.provider(&owner.provider_id).await? {
                    Some(provider) if provider.account_id == notice.account_id => {
                        let scope = BreachScope::AccessKeyId(access_key_id.clone());
                        NoticeReach::Providers(vec![ReachedProvider { provider, scope }])
                    }
                    Some(_) => NoticeReach::Unmatched("foreign_account"),
                    None => NoticeReach::Unmatched("unknown_key"),
                })
            }
            NoticeSubject::User(user_name) => {
                let (reached, is_known) = self.providers_of_user(&notice.account_id, user_name).await?;
                Ok(if is_known { NoticeReach::Providers(reached) } else { NoticeReach::Unmatched("unknown_user") })
            }
        }
    }

    /// The account's providers that send with a key of the user, without those whose key is dead; and whether there is any.
    ///
    /// IAM's names of users differ in more than the case of their letters (IAM user guide, "IAM and AWS STS quotas").
    async fn providers_of_user(
        &self,
        account_id: &str,
        user_name: &str,
    ) -> Result<(Vec<ReachedProvider>, bool), RecordError> {
        let account = BreachScope::AccountId(account_id.to_owned());
        let (mut reached, mut is_known) = (Vec::new(), false);
        let mut after = None;
        loop {
            let page = self.providers.list_scope(&account, after.as_ref(), PAGE).await?;
            for listed in &page.providers {
                let provider_id = &listed.position.provider_id;
                let Some(provider) = self.providers.provider(provider_id).await? else { continue };
                if provider.account_id != account_id {
                    continue;
                }
                let Some(scope) = scope_of_user(&provider, user_name) else { continue };
                is_known = true;
                if provider.status.status != StatusName::Revoked {
                    reached.push(ReachedProvider { provider, scope });
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok((reached, is_known));
            }
        }
    }

    /// Tells operators what was done, at least once. Returns whether it worked.
    async fn notify_of_notice(&self, notice: &AwsNotice, progress: &NoticeProgress) -> bool {
        let event = Event::BreachNotice(notice_event(notice, progress));
        let put = self.bus.put(&event, self.ambient.now()).await;
        put.inspect_err(|error| {
            tracing::error!(
                source = notice.source.as_str(),
                account_id = notice.account_id,
                error = chain(error),
                "operators not notified of a notice of AWS: it is retried"
            );
        })
        .is_ok()
    }
}

/// When we last made probes with the keys that a notice is about: when the key was handed over, or the latest of them.
fn probed_at(provider: &Provider, scope: &BreachScope) -> Timestamp {
    let listed = ListedProvider::from(provider);
    match scope {
        BreachScope::AccessKeyId(access_key_id) => listed.handed_over_at(access_key_id),
        _ => {
            let keys = provider.keys_in_use().into_iter();
            keys.map(|key| listed.handed_over_at(key)).max().unwrap_or(provider.created_at)
        }
    }
}

/// What a user's keys are of a provider: all of it, or in rotation perhaps one of its two keys. `None`: nothing.
fn scope_of_user(provider: &Provider, user_name: &str) -> Option<BreachScope> {
    let is_of_user = |name: &String| name.eq_ignore_ascii_case(user_name);
    let whole = || BreachScope::ProviderId(provider.provider_id.clone());
    let Some(rotation) = provider.running_rotation() else {
        return is_of_user(&provider.user_name).then(whole);
    };
    let is_of_user = [&rotation.old_key, &rotation.new_key].map(|key| is_of_user(&key.user_name).then_some(key));
    match is_of_user {
        [Some(_), Some(_)] => Some(whole()),
        [Some(key), None] | [None, Some(key)] => Some(BreachScope::AccessKeyId(key.access_key_id.clone())),
        [None, None] => None,
    }
}

fn report(notice: &AwsNotice, scope: BreachScope) -> BreachReport {
    BreachReport {
        scope,
        reason: format!("{}: {}", notice.source.name(), notice.finding),
        reported_by: format!("{} in account {}", notice.source.as_str(), notice.account_id),
        signed_by: None,
        remove_identity_policies: false,
        oddities: Vec::new(),
        event_id: notice.event_id.clone(),
    }
}

fn unmatched(notice: &AwsNotice, subject: &NoticeSubject, reason: &'static str) -> UnmatchedReportEvent {
    UnmatchedReportEvent {
        order_id: None,
        access_key_id: match subject {
            NoticeSubject::Key(access_key_id) => Some(access_key_id.clone()),
            NoticeSubject::User(_) | NoticeSubject::Unreadable => None,
        },
        provider_id: None,
        source: Some(notice.source.as_str()),
        account_id: Some(notice.account_id.clone()),
        reason,
    }
}

fn notice_event(notice: &AwsNotice, progress: &NoticeProgress) -> NoticeEvent {
    let action = progress.action();
    NoticeEvent {
        source: notice.source.as_str(),
        account_id: notice.account_id.clone(),
        finding: notice.finding.clone(),
        event_id: notice.event_id.clone(),
        action,
        reason: progress.alert.filter(|_| action == "alerted"),
        provider_ids: progress.provider_ids.clone(),
        orders: progress.orders.clone(),
        unmatched: progress.unmatched,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::id::AccessKeyId;

    use super::super::tests::{message, sample};
    use super::*;
    use crate::fixtures::{cold_start_by_body, item, operations};

    const HEALTH: &str = include_str!("../../../../../events/revoke-aws-health.json");
    const GUARD_DUTY: &str = include_str!("../../../../../events/revoke-guard-duty.json");
    const QUARANTINE: &str = include_str!("../../../../../events/revoke-quarantine-attached.json");

    /// Our account as it is when the samples come: one provider in the account that they are from, and two orders of answers
    /// that depend on what is asked.
    fn answer(operation: &str, body: &Value, account_id: &str) -> Option<(u16, String)> {
        let provider = json!({
            "pk": {"S": "provider#prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "sk": {"S": "provider"},
            "provider_id": {"S": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "tenant_id": {"S": "acme"}, "name": {"S": "main"},
            "region": {"S": "eu-central-1"}, "account_id": {"S": account_id}, "user_name": {"S": "mailer"},
            "user_arn": {"S": format!("arn:aws:iam::{account_id}:user/mailer")},
            "access_key_id": {"S": "AKIASP2TPHJSQH3FJRUX"}, "status": {"S": "active"}, "max_send_rate": {"N": "14"},
            "max_24_hour_send": {"N": "50000"}, "sandbox": {"BOOL": false},
            "created_at": {"S": "2026-11-23T09:00:00Z"}, "updated_at": {"S": "2026-11-23T09:00:00Z"},
        });
        let key = json!({
            "pk": {"S": "key#AKIASP2TPHJSQH3FJRUX"}, "sk": {"S": "key"}, "access_key_id": {"S": "AKIASP2TPHJSQH3FJRUX"},
            "owner": {"M": {
                "provider_id": {"S": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "tenant_id": {"S": "acme"},
                "account_id": {"S": account_id}, "region": {"S": "eu-central-1"},
            }},
            "status": {"S": "active"}, "updated_at": {"S": "2026-11-23T09:00:00Z"},
        });
        let pk = body["Key"]["pk"]["S"].as_str().unwrap_or_default();
        match operation {
            "GetItem providers" if pk.starts_with("provider#") => Some(item(&provider)),
            "GetItem providers" if pk == "key#AKIASP2TPHJSQH3FJRUX" => Some(item(&key)),
            "Query" if body["ExpressionAttributeValues"][":value"]["S"] == account_id => {
                let listed = json!({
                    "provider_id": provider["provider_id"], "tenant_id": {"S": "acme"}, "account_id": {"S": account_id},
                    "access_key_id": {"S": "AKIASP2TPHJSQH3FJRUX"}, "status": {"S": "active"},
                    "created_at": {"S": "2026-11-23T09:00:00Z"},
                });
                Some((200, json!({"Items": [listed]}).to_string()))
            }
            "Query" => Some((200, json!({"Items": []}).to_string())),
            _ => None,
        }
    }

    /// What a notice leads to where the provider is of `account_id`: the outcome, the details of the events by type, and
    /// the ids of the orders that were written.
    async fn handled(event: &Value, account_id: &'static str) -> (MessageOutcome, Vec<(String, Value)>, Vec<String>) {
        let (start, calls) = cold_start_by_body(move |operation, body| {
            answer(operation, &serde_json::from_str(body).unwrap_or_default(), account_id)
        });
        let outcome = Intake::new(&start).unwrap().handle_notice(&message(event)).await;
        let calls = calls.lock().unwrap();
        let bodies = |name: &'static str| {
            let calls = calls.iter().filter(move |(operation, _)| operation == name);
            calls.map(|(_, body)| serde_json::from_str::<Value>(body).unwrap())
        };
        let events = bodies("PutEvents").map(|body| {
            let entry = &body["Entries"][0];
            let detail = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            (entry["DetailType"].as_str().unwrap().to_owned(), detail)
        });
        let orders = bodies("PutItem").filter_map(|body| Some(body["Item"]["order_id"]["S"].as_str()?.to_owned()));
        (outcome, events.collect(), orders.collect())
    }

    #[tokio::test]
    async fn each_kind_of_notice_revokes_the_key_of_its_account_and_says_so() {
        for (json, finding) in [
            (HEALTH, "AWS_RISK_CREDENTIALS_EXPOSED"),
            (GUARD_DUTY, "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom"),
            (QUARANTINE, "AWSCompromisedKeyQuarantineV3"),
        ] {
            let event = sample(json);
            let (outcome, events, orders) = handled(&event, "171436882533").await;
            assert_eq!((outcome, orders.len()), (MessageOutcome::Done, 1), "{finding}");
            let notices: Vec<_> =
                events.iter().filter(|(detail_type, _)| !detail_type.starts_with("Revocation ")).collect();
            let [(detail_type, detail)] = notices.as_slice() else { panic!("{events:?}") };
            assert_eq!(detail_type, "Breach Notice");
            let expected = json!({
                "source": event["source"], "account_id": "171436882533", "finding": finding, "event_id": event["id"],
                "action": "revoked", "provider_ids": ["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"], "orders": orders, "unmatched": 0,
            });
            assert_eq!(detail, &expected);
        }
    }

    #[tokio::test]
    async fn an_account_reports_its_own_keys_and_no_others() {
        for (json, reason) in
            [(HEALTH, "foreign_account"), (GUARD_DUTY, "foreign_account"), (QUARANTINE, "unknown_user")]
        {
            let (outcome, events, orders) = handled(&sample(json), "111122223333").await;
            assert_eq!((outcome, orders.len()), (MessageOutcome::Done, 0), "{reason}");
            let [(first, unmatched), (second, notice)] = events.as_slice() else { panic!("{events:?}") };
            assert_eq!((first.as_str(), second.as_str()), ("Breach Report Unmatched", "Breach Notice"));
            assert_eq!((&unmatched["reason"], &unmatched["account_id"]), (&json!(reason), &json!("171436882533")));
            assert_eq!((&notice["action"], &notice["unmatched"]), (&json!("unmatched"), &json!(1)));
            // Nothing about whom the key belongs to.
            assert!(!format!("{events:?}").contains("prv_"), "{events:?}");
        }
    }

    #[tokio::test]
    async fn keys_that_nobody_handed_over_get_no_tombstone_and_few_events() {
        let mut event = sample(HEALTH);
        let keys: Vec<Value> = ('A'..='T').map(|c| json!({"entityValue": format!("AKIASP2TPHJSQH3FJRR{c}")})).collect();
        event["detail"]["affectedEntities"] = json!(keys);
        let (outcome, events, orders) = handled(&event, "171436882533").await;
        assert_eq!((outcome, orders.len()), (MessageOutcome::Done, 0));
        let unmatched: Vec<_> = events.iter().filter(|(name, _)| name == "Breach Report Unmatched").collect();
        assert_eq!(unmatched.len(), MAX_UNMATCHED_EVENTS);
        assert!(unmatched.iter().all(|(_, detail)| detail["reason"] == "unknown_key"), "{unmatched:?}");
        assert_eq!(events.last().unwrap().1["unmatched"], 20);
    }

    #[tokio::test]
    async fn what_a_person_has_to_judge_is_an_event_and_our_own_probes_are_nothing() {
        let cases = [
            ("Stealth:IAMUser/PasswordPolicyChange", "2026-11-23T10:00:00Z", Some("finding_type")),
            ("Persistence:IAMUser/AnomalousBehavior", "2026-11-23T10:00:00Z", Some("own_probes_possible")),
            ("Recon:IAMUser/UserPermissions", "2026-11-25T10:00:00Z", Some("finding_type")),
            ("Recon:IAMUser/UserPermissions", "2026-11-23T10:00:00Z", None),
        ];
        for (finding, time, reason) in cases {
            let mut event = sample(GUARD_DUTY);
            event["detail"]["type"] = json!(finding);
            event["time"] = json!(time);
            let (outcome, events, orders) = handled(&event, "171436882533").await;
            assert_eq!((outcome, orders.len()), (MessageOutcome::Done, 0), "{finding}");
            let reasons: Vec<_> = events.iter().map(|(_, detail)| detail["reason"].as_str().unwrap()).collect();
            assert_eq!(reasons, Vec::from_iter(reason), "{finding} at {time}");
        }
    }

    #[tokio::test]
    async fn a_notice_is_delivered_again_while_records_or_the_bus_do_not_answer() {
        for failing in ["GetItem providers", "PutItem", "PutEvents"] {
            let (start, _) = cold_start_by_body(move |operation, body| {
                if operation == failing {
                    return Some((400, json!({"__type": "AccessDeniedException"}).to_string()));
                }
                answer(operation, &serde_json::from_str(body).unwrap_or_default(), "171436882533")
            });
            let outcome = Intake::new(&start).unwrap().handle_notice(&message(&sample(HEALTH))).await;
            assert_eq!(outcome, MessageOutcome::Retry, "{failing}");
        }
    }

    #[tokio::test]
    async fn what_is_no_notice_is_dead_lettered() {
        let (start, calls) = cold_start_by_body(|_, _| None);
        let event =
            json!({"source": "aws.health", "account": "171436882533", "detail": {"eventTypeCode": "AWS_EC2_X"}});
        let outcome = Intake::new(&start).unwrap().handle_notice(&message(&event)).await;
        assert_eq!((outcome, operations(&calls)), (MessageOutcome::Done, vec!["SendMessage".to_owned()]));
    }

    #[test]
    fn in_rotation_a_user_is_one_key_or_the_provider_and_our_probes_are_those_of_the_new_key() {
        let (old, new) = ("AKIASP2TPHJSQH3FJRUX", "AKIASP2TPHJSQH3FJRUY");
        let provider = |users: [&str; 2], phase: &str| -> Provider {
            let key = |id: &str, user: &str| json!({"access_key_id": id, "user_name": user, "user_arn": "arn"});
            serde_json::from_value(json!({
                "provider_id": "prv_01KAQX5D8E3C9V7N2M4R6T8W0Y", "tenant_id": "acme", "name": "n",
                "region": "eu-central-1", "account_id": "171436882533", "user_name": users[0], "user_arn": "arn",
                "access_key_id": old, "status": "active", "max_send_rate": 14.0, "max_24_hour_send": 50000.0,
                "sandbox": false, "created_at": "2026-11-01T09:00:00Z", "updated_at": "2026-11-01T09:00:00Z",
                "rotation": {
                    "rotation_id": "rot_01KAQX9Z3K5M7P9R1T3V5X7Z9B", "phase": phase, "old_key": key(old, users[0]),
                    "new_key": key(new, users[1]), "grace_seconds": 60, "started_at": "2026-11-23T09:00:00Z",
                },
            }))
            .unwrap()
        };
        let of_key = |id: &str| BreachScope::AccessKeyId(AccessKeyId::from_pasted(id).unwrap());
        let whole = BreachScope::ProviderId(provider(["a", "b"], "candidate").provider_id);
        for (users, phase, asked, expected) in [
            (["a", "a"], "candidate", "A", Some(whole.clone())),
            (["a", "b"], "candidate", "a", Some(of_key(old))),
            (["a", "b"], "candidate", "b", Some(of_key(new))),
            (["a", "b"], "candidate", "c", None),
            (["a", "b"], "failed", "a", Some(whole.clone())),
            (["a", "b"], "failed", "b", None),
        ] {
            assert_eq!(scope_of_user(&provider(users, phase), asked), expected, "{users:?} {phase} {asked}");
        }
        let provider = provider(["a", "a"], "candidate");
        for (scope, expected) in [
            (of_key(old), "2026-11-01T09:00:00Z"),
            (of_key(new), "2026-11-23T09:00:00Z"),
            (whole, "2026-11-23T09:00:00Z"),
        ] {
            assert_eq!(probed_at(&provider, &scope).to_string(), expected, "{scope:?}");
        }
    }

    #[test]
    fn the_sample_event_is_what_is_put_on_the_bus() {
        let sample_event: Value =
            serde_json::from_str(include_str!("../../../../../events/revoke-breach-notice.json")).unwrap();
        let notice = AwsNotice::parse(&message(&sample(HEALTH))).unwrap();
        let progress = NoticeProgress {
            provider_ids: vec![ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap()],
            orders: vec![notice.order_id("AKIASP2TPHJSQH3FJRUX")],
            ..NoticeProgress::default()
        };
        let event = Event::BreachNotice(notice_event(&notice, &progress));
        assert_eq!(sample_event["source"], "sendingbee.revoke");
        assert_eq!(sample_event["detail-type"], event.detail_type());
        assert_eq!(sample_event["detail"], serde_json::to_value(&event).unwrap());
    }
}
