//! Which other accounts an identity policy of SES lets in. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

/// Stands for a policy that cannot be read: whom it lets in is not known.
pub(super) const UNREADABLE: &str = "unreadable";

/// Anybody.
const ANYBODY: &str = "*";

/// The accounts other than `own_account` that a policy allows anything; empty if there are none. Conditions are not looked
/// at: one that limits a statement to the own account still leaves a policy that somebody should look at.
pub(super) fn foreign_principals(document: &str, own_account: &str) -> BTreeSet<String> {
    let unreadable = || BTreeSet::from([UNREADABLE.to_owned()]);
    let Ok(document) = serde_json::from_str::<Value>(document) else { return unreadable() };
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
        _ => return unreadable(),
    };
    let mut foreign = BTreeSet::new();
    for statement in statements.iter().filter(|statement| statement["Effect"] != "Deny") {
        // Everybody but those.
        if statement.get("NotPrincipal").is_some() {
            foreign.insert(ANYBODY.to_owned());
        }
        match &statement["Principal"] {
            Value::String(name) => foreign.extend(account_of(name)),
            // SES takes services of the own account only (SES developer guide, "Amazon SES policy anatomy").
            Value::Object(kinds) => foreign.extend(
                kinds.iter().filter(|(kind, _)| kind.as_str() != "Service").flat_map(|(_, names)| names_in(names)),
            ),
            _ => {}
        }
    }
    foreign.remove(own_account);
    foreign
}

fn names_in(names: &Value) -> Vec<String> {
    match names {
        Value::Array(names) => names.iter().filter_map(Value::as_str).filter_map(account_of).collect(),
        name => name.as_str().and_then(account_of).into_iter().collect(),
    }
}

/// The account that a principal belongs to: of an account id, an ARN, or the id that is left of a deleted principal. Such an
/// id lets nobody in (IAM user guide, "AWS JSON policy elements: Principal").
fn account_of(principal: &str) -> Option<String> {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let account = if principal.starts_with("arn:") { principal.split(':').nth(4)? } else { principal };
    match account {
        ANYBODY => Some(ANYBODY.to_owned()),
        account if is_account(account) => Some(account.to_owned()),
        account if account.starts_with("AIDA") || account.starts_with("AROA") => None,
        _ => Some(UNREADABLE.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_accounts_that_a_policy_lets_in_are_found_in_each_form() {
        let own = "171436882533";
        let allow = |principal: Value| json!({"Effect": "Allow", "Principal": principal, "Action": "ses:SendEmail"});
        let cases: [(Value, &[&str]); 12] = [
            (json!([allow(json!({"AWS": own}))]), &[]),
            (json!([allow(json!({"AWS": "arn:aws:iam::171436882533:user/x"}))]), &[]),
            (json!([allow(json!({"AWS": "123456789012"}))]), &["123456789012"]),
            (
                allow(json!({"AWS": ["arn:aws:iam::123456789012:root", own, "arn:aws-cn:iam::210987654321:role/r"]})),
                &["123456789012", "210987654321"],
            ),
            (allow(json!("*")), &["*"]),
            (allow(json!({"AWS": "*"})), &["*"]),
            (allow(json!({"Service": "ses.amazonaws.com"})), &[]),
            (allow(json!({"CanonicalUser": "79a59df9"})), &["unreadable"]),
            (allow(json!({"AWS": "AIDAEXAMPLEEXAMPLEEXA"})), &[]),
            (json!([{"Effect": "Deny", "Principal": "*", "Action": "*"}]), &[]),
            (json!([{"Effect": "Allow", "NotPrincipal": {"AWS": own}, "Action": "*"}]), &["*"]),
            (json!("text"), &["unreadable"]),
        ];
        for (statement, expected) in cases {
            let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
            assert_eq!(Vec::from_iter(foreign_principals(&document, own)), expected, "{document}");
        }
        assert_eq!(Vec::from_iter(foreign_principals("garbage", own)), [UNREADABLE]);
    }
}
