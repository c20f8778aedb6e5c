//! The onboarding page on the wire: who may open it, what it tells the browser, and what it does with a key.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PageVisitor, Stack, Tables, classic_policy, eventually, now, policy_allowing};

fn asked(tenant_id: &str) -> Value {
    json!({ "tenant_id": tenant_id, "name": "Main <account>", "intent": "connect" })
}

#[tokio::test]
async fn a_link_is_opened_by_its_code_once_and_looking_at_it_opens_nothing() {
    let stack = Stack::shared().await;
    let mut visitor = PageVisitor::of(&stack.ask_for_link(&asked("opener")).await);
    // A mail scanner follows the link as often as it likes.
    for _ in 0..3 {
        let page = visitor.look("").await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(page.text.contains("Main &lt;account&gt;") && !page.text.contains("Main <account>"), "{}", page.text);
        assert!(!page.text.contains(&visitor.code) && page.headers.get("set-cookie").is_none());
    }
    let wrong = visitor.send("session", &[("code", &"A".repeat(43))]).await;
    assert_eq!((wrong.status.as_u16(), wrong.headers.get("set-cookie")), (303, None));
    assert_eq!(stack.links_of("opener").await[0]["state"], "unopened");

    let mut other = PageVisitor::of(&stack.ask_for_link(&asked("other-opener")).await);
    assert!(visitor.open().await && other.open().await);
    assert_eq!(stack.links_of("opener").await[0]["state"], "opened");
    let cookie = visitor.cookie.clone().unwrap();
    assert!(cookie.starts_with(&format!("__Host-{}=", visitor.link_id)));
    assert!(visitor.look("").await.text.contains("AWS account ID"));

    // Somebody else who has the same link is told so, and so is a session of another link.
    visitor.cookie = None;
    assert!(!visitor.open().await);
    assert_eq!(visitor.look("").await.status, 410);
    visitor.cookie.clone_from(&other.cookie);
    assert_eq!(visitor.look("").await.status, 410);
    assert_eq!(visitor.progress().await.status, 403);
    // A browser that has the session goes on with it, whatever it sends as code.
    visitor.cookie = Some(cookie);
    let again = visitor.send("session", &[]).await;
    assert_eq!((again.status.as_u16(), visitor.look("").await.status.as_u16()), (303, 200));
}

