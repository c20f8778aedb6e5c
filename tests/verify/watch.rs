//! The watch: providers that are in use are verified again, and what has changed is seen, told and acted on.

use serde_json::{Value, json};

use crate::support::{Stack, Tables, eventually, mail, policy_allowing, timestamp, wait_for_nothing};

/// What a key may do that is good for nothing but sending.
const WITHOUT_DELETION: [&str; 3] = ["ses:SendEmail", "ses:GetAccount", "iam:GetUser"];

/// Has a provider verified whose failure was seen more than an hour ago.
async fn confirm(stack: &Stack, provider_id: &str) -> Value {
    Tables::new(stack).await.set_failing_since(provider_id).await;
    stack.verify_provider(provider_id).await
}

#[tokio::test]
async fn a_verification_that_is_asked_for_makes_all_checks_once_and_shows_its_report() {
    let stack = &Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    assert_eq!(stack.get_verification(&provider_id, "latest").await.status, 404);
    let onboarded = stack.get_provider(&provider_id).await.body;
    stack.set_faults(&tenant, &json!({ "on": ["sts:GetCallerIdentity"], "latency_ms": 1500 })).await;

    let asked = stack.ask_verification(&provider_id).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let id = asked.body["verification_id"].as_str().unwrap();
    assert_eq!(asked.headers["location"], format!("/providers/{provider_id}/verifications/{id}"));
    assert_eq!(stack.ask_verification(&provider_id).await.body, asked.body, "one runs already");
    assert_eq!(stack.get_verification(&provider_id, "latest").await.body["state"], "running");

    let finished = stack.finished_verification(&provider_id, id).await;
    assert_eq!(finished["report"]["verdict"], "accepted", "{finished}");
    assert_eq!(finished["report"]["checks"].as_array().unwrap().len(), 20);
    assert_eq!(finished["provider_status"], json!({ "status": "active" }));
    assert!(finished["asked_by"].as_str().unwrap().starts_with("arn:aws:iam::123456789012:"), "{finished}");
    assert_eq!(stack.get_verification(&provider_id, "latest").await.body, finished);
    let shown = stack.get_provider(&provider_id).await.body;
    assert!(timestamp(&shown["watch"]["verified_at"]) > timestamp(&onboarded["watch"]["verified_at"]), "{shown}");
    assert!(timestamp(&shown["watch"]["next_check_at"]) > timestamp(&shown["watch"]["checked_at"]), "{shown}");
    assert_eq!(shown["report"], finished["report"]);
    assert_eq!(shown["watch"]["account"]["enforcement"], "HEALTHY");
    assert_ne!(stack.ask_verification(&provider_id).await.body["verification_id"], id, "the first has ended");
    // One of two requests at the same time was answered by the other's.
    assert_eq!(Tables::new(stack).await.audit_trail(&provider_id).await, ["onboarded"]);

    for (provider_id, id) in [(provider_id.as_str(), "vfy_01ARZ3NDEKTSV4RRFFQ69G5FAV"), (provider_id.as_str(), "x")] {
        assert_eq!(stack.get_verification(provider_id, id).await.status, 404);
    }
    assert_eq!(stack.ask_verification("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").await.status, 404);
}

#[tokio::test]
async fn what_aws_has_changed_is_shown_told_and_used() {
    let stack = &Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.other_user(&tenant, &json!({ "max_send_rate": 50 })).await;
    stack.set_faults(&tenant, &json!({ "enforcement": "PROBATION" })).await;
    stack.verify_provider(&provider_id).await;
    let shown = stack.get_provider(&provider_id).await.body;
    assert_eq!((&shown["quota"]["max_send_rate"], &shown["status"]), (&json!(50.0), &json!("active")));
    assert_eq!(shown["watch"]["account"]["enforcement"], "PROBATION");
    let event = stack.provider_event("Provider Changed", &provider_id).await;
    let changes = &event["detail"]["changes"];
    assert_eq!(changes[0], json!({ "field": "max_send_rate", "before": 14.0, "after": 50.0 }), "{changes}");
    assert!(changes.as_array().unwrap().contains(&json!({
        "field": "enforcement", "before": "HEALTHY", "after": "PROBATION",
    })));
    assert_eq!(event["source"], "sendingbee.verify");
    assert_eq!(Tables::new(stack).await.audit_trail(&provider_id).await, ["onboarded", "changed"]);

    // Seen again, it is told no more.
    stack.verify_provider(&provider_id).await;
    assert_eq!(stack.provider_events("Provider Changed", &provider_id).await.len(), 1);
}

