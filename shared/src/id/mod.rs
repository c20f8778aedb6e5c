//! Ids: ours (`prv_…`, `rvk_…`, `rot_…`, `drl_…`, `lnk_…`), the operator's (tenant, mail) and AWS's access key id.

mod access_key_id;
mod pasted;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use ulid::Ulid;

pub use access_key_id::{AccessKeyId, InvalidAccessKeyId};
pub(crate) use pasted::unwrap_pasted;

use crate::runtime::{Ambient, ulid_at};

/// The text is not an id of this kind. The message says what such an id looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InvalidId(&'static str);

/// The operator's own string for a customer: 1 to 128 characters without blanks, control characters or `#`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

impl TenantId {
    /// What the keys of the tenant's files in the bucket begin with: its id and a slash. A tenant whose id has a slash has no files: they would
    /// be those of another tenant.
    pub fn file_prefix(&self) -> Option<String> {
        (!self.0.contains('/')).then(|| format!("{}/", self.0))
    }
}

/// The caller's idempotency key of a mail within its provider: 1 to 256 characters without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MailId(String);

/// A provider's id, `prv_` and a ULID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderId(String);

/// An order's id, `rvk_` and a ULID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrderId(String);

/// A drill's id, `drl_` and a ULID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DrillId(String);

impl DrillId {
    /// A new id.
    pub fn new(ambient: &Ambient) -> Self {
        Self(format!("drl_{}", ambient.ulid()))
    }
}

/// A rotation's id, `rot_` and a ULID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RotationId(String);

/// A verification of a provider that somebody asked for: `vfy_` and a ULID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VerificationId(String);

/// An onboarding link's id, `lnk_` and a ULID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkId(String);

impl LinkId {
    /// A new id.
    pub fn new(ambient: &Ambient) -> Self {
        Self(format!("lnk_{}", ambient.ulid()))
    }
}

impl ProviderId {
    /// A new id.
    pub fn new(ambient: &Ambient) -> Self {
        Self(format!("prv_{}", ambient.ulid()))
    }
}

impl RotationId {
    /// A new id.
    pub fn new(ambient: &Ambient) -> Self {
        Self(format!("rot_{}", ambient.ulid()))
    }
}

impl VerificationId {
    /// A new id.
    pub fn new(ambient: &Ambient) -> Self {
        Self(format!("vfy_{}", ambient.ulid()))
    }
}

impl OrderId {
    /// A new id.
    pub fn new(ambient: &Ambient) -> Self {
        Self(format!("rvk_{}", ambient.ulid()))
    }

    /// The id of the order that an event leads to. It is the same for every delivery of the event, so a replay finds its
    /// order.
    pub fn from_event(event_id: &str, time: Timestamp) -> Self {
        let digest = Sha256::digest(event_id.as_bytes());
        let bits = digest.iter().take(10).fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
        Self(format!("rvk_{}", ulid_at(time, bits)))
    }
}

fn check_tenant_id(text: &str) -> Result<(), InvalidId> {
    let good = (1..=128).contains(&text.chars().count())
        && !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '#');
    good.then_some(()).ok_or(InvalidId("must be 1 to 128 characters without blanks, control characters or `#`"))
}

fn check_mail_id(text: &str) -> Result<(), InvalidId> {
    let good = (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    good.then_some(()).ok_or(InvalidId("must be 1 to 256 characters without control characters"))
}

fn check_provider_id(text: &str) -> Result<(), InvalidId> {
    check_prefixed_ulid(text, "prv_").ok_or(InvalidId("must be a provider id, `prv_` and a ULID"))
}

fn check_order_id(text: &str) -> Result<(), InvalidId> {
    check_prefixed_ulid(text, "rvk_").ok_or(InvalidId("must be an order id, `rvk_` and a ULID"))
}

fn check_drill_id(text: &str) -> Result<(), InvalidId> {
    check_prefixed_ulid(text, "drl_").ok_or(InvalidId("must be a drill id, `drl_` and a ULID"))
}

fn check_verification_id(text: &str) -> Result<(), InvalidId> {
    check_prefixed_ulid(text, "vfy_").ok_or(InvalidId("must be a verification id, `vfy_` and a ULID"))
}

fn check_rotation_id(text: &str) -> Result<(), InvalidId> {
    check_prefixed_ulid(text, "rot_").ok_or(InvalidId("must be a rotation id, `rot_` and a ULID"))
}

fn check_link_id(text: &str) -> Result<(), InvalidId> {
    check_prefixed_ulid(text, "lnk_").ok_or(InvalidId("must be the id of an onboarding link, `lnk_` and a ULID"))
}

/// A ULID has several spellings. Only the canonical one is an id, so that one thing has one key in the table.
fn check_prefixed_ulid(text: &str, prefix: &str) -> Option<()> {
    let ulid = text.strip_prefix(prefix)?;
    let parsed = Ulid::from_string(ulid).ok()?;
    (parsed.to_string() == ulid).then_some(())
}

macro_rules! id {
    ($($name:ident by $check:ident),+) => {$(
        impl $name {
            /// The id's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id of this text.
            ///
            /// # Errors
            /// [`InvalidId`] says what such an id looks like, and does not repeat the text.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                $check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )+};
}

id!(
    TenantId by check_tenant_id,
    MailId by check_mail_id,
    ProviderId by check_provider_id,
    OrderId by check_order_id,
    DrillId by check_drill_id,
    RotationId by check_rotation_id,
    VerificationId by check_verification_id,
    LinkId by check_link_id
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let ulid = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        assert!(ProviderId::parse(&format!("prv_{ulid}")).is_ok());
        assert!(ProviderId::parse(&format!("prv_{}", ulid.to_lowercase())).is_err());
        assert!(ProviderId::parse(&format!("rvk_{ulid}")).is_err());
        assert!(OrderId::parse(&format!("rvk_{ulid}")).is_ok());
        assert_eq!(TenantId::parse("acme").unwrap().file_prefix().as_deref(), Some("acme/"));
        assert_eq!(TenantId::parse("acme/eu").unwrap().file_prefix(), None);
        for bad in ["", "a b", "a#b", "a\nb"] {
            assert!(TenantId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(MailId::parse("order 1234 receipt").is_ok());
        assert!(MailId::parse(&"x".repeat(257)).is_err());
    }

    #[test]
    fn a_replayed_event_has_the_same_order() {
        let time = Timestamp::UNIX_EPOCH;
        let order = OrderId::from_event("event-1", time);
        assert_eq!(order, OrderId::from_event("event-1", time));
        assert_ne!(order, OrderId::from_event("event-2", time));
        assert!(OrderId::parse(order.as_str()).is_ok());
    }
}