#[tokio::test]
async fn every_answer_tells_the_browser_to_load_run_frame_and_keep_nothing() {
    let stack = Stack::shared().await;
    let visitor = stack.opened_page("headers").await;
    let page = visitor.look("?step=paste").await;
    let mut unknown = PageVisitor::of(&stack.ask_for_link(&asked("headers-2")).await);
    unknown.url = visitor.url.replace("lnk_", "lnk_x");
    let unknown = unknown.look("").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.headers["content-type"].to_str().unwrap().starts_with("text/html"), "{:?}", unknown.headers);
    let progress = visitor.progress().await;
    let forbidden = visitor.send_with("key", &[], &[]).await;
    assert_eq!(forbidden.status, 403);
    for response in [&page, &unknown, &progress, &forbidden] {
        for (name, part) in [
            ("content-security-policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "),
            ("content-security-policy", "frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("strict-transport-security", "max-age="),
            ("cross-origin-opener-policy", "same-origin"),
            ("permissions-policy", "camera=()"),
            ("x-content-type-options", "nosniff"),
        ] {
            let value = response.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
            assert!(value.contains(part), "{} {name}: {value}", response.status);
        }
    }
    // What the page loads is there, unchanged, and may be kept.
    let origin = stack.outputs.api_url.trim_end_matches('/');
    let assets: Vec<&str> = page.text.split('"').filter(|part| part.starts_with("/connect/assets/")).collect();
    assert_eq!(assets.len(), 3, "{assets:?}");
    for asset in assets {
        let response = reqwest::get(format!("{origin}{asset}")).await.unwrap();
        assert_eq!(response.status(), 200, "{asset}");
        assert!(response.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    }
    assert_eq!(reqwest::get(format!("{origin}/connect/assets/page.css")).await.unwrap().status(), 404);
    // The page asks for nothing from elsewhere.
    for attribute in ["src=\"", "action=\""] {
        for value in page.text.split(attribute).skip(1) {
            assert!(value.starts_with("/connect/"), "{attribute}{}", &value[..40]);
        }
    }
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let stack = Stack::shared().await;
    let mut visitor = PageVisitor::of(&stack.ask_for_link(&asked("forged")).await);
    let code = visitor.code.clone();
    for headers in [
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")][..],
        &[("sec-fetch-site", "same-site"), ("origin", "null")],
        &[("origin", "null")],
        &[],
    ] {
        let response = visitor.send_with("session", &[("code", &code)], headers).await;
        assert_eq!(response.status, 403, "{headers:?}");
    }
    assert!(visitor.open().await);
    let refused = visitor
        .send_with("key", &[("access_key_id", "AKIASP2TPHJSQH3FJRUX")], &[("origin", "https://evil.test")])
        .await;
    assert_eq!(refused.status, 403);
    assert_eq!(visitor.progress().await.body, json!({ "submission": null, "running": false, "checks": [] }));
}

#[tokio::test]
async fn a_key_is_refused_with_what_to_mend_and_then_accepted() {
    let stack = Stack::shared().await;
    let visitor = stack.opened_page("walker").await;
    let mut tenant = stack.classic_tenant().await;
    let good = tenant.secret_access_key.clone();
    tenant.secret_access_key.replace_range(..5, "wrong");
    let sent = visitor.submit(&tenant).await;
    let location = sent.headers["location"].to_str().unwrap().to_owned();
    assert!(location.ends_with("?step=result"), "{location}");
    let result = visitor.look("?step=result").await;
    assert!(result.text.contains("The key was not accepted") && result.text.contains("Check again"), "{}", result.text);
    assert!(result.text.contains("The secret does not belong to this access key id"), "{}", result.text);
    let german = visitor.look("?step=result&lang=de").await;
    assert!(german.text.contains("Das Geheimnis gehört nicht zu dieser Zugriffsschlüssel-ID"), "{}", german.text);
    let progress = visitor.progress().await.body;
    assert_eq!((&progress["running"], &progress["checks"][2]["name"]), (&json!(false), &json!("live")), "{progress}");
    let failed = eventually("the event about the refusal", || async {
        stack.link_events("Onboarding Failed", &visitor.link_id).await.pop()
    })
    .await;
    assert_eq!(
        (&failed["reason"], &failed["checks"], &failed["refusals"]),
        (&json!("refused"), &json!(["live"]), &json!(1))
    );

    tenant.secret_access_key = good;
    visitor.submit(&tenant).await;
    let result = visitor.look("").await;
    assert!(result.text.contains("<h1>Connected</h1>"), "{}", result.text);
    let user = tenant.user_arn.rsplit('/').next().unwrap();
    assert!(result.text.contains(&format!("Delete the user <code>{user}</code>")), "{}", result.text);
    // Nothing that was typed is shown again.
    for typed in [&tenant.secret_access_key, &tenant.access_key_id] {
        assert!(!result.text.contains(typed.as_str()));
    }
    let completed = eventually("the event about the link's end", || async {
        stack.link_events("Onboarding Completed", &visitor.link_id).await.pop()
    })
    .await;
    let link = stack.links_of("walker").await.remove(0);
    assert_eq!((&link["state"], &link["submissions"], &link["refusals"]), (&json!("completed"), &json!(2), &json!(1)));
    assert_eq!(link["provider_id"], completed["provider_id"]);
    let provider = stack.get_provider(completed["provider_id"].as_str().unwrap()).await.body;
    assert_eq!(
        (&provider["tenant_id"], &provider["name"], &provider["status"]),
        (&json!("walker"), &json!("Main account"), &json!("active"))
    );

    // It takes no other key, and nobody else opens it.
    visitor.submit(&stack.classic_tenant().await).await;
    assert_eq!(stack.links_of("walker").await[0]["submissions"], 2);
    let revoked = stack.api(Method::DELETE, &format!("/onboarding-links/{}", visitor.link_id), None).await.unwrap();
    assert_eq!((revoked.status.as_u16(), &revoked.body["provider_id"]), (409, &completed["provider_id"]));
}

#[tokio::test]
async fn the_checks_are_shown_while_they_are_made_and_a_second_submission_waits() {
    let stack = Stack::shared().await;
    let visitor = stack.opened_page("watcher").await;
    let tenant = stack.classic_tenant().await;
    stack.set_faults(&tenant, &json!({ "on": ["iam:*"], "latency_ms": 700 })).await;
    let (_, seen) = tokio::join!(visitor.submit(&tenant), async {
        let first = eventually("the first checks", || async {
            let progress = visitor.progress().await.body;
            (progress["checks"].as_array().is_some_and(|checks| !checks.is_empty()) && progress["running"] == true)
                .then_some(progress)
        })
        .await;
        // A double click, or another tab.
        visitor.submit(&tenant).await;
        let page = visitor.look("").await;
        assert!(
            page.text.contains("Checking your key") && page.text.contains("http-equiv=\"refresh\""),
            "{}",
            page.text
        );
        first
    });
    assert_eq!(seen["checks"][0]["name"], "shape", "{seen}");
    let progress = visitor.progress().await.body;
    assert!(progress["running"] == false && progress["checks"].as_array().unwrap().len() == 20, "{progress}");
    let link = &stack.links_of("watcher").await[0];
    assert_eq!((&link["state"], &link["submissions"]), (&json!("completed"), &json!(1)));
}

#[tokio::test]
async fn a_link_that_was_replaced_revoked_or_is_over_says_so_and_ends_its_session() {
    let stack = Stack::shared().await;
    for (tenant_id, says) in [("gone-1", "newer link"), ("gone-2", "taken it back"), ("gone-3", "Its time is over")] {
        let visitor = stack.opened_page(tenant_id).await;
        match tenant_id {
            "gone-1" => drop(stack.opened_page(tenant_id).await),
            "gone-2" => {
                let path = format!("/onboarding-links/{}", visitor.link_id);
                stack.api(Method::DELETE, &path, None).await.unwrap();
            }
            _ => stack.expire_link(&visitor.link_id).await,
        }
        let page = visitor.look("?step=paste").await;
        assert!(page.status == 410 && page.text.contains(says), "{tenant_id}: {}", page.text);
        visitor.submit(&stack.classic_tenant().await).await;
        assert_eq!(visitor.progress().await.status, 403, "{tenant_id}");
    }
    let mut late = PageVisitor::of(&stack.ask_for_link(&asked("gone-4")).await);
    stack.expire_link(&late.link_id).await;
    assert!(!late.open().await);
}

#[tokio::test]
async fn a_provider_s_key_is_rotated_on_the_page() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("rotating-page").await;
    let body = json!({ "tenant_id": "rotating-page", "name": "main", "intent": "rotate", "provider_id": provider_id });
    let mut visitor = PageVisitor::of(&stack.ask_for_link(&body).await);
    assert!(visitor.open().await);
    let page = visitor.look("").await;
    assert!(page.text.contains("Create an access key") && !page.text.contains("Create a policy"), "{}", page.text);
    let new = stack.further_key(&tenant).await;
    stack.set_policies(&tenant, &[policy_allowing(&["*"])]).await;
    visitor.submit(&new).await;
    // No step is about the policy, so a link leads to it, and from there back to the key.
    let refused = visitor.look("").await.text;
    assert!(refused.contains("The key can do more") && !refused.contains("first step"), "{refused}");
    assert!(refused.contains("<a href=\"?step=policy\">The policy, and"), "{refused}");
    let policy = visitor.look("?step=policy&style=classic").await.text;
    assert!(policy.contains("<h1>Create a policy</h1>") && policy.contains("Next: Paste"), "{policy}");
    stack.set_policies(&tenant, &[classic_policy()]).await;
    visitor.submit(&new).await;
    let result = visitor.look("").await;
    assert!(result.text.contains("The new key was accepted"), "{}", result.text);
    let link = &stack.links_of("rotating-page").await[0];
    let rotation = stack.get_provider(&provider_id).await.body["rotation"]["rotation_id"].clone();
    assert_eq!((&link["provider_id"], &link["rotation_id"]), (&json!(provider_id), &rotation));
}

