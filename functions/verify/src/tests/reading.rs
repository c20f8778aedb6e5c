//! The routes that read: providers, mails, policies.

use serde_json::json;

use crate::fixtures::fake_aws::{ACCOUNT, FakeAws};
use crate::fixtures::{event, get, json_of, post, submission, verify};

#[tokio::test(start_paused = true)]
async fn a_provider_is_read_alone_and_in_a_list() {
    let aws = FakeAws::new();
    let (_, created, _) = post(&aws, &submission(), None).await;
    let provider_id = created["provider_id"].as_str().unwrap();
    let verify = verify(&aws);

    let one = verify.handle(get(include_str!("../../../../events/verify-get-provider.json"), provider_id)).await;
    let mut shown = json_of(&one);
    let watch = shown.as_object_mut().unwrap().remove("watch").unwrap();
    assert_eq!((one.status_code, shown), (200, created.clone()));
    assert_eq!(watch["verified_at"], created["created_at"], "{watch}");
    assert!(watch["next_check_at"].is_string(), "{watch}");

    let list = verify.handle(event(include_str!("../../../../events/verify-list-providers.json"))).await;
    let list = json_of(&list);
    assert_eq!(list["providers"][0]["provider_id"], provider_id);
    assert!(list["providers"][0].get("report").is_none() && list.get("next_cursor").is_none());

    let other = get(include_str!("../../../../events/verify-get-provider.json"), "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert_eq!(verify.handle(other).await.status_code, 404);
    let malformed = get(include_str!("../../../../events/verify-get-provider.json"), "prv_x");
    assert_eq!(verify.handle(malformed).await.status_code, 404);
}

#[tokio::test(start_paused = true)]
async fn the_state_of_a_mail_is_answered() {
    let aws = FakeAws::new();
    let (_, created, _) = post(&aws, &submission(), None).await;
    let provider_id = created["provider_id"].as_str().unwrap();
    let verify = verify(&aws);
    let request = || get(include_str!("../../../../events/verify-get-mail.json"), provider_id);
    assert_eq!(verify.handle(request()).await.status_code, 404);

    let other = get(include_str!("../../../../events/verify-get-mail.json"), "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert_eq!(verify.handle(other).await.status_code, 404);
    let pk = shared::record::mail_pk(
        &"acme".to_owned().try_into().unwrap(),
        &"order-1234-receipt".to_owned().try_into().unwrap(),
    );
    aws.put_item(
        "mails",
        json!({"pk": {"S": pk}, "sk": {"S": "mail"}, "tenant_id": {"S": "acme"}, "provider_id": {"S": provider_id}, "mail_id": {"S": "order-1234-receipt"},
            "state": {"S": "sent"}, "digest": {"S": "v1:0"}, "first_seen": {"S": "2026-11-23T10:00:00Z"},
            "updated_at": {"S": "2026-11-23T10:00:01Z"}, "attempts": {"N": "1"}, "ses_message_id": {"S": "ses-1"},
            "expires_at": {"N": "1803204000"}}),
    );
    let response = verify.handle(request()).await;
    let expected = json!({"mail_id": "order-1234-receipt", "provider_id": provider_id, "state": "sent", "reason": null,
        "ses_message_id": "ses-1", "first_seen": "2026-11-23T10:00:00Z", "updated_at": "2026-11-23T10:00:01Z",
        "attempts": 1, "eta": null});
    assert_eq!((response.status_code, json_of(&response)), (200, expected));
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_checked_without_any_call() {
    let aws = FakeAws::new();
    let response = verify(&aws).handle(event(include_str!("../../../../events/verify-check-policy.json"))).await;
    let report = json_of(&response);
    assert_eq!((response.status_code, &report["verdict"]), (200, &json!("sufficient")), "{report}");
    assert_eq!((&report["missing"], &report["findings"], &report["warnings"]), (&json!([]), &json!([]), &json!([])));
    assert_eq!(report["subject"]["user_arn"], format!("arn:aws:iam::{ACCOUNT}:user/mailer"));
    assert_eq!(report["subject"]["assumed"], json!(["region"]));
    assert!(!report["notices"].as_array().unwrap().is_empty());
    assert!(aws.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_route_is_not_found() {
    for route_key in [Some("POST /policy"), Some("DELETE /providers/{provider_id}"), None] {
        let mut request = event(include_str!("../../../../events/verify-get-policy.json"));
        request.route_key = route_key.map(str::to_owned);
        assert_eq!(verify(&FakeAws::new()).handle(request).await.status_code, 404, "{route_key:?}");
    }
}
