//! Reading the policies of a key's own user, where the key may.
//!
//! Bounded in documents, time and denials: it is done in somebody else's account, where denials count with those who
//! watch. Whatever stays unread is said, because then the policies tell a lower bound only.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use shared::tenant::{Failure, Kind, Listed};

use super::Examination;
use crate::check::evidence;
use crate::check::identity::Caller;

/// The most documents. A user whose policies are more has far too many for a key that sends mail.
const MAX_DOCUMENTS: usize = 40;

/// The most groups; a user can be in 10 (AWS: "IAM and AWS STS quotas").
const MAX_GROUPS: usize = 10;

/// The longest that reading may take, of the 24 s that all checks have.
const MAX_TIME: Duration = Duration::from_secs(8);

/// The most denials that reading may meet. With the probes they stay below the 15 in 10 minutes that detectors look for.
const MAX_DENIALS: usize = 3;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Each policy's name and text.
    pub(crate) documents: Vec<(String, Vec<u8>)>,
    /// What could not be read, and why: codes and ids, never a text of AWS's.
    pub(crate) unread: Vec<String>,
    /// The actions that reading was allowed, each with the first resource.
    pub(crate) allowed: Vec<(&'static str, String)>,
}

/// Whose policies.
#[derive(Clone, Copy)]
enum Holder<'a> {
    User,
    Group(&'a str),
}

/// Reads all policies of the caller, after `iam:ListUserPolicies` was answered with `inline`.
pub(crate) async fn read(examination: &Examination<'_>, caller: &Caller, inline: &Listed) -> Read {
    let mut reader = Reader {
        examination,
        caller,
        ends: examination.budget.elapsed() + MAX_TIME,
        denied: BTreeSet::new(),
        managed: BTreeSet::new(),
        stopped: false,
        read: Read::default(),
    };
    reader.note_allowed("iam:ListUserPolicies", &caller.user_arn);
    reader.read_inline(Holder::User, inline).await;
    reader.read_attached(Holder::User).await;
    reader.read_groups().await;
    reader.read
}

struct Reader<'a> {
    examination: &'a Examination<'a>,
    caller: &'a Caller,
    ends: Duration,
    denied: BTreeSet<&'static str>,
    managed: BTreeSet<String>,
    stopped: bool,
    read: Read,
}

impl Reader<'_> {
    async fn read_inline(&mut self, holder: Holder<'_>, listed: &Listed) {
        self.note_page(holder, "inline policies", listed);
        let Examination { clients, credential, .. } = *self.examination;
        for policy in &listed.names {
            let name = format!("inline policy {policy} of {}", holder.name());
            let text = match holder {
                Holder::User => {
                    let call = clients.get_user_policy(credential, &self.caller.user_name, policy);
                    self.ask("iam:GetUserPolicy", &self.arn(holder), &name, call).await
                }
                Holder::Group(group) => {
                    let call = clients.get_group_policy(credential, group, policy);
                    self.ask("iam:GetGroupPolicy", &self.arn(holder), &name, call).await
                }
            };
            self.read.documents.extend(text.map(|text| (name, text)));
        }
    }

    async fn read_attached(&mut self, holder: Holder<'_>) {
        let Examination { clients, credential, .. } = *self.examination;
        let what = format!("managed policies of {}", holder.name());
        let listed = match holder {
            Holder::User => {
                let call = clients.list_attached_user_policies(credential, &self.caller.user_name);
                self.ask("iam:ListAttachedUserPolicies", &self.arn(holder), &what, call).await
            }
            Holder::Group(group) => {
                let call = clients.list_attached_group_policies(credential, group);
                self.ask("iam:ListAttachedGroupPolicies", &self.arn(holder), &what, call).await
            }
        };
        let Some(listed) = listed else { return };
        self.note_page(holder, "managed policies", &listed);
        for arn in listed.names {
            if self.managed.contains(&arn) {
                continue;
            }
            let name = format!("managed policy {arn}");
            let call = clients.get_policy(credential, &arn);
            if let Some(version) = self.ask("iam:GetPolicy", &arn, &name, call).await {
                let call = clients.get_policy_version(credential, &arn, &version);
                let text = self.ask("iam:GetPolicyVersion", &arn, &name, call).await;
                self.read.documents.extend(text.map(|text| (name, text)));
            }
            self.managed.insert(arn);
        }
    }

    async fn read_groups(&mut self) {
        let Examination { clients, credential, .. } = *self.examination;
        let call = clients.list_groups_for_user(credential, &self.caller.user_name);
        let Some(groups) = self.ask("iam:ListGroupsForUser", &self.arn(Holder::User), "the user's groups", call).await
        else {
            return;
        };
        if !groups.complete || groups.names.len() > MAX_GROUPS {
            self.read.unread.push(format!("groups beyond the first {}", groups.names.len().min(MAX_GROUPS)));
        }
        for group in groups.names.iter().take(MAX_GROUPS) {
            let holder = Holder::Group(group);
            let what = format!("inline policies of {}", holder.name());
            let call = clients.list_group_policies(credential, group);
            if let Some(inline) = self.ask("iam:ListGroupPolicies", &self.arn(holder), &what, call).await {
                self.read_inline(holder, &inline).await;
            }
            self.read_attached(holder).await;
        }
    }

    /// Makes a call, unless there is reason not to. `None` = `what` stays unread, which is noted.
    async fn ask<T>(
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
            self.read.unread.push(what.to_owned());
            return None;
        }
        let reason = if self.read.documents.len() >= MAX_DOCUMENTS {
            Some("there are more policies than are read")
        } else if self.denied.len() >= MAX_DENIALS {
            Some("too much was denied")
        } else if self.examination.budget.elapsed() >= self.ends {
            Some("reading took too long")
        } else {
            None
        };
        if let Some(reason) = reason {
            self.stop(what, reason);
            return None;
        }
        match self.examination.call(call).await {
            Ok(answer) => {
                self.note_allowed(action, resource);
                Some(answer)
            }
            Err(failure) => {
                let seen = evidence(action, &failure);
                if matches!(failure.kind, Kind::Denied(_)) {
                    self.denied.insert(action);
                }
                if failure.is_unknown() {
                    self.stop(what, &seen);
                } else {
                    self.read.unread.push(format!("{what} ({seen})"));
                }
                None
            }
        }
    }

    fn stop(&mut self, what: &str, reason: &str) {
        self.stopped = true;
        self.read.unread.push(format!("{what} and whatever would have come after ({reason})"));
    }

    fn note_allowed(&mut self, action: &'static str, resource: &str) {
        if !self.read.allowed.iter().any(|(known, _)| *known == action) {
            self.read.allowed.push((action, resource.to_owned()));
        }
    }

    fn note_page(&mut self, holder: Holder<'_>, what: &str, listed: &Listed) {
        if !listed.complete {
            self.read.unread.push(format!("{what} of {} beyond the first {}", holder.name(), listed.names.len()));
        }
    }

    /// The ARN of the user or, as if it had no path, of the group.
    fn arn(&self, holder: Holder<'_>) -> String {
        match holder {
            Holder::User => self.caller.user_arn.clone(),
            Holder::Group(group) => self.caller.beside(&format!("group/{group}")),
        }
    }
}

impl Holder<'_> {
    fn name(self) -> String {
        match self {
            Self::User => "the user".to_owned(),
            Self::Group(group) => format!("group {group}"),
        }
    }
}
