//! What a key may do and a person should still know about, mostly within `ses:*`.

use std::cmp::Reverse;

use crate::action::split_action;
use crate::budget::Budget;
use crate::catalogue::CATALOGUE;
use crate::context::ContextValue;
use crate::document::{Effect, PolicyDocument, Statement};
use crate::evaluate::{AuthorizationRequest, SplitRequest, all_statements, applies, may_allow_within};
use crate::finding::{Finding, FindingKind, FindingSource, Witness};
use crate::principal::ResolvedPrincipal;
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

/// The notices, the most severe first. Those that cannot be decided within the budget are left out.
pub(crate) fn notices(documents: &[PolicyDocument], principal: &ResolvedPrincipal, budget: &Budget) -> Vec<Finding> {
    let mut notices: Vec<Finding> =
        TOPICS.iter().filter_map(|topic| notice_of_topic(documents, principal, topic, budget)).collect();
    notices.extend(notice_of_breadth(documents, principal, budget));
    notices.extend(notice_of_sessions(documents, principal, budget));
    notices.sort_by_key(|notice| Reverse(notice.severity));
    notices
}

fn notice_of_topic(
    documents: &[PolicyDocument],
    principal: &ResolvedPrincipal,
    topic: &Topic,
    budget: &Budget,
) -> Option<Finding> {
    let mut allowed = topic.actions.iter().filter_map(|action| {
        let resource = example_of(action, principal);
        let request = AuthorizationRequest { action, resource: &resource, context: &principal.context };
        let allowed = may_allow_within(documents, &SplitRequest::new(&request), budget) && !budget.is_spent();
        allowed.then(|| Witness { action: (*action).to_owned(), resource })
    });
    let first = allowed.next()?;
    let also = allowed.collect();
    let explanation = format!("Whoever has the key {} The hardened policy does not allow it.", topic.meaning);
    Some(notice(topic.severity, first, also, explanation))
}

/// The `user/*` of the classic policy lets the key delete the keys of every user.
fn notice_of_breadth(documents: &[PolicyDocument], principal: &ResolvedPrincipal, budget: &Budget) -> Option<Finding> {
    let other = principal.iam_arn("user/other");
    let request = AuthorizationRequest { action: "iam:DeleteAccessKey", resource: &other, context: &principal.context };
    let allowed = may_allow_within(documents, &SplitRequest::new(&request), budget) && !budget.is_spent();
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

/// `sts:GetSessionToken` needs no permission, and its credentials work for up to 36 hours, even after the key is
/// deleted (AWS: STS API reference). Only two things stop them: denying everything when `aws:TokenIssueTime` is
/// present, or denying the call itself.
fn notice_of_sessions(documents: &[PolicyDocument], principal: &ResolvedPrincipal, budget: &Budget) -> Option<Finding> {
    let resource = example_of("ses:SendEmail", principal);
    let mut session = principal.context.clone();
    // Any time will do: what matters is that the context key is present.
    session.insert("aws:TokenIssueTime", ContextValue::One("2026-01-01T00:00:00Z".to_owned()));
    let in_session = AuthorizationRequest { action: "ses:SendEmail", resource: &resource, context: &session };
    let sends = AuthorizationRequest { context: &principal.context, ..in_session.clone() };
    let mints = AuthorizationRequest { action: "sts:GetSessionToken", resource: "*", context: &principal.context };
    let (in_session, sends, mints) =
        (SplitRequest::new(&in_session), SplitRequest::new(&sends), SplitRequest::new(&mints));
    let outlives = may_allow_within(documents, &sends, budget)
        && !is_never_allowed(documents, &in_session, budget)
        && !is_surely_denied(documents, &mints, budget);
    if !outlives || budget.is_spent() {
        return None;
    }
    let explanation = "Whoever has the key can make sessions from it that go on sending for up to 36 hours after the key is deleted. \
                       Deny everything when aws:TokenIssueTime is present, as the hardened policy does.";
    let witness = Witness { action: "sts:GetSessionToken".to_owned(), resource: "*".to_owned() };
    Some(notice(Severity::Medium, witness, Vec::new(), explanation.to_owned()))
}

fn is_surely_denied(documents: &[PolicyDocument], request: &SplitRequest<'_>, budget: &Budget) -> bool {
    let denies = |statement: &Statement| applies(statement, request, budget) == Truth::True;
    statements_with(documents, Effect::Deny).any(denies)
}

/// Whether the request is denied, explicitly or because no allow applies.
fn is_never_allowed(documents: &[PolicyDocument], request: &SplitRequest<'_>, budget: &Budget) -> bool {
    let does_not_allow = |statement: &Statement| applies(statement, request, budget) == Truth::False;
    is_surely_denied(documents, request, budget) || statements_with(documents, Effect::Allow).all(does_not_allow)
}

fn statements_with(documents: &[PolicyDocument], effect: Effect) -> impl Iterator<Item = &Statement> {
    all_statements(documents).map(|located| located.statement).filter(move |statement| statement.effect() == effect)
}

/// A resource that the action can be called on, an identity if possible.
fn example_of(action: &str, principal: &ResolvedPrincipal) -> String {
    let (service, name) = split_action(action);
    let arns = CATALOGUE.find(&service, &name).map(|action| &CATALOGUE.resource_types(action).arns);
    let identity = |arn: &&&str| arn.contains(":identity/");
    match arns.and_then(|arns| arns.iter().find(identity).or(arns.first())) {
        Some(arn) if identity(&arn) => principal.fill_arn(arn, "example.com"),
        Some(arn) => principal.fill_arn(arn, "example"),
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
        source: FindingSource::Static,
        statement: None,
        pattern: None,
        also,
        explanation,
    }
}
