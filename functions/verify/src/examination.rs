//! The calls into the tenant's account, one after the other from cheap to dear, under one budget.
//!
//! Sequential on purpose: a burst looks like an attack to whoever watches the tenant's account, and each step decides
//! whether the next may be made at all.

pub(crate) mod own_policies;

use std::future::Future;

use shared::policy::{Finding, Principal};
use shared::runtime::Ambient;
use shared::tenant::{AccountStatus, CallerIdentity, Clients, Credential, Failure, Kind, Listed};

use crate::budget::Budget;
use crate::check::excess::{self, Probe};
use crate::check::identity::{self, Caller};
use crate::check::own_policies::OwnPolicies;
use crate::check::sending::{self, FromNobody};
use crate::check::{ses, user};
use crate::patience::Patience;
use crate::report::Draft;

/// The sender of the first send probe: an address that nobody can have verified, `invalid` being no top-level domain
/// (RFC 2606).
const NOBODY: &str = "invalid@invalid";

/// One key under examination.
pub(crate) struct Examination<'a> {
    /// Clients for the tenant's account.
    pub(crate) clients: &'a Clients,
    /// The key.
    pub(crate) credential: &'a Credential,
    /// The time that is left.
    pub(crate) budget: &'a Budget,
    /// Randomness for the name of a user that cannot exist.
    pub(crate) ambient: &'a Ambient,
}

impl Examination<'_> {
    /// Whether id and secret belong together. From here on, and not before, the caller may be told what we know of the
    /// key: otherwise this endpoint would tell of keys to people who do not have them.
    pub(crate) async fn identify(&self, draft: &mut Draft) -> Option<CallerIdentity> {
        let answer = self.patiently(|| self.clients.get_caller_identity(self.credential)).await;
        draft.add(identity::live(&answer));
        answer.ok()
    }

    /// Whose key it is. `None` where it is no IAM user's: then nothing more may be called with it.
    pub(crate) fn place(&self, identity: &CallerIdentity, draft: &mut Draft) -> Option<Caller> {
        let (check, caller) = identity::iam_user(identity, self.credential.region);
        draft.add(check);
        if let Some(caller) = &caller {
            draft.add(identity::account(&self.credential.access_key_id, caller));
        }
        caller
    }

    /// What the key can do. Answers what SES says of the account.
    pub(crate) async fn examine(&self, caller: &Caller, draft: &mut Draft) -> Option<AccountStatus> {
        let user = self.patiently(|| self.clients.get_user(self.credential)).await;
        draft.add(user::get_user(&user));
        draft.add(user::console_login(&user));

        let deletion = self.call(self.clients.probe_delete_access_key(self.credential, &caller.user_name)).await;
        draft.add(user::delete_access_key(&deletion));

        let account = self.patiently(|| self.clients.get_account(self.credential)).await;
        draft.add(ses::ses_region(&account, self.credential.region.as_str()));
        draft.add(user::quarantine(&deletion, &account));

        // Where SES does not know the key, or did not answer, sending says nothing either.
        if matches!(&account, Ok(_) | Err(Failure { kind: Kind::Denied(_), .. })) {
            let probe = self.probe_sending(draft).await;
            if let Ok(account) = &account {
                draft.add(ses::sending_status(account, &probe));
                draft.add(ses::sandbox(account));
            }
        }

        // The dear ones last, and only for a key that would otherwise be taken: each denial counts with those who watch.
        if draft.is_clear() {
            self.probe_excess(caller, draft).await;
        }
        account.ok()
    }

    async fn probe_sending(&self, draft: &mut Draft) -> Result<(), Failure> {
        let probe = self.call(self.clients.probe_send_email(self.credential, NOBODY)).await;
        let mut probes = Vec::new();
        match sending::from_nobody(&probe) {
            FromNobody::Settled(check) => draft.add(check),
            FromNobody::OnIdentity(first) => {
                let identities = self.call(self.clients.list_identities(self.credential)).await;
                for sender in sending::senders(&identities) {
                    probes.push(self.call(self.clients.probe_send_email(self.credential, &sender)).await);
                }
                draft.add(sending::from_own(&first, &identities, &probes));
            }
        }
        draft.add(sending::default_configuration_set(&probes));
        probe
    }

    async fn probe_excess(&self, caller: &Caller, draft: &mut Draft) {
        let nobody = format!("sendingbee-probe-{}", self.ambient.ulid());
        let elsewhere = self.call(self.clients.probe_delete_access_key(self.credential, &nobody)).await;
        let (check, finding) = user::breadth(&elsewhere);
        draft.add(check);
        draft.find(finding);

        let mut answers = Vec::with_capacity(Probe::ALL.len());
        let mut own = None;
        for probe in Probe::ALL {
            let answer = match probe {
                Probe::ListUserPolicies => {
                    let inline = self.call(self.clients.list_user_policies(self.credential, &caller.user_name)).await;
                    if let Ok(inline) = &inline {
                        own = Some(self.judge_own_policies(caller, inline).await);
                    }
                    inline.map(drop)
                }
                Probe::SimulatePrincipalPolicy => {
                    self.call(self.clients.simulate_principal_policy(self.credential, &caller.user_arn)).await
                }
                Probe::ListUsers => self.call(self.clients.list_users(self.credential)).await,
                Probe::ListTables => self.call(self.clients.list_tables(self.credential)).await,
            };
            answers.push((probe, answer));
            // Policies that were read whole say more than any further probe could.
            if own.as_ref().is_some_and(|(own, _): &(OwnPolicies, _)| own.is_complete()) {
                break;
            }
        }
        let (check, findings) = excess::excess(&answers, own.as_ref());
        draft.add(check);
        if let Some((own, stated)) = own {
            draft.judge(own);
            draft.find(stated);
        }
        draft.find(findings);
    }

    /// What the key's own policies say of it.
    async fn judge_own_policies(&self, caller: &Caller, inline: &Listed) -> (OwnPolicies, Vec<Finding>) {
        let read = Box::pin(own_policies::read(self, caller, inline)).await;
        let subject = Principal {
            account_id: Some(caller.account_id.clone()),
            user_name: Some(caller.user_name.clone()),
            user_path: Some(caller.user_path().to_owned()),
            region: Some(self.credential.region.as_str().to_owned()),
            now: Some(self.ambient.now().to_string()),
            ..Principal::default()
        };
        OwnPolicies::judge(read, &subject)
    }

    /// A call's answer, within the budget.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.budget.call(call).await
    }

    /// Makes a call again as long as its refusal may not be final.
    async fn patiently<T, Call, Called>(&self, call: Call) -> Result<T, Failure>
    where
        Call: Fn() -> Called,
        Called: Future<Output = Result<T, Failure>>,
    {
        let mut patience = Patience::default();
        loop {
            let answer = self.call(call()).await;
            let pause = answer.as_ref().err().and_then(|failure| patience.pause(&failure.kind, self.budget.elapsed()));
            match pause {
                Some(pause) if self.budget.pause(pause).await => {}
                _ => return answer,
            }
        }
    }
}
