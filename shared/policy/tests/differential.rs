//! The same cases run by an independent evaluator, iam-rs (MIT). Where it decides otherwise, the case is listed here
//! with the reason why we do not follow.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use iam_rs::{Arn, Context, ContextValue, Decision, IAMPolicy, IAMRequest, PolicyEvaluator, Principal, PrincipalId};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Case {
    id: String,
    policies: Vec<Value>,
    action: String,
    resource: String,
    context: BTreeMap<String, Value>,
    expected: String,
}

/// Cases in which iam-rs 0.8.0 deviates from AWS's documentation: the case, its result, and why that is wrong.
const DEVIATIONS: [(&str, &str, &str); 12] = [
    ("act-qmark-needs-one", "unreadable resource", "a request without resource has no form there"),
    ("arn-equals-wild", "implicitDeny", "ArnEquals behaves like ArnLike, wildcards included"),
    ("arn-like-segments", "allow", "ArnLike compares the six segments each on its own"),
    ("bin-case", "allow", "base64 is case sensitive"),
    ("date-only", "error", "a date without time is a date"),
    ("esc-cond-star", "implicitDeny", "${*} is an asterisk"),
    ("esc-dollar", "implicitDeny", "${$} is a dollar sign"),
    ("esc-qmark", "implicitDeny", "${?} is a question mark"),
    ("esc-star", "implicitDeny", "${*} is an asterisk"),
    ("res-none-star", "unreadable resource", "a request without resource has no form there"),
    ("var-missing-star", "allow", "a resource with a variable that has no value matches nothing"),
    ("ver-none-plain", "unreadable policy", "Version is optional"),
];

fn decide(case: &Case) -> String {
    let policies: Result<Vec<IAMPolicy>, _> =
        case.policies.iter().map(|policy| serde_json::from_value(policy.clone())).collect();
    let Ok(policies) = policies else { return "unreadable policy".to_owned() };
    let Ok(resource) = Arn::parse(&case.resource) else { return "unreadable resource".to_owned() };
    let mut context = Context::new();
    for (key, value) in &case.context {
        let value = match value {
            Value::Array(values) => {
                ContextValue::StringList(values.iter().map(|value| value.as_str().unwrap().to_owned()).collect())
            }
            // Its Bool operator only matches values of its boolean type.
            value => value
                .as_str()
                .unwrap()
                .parse()
                .map_or_else(|_| ContextValue::String(value.as_str().unwrap().to_owned()), ContextValue::Boolean),
        };
        context.insert(key.clone(), value);
    }
    let principal = Principal::Aws(PrincipalId::String("arn:aws:iam::123456789012:user/alice".to_owned()));
    let request = IAMRequest::new_with_context(principal, case.action.clone(), resource, context);
    match PolicyEvaluator::with_policies(policies).evaluate(&request) {
        Ok(result) => match result.decision {
            Decision::Allow => "allow".to_owned(),
            Decision::Deny => "explicitDeny".to_owned(),
            Decision::NotApplicable => "implicitDeny".to_owned(),
        },
        Err(_) => "error".to_owned(),
    }
}

#[test]
fn an_independent_evaluator_agrees_except_for_the_listed_deviations() {
    let deviations: BTreeMap<&str, &str> = DEVIATIONS.iter().map(|(id, theirs, _)| (*id, *theirs)).collect();
    let mut differences = BTreeMap::new();
    for line in include_str!("cases/policy_cases.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let theirs = decide(&case);
        if theirs != case.expected {
            differences.insert(case.id, theirs);
        }
    }
    let differences: BTreeMap<&str, &str> =
        differences.iter().map(|(id, theirs)| (id.as_str(), theirs.as_str())).collect();
    assert_eq!(differences, deviations);
}
