//! What is inside of what a key may do and a person should still know, mostly inside `ses:*`.

use crate::budget::Budget;
use crate::catalogue::CATALOGUE;
use crate::context::ContextValue;
use crate::document::{Document, Effect};
use crate::evaluate::{Asked, Request, all_statements, applies, may_allow_within};
use crate::finding::{Finding, FindingKind, Source, Witness};
use crate::inclusion::Scene;
use crate::severity::Severity;
use crate::truth::Truth;

/// A group of SES actions with one meaning.
struct Topic {
    severity: Severity,
    actions: &'static [&'static str],
    meaning: &'static str,
}

const TOPICS: [Topic; 8] = [
    Topic {
        severity: Severity::High,
        actions: &["ses:CreateEmailIdentityPolicy", "ses:PutIdentityPolicy", "ses:UpdateEmailIdentityPolicy"],
        meaning: "can let another AWS account send as you. Such an identity policy outlives the key.",
    },
    Topic {
        severity: Severity::High,
        actions: &["ses:PutEmailIdentityDkimSigningAttributes", "ses:ReplicateEmailIdentityDkimSigningKey"],
        meaning: "can replace or copy the keys that sign your mail.",
    },
    Topic {
        severity: Severity::Medium,
        actions: &[
            "ses:GetArchiveMessageContent",
            "ses:GetArchiveMessage",
            "ses:StartArchiveExport",
            "ses:AllowVendedLogDeliveryForResource",
        ],
        meaning: "can read archived mail or send its logs elsewhere.",
    },
    Topic {
        severity: Severity::Medium,
        actions: &[
            "ses:CreateReceiptRule",
            "ses:UpdateReceiptRule",
            "ses:SetActiveReceiptRuleSet",
            "ses:DeleteReceiptRule",
            "ses:CreateReceiptFilter",
        ],
        meaning: "can redirect or drop inbound mail.",
    },
    Topic {
        severity: Severity::Medium,
        actions: &[
            "ses:GetContact",
            "ses:ListContacts",
            "ses:ListSuppressedDestinations",
            "ses:GetSuppressedDestination",
            "ses:GetMessageInsights",
        ],
        meaning: "can read personal data: contacts, suppressed addresses, message details.",
    },
    Topic {
        severity: Severity::Medium,
        actions: &["ses:DeleteIdentity", "ses:DeleteEmailIdentity", "ses:DeleteConfigurationSet"],
        meaning: "can delete your identities and configuration sets, which stops your mail.",
    },
    Topic {
        severity: Severity::Medium,
        actions: &[
            "ses:PutAccountSendingAttributes",
            "ses:UpdateAccountSendingEnabled",
            "ses:PutAccountDetails",
            "ses:PutAccountSuppressionAttributes",
        ],
        meaning: "can pause sending and change the account's settings, in every Region.",
    },
    Topic {
        severity: Severity::Low,
        actions: &[
            "ses:CreateDedicatedIpPool",
            "ses:PutAccountVdmAttributes",
            "ses:CreateTenant",
            "ses:CreateMultiRegionEndpoint",
            "ses:CreateArchive",
        ],
        meaning: "can cause cost: dedicated addresses, Virtual Deliverability Manager, tenants, archives.",
    },
];

/// The notices, gravest first; those that cannot be made within the budget are left out.
pub(crate) fn notices(documents: &[Document], scene: &Scene, budget: &Budget) -> Vec<Finding> {
    let mut notices: Vec<Finding> =
        TOPICS.iter().filter_map(|topic| notice_of_topic(documents, scene, topic, budget)).collect();
    notices.extend(notice_of_breadth(documents, scene, budget));
    notices.extend(notice_of_sessions(documents, scene, budget));
    notices.sort_by_key(|notice| std::cmp::Reverse(notice.severity));
    notices
}

fn notice_of_topic(documents: &[Document], scene: &Scene, topic: &Topic, budget: &Budget) -> Option<Finding> {
    let mut allowed = topic.actions.iter().filter_map(|action| {
        let resource = example_of(action, scene);
        let request = Request { action, resource: &resource, context: &scene.context };
        let allowed = may_allow_within(documents, &Asked::new(&request), budget) && !budget.is_spent();
        allowed.then(|| Witness { action: (*action).to_owned(), resource })
    });
    let first = allowed.next()?;
    let also = allowed.collect();
    let explanation = format!("Whoever has the key {} The hardened policy does not allow it.", topic.meaning);
    Some(notice(topic.severity, first, also, explanation))
}

