//! `POST /providers/{provider_id}/rotations` over the wire.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::fixtures::failure::NO_ALLOW;
use crate::fixtures::fake_aws::{ACCOUNT, FakeAws, KEY_ID, caller, cancelled, denied, no_such_key, query_error};
use crate::fixtures::{SECRET, create_rotation, get, json_of, outcomes, post, submission, verify};

/// Another id of the account of [`KEY_ID`].
const NEW_KEY_ID: &str = "AKIASP2TPHJSQH3FJRUY";

fn body() -> Value {
    json!({"access_key_id": NEW_KEY_ID, "secret_access_key": SECRET, "grace_seconds": 600})
}

/// An AWS with an onboarded provider, and its id.
async fn with_provider() -> (FakeAws, String) {
    let aws = FakeAws::new();
    let (status, view, _) = post(&aws, &submission(), None).await;
    assert_eq!(status, 201, "{view}");
    (aws, view["provider_id"].as_str().unwrap().to_owned())
}

async fn rotate(aws: &FakeAws, provider_id: &str, body: &Value) -> (i64, Value) {
    let mut request = create_rotation(body);
    request.path_parameters.insert("provider_id".to_owned(), provider_id.to_owned());
    let response = verify(aws).handle(request).await;
    (response.status_code, json_of(&response))
}

#[tokio::test(start_paused = true)]
async fn a_good_key_is_stored_sealed_for_both_lanes_beside_the_old_one() {
    let (aws, provider_id) = with_provider().await;
    let (status, view) = rotate(&aws, &provider_id, &body()).await;
    assert_eq!(status, 201, "{view}");
    assert_eq!((&view["phase"], &view["grace_seconds"]), (&json!("candidate"), &json!(600)));
    assert_eq!(
        (&view["old_key"]["access_key_id"], &view["new_key"]["access_key_id"]),
        (&json!("AKIA…JRUX"), &json!("AKIA…JRUY"))
    );
    assert_eq!(outcomes(&view["report"], "warning"), ["second_key"]);
    assert_eq!((aws.count("own:Encrypt"), aws.count("own:TransactWriteItems"), aws.count("own:PutEvents")), (4, 2, 2));

    let (bodies, stored) = aws.own_traffic();
    let sealed = base64::engine::general_purpose::STANDARD.encode(SECRET);
    assert_eq!(bodies.iter().filter(|body| body.contains(&sealed)).count(), 4, "only the calls to KMS hold a secret");
    assert!(!stored.contains(SECRET) && !stored.contains(&sealed));
    let transaction = bodies.iter().rfind(|body| body.contains("TransactItems")).unwrap();
    let transaction: Value = serde_json::from_str(transaction).unwrap();
    let writes = transaction["TransactItems"].as_array().unwrap();
    assert_eq!(writes[0]["Put"]["Item"]["pk"]["S"], format!("key#{NEW_KEY_ID}"));
    let update = &writes[1]["Update"];
    assert_eq!(update["Key"]["pk"]["S"], format!("provider#{provider_id}"));
    // A provider that changed meanwhile is left alone.
    for condition in ["access_key_id = :read_key", "#status = :read_status", "attribute_not_exists(rotation)"] {
        assert!(update["ConditionExpression"].as_str().unwrap().contains(condition), "{update}");
    }
    // The sweep of `revoke` does not see a candidate.
    assert_eq!(writes[2]["Put"]["Item"]["sweep"]["S"], "rotation");
    let checks = writes.iter().filter(|write| write.get("ConditionCheck").is_some()).count();
    assert_eq!(checks, 4, "the old key and three fences");
}

