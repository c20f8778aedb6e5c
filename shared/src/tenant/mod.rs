//! Calls into a tenant's AWS account with the tenant's credential, and what their failures mean.

mod calls;
mod clients;
mod credential;
mod denial;
mod failure;
mod policies;
mod region;
mod written;

pub use calls::{AccountStatus, CallerIdentity, Identity, Mail, User};
pub use clients::{Clients, SES_TIMEOUT};
pub use credential::{Credential, InvalidSecret, SecretAccessKey};
pub use denial::{Denial, DeniedBy};
pub use failure::{Failure, Kind};
pub use policies::Listed;
pub use region::{Region, UnknownRegion};
