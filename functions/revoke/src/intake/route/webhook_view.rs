//! A sender of webhooks as the API shows it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use shared::record::{SenderName, WebhookScope, WebhookSender};

/// A sender. Its sealed secrets are not shown; a new one is, once.
#[derive(Serialize)]
pub(super) struct WebhookView<'a> {
    name: &'a SenderName,
    allowed_scopes: &'a BTreeSet<WebhookScope>,
    created_at: Timestamp,
    created_by: &'a str,
    updated_at: Timestamp,
    updated_by: &'a str,
    /// When each valid secret was made, the newest first.
    secrets_created_at: Vec<Timestamp>,
    /// The secret that this request made.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl<'a> WebhookView<'a> {
    /// A sender.
    pub(super) fn new(sender: &'a WebhookSender) -> Self {
        Self::with_secret(sender, None)
    }

    /// A sender with its new secret.
    pub(super) fn with_secret(sender: &'a WebhookSender, secret: Option<&'a str>) -> Self {
        Self {
            name: &sender.name,
            allowed_scopes: &sender.allowed_scopes,
            created_at: sender.created_at,
            created_by: &sender.created_by,
            updated_at: sender.updated_at,
            updated_by: &sender.updated_by,
            secrets_created_at: sender.secrets.iter().map(|secret| secret.created_at).collect(),
            secret,
        }
    }
}
