//! Taking a key: once, whole, and for its own tenant.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, until};
use operator::Tenant;

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
async fn a_key_that_is_taken_is_named_to_its_own_tenant_only() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let again = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!((again.status.as_u16(), &again.body["provider_id"]), (409, &json!(provider_id)), "{}", again.text);
    let stranger = stack.onboard("globex", &tenant).await.unwrap();
    assert_eq!(stranger.status, 409, "{}", stranger.text);
    assert!(!stranger.text.contains(&provider_id) && !stranger.text.contains("acme"), "{}", stranger.text);
}

#[tokio::test]
async fn whether_a_key_is_taken_is_not_told_to_somebody_without_its_secret() {
    let stack = Stack::shared().await;
    let (mut tenant, _) = stack.provider("acme").await;
    tenant.secret_access_key = "wrong0wrong1wrong2wrong3wrong4wrong5wron".to_owned();
    let mut nobodys = stack.classic_tenant().await;
    nobodys.secret_access_key.clone_from(&tenant.secret_access_key);
    let (taken, free) = tokio::join!(stack.onboard("globex", &tenant), stack.onboard("globex", &nobodys));
    let (taken, free) = (taken.unwrap(), free.unwrap());
    assert_eq!(taken.status, 422, "{}", taken.text);
    let told = |answer: &operator::Answer| {
        let checks = answer.body["report"]["checks"].as_array().unwrap().iter();
        checks.map(|check| (check["name"].to_string(), check["outcome"].to_string())).collect::<Vec<_>>()
    };
    assert_eq!((taken.status, told(&taken)), (free.status, told(&free)));
}

#[tokio::test]
async fn an_idempotency_key_answers_the_same_request_with_the_same_provider() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    let header = [("idempotency-key", tenant.account_id.as_str())];
    let create = |body: Value| {
        let stack = &stack;
        async move { stack.api_with(Method::POST, "/providers", Some(&body), &header).await.unwrap() }
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
async fn what_pasting_leaves_around_a_key_does_not_matter() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    let mut body = request("acme", &tenant);
    body["access_key_id"] = json!(format!(" \"{}\"\n", tenant.access_key_id));
    body["secret_access_key"] =
        json!(format!("'{}' ", tenant.secret_access_key.replace('+', "%2B").replace('/', "%2F")));
    let answer = stack.api(Method::POST, "/providers", Some(&body)).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
}

#[tokio::test]
async fn a_bad_field_is_named_and_its_value_is_not_repeated() {
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
        let answer = stack.api(Method::POST, "/providers", Some(&body)).await.unwrap();
        assert_eq!(answer.status, 400, "{field}: {}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.body["field"], field, "{}", answer.text);
        assert!(!answer.text.contains("SURPRISE") && !answer.text.contains(&tenant.secret_access_key));
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
    // What has not even the shape of a secret asks AWS nothing, so only real attempts count.
    assert!(statuses.iter().all(|status| *status == 422), "{statuses:?}");

    tenant.secret_access_key = "wrong0wrong1wrong2wrong3wrong4wrong5wron".to_owned();
    let attempts = (0..12).map(|_| stack.onboard("guesser", &tenant));
    let answers = futures_all(attempts).await;
    let limited = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!(limited, 2);
    assert!(
        answers.iter().filter(|answer| answer.status == 429).all(|answer| answer.headers.contains_key("retry-after"))
    );
}

#[tokio::test]
async fn operators_are_told_of_a_provider_that_was_taken() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let event = until("Provider Verified", || async {
        stack
            .events_of("Provider Verified")
            .await
            .unwrap()
            .into_iter()
            .find(|event| event["detail"]["provider_id"] == provider_id.as_str())
    })
    .await;
    assert_eq!(event["source"], "sendingbee.verify");
    assert_eq!(event["detail"]["account_id"], tenant.account_id.as_str());
}

async fn futures_all<F>(attempts: impl Iterator<Item = F>) -> Vec<operator::Answer>
where
    F: Future<Output = anyhow::Result<operator::Answer>>,
{
    let mut answers = Vec::new();
    // Four at a time: `local` runs that many environments of a function.
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
        answers.extend([a, b, c, d].into_iter().flatten());
    }
    answers
}
