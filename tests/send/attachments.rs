//! What a mail may contain besides text: files, in the message or in the stack's bucket, MIME, templates.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, eventually, mail_with, now, tenant_of};

async fn set_bucket_faults(stack: &Stack, rules: Value) {
    let set = stack.local_api(Method::PUT, "/faults", Some(&json!({"rules": rules}))).await.unwrap();
    assert!(set.status.is_success(), "{}", set.text);
}

fn file(name: &str, source: (&str, Value)) -> Value {
    json!({"name": name, "content_type": "application/pdf", source.0: source.1})
}

#[tokio::test]
async fn files_of_the_message_and_of_the_bucket_are_sent_with_the_mail() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let content = vec![7; 5_000_000];
    let tenant_id = tenant_of(&provider_id);
    let version = stack.put_file(&format!("{tenant_id}/2026/invoice%20%C3%A4.pdf"), content.clone()).await.unwrap();
    let key = format!("{tenant_id}/2026/invoice ä.pdf");
    let attachments = json!([
        file("inline.pdf", ("content", json!("JVBERg=="))),
        file("invoice.pdf", ("s3", json!({"key": key, "version": version}))),
        {"name": "logo.png", "content_type": "image/png", "content_id": "logo", "content": "cG5n"},
    ]);
    let fields = json!({"attachments": attachments, "html": "<img src=\"cid:logo\">"});
    stack.enqueue_mail(&mail_with(&provider_id, "files", &fields)).await.unwrap();
    stack.mail_in_state(&provider_id, "files", &["sent"]).await;
    let inbox = stack.inbox(&tenant.account_id).await.unwrap();
    let files = inbox[0]["attachments"].as_array().unwrap();
    assert_eq!(files[0]["content"], "JVBERg==");
    assert_eq!(files[1]["content"], STANDARD.encode(&content));
    assert_eq!((&files[2]["content_id"], &files[2]["disposition"]), (&json!("logo"), &json!("INLINE")));
}

#[tokio::test]
async fn a_file_that_is_not_there_rejects_the_mail_by_its_field_until_it_is_there() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let tenant_id = tenant_of(&provider_id);
    let (gone, changed, large) =
        (format!("{tenant_id}/gone"), format!("{tenant_id}/changed"), format!("{tenant_id}/large"));
    stack.put_file(&changed, b"new".to_vec()).await.unwrap();
    stack.put_file(&large, vec![0; 28_000_001]).await.unwrap();
    let of = |s3: Value| json!({"attachments": [file("a.pdf", ("s3", s3))]});
    let cases = [
        ("gone", of(json!({"key": gone})), "file_missing:attachments[0].s3.key"),
        ("changed", of(json!({"key": changed, "version": "0123"})), "file_missing:attachments[0].s3.version"),
        ("large", of(json!({"key": large})), "file_too_large:attachments"),
        ("other", of(json!({"key": "someone-else/a.pdf"})), "invalid:attachments[0].s3.key"),
    ];
    let mails: Vec<_> = cases.iter().map(|(id, fields, _)| mail_with(&provider_id, id, fields)).collect();
    stack.enqueue_mails(&mails).await;
    for (id, _, reason) in &cases {
        let fate = stack.mail_in_state(&provider_id, id, &["rejected", "sent"]).await;
        assert_eq!(fate["reason"], *reason, "{fate}");
    }
    assert!(stack.inbox(&tenant.account_id).await.unwrap().is_empty());

    stack.put_file(&gone, b"%PDF".to_vec()).await.unwrap();
    stack.enqueue_mails(&mails[..1]).await;
    stack.mail_in_state(&provider_id, "gone", &["sent"]).await;
    let inbox = stack.inbox(&tenant.account_id).await.unwrap();
    assert_eq!(inbox[0]["attachments"][0]["content"], "JVBERg==");
}

