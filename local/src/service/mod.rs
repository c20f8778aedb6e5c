//! The services of AWS that the stand-in has, a folder each. A folder holds the template's resources of its service and their
//! references, their creation, the permissions that requests need, what the embedded fakecloud service does otherwise than
//! AWS, and the service's words for errors and faults.
//!
//! To add a service: a folder with a `SERVICE`, and a line in [`SERVICES`].

mod asymmetric;
mod call;
mod caller;
mod embedded;
mod error;
mod interface;
mod listing;
mod permission;
mod request;
mod response;

mod cloudformation;
pub(crate) mod dynamodb;
mod ec2;
pub(crate) mod events;
pub(crate) mod iam;
pub(crate) mod kms;
pub(crate) mod lambda;
pub(crate) mod s3;
mod secretsmanager;
pub(crate) mod ses;
pub(crate) mod sqs;

pub(crate) use self::asymmetric::{AsymmetricRequest, is_asymmetric, is_signed_by};
pub(crate) use self::call::Call;
pub(crate) use self::caller::{Caller, root_principal};
pub(crate) use self::error::{AccessDenied, DenialReason, ErrorWording, ServiceError};
pub(crate) use self::interface::{ServiceList, Setup};
pub(crate) use self::permission::{RequiredPermission, account_of, allows_service, base_context};
pub(crate) use self::request::ServiceRequest;
pub(crate) use self::response::ServiceResponse;

use self::interface::ServiceDefinition;
use crate::template::ResourceType;

/// Every service, in the order in which they are started and provisioned.
const SERVICES: &[ServiceDefinition] = &[
    iam::SERVICE,
    ses::SERVICE,
    sqs::SERVICE,
    kms::SERVICE,
    dynamodb::SERVICE,
    events::SERVICE,
    s3::SERVICE,
    ec2::SERVICE,
    secretsmanager::SERVICE,
    lambda::SERVICE,
    cloudformation::SERVICE,
];

/// Starts all services, empty.
///
/// # Errors
/// A service that would answer without asking policies.
pub(crate) fn start(setup: &Setup) -> anyhow::Result<ServiceList> {
    let mut services = ServiceList::default();
    for definition in SERVICES {
        let service = (definition.start)(setup, &services)?;
        services.add(service);
    }
    Ok(services)
}

/// The template's resource types that the services serve.
pub(crate) fn resource_types() -> impl Iterator<Item = &'static ResourceType> {
    SERVICES.iter().flat_map(|definition| definition.resource_types)
}

#[cfg(test)]
mod tests;
