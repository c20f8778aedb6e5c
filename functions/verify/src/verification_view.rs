//! A verification that somebody asked for, as callers see it.

use jiff::Timestamp;
use serde::Serialize;
use shared::id::{ProviderId, VerificationId};
use shared::record::{AskedVerification, Status, VerificationReport};

/// The public form of a verification.
#[derive(Serialize)]
pub(crate) struct VerificationView<'a> {
    verification_id: &'a VerificationId,
    provider_id: &'a ProviderId,
    state: &'static str,
    asked_at: Timestamp,
    asked_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
    /// The provider's status when it was finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_status: Option<&'a Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a VerificationReport>,
}

impl<'a> VerificationView<'a> {
    /// A verification of this provider.
    pub(crate) fn new(provider_id: &'a ProviderId, verification: &'a AskedVerification) -> Self {
        Self {
            verification_id: &verification.verification_id,
            provider_id,
            state: if verification.finished_at.is_some() { "finished" } else { "running" },
            asked_at: verification.asked_at,
            asked_by: &verification.asked_by,
            finished_at: verification.finished_at,
            provider_status: verification.provider_status.as_ref(),
            report: verification.report.as_ref(),
        }
    }
}
