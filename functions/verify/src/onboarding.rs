//! A key on its way to a provider: counted, examined, looked up, and stored if nothing stands against it.

mod storing;

use shared::http::Problem;
use shared::id::ProviderId;
use shared::record::{KeyItem, Provider};
use shared::tenant::Credential;

use crate::Verify;
use crate::budget::Budget;
use crate::check::{Check, CheckName};
use crate::examination::Examination;
use crate::idempotency::Once;
use crate::report::{Draft, Report, Verdict};
use crate::submission::Submission;

/// One key that somebody hands over.
pub(crate) struct Onboarding<'a> {
    /// Our own account and the tenants'.
    pub(crate) verify: &'a Verify,
    /// Whose key it is.
    pub(crate) submission: Submission,
    /// The key.
    pub(crate) credential: Credential,
    /// The caller's `Idempotency-KeyItem`, where there is one.
    pub(crate) once: Option<Once>,
    /// The time that is left.
    pub(crate) budget: Budget,
}

/// How an onboarding ends.
pub(crate) enum Ending {
    /// The key is taken.
    Onboarded(Box<Provider>),
    /// Nothing is stored, and the report says why.
    Refused(Box<Report>),
    /// The key was not even looked at.
    TooManyAttempts {
        /// When the next attempt is taken, in seconds.
        retry_after_s: u64,
    },
    /// Somebody handed the key over before.
    Taken(Taken),
    /// A concurrent request with the same `Idempotency-KeyItem` was faster.
    IdempotencyKeyUsed,
}

/// Who has a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// This tenant, as this provider.
    Own(ProviderId),
    /// Another tenant.
    Others,
}

impl Onboarding<'_> {
    /// Takes the key, or finds out why not.
    ///
    /// # Errors
    /// 503 where our own account did not answer.
    pub(crate) async fn take(&self, mut draft: Draft) -> Result<Ending, Problem> {
        if let Some(retry_after_s) = self.count().await? {
            return Ok(Ending::TooManyAttempts { retry_after_s });
        }
        let Verify { tenants, ambient, .. } = self.verify;
        let examination = Examination { clients: tenants, credential: &self.credential, budget: &self.budget, ambient };
        let Some(identity) = examination.identify(&mut draft).await else {
            return Ok(self.refused(draft));
        };
        // Not before STS has accepted the secret: only who has it is told what we know of the key.
        match self.budget.own(self.verify.providers.key(&self.credential.access_key_id)).await? {
            None => draft.add(Check::passed(CheckName::NotReported, "no report of this key is known")),
            Some(key) => match self.taken(&key) {
                Some(taken) => return Ok(Ending::Taken(taken)),
                None => {
                    draft.add(reported());
                    return Ok(self.refused(draft));
                }
            },
        }
        let Some(caller) = examination.place(&identity, &mut draft) else {
            return Ok(self.refused(draft));
        };
        let account = examination.examine(&caller, &mut draft).await;
        let report = draft.close(ambient.now());
        match account {
            Some(account) if report.verdict() == Verdict::Accepted => self.store(caller, &account, report).await,
            _ => Ok(Ending::Refused(Box::new(report))),
        }
    }

    /// Counts the attempt. Answers the seconds until the next one is taken, where this one is one too many.
    async fn count(&self) -> Result<Option<u64>, Problem> {
        let Verify { providers, ambient, .. } = self.verify;
        let (tenant_id, access_key_id) = (&self.submission.tenant_id, &self.credential.access_key_id);
        let count = providers.count_attempt(tenant_id, access_key_id, ambient.now());
        self.budget.own(count).await
    }

    fn refused(&self, draft: Draft) -> Ending {
        Ending::Refused(Box::new(draft.close(self.verify.ambient.now())))
    }

    /// Who has a key that we know; nobody where it was only reported.
    fn taken(&self, key: &KeyItem) -> Option<Taken> {
        let owner = key.owner.as_ref()?;
        let own = owner.tenant_id == self.submission.tenant_id;
        Some(if own { Taken::Own(owner.provider_id.clone()) } else { Taken::Others })
    }
}

fn reported() -> Check {
    Check::failed(
        CheckName::NotReported,
        "this key was reported as known to others",
        "Delete this access key in IAM, look in CloudTrail for what was done with it, and hand over a new one.",
    )
}