/// The page of a link that is to repair a provider, once nothing is checked any more.
async fn checked_page(visitor: &PageVisitor) -> String {
    let sent = visitor.send("verification", &[]).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    eventually("the end of the check", || async { (visitor.progress().await.body["running"] == false).then_some(()) })
        .await;
    visitor.look("?step=result").await.text
}

#[tokio::test]
async fn a_provider_is_mended_on_the_page_without_its_secret() {
    let stack = &Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("mender").await;
    stack.set_policies(&tenant, &[policy_allowing(&["iam:GetUser", "iam:DeleteAccessKey", "ses:GetAccount"])]).await;
    stack.verify_provider(&provider_id).await;
    Tables::new(stack).await.set_failing_since(&provider_id).await;
    let suspended = stack.verify_provider(&provider_id).await;
    assert_eq!(suspended["provider_status"], json!({ "status": "suspended", "reason": "permission_missing" }));

    let body = json!({ "tenant_id": "mender", "name": "main", "intent": "repair", "provider_id": provider_id });
    let mut visitor = PageVisitor::of(&stack.ask_for_link(&body).await);
    assert!(visitor.look("").await.text.contains("asks you to look at your Amazon SES"));
    assert_eq!(visitor.send("verification", &[]).await.status, 303, "without a session nothing is checked");
    assert!(visitor.open().await);
    let page = visitor.look("").await.text;
    assert!(page.contains("No policy allows the key to send.") && page.contains("Attach the policy again"), "{page}");
    assert!(page.contains("Check again") && !page.contains("secret_access_key"), "{page}");
    let german = visitor.look("?lang=de").await.text;
    assert!(german.contains("Keine Richtlinie erlaubt dem Schlüssel das Senden."), "{german}");
    assert!(german.contains("Fügen Sie die Richtlinie wieder an"), "{german}");
    assert_eq!(visitor.send_with("verification", &[], &[("origin", "https://evil.test")]).await.status, 403);
    assert_eq!(visitor.progress().await.body["submission"], Value::Null);

    // Nothing was mended yet.
    let page = checked_page(&visitor).await;
    assert!(page.contains("Something is still to be mended") && page.contains("data-check=\"sending\""), "{page}");
    let failed = stack.link_events("Onboarding Failed", &visitor.link_id).await.pop().unwrap();
    assert_eq!((&failed["reason"], &failed["submissions"]), (&json!("refused"), &json!(1)), "{failed}");
    assert!(failed["checks"].as_array().unwrap().contains(&json!("sending")), "{failed}");

    let classic = stack.api(Method::GET, "/policy?style=classic", None).await.unwrap().body;
    stack.set_policies(&tenant, &[classic]).await;
    let page = checked_page(&visitor).await;
    assert!(page.contains("<h1>Everything is in order</h1>"), "{page}");
    let asked = stack.get_verification(&provider_id, "latest").await.body;
    assert_eq!((&asked["asked_by"], &asked["state"]), (&json!(visitor.link_id), &json!("finished")));
    assert_eq!(stack.get_provider(&provider_id).await.body["status"], "active");
    let completed = stack.link_events("Onboarding Completed", &visitor.link_id).await;
    assert_eq!((completed.len(), &completed[0]["provider_id"]), (1, &json!(provider_id)), "{completed:?}");
    let link = stack.links_of("mender").await.remove(0);
    assert_eq!((&link["state"], &link["submissions"], &link["refusals"]), (&json!("completed"), &json!(2), &json!(1)));
}

