//! Every refusal that a tenant can meet: what it says in both languages, and that everybody can read it.

use operator::Tenant;
use serde_json::{Value, json};

use crate::axe::Axe;
use crate::driver::Setup;
use crate::support::{Stack, policy_allowing};
use crate::walker::Walker;

/// What is pasted, and what the page has to say of it.
struct Refusal {
    /// What is wrong.
    what: &'static str,
    access_key_id: String,
    secret_access_key: String,
    /// The check that says so; a heading where none does.
    check: &'static str,
    english: &'static str,
    german: &'static str,
}

/// The headings of keys that were checked, in both languages.
const REFUSED: [&str; 2] = ["The key was not accepted", "Der Schlüssel wurde nicht angenommen"];

/// The schemes and widths in which a view is looked at, one for each language and again the other way round.
const LOOKS: [(&str, u32); 2] = [("light", 320), ("dark", 1100)];

impl Refusal {
    fn new(
        what: &'static str,
        check: &'static str,
        (english, german): (&'static str, &'static str),
        key: &Tenant,
    ) -> Self {
        let (access_key_id, secret_access_key) = (key.access_key_id.clone(), key.secret_access_key.clone());
        Self { what, access_key_id, secret_access_key, check, english, german }
    }

    /// Pastes it, past the script's own look at it, and reads the page in both languages.
    async fn walk(&self, walker: &Walker, axe: &Axe) {
        let Self { what, check, .. } = self;
        let browser = &walker.browser;
        walker.step("paste").await;
        walker.fill_in(&self.access_key_id, &self.secret_access_key, "us-east-1").await;
        // Unlike a click, this asks no script: the function has to say it itself.
        browser.script("document.querySelector('#key').submit()").await;
        browser.until(what, "return document.querySelector('.note.bad')").await;
        for (language, heading, says) in [("en", REFUSED[0], self.english), ("de", REFUSED[1], self.german)] {
            walker.step(&format!("result&lang={language}")).await;
            match check.is_empty() {
                true => browser.heading(says).await,
                false => {
                    browser.heading(heading).await;
                    let line = browser.text(&format!("[data-check={check}]")).await;
                    assert!(line.contains(says), "{what}, {language}: {line}");
                    let outcome =
                        format!("return document.querySelector('[data-check={check}] .outcome.failed') !== null");
                    assert_eq!(browser.script(&outcome).await, true, "{what}");
                }
            }
            for (scheme, width) in LOOKS {
                browser.set_up(Setup { scheme, language, width }).await;
                axe.examine(browser, &format!("{what}, {scheme}, {language}, {width} px")).await;
            }
        }
        let page = browser.script("return document.documentElement.outerHTML").await;
        assert!(!page.as_str().unwrap().contains(&self.secret_access_key), "{what}: what was pasted is shown");
    }
}

/// Those that AWS is not asked about.
async fn unread(stack: &Stack) -> Vec<Refusal> {
    let key = stack.classic_tenant().await;
    let with = |change: &dyn Fn(&mut Tenant)| {
        let mut key = key.clone();
        change(&mut key);
        key
    };
    let short = with(&|key| key.secret_access_key.truncate(39));
    let swapped = with(&|key| std::mem::swap(&mut key.access_key_id, &mut key.secret_access_key));
    let temporary = with(&|key| key.access_key_id.replace_range(..4, "ASIA"));
    let case: Value = serde_json::from_str(include_str!("../verify/cases/K8-secret-is-smtp-password.json")).unwrap();
    let smtp = with(&|key| case["secret_access_key"].as_str().unwrap().clone_into(&mut key.secret_access_key));
    vec![
        Refusal::new("a text that is no key", "shape", ("Copy the secret access key again", "Kopieren Sie"), &short),
        Refusal::new("swapped fields", "shape", ("swapped", "vertauscht"), &swapped),
        Refusal::new(
            "a temporary key",
            "long_term",
            ("Create an IAM user", "Legen Sie einen IAM-Benutzer"),
            &temporary,
        ),
        Refusal::new("an SMTP password", "shape", ("SMTP password", "SMTP-Passwort"), &smtp),
    ]
}