#[tokio::test]
async fn a_mail_whose_bucket_does_not_answer_goes_back_before_its_claim() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let key = format!("{}/a.pdf", tenant_of(&provider_id));
    stack.put_file(&key, b"%PDF".to_vec()).await.unwrap();
    set_bucket_faults(&stack, json!([{"on": ["s3:HeadObject"], "server_error": 1.0}])).await;
    let fields = json!({"attachments": [file("a.pdf", ("s3", json!({"key": key})))]});
    stack.enqueue_mail(&mail_with(&provider_id, "waits", &fields)).await.unwrap();
    eventually("the log of a mail without its files", || async {
        let lines = stack.log_lines("send").await;
        lines.iter().any(|line| line["message"] == "mail requeued because its files cannot be read").then_some(())
    })
    .await;
    assert!(stack.ledger_row(&provider_id, "waits").await.is_none());
    set_bucket_faults(&stack, json!([])).await;
    stack.mail_in_state(&provider_id, "waits", &["sent"]).await;
    assert_eq!(stack.inbox(&tenant.account_id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn mime_goes_out_as_it_is_and_nothing_in_it_adds_a_recipient() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let message = |fields: &str| {
        let text = format!(
            "From: Jane <jane@example.com>\r\nTo: list@example.org\r\nSubject: Hi\r\n{fields}\r\nBEGIN:VCALENDAR\r\n"
        );
        json!({"raw": STANDARD.encode(text), "subject": null, "text": null, "bcc": ["audit@example.net"]})
    };
    let calendar = message("MIME-Version: 1.0\r\nContent-Type: text/calendar; method=REQUEST\r\n");
    let hidden = message("Bcc: mallory@example.net\r\n");
    let mails = [mail_with(&provider_id, "calendar", &calendar), mail_with(&provider_id, "hidden", &hidden)];
    stack.enqueue_mails(&mails).await;
    stack.mail_in_state(&provider_id, "calendar", &["sent"]).await;
    let fate = stack.mail_in_state(&provider_id, "hidden", &["rejected", "sent"]).await;
    assert_eq!(fate["reason"], "invalid:raw");
    let inbox = stack.inbox(&tenant.account_id).await.unwrap();
    assert_eq!(inbox.len(), 1);
    assert_eq!(inbox[0]["raw"], calendar["raw"]);
    assert_eq!((&inbox[0]["to"], &inbox[0]["bcc"]), (&json!(["ann@example.org"]), &json!(["audit@example.net"])));
}

#[tokio::test]
async fn what_a_mail_names_in_the_tenants_ses_has_to_be_there() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let template = json!({"template": {"name": "welcome", "data": {"name": "Ann"}}, "subject": null, "text": null});
    let cases = [
        ("template", template, "not_found:template"),
        ("list", json!({"list_management": {"contact_list": "all"}}), "not_found:list_management"),
        ("tenant", json!({"tenant_name": "shop"}), "not_found:tenant_name"),
        ("endpoint", json!({"endpoint_id": "abcdef12.g3h"}), "not_found:endpoint_id"),
        ("return-path", json!({"return_path": "b@other.example"}), "identity_not_verified"),
    ];
    let mails: Vec<_> = cases.iter().map(|(id, fields, _)| mail_with(&provider_id, id, fields)).collect();
    stack.enqueue_mails(&mails).await;
    for (id, _, reason) in &cases {
        let fate = stack.mail_in_state(&provider_id, id, &["rejected", "sent"]).await;
        assert_eq!(fate["reason"], *reason, "{fate}");
    }
    // The tenant makes the template, and the same mail is handed over again.
    let ses = aws_sdk_sesv2::Client::new(&stack.sdk_config(&tenant));
    let content = aws_sdk_sesv2::types::EmailTemplateContent::builder().subject("Hi {{name}}").text("Hello").build();
    ses.create_email_template().template_name("welcome").template_content(content).send().await.unwrap();
    stack.enqueue_mails(&mails[..1]).await;
    stack.mail_in_state(&provider_id, "template", &["sent"]).await;
    assert_eq!(stack.inbox(&tenant.account_id).await.unwrap()[0]["subject"], "Hi Ann");

    // SES's tenant is there, and does not have the sender's identity.
    ses.create_tenant().tenant_name("shop").send().await.unwrap();
    let of_shop = mail_with(&provider_id, "of-shop", &json!({"tenant_name": "shop"}));
    stack.enqueue_mail(&of_shop).await.unwrap();
    let fate = stack.mail_in_state(&provider_id, "of-shop", &["rejected", "sent"]).await;
    assert_eq!(fate["reason"], "permission_missing:tenant_name", "{fate}");
    let route = aws_sdk_sesv2::types::RouteDetails::builder().region("eu-west-1").build().unwrap();
    let details = aws_sdk_sesv2::types::Details::builder().routes_details(route).build().unwrap();
    let made = ses.create_multi_region_endpoint().endpoint_name("both").details(details).send().await.unwrap();
    let through = json!({"endpoint_id": made.endpoint_id()});
    stack.enqueue_mail(&mail_with(&provider_id, "through", &through)).await.unwrap();
    stack.mail_in_state(&provider_id, "through", &["sent"]).await;
}