#[tokio::test(start_paused = true)]
async fn what_onboarding_refuses_is_refused_with_the_report_and_nothing_is_stored() {
    let user_of_another_account = caller("arn:aws:iam::609629065308:user/mailer").1.replace(ACCOUNT, "609629065308");
    let refused = query_error(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
    let cases = [
        ("tenant:GetCallerIdentity", (200, user_of_another_account), 422, "account"),
        ("tenant:GetCallerIdentity", refused, 422, "live"),
        ("tenant:GetUser", denied("iam:GetUser", NO_ALLOW), 422, "get_user"),
        ("tenant:UpdateAccessKey", no_such_key(), 422, "excess"),
        ("tenant:GetUser", query_error(500, "InternalFailure", "try again"), 503, "get_user"),
    ];
    for (operation, answer, expected, check) in cases {
        let (aws, provider_id) = with_provider().await;
        aws.answer(operation, answer);
        let (status, problem) = rotate(&aws, &provider_id, &body()).await;
        assert_eq!(status, expected, "{check}: {problem}");
        let outcome = if expected == 422 { "failed" } else { "unknown" };
        assert!(outcomes(&problem["report"], outcome).contains(&check.to_owned()), "{check}: {problem}");
        assert_eq!((aws.count("own:Encrypt"), aws.count("own:TransactWriteItems")), (2, 1), "{check}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_asks_nobody() {
    let (aws, provider_id) = with_provider().await;
    let asked = aws.calls().len();
    for (field, value) in [
        ("grace_seconds", json!(604_801)),
        ("grace_seconds", json!(-1)),
        ("grace_seconds", json!("600")),
        ("access_key_id", json!(null)),
        ("secret_access_key", json!([SECRET])),
        ("region", json!("eu-central-1")),
    ] {
        let mut body = body();
        body[field] = value;
        let (status, problem) = rotate(&aws, &provider_id, &body).await;
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{problem}");
    }
    assert_eq!(aws.calls().len(), asked);
    let mut short = body();
    short["secret_access_key"] = json!("short");
    let (status, problem) = rotate(&aws, &provider_id, &short).await;
    assert_eq!((status, outcomes(&problem["report"], "failed")), (422, vec!["shape".to_owned()]), "{problem}");
    assert_eq!(rotate(&aws, "prv_01BX5ZZKBKACTAV9WEVGEMMVRZ", &body()).await.0, 404);
    let (status, problem) =
        rotate(&aws, &provider_id, &json!({"access_key_id": KEY_ID, "secret_access_key": SECRET})).await;
    assert_eq!((status, &problem["provider_id"]), (409, &json!(provider_id)), "{problem}");
}

/// The answer to a transaction can be lost, and another writer can be faster.
#[tokio::test(start_paused = true)]
async fn a_transaction_that_failed_is_explained_by_what_is_there() {
    let failed = |place: usize| {
        let mut reasons = vec![json!({"Code": "None"}); 10];
        reasons[place] = json!({"Code": "ConditionalCheckFailed"});
        cancelled(&reasons)
    };
    for (place, expected, kind) in
        [(1, 503, "provider-changed"), (6, 503, "provider-changed"), (8, 503, "order-in-progress")]
    {
        let (aws, provider_id) = with_provider().await;
        aws.answer("own:TransactWriteItems", failed(place));
        let (status, problem) = rotate(&aws, &provider_id, &body()).await;
        assert_eq!(
            (status, &problem["type"]),
            (expected, &json!(format!("urn:sendingbee:problem:{kind}"))),
            "{problem}"
        );
        assert_eq!(aws.count("own:PutEvents"), 1, "no rotation has begun");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_does_not_exist_is_not_found_and_nothing_is_cancelled() {
    let (aws, provider_id) = with_provider().await;
    for sample in [
        include_str!("../../../../events/verify-get-rotation.json"),
        include_str!("../../../../events/verify-cancel-rotation.json"),
    ] {
        assert_eq!(verify(&aws).handle(get(sample, &provider_id)).await.status_code, 404);
        let mut request = get(sample, &provider_id);
        request.path_parameters.insert("rotation_id".to_owned(), "rot_nonsense".to_owned());
        assert_eq!(verify(&aws).handle(request).await.status_code, 404);
    }
    assert_eq!(aws.count("own:TransactWriteItems"), 1);
}