#[tokio::test]
async fn a_check_whose_page_was_closed_completes_its_link_all_the_same() {
    let stack = &Stack::shared().await;
    let (_, provider_id) = stack.create_provider("closed-mender").await;
    let body = json!({ "tenant_id": "closed-mender", "name": "main", "intent": "repair", "provider_id": provider_id });
    let mut visitor = PageVisitor::of(&stack.ask_for_link(&body).await);
    assert!(visitor.open().await);
    visitor.send("verification", &[]).await;
    let asked = stack.get_verification(&provider_id, "latest").await.body;
    stack.finished_verification(&provider_id, asked["verification_id"].as_str().unwrap()).await;
    // The link is due from the moment the check was asked for.
    stack.look_at_due_link(&visitor.link_id).await;
    eventually("the event about the link's end", || async {
        stack.link_events("Onboarding Completed", &visitor.link_id).await.pop()
    })
    .await;
    assert_eq!(stack.links_of("closed-mender").await[0]["state"], "completed");
}

#[tokio::test]
async fn a_check_that_was_not_noted_and_fails_is_told_and_its_link_is_looked_at_when_it_is_over() {
    let stack = &Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("killed-mender").await;
    stack.set_policies(&tenant, &[policy_allowing(&["iam:GetUser", "iam:DeleteAccessKey", "ses:GetAccount"])]).await;
    let body = json!({ "tenant_id": "killed-mender", "name": "main", "intent": "repair", "provider_id": provider_id });
    let mut visitor = PageVisitor::of(&stack.ask_for_link(&body).await);
    assert!(visitor.open().await);
    visitor.send("verification", &[]).await;
    // As if the function had been killed between the wish and its note.
    stack.forget_link_verification(&visitor.link_id).await;
    let asked = stack.get_verification(&provider_id, "latest").await.body;
    assert_eq!(asked["asked_by"], json!(visitor.link_id));
    stack.finished_verification(&provider_id, asked["verification_id"].as_str().unwrap()).await;
    stack.look_at_due_link(&visitor.link_id).await;
    let failed = eventually("the event about the failure", || async {
        stack.link_events("Onboarding Failed", &visitor.link_id).await.pop()
    })
    .await;
    assert_eq!((&failed["reason"], &failed["submissions"]), (&json!("refused"), &json!(1)), "{failed}");
    // What is left is the end of its time.
    stack.look_at_due_link(&visitor.link_id).await;
    assert!(stack.next_look_at_link(&visitor.link_id).await > now() + SignedDuration::from_hours(23));
    stack.expire_link(&visitor.link_id).await;
    eventually("the event about the link's end", || async {
        stack.run_link_schedule().await;
        stack.link_events("Onboarding Abandoned", &visitor.link_id).await.pop()
    })
    .await;
}

