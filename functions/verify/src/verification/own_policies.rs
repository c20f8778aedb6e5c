//! Reading the policies of a key's own user, if the key may.
//!
//! The number of documents, the time and the number of denials are limited: these calls are made in the account of
//! somebody else, where denials alarm intrusion detection. What stays unread is listed, because the policies then show
//! only a lower bound of what the key may do.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use shared::tenant::{Failure, FailureKind, NamePage};

use super::Verification;
use crate::check::evidence;
use crate::check::identity::IamUser;
use crate::check::own_policies::PolicyTexts;
use crate::check::quarantine::is_quarantine_policy;

/// The highest number of documents that are read or checked together. A user has at most 20 managed policies and 2,048
/// characters of inline ones (AWS: "IAM and AWS STS quotas"); the rest is for the policies of its groups. A user with more
/// policies has far too many for a key that sends mail.
pub(crate) const MAX_DOCUMENTS: usize = 40;

/// The highest number of groups. A user can be in 10 (AWS: "IAM and AWS STS quotas").
const MAX_GROUPS: usize = 10;

/// How long reading may take, of the 24 s that all checks have.
const READ_TIMEOUT: Duration = Duration::from_secs(8);

/// The number of denied actions after which reading stops. Together with the probes they stay below the 15 denials in 10
/// minutes that detectors look for.
const MAX_DENIALS: usize = 3;

/// Who has the policies.
#[derive(Clone, Copy)]
enum PolicyHolder<'a> {
    User,
    Group(&'a str),
}

/// Reads all policies of the user and its permissions boundary, after `iam:ListUserPolicies` was answered with `inline`.
pub(crate) async fn read_own_policies(
    verification: &Verification<'_>,
    user: &IamUser,
    boundary: Option<&str>,
    inline: &NamePage,
) -> PolicyTexts {
    let mut reader = PolicyReader {
        verification,
        user,
        deadline: verification.budget.elapsed() + READ_TIMEOUT,
        denied: BTreeSet::new(),
        managed: BTreeSet::new(),
        stopped: false,
        texts: PolicyTexts::default(),
    };
    reader.record_allowed("iam:ListUserPolicies", &user.arn);
    reader.read_inline(PolicyHolder::User, inline).await;
    reader.read_attached(PolicyHolder::User).await;
    reader.read_groups().await;
    reader.read_boundary(boundary).await;
    reader.texts
}

struct PolicyReader<'a> {
    verification: &'a Verification<'a>,
    user: &'a IamUser,
    deadline: Duration,
    denied: BTreeSet<&'static str>,
    managed: BTreeSet<String>,
    stopped: bool,
    texts: PolicyTexts,
}