/// The classic policy's `user/*`: the key can delete the keys of every user.
fn notice_of_breadth(documents: &[Document], scene: &Scene, budget: &Budget) -> Option<Finding> {
    let other = format!("arn:{}:iam::{}:user/other", scene.partition, scene.account);
    let request = Request { action: "iam:DeleteAccessKey", resource: &other, context: &scene.context };
    let allowed = may_allow_within(documents, &Asked::new(&request), budget) && !budget.is_spent();
    let explanation = "Whoever has the key can delete the access keys of other users of the account. Limit the resource to \
                       arn:aws:iam::*:user/${aws:username}.";
    allowed.then(|| {
        notice(
            Severity::Medium,
            Witness { action: "iam:DeleteAccessKey".to_owned(), resource: other },
            Vec::new(),
            explanation.to_owned(),
        )
    })
}

/// `sts:GetSessionToken` needs no permission, and its credentials work for up to 36 hours, also after the key is
/// deleted (AWS: STS API reference). Only a deny of everything when `aws:TokenIssueTime` is present stops them, or a
/// deny of the call itself.
fn notice_of_sessions(documents: &[Document], scene: &Scene, budget: &Budget) -> Option<Finding> {
    let resource = example_of("ses:SendEmail", scene);
    let mut session = scene.context.clone();
    // Any time will do: what matters is that the key is there.
    session.insert("aws:TokenIssueTime", ContextValue::One("2026-01-01T00:00:00Z".to_owned()));
    let in_session = Request { action: "ses:SendEmail", resource: &resource, context: &session };
    let sends = Request { context: &scene.context, ..in_session.clone() };
    let mints = Request { action: "sts:GetSessionToken", resource: "*", context: &scene.context };
    let (in_session, sends, mints) = (Asked::new(&in_session), Asked::new(&sends), Asked::new(&mints));
    let outlives = may_allow_within(documents, &sends, budget)
        && !is_surely_refused(documents, &in_session, budget)
        && !is_surely_denied(documents, &mints, budget);
    if !outlives || budget.is_spent() {
        return None;
    }
    let explanation = "Whoever has the key can make sessions from it that go on sending for up to 36 hours after the key is deleted. \
                       Deny everything when aws:TokenIssueTime is present, as the hardened policy does.";
    let witness = Witness { action: "sts:GetSessionToken".to_owned(), resource: "*".to_owned() };
    Some(notice(Severity::Medium, witness, Vec::new(), explanation.to_owned()))
}

fn is_surely_denied(documents: &[Document], asked: &Asked<'_>, budget: &Budget) -> bool {
    all_statements(documents)
        .any(|(_, _, statement)| statement.effect() == Effect::Deny && applies(statement, asked, budget) == Truth::True)
}

fn is_surely_refused(documents: &[Document], asked: &Asked<'_>, budget: &Budget) -> bool {
    let mut allows = all_statements(documents).filter(|(_, _, statement)| statement.effect() == Effect::Allow);
    is_surely_denied(documents, asked, budget)
        || allows.all(|(_, _, statement)| applies(statement, asked, budget) == Truth::False)
}

fn example_of(action: &str, scene: &Scene) -> String {
    let (service, name) = crate::action::split_action(action);
    let arn = CATALOGUE.find(&service, &name).and_then(|action| {
        CATALOGUE
            .universe(action)
            .arns
            .iter()
            .find(|arn| arn.contains(":identity/"))
            .or(CATALOGUE.universe(action).arns.first())
    });
    match arn {
        Some(arn) => {
            crate::inclusion::fill(arn, scene, if arn.contains(":identity/") { "example.com" } else { "example" })
        }
        None => "*".to_owned(),
    }
}

fn notice(severity: Severity, first: Witness, also: Vec<Witness>, explanation: String) -> Finding {
    Finding {
        kind: FindingKind::Notice,
        severity,
        action: first.action,
        resource: Some(first.resource),
        conditional: false,
        source: Source::Static,
        statement: None,
        pattern: None,
        also,
        explanation,
    }
}