/// With nothing but that policy: on the identity, the template and a configuration set of ours.
#[tokio::test]
async fn the_hardened_policy_allows_mail_by_template() {
    let stack = Stack::shared().await;
    let account_id = "577215664901";
    let tenant = stack.hardened_tenant(account_id, &json!({})).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    let ses = stack.ses_of_root(&tenant).await;
    let content = aws_sdk_sesv2::types::EmailTemplateContent::builder().subject("Hi {{name}}").text("Hello").build();
    ses.create_email_template().template_name("welcome").template_content(content).send().await.unwrap();
    ses.create_configuration_set().configuration_set_name("sendingbee-news").send().await.unwrap();
    let arn = format!("arn:aws:ses:us-east-1:{account_id}:template/welcome");
    let by_template = |mail_id: &str, template: Value, set: Option<&str>| {
        let fields = json!({"template": template, "configuration_set": set, "subject": null, "text": null});
        mail_with(&provider_id, mail_id, &fields)
    };
    stack
        .enqueue_mails(&[
            by_template("by-name", json!({"name": "welcome", "data": {"name": "Ann"}}), None),
            by_template("by-arn", json!({"arn": arn, "data": {"name": "Bob"}}), Some("sendingbee-news")),
        ])
        .await;
    for mail_id in ["by-name", "by-arn"] {
        stack.mail_in_state(&provider_id, mail_id, &["sent"]).await;
    }
    let inbox = stack.inbox(account_id).await.unwrap();
    let subjects: BTreeSet<_> = inbox.iter().map(|mail| mail["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, BTreeSet::from(["Hi Ann", "Hi Bob"]));
}

#[tokio::test]
async fn a_mail_waits_until_it_may_be_sent_and_says_how_to_unsubscribe() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let not_before = now() + SignedDuration::from_secs(4);
    let fields = json!({
        "not_before": not_before.to_string(), "list_unsubscribe": {"url": "https://example.com/u", "mailto": "u@example.com"},
    });
    stack.enqueue_mail(&mail_with(&provider_id, "later", &fields)).await.unwrap();
    // What waits for long is parked, and says what for.
    let tomorrow = now() + SignedDuration::from_hours(24);
    let parked = mail_with(&provider_id, "tomorrow", &json!({"not_before": tomorrow.to_string()}));
    stack.enqueue_mail(&parked).await.unwrap();
    let fate = stack.mail_in_state(&provider_id, "tomorrow", &["waiting", "sent"]).await;
    let eta: Timestamp = fate["eta"].as_str().unwrap().parse().unwrap();
    assert_eq!((&fate["reason"], eta), (&json!("not_before"), tomorrow), "{fate}");

    stack.mail_in_state(&provider_id, "later", &["sent"]).await;
    let inbox = stack.inbox(&tenant.account_id).await.unwrap();
    let received_at: Timestamp = inbox[0]["received_at"].as_str().unwrap().parse().unwrap();
    assert!(received_at >= not_before, "{received_at} < {not_before}");
    let headers = json!({
        "List-Unsubscribe": "<https://example.com/u>, <mailto:u@example.com>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    });
    assert_eq!(inbox[0]["headers"], headers);
}
