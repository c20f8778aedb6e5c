//! Onboarding links as the operator's backend sees them: made, listed, replaced, revoked, and told of when they end.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, eventually};

fn connect(tenant_id: &str, name: &str) -> Value {
    json!({ "tenant_id": tenant_id, "name": name, "intent": "connect", "regions": ["us-east-1"] })
}

#[tokio::test]
async fn a_link_is_made_listed_and_revoked() {
    let stack = Stack::shared().await;
    let made = stack.ask_for_link(&connect("linked", "main")).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let (id, url) = (made.body["link_id"].as_str().unwrap(), made.body["url"].as_str().unwrap());
    let (page, token) = url.split_once('#').unwrap();
    assert_eq!(page, format!("{}/connect/{id}", stack.outputs.api_url.trim_end_matches('/')));
    assert_eq!(token.len(), 43);

    let links = stack.links_of("linked").await;
    assert_eq!(links.len(), 1);
    assert_eq!(
        (&links[0]["link_id"], &links[0]["state"], &links[0]["submissions"]),
        (&json!(id), &json!("unopened"), &json!(0))
    );
    assert!(!links[0].to_string().contains(token), "a list opens a link");
    // Not where providers are listed.
    let providers = stack.api(Method::GET, "/providers?tenant_id=linked", None).await.unwrap();
    assert_eq!(providers.body["providers"], json!([]));

    let path = format!("/onboarding-links/{id}");
    for _ in 0..2 {
        let revoked = stack.api(Method::DELETE, &path, None).await.unwrap();
        assert_eq!(revoked.status, 204, "{}", revoked.text);
    }
    assert_eq!(stack.links_of("linked").await[0]["state"], "revoked");
    let unknown = stack.api(Method::DELETE, "/onboarding-links/lnk_01ARZ3NDEKTSV4RRFFQ69G5FAV", None).await.unwrap();
    assert_eq!(unknown.status, 404, "{}", unknown.text);
}

#[tokio::test]
async fn a_new_link_for_the_same_purpose_replaces_the_old_one() {
    let stack = Stack::shared().await;
    let first = stack.ask_for_link(&connect("replaced", "main")).await.body;
    let other = stack.ask_for_link(&connect("replaced", "newsletter")).await.body;
    let second = stack.ask_for_link(&connect("replaced", "main")).await.body;
    assert_eq!((&other["replaces"], &second["replaces"]), (&Value::Null, &first["link_id"]));
    let links = stack.links_of("replaced").await;
    let listed: Vec<_> = links.iter().map(|link| (&link["link_id"], link["state"].as_str().unwrap())).collect();
    assert_eq!(listed, [(&second["link_id"], "unopened"), (&other["link_id"], "unopened")]);
    // What was revoked is replaced without a word.
    let path = format!("/onboarding-links/{}", second["link_id"].as_str().unwrap());
    stack.api(Method::DELETE, &path, None).await.unwrap();
    assert_eq!(stack.ask_for_link(&connect("replaced", "main")).await.body["replaces"], Value::Null);
}

#[tokio::test]
async fn a_link_leads_back_only_where_the_operator_allows_it() {
    let allowed = "OnboardingReturnUrls=https://app.example.com/settings/";
    let stack = Stack::with_arguments(&["--parameter", allowed]).await;
    for (url, status) in [
        ("https://app.example.com/settings/mail", 201),
        ("https://app.example.com/admin", 400),
        ("https://evil.test/settings/", 400),
        ("javascript:alert(1)", 400),
    ] {
        let mut body = connect("returning", "main");
        body["return_url"] = json!(url);
        let response = stack.ask_for_link(&body).await;
        assert_eq!(response.status, status, "{url}: {}", response.text);
        assert_eq!(response.body.get("field"), (status == 400).then_some(&json!("return_url")), "{url}");
    }
}

#[tokio::test]
async fn a_link_for_a_rotation_is_made_for_a_tenants_own_provider() {
    let stack = Stack::shared().await;
    let (_, provider_id) = stack.create_provider("turning").await;
    let body = |tenant_id: &str, intent: &str| json!({ "tenant_id": tenant_id, "name": "main", "intent": intent, "provider_id": provider_id });
    assert_eq!(stack.ask_for_link(&body("turning", "rotate")).await.status, 201);
    let listed = stack.links_of("turning").await;
    assert_eq!((&listed[0]["provider_id"], &listed[0]["regions"]), (&json!(provider_id), &json!(["us-east-1"])));
    assert_eq!(stack.ask_for_link(&body("somebody-else", "rotate")).await.status, 404);
    let unknown = stack.ask_for_link(&body("turning", "mend")).await;
    let says = "`intent` must be one of connect, rotate, repair.";
    assert_eq!((unknown.status.as_u16(), unknown.body["detail"].as_str()), (400, Some(says)), "{}", unknown.text);
}

#[tokio::test]
async fn a_link_that_nobody_completes_is_told_of_once() {
    let stack = Stack::shared().await;
    let made = stack.ask_for_link(&connect("forgetful", "main")).await.body;
    let id = made["link_id"].as_str().unwrap();
    stack.run_link_schedule().await;
    assert_eq!(stack.link_events("Onboarding Abandoned", id).await, Vec::<Value>::new());
    stack.expire_link(id).await;
    assert_eq!(stack.links_of("forgetful").await[0]["state"], "expired");
    eventually("the event about a link that was abandoned", || async {
        stack.run_link_schedule().await;
        stack.link_events("Onboarding Abandoned", id).await.pop()
    })
    .await;
    stack.run_link_schedule().await;
    let events = stack.link_events("Onboarding Abandoned", id).await;
    let expected =
        json!([{ "link_id": id, "tenant_id": "forgetful", "intent": "connect", "submissions": 0, "refusals": 0 }]);
    assert_eq!(json!(events), expected);
    assert_eq!(stack.links_of("forgetful").await[0]["state"], "abandoned");
}
