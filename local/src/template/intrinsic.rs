//! How a template writes an intrinsic function: in short form (`!Ref`) or in long form (`Fn::Join`).

use super::yaml::{YamlEntry, YamlNode};

/// A use of an intrinsic function: its name without `Fn::`, and its argument.
pub(super) struct IntrinsicCall<'a> {
    /// `Ref`, `GetAtt`, `Sub`, …
    pub(super) name: String,
    /// The argument without the tag.
    pub(super) argument: &'a YamlNode,
}

impl<'a> IntrinsicCall<'a> {
    /// The intrinsic that `node` is, if it is one. `Condition` counts only inside conditions: elsewhere it is the element of
    /// a policy statement.
    pub(super) fn from_node(node: &'a YamlNode, in_condition: bool) -> Option<Self> {
        if let Some(tag) = &node.tag {
            return Some(Self { name: tag.clone(), argument: node });
        }
        let [YamlEntry { key, value, .. }] = node.entries()? else { return None };
        let name = match key.as_str() {
            "Ref" => key,
            "Condition" if in_condition => key,
            other => other.strip_prefix("Fn::")?,
        };
        Some(Self { name: name.to_owned(), argument: value })
    }
}
