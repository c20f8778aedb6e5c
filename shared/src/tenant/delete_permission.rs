//! Whether a key may delete itself, as the probe of `iam:DeleteAccessKey` shows.

use super::{Denial, Failure, FailureKind};

/// What [`super::Clients::probe_delete_access_key`] shows: at onboarding, and as long as the key lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeletePermission {
    /// IAM looked for the key id that cannot exist, so the call was authorized.
    Allowed,
    /// It was not.
    Denied(Denial),
    /// The answer says nothing about it.
    Unknown,
}

impl DeletePermission {
    /// Reads the answer to the probe. AWS always refuses it, so an acceptance is no answer.
    pub fn from_probe(answer: &Result<(), Failure>) -> Self {
        match answer.as_ref().map_err(|failure| &failure.kind) {
            Err(FailureKind::NotFound) => Self::Allowed,
            Err(FailureKind::Denied(denial)) => Self::Denied(denial.clone()),
            Ok(()) | Err(_) => Self::Unknown,
        }
    }
}
