//! What a key needs and its policies do not allow for certain.

use serde::Serialize;

use crate::bounds::{IAM_ACTIONS, SES_ACTIONS};
use crate::budget::Budget;
use crate::context::RequestContext;
use crate::document::PolicyDocument;
use crate::evaluate::{AuthorizationRequest, Decision, SplitRequest, StatementRef, decide, explain};
use crate::principal::ResolvedPrincipal;

/// A required permission that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The required action.
    pub action: String,
    /// The resource on which it is not allowed for certain.
    pub resource: String,
    /// The statement that denies it; absent if none allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_by: Option<StatementRef>,
    /// Why, in a sentence.
    pub explanation: String,
}

/// The gaps. SES checks the identity of a mail and its configuration set, so each action is tried on every resource
/// that it needs (AWS: Service Authorization Reference, SES v2; the messages of AWS's denials name either ARN).
pub(super) fn gaps(documents: &[PolicyDocument], principal: &ResolvedPrincipal, budget: &Budget) -> Vec<Gap> {
    let arns = |kind: &str, names: &[String]| -> Vec<String> {
        names.iter().map(|name| principal.ses_arn(kind, name)).collect()
    };
    let sets = arns("configuration-set", &principal.configuration_sets);
    let identities = arns("identity", &principal.identities);
    let gap_of = |action: &str, resource: &str| gap(documents, principal, action, resource, budget);
    let usable = |resources: &[String], actions: &[&str]| {
        resources.iter().find(|resource| actions.iter().all(|action| gap_of(action, resource).is_none())).cloned()
    };
    // One configuration set must do for all actions. If none does, the first is reported.
    let set_actions = [SES_ACTIONS[1], SES_ACTIONS[2], SES_ACTIONS[4], SES_ACTIONS[5]];
    let set = usable(&sets, &set_actions).unwrap_or_else(|| sets[0].clone());
    let identity = usable(&identities, &set_actions[..2]).unwrap_or_else(|| identities[0].clone());

    let mut gaps = Vec::new();
    for action in SES_ACTIONS.into_iter().chain(IAM_ACTIONS) {
        let resources: Vec<&str> = match action {
            "ses:SendEmail" | "ses:SendRawEmail" => vec![&identity, &set],
            "ses:CreateConfigurationSet" | "ses:CreateConfigurationSetEventDestination" => vec![&set],
            "iam:GetUser" | "iam:DeleteAccessKey" => vec![&principal.user_arn],
            _ => vec!["*"],
        };
        gaps.extend(resources.into_iter().filter_map(|resource| gap_of(action, resource)));
    }
    gaps
}

/// Why the action is not allowed for certain; `None` if it is.
fn gap(
    documents: &[PolicyDocument],
    principal: &ResolvedPrincipal,
    action: &str,
    resource: &str,
    budget: &Budget,
) -> Option<Gap> {
    let context = with_region(principal, action);
    let request = AuthorizationRequest { action, resource, context: &context };
    let request = SplitRequest::new(&request);
    let decided = decide(documents, &request, budget);
    let (denied_by, explanation) = match decided {
        _ if budget.is_spent() => {
            (None, format!("The policies are too intricate to decide whether {action} on {resource} is allowed."))
        }
        (Decision::Allowed, _) => return None,
        (Decision::ExplicitDeny, Some(deny)) => {
            let by = StatementRef::from(deny);
            let (_, reason) = explain(deny.statement, &request, budget);
            let explanation = format!("{action} on {resource} is denied by {by}: {reason}.");
            (Some(by), explanation)
        }
        _ => (None, format!("No statement allows {action} on {resource} for certain.")),
    };
    Some(Gap { action: action.to_owned(), resource: resource.to_owned(), denied_by, explanation })
}

/// The request's context with its Region. IAM answers in one Region of its partition, SES where the mail is sent.
fn with_region(principal: &ResolvedPrincipal, action: &str) -> RequestContext {
    let region = match (action.starts_with("iam:"), principal.partition) {
        (false, _) => principal.region.as_str(),
        (true, "aws") => "us-east-1",
        (true, "aws-cn") => "cn-north-1",
        (true, "aws-us-gov") => "us-gov-west-1",
        (true, _) => return principal.context.clone(),
    };
    principal.context.clone().with("aws:RequestedRegion", region)
}
