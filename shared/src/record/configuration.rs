//! The configuration of a tenant's SES: what the tenant agreed to, what was done, and what is still missing.
//!
//! It has an item of its own beside the provider. The item is in the sparse index `sweep`, in a partition of its own, as long as there is
//! something to look at. What is decided from it is pure (`verify`, module `configuration`); here it is only kept. Whoever writes it
//! states which version was read.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::ProviderId;

/// The consent to the configuration of a tenant's SES, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// Who recorded the tenant's consent, and when.
    pub consent: ConfigurationConsent,
    /// That the consent was withdrawn: what was made is taken down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<ConfigurationConsent>,
    /// What the last complete look came to.
    pub state: ConfigurationState,
    /// When a look was last completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<Timestamp>,
    /// A change that was noted before it was sent, and of which it is not known yet whether it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<StartedChange>,
    /// The latest changes that were made in the tenant's account, [`MAX_CHANGES`] at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<MadeChange>,
    /// What the key may not do, as the last complete look showed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_rights: Vec<MissingRight>,
    /// The account's identities, as the last complete look showed them, [`MAX_IDENTITIES`] at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<IdentityState>,
    /// Whether the account has more identities than `identities` has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_more_identities: bool,
    /// The look that is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<ConfigurationLook>,
    /// That AWS or we ourselves do not get on, since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<StuckConfiguration>,
    /// What operators have yet to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub news: Option<ConfigurationNews>,
    /// How often this was written.
    pub writes: u32,
}

/// Changes that a configuration keeps.
pub const MAX_CHANGES: usize = 20;

/// Identities that a configuration keeps. SES lets one be read in a second.
pub const MAX_IDENTITIES: usize = 100;

/// Who said it, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationConsent {
    /// When.
    pub at: Timestamp,
    /// The ARN that signed the request.
    pub signed_by: String,
}

/// What the last complete look at a configuration came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigurationState {
    /// Nobody has looked yet.
    Pending,
    /// The configuration set stands as it should.
    Standing,
    /// There is a configuration set of that name which is not ours. It is left alone.
    Foreign,
    /// The key may not do what is needed.
    RightsMissing,
    /// Nothing of ours is there, as it should be: the consent was withdrawn.
    Removed,
}

/// A change of a configuration set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetChange {
    /// It is made, with everything.
    Create,
    /// TLS is required again.
    RequireTls,
    /// Bounces and complaints are suppressed again.
    Suppress,
    /// It is deleted.
    Delete,
}

/// A change that was noted before it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedChange {
    /// Which.
    pub change: SetChange,
    /// When.
    pub at: Timestamp,
}

/// A change that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeChange {
    /// Which.
    pub change: SetChange,
    /// When it was sent.
    pub at: Timestamp,
    /// Whether it mended what somebody else had changed.
    pub repaired_drift: bool,
}

/// Something that the key may not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingRight {
    /// The IAM action that AWS named, or that the call is.
    pub action: String,
    /// The ARN that it is denied on, or `*`.
    pub resource: String,
    /// Whether a Deny statement denies it, so that no further Allow helps.
    pub is_explicit: bool,
    /// Since when it has been seen.
    pub since: Timestamp,
}

/// An identity of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityState {
    /// A domain or an address.
    pub name: String,
    /// Whether mail can be sent from it.
    pub verified: bool,
    /// The DNS records that it still needs, or should have; `None` if it was not read, as addresses are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_records: Option<Vec<DnsRecord>>,
    /// What the tenant has to know beside the records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// A DNS record that a tenant has to publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsRecord {
    /// What it is for: `dkim`, `mail_from` or `dmarc`.
    pub purpose: DnsPurpose,
    /// `CNAME`, `MX` or `TXT`.
    #[serde(rename = "type")]
    pub record_type: String,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether SES waits for it. What is only recommended may be there already: SES does not say.
    pub required: bool,
}

/// What a DNS record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsPurpose {
    /// Signing, and the verification of the domain.
    Dkim,
    /// The custom MAIL FROM domain: its MX, and its SPF.
    MailFrom,
    /// What receivers do with mail that is neither signed nor sent by the domain.
    Dmarc,
}

/// How far a look has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigurationLook {
    /// The configuration set; absent until it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<SetSeen>,
    /// What the key may not do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<MissingRight>,
    /// Changes that are not tried again in this look, because they were denied.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub not_again: BTreeSet<SetChange>,
    /// The changes that were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<MadeChange>,
    /// The identities that were listed; absent until they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identities: Option<Vec<IdentityState>>,
    /// Whether there are more of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_more_identities: bool,
    /// Domains that are still to be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// A configuration set as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetSeen {
    /// There is none of that name.
    Absent,
    /// There is one that does not carry our tag.
    Foreign,
    /// Ours.
    Ours {
        /// Whether it requires TLS.
        requires_tls: bool,
        /// Whether it suppresses bounces and complaints.
        suppresses: bool,
    },
    /// The key may not look.
    Hidden,
}

/// A configuration that does not get on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StuckConfiguration {
    /// What the last call came to: a word of [`crate::tenant::FailureKind`], or AWS's code.
    pub reason: String,
    /// Since when no call has been answered.
    pub since: Timestamp,
    /// Attempts in a row.
    pub attempts: u32,
}

/// What a look changed, to be told to operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationNews {
    /// The changes that it made in the account.
    pub changes: Vec<SetChange>,
}

