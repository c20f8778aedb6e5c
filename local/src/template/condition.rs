//! Conditions: Fn::Equals, Fn::And, Fn::Or, Fn::Not and references to other conditions.

use super::TemplateError;
use super::intrinsic::{Function, Scope};
use super::yaml::Node;

/// Whether the named condition holds.
///
/// # Errors
/// There is none of that name, it refers to itself, or it is made of something that is not known here.
pub(super) fn holds(scope: &Scope<'_>, name: &str, line: usize) -> Result<bool, TemplateError> {
    let path = format!("Conditions.{name}");
    let Some(node) = scope.root.get("Conditions").and_then(|conditions| conditions.get(name)) else {
        return Err(TemplateError::at(line, &path, "the template has no such condition"));
    };
    let _guard = scope.enter(&path, line)?;
    test(scope, node, &path)
}

fn test(scope: &Scope<'_>, node: &Node, path: &str) -> Result<bool, TemplateError> {
    let fail = |reason: &str| Err(TemplateError::at(node.line, path, reason));
    let Some(Function { name, argument }) = Function::of(node, true) else {
        return fail("a condition is one of Fn::Equals, Fn::And, Fn::Or, Fn::Not, Condition");
    };
    let items = argument.items().unwrap_or_default();
    match name.as_str() {
        "Condition" => match argument.text() {
            Some(other) => holds(scope, &other, node.line),
            None => fail("Condition takes a name"),
        },
        "Equals" => {
            let [left, right] = items else { return fail("Fn::Equals takes two values") };
            let left = scope.resolve(left, path)?;
            let right = scope.resolve(right, path)?;
            Ok(left.and_then(|node| node.text()) == right.and_then(|node| node.text()))
        }
        "And" if (2..=10).contains(&items.len()) => {
            items.iter().try_fold(true, |all, item| Ok(test(scope, item, path)? && all))
        }
        "Or" if (2..=10).contains(&items.len()) => {
            items.iter().try_fold(false, |any, item| Ok(test(scope, item, path)? || any))
        }
        "And" | "Or" => fail("takes two to ten conditions"),
        "Not" => {
            let [inner] = items else { return fail("Fn::Not takes one condition") };
            Ok(!test(scope, inner, path)?)
        }
        other => fail(&format!("{other} is not known to local in a condition")),
    }
}
