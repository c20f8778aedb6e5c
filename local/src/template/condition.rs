//! Conditions: Fn::Equals, Fn::And, Fn::Or, Fn::Not and references to other conditions.

use super::error::TemplateError;
use super::intrinsic::IntrinsicCall;
use super::yaml::YamlNode;

/// What a condition refers to.
pub(super) trait ConditionContext {
    /// Whether the named condition holds.
    fn condition(&self, name: &str, line: usize) -> Result<bool, TemplateError>;

    /// A node's text with every intrinsic replaced by its value.
    fn condition_text(&self, node: &YamlNode, path: &str) -> Result<Option<String>, TemplateError>;
}

/// Whether a condition's expression is true.
///
/// # Errors
/// It is made of something that is not known here, or refers to something that is not there.
pub(super) fn evaluate(context: &impl ConditionContext, node: &YamlNode, path: &str) -> Result<bool, TemplateError> {
    let fail = |reason: &str| Err(TemplateError::at(node.line, path, reason));
    let Some(IntrinsicCall { name, argument }) = IntrinsicCall::from_node(node, true) else {
        return fail("a condition is one of Fn::Equals, Fn::And, Fn::Or, Fn::Not, Condition");
    };
    let items = argument.items().unwrap_or_default();
    match name.as_str() {
        "Condition" => match argument.text() {
            Some(other) => context.condition(&other, node.line),
            None => fail("Condition takes a name"),
        },
        "Equals" => {
            let [left, right] = items else { return fail("Fn::Equals takes two values") };
            Ok(context.condition_text(left, path)? == context.condition_text(right, path)?)
        }
        "And" if (2..=10).contains(&items.len()) => {
            items.iter().try_fold(true, |all, item| Ok(evaluate(context, item, path)? && all))
        }
        "Or" if (2..=10).contains(&items.len()) => {
            items.iter().try_fold(false, |any, item| Ok(evaluate(context, item, path)? || any))
        }
        "And" | "Or" => fail("takes two to ten conditions"),
        "Not" => {
            let [inner] = items else { return fail("Fn::Not takes one condition") };
            Ok(!evaluate(context, inner, path)?)
        }
        other => fail(&format!("{other} is not known to local in a condition")),
    }
}
