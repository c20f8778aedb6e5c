//! Calls into a tenant's AWS account with the tenant's credential, and what their failures mean.
//!
//! | file | what it holds |
//! |---|---|
//! | `clients` | the SDK clients of a process, shared by all tenants |
//! | `calls`, `policies` | one method for each API call |
//! | `credential`, `region` | a key with its Region |
//! | `failure`, `denial`, `input_fault` | a failed call, classified by code and text |
//! | `write_tracker` | whether a request can have reached AWS |

mod calls;
mod clients;
mod credential;
mod denial;
mod failure;
mod input_fault;
mod policies;
mod region;
mod write_tracker;

pub use calls::{AccountStatus, CallerIdentity, EmailIdentity, User};
pub use clients::{Clients, SES_TIMEOUT};
pub use credential::{Credential, InvalidSecret, SecretAccessKey};
pub use denial::{Denial, DeniedBy};
pub use failure::{Failure, FailureKind, UnverifiedIdentities};
pub use input_fault::InputFault;
pub use policies::NamePage;
pub use region::{Region, UnknownRegion};
