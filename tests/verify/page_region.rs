//! Which Region a key that is pasted into the onboarding page is for, where a link allows several.

use operator::Tenant;
use serde_json::{Value, json};

use crate::support::{PageVisitor, Stack, policy_allowing};

/// The Regions of the links of these tests.
const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "eu-central-1"];

async fn visitor(stack: &Stack, tenant_id: &str) -> PageVisitor {
    let asked = json!({ "tenant_id": tenant_id, "name": "Main account", "intent": "connect", "regions": REGIONS });
    let mut visitor = PageVisitor::of(&stack.ask_for_link(&asked).await);
    assert!(visitor.open().await);
    visitor
}

/// A tenant whose identities can send in these Regions.
async fn tenant(stack: &Stack, regions: &[&str]) -> Tenant {
    let elsewhere: Value = regions.iter().map(|region| ((*region).to_owned(), json!(["example.com"]))).collect();
    stack.tenant_with(&json!({ "identities": [], "identities_elsewhere": elsewhere })).await
}

/// Pastes a key for a Region, as the form has it that was shown last. Returns the page with the result.
async fn paste(visitor: &PageVisitor, tenant: &Tenant, region: &str) -> String {
    let form = visitor.look("?step=paste").await.text;
    let doubted = form.split("name=\"doubted_region\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let fields = [
        ("access_key_id", tenant.access_key_id.as_str()),
        ("secret_access_key", tenant.secret_access_key.as_str()),
        ("region", region),
        ("doubted_region", doubted.unwrap_or_default()),
    ];
    visitor.send("key", &fields).await;
    visitor.look("?step=result").await.text
}

/// The provider that a tenant's link was completed with.
async fn provider(stack: &Stack, tenant_id: &str) -> Value {
    let link = stack.links_of(tenant_id).await.remove(0);
    stack.get_provider(link["provider_id"].as_str().unwrap_or_else(|| panic!("{link}"))).await.body
}

/// The check of the Region in a provider's report.
fn region_check(provider: &Value) -> &Value {
    let checks = provider["report"]["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "ses_region").unwrap()
}

/// The Regions that a tenant's identities were listed in, in the order of the calls.
async fn listed(stack: &Stack, tenant: &Tenant) -> usize {
    let requests = stack.requests(tenant).await;
    requests.iter().filter(|request| request["operation"] == "ListEmailIdentities").count()
}

#[tokio::test]
async fn the_one_region_with_identities_is_found_with_the_key() {
    let stack = &Stack::shared().await;
    let visitor = visitor(stack, "finder").await;
    let form = visitor.look("?step=paste").await.text;
    assert!(form.contains("<option value=\"find\">Find it with the key</option>"), "{form}");
    let tenant = tenant(stack, &["eu-west-1"]).await;
    let page = paste(&visitor, &tenant, "find").await;
    assert!(page.contains("<h1>Connected</h1>") && page.contains("in eu-west-1"), "{page}");
    let provider = provider(stack, "finder").await;
    assert_eq!(provider["region"], "eu-west-1");
    let evidence = region_check(&provider)["evidence"].as_str().unwrap();
    assert!(evidence.starts_with("ses:GetAccount in eu-west-1: "), "{evidence}");
    assert!(evidence.ends_with("; ses:ListEmailIdentities: 1 can send in eu-west-1, none in 2"), "{evidence}");
    assert_eq!(listed(stack, &tenant).await, 3);
}

#[tokio::test]
async fn where_several_or_none_have_identities_the_tenant_chooses() {
    let stack = &Stack::shared().await;
    let visitor = visitor(stack, "chooser").await;
    let both = tenant(stack, &["eu-west-1", "eu-central-1"]).await;
    let page = paste(&visitor, &both, "find").await;
    assert!(page.contains("Domains or addresses are verified in eu-west-1, eu-central-1."), "{page}");
    let german = visitor.look("?step=result&lang=de").await.text;
    assert!(german.contains("Domains oder Adressen sind verifiziert in eu-west-1, eu-central-1."), "{german}");
    let form = visitor.look("?step=paste").await.text;
    assert!(form.contains("verified in eu-west-1, eu-central-1") && !form.contains(" selected"), "{form}");
    assert!(!form.contains("doubted_region"), "{form}");

    let page = paste(&visitor, &tenant(stack, &[]).await, "find").await;
    assert!(page.contains("No domain or address is verified in any Region that may be meant."), "{page}");

    let page = paste(&visitor, &both, "eu-central-1").await;
    assert!(page.contains("<h1>Connected</h1>"), "{page}");
    assert_eq!(provider(stack, "chooser").await["region"], "eu-central-1");
}

#[tokio::test]
async fn a_key_that_may_not_list_identities_is_denied_once_and_its_region_is_believed() {
    let stack = &Stack::shared().await;
    let visitor = visitor(stack, "unlisted").await;
    let policy = policy_allowing(&["ses:GetAccount", "ses:Send*", "iam:GetUser", "iam:DeleteAccessKey"]);
    let tenant = stack.tenant_with(&json!({ "policies": [policy] })).await;
    let page = paste(&visitor, &tenant, "find").await;
    assert!(page.contains("the key may not list the identities of the account"), "{page}");
    assert_eq!(listed(stack, &tenant).await, 1);
    let page = paste(&visitor, &tenant, "us-east-1").await;
    assert!(page.contains("<h1>Connected</h1>"), "{page}");
    assert_eq!(listed(stack, &tenant).await, 2);
}

#[tokio::test]
async fn a_region_without_identities_is_doubted_once_where_another_has_some() {
    let stack = &Stack::shared().await;
    for (tenant_id, second, region, outcome) in
        [("corrected", "eu-west-1", "eu-west-1", "passed"), ("insisting", "us-east-1", "us-east-1", "warning")]
    {
        let visitor = visitor(stack, tenant_id).await;
        let tenant = tenant(stack, &["eu-west-1"]).await;
        let page = paste(&visitor, &tenant, "us-east-1").await;
        let says = "No domain or address is verified in us-east-1, but some are in eu-west-1.";
        assert!(page.contains("The key was not accepted") && page.contains(says), "{page}");
        let form = visitor.look("?step=paste").await.text;
        assert!(form.contains("<option selected>eu-west-1</option>"), "{form}");
        let page = paste(&visitor, &tenant, second).await;
        assert!(page.contains("<h1>Connected</h1>"), "{page}");
        let provider = provider(stack, tenant_id).await;
        assert_eq!(
            (&provider["region"], &region_check(&provider)["outcome"]),
            (&json!(region), &json!(outcome)),
            "{provider}"
        );
        if outcome == "warning" {
            let suggestion = json!({ "chosen": "us-east-1", "verified_in": ["eu-west-1"] });
            assert_eq!(provider["report"]["region_suggestion"], suggestion);
            assert!(page.contains("Verify your domain in us-east-1 before mail is sent."), "{page}");
        }
    }
}

#[tokio::test]
async fn an_account_without_identities_is_connected_in_the_region_that_was_chosen() {
    let stack = &Stack::shared().await;
    let visitor = visitor(stack, "beginner").await;
    let tenant = tenant(stack, &[]).await;
    let page = paste(&visitor, &tenant, "eu-central-1").await;
    assert!(page.contains("<h1>Connected</h1>"), "{page}");
    assert_eq!(listed(stack, &tenant).await, 3);
    let provider = provider(stack, "beginner").await;
    assert_eq!(region_check(&provider)["outcome"], "passed");
    let evidence = region_check(&provider)["evidence"].as_str().unwrap();
    assert!(evidence.ends_with("; ses:ListEmailIdentities: none in 3"), "{evidence}");
}
