//! Secrets of senders that this process has opened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use shared::custody::{Sealed, WebhookCustody, WebhookCustodyError, WebhookSecret};
use shared::record::{SenderName, WebhookSender};

/// How long an opened secret is used again. Whoever knows a sender's name can make a request whose signature has to be
/// checked, so that without this every forgery would cost calls of KMS. It may be short, because that is all it is for: a
/// KMS key that somebody switches off ends the webhook within a minute. A sender that is deleted and a secret that is
/// rotated out end at once, because their ciphertexts are read anew for each request.
const KEPT_FOR: SignedDuration = SignedDuration::from_secs(60);

/// The most secrets that a process keeps. There are a few senders with two secrets each.
const MAX_KEPT: usize = 64;

type CacheKey = (SenderName, [u8; 32]);

/// Opened secrets in front of KMS. They are zeroized on drop.
pub(in crate::intake) struct OpenedSecrets {
    custody: WebhookCustody,
    cache: Mutex<HashMap<CacheKey, (Arc<WebhookSecret>, Timestamp)>>,
}

/// What could be opened of a sender's secrets.
pub(in crate::intake) struct LiveSecrets {
    /// Those that are open.
    pub(in crate::intake) opened: Vec<Arc<WebhookSecret>>,
    /// Why another could not be opened. What it signed is not known to be wrong.
    pub(in crate::intake) failure: Option<WebhookCustodyError>,
}

impl OpenedSecrets {
    /// None yet.
    pub(in crate::intake) fn new(custody: WebhookCustody) -> Self {
        Self { custody, cache: Mutex::default() }
    }

    /// Seals a new secret of a sender.
    ///
    /// # Errors
    /// KMS refused or did not answer.
    pub(in crate::intake) async fn seal(
        &self,
        name: &SenderName,
        secret: &WebhookSecret,
    ) -> Result<Sealed, WebhookCustodyError> {
        self.custody.seal(name, secret).await
    }

    /// The live secrets of a sender.
    pub(in crate::intake) async fn open(&self, sender: &WebhookSender, now: Timestamp) -> LiveSecrets {
        let mut live = LiveSecrets { opened: Vec::new(), failure: None };
        for secret in &sender.secrets {
            match self.open_one(&sender.name, &secret.sealed, now).await {
                Ok(secret) => live.opened.push(secret),
                Err(error) => live.failure = Some(error),
            }
        }
        live
    }

    async fn open_one(
        &self,
        name: &SenderName,
        sealed: &Sealed,
        now: Timestamp,
    ) -> Result<Arc<WebhookSecret>, WebhookCustodyError> {
        // By name too: the ciphertext of one sender that lies in another's item has to go to KMS, which refuses it.
        let key = (name.clone(), sealed.digest());
        if let Some(secret) = self.kept(&key, now) {
            return Ok(secret);
        }
        let secret = Arc::new(self.custody.open(name, sealed).await?);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|_, (_, opened_at)| is_fresh(*opened_at, now));
        if cache.len() < MAX_KEPT {
            cache.insert(key, (Arc::clone(&secret), now));
        }
        Ok(secret)
    }

    fn kept(&self, key: &CacheKey, now: Timestamp) -> Option<Arc<WebhookSecret>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let (secret, opened_at) = cache.get(key)?;
        is_fresh(*opened_at, now).then(|| Arc::clone(secret))
    }
}

fn is_fresh(opened_at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(opened_at).abs() < KEPT_FOR
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::{cold_start, operations};

    #[tokio::test]
    async fn kms_opens_a_secret_once_a_minute_and_for_its_sender_only() {
        let (start, calls) = cold_start(|_| None);
        let custody = WebhookCustody::new(start.kms().unwrap(), &start.environment).unwrap();
        let secrets = OpenedSecrets::new(custody);
        let sender = |name: &str, sealed: &str| -> WebhookSender {
            serde_json::from_value(json!({
                "name": name, "allowed_scopes": [], "created_at": "2026-11-23T09:00:00Z", "created_by": "arn",
                "secrets": [{"created_at": "2026-11-23T09:00:00Z", "sealed": sealed}],
                "updated_at": "2026-11-23T09:00:00Z", "updated_by": "arn", "revision": 1,
            }))
            .unwrap()
        };
        for (sender, second, opened_by_then) in [
            (sender("scanner", "b25l"), 0, 1),
            (sender("scanner", "b25l"), 59, 1),
            (sender("other", "b25l"), 59, 2),
            (sender("scanner", "dHdv"), 59, 3),
            (sender("scanner", "b25l"), 60, 4),
            // A clock that was set back.
            (sender("scanner", "b25l"), -1, 5),
        ] {
            let live = secrets.open(&sender, Timestamp::from_second(second).unwrap()).await;
            assert!(live.opened.len() == 1 && live.failure.is_none());
            assert_eq!(operations(&calls).len(), opened_by_then, "{} {second}", sender.name);
        }
    }
}