/// The configuration's item: with when it is due.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ConfigurationItem {
    /// What is known.
    pub configuration: Configuration,
    /// When it is looked at next; absent if nothing is left to do.
    #[serde(default)]
    pub next_attempt_at: Option<Timestamp>,
}

/// The name of the configuration set of a provider. SES takes letters, digits, `-` and `_`, 64 characters at most, all of which an
/// id keeps to.
pub fn configuration_set_name(provider_id: &ProviderId) -> String {
    format!("sendingbee-{provider_id}")
}

impl Configuration {
    /// A configuration that a tenant has just agreed to.
    pub fn agreed(at: Timestamp, signed_by: &str) -> Self {
        Self {
            consent: ConfigurationConsent { at, signed_by: signed_by.to_owned() },
            withdrawn: None,
            state: ConfigurationState::Pending,
            looked_at: None,
            started: None,
            changes: Vec::new(),
            missing_rights: Vec::new(),
            identities: Vec::new(),
            has_more_identities: false,
            look: None,
            stuck: None,
            news: None,
            writes: 0,
        }
    }

    /// Whether the tenant's consent stands.
    pub fn is_wanted(&self) -> bool {
        self.withdrawn.is_none()
    }

    /// Whether a configuration set of ours may be in the account.
    pub fn may_stand(&self) -> bool {
        let is_gone = self.changes.last().is_none_or(|made| made.change == SetChange::Delete);
        self.started.is_some() || !is_gone
    }

    /// The configuration after its set was found gone, or was deleted at this time.
    #[must_use]
    pub fn taken_down(&self, deleted_at: Option<Timestamp>) -> Self {
        let mut after = Self {
            state: ConfigurationState::Removed,
            started: None,
            look: None,
            stuck: None,
            news: None,
            ..self.clone()
        };
        after.changes.extend(deleted_at.map(|at| MadeChange { change: SetChange::Delete, at, repaired_drift: false }));
        after.changes.drain(..after.changes.len().saturating_sub(MAX_CHANGES));
        after
    }
}

impl ConfigurationState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Standing, Self::Foreign, Self::RightsMissing, Self::Removed];

    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Standing => "standing",
            Self::Foreign => "foreign",
            Self::RightsMissing => "rights_missing",
            Self::Removed => "removed",
        }
    }
}

impl SetChange {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::RequireTls => "require_tls",
            Self::Suppress => "suppress",
            Self::Delete => "delete",
        }
    }

    /// The event of the audit trail.
    pub fn audit_event(self) -> &'static str {
        match self {
            Self::Create => "configuration_set_created",
            Self::RequireTls | Self::Suppress => "configuration_set_repaired",
            Self::Delete => "configuration_set_deleted",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::runtime::Ambient;

    #[test]
    fn a_set_s_name_is_one_that_ses_takes() {
        let name = configuration_set_name(&ProviderId::new(&Ambient::system()));
        assert!(name.len() <= 64 && name.starts_with("sendingbee-prv_"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'), "{name}");
    }

    #[test]
    fn a_set_may_stand_from_the_note_of_its_creation_to_its_deletion() {
        let at = Timestamp::UNIX_EPOCH;
        let agreed = Configuration::agreed(at, "arn");
        assert!(!agreed.may_stand());
        let started = StartedChange { change: SetChange::Create, at };
        assert!(Configuration { started: Some(started), ..agreed.clone() }.may_stand());
        let made = MadeChange { change: SetChange::Create, at, repaired_drift: false };
        let standing = Configuration { changes: vec![made; MAX_CHANGES], ..agreed };
        assert!(standing.may_stand());
        let gone = standing.taken_down(Some(at));
        assert!(!gone.may_stand() && gone.changes.len() == MAX_CHANGES);
        assert_eq!((gone.state, standing.taken_down(None).changes.len()), (ConfigurationState::Removed, MAX_CHANGES));
    }

    #[test]
    fn readme_names_every_state() {
        let readme = include_str!("../../../README.md");
        for state in ConfigurationState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert!(readme.contains(&format!("`{}`", state.as_str())), "README.md does not say what {state:?} means");
        }
        for change in [SetChange::Create, SetChange::RequireTls, SetChange::Suppress, SetChange::Delete] {
            assert_eq!(serde_json::to_value(change).unwrap(), change.as_str());
        }
    }

    #[test]
    fn a_record_is_stored_in_these_words() {
        let stored = json!({
            "consent": {"at": "2026-11-23T09:00:00Z", "signed_by": "arn:aws:iam::111122223333:user/ops"},
            "state": "standing", "looked_at": "2026-11-23T09:01:00Z",
            "started": {"change": "require_tls", "at": "2026-11-23T09:01:00Z"},
            "changes": [{"change": "create", "at": "2026-11-23T09:00:30Z", "repaired_drift": false}],
            "missing_rights": [{"action": "ses:GetEmailIdentity", "resource": "*", "is_explicit": false,
                "since": "2026-11-23T09:00:00Z"}],
            "identities": [{"name": "example.com", "verified": false, "dns_records": [
                {"purpose": "mail_from", "type": "MX", "name": "b.example.com", "value": "10 x", "required": true}],
                "hints": ["…"]}],
            "look": {"set": {"ours": {"requires_tls": true, "suppresses": false}}, "not_again": ["suppress"],
                "unread": ["example.org"], "identities": []},
            "stuck": {"reason": "throttled", "since": "2026-11-23T09:00:00Z", "attempts": 2},
            "news": {"changes": ["create"]}, "writes": 7,
        });
        let record: Configuration = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(&record).unwrap(), stored);
    }
}