#[tokio::test]
async fn a_key_that_the_tenant_deleted_is_told_once_after_two_looks_and_its_mail_is_kept() {
    let stack = &Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.delete_key_as_admin(&tenant).await;
    let first = stack.verify_provider(&provider_id).await;
    assert_eq!(
        (&first["report"]["verdict"], &first["provider_status"]["status"]),
        (&json!("refused"), &json!("active"))
    );
    let shown = stack.get_provider(&provider_id).await.body;
    assert_eq!(shown["watch"]["failing"]["reason"], "key_gone", "{shown}");

    let second = confirm(stack, &provider_id).await;
    assert_eq!(second["provider_status"], json!({ "status": "suspended", "reason": "key_gone" }));
    let event = stack.provider_event("Provider Suspended", &provider_id).await;
    let notice = event["detail"]["tenant_notice"].as_str().unwrap();
    assert!(notice.contains(&tenant.account_id) && !notice.contains(&tenant.access_key_id), "{notice}");
    let shown = stack.get_provider(&provider_id).await.body;
    assert!(notice.ends_with(shown["remedy"].as_str().unwrap()), "{shown}");

    stack.enqueue_mail(&mail(&provider_id, "kept")).await.unwrap();
    confirm(stack, &provider_id).await;
    wait_for_nothing(2.0).await;
    assert_eq!(stack.provider_events("Provider Suspended", &provider_id).await.len(), 1);
    assert_eq!(stack.accepted_copies(&tenant, "kept").await, 0);
    let kept = stack.mail_in_state(&provider_id, "kept", &["waiting", "sent", "rejected"]).await;
    assert_eq!((&kept["state"], &kept["reason"]), (&json!("waiting"), &json!("suspended")), "{kept}");
}

#[tokio::test]
async fn a_key_that_may_too_much_or_too_little_is_suspended_until_a_pass_of_all_checks() {
    let stack = &Stack::shared().await;
    for (policies, reason) in [
        (vec![policy_allowing(&WITHOUT_DELETION)], "not_revocable"),
        (vec![policy_allowing(&["*"])], "excess_permissions"),
        (vec![policy_allowing(&["iam:GetUser", "iam:DeleteAccessKey", "ses:GetAccount"])], "permission_missing"),
    ] {
        let (tenant, provider_id) = stack.create_provider("acme").await;
        stack.set_policies(&tenant, &policies).await;
        let first = stack.verify_provider(&provider_id).await;
        assert_eq!(first["provider_status"]["status"], "active", "{reason}: {first}");
        let second = confirm(stack, &provider_id).await;
        assert_eq!(second["provider_status"], json!({ "status": "suspended", "reason": reason }), "{second}");

        let classic = stack.api(reqwest::Method::GET, "/policy?style=classic", None).await.unwrap().body;
        stack.set_policies(&tenant, &[classic]).await;
        let mended = stack.verify_provider(&provider_id).await;
        assert_eq!(mended["provider_status"], json!({ "status": "active" }), "{mended}");
        assert_eq!(stack.provider_event("Provider Resumed", &provider_id).await["detail"]["reason"], reason);
        let trail = Tables::new(stack).await.audit_trail(&provider_id).await;
        assert_eq!(trail, ["onboarded", "suspended", "resumed"]);
        let shown = stack.get_provider(&provider_id).await.body;
        assert!(shown.get("remedy").is_none() && shown["watch"].get("failing").is_none(), "{shown}");
    }
}

#[tokio::test]
async fn what_aws_does_not_answer_is_never_the_key_s_fault() {
    let stack = &Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    for faults in [
        json!({ "on": ["sts:GetCallerIdentity"], "server_error": 100 }),
        json!({ "on": ["ses:GetAccount"], "throttle_chance": 1 }),
        json!({ "on": ["iam:GetUser"], "reset_after": 100 }),
    ] {
        stack.set_faults(&tenant, &faults).await;
        let verification = stack.verify_provider(&provider_id).await;
        assert_ne!(verification["report"]["verdict"], "accepted", "{faults}");
        let shown = stack.get_provider(&provider_id).await.body;
        assert_eq!(shown["status"], "active", "{shown}");
        assert!(shown["watch"].get("failing").is_none(), "{shown}");
        assert!(shown["watch"]["unanswered"].as_u64().unwrap() > 0, "{shown}");
    }
    stack.set_faults(&tenant, &json!({})).await;
    stack.verify_provider(&provider_id).await;
    assert!(stack.get_provider(&provider_id).await.body["watch"].get("unanswered").is_none());
}

