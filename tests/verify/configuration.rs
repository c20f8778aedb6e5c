//! The configuration of a tenant's SES, with its consent.

use std::time::Duration;

use aws_sdk_sesv2::types::{SuppressionListReason, TlsPolicy};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{
    Stack, Tables, assert_receipt, configuration_set, eventually, mail_with, policy_allowing, seconds_between, set_name,
};
use operator::Tenant;

/// What SES takes once a second for an account and Region.
const CONFIGURING: [&str; 7] = [
    "GetConfigurationSet",
    "CreateConfigurationSet",
    "PutConfigurationSetDeliveryOptions",
    "PutConfigurationSetSuppressionOptions",
    "DeleteConfigurationSet",
    "ListEmailIdentities",
    "GetEmailIdentity",
];

/// The calls of the configuration with a tenant's key since it was onboarded, oldest first.
async fn calls(stack: &Stack, tenant: &Tenant) -> Vec<Value> {
    let mut requests = stack.requests(tenant).await;
    requests.retain(|request| request["access_key_id"] == tenant.access_key_id.as_str());
    // The checks of onboarding come first, and list identities too.
    let first = requests.iter().position(|request| request["operation"] == "GetConfigurationSet").unwrap_or(usize::MAX);
    let mut requests = requests.split_off(first.min(requests.len()));
    requests.retain(|request| CONFIGURING.contains(&request["operation"].as_str().unwrap()));
    requests
}

