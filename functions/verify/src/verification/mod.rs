//! The verification of one key: the calls into the tenant's account, cheapest first, within one time budget.
//!
//! The calls are sequential on purpose. A burst looks like an attack to whoever watches the tenant's account, and each
//! answer decides whether the next call may be made at all.

pub(crate) mod own_policies;

use std::future::Future;

use shared::policy::{Finding, Principal};
use shared::record::OwnPolicies;
use shared::runtime::Ambient;
use shared::tenant::{
    AccountStatus, CallerIdentity, Clients, Credential, Failure, FailureKind as Kind, NamePage as Listed,
};

use crate::check::excess::{self, ExcessProbe};
use crate::check::identity::{self, IamUser};
use crate::check::own_policies::assess;
use crate::check::sending::{self, UnknownSenderProbe};
use crate::check::{ses, user};
use crate::report_builder::ReportBuilder;
use crate::retry_policy::RetryPolicy;
use crate::time_budget::TimeBudget;

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
    /// Randomness for the name of a user that cannot exist.
    pub(crate) ambient: &'a Ambient,
}

impl Verification<'_> {
    /// Whether id and secret belong together. Only after this may the caller be told what we know of the key: otherwise
    /// this route would tell people about keys that they do not have.
    pub(crate) async fn verify_secret(&self, report: &mut ReportBuilder) -> Option<CallerIdentity> {
        let answer = self.call_with_retry(|| self.clients.get_caller_identity(self.credential)).await;
        report.add(identity::check_live(&answer));
        answer.ok()
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

    /// What the key can do. Returns what SES says about the account.
    pub(crate) async fn verify_permissions(&self, user: &IamUser, report: &mut ReportBuilder) -> Option<AccountStatus> {
        let own_user = self.call_with_retry(|| self.clients.get_user(self.credential)).await;
        report.add(user::check_get_user(&own_user));
        report.add(user::check_console_login(&own_user));

        let deletion = self.call(self.clients.probe_delete_access_key(self.credential, &user.name)).await;
        report.add(user::check_delete_access_key(&deletion));

        let account = self.call_with_retry(|| self.clients.get_account(self.credential)).await;
        report.add(ses::check_region(&account, self.credential.region.as_str()));
        report.add(user::check_quarantine(&deletion, &account));

        // If SES does not know the key, or did not answer, the send probe says nothing either.
        if matches!(&account, Ok(_) | Err(Failure { kind: Kind::Denied(_), .. })) {
            let probe = self.probe_sending(report).await;
            if let Ok(account) = &account {
                report.add(ses::check_sending_status(account, &probe));
                report.add(ses::check_sandbox(account));
            }
        }

        // The expensive probes come last, and only for a key that would otherwise be accepted: every denial is visible
        // to intrusion detection in the tenant's account.
        if report.would_accept() {
            self.probe_excess(user, report).await;
        }
        account.ok()
    }

    async fn probe_sending(&self, report: &mut ReportBuilder) -> Result<(), Failure> {
        let probe = self.call(self.clients.probe_send_email(self.credential, UNKNOWN_SENDER)).await;
        let mut probes = Vec::new();
        match sending::read_unknown_sender_probe(&probe) {
            UnknownSenderProbe::Decided(check) => report.add(check),
            UnknownSenderProbe::DeniedOnIdentity { evidence } => {
                let identities = self.call(self.clients.list_identities(self.credential)).await;
                for sender in sending::own_senders(&identities) {
                    probes.push(self.call(self.clients.probe_send_email(self.credential, &sender)).await);
                }
                report.add(sending::check_own_senders(&evidence, &identities, &probes));
            }
        }
        report.add(sending::check_default_configuration_set(&probes));
        probe
    }

    async fn probe_excess(&self, user: &IamUser, report: &mut ReportBuilder) {
        let no_such_user = format!("sendingbee-probe-{}", self.ambient.ulid());
        let elsewhere = self.call(self.clients.probe_delete_access_key(self.credential, &no_such_user)).await;
        let (check, finding) = user::check_breadth(&elsewhere);
        report.add(check);
        report.add_findings(finding);

        let mut answers = Vec::with_capacity(ExcessProbe::ALL.len());
        let mut own = None;
        for probe in ExcessProbe::ALL {
            let answer = match probe {
                ExcessProbe::ListUserPolicies => {
                    let inline = self.call(self.clients.list_user_policies(self.credential, &user.name)).await;
                    if let Ok(inline) = &inline {
                        own = Some(self.assess_own_policies(user, inline).await);
                    }
                    inline.map(drop)
                }
                ExcessProbe::SimulatePrincipalPolicy => {
                    self.call(self.clients.simulate_principal_policy(self.credential, &user.arn)).await
                }
                ExcessProbe::ListUsers => self.call(self.clients.list_users(self.credential)).await,
                ExcessProbe::ListTables => self.call(self.clients.list_tables(self.credential)).await,
            };
            answers.push((probe, answer));
            // Policies that were read completely say more than any further probe could.
            if own.as_ref().is_some_and(|(own, _): &(OwnPolicies, _)| own.complete) {
                break;
            }
        }
        let (check, findings) = excess::check_excess(&answers, own.as_ref());
        report.add(check);
        if let Some((own, stated)) = own {
            report.set_own_policies(own);
            report.add_findings(stated);
        }
        report.add_findings(findings);
    }

    /// What the key's own policies allow.
    async fn assess_own_policies(&self, user: &IamUser, inline: &Listed) -> (OwnPolicies, Vec<Finding>) {
        let texts = Box::pin(own_policies::read_own_policies(self, user, inline)).await;
        let subject = Principal {
            account_id: Some(user.account_id.clone()),
            user_name: Some(user.name.clone()),
            user_path: Some(user.path().to_owned()),
            region: Some(self.credential.region.as_str().to_owned()),
            now: Some(self.ambient.now().to_string()),
            ..Principal::default()
        };
        assess(texts, &subject)
    }

    /// The answer of a call, within the time budget.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.budget.call_tenant(call).await
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