/// Those of keys that AWS knows, or does not.
async fn checked(stack: &Stack) -> Vec<Refusal> {
    let with_policy =
        async |actions: &[&str]| stack.tenant_with(&json!({ "policies": [policy_allowing(actions)] })).await;
    let with_faults = async |faults: Value| {
        let tenant = stack.classic_tenant().await;
        stack.set_faults(&tenant, &faults).await;
        tenant
    };
    let root = stack.tenant_with(&json!({ "principal": "root", "policies": [] })).await;
    let mut wrong = stack.classic_tenant().await;
    wrong.secret_access_key.replace_range(..5, "wrong");
    let mut unknown = stack.classic_tenant().await;
    // Another id of the same account, which is encoded in the first characters.
    let last = if unknown.access_key_id.ends_with('A') { "B" } else { "A" };
    unknown.access_key_id.replace_range(19.., last);
    let reported = stack.classic_tenant().await;
    stack.revoke_key(&reported).await;
    let account = stack.tenant_with(&json!({ "key_account_id": "999888777665" })).await;
    let no_user = with_policy(&["ses:*", "iam:DeleteAccessKey"]).await;
    let no_deletion = with_policy(&["ses:*", "iam:GetUser"]).await;
    let no_sending =
        with_policy(&["ses:GetAccount", "ses:ListEmailIdentities", "iam:GetUser", "iam:DeleteAccessKey"]).await;
    let no_ses = with_policy(&["iam:GetUser", "iam:DeleteAccessKey"]).await;
    let excess = with_policy(&["*"]).await;
    let quarantined = with_faults(json!({ "quarantine": true })).await;
    let suspended = with_faults(json!({ "enforcement": "SHUTDOWN" })).await;
    let allow = |action: &'static str| match action {
        "iam:GetUser" => ("Allow iam:GetUser on", "Erlauben Sie iam:GetUser auf"),
        "iam:DeleteAccessKey" => ("Allow iam:DeleteAccessKey on", "Erlauben Sie iam:DeleteAccessKey auf"),
        "ses:SendEmail" => ("Allow ses:SendEmail on", "Erlauben Sie ses:SendEmail auf"),
        _ => ("Allow ses:GetAccount on", "Erlauben Sie ses:GetAccount auf"),
    };
    vec![
        Refusal::new("root's key", "iam_user", ("Create an IAM user", "Legen Sie einen IAM-Benutzer"), &root),
        Refusal::new("a wrong secret", "live", ("The secret does not belong", "Das Geheimnis gehört nicht"), &wrong),
        Refusal::new(
            "an unknown key",
            "live",
            ("AWS does not know", "AWS kennt diesen Zugriffsschlüssel nicht"),
            &unknown,
        ),
        Refusal::new(
            "a reported key",
            "not_reported",
            ("look in CloudTrail", "sehen Sie in CloudTrail nach"),
            &reported,
        ),
        Refusal::new("a wrong account", "account", ("contradict each other", "widersprechen einander"), &account),
        Refusal::new("no iam:GetUser", "get_user", allow("iam:GetUser"), &no_user),
        Refusal::new("no iam:DeleteAccessKey", "delete_access_key", allow("iam:DeleteAccessKey"), &no_deletion),
        Refusal::new("no ses:SendEmail", "sending", allow("ses:SendEmail"), &no_sending),
        Refusal::new("no access to SES", "ses_region", allow("ses:GetAccount"), &no_ses),
        Refusal::new("excess", "excess", ("The key can do more", "Der Schlüssel kann mehr"), &excess),
        Refusal::new(
            "quarantine",
            "quarantine",
            ("Delete the key in IAM now", "Löschen Sie den Schlüssel jetzt"),
            &quarantined,
        ),
        Refusal::new("a suspended account", "sending_status", ("AWS has shut down", "AWS hat den Versand"), &suspended),
    ]
}

/// Those in which nothing is wrong with the key itself, or it was never looked at.
async fn not_taken(stack: &Stack) -> Vec<Refusal> {
    let silent = stack.classic_tenant().await;
    stack.set_faults(&silent, &json!({ "on": ["ses:*"], "server_error": 1000 })).await;
    let (taken, _) = stack.create_provider("browser-other").await;
    let tried = stack.tenant_with(&json!({ "policies": [policy_allowing(&["ses:*"])] })).await;
    for _ in 0..10 {
        assert_eq!(stack.onboard("browser-refused", &tried).await.unwrap().status, 422);
    }
    let ended = [
        (
            "AWS does not answer",
            ("The key could not be checked to the end", "Der Schlüssel konnte nicht zu Ende geprüft werden"),
            &silent,
        ),
        ("a key of another tenant", ("This key is in use already", "Dieser Schlüssel ist schon in Verwendung"), &taken),
        ("too many attempts", ("Too many attempts", "Zu viele Versuche"), &tried),
    ];
    ended.into_iter().map(|(what, says, key)| Refusal::new(what, "", says, key)).collect()
}

#[tokio::test]
#[ignore = "wants Chromium: see tests/browser/main.rs"]
async fn every_refusal_says_what_to_mend_to_everybody_in_both_languages() {
    let stack = Stack::shared().await;
    let axe = Axe::load();
    let walker = Walker::opened(&stack, "browser-refused", Setup::USUAL).await;
    let mut refusals = unread(&stack).await;
    refusals.extend(checked(&stack).await);
    refusals.extend(not_taken(&stack).await);
    for refusal in &refusals {
        refusal.walk(&walker, &axe).await;
    }
    walker.assert_clean().await;
    let link = &stack.links_of("browser-refused").await[0];
    let refused = refusals.iter().filter(|refusal| !refusal.check.is_empty()).count();
    assert_eq!((&link["submissions"], &link["refusals"]), (&json!(refusals.len()), &json!(refused)));
    println!("figures: axe-core found 0 violations on {} refusals", refusals.len());
}
