//! Policy documents of the template, read as strictly as AWS reads them on deployment: a misspelt element or operator would make
//! the stand-in silently allow less or more.

use policy::PolicyDocument;
use serde_json::{Map, Value};

/// The longest policy of all is a key policy (KMS quotas: 32 KB).
const MAX_CHARACTERS: usize = 32 * 1024;

/// The elements of a `Principal` (IAM user guide, "AWS JSON policy elements: Principal").
const PRINCIPALS: [&str; 4] = ["AWS", "CanonicalUser", "Federated", "Service"];

/// Checks a policy that is attached to a role.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_identity(document: &Value) -> Result<(), String> {
    parse_policy(document).map(drop)
}

/// Checks a policy of a resource, which says in each statement for whom it is. Only IAM holds a `Sid` to letters and digits: KMS's own
/// default key policy has "Enable IAM User Permissions" (KMS developer guide, "Default key policy").
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_resource(document: &Value) -> Result<(), String> {
    let mut document = without_principals(document)?;
    // Only an identity policy cannot have an `Id`.
    if let Some(document) = document.as_object_mut() {
        document.remove("Id");
    }
    for statement in statements_mut(&mut document) {
        statement.remove("Sid");
    }
    check_identity(&document)
}

/// Checks the policy that says who may assume a role. It is about that role alone and names no resource.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_trust(document: &Value) -> Result<(), String> {
    let mut document = without_principals(document)?;
    for statement in statements_mut(&mut document) {
        if statement.insert("Resource".to_owned(), "*".into()).is_some() {
            return Err("a trust policy has no Resource".to_owned());
        }
    }
    check_identity(&document)
}

/// A policy that is attached to a role.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_policy(document: &Value) -> Result<PolicyDocument, String> {
    PolicyDocument::parse_with_limit(document.to_string(), MAX_CHARACTERS).map_err(|error| {
        let problems: Vec<String> = error
            .problems()
            .iter()
            .map(|problem| format!("{}: {} {}", problem.pointer, problem.message, problem.remedy))
            .collect();
        problems.join(" ")
    })
}

/// The document as an identity policy would be, its principals checked.
fn without_principals(document: &Value) -> Result<Value, String> {
    let mut document = document.clone();
    for statement in statements_mut(&mut document) {
        let principal = statement.remove("Principal").or_else(|| statement.remove("NotPrincipal"));
        let known = match &principal {
            Some(Value::String(anybody)) => anybody == "*",
            Some(Value::Object(kinds)) => kinds.keys().all(|kind| PRINCIPALS.contains(&kind.as_str())),
            _ => false,
        };
        if !known {
            return Err(format!("each statement has a Principal, \"*\" or some of {}", PRINCIPALS.join(", ")));
        }
    }
    Ok(document)
}

fn statements_mut(document: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let statements = match document.get_mut("Statement") {
        Some(Value::Array(statements)) => statements.as_mut_slice(),
        Some(statement) => std::slice::from_mut(statement),
        None => &mut [],
    };
    statements.iter_mut().filter_map(Value::as_object_mut)
}
