//! `POST /providers` over the wire.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use shared::testing::FakeResponse;
use tokio::time::Instant;

use crate::fixtures::failure::{EXPLICIT, NO_ALLOW};
use crate::fixtures::fake_aws::{
    ACCOUNT, FakeAws, KEY_ID, account, caller, cancelled, denial, denied, identities, json_error, no_such_key,
    not_verified, query_error,
};
use crate::fixtures::{SECRET, create, json_of, outcomes, post, submission, verify};

#[tokio::test(start_paused = true)]
async fn a_good_key_is_stored_sealed_for_both_lanes_and_an_event_is_sent() {
    let aws = FakeAws::new();
    let (status, view, _) = post(&aws, &submission(), None).await;
    assert_eq!(status, 201, "{view}");
    assert_eq!(view["status"], "active");
    assert_eq!(view["access_key_id"], "AKIA…JRUX");
    assert_eq!(view["account_id"], ACCOUNT);
    assert_eq!(view["quota"], json!({"max_send_rate": 14.0, "max_24_hour_send": 50000.0}));
    assert_eq!(view["policy_breadth"], "own_user");
    assert_eq!(view["report"]["verdict"], "accepted");
    assert!(outcomes(&view["report"], "warning").is_empty());
    assert_eq!(outcomes(&view["report"], "unknown"), ["default_configuration_set", "second_key"]);
    assert_eq!((&view["assurance"], &view["report"]["assurance"]), (&json!("explicitly_denied"), &view["assurance"]));
    assert_eq!(aws.count("own:Encrypt"), 2);
    assert_eq!(aws.count("own:TransactWriteItems"), 1);

    let (bodies, stored) = aws.own_traffic();
    let sealed = base64::engine::general_purpose::STANDARD.encode(SECRET);
    let kms = bodies.iter().filter(|body| body.contains(&sealed)).count();
    assert_eq!(kms, 2, "only the two calls to KMS may hold the secret");
    assert!(!stored.contains(SECRET) && !stored.contains(&sealed));

    let sample: Value = serde_json::from_str(include_str!("../../../../events/verify-provider-verified.json")).unwrap();
    let put: Value = serde_json::from_str(bodies.last().unwrap()).unwrap();
    let entry = &put["Entries"][0];
    assert_eq!((&entry["Source"], &entry["DetailType"]), (&sample["source"], &sample["detail-type"]));
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    let mut expected = sample["detail"].clone();
    expected["provider_id"] = view["provider_id"].clone();
    assert_eq!(detail, expected);
}

#[tokio::test(start_paused = true)]
async fn a_consent_is_recorded_on_provider_and_key_with_its_signer() {
    let aws = FakeAws::new();
    let mut body = submission();
    body["consent"] = json!({"pause_sending": true});
    let (status, view, _) = post(&aws, &body, None).await;
    assert_eq!(status, 201, "{view}");
    let consent = json!({
        "pause_sending": true, "given_at": view["created_at"],
        "signed_by": "arn:aws:sts::111122223333:assumed-role/operator-backend/backend",
    });
    assert_eq!(view["consent"], consent);
    assert_eq!(view["report"]["recommended_policy"], "hardened-3-pause");
    let (bodies, _) = aws.own_traffic();
    let transaction = bodies.iter().find(|body| body.contains("\"TransactItems\"")).unwrap();
    let transaction: Value = serde_json::from_str(transaction).unwrap();
    let written = |place: usize| &transaction["TransactItems"][place]["Put"]["Item"];
    let owner = &written(0)["owner"]["M"];
    assert_eq!(owner["user_name"]["S"], view["user_arn"].as_str().unwrap().rsplit('/').next().unwrap());
    assert_eq!(owner["consent"], written(1)["consent"]);
    assert_eq!(owner["consent"]["M"]["signed_by"]["S"], consent["signed_by"]);
}