fn operations(calls: &[Value]) -> Vec<&str> {
    calls.iter().map(|call| call["operation"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_consent_makes_the_set_call_by_call_and_tells_which_dns_records_are_missing() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let tenant = stack.tenant_with(&json!({ "unverified_identities": ["new.example", "jane@example.org"] })).await;
    let ses = stack.ses_of_root(&tenant).await;
    let mail_from = ses.put_email_identity_mail_from_attributes().email_identity("new.example");
    mail_from.mail_from_domain("bounce.new.example").send().await.unwrap();
    let provider_id = stack.onboard_configured(&tenant).await;
    let shown = stack.configuration_when(&provider_id, "standing", |_| true).await;

    let set = configuration_set(&ses, &provider_id).await.unwrap();
    assert_eq!(set.delivery_options().unwrap().tls_policy(), Some(&TlsPolicy::Require));
    let mut reasons = set.suppression_options().unwrap().suppressed_reasons().to_vec();
    reasons.sort();
    assert_eq!(reasons, [SuppressionListReason::Bounce, SuppressionListReason::Complaint]);
    let tags: Vec<_> = set.tags().iter().map(|tag| (tag.key(), tag.value())).collect();
    assert_eq!(tags, [("sendingbee-provider", provider_id.as_str())]);

    assert_eq!(shown["configuration_set"], set_name(&provider_id));
    assert!(shown["consent"]["signed_by"].as_str().unwrap().starts_with("arn:aws:"), "{shown}");
    assert_eq!((&shown["missing_rights"], &shown["changes"][0]["change"]), (&json!([]), &json!("create")));
    assert!(seconds_between(&shown["looked_at"], &shown["next_look_at"]) >= 24.0 * 3600.0, "{shown}");
    let identity = |name: &str| {
        let identities = shown["identities"].as_array().unwrap();
        identities.iter().find(|identity| identity["name"] == name).unwrap_or_else(|| panic!("{shown}")).clone()
    };
    let new = identity("new.example");
    let records: Vec<String> = new["dns_records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| format!("{} {} {}", record["name"], record["type"], record["required"]).replace('"', ""))
        .collect();
    assert_eq!(
        records,
        [
            "token1._domainkey.new.example CNAME true",
            "token2._domainkey.new.example CNAME true",
            "token3._domainkey.new.example CNAME true",
            "bounce.new.example MX true",
            "bounce.new.example TXT true",
            "_dmarc.new.example TXT false",
        ],
        "{new}"
    );
    assert_eq!(new["dns_records"][3]["value"], "10 feedback-smtp.us-east-1.amazonses.com");
    assert_eq!(new["verified"], false);
    let verified = identity("example.com");
    assert_eq!((&verified["verified"], verified["hints"].as_array().map(Vec::len)), (&json!(true), Some(1)));
    assert!(identity("jane@example.org")["dns_records"].is_null());

    let calls = calls(&stack, &tenant).await;
    assert_eq!(
        operations(&calls),
        [
            "GetConfigurationSet",
            "CreateConfigurationSet",
            "ListEmailIdentities",
            "GetEmailIdentity",
            "GetEmailIdentity"
        ]
    );
    for pair in calls.windows(2) {
        // The times are those of the answers, which may come sooner or later.
        assert!(seconds_between(&pair[0]["at"], &pair[1]["at"]) >= 0.9, "{pair:?}");
    }
    let event = stack.provider_event("Configuration Changed", &provider_id).await;
    assert_eq!(event["source"], "sendingbee.verify", "{event}");
    assert_eq!((&event["detail"]["state"], &event["detail"]["changes"]), (&json!("standing"), &json!(["create"])));
    let trail = tables.audit_trail(&provider_id).await;
    assert_eq!(trail, ["onboarded", "configuration_set_created"]);

    // Mail uses it if it names it, and only then.
    for (mail_id, fields) in [("with", json!({ "configuration_set": set_name(&provider_id) })), ("without", json!({}))]
    {
        stack.enqueue_mail(&mail_with(&provider_id, mail_id, &fields)).await.unwrap();
        stack.mail_in_state(&provider_id, mail_id, &["sent"]).await;
    }
    let inbox = stack.inbox(&tenant.account_id).await.unwrap();
    let sets: Vec<&Value> = inbox.iter().map(|mail| &mail["configuration_set"]).collect();
    assert_eq!(sets, [&json!(set_name(&provider_id)), &Value::Null]);
}

#[tokio::test]
async fn what_somebody_changed_is_mended_and_what_we_do_not_set_stays() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.agree_to_configuration(&provider_id).await;
    stack.configuration_when(&provider_id, "standing", |_| true).await;
    let ses = stack.ses_of_root(&tenant).await;
    let name = set_name(&provider_id);

    let delivery = ses.put_configuration_set_delivery_options().configuration_set_name(&name);
    delivery.tls_policy(TlsPolicy::Optional).max_delivery_seconds(600).send().await.unwrap();
    ses.put_configuration_set_suppression_options().configuration_set_name(&name).send().await.unwrap();
    assert!(tables.make_configuration_due(&provider_id).await);
    let changed = |count: usize| move |shown: &Value| shown["changes"].as_array().unwrap().len() == count;
    let mended = stack.configuration_when(&provider_id, "standing", changed(3)).await;
    let changes: Vec<_> =
        mended["changes"].as_array().unwrap().iter().map(|made| (&made["change"], &made["repaired_drift"])).collect();
    assert_eq!(
        changes,
        [(&json!("create"), &json!(false)), (&json!("require_tls"), &json!(true)), (&json!("suppress"), &json!(true))]
    );
    let set = configuration_set(&ses, &provider_id).await.unwrap();
    let delivery = set.delivery_options().unwrap();
    assert_eq!((delivery.tls_policy(), delivery.max_delivery_seconds()), (Some(&TlsPolicy::Require), Some(600)));
    assert_eq!(set.suppression_options().unwrap().suppressed_reasons().len(), 2);

    ses.delete_configuration_set().configuration_set_name(&name).send().await.unwrap();
    assert!(tables.make_configuration_due(&provider_id).await);
    stack.configuration_when(&provider_id, "standing", changed(4)).await;
    assert!(configuration_set(&ses, &provider_id).await.is_some());

    // Nothing has changed: nothing is done, and nobody is told.
    let told = stack.provider_events("Configuration Changed", &provider_id).await.len();
    let before = calls(&stack, &tenant).await.len();
    assert!(tables.make_configuration_due(&provider_id).await);
    stack.run_watch_schedule().await;
    let later = eventually("another look", || async {
        let calls = calls(&stack, &tenant).await;
        (calls.len() >= before + 3).then_some(calls)
    })
    .await;
    let reads = ["GetConfigurationSet", "ListEmailIdentities", "GetEmailIdentity"];
    assert!(operations(&later[before..]).iter().all(|made| reads.contains(made)), "{later:?}");
    assert_eq!(stack.provider_events("Configuration Changed", &provider_id).await.len(), told);
    let trail = tables.audit_trail(&provider_id).await;
    assert_eq!(
        trail[1..],
        [
            "configuration_agreed",
            "configuration_set_created",
            "configuration_set_repaired",
            "configuration_set_repaired",
            "configuration_set_created"
        ]
    );
}

#[tokio::test]
async fn a_set_of_the_same_name_that_is_not_ours_is_left_alone_and_said() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let ses = stack.ses_of_root(&tenant).await;
    ses.create_configuration_set().configuration_set_name(set_name(&provider_id)).send().await.unwrap();
    stack.agree_to_configuration(&provider_id).await;
    let shown = stack.configuration_when(&provider_id, "foreign", |_| true).await;
    assert!(shown["remedy"].as_str().unwrap().contains("does not carry our tag"), "{shown}");
    assert_eq!(shown["changes"], json!([]));
    let event = stack.provider_event("Configuration Changed", &provider_id).await;
    assert_eq!(event["detail"]["state"], "foreign", "{event}");

    // A withdrawn consent takes nothing down that is not ours.
    assert_eq!(stack.configuration_api(Method::DELETE, &provider_id).await.status, 202);
    stack.configuration_when(&provider_id, "removed", |_| true).await;
    let set = configuration_set(&ses, &provider_id).await.unwrap();
    assert!(set.delivery_options().is_none() && set.suppression_options().is_none(), "{set:?}");
    let calls = calls(&stack, &tenant).await;
    assert!(operations(&calls).iter().all(|name| !name.starts_with("Put") && !name.starts_with("Delete")), "{calls:?}");
}

#[tokio::test]
async fn a_missing_right_is_said_with_its_remedy_and_the_remedy_helps() {
    let stack = Stack::shared().await;
    let account_id = "604417725318";
    let tenant = stack.hardened_tenant(account_id, &json!({})).await;
    let provider_id = stack.onboard_configured(&tenant).await;
    let shown = stack.configuration_when(&provider_id, "rights_missing", |_| true).await;
    let rights = shown["missing_rights"].as_array().unwrap();
    let actions: Vec<&str> = rights.iter().map(|right| right["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["ses:GetConfigurationSet", "ses:GetEmailIdentity"], "{shown}");
    assert!(
        rights[0]["resource"].as_str().unwrap().ends_with(&format!(":configuration-set/{}", set_name(&provider_id)))
    );
    // `hardened-3` denies what it does not list.
    assert_eq!(rights[0]["is_explicit"], true);
    let remedy = rights[0]["remedy"].as_str().unwrap();
    let path = format!("/policy?account_id={account_id}&consent=configure&style=hardened");
    assert!(remedy.contains(&format!("GET {path}")) && remedy.contains("hardened-3-configure"), "{remedy}");
    let event = stack.provider_event("Configuration Changed", &provider_id).await;
    assert_eq!(event["detail"]["missing_rights"], json!(actions), "{event}");
    // It is looked at again within the hour; the provider sends as before.
    assert!(seconds_between(&shown["looked_at"], &shown["next_look_at"]) <= 3660.0, "{shown}");
    assert!(seconds_between(&shown["consent"]["at"], &rights[0]["since"]) >= 0.0, "{shown}");
    assert_eq!(stack.provider_status(&provider_id).await, "active");

    let policy = stack.api(Method::GET, &path, None).await.unwrap().body;
    stack.set_policies(&tenant, &[policy]).await;
    stack.agree_to_configuration(&provider_id).await;
    let shown = stack.configuration_when(&provider_id, "standing", |_| true).await;
    assert_eq!(shown["missing_rights"], json!([]));
    assert!(configuration_set(&stack.ses_of_root(&tenant).await, &provider_id).await.is_some());
    assert!(shown["identities"][0]["dns_records"].is_array(), "{shown}");

    // The document allows the take-down too.
    assert_eq!(stack.configuration_api(Method::DELETE, &provider_id).await.status, 202);
    stack.configuration_when(&provider_id, "removed", |_| true).await;
    assert_eq!(stack.configuration_api(Method::DELETE, &provider_id).await.status, 200);
    assert!(configuration_set(&stack.ses_of_root(&tenant).await, &provider_id).await.is_none());
}

#[tokio::test]
async fn whatever_is_killed_the_set_is_made_once_and_taken_down() {
    let stack = Stack::with_arguments(&[]).await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    // Each call is long enough to be killed before, in and after.
    let slow = json!({ "on": ["ses:GetConfigurationSet", "ses:CreateConfigurationSet", "ses:DeleteConfigurationSet"],
        "latency_ms": 300 });
    stack.set_faults(&tenant, &slow).await;
    stack.agree_to_configuration(&provider_id).await;
    kill_at_every_moment(&stack, &tables, &provider_id).await;
    stack.configuration_when(&provider_id, "standing", |_| true).await;
    let made = |name: &str| {
        let name = name.to_owned();
        let stack = &stack;
        let tenant = &tenant;
        async move {
            let calls = calls(stack, tenant).await;
            calls.iter().filter(|call| call["operation"] == name.as_str() && call["status"] == 200).count()
        }
    };
    assert_eq!(made("CreateConfigurationSet").await, 1);
    let count = |trail: &[String], event: &str| trail.iter().filter(|found| *found == event).count();
    assert_eq!(count(&tables.audit_trail(&provider_id).await, "configuration_set_created"), 1);

    assert_eq!(stack.configuration_api(Method::DELETE, &provider_id).await.status, 202);
    kill_at_every_moment(&stack, &tables, &provider_id).await;
    stack.configuration_when(&provider_id, "removed", |_| true).await;
    assert_eq!(made("DeleteConfigurationSet").await, 1);
    assert_eq!(count(&tables.audit_trail(&provider_id).await, "configuration_set_deleted"), 1);
    assert!(configuration_set(&stack.ses_of_root(&tenant).await, &provider_id).await.is_none());
}

/// Has the worker take up the configuration again and again, and kills it a little later each time.
async fn kill_at_every_moment(stack: &Stack, tables: &Tables, provider_id: &str) {
    let event: Value = serde_json::from_str(include_str!("../../events/verify-worker-watch.json")).unwrap();
    for round in 0_u64..14 {
        tables.make_configuration_due(provider_id).await;
        // Killed in it too, so whatever it answers.
        let _ = stack.local_api(Method::POST, "/functions/verify-worker/invoke", Some(&event)).await;
        sleep(Duration::from_millis(200 * round)).await;
        stack.kill_processes("verify-worker").await;
    }
}

#[tokio::test]
async fn an_off_boarding_takes_the_set_down_before_the_key_is_gone_and_a_breach_does_not() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let configured = || async {
        let tenant = stack.classic_tenant().await;
        let provider_id = stack.onboard_configured(&tenant).await;
        stack.configuration_when(&provider_id, "standing", |_| true).await;
        (tenant, provider_id)
    };
    let ((tenant, provider_id), (reported, reported_id), (foreign, foreign_id)) =
        tokio::join!(configured(), configured(), configured());
    // Somebody has put another set in the place of ours.
    let root = stack.ses_of_root(&foreign).await;
    root.delete_configuration_set().configuration_set_name(set_name(&foreign_id)).send().await.unwrap();
    root.create_configuration_set().configuration_set_name(set_name(&foreign_id)).send().await.unwrap();

    let off_board = |provider_id: String| {
        let stack = &stack;
        async move {
            let path = format!("/providers/{provider_id}");
            let response = stack.api(Method::DELETE, &path, None).await.unwrap();
            assert_eq!(response.status, 202, "{}", response.text);
            let order_id = response.body["order_id"].as_str().unwrap().to_owned();
            assert_receipt(&stack.key_in_state(&order_id, "revoked").await, "deleted");
        }
    };
    let breach = async {
        let order_id = stack.revoke_key(&reported).await;
        assert_receipt(&stack.key_in_state(&order_id, "revoked").await, "deleted");
    };
    tokio::join!(off_board(provider_id.clone()), off_board(foreign_id.clone()), breach);

    assert!(configuration_set(&stack.ses_of_root(&tenant).await, &provider_id).await.is_none());
    let shown = stack.configuration_when(&provider_id, "removed", |_| true).await;
    assert!(shown["next_look_at"].is_null(), "{shown}");
    let trail = tables.audit_items(&provider_id).await;
    let deleted = trail.iter().find(|item| item["event"].as_s().unwrap() == "configuration_set_deleted").unwrap();
    assert_eq!(deleted["by"].as_s().unwrap(), "revoke-worker");

    assert!(configuration_set(&root, &foreign_id).await.is_some());
    assert!(configuration_set(&stack.ses_of_root(&reported).await, &reported_id).await.is_some());
    let after_breach = calls(&stack, &reported).await;
    assert!(!operations(&after_breach).contains(&"DeleteConfigurationSet"), "{after_breach:?}");
    // A stopped provider is left alone, whatever was due.
    tables.make_configuration_due(&reported_id).await;
    stack.run_watch_schedule().await;
    let response = stack.configuration_api(Method::PUT, &reported_id).await;
    assert_eq!(
        (response.status.as_u16(), response.body["type"].as_str()),
        (409, Some("urn:sendingbee:problem:provider-stopped"))
    );
    assert_eq!(calls(&stack, &reported).await.len(), after_breach.len());
}

#[tokio::test]
async fn a_take_down_that_fails_or_hangs_does_not_keep_the_key_alive() {
    let stack = Stack::shared().await;
    let configured = || async {
        let tenant = stack.classic_tenant().await;
        let provider_id = stack.onboard_configured(&tenant).await;
        stack.configuration_when(&provider_id, "standing", |_| true).await;
        (tenant, provider_id)
    };
    let ((hanging, hanging_id), (denied, denied_id)) = tokio::join!(configured(), configured());
    let hang = json!({ "on": ["ses:GetConfigurationSet"], "hang_ms": 60_000 });
    stack.set_faults(&hanging, &hang).await;
    let rights = ["ses:Send*", "ses:GetAccount", "ses:ListEmailIdentities", "iam:GetUser", "iam:DeleteAccessKey"];
    stack.set_policies(&denied, &[policy_allowing(&rights)]).await;
    for (tenant, provider_id) in [(&hanging, &hanging_id), (&denied, &denied_id)] {
        let response = stack.api(Method::DELETE, &format!("/providers/{provider_id}"), None).await.unwrap();
        let order_id = response.body["order_id"].as_str().unwrap().to_owned();
        let key = stack.key_in_state(&order_id, "revoked").await;
        assert_receipt(&key, "deleted");
        let order = stack.get_order(&order_id).await;
        assert!(seconds_between(&order["created_at"], &key["receipt"]["deleted_at"]) < 30.0, "{order}");
        assert!(!stack.has_key(tenant).await);
        assert!(configuration_set(&stack.ses_of_root(tenant).await, provider_id).await.is_some());
    }
}

#[tokio::test]
async fn a_configuration_that_nobody_agreed_to_is_not_there() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(stack.configuration_api(method, &provider_id).await.status, 404);
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        assert_eq!(stack.configuration_api(method, "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").await.status, 404);
    }
    stack.run_watch_schedule().await;
    assert_eq!(calls(&stack, &tenant).await, Vec::<Value>::new());
}
