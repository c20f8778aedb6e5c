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
use crate::glob::Glob;
use crate::inclusion::examples_of_glob;
use crate::principal::ResolvedPrincipal;
use crate::resource::{Reach, ResolvedResource, ResourcePattern, type_globs};
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
    let mut allowed =
        topic.actions.iter().filter_map(|action| find_allowed(documents, principal, action, budget, |_| true));
    let first = allowed.next()?;
    let also = allowed.collect();
    let explanation = format!("Whoever has the key {} The hardened policy does not allow it.", topic.meaning);
    Some(notice(topic.severity, first, also, explanation))
}

/// The `user/*` of the classic policy lets the key delete the keys of every user.
fn notice_of_breadth(documents: &[PolicyDocument], principal: &ResolvedPrincipal, budget: &Budget) -> Option<Finding> {
    let action = "iam:DeleteAccessKey";
    let name = format!("/{}", principal.user_name);
    // A name is unique in the account, whatever the path is.
    let is_other = |resource: &str| !resource.ends_with(&name);
    let explanation = "Whoever has the key can delete the access keys of other users of the account. Limit the resource to \
                       arn:aws:iam::*:user/${aws:username}.";
    let witness = find_allowed(documents, principal, action, budget, is_other)?;
    Some(notice(Severity::Medium, witness, Vec::new(), explanation.to_owned()))
}

/// `sts:GetSessionToken` needs no permission, and its credentials work for up to 36 hours, even after the key is
/// deleted (AWS: STS API reference). Only two things stop them: denying everything when `aws:TokenIssueTime` is
/// present, or denying the call itself.
fn notice_of_sessions(documents: &[PolicyDocument], principal: &ResolvedPrincipal, budget: &Budget) -> Option<Finding> {
    let action = "ses:SendEmail";
    let resource = find_allowed(documents, principal, action, budget, |_| true)?.resource;
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

/// The resource of one ARN behind the first five fields of another.
fn graft(fields: &str, resource: &str) -> Option<String> {
    let (at, _) = fields.match_indices(':').nth(4)?;
    Some(format!("{}:{}", &fields[..at], resource.splitn(6, ':').nth(5)?))
}

/// The most resources of one action that are taken from the policies' own patterns.
const MAX_PATTERNS: usize = 50;

/// A resource on which the action is allowed, if its conditions hold. Tries resources of the principal and made-up ones,
/// identities first, and then those that the policies' own patterns match: a policy may name nothing but its own domain.
fn find_allowed(
    documents: &[PolicyDocument],
    principal: &ResolvedPrincipal,
    action: &str,
    budget: &Budget,
    is_wanted: impl Fn(&str) -> bool,
) -> Option<Witness> {
    let (service, name) = split_action(action);
    budget.charge(20 * documents.iter().map(|document| document.statements().len()).sum::<usize>());
    let allows: Vec<&Statement> = statements_with(documents, Effect::Allow)
        .filter(|statement| {
            statement.actions.patterns.iter().any(|pattern| pattern.matches(&service, &name))
                != statement.excludes_actions()
        })
        .collect();
    if allows.is_empty() {
        return None;
    }
    let is_allowed = |resource: &String| {
        let request = AuthorizationRequest { action, resource, context: &principal.context };
        is_wanted(resource) && may_allow_within(documents, &SplitRequest::new(&request), budget) && !budget.is_spent()
    };
    let mut arns = CATALOGUE.resource_types(CATALOGUE.find(&service, &name)?).arns.clone();
    arns.sort_by_key(|arn| !arn.contains(":identity/"));
    let typed = if arns.is_empty() {
        vec!["*".to_owned()]
    } else {
        arns.iter().flat_map(|arn| resources_of_type(arn, principal)).collect()
    };
    let resource = typed.iter().find(|resource| is_allowed(resource)).cloned().or_else(|| {
        let types: Vec<Glob> = arns.iter().flat_map(|arn| type_globs(arn, principal.partition)).collect();
        let selecting = allows.iter().filter(|statement| !statement.excludes_resources());
        let patterns = selecting.flat_map(|statement| &statement.resources.patterns);
        patterns
            .filter(|pattern| !pattern.is_everything())
            .take(MAX_PATTERNS)
            .flat_map(|pattern| resources_of_pattern(pattern, &typed, &types, principal, budget))
            .find(is_allowed)
    })?;
    Some(Witness { action: action.to_owned(), resource })
}

/// Resources of a type, given as its ARN format.
fn resources_of_type(arn: &str, principal: &ResolvedPrincipal) -> Vec<String> {
    let names: &[String] = match () {
        () if arn.contains(":identity/") => &principal.identities,
        () if arn.contains(":configuration-set/") => &principal.configuration_sets,
        () => &[],
    };
    names.iter().map(String::as_str).chain(["example"]).map(|name| principal.fill_arn(arn, name)).collect()
}

/// Resources of these types that the pattern matches. One that only narrows Region and account leaves the kind of
/// resource to the types.
fn resources_of_pattern(
    pattern: &ResourcePattern,
    typed: &[String],
    types: &[Glob],
    principal: &ResolvedPrincipal,
    budget: &Budget,
) -> Vec<String> {
    if budget.spend(300 + 4 * pattern.effort()).is_err() {
        return Vec::new();
    }
    let resolved = pattern.resolve(&principal.context, Reach::Segments);
    let (ResolvedResource::Exact(glob) | ResolvedResource::AtMost(glob)) = resolved else { return Vec::new() };
    let examples = examples_of_glob(&glob, principal);
    let narrowed: Vec<String> = examples
        .iter()
        .flat_map(|example| typed.iter().filter_map(|resource| graft(example, resource)))
        .filter(|resource| budget.matches(&glob, resource))
        .collect();
    let of_types = |resource: &String| types.iter().any(|glob| budget.matches(glob, resource));
    examples.into_iter().chain(narrowed).filter(of_types).collect()
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
