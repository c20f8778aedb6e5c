//! This project's template, and every type of resource that a template may have.

use crate::template::{self, ResourceType, Settings, Stack, TemplateError};
use crate::{serverless, service};

/// The template this binary was built with.
pub(crate) const EMBEDDED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml"));

/// Reads a template.
///
/// # Errors
/// The first thing in it that is wrong, or that is not known to `local`.
pub(crate) fn load(text: &str, settings: &Settings) -> Result<Stack, TemplateError> {
    template::load(text, settings, &resource_types())
}

fn resource_types() -> Vec<&'static ResourceType> {
    service::resource_types().chain(serverless::RESOURCE_TYPES).chain(template::UNMANAGED_TYPES).collect()
}

#[cfg(test)]
mod house_rules;
#[cfg(test)]
mod tests;