#[tokio::test]
async fn where_the_key_is_gone_the_page_that_repairs_takes_another_one() {
    let stack = &Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("key-mender").await;
    let body = json!({ "tenant_id": "key-mender", "name": "main", "intent": "repair", "provider_id": provider_id });
    let mut visitor = PageVisitor::of(&stack.ask_for_link(&body).await);
    assert!(visitor.open().await);
    assert!(!visitor.look("").await.text.contains("Hand over a new access key"));
    let new = stack.further_key(&tenant).await;
    stack.delete_key_as_admin(&tenant).await;
    let page = checked_page(&visitor).await;
    assert!(page.contains("still goes out, but at the last check something was wrong"), "{page}");
    assert!(page.contains("AWS does not know the access key any more"), "{page}");
    assert!(page.contains("Hand over a new access key") && page.contains("href=\"?step=key\""), "{page}");
    for (step, title) in [("policy", "Create a policy"), ("key", "Create an access key")] {
        let page = visitor.look(&format!("?step={step}")).await.text;
        assert!(page.contains(&format!("<h1>{title}</h1>")), "{page}");
    }
    visitor.submit(&new).await;
    let page = visitor.look("").await.text;
    assert!(page.contains("The new key was accepted"), "{page}");
    let link = stack.links_of("key-mender").await.remove(0);
    let rotation = stack.get_provider(&provider_id).await.body["rotation"]["rotation_id"].clone();
    assert_eq!((&link["state"], &link["rotation_id"]), (&json!("completed"), &rotation));
}

#[tokio::test]
async fn a_provider_that_was_stopped_is_not_repaired() {
    let stack = &Stack::shared().await;
    let (_, provider_id) = stack.create_provider("stopped-mender").await;
    let body = |tenant_id: &str| json!({ "tenant_id": tenant_id, "name": "main", "intent": "repair", "provider_id": provider_id });
    assert_eq!(stack.ask_for_link(&body("somebody-else")).await.status, 404);
    let mut visitor = PageVisitor::of(&stack.ask_for_link(&body("stopped-mender")).await);
    assert!(visitor.open().await);
    assert!(visitor.look("").await.text.contains("Is everything in order?"));
    let gone = stack.api(Method::DELETE, &format!("/providers/{provider_id}"), None).await.unwrap();
    assert_eq!(gone.status, 202, "{}", gone.text);
    let refused = stack.ask_for_link(&body("stopped-mender")).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.body["type"]),
        (409, &json!("urn:sendingbee:problem:provider-stopped"))
    );
    assert_eq!(visitor.send("verification", &[]).await.status, 303);
    let page = visitor.look("").await.text;
    assert!(page.contains("This access was ended") && !page.contains("<button>"), "{page}");
    assert_eq!(stack.get_verification(&provider_id, "latest").await.status, 404, "nothing was asked for");
}

#[tokio::test]
async fn attempts_are_limited_as_for_the_api() {
    let stack = Stack::shared().await;
    let visitor = stack.opened_page("page-guesser").await;
    let tenant = stack.classic_tenant().await;
    stack.set_faults(&tenant, &json!({ "enforcement": "SHUTDOWN" })).await;
    for _ in 0..10 {
        visitor.submit(&tenant).await;
    }
    assert!(visitor.look("").await.text.contains("AWS has shut down sending"));
    visitor.submit(&tenant).await;
    assert!(visitor.look("").await.text.contains("Too many attempts"));
}

#[tokio::test]
async fn a_session_that_is_used_lasts_longer_and_one_that_is_over_is_not_brought_back() {
    let stack = Stack::shared().await;
    let visitor = stack.opened_page("slow-reader").await;
    // Just opened: nothing is prolonged.
    assert_eq!(visitor.look("").await.headers.get("set-cookie"), None);
    let ends_at = stack.move_session_end(&visitor.link_id, -20).await;
    let page = visitor.look("?step=user").await;
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with(visitor.cookie.as_deref().unwrap()) && cookie.contains("Max-Age=1800"), "{cookie}");
    assert!(stack.move_session_end(&visitor.link_id, 0).await > ends_at);
    stack.move_session_end(&visitor.link_id, -31).await;
    let over = visitor.look("?step=user").await;
    assert_eq!((over.status.as_u16(), over.headers.get("set-cookie")), (410, None));
}
