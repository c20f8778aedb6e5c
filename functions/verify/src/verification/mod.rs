//! The verification of one key: the calls into the tenant's account, cheapest first, within one time budget.
//!
//! The calls are sequential on purpose. A burst looks like an attack to whoever watches the tenant's account, and each
//! answer decides whether the next call may be made at all. Only the search for a Region asks some of them at once.

pub(crate) mod own_policies;
mod region_search;

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use shared::policy::{GapCause, Principal, explain_missing};
use shared::record::{Assurance, CheckName, CheckOutcome};
use shared::runtime::Ambient;
use shared::tenant::{
    AccountStatus, CallerIdentity, Clients, Credential, Denial, DeniedBy, Failure, FailureKind, NamePage, User,
};

use crate::check::assurance::{assurance_of, check_assurance};
use crate::check::excess::{self, ExcessProbe, ProbeAnswer};
use crate::check::identity::{self, IamUser};
use crate::check::own_policies::{Assessment, assess};
use crate::check::region::RegionChoice;
use crate::check::sending::{self, UnknownSenderProbe};
use crate::check::sessions::{check_sessions, check_sessions_in_policies};
use crate::check::{quarantine, ses, user};
use crate::report_builder::ReportBuilder;
use crate::retry_policy::RetryPolicy;
use crate::time_budget::TimeBudget;

/// The number of denials after which no probe is made that may be denied. Intrusion detection in the tenant's account flags
/// 15 denials in 10 minutes; it must not take an onboarding for a thief who looks around.
pub(crate) const MAX_DENIALS: usize = 14;

/// The sender of the first send probe: an address that nobody can have verified, because `invalid` is never a top-level
/// domain (RFC 2606).
const UNKNOWN_SENDER: &str = "invalid@invalid";

/// One key that is being verified.
pub(crate) struct Verification<'a> {
    /// Clients for the tenant's account.
    pub(crate) clients: &'a Clients,
    /// The key.
    pub(crate) credential: &'a Credential,
    /// The time that is left.
    pub(crate) budget: &'a TimeBudget,
    /// Randomness for the names of things that cannot exist.
    pub(crate) ambient: &'a Ambient,
    /// What the operator requires.
    pub(crate) required: Assurance,
    /// What is known of the Region.
    pub(crate) region_choice: &'a RegionChoice,
    /// How many calls AWS denied so far.
    pub(crate) denials: AtomicUsize,
}

/// What IAM and SES answer a key about its own user and account.
pub(crate) struct Access {
    /// `iam:GetUser`.
    pub(crate) own_user: Result<User, Failure>,
    /// The probe of `iam:DeleteAccessKey`.
    pub(crate) deletion: Result<(), Failure>,
    /// `ses:GetAccount`.
    pub(crate) account: Result<AccountStatus, Failure>,
}

/// A permission that a check found missing, as AWS denied it.
struct DeniedPermission {
    check: CheckName,
    action: &'static str,
    resource: String,
    denial: Denial,
}

/// The denial in an answer.
fn denial_of<T>(answer: &Result<T, Failure>) -> Option<&Denial> {
    match answer {
        Err(Failure { kind: FailureKind::Denied(denial), .. }) => Some(denial),
        _ => None,
    }
}

