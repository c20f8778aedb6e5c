//! The mail's files, before its start and its claim: reading them may take seconds, and what is not there has not been sent.

use std::ops::ControlFlow::{Break, Continue};

use shared::telemetry::chain;

use super::{Delivery, DeliveryStep};
use crate::delay::Delay;
use crate::files::{FilesUnavailable, LoadedFiles};
use crate::ledger::EndReason;

impl Delivery {
    /// Reads the files that the mail has in the bucket.
    pub(super) async fn load_files(&self) -> DeliveryStep<LoadedFiles> {
        match self.services.files.load(&self.mail).await {
            Ok(files) => Ok(Continue(files)),
            Err(FilesUnavailable::Rejected(rejection)) => {
                let seen = self.services.ledger.read(&self.mail.tenant_id, &self.mail.mail_id).await?;
                self.end_from(seen, &EndReason::Rejected(rejection.code()), Some(&rejection)).await.map(Break)
            }
            Err(FilesUnavailable::Bucket(error)) => {
                tracing::warn!(
                    provider_id = %self.mail.provider_id,
                    mail_id = %self.mail.mail_id,
                    error = chain(&error),
                    "mail requeued because its files cannot be read"
                );
                self.requeue(Delay::BUCKET_UNAVAILABLE).await.map(Break)
            }
            Err(FilesUnavailable::NoMemory) => self.requeue(Delay::NO_MEMORY).await.map(Break),
        }
    }
}
