//! Parameters: defaults, overrides from the command line, and the bounds a template sets.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::error::TemplateError;
use super::settings::Settings;
use super::yaml::{YamlEntry, YamlNode};

/// The value of every parameter.
///
/// # Errors
/// A parameter without a value, a value outside its bounds, an override of a parameter that the template does not have.
pub(super) fn values(root: &YamlNode, settings: &Settings) -> Result<BTreeMap<String, String>, TemplateError> {
    let declared = root.get("Parameters").and_then(YamlNode::entries).unwrap_or_default();
    for name in settings.parameters.keys() {
        if !declared.iter().any(|entry| entry.key == *name) {
            return Err(TemplateError::at(
                root.line,
                &format!("Parameters.{name}"),
                "the template has no such parameter",
            ));
        }
    }
    declared.iter().map(|entry| Ok((entry.key.clone(), value(entry, settings.parameters.get(&entry.key))?))).collect()
}

fn value(entry: &YamlEntry, given: Option<&String>) -> Result<String, TemplateError> {
    let path = format!("Parameters.{}", entry.key);
    let fail = |line: usize, reason: String| Err(TemplateError::at(line, &path, reason));
    let Some(properties) = entry.value.entries() else {
        return fail(entry.line, "a parameter is a mapping".to_owned());
    };
    let default = entry.value.get("Default").and_then(YamlNode::text);
    let Some(value) = given.cloned().or(default) else {
        return fail(entry.line, "no default, and no value was given".to_owned());
    };
    for property in properties {
        let line = property.line;
        let bound = property.value.text().unwrap_or_default();
        match property.key.as_str() {
            "Default" | "Description" | "ConstraintDescription" | "NoEcho" => {}
            "Type" => match bound.as_str() {
                "String" => {}
                "Number" if value.parse::<f64>().is_ok() => {}
                "Number" => return fail(line, format!("`{value}` is not a number")),
                other => return fail(line, format!("parameters of type {other} are not known to local")),
            },
            "AllowedValues" => {
                let allowed = property.value.items().unwrap_or_default();
                if !allowed.iter().any(|item| item.text().as_deref() == Some(value.as_str())) {
                    let allowed: Vec<_> = allowed.iter().filter_map(YamlNode::text).collect();
                    return fail(line, format!("`{value}` is not one of {}", allowed.join(", ")));
                }
            }
            "AllowedPattern" => {
                // CloudFormation matches the whole value.
                match Regex::new(&format!("^(?:{bound})$")) {
                    Ok(pattern) if pattern.is_match(&value) => {}
                    Ok(_) => return fail(line, format!("`{value}` does not match {bound}")),
                    Err(error) => return fail(line, format!("the pattern cannot be read: {error}")),
                }
            }
            "MinValue" | "MaxValue" => {
                let (Ok(number), Ok(limit)) = (value.parse::<f64>(), bound.parse::<f64>()) else {
                    return fail(line, format!("{} is for numbers", property.key));
                };
                if (property.key == "MinValue" && number < limit) || (property.key == "MaxValue" && number > limit) {
                    return fail(line, format!("`{value}` is beyond {} {bound}", property.key));
                }
            }
            "MinLength" | "MaxLength" => {
                let Ok(limit) = bound.parse::<usize>() else {
                    return fail(line, format!("{} is a number", property.key));
                };
                let length = value.chars().count();
                if (property.key == "MinLength" && length < limit) || (property.key == "MaxLength" && length > limit) {
                    return fail(line, format!("`{value}` is beyond {} {bound}", property.key));
                }
            }
            other => return fail(line, format!("{other} is not known to local")),
        }
    }
    Ok(value)
}
