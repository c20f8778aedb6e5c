//! AWS's own notices, forwarded from tenants' accounts to a bus of their own.

use fakecloud_aws::event_pattern;
use operator::{ApiResponse, Tenant};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, assert_receipt, eventually};

const WITH_NOTICES: [&str; 2] = ["--parameter", "TenantNotices=on"];

#[tokio::test]
async fn a_notice_of_aws_health_revokes_every_key_that_it_names_once() {
    let notices = Notices::start().await;
    let stack = &notices.stack;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let pages = [("us-east-1", "1"), ("us-east-1", "2"), ("us-west-2", "1")];
    for (region, page) in pages {
        let mut event = health(&format!("c0ffee-{page}"), &[json!("mailer"), json!(tenant.access_key_id)]);
        event["region"] = json!(region);
        event["detail"]["page"] = json!(page);
        notices.forward(&tenant, event).await;
    }
    stack.provider_event("Provider Revoked", &provider_id).await;

    let told = eventually("three notices told", || async {
        let told = notices.told(&tenant).await;
        (told.len() == pages.len()).then_some(told)
    })
    .await;
    for notice in &told {
        assert_eq!((&notice["action"], &notice["source"]), (&json!("revoked"), &json!("aws.health")), "{notice}");
        assert_eq!((&notice["orders"], &notice["unmatched"]), (&told[0]["orders"], &json!(1)), "{notice}");
        assert_eq!(notice["provider_ids"], json!([provider_id]), "{notice}");
    }
    let [order_id] = told[0]["orders"].as_array().unwrap().as_slice() else { panic!("{told:?}") };
    let order_id = order_id.as_str().unwrap();
    assert_receipt(&stack.key_in_state(order_id, "revoked").await, "deleted");
    let order = stack.get_order(order_id).await;
    assert_eq!(order["reason"], "AWS Health: AWS_RISK_CREDENTIALS_EXPOSED");
    assert_eq!(order["reported_by"], format!("aws.health in account {}", tenant.account_id));
    assert_eq!(order["keys"][0]["order_count"], 1, "{order}");
    stack.assert_deleted_once(&tenant).await;
}

#[tokio::test]
async fn a_stranger_s_notice_is_told_and_reaches_nobody() {
    let notices = Notices::start().await;
    let stack = &notices.stack;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let stranger = stack.classic_tenant().await;
    notices.forward(&stranger, health("f00d-1", &[json!(tenant.access_key_id)])).await;
    notices.forward(&stranger, finding("UnauthorizedAccess:IAMUser/TorIPCaller", &tenant.access_key_id)).await;
    notices.forward(&stranger, quarantine("mailer")).await;
    // Claiming the tenant's account in the detail changes nothing.
    let mut claimed = health("f00d-2", &[json!(tenant.access_key_id)]);
    claimed["detail"]["affectedAccount"] = json!(tenant.account_id);
    notices.forward(&stranger, claimed).await;

    let told = eventually("four notices told", || async {
        let told = notices.told(&stranger).await;
        (told.len() == 4).then_some(told)
    })
    .await;
    assert!(told.iter().all(|notice| notice["orders"] == json!([]) && notice["provider_ids"] == json!([])), "{told:?}");
    let unmatched = stack.events("Breach Report Unmatched").await.unwrap();
    let mut reasons: Vec<_> = unmatched
        .iter()
        .filter(|event| event["detail"]["account_id"] == stranger.account_id)
        .map(|event| event["detail"]["reason"].as_str().unwrap())
        .collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["foreign_account", "foreign_account", "unknown_user"]);
    assert_eq!(stack.provider_status(&provider_id).await, "active");
    stack.assert_key_untouched(&tenant).await;

    // The same from the tenant's own account.
    notices.forward(&tenant, health("f00d-1", &[json!(tenant.access_key_id)])).await;
    stack.provider_event("Provider Revoked", &provider_id).await;
}

