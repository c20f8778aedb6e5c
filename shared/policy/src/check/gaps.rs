//! What a key needs and its policies do not allow for certain.

use std::collections::BTreeSet;

use serde::Serialize;

use super::blocking::{BlockingCondition, blocking_conditions};
use crate::bounds::{IAM_ACTIONS, SES_ACTIONS};
use crate::budget::Budget;
use crate::document::{Effect, PolicyDocument};
use crate::evaluate::{
    AuthorizationRequest, Decision, LocatedStatement, SplitRequest, StatementRef, all_statements, covers_action,
    covers_request, decide,
};
use crate::principal::ResolvedPrincipal;

/// The most statements that a gap names as nearly allowing the action.
const MAX_NEAR: usize = 5;

/// A required permission that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The required action.
    pub action: String,
    /// The resource on which it is not allowed for certain.
    pub resource: String,
    /// The Region of the call; absent for calls that have none, such as those of IAM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What kind of gap it is.
    pub cause: GapCause,
    /// The statement that denies it; absent if none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_by: Option<StatementRef>,
    /// Statements that allow the action, but on other resources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_elsewhere: Vec<StatementRef>,
    /// The conditions that stand in the way: of statements that would allow it, those that do not hold for certain; of
    /// the statement that denies it, those that hold or may hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<BlockingCondition>,
    /// Why, in sentences.
    pub explanation: String,
    /// What to do about it, in sentences.
    pub remedy: String,
}

/// Why a required permission is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapCause {
    /// A statement denies it, or may deny it.
    Denied,
    /// A statement would allow it, but its conditions do not hold for certain.
    Conditional,
    /// Statements allow the action on other resources only.
    OtherResource,
    /// No statement allows the action.
    NotAllowed,
    /// Not decided within the budget.
    Undecided,
}

/// The gaps. SES checks the identity of a mail and its configuration set, so each action is tried on every resource
/// that it needs (AWS: Service Authorization Reference, SES v2; the messages of AWS's denials name either ARN).
pub(super) fn gaps(documents: &[PolicyDocument], principal: &ResolvedPrincipal, budget: &Budget) -> Vec<Gap> {
    let mut gaps: Vec<Gap> =
        principal.regions().flat_map(|region| gaps_in_region(documents, principal, region, budget)).collect();
    // Nothing of these contexts differs between the actions of IAM, nor between those of SES that send.
    let context = principal.context_of(IAM_ACTIONS[0], &principal.region);
    gaps.extend(IAM_ACTIONS.into_iter().filter_map(|action| {
        let request = AuthorizationRequest { action, resource: &principal.user_arn, context: &context };
        gap(documents, &request, None, budget)
    }));
    gaps
}

/// The gaps of the actions of SES in one Region.
fn gaps_in_region(
    documents: &[PolicyDocument],
    principal: &ResolvedPrincipal,
    region: &str,
    budget: &Budget,
) -> Vec<Gap> {
    let arns = |kind: &str, names: &[String]| -> Vec<String> {
        names.iter().map(|name| principal.ses_arn(region, kind, name)).collect()
    };
    let sets = arns("configuration-set", &principal.configuration_sets);
    let identities = arns("identity", &principal.identities);
    let sending = principal.context_of("ses:SendEmail", region);
    let other = principal.context_of("ses:GetAccount", region);
    let context_of = |action: &str| if action.starts_with("ses:Send") { &sending } else { &other };
    let is_allowed = |action: &str, resource: &str| {
        let request = AuthorizationRequest { action, resource, context: context_of(action) };
        decide(documents, &SplitRequest::new(&request), budget).0 == Decision::Allowed && !budget.is_spent()
    };
    let usable = |resources: &[String], actions: &[&str]| {
        resources.iter().find(|resource| actions.iter().all(|action| is_allowed(action, resource))).cloned()
    };
    // One configuration set must do for all actions. If none does, the first is reported.
    let set_actions = [SES_ACTIONS[1], SES_ACTIONS[2], SES_ACTIONS[4], SES_ACTIONS[5]];
    let set = usable(&sets, &set_actions).unwrap_or_else(|| sets[0].clone());
    let identity = usable(&identities, &set_actions[..2]).unwrap_or_else(|| identities[0].clone());

    let mut gaps = Vec::new();
    for action in SES_ACTIONS {
        let resources: Vec<&str> = match action {
            "ses:SendEmail" | "ses:SendRawEmail" => vec![&identity, &set],
            "ses:CreateConfigurationSet" | "ses:CreateConfigurationSetEventDestination" => vec![&set],
            _ => vec!["*"],
        };
        gaps.extend(resources.into_iter().filter_map(|resource| {
            let request = AuthorizationRequest { action, resource, context: context_of(action) };
            gap(documents, &request, Some(region), budget)
        }));
    }
    gaps
}

