//! Reads a CloudFormation template and says what it means: the stack with every parameter, condition and intrinsic resolved.
//!
//! This is the language alone. Which types of resources there are is told to [`load()`]; [`crate::stack`] has the list.
//!
//! Nothing is passed over in silence. A resource type, property or intrinsic that is not known fails the start with its line,
//! except the properties that a type lists as left out, each with the reason why leaving it out changes nothing on one machine.

mod condition;
mod error;
mod fields;
mod intrinsic;
mod left_out;
mod load;
mod parameter;
mod policy_document;
mod resource_type;
mod scope;
mod settings;
mod stack;
mod unmanaged;
mod yaml;

pub(crate) use self::error::TemplateError;
pub(crate) use self::fields::Fields;
pub(crate) use self::left_out::left_out;
pub(crate) use self::load::load;
pub(crate) use self::policy_document::{check_identity, check_resource, check_trust, parse_policy};
pub(crate) use self::resource_type::{DeclaredResource, PhysicalId, PhysicalName, ResourceType};
pub(crate) use self::settings::Settings;
pub(crate) use self::stack::Stack;
pub(crate) use self::unmanaged::RESOURCE_TYPES as UNMANAGED_TYPES;
pub(crate) use self::yaml::YamlNode;

#[cfg(test)]
pub(crate) use self::scope::TemplateScope;
#[cfg(test)]
pub(crate) use self::yaml::YamlEntry;
