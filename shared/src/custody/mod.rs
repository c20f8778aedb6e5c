//! Sealing and opening secrets.
//!
//! KMS encrypts up to 4,096 bytes and a secret has 40, so KMS itself encrypts it: no data keys, no cryptography of our own.
//! The encryption context makes a ciphertext useless on any other record, and each function's role may use one operation
//! on one lane.
//!
//! The secrets of webhooks are no tenant's. They have a KMS key of their own ([`WebhookCustody`]), which opens no lane.

mod page_token;
mod webhook;

use std::fmt;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

pub use self::page_token::PageToken;
pub use self::webhook::{WebhookCustody, WebhookCustodyError, WebhookSecret};

use crate::id::{AccessKeyId, ProviderId, TenantId};
use crate::runtime::{Environment, MissingVariable};
use crate::tenant::SecretAccessKey;

/// A lane could not be sealed or opened. The error does not repeat KMS's answer.
#[derive(Debug, Error)]
pub enum CustodyError {
    /// KMS did not answer, or throttled us: this says nothing about the secret.
    #[error("KMS did not answer for the {lane} lane of {access_key_id}")]
    Unavailable {
        /// The lane.
        lane: Lane,
        /// Whose secret.
        access_key_id: String,
    },
    /// KMS refused: a wrong context, a ciphertext of another key, a disabled key or a missing permission.
    #[error("KMS refused the {lane} lane of {access_key_id} ({code})")]
    Refused {
        /// The lane.
        lane: Lane,
        /// Whose secret.
        access_key_id: String,
        /// KMS's error code.
        code: String,
    },
    /// What was sealed is not a secret access key.
    #[error("the {lane} lane of {access_key_id} holds no secret access key")]
    Content {
        /// The lane.
        lane: Lane,
        /// Whose secret.
        access_key_id: String,
    },
}

/// Which copy of a secret. Every secret is sealed twice, each time under another KMS key, so that deleting one copy stops
/// sending while the other copy can still revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Opened by `send` only.
    Send,
    /// Opened by `revoke-worker` only.
    Revoke,
}

/// A sealed secret: KMS's ciphertext.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

/// Whose secret it is: the encryption context without the lane.
#[derive(Clone, Copy)]
pub struct Holder<'a> {
    /// The tenant.
    pub tenant_id: &'a TenantId,
    /// The provider.
    pub provider_id: &'a ProviderId,
    /// The key.
    pub access_key_id: &'a AccessKeyId,
}

/// A lane's KMS key.
#[derive(Clone, Debug)]
pub struct Custody {
    client: Client,
    key: String,
    lane: Lane,
}

impl Lane {
    /// The lane's name in sort keys and in the encryption context.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Revoke => "revoke",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Sealed {
    /// A stored ciphertext.
    pub fn new(ciphertext: Vec<u8>) -> Self {
        Self(ciphertext)
    }

    /// The ciphertext.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A digest of the ciphertext, so that an opened secret can be cached for exactly this ciphertext.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

impl Custody {
    /// The lane whose key `SEND_LANE_KEY` or `REVOKE_LANE_KEY` names.
    ///
    /// # Errors
    /// The variable is missing.
    pub fn new(client: Client, environment: &Environment, lane: Lane) -> Result<Self, MissingVariable> {
        let variable = match lane {
            Lane::Send => "SEND_LANE_KEY",
            Lane::Revoke => "REVOKE_LANE_KEY",
        };
        Ok(Self { client, key: environment.required(variable)?, lane })
    }

    /// Seals a secret for its holder.
    ///
    /// # Errors
    /// KMS refused or did not answer.
    pub async fn seal(&self, holder: Holder<'_>, secret: &SecretAccessKey) -> Result<Sealed, CustodyError> {
        let answer = self
            .client
            .encrypt()
            .key_id(&self.key)
            .plaintext(Blob::new(secret.expose().as_bytes()))
            .set_encryption_context(Some(self.context(holder)))
            .send()
            .await
            .map_err(|error| self.to_error(holder, &error))?;
        answer
            .ciphertext_blob
            .map(|blob| Sealed(blob.into_inner()))
            .ok_or_else(|| CustodyError::Unavailable { lane: self.lane, access_key_id: holder.access_key_id.masked() })
    }

    /// Opens a secret for its holder.
    ///
    /// # Errors
    /// KMS refused or did not answer, or what was sealed is not a secret access key.
    pub async fn open(&self, holder: Holder<'_>, sealed: &Sealed) -> Result<SecretAccessKey, CustodyError> {
        let answer = self
            .client
            .decrypt()
            .key_id(&self.key)
            .ciphertext_blob(Blob::new(sealed.bytes()))
            .set_encryption_context(Some(self.context(holder)))
            .send()
            .await
            .map_err(|error| self.to_error(holder, &error))?;
        let plaintext = Zeroizing::new(answer.plaintext.map(Blob::into_inner).unwrap_or_default());
        std::str::from_utf8(&plaintext)
            .ok()
            .and_then(|text| SecretAccessKey::from_pasted(text).ok())
            .ok_or_else(|| CustodyError::Content { lane: self.lane, access_key_id: holder.access_key_id.masked() })
    }

    fn context(&self, holder: Holder<'_>) -> std::collections::HashMap<String, String> {
        [
            ("tenant_id", holder.tenant_id.as_str()),
            ("provider_id", holder.provider_id.as_str()),
            ("access_key_id", holder.access_key_id.as_str()),
            ("lane", self.lane.as_str()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    fn to_error<E, R>(
        &self,
        holder: Holder<'_>,
        error: &aws_smithy_runtime_api::client::result::SdkError<E, R>,
    ) -> CustodyError
    where
        E: aws_smithy_types::error::metadata::ProvideErrorMetadata,
    {
        let lane = self.lane;
        let access_key_id = holder.access_key_id.masked();
        match refusal_code(error) {
            Some(code) => CustodyError::Refused { lane, access_key_id, code: code.to_owned() },
            None => CustodyError::Unavailable { lane, access_key_id },
        }
    }
}

/// KMS's error code if it refused: another attempt would be refused too. `None` if it did not answer or throttled us.
fn refusal_code<E, R>(error: &aws_smithy_runtime_api::client::result::SdkError<E, R>) -> Option<&str>
where
    E: aws_smithy_types::error::metadata::ProvideErrorMetadata,
{
    error.as_service_error().and_then(|error| error.code()).filter(|code| {
        matches!(
            *code,
            "InvalidCiphertextException"
                | "IncorrectKeyException"
                | "AccessDeniedException"
                | "AccessDenied"
                | "DisabledException"
                | "NotFoundException"
                | "KMSInvalidStateException"
                | "InvalidKeyUsageException"
        )
    })
}
