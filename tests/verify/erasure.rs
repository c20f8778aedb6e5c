//! What is left of a tenant that has left.

use aws_sdk_dynamodb::Client;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, Tables, eventually, mail, mail_with, tenant_of};
use operator::ApiResponse;

async fn erase(stack: &Stack, tenant_id: &str) -> ApiResponse {
    let body = json!({"confirm": tenant_id});
    stack.api(Method::DELETE, &format!("/tenants/{tenant_id}/data"), Some(&body)).await.unwrap()
}

/// All that a table has, as text.
async fn dump(client: &Client, table: &str) -> String {
    let (mut text, mut start) = (String::new(), None);
    loop {
        let page = client.scan().table_name(table).consistent_read(true).set_exclusive_start_key(start.take());
        let page = page.send().await.unwrap();
        text.push_str(&format!("{:?}", page.items()));
        start = page.last_evaluated_key;
        if start.is_none() {
            return text;
        }
    }
}

/// Text that does not compress.
fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + u8::try_from((state >> 33) % 75).unwrap())
    });
    letters.filter(|letter| letter.is_ascii_alphanumeric()).take(length).collect()
}

#[tokio::test]
async fn a_tenant_that_has_left_leaves_ids_and_proofs_and_others_lose_nothing() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("leaving").await;
    let (_, staying) = stack.create_provider("staying").await;
    let (leaving, user_name) =
        (tenant_of(&provider_id), stack.get_provider(&provider_id).await.body["user_name"].clone());
    let (client, mails) = stack.table("MailsTable").await;
    let (_, providers) = stack.table("ProvidersTable").await;
    for id in [&provider_id, &staying] {
        let unverified = mail_with(id, "rejected", &json!({"from": "jane@not-verified.example"}));
        stack.enqueue_mails(&[mail(id, "sent"), unverified, mail_with(id, "bad", &json!({"to": ["nobody"]}))]).await;
        for (mail_id, state) in [("sent", "sent"), ("rejected", "rejected"), ("bad", "rejected")] {
            stack.mail_in_state(id, mail_id, &[state]).await;
        }
        let path = format!("/providers/{id}/verifications");
        let asked = stack.api(Method::POST, &path, Some(&json!({}))).await.unwrap();
        let path = format!("{path}/{}", asked.body["verification_id"].as_str().unwrap());
        eventually("the verification", || async {
            let seen = stack.api(Method::GET, &path, None).await.unwrap();
            (seen.body["state"] == "finished").then_some(())
        })
        .await;
    }

    // Not while a key lives.
    let live = erase(&stack, &leaving).await;
    assert_eq!((live.status.as_u16(), &live.body["providers"][0]["status"]), (409, &json!("active")), "{}", live.text);
    assert_eq!(live.body["providers"][0]["provider_id"], provider_id);
    stack.revoke_key(&tenant).await;
    eventually("the death of the key", || async {
        (stack.get_provider(&provider_id).await.body["status"] == "revoked").then_some(())
    })
    .await;
    // Held, so that nothing is released before it is looked at.
    let hold = json!({"reason": "the test"});
    let held = stack.api(Method::PUT, &format!("/providers/{staying}/hold"), Some(&hold)).await.unwrap();
    assert_eq!(held.status, 200, "{}", held.text);
    for (id, count) in [(&provider_id, 3), (&staying, 1)] {
        for n in 0..count {
            stack.park(id, &format!("parked-{n}"), mail(id, "parked").to_string()).await;
        }
        stack.park(id, "in-parts", noise(500_000)).await;
    }
    // So much that the table is read in several pages.
    for n in 0..3 {
        stack.park(&staying, &format!("more-{n}"), noise(500_000)).await;
    }
    assert!(dump(&client, &mails).await.contains("parked-part#"), "a mail of several items");

    for (path, body, status) in [
        (format!("/tenants/{leaving}/data"), json!({"confirm": "another"}), 400),
        (format!("/tenants/{leaving}/data"), json!({}), 400),
        ("/tenants/nobody/data".to_owned(), json!({"confirm": "nobody"}), 404),
    ] {
        let refused = stack.api(Method::DELETE, &path, Some(&body)).await.unwrap();
        assert_eq!(refused.status, status, "{}", refused.text);
    }
    // The last two are of others.
    for file in ["/invoice.pdf", "/2026/a%26b%20%3C1%3E.pdf", "-2/x", ""] {
        stack.put_file(&format!("{leaving}{file}"), b"%PDF".to_vec()).await.unwrap();
    }
    // Killed or refused anywhere, the same call goes on.
    for on in [
        "sqs:DeleteMessageBatch",
        "s3:ListObjectsV2",
        "s3:DeleteObject",
        "dynamodb:DeleteItem",
        "dynamodb:Scan",
        "dynamodb:UpdateItem",
    ] {
        let faults = json!({"rules": [{"on": [on], "server_error": 40}]});
        assert!(stack.local_api(Method::PUT, "/faults", Some(&faults)).await.unwrap().status.is_success());
        let failed = erase(&stack, &leaving).await;
        assert_eq!(failed.status, 503, "{on}: {}", failed.text);
    }
    let none = json!({"rules": []});
    assert!(stack.local_api(Method::PUT, "/faults", Some(&none)).await.unwrap().status.is_success());
    let erased: Value = eventually("the end of the erasure", || async {
        let answer = erase(&stack, &leaving).await;
        assert!([200, 202].contains(&answer.status.as_u16()), "{}", answer.text);
        (answer.status == 200).then_some(answer.body)
    })
    .await;
    assert_eq!((&erased["state"], &erased["providers"]), (&json!("erased"), &json!(1)), "{erased}");
    assert!(erased["rows"].as_u64().unwrap() >= 3, "{erased}");
    assert_eq!(erased["files"], 2, "{erased}");
    assert!(erased["finished_at"].is_string() && erased["asked_by"].is_string(), "{erased}");

    // Parked mail may have been released meanwhile: it is rejected as it comes, and a later call erases that.
    let everything = eventually("no trace of the tenant's mail", || async {
        let everything = dump(&client, &mails).await;
        let is_gone = !everything.contains(&leaving) && !everything.contains(&provider_id);
        if !is_gone {
            assert!(erase(&stack, &leaving).await.status.is_success());
        }
        is_gone.then_some(everything)
    })
    .await;
    for mail_id in ["sent", "rejected", "bad"] {
        assert!(stack.ledger_row(&provider_id, mail_id).await.is_none(), "{mail_id}");
        assert!(stack.ledger_row(&staying, mail_id).await.is_some(), "{mail_id}");
    }
    assert_eq!(everything.matches("\"parts\"").count(), 4, "the other tenant's parked mail");
    let records = dump(&client, &providers).await;
    let user_name = user_name.as_str().map_or_else(|| "mailer".to_owned(), str::to_owned);
    let lines: Vec<&str> = records.split("}, {").filter(|item| item.contains(&provider_id)).collect();
    assert!(lines.iter().all(|item| !item.contains(&format!("user/{user_name}"))), "{lines:#?}");
    let shown = stack.get_provider(&provider_id).await;
    assert_eq!((&shown.body["name"], &shown.body["status"]), (&json!("erased"), &json!("revoked")), "{}", shown.text);
    let letters = stack.api(Method::GET, "/dead-letters", None).await.unwrap();
    let ids: Vec<_> = letters.body["letters"].as_array().unwrap().iter().map(|it| it["provider_id"].clone()).collect();
    assert_eq!(ids, [json!(staying)], "{}", letters.text);
    let trail = Tables::new(&stack).await.audit_trail(&provider_id).await;
    assert_eq!(trail.iter().filter(|event| *event == "data_erased").count(), 1, "{trail:?}");

    // A later call finds nothing.
    let again = erase(&stack, &leaving).await;
    assert_eq!((again.status.as_u16(), &again.body["rows"], &again.body["providers"]), (200, &json!(0), &json!(0)));
}
