//! Calls into a tenant's AWS account with the tenant's credential, and what their failures mean.
//!
//! | file | what it holds |
//! |---|---|
//! | `clients` | the SDK clients of a process, shared by all tenants |
//! | `calls`, `policies`, `residual`, `configuration` | one method for each API call |
//! | `excess_probe`, `list_probe` | calls that a harmless key may not make |
//! | `credential`, `region` | a key with its Region |
//! | `failure`, `denial`, `input_fault` | a failed call, classified by code and text |
//! | `delete_permission` | what the probe of the deletion shows, at onboarding and later |
//! | `write_tracker` | whether a request can have reached AWS, and whether it still may |

mod calls;
mod clients;
mod configuration;
mod credential;
mod delete_permission;
mod denial;
mod excess_probe;
mod failure;
mod input_fault;
mod list_probe;
mod policies;
mod region;
mod residual;
mod write_tracker;

pub use calls::{AccountStatus, CallerIdentity, EmailIdentity, User};
pub use clients::{Clients, SES_TIMEOUT};
pub use configuration::{
    CONFIGURATION_TAG, ConfigurationSet, DkimKeys, DnsFound, DomainIdentity, IdentityList, ListedIdentity,
    MailFromDomain,
};
pub use credential::{Credential, InvalidSecret, SecretAccessKey};
pub use delete_permission::DeletePermission;
pub use denial::{Denial, DeniedBy};
pub use excess_probe::{ListedKey, SessionProbe};
pub use failure::{Failure, FailureKind, UnverifiedIdentities};
pub use input_fault::InputFault;
pub use list_probe::ListProbe;
pub use policies::NamePage;
pub use region::{Region, UnknownRegion};
pub use residual::{IdentityNames, UserAccessKey};
pub use write_tracker::WritePermit;
