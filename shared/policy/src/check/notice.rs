//! What a key may do and a person should still know about, mostly within `ses:*`.

use std::cmp::Reverse;

use crate::action::split_action;
use crate::budget::Budget;
use crate::catalogue::CATALOGUE;
use crate::context::ContextValue;
use crate::document::{Effect, PolicyDocument, Statement};
use crate::evaluate::{
    AuthorizationRequest, SplitRequest, all_statements, may_allow_within, surely_applies, surely_applies_not,
};
use crate::finding::{Finding, FindingKind, FindingSource, FindingSubject, Witness};
use crate::inclusion::examples_of_glob;
use crate::principal::ResolvedPrincipal;
use crate::resource::{Reach, ResolvedResource, type_globs};
use crate::severity::Severity;

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
        let resources = resources_of(documents, principal, action, budget);
        first_allowed(documents, principal, action, resources, budget)
    });
    let first = allowed.next()?;
    let also = allowed.collect();
    let explanation = format!("Whoever has the key {} The hardened policy does not allow it.", topic.meaning);
    Some(notice(topic.severity, first, also, explanation))
}

/// The `user/*` of the classic policy lets the key delete the keys of every user.
fn notice_of_breadth(documents: &[PolicyDocument], principal: &ResolvedPrincipal, budget: &Budget) -> Option<Finding> {
    let action = "iam:DeleteAccessKey";
    let name = format!("/{}", principal.user_name);
    let others = resources_of(documents, principal, action, budget)
        .into_iter()
        // A name is unique in the account, whatever the path is.
        .filter(|resource| !resource.ends_with(&name) && resource.contains(":user/"));
    let others = std::iter::once(principal.iam_arn("user/other")).chain(others).collect();
    let explanation = "Whoever has the key can delete the access keys of other users of the account. Limit the resource to \
                       arn:aws:iam::*:user/${aws:username}.";
    let witness = first_allowed(documents, principal, action, others, budget)?;
    Some(notice(Severity::Medium, witness, Vec::new(), explanation.to_owned()))
}

/// `sts:GetSessionToken` needs no permission, and its credentials work for up to 36 hours, even after the key is
/// deleted (AWS: STS API reference). Only two things stop them: denying everything when `aws:TokenIssueTime` is
/// present, or denying the call itself.
fn notice_of_sessions(documents: &[PolicyDocument], principal: &ResolvedPrincipal, budget: &Budget) -> Option<Finding> {
    let action = "ses:SendEmail";
    let resources = resources_of(documents, principal, action, budget);
    let resource = first_allowed(documents, principal, action, resources, budget)?.resource;
    let mut session = principal.context.clone();
    // Any time will do: what matters is that the context key is present.
    session.insert("aws:TokenIssueTime", ContextValue::One("2026-01-01T00:00:00Z".to_owned()));
    let in_session = AuthorizationRequest { action, resource: &resource, context: &session };
    let mints = AuthorizationRequest { action: "sts:GetSessionToken", resource: "*", context: &principal.context };
    let (in_session, mints) = (SplitRequest::new(&in_session), SplitRequest::new(&mints));
    let outlives = !is_never_allowed(documents, &in_session, budget) && !is_surely_denied(documents, &mints, budget);
    if !outlives || budget.is_spent() {
        return None;
    }
    let explanation = "Whoever has the key can make sessions from it that go on sending for up to 36 hours after the key is deleted. \
                       Deny everything when aws:TokenIssueTime is present, as the hardened policy does.";
    let witness = Witness { action: "sts:GetSessionToken".to_owned(), resource: "*".to_owned() };
    Some(notice(Severity::Medium, witness, Vec::new(), explanation.to_owned()))
}

fn is_surely_denied(documents: &[PolicyDocument], request: &SplitRequest<'_>, budget: &Budget) -> bool {
    let denies = |statement: &Statement| surely_applies(statement, request, budget);
    statements_with(documents, Effect::Deny).any(denies)
}