/// Why the request is not allowed for certain; `None` if it is. `region` is that of the call, if it has one.
pub(super) fn gap(
    documents: &[PolicyDocument],
    request: &AuthorizationRequest<'_>,
    region: Option<&str>,
    budget: &Budget,
) -> Option<Gap> {
    let AuthorizationRequest { action, resource, context } = *request;
    let split = SplitRequest::new(request);
    let gap = |cause, explanation, remedy| Gap {
        action: action.to_owned(),
        resource: resource.to_owned(),
        region: region.map(str::to_owned),
        cause,
        denied_by: None,
        allowed_elsewhere: Vec::new(),
        conditions: Vec::new(),
        explanation,
        remedy,
    };
    match decide(documents, &split, budget) {
        _ if budget.is_spent() => {
            let explanation =
                format!("The policies are too intricate to decide whether {action} on {resource} is allowed.");
            Some(gap(GapCause::Undecided, explanation, "Write them with fewer statements and wildcards.".to_owned()))
        }
        (Decision::Allowed, _) => None,
        (Decision::ExplicitDeny, Some(deny)) => {
            let conditions = blocking_conditions(deny, context, budget);
            let by = StatementRef::from(deny);
            let (explanation, remedy) = explain_deny(&by, deny, &conditions, request);
            Some(Gap { denied_by: Some(by), conditions, ..gap(GapCause::Denied, explanation, remedy) })
        }
        _ => {
            let near = nearly_allowing(documents, &split, budget);
            let conditions: Vec<BlockingCondition> =
                near.conditional.iter().flat_map(|allow| blocking_conditions(*allow, context, budget)).collect();
            let elsewhere: Vec<StatementRef> = near.elsewhere.into_iter().map(StatementRef::from).collect();
            let (cause, explanation, remedy) = explain_allow(&conditions, &elsewhere, request);
            Some(Gap { allowed_elsewhere: elsewhere, conditions, ..gap(cause, explanation, remedy) })
        }
    }
}

/// Allows that cover the action and still do not allow the request for certain.
#[derive(Default)]
struct NearlyAllowing<'d> {
    /// They cover the resource as well, perhaps.
    conditional: Vec<LocatedStatement<'d>>,
    elsewhere: Vec<LocatedStatement<'d>>,
}

fn nearly_allowing<'d>(
    documents: &'d [PolicyDocument],
    request: &SplitRequest<'_>,
    budget: &Budget,
) -> NearlyAllowing<'d> {
    let mut near = NearlyAllowing::default();
    for located in all_statements(documents).filter(|located| located.statement.effect() == Effect::Allow) {
        if covers_request(located.statement, request, budget) {
            near.conditional.push(located);
        } else if covers_action(located.statement, request, budget) {
            near.elsewhere.push(located);
        }
    }
    near.conditional.truncate(MAX_NEAR);
    near.elsewhere.truncate(MAX_NEAR);
    near
}

/// Why a deny stands in the way, and what to do. A deny wins over every allow, so the remedy is never to allow more.
fn explain_deny(
    by: &StatementRef,
    deny: LocatedStatement<'_>,
    conditions: &[BlockingCondition],
    request: &AuthorizationRequest<'_>,
) -> (String, String) {
    let AuthorizationRequest { action, resource, .. } = request;
    let mut explanation = format!("{action} on {resource} is denied by {by}");
    if deny.statement.excludes_actions() {
        explanation += ", whose NotAction does not list it";
    }
    explanation += ".";
    explanation.extend(conditions.iter().map(|condition| format!(" {}", condition.explanation)));
    let remedy = if conditions.is_empty() {
        format!(
            "Take {action} out of what {by} denies, or detach that policy from the user: nothing else can grant what it denies."
        )
    } else {
        let topics: BTreeSet<&str> = conditions.iter().map(|condition| condition.topic.remedy_of_deny()).collect();
        format!(
            "Change {by}, or detach that policy from the user: nothing else can grant what it denies. {}",
            topics.into_iter().collect::<Vec<_>>().join(" ")
        )
    };
    (explanation, remedy)
}

/// Why no statement allows the request for certain, and what to do.
fn explain_allow(
    conditions: &[BlockingCondition],
    elsewhere: &[StatementRef],
    request: &AuthorizationRequest<'_>,
) -> (GapCause, String, String) {
    let AuthorizationRequest { action, resource, .. } = request;
    let mut explanation = format!("No statement allows {action} on {resource} for certain.");
    if !conditions.is_empty() {
        explanation.extend(conditions.iter().map(|condition| format!(" {}", condition.explanation)));
        let topics: BTreeSet<&str> = conditions.iter().map(|condition| condition.topic.remedy_of_allow()).collect();
        let remedy = topics.into_iter().collect::<Vec<_>>().join(" ");
        return (GapCause::Conditional, explanation, remedy);
    }
    if elsewhere.is_empty() {
        return (GapCause::NotAllowed, explanation, format!("Allow {action} on {resource}."));
    }
    let list: Vec<String> = elsewhere.iter().map(ToString::to_string).collect();
    explanation += &format!(" On other resources it is allowed by {}.", list.join("; "));
    let remedy = if *resource == "*" {
        format!("Allow {action} with \"Resource\": \"*\": it is called without a resource, which no ARN covers.")
    } else {
        format!("Add a resource that covers {resource} to that statement.")
    };
    (GapCause::OtherResource, explanation, remedy)
}
