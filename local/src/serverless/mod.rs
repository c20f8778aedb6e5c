//! SAM's resources: the functions with their events, and the HTTP API. [`crate::lambda`] and [`crate::gateway`] run them.

mod event;
mod function;
mod http_api;

#[cfg(test)]
pub(crate) use self::event::RouteResource;
pub(crate) use self::event::{Authorizer, MappingResource, ScheduleResource};
pub(crate) use self::function::{FunctionResource, RecursiveLoop};
pub(crate) use self::http_api::{HttpApiResource, RouteThrottling};

use crate::template::ResourceType;

/// The types.
pub(crate) const RESOURCE_TYPES: &[ResourceType] = &[function::RESOURCE_TYPE, http_api::RESOURCE_TYPE];
