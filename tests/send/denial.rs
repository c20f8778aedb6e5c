//! A denial or a pause is not the end of a mail, and no single answer is the end of a provider.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use operator::Tenant;
use reqwest::Method;
use serde_json::{Value, json};
use shared::record::MailState;

use crate::support::{Stack, Tables, classic_policy, eventually, mail, mail_with, now, string};

/// A policy that allows all that the product needs except to send.
fn policy_without_sending() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Effect": "Allow", "Action": ["ses:GetAccount"], "Resource": "*" },
            { "Effect": "Allow", "Action": ["iam:GetUser", "iam:DeleteAccessKey"], "Resource": "arn:aws:iam::*:user/*" },
        ],
    })
}

/// The classic policy, and a Deny of sending.
fn denying_policies() -> [Value; 2] {
    [classic_policy(), deny("ses:Send*")]
}

fn deny(actions: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Deny", "Action": actions, "Resource": "*" }],
    })
}

/// A mail by template of the same fields otherwise.
fn by_template(provider_id: &str, mail_id: &str) -> Value {
    mail_with(provider_id, mail_id, &json!({"template": {"name": "welcome"}, "subject": null, "text": null}))
}

/// A policy that allows to send from `example.com` only.
fn policy_with_one_identity(account_id: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Effect": "Allow", "Action": "ses:*", "Resource": format!("arn:aws:ses:*:{account_id}:identity/example.com") },
            { "Effect": "Allow", "Action": "ses:GetAccount", "Resource": "*" },
            { "Effect": "Allow", "Action": ["iam:GetUser", "iam:DeleteAccessKey"], "Resource": "arn:aws:iam::*:user/*" },
        ],
    })
}

