//! Onboarding a key: once, completely, and for its own tenant.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Stack;
use operator::{ApiResponse, Tenant};

/// The body of `POST /providers`.
fn request(tenant_id: &str, tenant: &Tenant) -> Value {
    json!({
        "tenant_id": tenant_id, "name": "main", "region": tenant.region,
        "access_key_id": tenant.access_key_id, "secret_access_key": tenant.secret_access_key,
    })
}

#[tokio::test]
async fn of_two_concurrent_onboardings_of_one_key_one_wins() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    let (one, other) = tokio::join!(stack.onboard("acme", &tenant), stack.onboard("globex", &tenant));
    let mut statuses = [one.unwrap().status.as_u16(), other.unwrap().status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[tokio::test]
async fn only_its_own_tenant_learns_the_provider_of_an_onboarded_key() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("initech").await;
    let again = stack.onboard("initech", &tenant).await.unwrap();
    assert_eq!((again.status.as_u16(), &again.body["provider_id"]), (409, &json!(provider_id)), "{}", again.text);
    let stranger = stack.onboard("globex", &tenant).await.unwrap();
    assert_eq!(stranger.status, 409, "{}", stranger.text);
    assert!(!stranger.text.contains(&provider_id) && !stranger.text.contains("initech"), "{}", stranger.text);
}

#[tokio::test]
async fn without_its_secret_nobody_learns_whether_a_key_is_onboarded() {
    let stack = Stack::shared().await;
    let (mut tenant, _) = stack.create_provider("acme").await;
    tenant.secret_access_key = "wrong0wrong1wrong2wrong3wrong4wrong5wron".to_owned();
    let mut unknown = stack.classic_tenant().await;
    unknown.secret_access_key.clone_from(&tenant.secret_access_key);
    let (taken, free) = tokio::join!(stack.onboard("globex", &tenant), stack.onboard("globex", &unknown));
    let (taken, free) = (taken.unwrap(), free.unwrap());
    assert_eq!(taken.status, 422, "{}", taken.text);
    let outcomes = |response: &ApiResponse| {
        let checks = response.body["report"]["checks"].as_array().unwrap().iter();
        checks.map(|check| (check["name"].to_string(), check["outcome"].to_string())).collect::<Vec<_>>()
    };
    assert_eq!((taken.status, outcomes(&taken)), (free.status, outcomes(&free)));
}

#[tokio::test]
async fn a_repeated_request_with_an_idempotency_key_returns_the_same_provider() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    let header = [("idempotency-key", tenant.account_id.as_str())];
    let create = |body: Value| {
        let stack = &stack;
        async move { stack.api_with_headers(Method::POST, "/providers", Some(&body), &header).await.unwrap() }
    };
    let first = create(request("acme", &tenant)).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let again = create(request("acme", &tenant)).await;
    assert_eq!(
        (again.status.as_u16(), &again.body["provider_id"]),
        (201, &first.body["provider_id"]),
        "{}",
        again.text
    );

    let other = stack.classic_tenant().await;
    let reused = create(request("acme", &other)).await;
    assert_eq!(reused.status, 422, "{}", reused.text);
    assert!(reused.text.contains("dempotency"), "{}", reused.text);
}

#[tokio::test]
async fn quotes_and_encodings_of_a_pasted_key_do_not_matter() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    let mut body = request("acme", &tenant);
    body["access_key_id"] = json!(format!(" \"{}\"\n", tenant.access_key_id));
    body["secret_access_key"] =
        json!(format!("'{}' ", tenant.secret_access_key.replace('+', "%2B").replace('/', "%2F")));
    let response = stack.api(Method::POST, "/providers", Some(&body)).await.unwrap();
    assert_eq!(response.status, 201, "{}", response.text);
}

#[tokio::test]
async fn an_invalid_field_is_named_without_its_value() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    let good = request("acme", &tenant);
    let cases = [
        ("region", json!("mars-1")),
        ("tenant_id", json!("a b")),
        ("tenant_id", json!(7)),
        ("name", json!("")),
        ("secret_access_key", json!([tenant.secret_access_key])),
        ("unknown", json!("SURPRISE")),
    ];
    for (field, value) in cases {
        let mut body = good.clone();
        body[field] = value;
        let response = stack.api(Method::POST, "/providers", Some(&body)).await.unwrap();
        assert_eq!(response.status, 400, "{field}: {}", response.text);
        assert_eq!(response.headers["content-type"], "application/problem+json");
        assert_eq!(response.body["field"], field, "{}", response.text);
        assert!(!response.text.contains("SURPRISE") && !response.text.contains(&tenant.secret_access_key));
    }
}

#[tokio::test]
async fn attempts_with_a_wrong_secret_are_limited() {
    let stack = Stack::shared().await;
    let mut tenant = stack.classic_tenant().await;
    tenant.secret_access_key.truncate(39);
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(stack.onboard("guesser", &tenant).await.unwrap().status.as_u16());
    }
    // A text without the shape of a secret causes no call to AWS, so it is not counted.
    assert!(statuses.iter().all(|status| *status == 422), "{statuses:?}");

    tenant.secret_access_key = "wrong0wrong1wrong2wrong3wrong4wrong5wron".to_owned();
    let attempts = (0..12).map(|_| stack.onboard("guesser", &tenant));
    let responses = four_at_a_time(attempts).await;
    let limited = responses.iter().filter(|response| response.status == 429).count();
    assert_eq!(limited, 2);
    assert!(
        responses
            .iter()
            .filter(|response| response.status == 429)
            .all(|response| response.headers.contains_key("retry-after"))
    );
}

#[tokio::test]
async fn an_event_reports_a_provider_that_was_onboarded() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let event = stack.provider_event("Provider Verified", &provider_id).await;
    assert_eq!(event["source"], "sendingbee.verify");
    assert_eq!(event["detail"]["account_id"], tenant.account_id.as_str());
}

/// Awaits the attempts in groups of four, because `local` runs only so many environments of a function.
async fn four_at_a_time<F>(attempts: impl Iterator<Item = F>) -> Vec<ApiResponse>
where
    F: Future<Output = anyhow::Result<ApiResponse>>,
{
    let mut responses = Vec::new();
    let mut attempts = attempts.peekable();
    while attempts.peek().is_some() {
        let four: [Option<F>; 4] = std::array::from_fn(|_| attempts.next());
        let [a, b, c, d] = four.map(|attempt| async {
            match attempt {
                Some(attempt) => Some(attempt.await.unwrap()),
                None => None,
            }
        });
        let (a, b, c, d) = tokio::join!(a, b, c, d);
        responses.extend([a, b, c, d].into_iter().flatten());
    }
    responses
}