/// Whether the request is denied, explicitly or because no allow applies.
fn is_never_allowed(documents: &[PolicyDocument], request: &SplitRequest<'_>, budget: &Budget) -> bool {
    let does_not_allow = |statement: &Statement| surely_applies_not(statement, request, budget);
    is_surely_denied(documents, request, budget) || statements_with(documents, Effect::Allow).all(does_not_allow)
}

fn statements_with(documents: &[PolicyDocument], effect: Effect) -> impl Iterator<Item = &Statement> {
    all_statements(documents).map(|located| located.statement).filter(move |statement| statement.effect() == effect)
}

/// The first of the resources on which the action is allowed, if its conditions hold.
fn first_allowed(
    documents: &[PolicyDocument],
    principal: &ResolvedPrincipal,
    action: &str,
    resources: Vec<String>,
    budget: &Budget,
) -> Option<Witness> {
    let is_allowed = |resource: &String| {
        let request = AuthorizationRequest { action, resource, context: &principal.context };
        may_allow_within(documents, &SplitRequest::new(&request), budget) && !budget.is_spent()
    };
    let resource = resources.into_iter().find(is_allowed)?;
    Some(Witness { action: action.to_owned(), resource })
}

/// The resource of one ARN behind the first five fields of another.
fn graft(fields: &str, resource: &str) -> Option<String> {
    let (at, _) = fields.match_indices(':').nth(4)?;
    Some(format!("{}:{}", &fields[..at], resource.splitn(6, ':').nth(5)?))
}

/// The most resources of one action that are taken from the policies' own patterns.
const MAX_PATTERNS: usize = 50;

/// Resources that the action can be called on, identities first: those of the principal, made-up ones, and those that
/// the policies' own patterns match, because a policy may name nothing but its own domain.
fn resources_of(
    documents: &[PolicyDocument],
    principal: &ResolvedPrincipal,
    action: &str,
    budget: &Budget,
) -> Vec<String> {
    let (service, name) = split_action(action);
    let Some(listed) = CATALOGUE.find(&service, &name) else { return vec!["*".to_owned()] };
    let mut arns = CATALOGUE.resource_types(listed).arns.clone();
    if arns.is_empty() {
        return vec!["*".to_owned()];
    }
    arns.sort_by_key(|arn| !arn.contains(":identity/"));
    let mut resources = Vec::new();
    for arn in &arns {
        let names: &[String] = match () {
            () if arn.contains(":identity/") => &principal.identities,
            () if arn.contains(":configuration-set/") => &principal.configuration_sets,
            () => &[],
        };
        resources.extend(names.iter().map(|name| principal.fill_arn(arn, name)));
        resources.push(principal.fill_arn(arn, "example"));
    }
    let typed = resources.clone();
    let types: Vec<_> = arns.iter().flat_map(|arn| type_globs(arn, principal.partition)).collect();
    let patterns = statements_with(documents, Effect::Allow)
        .filter(|statement| {
            !statement.excludes_resources()
                && statement.actions.patterns.iter().any(|pattern| pattern.matches(&service, &name))
                    != statement.excludes_actions()
        })
        .flat_map(|statement| &statement.resources.patterns)
        .filter(|pattern| !pattern.is_everything())
        .take(MAX_PATTERNS);
    for pattern in patterns {
        budget.charge(300 + 2 * pattern.effort());
        if budget.is_spent() {
            break;
        }
        let (ResolvedResource::Exact(glob) | ResolvedResource::AtMost(glob)) =
            pattern.resolve(&principal.context, Reach::Segments)
        else {
            continue;
        };
        let fits = |resource: &String| types.iter().any(|glob| budget.matches(glob, resource));
        let examples = examples_of_glob(&glob, principal);
        // A pattern that only narrows Region and account leaves the kind of resource to the types.
        let narrowed = examples.iter().flat_map(|example| typed.iter().filter_map(|name| graft(example, name)));
        let narrowed = narrowed.filter(|resource| budget.matches(&glob, resource));
        let new = examples.iter().cloned().chain(narrowed).find(fits);
        resources.extend(new.filter(|resource| !resources.contains(resource)));
    }
    resources
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
        subject: FindingSubject::Named,
    }
}