#[tokio::test]
async fn mail_waits_while_the_policy_is_gone_and_all_of_it_is_sent_afterwards() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_policies(&tenant, &[policy_without_sending()]).await;
    let ids: Vec<String> = (0..100).map(|number| format!("order-{number}")).collect();
    stack.enqueue_mails(&ids.iter().map(|id| mail(&provider_id, id)).collect::<Vec<_>>()).await;
    stack.eventually_delayed(100).await;
    assert_eq!(stack.get_provider(&provider_id).await.body["status"], "active");
    let asked = stack.send_requests(&tenant).await.len();
    assert!(asked < 60, "{asked} requests for a hundred mails of one denied identity");

    stack.set_policies(&tenant, &[classic_policy()]).await;
    for id in &ids {
        stack.mail_in_state(&provider_id, id, &["sent", "rejected", "in_doubt"]).await;
    }
    assert_eq!(stack.inbox(&tenant.account_id).await.unwrap().len(), 100);
    assert!(stack.events("Mail Rejected").await.unwrap().is_empty());
    assert!(stack.events("Provider Suspended").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_denial_of_a_quarter_of_an_hour_suspends_a_provider_of_which_nothing_is_accepted() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_policies(&tenant, &[policy_without_sending()]).await;
    stack.enqueue_mail(&mail(&provider_id, "first")).await.unwrap();
    stack.eventually_delayed(1).await;
    age_denials(&stack, SignedDuration::from_mins(16)).await;
    stack.kill_processes("send").await;
    stack.enqueue_mail(&mail(&provider_id, "second")).await.unwrap();
    let event = stack.provider_event("Provider Suspended", &provider_id).await;
    assert_eq!(event["detail"]["reason"], "permission_missing");
    assert!(stack.events("Mail Rejected").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_mail_is_rejected_only_if_other_mail_of_its_provider_is_accepted_and_may_be_handed_over_again() {
    let stack = Stack::with_arguments(&[]).await;
    let tenant = stack.tenant_with(&json!({ "identities": ["example.com", "other.example"] })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    let account = &tenant.account_id;
    stack.set_policies(&tenant, &[policy_with_one_identity(account)]).await;
    let mut denied = mail(&provider_id, "denied");
    denied["from"] = json!("jane@other.example");
    denied["first_seen"] = json!((now() - SignedDuration::from_mins(20)).to_string());
    stack.enqueue_mail(&denied).await.unwrap();
    stack.eventually_delayed(1).await;
    stack.enqueue_mail(&mail(&provider_id, "accepted")).await.unwrap();
    stack.mail_in_state(&provider_id, "accepted", &["sent"]).await;
    assert_eq!(stack.ledger_row(&provider_id, "denied").await.unwrap().reason.as_deref(), Some("denied"));

    // As if the denial had begun a quarter of an hour ago, and the other mail had been accepted after that.
    age_denials(&stack, SignedDuration::from_mins(16)).await;
    stack.kill_processes("send").await;
    stack.enqueue_mail(&denied).await.unwrap();
    let rejected = stack.mail_in_state(&provider_id, "denied", &["rejected", "sent"]).await;
    let reason = format!("permission_missing:arn:aws:ses:us-east-1:{account}:identity/other.example");
    assert_eq!((&rejected["state"], &rejected["reason"]), (&json!("rejected"), &json!(reason)), "{rejected}");
    assert!(stack.events("Provider Suspended").await.unwrap().is_empty());

    stack.set_policies(&tenant, &[classic_policy()]).await;
    stack.kill_processes("send").await;
    stack.enqueue_mail(&denied).await.unwrap();
    stack.mail_in_state(&provider_id, "denied", &["sent"]).await;
}

/// A policy reaches some of AWS later than the rest, so a denial may still come after the provider's mail flows again.
#[tokio::test]
async fn a_late_denial_after_a_suspension_was_lifted_ends_neither_a_mail_nor_the_provider() {
    let stack = Stack::with_arguments(&[]).await;
    let tenant = stack.tenant_with(&json!({ "identities": ["example.com", "other.example"] })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    let of_other = |mail_id: &str| {
        let mut mail = mail(&provider_id, mail_id);
        mail["from"] = json!("jane@other.example");
        mail["first_seen"] = json!((now() - SignedDuration::from_mins(20)).to_string());
        mail
    };
    stack.set_policies(&tenant, &[policy_without_sending()]).await;
    stack.enqueue_mail(&of_other("first")).await.unwrap();
    stack.eventually_delayed(1).await;
    age_denials(&stack, SignedDuration::from_mins(16)).await;
    stack.kill_processes("send").await;
    stack.enqueue_mail(&of_other("second")).await.unwrap();
    stack.provider_event("Provider Suspended", &provider_id).await;

    age_suspension(&stack, &provider_id).await;
    stack.set_policies(&tenant, &[classic_policy()]).await;
    stack.enqueue_mail(&mail(&provider_id, "next")).await.unwrap();
    stack.mail_in_state(&provider_id, "next", &["sent"]).await;
    stack.provider_event("Provider Resumed", &provider_id).await;

    stack.set_policies(&tenant, &[policy_with_one_identity(&tenant.account_id)]).await;
    stack.kill_processes("send").await;
    stack.enqueue_mail(&of_other("late")).await.unwrap();
    let late = stack.mail_in_state(&provider_id, "late", &["not_accepted", "rejected"]).await;
    assert_eq!((&late["state"], &late["reason"]), (&json!("not_accepted"), &json!("denied")), "{late}");
    // The others wait too, one perhaps without a row, unless their turn came while the policy allowed them.
    for id in ["first", "second"] {
        let state = stack.ledger_row(&provider_id, id).await.map_or(MailState::Waiting, |row| row.state);
        let is_over =
            !matches!(state, MailState::Waiting | MailState::NotAccepted | MailState::Claimed | MailState::Sent);
        assert!(!is_over, "{id} is {state:?}");
    }
    assert_eq!(stack.get_provider(&provider_id).await.body["status"], "active");
    assert!(stack.events("Mail Rejected").await.unwrap().is_empty());
    assert_eq!(stack.events("Provider Suspended").await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_explicit_denial_suspends_when_it_is_seen_again_and_the_mail_flows_when_it_is_lifted() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_policies(&tenant, &denying_policies()).await;
    stack.enqueue_mail(&mail(&provider_id, "waiting")).await.unwrap();
    let event = stack.provider_event("Provider Suspended", &provider_id).await;
    assert_eq!(event["detail"]["reason"], "quarantined");
    assert!(stack.send_requests(&tenant).await.len() >= 2, "one denial is not enough");
    assert!(stack.events("Mail Rejected").await.unwrap().is_empty());

    resumes(&stack, &tenant, &provider_id, async || stack.set_policies(&tenant, &[classic_policy()]).await).await;
}

/// `hardened-2` denies templates, and another policy MIME. Text may be sent all the while.
#[tokio::test]
async fn a_deny_of_templates_or_mime_ends_such_mail_and_no_other() {
    let stack = Stack::with_arguments(&[]).await;
    let account_id = "604417759203";
    let path = format!("/policy?style=hardened&version=hardened-2&account_id={account_id}");
    let hardened = stack.api(Method::GET, &path, None).await.unwrap().body;
    let tenant = stack.tenant_with(&json!({ "account_id": account_id, "policies": [hardened] })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    stack.set_policies(&tenant, &[hardened, deny("ses:SendRawEmail")]).await;

    let raw = STANDARD.encode("From: Jane <jane@example.com>\r\nSubject: Hi\r\n\r\nHello\r\n");
    let mime = mail_with(&provider_id, "mime", &json!({"raw": raw, "subject": null, "text": null}));
    let mut mails = [by_template(&provider_id, "template"), mime];
    for mail in &mut mails {
        mail["first_seen"] = json!((now() - SignedDuration::from_mins(20)).to_string());
    }
    stack.enqueue_mails(&mails).await;
    for mail_id in ["template", "mime"] {
        let fate = stack.mail_in_state(&provider_id, mail_id, &["not_accepted", "rejected"]).await;
        assert_eq!((&fate["state"], &fate["reason"]), (&json!("not_accepted"), &json!("denied")), "{fate}");
    }
    age_denials(&stack, SignedDuration::from_mins(16)).await;
    stack.kill_processes("send").await;
    stack.enqueue_mails(&mails).await;
    let reason = format!("permission_missing:arn:aws:ses:us-east-1:{account_id}:identity/example.com");
    for mail_id in ["template", "mime"] {
        let fate = stack.mail_in_state(&provider_id, mail_id, &["rejected", "sent"]).await;
        assert_eq!((&fate["state"], &fate["reason"]), (&json!("rejected"), &json!(reason)), "{fate}");
    }

    // While such mail of another sender waits, text goes on.
    let mut waiting = by_template(&provider_id, "waiting");
    waiting["from"] = json!("ann@example.com");
    stack.enqueue_mail(&waiting).await.unwrap();
    let fate = stack.mail_in_state(&provider_id, "waiting", &["not_accepted", "rejected"]).await;
    assert_eq!((&fate["state"], &fate["reason"]), (&json!("not_accepted"), &json!("denied")), "{fate}");
    stack.enqueue_mail(&mail(&provider_id, "text")).await.unwrap();
    stack.mail_in_state(&provider_id, "text", &["sent"]).await;
    assert_eq!(stack.get_provider(&provider_id).await.body["status"], "active");
    assert!(stack.events("Provider Suspended").await.unwrap().is_empty());
    assert_eq!(stack.inbox(account_id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_template_finds_out_that_a_deny_meets_text_too_and_suspends() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_policies(&tenant, &denying_policies()).await;
    stack.enqueue_mail(&by_template(&provider_id, "waiting")).await.unwrap();
    let event = stack.provider_event("Provider Suspended", &provider_id).await;
    assert_eq!(event["detail"]["reason"], "quarantined");
    assert!(stack.events("Mail Rejected").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_pause_that_the_account_confirms_suspends_and_the_mail_flows_when_it_is_over() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "paused": true })).await;
    stack.enqueue_mail(&mail(&provider_id, "waiting")).await.unwrap();
    let event = stack.provider_event("Provider Suspended", &provider_id).await;
    assert_eq!(event["detail"]["reason"], "sending_paused");
    resumes(&stack, &tenant, &provider_id, async || stack.set_faults(&tenant, &json!({})).await).await;
}

/// Mends what suspended a provider, and waits until it is active and its next mail is sent.
async fn resumes(stack: &Stack, tenant: &Tenant, provider_id: &str, mend: impl AsyncFn()) {
    // While it lasts, a look leaves it suspended.
    age_suspension(stack, provider_id).await;
    stack.enqueue_mail(&mail(provider_id, "too-early")).await.unwrap();
    stack.eventually_delayed(2).await;
    assert_eq!(stack.get_provider(provider_id).await.body["status"], "suspended");

    mend().await;
    age_looks(stack, tenant).await;
    stack.enqueue_mail(&mail(provider_id, "next")).await.unwrap();
    stack.mail_in_state(provider_id, "next", &["sent"]).await;
    stack.provider_event("Provider Resumed", provider_id).await;
    assert_eq!(stack.get_provider(provider_id).await.body["status"], "active");
    let trail = Tables::new(stack).await.audit_trail(provider_id).await;
    assert_eq!(trail, ["onboarded", "suspended", "resumed"]);
}

/// Makes all recorded denials older.
async fn age_denials(stack: &Stack, by: SignedDuration) {
    let (dynamodb, table) = stack.table("MailsTable").await;
    let time = AttributeValue::N((now() - by).as_millisecond().to_string());
    let items = dynamodb.scan().table_name(&table).send().await.unwrap().items.unwrap_or_default();
    let denials: Vec<_> = items.into_iter().filter(|item| item.contains_key("first_denied_at")).collect();
    assert!(!denials.is_empty(), "no denial is recorded");
    for item in denials {
        let update =
            dynamodb.update_item().table_name(&table).key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
        let update =
            update.update_expression("SET first_denied_at = :time").expression_attribute_values(":time", time.clone());
        update.send().await.unwrap();
    }
}

/// Makes a suspension old enough to be looked at.
async fn age_suspension(stack: &Stack, provider_id: &str) {
    let (dynamodb, table) = stack.table("ProvidersTable").await;
    let pk = string(&format!("provider#{provider_id}"));
    eventually("the suspension is stored", || async {
        let item =
            dynamodb.get_item().table_name(&table).key("pk", pk.clone()).key("sk", string("provider")).send().await;
        (item.unwrap().item.unwrap()["status"] == string("suspended")).then_some(())
    })
    .await;
    let time = string(&(now() - SignedDuration::from_mins(2)).to_string());
    let update = dynamodb.update_item().table_name(&table).key("pk", pk.clone()).key("sk", string("provider"));
    let update = update.update_expression("SET updated_at = :time").expression_attribute_values(":time", time);
    update.send().await.unwrap();
}

/// Makes the last look at a suspended provider old enough for the next one.
async fn age_looks(stack: &Stack, tenant: &Tenant) {
    let (dynamodb, table) = stack.table("MailsTable").await;
    let time = AttributeValue::N((now() - SignedDuration::from_mins(6)).as_millisecond().to_string());
    let update = dynamodb
        .update_item()
        .table_name(table)
        .key("pk", string(&format!("refused#{}", tenant.access_key_id)))
        .key("sk", string("refused"));
    let update = update
        .update_expression("SET looked_at = :time")
        .condition_expression("attribute_exists(looked_at)")
        .expression_attribute_values(":time", time);
    update.send().await.unwrap();
}