#[tokio::test]
async fn a_quarantine_by_aws_reports_itself_and_the_key_is_revoked() {
    let stack = &Stack::shared().await;
    let account_id = "402918375610";
    let tenant = stack.hardened_tenant(account_id, &json!({})).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    stack.set_faults(&tenant, &json!({ "quarantine": "V3" })).await;
    stack.ask_verification(&provider_id).await;
    stack.eventually_stopped(&provider_id).await;
    let report = eventually("the report", || async {
        let events = stack.events("Credential Breach").await.unwrap();
        events.into_iter().find(|event| event["detail"]["scope"]["access_key_id"] == tenant.access_key_id.as_str())
    })
    .await;
    assert_eq!(
        (&report["source"], &report["detail"]["reported_by"]),
        (&json!("sendingbee.security"), &json!("verify-worker"))
    );
    // The verification that was asked for ends, and no other is made.
    let latest = stack.get_verification(&provider_id, "latest").await.body;
    assert_eq!(latest["state"], "finished", "{latest}");
    let refused = stack.ask_verification(&provider_id).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
}

#[tokio::test]
async fn what_is_due_is_verified_by_the_schedule_cheaply_unless_a_week_has_passed() {
    let stack = &Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let tables = Tables::new(stack).await;
    let probes = || async {
        let requests = stack.requests(&tenant).await;
        requests.iter().filter(|request| request["operation"] == "UpdateAccessKey").count()
    };
    let before = stack.get_provider(&provider_id).await.body;
    let at_onboarding = probes().await;
    assert!(at_onboarding > 0, "onboarding makes all checks");

    stack.run_watch().await;
    wait_for_nothing(1.0).await;
    assert_eq!(stack.get_provider(&provider_id).await.body["watch"], before["watch"], "it is not due");

    assert!(tables.make_watch_due(&provider_id).await);
    stack.run_watch().await;
    let checked = timestamp(&before["watch"]["checked_at"]);
    let cheap =
        stack.provider_when(&provider_id, "verified", |shown| timestamp(&shown["watch"]["checked_at"]) > checked).await;
    assert_eq!(cheap["watch"]["verified_at"], before["watch"]["verified_at"]);
    assert_eq!(probes().await, at_onboarding, "a cheap verification makes no probe that is denied");

    tables.set_watch_time(&provider_id, "verified_at").await;
    assert!(tables.make_watch_due(&provider_id).await);
    stack.run_watch().await;
    stack
        .provider_when(&provider_id, "verified whole", |shown| {
            timestamp(&shown["watch"]["verified_at"]) > timestamp(&before["watch"]["verified_at"])
        })
        .await;
    assert!(probes().await > at_onboarding);
}

#[tokio::test]
async fn a_worker_that_is_killed_loses_no_verification_and_no_news() {
    let stack = &Stack::with_arguments(&["--parameter", "VerificationVisibilityTimeout=240"]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.other_user(&tenant, &json!({ "max_send_rate": 50 })).await;
    stack.set_faults(&tenant, &json!({ "on": ["iam:GetUser"], "latency_ms": 2000 })).await;
    let asked = stack.ask_verification(&provider_id).await;
    let verification_id = asked.body["verification_id"].as_str().unwrap().to_owned();
    eventually("a process of verify-worker", || async {
        (!stack.process_ids("verify-worker").await.is_empty()).then_some(())
    })
    .await;
    wait_for_nothing(0.5).await;
    assert!(stack.kill_processes("verify-worker").await > 0);
    assert_eq!(stack.get_verification(&provider_id, &verification_id).await.body["state"], "running");
    stack.set_faults(&tenant, &json!({})).await;
    // The message is hidden for minutes; the schedule finds the provider due before that.
    assert!(Tables::new(stack).await.make_watch_due(&provider_id).await);
    stack.run_watch().await;
    stack.finished_verification(&provider_id, &verification_id).await;
    stack.provider_event("Provider Changed", &provider_id).await;

    // Nor if the bus is away when it would tell.
    stack.other_user(&tenant, &json!({ "user_name": "mailer-3", "max_send_rate": 70 })).await;
    let own_faults = |rules: Value| async move {
        let set = stack.local_api(reqwest::Method::PUT, "/faults", Some(&json!({ "rules": rules }))).await.unwrap();
        assert!(set.status.is_success(), "{}", set.text);
    };
    own_faults(json!([{ "on": ["events:PutEvents"], "server_error": 100_000 }])).await;
    stack.verify_provider(&provider_id).await;
    assert_eq!(stack.get_provider(&provider_id).await.body["quota"]["max_send_rate"], 70.0);
    assert_eq!(stack.provider_events("Provider Changed", &provider_id).await.len(), 1);
    own_faults(json!([])).await;
    assert!(Tables::new(stack).await.make_watch_due(&provider_id).await);
    stack.run_watch().await;
    eventually("the second event", || async {
        (stack.provider_events("Provider Changed", &provider_id).await.len() == 2).then_some(())
    })
    .await;
}
