//! The ids in a message, whether or not it is a mail.

use serde_json::Value;

use crate::id::{MailId, ProviderId, TenantId};

/// The ids in a message, each if it could be read and is valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailIds {
    /// The tenant.
    pub tenant_id: Option<TenantId>,
    /// The provider.
    pub provider_id: Option<ProviderId>,
    /// The caller's idempotency key.
    pub mail_id: Option<MailId>,
}

impl MailIds {
    /// Reads the ids that can be read.
    pub fn from_body(body: &str) -> Self {
        let Ok(body) = serde_json::from_str::<Value>(body) else { return Self::default() };
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        // Of several providers it is the one that is preferred.
        let first = body.get("provider_ids").and_then(|ids| ids.get(0)).and_then(Value::as_str);
        Self {
            tenant_id: text("tenant_id").and_then(|id| TenantId::parse(id).ok()),
            provider_id: text("provider_id").or(first).and_then(|id| ProviderId::parse(id).ok()),
            mail_id: text("mail_id").and_then(|id| MailId::parse(id).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_out_of_a_message_that_is_no_mail() {
        let ids =
            MailIds::from_body(r#"{"provider_id":"prv_01ARZ3NDEKTSV4RRFFQ69G5FAV","mail_id":"m","tenant_id":7,"x":1}"#);
        assert_eq!(ids.provider_id.map(String::from).as_deref(), Some("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"));
        assert_eq!(ids.mail_id.map(String::from).as_deref(), Some("m"));
        assert_eq!(ids.tenant_id, None);
        assert_eq!(MailIds::from_body("{"), MailIds::default());
    }
}
