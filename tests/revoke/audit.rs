//! `GET /providers/{id}/audit`: the trail of a provider, page by page to its end.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, Tables};

#[tokio::test]
async fn the_trail_of_a_provider_is_read_page_by_page_to_its_end() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let hold = format!("/providers/{provider_id}/hold");
    for n in 0..3 {
        for method in [Method::PUT, Method::DELETE] {
            let body = json!({ "reason": format!("time {n}") });
            assert_eq!(stack.api(method, &hold, Some(&body)).await.unwrap().status, 200);
        }
    }
    let order_id = stack.revoke_key(&tenant).await;
    stack.key_in_state(&order_id, "revoked").await;

    let path = format!("/providers/{provider_id}/audit");
    let whole = stack.api(Method::GET, &path, None).await.unwrap();
    assert_eq!(whole.status, 200, "{}", whole.text);
    let events = whole.body["events"].as_array().unwrap();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let expected =
        ["onboarded", "held", "hold_lifted", "held", "hold_lifted", "held", "hold_lifted", "revoking", "revoked"];
    assert_eq!(names, expected);
    assert_eq!(names, Tables::new(&stack).await.audit_trail(&provider_id).await);
    assert!(events[1]["by"].as_str().unwrap().starts_with("arn:aws:iam::123456789012:"), "{}", events[1]);
    assert_eq!((&events[1]["reason"], &events[7]["reason"]), (&json!("time 0"), &json!(order_id)));
    assert!(events.iter().all(|event| event["at"].is_string()) && whole.body["next_cursor"].is_null());
    assert!(!whole.text.contains(&tenant.secret_access_key) && !whole.text.contains("audit#"), "{}", whole.text);

    let (mut pages, mut paged, mut cursor) = (0, Vec::<Value>::new(), String::new());
    loop {
        let page = stack.api(Method::GET, &format!("{path}?{cursor}limit=2"), None).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.text);
        paged.extend(page.body["events"].as_array().unwrap().iter().cloned());
        pages += 1;
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("cursor={next}&"),
            None => break,
        }
    }
    assert_eq!((&paged, pages), (events, 5));
    for (path, status) in [
        (format!("{path}?limit=0"), 400),
        (format!("{path}?cursor=x"), 400),
        ("/providers/prv_01ARZ3NDEKTSV4RRFFQ69G5FAV/audit".to_owned(), 404),
    ] {
        assert_eq!(stack.api(Method::GET, &path, None).await.unwrap().status, status, "{path}");
    }
}