impl Verification<'_> {
    /// Whether id and secret belong together. Only after this may the caller be told what we know of the key: otherwise
    /// this route would tell people about keys that they do not have.
    pub(crate) async fn verify_secret(&self, report: &mut ReportBuilder) -> Result<CallerIdentity, Failure> {
        let answer = self.call_with_retry(|| self.clients.get_caller_identity(self.credential)).await;
        report.add(identity::check_live(&answer));
        answer
    }

    /// Whose key it is. `None` if it is not the key of an IAM user: then no further call may be made with it.
    pub(crate) fn identify_user(&self, identity: &CallerIdentity, report: &mut ReportBuilder) -> Option<IamUser> {
        let (check, user) = identity::check_iam_user(identity, self.credential.region);
        report.add(check);
        if let Some(user) = &user {
            report.add(identity::check_account(&self.credential.access_key_id, user));
        }
        user
    }

    /// What the key can do, as far as calls show it that a good key is allowed.
    pub(crate) async fn verify_access(&self, user: &IamUser, report: &mut ReportBuilder) -> Access {
        let own_user = self.call_with_retry(|| self.clients.get_user(self.credential)).await;
        report.add(user::check_get_user(&own_user));
        report.add(user::check_console_login(&own_user));

        let deletion = self.call(self.clients.probe_delete_access_key(self.credential, &user.name)).await;
        report.add(user::check_delete_access_key(&deletion));

        let account = self.call_with_retry(|| self.clients.get_account(self.credential)).await;
        report.add(ses::check_region(&account, self.credential.region.as_str()));
        report.add(quarantine::check_quarantine(&deletion, &account));
        Access { own_user, deletion, account }
    }

    /// What the key can do, whole. Returns what SES says about the account, and what IAM says about the user.
    pub(crate) async fn verify_permissions(&self, user: &IamUser, report: &mut ReportBuilder) -> Access {
        let access = self.verify_access(user, report).await;
        let Access { own_user, deletion, account } = &access;
        let mut denied = Vec::new();
        let mut note = |check, action, resource: &str, denial: Option<&Denial>| {
            denied.extend(denial.cloned().map(|denial| {
                let resource = denial.resource.clone().unwrap_or_else(|| resource.to_owned());
                DeniedPermission { check, action, resource, denial }
            }));
        };
        note(CheckName::GetUser, "iam:GetUser", &user.arn, denial_of(own_user));
        note(CheckName::DeleteAccessKey, "iam:DeleteAccessKey", &user.arn, denial_of(deletion));
        note(CheckName::SesRegion, "ses:GetAccount", "*", denial_of(account));

        // If SES does not know the key, or did not answer, the send probe says nothing either.
        if matches!(account, Ok(_) | Err(Failure { kind: FailureKind::Denied(_), .. })) {
            let probe = self.probe_sending(report).await;
            note(CheckName::Sending, "ses:SendEmail", &self.some_identity(user), denial_of(&probe));
            if let Ok(account) = account {
                report.add(ses::check_sending_status(account, &probe));
                report.add(ses::check_sandbox(account));
            }
        }

        let own_user = own_user.as_ref().ok();
        if report.would_accept() {
            self.check_region_choice(report).await;
        }
        // The expensive probes come last, and only for a key that would otherwise be accepted: every denial is visible
        // to intrusion detection in the tenant's account.
        if report.would_accept() {
            self.probe_excess(user, own_user, report).await;
        } else if denied.iter().any(|denied| report.has_failed(denied.check)) {
            Box::pin(self.explain_denials(user, own_user, &denied, report)).await;
        }
        access
    }

    async fn probe_sending(&self, report: &mut ReportBuilder) -> Result<(), Failure> {
        let probe = self.call(self.clients.probe_send_email(self.credential, UNKNOWN_SENDER)).await;
        let mut probes = Vec::new();
        match sending::read_unknown_sender_probe(&probe) {
            UnknownSenderProbe::Decided(check) => report.add(check),
            UnknownSenderProbe::DeniedOnIdentity { evidence, denial } => {
                let identities = self.call(self.clients.list_identities(self.credential, self.credential.region)).await;
                for sender in sending::own_senders(&identities) {
                    probes.push(self.call(self.clients.probe_send_email(self.credential, &sender)).await);
                }
                report.add(sending::check_own_senders(&evidence, &denial, &identities, &probes));
            }
        }
        report.add(sending::check_default_configuration_set(&probes));
        probe
    }

    /// An identity of the account, for a denial that names none.
    fn some_identity(&self, user: &IamUser) -> String {
        let region = self.credential.region;
        format!("arn:{}:ses:{region}:{}:identity/example.com", region.partition(), user.account_id)
    }

    /// What the key can do beyond its purpose.
    ///
    /// A probe that AWS allows does not end this, although it already refuses the key: the tenant gets the whole list at
    /// once. A second onboarding for the next thing on it would cost as many denials again.
    async fn probe_excess(&self, user: &IamUser, own_user: Option<&User>, report: &mut ReportBuilder) {
        let nothing = format!("sendingbee-probe-{}", self.ambient.ulid());
        let elsewhere = self.call(self.clients.probe_delete_access_key(self.credential, &nothing)).await;
        let (check, finding) = user::check_breadth(&elsewhere);
        report.add(check);
        report.add_findings(finding);

        let boundary = own_user.and_then(|own_user| own_user.permissions_boundary.as_deref());
        let signs_in = own_user.is_none_or(|own_user| own_user.has_console_login);
        let (mut answers, mut unmade): (Vec<ProbeAnswer>, Vec<(ExcessProbe, &'static str)>) = Default::default();
        let mut own = None;
        let mut sessions = None;
        for probe in ExcessProbe::all() {
            // Whether sessions outlive the key matters more than what another service holds.
            if matches!(probe, ExcessProbe::List(_)) && sessions.is_none() && self.may_be_denied() {
                self.probe_sessions(report).await;
                sessions = Some(());
            }
            let reason = if !self.may_be_denied() {
                Some("enough was denied")
            } else if probe == ExcessProbe::UpdateLoginProfile && signs_in {
                Some("the user may sign in to the console")
            } else {
                None
            };
            if let Some(reason) = reason {
                unmade.push((probe, reason));
                continue;
            }
            let answer = match probe {
                ExcessProbe::ListUserPolicies => {
                    let inline = self.call(self.clients.list_user_policies(self.credential, &user.name)).await;
                    if let Ok(inline) = &inline {
                        own = Some(self.assess_own_policies(user, boundary, inline).await);
                    }
                    inline.map(drop)
                }
                ExcessProbe::ListAccessKeys => {
                    let keys = self.call(self.clients.probe_list_access_keys(self.credential, &user.name)).await;
                    report.add(user::check_second_key(&keys));
                    keys.map(drop)
                }
                // A service may know a new key later than IAM and SES do. A refusal that stays says that the account does
                // not have the service.
                ExcessProbe::List(list) => {
                    self.call_with_retry(|| self.clients.probe_list(self.credential, list)).await
                }
                probe => self.call(self.make_probe(probe, user, &nothing)).await,
            };
            answers.push((probe, answer));
            // Policies that were all read say more than any further probe could, and where AWS stopped answering while they
            // were read, the next try reads them.
            if own.as_ref().is_some_and(|own: &Assessment| own.own_policies.complete || own.interrupted) {
                break;
            }
        }
        if let Some(own) = own.as_ref().filter(|own| own.own_policies.complete) {
            let region = self.credential.region.as_str();
            let (check, denied) = check_sessions_in_policies(&own.documents, user, region);
            report.add(check);
            report.set_sessions_denied(Some(denied));
            report.add(user::second_key_not_asked());
        }
        let leaked = match own.as_ref().and_then(|own| own.quarantine.as_deref()) {
            Some(arn) => Some(quarantine::quarantine_attached(arn)),
            None => quarantine::quarantine_in_probes(&answers),
        };
        if let Some(leaked) = leaked {
            report.replace(leaked);
        }
        let (check, findings) = excess::check_excess(&answers, &unmade, own.as_ref());
        if check.outcome == CheckOutcome::Passed {
            let assurance = assurance_of(&answers, own.as_ref().is_some_and(Assessment::proves));
            report.set_assurance(assurance);
            report.add(check_assurance(assurance, self.required));
        }
        report.add(check);
        if let Some(own) = own {
            report.set_own_policies(own.own_policies);
            report.add_findings(own.findings);
        }
        report.add_findings(findings);
    }

    async fn probe_sessions(&self, report: &mut ReportBuilder) {
        let probe = self.budget.call_tenant(async { Ok(self.clients.probe_session(self.credential).await) }).await;
        let Ok(probe) = probe else { return };
        self.count(&probe.minted);
        probe.used.iter().for_each(|used| self.count(used));
        let (check, denied) = check_sessions(&probe);
        report.add(check);
        report.set_sessions_denied(denied);
    }

    /// One probe. `nothing` is a name that nothing has.
    async fn make_probe(&self, probe: ExcessProbe, user: &IamUser, nothing: &str) -> Result<(), Failure> {
        let Self { clients, credential, .. } = self;
        let name = &user.name;
        match probe {
            ExcessProbe::ListUserPolicies => clients.list_user_policies(credential, name).await.map(drop),
            ExcessProbe::ListAccessKeys => clients.probe_list_access_keys(credential, name).await.map(drop),
            ExcessProbe::UpdateAccessKey => clients.probe_update_access_key(credential, name).await,
            ExcessProbe::AttachUserPolicy => {
                clients.probe_attach_user_policy(credential, name, &user.account_id, nothing).await
            }
            ExcessProbe::CreateAccessKey => clients.probe_create_access_key(credential, nothing).await,
            ExcessProbe::PutUserPolicy => clients.probe_put_user_policy(credential, nothing).await,
            ExcessProbe::AddUserToGroup => clients.probe_add_user_to_group(credential, name, nothing).await,
            ExcessProbe::UpdateLoginProfile => clients.probe_update_login_profile(credential, name).await,
            ExcessProbe::List(list) => clients.probe_list(credential, list).await,
        }
    }

    /// Says which statement, and which of its conditions, stands in the way of a permission, where the policies can be read.
    async fn explain_denials(
        &self,
        user: &IamUser,
        own_user: Option<&User>,
        denied: &[DeniedPermission],
        report: &mut ReportBuilder,
    ) {
        let in_own_policies = |denial: &Denial| match denial.by {
            DeniedBy::NoAllow => matches!(denial.not_allowed_by, None | Some(DeniedBy::IdentityPolicy)),
            by => matches!(by, DeniedBy::IdentityPolicy | DeniedBy::OtherPolicy),
        };
        if !self.may_be_denied() || !denied.iter().any(|denied| in_own_policies(&denied.denial)) {
            return;
        }
        let Ok(inline) = self.call(self.clients.list_user_policies(self.credential, &user.name)).await else { return };
        let boundary = own_user.and_then(|own_user| own_user.permissions_boundary.as_deref());
        let own = self.assess_own_policies(user, boundary, &inline).await;
        if let Some(arn) = &own.quarantine {
            report.replace(quarantine::quarantine_attached(arn));
        }
        let subject = self.subject(user);
        for DeniedPermission { check, action, resource, denial } in denied {
            if !in_own_policies(denial) || !report.has_failed(*check) {
                continue;
            }
            let gap = explain_missing(&own.documents, &subject, action, resource)
                .filter(|gap| (gap.cause == GapCause::Denied) == denial.is_explicit());
            if let Some(gap) = gap {
                let told = own.name_documents(&format!("{} {}", gap.explanation, gap.remedy));
                report.set_remedy(*check, told);
            }
        }
        report.set_own_policies(own.own_policies);
    }

    /// What the key's own policies allow.
    async fn assess_own_policies(&self, user: &IamUser, boundary: Option<&str>, inline: &NamePage) -> Assessment {
        let texts = Box::pin(own_policies::read_own_policies(self, user, boundary, inline)).await;
        assess(texts, &self.subject(user))
    }

    /// The user, for the policy checks.
    fn subject(&self, user: &IamUser) -> Principal {
        Principal {
            account_id: Some(user.account_id.clone()),
            user_name: Some(user.name.clone()),
            user_path: Some(user.path().to_owned()),
            region: Some(self.credential.region.as_str().to_owned()),
            now: Some(self.ambient.now().to_string()),
            ..Principal::default()
        }
    }

    /// Whether one more denial does not matter.
    fn may_be_denied(&self) -> bool {
        self.denials.load(Ordering::Relaxed) < MAX_DENIALS
    }

    fn count<T>(&self, answer: &Result<T, Failure>) {
        if denial_of(answer).is_some() {
            self.denials.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The answer of a call, within the time budget.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let answer = self.budget.call_tenant(call).await;
        self.count(&answer);
        answer
    }

    /// Repeats a call as long as its refusal may not be final.
    async fn call_with_retry<T, Call, Called>(&self, call: Call) -> Result<T, Failure>
    where
        Call: Fn() -> Called,
        Called: Future<Output = Result<T, Failure>>,
    {
        let mut policy = RetryPolicy::default();
        loop {
            let answer = self.call(call()).await;
            let delay =
                answer.as_ref().err().and_then(|failure| policy.next_delay(&failure.kind, self.budget.elapsed()));
            match delay {
                Some(delay) if self.budget.pause(delay).await => {}
                _ => return answer,
            }
        }
    }
}