#[tokio::test]
async fn findings_of_listed_types_revoke_others_are_told_and_our_own_probes_are_not() {
    let notices = Notices::start().await;
    let stack = &notices.stack;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    for name in ["Recon:IAMUser/UserPermissions", "Stealth:IAMUser/PasswordPolicyChange"] {
        notices.forward(&tenant, finding(name, &tenant.access_key_id)).await;
    }
    let told = eventually("a finding told", || async { notices.told(&tenant).await.into_iter().next() }).await;
    assert_eq!(told["finding"], "Stealth:IAMUser/PasswordPolicyChange");
    assert_eq!((&told["action"], &told["reason"]), (&json!("alerted"), &json!("finding_type")), "{told}");
    assert_eq!(stack.provider_status(&provider_id).await, "active");

    notices.forward(&tenant, finding("UnauthorizedAccess:IAMUser/MaliciousIPCaller", &tenant.access_key_id)).await;
    stack.provider_event("Provider Revoked", &provider_id).await;
    assert_eq!(notices.told(&tenant).await.len(), 2, "the finding that our probes explain is not told");
}

#[tokio::test]
async fn a_quarantine_stops_every_provider_of_the_user_and_of_no_other() {
    let notices = Notices::start().await;
    let stack = &notices.stack;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let other = stack.tenant_with(&json!({ "account_id": tenant.account_id, "user_name": "other" })).await;
    let other_id = stack.onboard_provider("acme", &other).await;
    stack.set_faults(&tenant, &json!({ "quarantine": true })).await;

    let event = quarantine("MAILER");
    notices.forward(&tenant, event.clone()).await;
    notices.forward(&tenant, event).await;
    let told = eventually("both deliveries told", || async {
        let told = notices.told(&tenant).await;
        (told.len() == 2).then_some(told)
    })
    .await;
    assert_eq!(told[0]["orders"], told[1]["orders"], "{told:?}");
    assert_eq!(told[0]["provider_ids"], json!([provider_id]));
    let order_id = told[0]["orders"][0].as_str().unwrap().to_owned();
    stack.key_in_state(&order_id, "revocation_blocked{quarantined}").await;
    assert_eq!(stack.provider_status(&other_id).await, "active");
}

#[tokio::test]
async fn the_bus_takes_events_of_aws_s_services_only_and_puts_aside_what_it_does_not_know() {
    let notices = Notices::start().await;
    let stack = &notices.stack;
    let tenant = stack.classic_tenant().await;
    let mut forged = health("bad-1", &[json!("x")]);
    forged["source"] = json!("sendingbee.security");
    forged["detail-type"] = json!("Credential Breach");
    let refused = notices.try_forward(&tenant, forged).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    // Nor can anybody, not even the bus's owner, choose such a source.
    let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder()
        .event_bus_name(&notices.bus_arn)
        .source("aws.health")
        .detail_type("AWS Health Event")
        .detail("{}")
        .build();
    let put = stack.eventbridge.put_events().entries(entry).send().await.unwrap();
    assert_eq!(put.entries()[0].error_code(), Some("NotAuthorizedForSourceException"));

    let mut stray = health("stray-1", &[json!("x")]);
    stray["detail"]["eventTypeCode"] = json!("AWS_EC2_OPERATIONAL_ISSUE");
    assert_eq!(notices.try_forward(&tenant, stray).await.status, 202);
    let url = stack.queue_url("BreachDeadLetterQueue").await;
    eventually("the stray event in the dead-letter queue", || async {
        let dead = stack.sqs.receive_message().queue_url(&url).send().await.unwrap().messages.unwrap_or_default();
        dead.into_iter().find(|message| message.body().is_some_and(|body| body.contains("AWS_EC2_OPERATIONAL_ISSUE")))
    })
    .await;
}

