//! One attempt to onboard a key: counted, verified, looked up, and stored if every required check passed. A key that replaces
//! another one goes the same way up to the storing.

pub(crate) mod store;

use std::sync::atomic::{AtomicUsize, Ordering};

use shared::http::Problem;
use shared::id::ProviderId;
use shared::policy::PolicyStyle;
use shared::record::{
    Check, CheckName, Fences, KeyItem, Provider, VerificationOutcome, VerificationReport, VerifiedProvider,
};
use shared::tenant::{AccountStatus, Credential};

use crate::Verify;
use crate::check::identity::{IamUser, check_same_account, check_shape};
use crate::check::region::RegionChoice;
use crate::check::user::check_replaced_key;
use crate::idempotency::IdempotentRequest;
use crate::report_builder::ReportBuilder;
use crate::submission::Submission;
use crate::time_budget::TimeBudget;
use crate::verification::Verification;

/// One key that a caller submitted.
pub(crate) struct OnboardingAttempt<'a> {
    /// The handler, with the clients of our own account and of the tenants'.
    pub(crate) verify: &'a Verify,
    /// What the caller submitted.
    pub(crate) submission: Submission,
    /// The key, with its secret.
    pub(crate) credential: Credential,
    /// What is known of the Region. Where none was chosen, that of the credential is replaced when the right one is found.
    pub(crate) region_choice: RegionChoice,
    /// The caller's `Idempotency-Key`, if there is one.
    pub(crate) idempotent: Option<IdempotentRequest>,
    /// The time that is left.
    pub(crate) budget: TimeBudget,
}

/// How an attempt ends.
pub(crate) enum OnboardingOutcome {
    /// The key is stored.
    Onboarded(Box<VerifiedProvider>),
    /// Nothing is stored, and the report says why.
    Refused(Box<VerificationReport>),
    /// Too many attempts: AWS was not asked about the key.
    TooManyAttempts {
        /// The seconds until the next attempt is allowed.
        retry_after_s: u64,
    },
    /// An order is being executed that covers the key's tenant or account, or all: nothing is taken meanwhile.
    OrderInProgress {
        /// The seconds until it has listed all keys.
        retry_after_s: u64,
    },
    /// The key was onboarded before.
    AlreadyOnboarded(KeyHolder),
    /// A concurrent request with the same `Idempotency-Key` was faster.
    IdempotencyKeyUsed,
}

/// A key that was looked at.
pub(crate) enum Examination {
    /// It can be stored.
    Passed(Box<AcceptedKey>),
    /// It cannot.
    Ended(OnboardingOutcome),
}

/// A key that every required check accepts, and what it was accepted on.
pub(crate) struct AcceptedKey {
    /// Whose it is.
    pub(crate) user: IamUser,
    /// What SES says about the account.
    pub(crate) account: AccountStatus,
    /// The report.
    pub(crate) report: VerificationReport,
    /// The fences, as they were read before.
    pub(crate) fences: Fences,
}

/// Which tenant onboarded a key before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeyHolder {
    /// The tenant of this attempt, as this provider.
    SameTenant(ProviderId),
    /// Another tenant.
    OtherTenant,
}

/// Reads what was pasted, and adds what its shape says. `None` if it is no key.
pub(crate) fn read_pasted(submission: &Submission, report: &mut ReportBuilder) -> Option<Credential> {
    let (checks, key) = check_shape(submission);
    checks.into_iter().for_each(|check| report.add(check));
    let (access_key_id, secret_access_key) = key?;
    Some(Credential { access_key_id, secret_access_key, region: submission.region })
}