#[tokio::test(start_paused = true)]
async fn a_canary_is_noted_in_the_same_transaction_and_no_other_provider_is() {
    for (canary, expected) in [(true, vec!["canary"]), (false, vec![])] {
        let aws = FakeAws::new();
        let mut body = submission();
        body["canary"] = json!(canary);
        let (status, view, _) = post(&aws, &body, None).await;
        assert_eq!(status, 201, "{view}");
        assert_eq!(view["canary"], if canary { json!(true) } else { Value::Null });
        let (bodies, _) = aws.own_traffic();
        let transaction = bodies.iter().find(|body| body.contains("\"TransactItems\"")).unwrap();
        let transaction: Value = serde_json::from_str(transaction).unwrap();
        let writes = transaction["TransactItems"].as_array().unwrap();
        let noted: Vec<_> = writes
            .iter()
            .map(|write| &write["Put"]["Item"])
            .filter(|item| item["pk"]["S"] == "canary")
            .map(|item| {
                assert_eq!(item["sk"]["S"], view["provider_id"]);
                item["pk"]["S"].as_str().unwrap()
            })
            .collect();
        assert_eq!(noted, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_only_unwise_is_accepted_with_a_warning() {
    let old_id = "AKIAIOSFODNN7EXAMPLE";
    let cases: [(&str, &'static str, FakeResponse, &str); 5] = [
        (KEY_ID, "tenant:DeleteAccessKey elsewhere", no_such_key(), "breadth"),
        (KEY_ID, "tenant:GetAccount", account(false, true, "HEALTHY"), "sandbox"),
        (KEY_ID, "tenant:GetAccount", account(true, false, "HEALTHY"), "sending_status"),
        (KEY_ID, "tenant:GetAccount", account(true, true, "PROBATION"), "sending_status"),
        (old_id, "tenant:GetAccount", account(true, true, "HEALTHY"), "account"),
    ];
    for (id, operation, answer, check) in cases {
        let aws = FakeAws::new();
        aws.answer(operation, answer);
        let mut body = submission();
        body["access_key_id"] = json!(id);
        let (status, view, _) = post(&aws, &body, None).await;
        assert_eq!(status, 201, "{check}: {view}");
        assert_eq!(outcomes(&view["report"], "warning"), [check]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_at_fault_is_refused_by_the_right_check_and_nothing_is_stored() {
    let not_known =
        || query_error(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
    let wrong = query_error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match");
    let send_denied =
        |resource: &str| json_error(403, "AccessDeniedException", &denial("ses:SendEmail", resource, NO_ALLOW));
    let identity = format!("arn:aws:ses:eu-central-1:{ACCOUNT}:identity/invalid@invalid");
    let cases: Vec<(&'static str, FakeResponse, &[&str])> = vec![
        ("tenant:GetCallerIdentity", not_known(), &["live"]),
        ("tenant:GetCallerIdentity", wrong, &["live"]),
        ("tenant:GetCallerIdentity", caller(&format!("arn:aws:iam::{ACCOUNT}:root")), &["iam_user"]),
        ("tenant:GetCallerIdentity", caller(&format!("arn:aws:sts::{ACCOUNT}:assumed-role/a/b")), &["iam_user"]),
        ("tenant:GetUser", denied("iam:GetUser", NO_ALLOW), &["get_user"]),
        ("tenant:DeleteAccessKey", denied("iam:DeleteAccessKey", NO_ALLOW), &["delete_access_key"]),
        ("tenant:DeleteAccessKey", denied("iam:DeleteAccessKey", EXPLICIT), &["delete_access_key", "quarantine"]),
        (
            "tenant:GetAccount",
            json_error(403, "UnrecognizedClientException", "The security token included in the request is invalid."),
            &["ses_region"],
        ),
        ("tenant:GetAccount", account(true, false, "SHUTDOWN"), &["sending_status"]),
        ("tenant:SendEmail", send_denied("*"), &["sending"]),
        ("tenant:SendEmail", send_denied(&identity), &["sending"]),
        ("tenant:SendEmail", json_error(400, "AccountSuspendedException", "suspended"), &["sending_status"]),
        ("tenant:UpdateAccessKey", no_such_key(), &["excess"]),
    ];
    for (operation, answer, expected) in cases {
        let aws = FakeAws::new();
        aws.answer(operation, answer.clone());
        let (status, problem, _) = post(&aws, &submission(), None).await;
        assert_eq!(status, 422, "{operation} {answer:?}: {problem}");
        assert_eq!(problem["type"], "urn:sendingbee:problem:credential-refused");
        assert_eq!(outcomes(&problem["report"], "failed"), *expected, "{operation} {answer:?}");
        for never in ["own:Encrypt", "own:TransactWriteItems", "own:PutEvents"] {
            assert_eq!(aws.count(never), 0, "{operation} {answer:?}");
        }
        if expected != ["excess"] {
            assert_eq!(aws.count("tenant:UpdateAccessKey"), 0, "a refused key is not probed further: {operation}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_of_the_wrong_shape_makes_no_call() {
    for (field, value, check) in [
        ("access_key_id", "ASIAY34FZKBOKMUTVV7A", "long_term"),
        ("access_key_id", "nonsense", "shape"),
        ("secret_access_key", "tooshort", "shape"),
    ] {
        let aws = FakeAws::new();
        let mut body = submission();
        body[field] = json!(value);
        let (status, problem, _) = post(&aws, &body, None).await;
        assert_eq!((status, outcomes(&problem["report"], "failed")), (422, vec![check.to_owned()]));
        assert!(aws.calls().is_empty(), "{:?}", aws.calls());
    }
}

#[tokio::test(start_paused = true)]
async fn the_root_users_key_makes_no_call_but_the_first() {
    let aws = FakeAws::new();
    aws.answer("tenant:GetCallerIdentity", caller(&format!("arn:aws:iam::{ACCOUNT}:root")));
    post(&aws, &submission(), None).await;
    let calls: Vec<_> = aws.calls().into_iter().filter(|call| call.starts_with("tenant:")).collect();
    assert_eq!(calls, ["tenant:GetCallerIdentity"]);
}

#[tokio::test(start_paused = true)]
async fn what_aws_does_not_answer_is_not_the_keys_fault() {
    let throttled = || query_error(400, "Throttling", "Rate exceeded");
    let silent = || json_error(500, "InternalFailure", "");
    let cases: Vec<(&'static str, FakeResponse, &str)> = vec![
        ("tenant:GetCallerIdentity", throttled(), "live"),
        ("tenant:GetUser", throttled(), "get_user"),
        ("tenant:DeleteAccessKey", throttled(), "delete_access_key"),
        ("tenant:GetAccount", silent(), "ses_region"),
        ("tenant:SendEmail", silent(), "sending"),
        ("tenant:ListBuckets", silent(), "excess"),
        ("tenant:UpdateAccessKey", throttled(), "excess"),
    ];
    for (operation, answer, check) in cases {
        let aws = FakeAws::new();
        aws.answer(operation, answer);
        let (status, problem, response) = post(&aws, &submission(), None).await;
        assert_eq!(status, 503, "{operation}: {problem}");
        assert!(response.headers.contains_key("retry-after"));
        assert!(outcomes(&problem["report"], "failed").is_empty());
        assert!(outcomes(&problem["report"], "unknown").contains(&check.to_owned()), "{operation}: {problem}");
        assert_eq!(aws.count("own:TransactWriteItems"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_still_propagating_is_tried_again() {
    let aws = FakeAws::new();
    let unknown = query_error(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
    let known = caller(&format!("arn:aws:iam::{ACCOUNT}:user/mailer"));
    aws.answer_in_turn("tenant:GetCallerIdentity", vec![unknown.clone(), unknown.clone(), unknown, known]);
    let refused =
        json_error(403, "UnrecognizedClientException", "The security token included in the request is invalid.");
    aws.answer_in_turn("tenant:GetAccount", vec![refused, account(true, true, "HEALTHY")]);
    let (status, view, _) = post(&aws, &submission(), None).await;
    assert_eq!(status, 201, "{view}");
}

#[tokio::test(start_paused = true)]
async fn a_policy_limited_to_own_identities_is_seen_to_allow_sending() {
    let identity = format!("arn:aws:ses:eu-central-1:{ACCOUNT}:identity/invalid@invalid");
    let denied = json_error(403, "AccessDeniedException", &denial("ses:SendEmail", &identity, NO_ALLOW));
    let aws = FakeAws::new();
    aws.answer_in_turn("tenant:SendEmail", vec![denied.clone(), not_verified()]);
    let (status, view, _) = post(&aws, &submission(), None).await;
    assert_eq!(status, 201, "{view}");

    let aws = FakeAws::new();
    aws.answer_in_turn("tenant:SendEmail", vec![denied]);
    aws.answer("tenant:ListEmailIdentities", identities(&[]));
    let (status, problem, _) = post(&aws, &submission(), None).await;
    assert_eq!((status, outcomes(&problem["report"], "failed")), (422, vec!["sending".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn an_onboarded_key_is_named_to_its_tenant_and_to_nobody_without_the_secret() {
    let aws = FakeAws::new();
    let (_, view, _) = post(&aws, &submission(), None).await;
    let (status, problem, _) = post(&aws, &submission(), None).await;
    assert_eq!((status, &problem["provider_id"]), (409, &view["provider_id"]));

    let mut other = submission();
    other["tenant_id"] = json!("globex");
    let (status, problem, _) = post(&aws, &other, None).await;
    assert_eq!(status, 409);
    assert!(problem.get("provider_id").is_none() && !problem.to_string().contains("acme"), "{problem}");

    aws.answer("tenant:GetCallerIdentity", query_error(403, "SignatureDoesNotMatch", "does not match"));
    let (status, problem, _) = post(&aws, &other, None).await;
    assert_eq!((status, outcomes(&problem["report"], "failed")), (422, vec!["live".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_reported_key_is_refused() {
    let aws = FakeAws::new();
    aws.put_item(
        "providers",
        json!({"pk": {"S": format!("key#{KEY_ID}")}, "sk": {"S": "key"}, "access_key_id": {"S": KEY_ID},
            "status": {"S": "unknown_key"}, "updated_at": {"S": "2026-11-23T09:00:00Z"}}),
    );
    let (status, problem, _) = post(&aws, &submission(), None).await;
    assert_eq!((status, outcomes(&problem["report"], "failed")), (422, vec!["not_reported".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_while_an_order_covers_the_tenant_the_account_or_all() {
    for pk in ["fence#all".to_owned(), "fence#tenant#acme".to_owned(), format!("fence#account#{ACCOUNT}")] {
        let aws = FakeAws::new();
        // The clock of these tests stands at ten.
        let fence = json!({"pk": {"S": pk}, "sk": {"S": "fence"}, "moves": {"N": "1"}, "moved_at": {"S": "2026-11-23T09:59:30Z"}});
        aws.put_item("providers", fence);
        let (status, problem, response) = post(&aws, &submission(), None).await;
        assert_eq!((status, &problem["type"]), (503, &json!("urn:sendingbee:problem:order-in-progress")), "{pk}");
        assert!(response.headers.contains_key("retry-after"));
        assert_eq!((aws.count("tenant:"), aws.count("own:TransactWriteItems")), (0, 0), "{pk}");

        let aws = FakeAws::new();
        let fence = json!({"pk": {"S": pk}, "sk": {"S": "fence"}, "moves": {"N": "1"}, "moved_at": {"S": "2026-01-01T00:00:00Z"}});
        aws.put_item("providers", fence);
        let (status, problem, _) = post(&aws, &submission(), None).await;
        assert_eq!(status, 201, "{pk}: {problem}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_not_taken_if_an_order_is_placed_while_it_is_verified() {
    let aws = FakeAws::new();
    // The six writes of an onboarding come before its fences.
    let kept = std::iter::repeat_n(json!({"Code": "None"}), 6);
    let moved: Vec<_> = kept.chain([json!({"Code": "ConditionalCheckFailed"})]).collect();
    aws.answer("own:TransactWriteItems", cancelled(&moved));
    let (status, problem, _) = post(&aws, &submission(), None).await;
    assert_eq!((status, &problem["type"]), (503, &json!("urn:sendingbee:problem:order-in-progress")), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn the_same_request_again_has_the_same_answer() {
    let aws = FakeAws::new();
    let (status, first, response) = post(&aws, &submission(), Some("once")).await;
    assert_eq!(status, 201);
    assert!(!response.headers.contains_key("idempotent-replayed"));

    let (status, again, response) = post(&aws, &submission(), Some("once")).await;
    assert_eq!((status, &again), (201, &first));
    assert_eq!(response.headers["idempotent-replayed"], "true");
    assert_eq!(aws.count("own:TransactWriteItems"), 1);
    assert_eq!(aws.count("tenant:GetCallerIdentity"), 1);

    let mut other = submission();
    other["name"] = json!("Another");
    let (status, problem, _) = post(&aws, &other, Some("once")).await;
    assert_eq!((status, &problem["type"]), (422, &json!("urn:sendingbee:problem:idempotency-key-reused")));

    let mut request = create(&submission(), None);
    request.headers.insert("idempotency-key", "a b".parse().unwrap());
    let response = verify(&aws).handle(request).await;
    assert_eq!((response.status_code, &json_of(&response)["field"]), (400, &json!("Idempotency-Key")));
}

#[tokio::test(start_paused = true)]
async fn too_many_attempts_are_refused_before_any_call_to_the_tenants_account() {
    let aws = FakeAws::new();
    aws.answer("own:UpdateItem", json_error(400, "ConditionalCheckFailedException", "The conditional request failed"));
    let (status, _, response) = post(&aws, &submission(), None).await;
    assert_eq!(status, 429);
    let seconds: u64 = response.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=3600).contains(&seconds));
    assert!(!aws.calls().iter().any(|call| call.starts_with("tenant:")));
}

#[tokio::test(start_paused = true)]
async fn a_conflict_in_the_transaction_is_settled_by_reading_the_key_item() {
    let conflict = || cancelled(&[json!({"Code": "TransactionConflict"})]);
    // Nobody has onboarded the key: the second try stores it.
    let aws = FakeAws::new();
    aws.answer_in_turn("own:TransactWriteItems", vec![conflict(), (200, "{}".to_owned())]);
    assert_eq!(post(&aws, &submission(), None).await.0, 201);
    // It stays in conflict: nothing is known to be stored.
    let aws = FakeAws::new();
    aws.answer("own:TransactWriteItems", conflict());
    assert_eq!(post(&aws, &submission(), None).await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_reported_while_it_is_checked_is_refused_with_the_checks_that_were_made() {
    let aws = FakeAws::new();
    let reported = json!({"pk": {"S": format!("key#{KEY_ID}")}, "sk": {"S": "key"}, "access_key_id": {"S": KEY_ID},
        "status": {"S": "unknown_key"}, "updated_at": {"S": "2026-11-23T09:00:00Z"}});
    let met = json!({"Code": "ConditionalCheckFailed", "Item": reported});
    aws.answer("own:TransactWriteItems", cancelled(&[met]));
    let (status, problem, _) = post(&aws, &submission(), None).await;
    let report = &problem["report"];
    assert_eq!((status, &report["verdict"]), (422, &json!("refused")));
    assert_eq!(outcomes(report, "failed"), ["not_reported"]);
    assert_eq!(outcomes(report, "unknown"), ["default_configuration_set", "second_key"]);
}

#[tokio::test(start_paused = true)]
async fn every_response_is_there_before_the_function_is_stopped() {
    let never = Duration::from_secs(3600);
    let own = ["own:GetItem", "own:UpdateItem", "own:Encrypt", "own:TransactWriteItems", "own:PutEvents"];
    for tenants_ms in [0, 1000, 1700, 1800, 1900, 2000, 2900] {
        for (silent, by) in own
            .map(|operation| (operation, never))
            .into_iter()
            .chain([("own:", never), ("own:", Duration::from_millis(2900))])
        {
            let aws = FakeAws::new();
            aws.slow_down("tenant:", Duration::from_millis(tenants_ms));
            aws.slow_down(silent, by);
            let began = Instant::now();
            let (status, problem, response) = post(&aws, &submission(), Some("once")).await;
            let case = format!("{silent} by {by:?}, tenants' AWS by {tenants_ms} ms: {status} {problem}");
            assert!(began.elapsed() <= Duration::from_secs(28), "{:?} {case}", began.elapsed());
            assert!(status == 201 || status == 503 && response.headers.contains_key("retry-after"), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_sent_fails_nothing() {
    let aws = FakeAws::new();
    aws.answer("own:PutEvents", json_error(500, "InternalFailure", ""));
    let (status, view, _) = post(&aws, &submission(), None).await;
    assert_eq!(status, 201, "{view}");
}