#[tokio::test]
async fn a_deployment_that_takes_no_notices_hands_out_no_rule() {
    let stack = Stack::shared().await;
    let response = stack.api(Method::GET, "/policy/forwarding?account_id=171436882533", None).await.unwrap();
    assert_eq!(response.status, 409, "{}", response.text);
    assert!(response.text.contains("TenantNotices"), "{}", response.text);
}

/// A stack that takes notices.
struct Notices {
    stack: Stack,
    /// The target of the rule that tenants deploy.
    bus_arn: String,
}

impl Notices {
    async fn start() -> Self {
        let stack = Stack::with_arguments(&WITH_NOTICES).await;
        let template = stack.api(Method::GET, "/policy/forwarding?account_id=171436882533", None).await.unwrap();
        assert_eq!(template.status, 200, "{}", template.text);
        let target = &template.body["Resources"]["NoticeRule"]["Properties"]["Targets"][0]["Arn"];
        Self { bus_arn: target.as_str().unwrap().to_owned(), stack }
    }

    /// Forwards an event as the rule in the tenant's account does, which matches it.
    async fn forward(&self, tenant: &Tenant, event: Value) {
        let path = format!("/policy/forwarding?account_id={}", tenant.account_id);
        let template = self.stack.api(Method::GET, &path, None).await.unwrap().body;
        let pattern = &template["Resources"]["NoticeRule"]["Properties"]["EventPattern"];
        let mut in_account = event.clone();
        in_account["account"] = json!(tenant.account_id);
        assert!(event_pattern::matches(pattern, &in_account), "{in_account}");
        assert!(!event_pattern::matches(pattern, &event), "an event without the account is none of the account's");
        let response = self.try_forward(tenant, event).await;
        assert_eq!(response.status, 202, "{}", response.text);
    }

    async fn try_forward(&self, tenant: &Tenant, mut event: Value) -> ApiResponse {
        event["bus"] = json!(self.bus_arn);
        let path = format!("/tenants/{}/forwarded-events", tenant.account_id);
        self.stack.local_api(Method::POST, &path, Some(&event)).await.unwrap()
    }

    /// What operators were told about notices from the tenant's account.
    async fn told(&self, tenant: &Tenant) -> Vec<Value> {
        let events = self.stack.events("Breach Notice").await.unwrap();
        let details = events.into_iter().map(|mut event| event["detail"].take());
        details.filter(|detail| detail["account_id"] == tenant.account_id).collect()
    }
}

fn health(communication_id: &str, entities: &[Value]) -> Value {
    let entities: Vec<Value> = entities.iter().map(|entity| json!({ "entityValue": entity })).collect();
    json!({
        "source": "aws.health", "detail-type": "AWS Health Event", "region": "us-east-1",
        "detail": {
            "communicationId": communication_id, "startTime": "Thu, 26 Nov 2026 10:00:00 GMT", "service": "RISK",
            "eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED", "eventTypeCategory": "issue",
            "affectedEntities": entities, "page": "1", "totalPages": "2",
        },
    })
}

fn finding(name: &str, access_key_id: &str) -> Value {
    json!({
        "source": "aws.guardduty", "detail-type": "GuardDuty Finding",
        "detail": {
            "schemaVersion": "2.0", "id": name, "type": name, "createdAt": "2026-11-26T10:00:00Z",
            "resource": {
                "resourceType": "AccessKey",
                "accessKeyDetails": { "accessKeyId": access_key_id, "userType": "IAMUser", "userName": "mailer" },
            },
        },
    })
}

fn quarantine(user_name: &str) -> Value {
    json!({
        "source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "region": "us-east-1",
        "detail": {
            "eventSource": "iam.amazonaws.com", "eventName": "AttachUserPolicy", "eventTime": "2026-11-26T10:00:00Z",
            "eventID": "dc3c7a1b-0e8a-4e4c-8a0a-1f9a4d1a5e11",
            "requestParameters": {
                "userName": user_name, "policyArn": "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3",
            },
        },
    })
}