impl PolicyReader<'_> {
    async fn read_inline(&mut self, holder: PolicyHolder<'_>, listed: &NamePage) {
        self.record_cut_off(holder, "inline policies", listed);
        let Verification { clients, credential, .. } = *self.verification;
        for policy in &listed.names {
            let name = format!("inline policy {policy} of {}", holder.name());
            let text = match holder {
                PolicyHolder::User => {
                    let call = clients.get_user_policy(credential, &self.user.name, policy);
                    self.call("iam:GetUserPolicy", &self.arn(holder), &name, call).await
                }
                PolicyHolder::Group(group) => {
                    let call = clients.get_group_policy(credential, group, policy);
                    self.call("iam:GetGroupPolicy", &self.arn(holder), &name, call).await
                }
            };
            self.texts.documents.extend(text.map(|text| (name, text)));
        }
    }

    async fn read_attached(&mut self, holder: PolicyHolder<'_>) {
        let Verification { clients, credential, .. } = *self.verification;
        let what = format!("managed policies of {}", holder.name());
        let listed = match holder {
            PolicyHolder::User => {
                let call = clients.list_attached_user_policies(credential, &self.user.name);
                self.call("iam:ListAttachedUserPolicies", &self.arn(holder), &what, call).await
            }
            PolicyHolder::Group(group) => {
                let call = clients.list_attached_group_policies(credential, group);
                self.call("iam:ListAttachedGroupPolicies", &self.arn(holder), &what, call).await
            }
        };
        let Some(listed) = listed else { return };
        self.record_cut_off(holder, "managed policies", &listed);
        for arn in listed.names {
            if self.managed.contains(&arn) {
                continue;
            }
            // The name alone decides, whatever the policy says.
            if is_quarantine_policy(&arn) {
                self.texts.quarantine.get_or_insert_with(|| arn.clone());
            }
            let name = format!("managed policy {arn}");
            let text = self.read_managed(&name, &arn).await;
            self.texts.documents.extend(text.map(|text| (name, text)));
            self.managed.insert(arn);
        }
    }

    async fn read_managed(&mut self, name: &str, arn: &str) -> Option<Vec<u8>> {
        let Verification { clients, credential, .. } = *self.verification;
        let version = self.call("iam:GetPolicy", arn, name, clients.get_policy(credential, arn)).await?;
        let call = clients.get_policy_version(credential, arn, &version);
        self.call("iam:GetPolicyVersion", arn, name, call).await
    }

    async fn read_boundary(&mut self, arn: Option<&str>) {
        let Some(arn) = arn else { return };
        let name = format!("permissions boundary {arn}");
        let text = self.read_managed(&name, arn).await;
        self.texts.boundary = text.map(|text| (name, text));
    }

    async fn read_groups(&mut self) {
        let Verification { clients, credential, .. } = *self.verification;
        let call = clients.list_groups_for_user(credential, &self.user.name);
        let Some(groups) =
            self.call("iam:ListGroupsForUser", &self.arn(PolicyHolder::User), "the user's groups", call).await
        else {
            return;
        };
        if !groups.complete || groups.names.len() > MAX_GROUPS {
            self.texts.unread.push(format!("groups beyond the first {}", groups.names.len().min(MAX_GROUPS)));
        }
        for group in groups.names.iter().take(MAX_GROUPS) {
            let holder = PolicyHolder::Group(group);
            let what = format!("inline policies of {}", holder.name());
            let call = clients.list_group_policies(credential, group);
            if let Some(inline) = self.call("iam:ListGroupPolicies", &self.arn(holder), &what, call).await {
                self.read_inline(holder, &inline).await;
            }
            self.read_attached(holder).await;
        }
    }

    /// Makes a call within the limits. `None` if `what` stays unread, which is recorded.
    async fn call<T>(
        &mut self,
        action: &'static str,
        resource: &str,
        what: &str,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Option<T> {
        if self.stopped {
            return None;
        }
        if self.denied.contains(action) {
            self.texts.unread.push(what.to_owned());
            return None;
        }
        let reason = if self.texts.documents.len() >= MAX_DOCUMENTS {
            Some("there are more policies than are read")
        } else if self.denied.len() >= MAX_DENIALS {
            Some("too much was denied")
        } else if self.verification.budget.elapsed() >= self.deadline {
            self.texts.interrupted = true;
            Some("reading took too long")
        } else {
            None
        };
        if let Some(reason) = reason {
            self.stop(what, reason);
            return None;
        }
        match self.verification.call(call).await {
            Ok(answer) => {
                self.record_allowed(action, resource);
                Some(answer)
            }
            Err(failure) => {
                let seen = evidence(action, &failure);
                if matches!(failure.kind, FailureKind::Denied(_)) {
                    self.denied.insert(action);
                }
                if failure.is_unknown() {
                    self.texts.interrupted = true;
                    self.stop(what, &seen);
                } else {
                    self.texts.unread.push(format!("{what} ({seen})"));
                }
                None
            }
        }
    }

    fn stop(&mut self, what: &str, reason: &str) {
        self.stopped = true;
        self.texts.unread.push(format!("{what} and whatever would have come after ({reason})"));
    }

    fn record_allowed(&mut self, action: &'static str, resource: &str) {
        if !self.texts.allowed.iter().any(|(known, _)| *known == action) {
            self.texts.allowed.push((action, resource.to_owned()));
        }
    }

    fn record_cut_off(&mut self, holder: PolicyHolder<'_>, what: &str, listed: &NamePage) {
        if !listed.complete {
            self.texts.unread.push(format!("{what} of {} beyond the first {}", holder.name(), listed.names.len()));
        }
    }

    /// The ARN of the user or of the group. A group's path is not known, so its ARN is that of a group without one.
    fn arn(&self, holder: PolicyHolder<'_>) -> String {
        match holder {
            PolicyHolder::User => self.user.arn.clone(),
            PolicyHolder::Group(group) => self.user.sibling_arn(&format!("group/{group}")),
        }
    }
}

impl PolicyHolder<'_> {
    fn name(self) -> String {
        match self {
            Self::User => "the user".to_owned(),
            Self::Group(group) => format!("group {group}"),
        }
    }
}
