//! The secrets that senders of webhooks sign with, sealed under a KMS key that opens nothing else.

use std::collections::HashMap;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Sealed, refusal_code};
use crate::record::SenderName;
use crate::runtime::{Environment, MissingVariable, fill_secret};

/// What a secret begins with, as people see it (Standard Webhooks 1.0.0, "Signature scheme":
/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
const PREFIX: &str = "whsec_";

/// The bytes of a new secret. The specification wants 24 to 64.
const NEW_SECRET_BYTES: usize = 32;

/// The lengths that the specification allows.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The lane in the encryption context, which the key policy and the role's policy ask for.
const LANE: &str = "webhook";

/// A secret that a sender signs with. It is zeroized on drop and has neither `Debug`, `Display` nor `Serialize`.
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

/// A sender's secret could not be sealed or opened. The error does not repeat KMS's answer.
#[derive(Debug, Error)]
pub enum WebhookCustodyError {
    /// KMS did not answer, or throttled us: this says nothing about the secret.
    #[error("KMS did not answer for a secret of the webhook {name}")]
    Unavailable {
        /// Whose secret.
        name: SenderName,
    },
    /// KMS refused: a wrong context, a ciphertext of another key, a disabled key or a missing permission.
    #[error("KMS refused a secret of the webhook {name} ({code})")]
    Refused {
        /// Whose secret.
        name: SenderName,
        /// KMS's error code.
        code: String,
    },
    /// What was sealed is no such secret.
    #[error("what is sealed for the webhook {name} is no secret of a webhook")]
    Content {
        /// Whose secret.
        name: SenderName,
    },
}

/// The KMS key of webhooks.
#[derive(Clone, Debug)]
pub struct WebhookCustody {
    client: Client,
    key: String,
}

impl WebhookSecret {
    /// A new secret, from the operating system's source of randomness.
    ///
    /// # Errors
    /// The source of randomness failed.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new(vec![0; NEW_SECRET_BYTES]);
        fill_secret(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// A secret of these bytes; `None` if the specification allows no secret of that length.
    pub fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        SECRET_BYTES.contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The key of the HMAC.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The secret as its sender is given it, once.
    pub fn to_text(&self) -> Zeroizing<String> {
        // Made in one piece, because a buffer that grows leaves parts of it behind.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + self.0.len().div_ceil(3) * 4));
        text.push_str(PREFIX);
        STANDARD.encode_string(self.0.as_slice(), &mut text);
        text
    }
}

impl WebhookCustody {
    /// The key that `WEBHOOK_KEY` names.
    ///
    /// # Errors
    /// The variable is missing.
    pub fn new(client: Client, environment: &Environment) -> Result<Self, MissingVariable> {
        Ok(Self { client, key: environment.required("WEBHOOK_KEY")? })
    }

    /// Seals a secret for its sender.
    ///
    /// # Errors
    /// KMS refused or did not answer.
    pub async fn seal(&self, name: &SenderName, secret: &WebhookSecret) -> Result<Sealed, WebhookCustodyError> {
        let answer = self
            .client
            .encrypt()
            .key_id(&self.key)
            .plaintext(Blob::new(secret.expose()))
            .set_encryption_context(Some(context(name)))
            .send()
            .await
            .map_err(|error| to_error(name, &error))?;
        answer
            .ciphertext_blob
            .map(|blob| Sealed::new(blob.into_inner()))
            .ok_or_else(|| WebhookCustodyError::Unavailable { name: name.clone() })
    }

    /// Opens a secret of a sender.
    ///
    /// # Errors
    /// KMS refused or did not answer, or what was sealed is no secret of a webhook.
    pub async fn open(&self, name: &SenderName, sealed: &Sealed) -> Result<WebhookSecret, WebhookCustodyError> {
        let answer = self
            .client
            .decrypt()
            .key_id(&self.key)
            .ciphertext_blob(Blob::new(sealed.bytes()))
            .set_encryption_context(Some(context(name)))
            .send()
            .await
            .map_err(|error| to_error(name, &error))?;
        let plaintext = Zeroizing::new(answer.plaintext.map(Blob::into_inner).unwrap_or_default());
        WebhookSecret::from_bytes(plaintext).ok_or_else(|| WebhookCustodyError::Content { name: name.clone() })
    }
}

/// Binds a ciphertext to its sender, so that nobody can put one sender's secret into another's item.
fn context(name: &SenderName) -> HashMap<String, String> {
    HashMap::from([("lane".to_owned(), LANE.to_owned()), ("name".to_owned(), name.as_str().to_owned())])
}

fn to_error<E, R>(
    name: &SenderName,
    error: &aws_smithy_runtime_api::client::result::SdkError<E, R>,
) -> WebhookCustodyError
where
    E: aws_smithy_types::error::metadata::ProvideErrorMetadata,
{
    let name = name.clone();
    match refusal_code(error) {
        Some(code) => WebhookCustodyError::Refused { name, code: code.to_owned() },
        None => WebhookCustodyError::Unavailable { name },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_secret_has_the_form_that_senders_expect_and_is_like_no_other() {
        let (one, other) = (WebhookSecret::generate().unwrap(), WebhookSecret::generate().unwrap());
        assert_ne!(one.expose(), other.expose());
        let text = one.to_text();
        assert_eq!(STANDARD.decode(text.strip_prefix("whsec_").unwrap()).unwrap(), one.expose());
        assert_eq!(text.len(), 50);
    }

    #[test]
    fn a_secret_has_the_length_that_the_specification_allows() {
        for (length, expected) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(WebhookSecret::from_bytes(Zeroizing::new(vec![7; length])).is_some(), expected, "{length}");
        }
    }
}
