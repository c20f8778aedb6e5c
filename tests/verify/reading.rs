//! The routes that read providers, mails and policies, and never show a secret.

use reqwest::Method;
use serde_json::json;

use crate::support::{Stack, classic_policy};

#[tokio::test]
async fn a_provider_is_shown_without_its_secret_and_with_a_shortened_key_id() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let response = stack.get_provider(&provider_id).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.body["status"], "active");
    let shown = response.body["access_key_id"].as_str().unwrap();
    assert_eq!(shown, format!("AKIA…{}", &tenant.access_key_id[16..]));
    assert!(!response.text.contains(&tenant.secret_access_key));
    assert!(!response.text.contains(&tenant.access_key_id), "{}", response.text);
}

#[tokio::test]
async fn a_tenants_providers_are_listed_in_pages() {
    let stack = Stack::shared().await;
    let mut created = Vec::new();
    for _ in 0..3 {
        created.push(stack.create_provider("pager").await.1);
    }
    stack.create_provider("somebody-else").await;
    let mut listed = Vec::new();
    let mut path = "/providers?tenant_id=pager&limit=2".to_owned();
    loop {
        let page = stack.api(Method::GET, &path, None).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.text);
        let providers = page.body["providers"].as_array().unwrap();
        assert!(providers.len() <= 2);
        listed.extend(providers.iter().map(|provider| provider["provider_id"].as_str().unwrap().to_owned()));
        match page.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("/providers?tenant_id=pager&limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(listed, created);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let stack = Stack::shared().await;
    let (_, provider_id) = stack.create_provider("acme").await;
    for path in [
        "/providers/prv_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
        "/providers/nonsense".to_owned(),
        "/providers/nonsense/mails/none".to_owned(),
        format!("/providers/{}", provider_id.to_lowercase()),
        format!("/providers/{provider_id}/mails/none"),
        format!("/providers/{provider_id}/mails/{}", "x".repeat(257)),
        "/nowhere".to_owned(),
    ] {
        let response = stack.api(Method::GET, &path, None).await.unwrap();
        assert_eq!(response.status, 404, "{path}: {}", response.text);
    }
}

#[tokio::test]
async fn the_policies_are_served_each_with_its_version() {
    let stack = Stack::shared().await;
    let response = stack.api(Method::GET, "/policy?style=classic", None).await.unwrap();
    assert_eq!(response.body, classic_policy());
    assert!(
        response.text.starts_with("{\n    \"Version\": \"2012-10-17\",\n    \"Statement\": [\n"),
        "{}",
        response.text
    );
    assert!(response.headers.contains_key("policy-version"), "{:?}", response.headers);

    let response = stack.api(Method::GET, "/policy?style=hardened&account_id=123456789012", None).await.unwrap();
    assert!(response.text.contains("123456789012") && !response.text.contains("ACCOUNT"), "{}", response.text);
    for query in ["style=hardened", "style=hardened&account_id=12", "style=none", ""] {
        let response = stack.api(Method::GET, &format!("/policy?{query}"), None).await.unwrap();
        assert_eq!(response.status, 400, "{query}: {}", response.text);
    }
}

#[tokio::test]
async fn a_request_without_a_signature_is_forbidden() {
    let stack = Stack::shared().await;
    let url = format!("{}/providers?tenant_id=acme", stack.outputs.api_url);
    let response = reqwest::get(&url).await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(response.json::<serde_json::Value>().await.unwrap(), json!({ "message": "Forbidden" }));
}
