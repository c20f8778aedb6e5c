//! A tenant's credential: access key id, secret access key and Region.

use thiserror::Error;
use zeroize::Zeroizing;

use super::Region;
use crate::id::{AccessKeyId, unwrap_pasted};

/// The text is not a secret access key. The error does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not a secret access key: 40 characters of A-Z, a-z, 0-9, + and /")]
pub struct InvalidSecret;

/// A secret access key. It is zeroized on drop and has neither `Debug`, `Display` nor `Serialize`.
#[derive(Clone)]
pub struct SecretAccessKey(Zeroizing<String>);

impl SecretAccessKey {
    /// Parses a secret as a person pasted it: blanks, quotes and URL encoding around it are removed.
    ///
    /// # Errors
    /// [`InvalidSecret`]; it says nothing about the text.
    pub fn from_pasted(text: &str) -> Result<Self, InvalidSecret> {
        let secret = unwrap_pasted(text);
        let shape = secret.len() == 40 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
        if shape { Ok(Self(secret)) } else { Err(InvalidSecret) }
    }

    /// The secret itself, for signing and sealing only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The access key that a tenant handed over, and the Region that it is for.
#[derive(Clone)]
pub struct Credential {
    /// The key's id.
    pub access_key_id: AccessKeyId,
    /// The key's secret.
    pub secret_access_key: SecretAccessKey,
    /// The provider's Region; IAM and STS endpoints follow its partition.
    pub region: Region,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pasting_leaves_around_a_secret_is_removed() {
        let secret = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ+/01";
        for pasted in [
            " abcdefghijklmnopqrstuvwxyzABCDEFGHIJ+/01\r\n",
            "\"abcdefghijklmnopqrstuvwxyzABCDEFGHIJ+/01\"",
            "“abcdefghijklmnopqrstuvwxyzABCDEFGHIJ+/01”",
            "'abcdefghijklmnopqrstuvwxyzABCDEFGHIJ%2B%2F01'",
            "%20abcdefghijklmnopqrstuvwxyzABCDEFGHIJ%2b/01%0A",
            "\u{feff}`abcdefghijklmnopqrstuvwxyzABCDEFGHIJ+/01`\u{200b}",
        ] {
            let taken = SecretAccessKey::from_pasted(pasted).map(|taken| taken.expose() == secret);
            assert_eq!(taken, Ok(true), "{pasted}");
        }
        assert!(SecretAccessKey::from_pasted("abcdefghijklmnopqrst vwxyzABCDEFGHIJ+/0123").is_err());
    }
}
