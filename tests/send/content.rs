//! Mails that a user may rightly send, and those that SES would refuse: by the ids of the reports that they stand for.

use serde_json::json;

use crate::support::{Stack, mail_with};

/// B03, B21, B31.
#[tokio::test]
async fn international_addresses_encoded_names_and_feedback_ids_are_sent() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let fields = json!({
        "from": "=?iso-8859-1?Q?J=F6rg_M=FCller?= <info@example.com>",
        "to": ["ann@b\u{fc}cher.example"],
        "subject": "=?utf-8?q?Gr=C3=BC=C3=9Fe?=",
        "tags": { "ses:feedback-id-a": "customer-42", "campaign": "spring" },
    });
    stack.enqueue_mail(&mail_with(&provider_id, "international", &fields)).await.unwrap();
    stack.mail_in_state(&provider_id, "international", &["sent"]).await;
    let inbox = stack.inbox(&tenant.account_id).await.unwrap();
    let received = &inbox[0];
    assert_eq!(received["from"], "=?UTF-8?B?SsO2cmcgTcO8bGxlcg==?= <info@example.com>");
    assert_eq!(received["to"], json!(["ann@xn--bcher-kva.example"]));
    assert_eq!(received["subject"], "Grüße");
    assert_eq!(received["tags"], json!({ "ses:feedback-id-a": "customer-42", "campaign": "spring" }));

    // The same mail in another spelling is not sent again.
    let respelled = json!({
        "from": "\"J\u{f6}rg M\u{fc}ller\" <info@EXAMPLE.com>",
        "to": ["ann@XN--BCHER-KVA.example"],
        "subject": "Gr\u{fc}\u{df}e",
        "tags": { "campaign": "spring", "ses:feedback-id-a": "customer-42" },
    });
    let message_ids = stack.enqueue_mails(&[mail_with(&provider_id, "international", &respelled)]).await;
    stack.enqueue_mail(&mail_with(&provider_id, "afterwards", &json!({}))).await.unwrap();
    stack.mail_in_state(&provider_id, "afterwards", &["sent"]).await;
    assert_eq!(stack.inbox(&tenant.account_id).await.unwrap().len(), 2);
    // Other content under the same id would be rejected with an event.
    let rejected = stack.events("Mail Rejected").await.unwrap();
    assert!(!rejected.iter().any(|event| event["detail"]["message_id"] == message_ids[0].as_str()), "{rejected:?}");
}

/// B18, B33 and their kind: what SES would refuse is refused before it, by its field and without its value.
#[tokio::test]
async fn what_ses_would_refuse_is_refused_by_its_field() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let name = "\u{e9}".repeat(100);
    let cases = [
        ("empty-header", json!({ "headers": { "X-Campaign": "" } }), "invalid:headers.X-Campaign"),
        ("long-name", json!({ "from": format!("{name} <info@example.com>") }), "invalid:from"),
        ("local-part", json!({ "to": ["ann@example.org", "j\u{f6}rg@example.org"] }), "invalid:to[1]"),
        ("quoted", json!({ "to": ["\"ann b\"@example.org"] }), "invalid:to[0]"),
        ("tag", json!({ "tags": { "ses:feedback-id-c": "x" } }), "invalid:tags"),
    ];
    let mails: Vec<_> = cases.iter().map(|(id, fields, _)| mail_with(&provider_id, id, fields)).collect();
    stack.enqueue_mails(&mails).await;
    for (id, _, reason) in cases {
        let fate = stack.mail_in_state(&provider_id, id, &["rejected", "sent"]).await;
        assert_eq!(fate["reason"], reason, "{fate}");
        assert!(!fate.to_string().contains('@'), "{fate}");
    }
    assert!(stack.inbox(&tenant.account_id).await.unwrap().is_empty());
}