impl OnboardingAttempt<'_> {
    /// Verifies the key and stores it, or finds out why it cannot be accepted. `report` has the checks that were made
    /// before.
    ///
    /// # Errors
    /// 503 if our own account did not answer.
    pub(crate) async fn run(&mut self, report: ReportBuilder) -> Result<OnboardingOutcome, Problem> {
        match self.examine(report, None).await? {
            Examination::Passed(accepted) => self.store(*accepted).await,
            Examination::Ended(outcome) => Ok(outcome),
        }
    }

    /// Verifies the key. `replaces` is the provider whose key it is to replace, which must be of the same account.
    ///
    /// # Errors
    /// 503 if our own account did not answer.
    pub(crate) async fn examine(
        &mut self,
        mut report: ReportBuilder,
        replaces: Option<&Provider>,
    ) -> Result<Examination, Problem> {
        let ended = |outcome| Ok(Examination::Ended(outcome));
        if let Some(retry_after_s) = self.count_attempt().await? {
            return ended(OnboardingOutcome::TooManyAttempts { retry_after_s });
        }
        let Verify { providers, ambient, .. } = self.verify;
        let account_id = self.credential.access_key_id.account_id();
        let fences = providers.fences(&self.submission.tenant_id, account_id.as_deref());
        let fences = self.budget.call_own("read the fences", fences).await?;
        if let Some(until) = fences.closed_until(ambient.now()) {
            let seconds = until.duration_since(ambient.now()).as_secs();
            return ended(OnboardingOutcome::OrderInProgress { retry_after_s: seconds.unsigned_abs().max(1) });
        }
        let verification = self.verification(0);
        let Ok(identity) = verification.verify_secret(&mut report).await else {
            return ended(self.refuse(report));
        };
        // Not before STS has accepted the secret: only a caller who has it is told what we know of the key.
        let key = providers.key(&self.credential.access_key_id);
        match self.budget.call_own("read the key item", key).await? {
            None => report.add(Check::passed(CheckName::NotReported, "no report of this key is known")),
            Some(key) => match self.key_holder(&key) {
                Some(holder) => return ended(OnboardingOutcome::AlreadyOnboarded(holder)),
                None => {
                    report.add(key_is_reported());
                    return ended(self.refuse(report));
                }
            },
        }
        let Some(user) = verification.identify_user(&identity, &mut report) else {
            return ended(self.refuse(report));
        };
        if let Some(wrong) = replaces.and_then(|provider| check_same_account(&user, &provider.account_id)) {
            report.replace(wrong);
            return ended(self.refuse(report));
        }
        let mut found = None;
        if let RegionChoice::Open { among } = &self.region_choice {
            let denials = |verification: &Verification<'_>| verification.denials.load(Ordering::Relaxed);
            match verification.find_region(among).await {
                Ok((region, seen)) => found = Some((region, seen, denials(&verification))),
                Err(doubt) => {
                    report.add(doubt.check);
                    report.set_region_suggestion(doubt.suggestion);
                    return ended(self.refuse(report));
                }
            }
        }
        if let Some((region, _, _)) = &found {
            self.credential.region = *region;
            self.submission.region = *region;
        }
        let verification = self.verification(found.as_ref().map_or(0, |(_, _, denials)| *denials));
        let account = verification.verify_permissions(&user, &mut report).await.account.ok();
        if let Some((_, seen, _)) = &found {
            report.add_evidence(CheckName::SesRegion, seen);
        }
        if let Some(provider) = replaces.filter(|provider| provider.user_arn == user.arn) {
            report.replace(check_replaced_key(&provider.access_key_id));
        }
        let report = self.finish(report);
        match account {
            Some(account) if report.outcome == VerificationOutcome::Accepted => {
                Ok(Examination::Passed(Box::new(AcceptedKey { user, account, report, fences })))
            }
            _ => ended(OnboardingOutcome::Refused(Box::new(report))),
        }
    }

    /// The verification of the key in its Region, of which so many calls were denied already.
    fn verification(&self, denials: usize) -> Verification<'_> {
        Verification {
            clients: &self.verify.tenants,
            credential: &self.credential,
            budget: &self.budget,
            ambient: &self.verify.ambient,
            required: self.verify.required_assurance,
            region_choice: &self.region_choice,
            denials: AtomicUsize::new(denials),
        }
    }

    /// Counts the attempt. Returns the seconds until the next attempt is allowed, if this one is one too many.
    async fn count_attempt(&self) -> Result<Option<u64>, Problem> {
        let Verify { providers, ambient, .. } = self.verify;
        let (tenant_id, access_key_id) = (&self.submission.tenant_id, &self.credential.access_key_id);
        let count = providers.count_attempt(tenant_id, access_key_id, ambient.now());
        self.budget.call_own("count the onboarding attempt", count).await
    }

    fn refuse(&self, report: ReportBuilder) -> OnboardingOutcome {
        OnboardingOutcome::Refused(Box::new(self.finish(report)))
    }

    /// The report, which recommends the policy that lets the key do what the tenant agrees to.
    fn finish(&self, report: ReportBuilder) -> VerificationReport {
        let mut report = report.finish(self.verify.ambient.now());
        let (pause, configure) =
            (self.submission.consent_signed_by.is_some(), self.submission.configure_signed_by.is_some());
        PolicyStyle::Hardened.version_with(pause, configure).clone_into(&mut report.recommended_policy);
        report
    }

    /// Which tenant onboarded the key of this item. `None` for a tombstone: the key was reported, nobody onboarded it.
    pub(crate) fn key_holder(&self, key: &KeyItem) -> Option<KeyHolder> {
        let owner = key.owner.as_ref()?;
        let same = owner.tenant_id == self.submission.tenant_id;
        Some(if same { KeyHolder::SameTenant(owner.provider_id.clone()) } else { KeyHolder::OtherTenant })
    }
}

pub(crate) fn key_is_reported() -> Check {
    Check::failed(
        CheckName::NotReported,
        "this key was reported as known to others",
        "Delete this access key in IAM, look in CloudTrail for what was done with it, and hand over a new one.",
    )
}
