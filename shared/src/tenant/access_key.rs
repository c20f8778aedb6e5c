//! Access keys: the id, the secret, and what an id tells without asking anybody.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use super::Region;

/// Why a text is not the id of a user's long-term access key. The texts are for tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidAccessKeyId {
    /// `ASIA…`: temporary credentials.
    #[error("is the id of temporary credentials (ASIA…); create an access key of an IAM user, which starts with AKIA")]
    Temporary,
    /// Neither `AKIA` nor `ASIA`, or of another length or alphabet.
    #[error("is not an access key id: AKIA and 16 characters of A-Z and 2-7")]
    Shape,
}

/// Why a text is not a secret access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not a secret access key: 40 characters of A-Z, a-z, 0-9, + and /")]
pub struct InvalidSecret;

/// The id of a long-term access key: `AKIA` and 16 characters. No secret, but shortened wherever people see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// Takes an id as a person pasted it: blanks, quotes and URL-encoding around it are taken off.
    ///
    /// # Errors
    /// [`InvalidAccessKeyId`] says what it is instead.
    pub fn from_pasted(text: &str) -> Result<Self, InvalidAccessKeyId> {
        let id = unwrapped(text);
        let shape = id.len() == 20 && id.bytes().skip(4).all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b));
        if shape && id.starts_with("AKIA") {
            Ok(Self(id.to_string()))
        } else if shape && id.starts_with("ASIA") {
            Err(InvalidAccessKeyId::Temporary)
        } else {
            Err(InvalidAccessKeyId::Shape)
        }
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is shown: `AKIA…` and the last four characters.
    pub fn masked(&self) -> String {
        format!("AKIA…{}", &self.0[self.0.len() - 4..])
    }

    /// An id of the right shape that AWS cannot have issued: the account that it tells has more than twelve digits.
    pub(super) fn impossible() -> Self {
        Self("AKIA7777777777777777".to_owned())
    }

    /// The account that the id itself tells, 12 digits; `None` for ids of the older generation, which do not hold it.
    ///
    /// The 16 characters after the prefix are base32 of 10 bytes; bits 7 to 46 of the first 48 are the account.
    /// Ids made before 2019 start with a letter up to P there and hold none.
    pub fn account_id(&self) -> Option<String> {
        let encoded = &self.0.as_bytes()[4..];
        if !matches!(encoded[0], b'Q'..=b'Z' | b'2'..=b'7') {
            return None;
        }
        // The first 48 bits are the first ten characters, less two bits.
        let bits = encoded[..10].iter().fold(0_u64, |bits, c| {
            let value = if c.is_ascii_uppercase() { c - b'A' } else { c - b'2' + 26 };
            (bits << 5) | u64::from(value)
        }) >> 2;
        let account = (bits & 0x7fff_ffff_ff80) >> 7;
        (account <= 999_999_999_999).then(|| format!("{account:012}"))
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for AccessKeyId {
    type Error = InvalidAccessKeyId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::from_pasted(&text)
    }
}

impl From<AccessKeyId> for String {
    fn from(id: AccessKeyId) -> Self {
        id.0
    }
}

/// A secret access key. It is wiped when dropped and has neither `Debug`, `Display` nor `Serialize`.
#[derive(Clone)]
pub struct SecretAccessKey(Zeroizing<String>);

impl SecretAccessKey {
    /// Takes a secret as a person pasted it: blanks, quotes and URL-encoding around it are taken off.
    ///
    /// # Errors
    /// [`InvalidSecret`], without a word about the text.
    pub fn from_pasted(text: &str) -> Result<Self, InvalidSecret> {
        let secret = unwrapped(text);
        let shape = secret.len() == 40 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
        if shape { Ok(Self(secret)) } else { Err(InvalidSecret) }
    }

    /// The secret itself, for signing and sealing only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What a tenant handed over, and the Region it is for.
#[derive(Clone)]
pub struct Credential {
    /// The key's id.
    pub access_key_id: AccessKeyId,
    /// The key's secret.
    pub secret_access_key: SecretAccessKey,
    /// The provider's Region; IAM and STS endpoints follow its partition.
    pub region: Region,
}

/// Takes off what copying out of consoles, CSV files, shells and URLs leaves around a value. Neither alphabet has `%`,
/// so a percent sign can only be URL-encoding.
fn unwrapped(text: &str) -> Zeroizing<String> {
    let outer = text.trim_matches(is_wrapping);
    let decoded = Zeroizing::new(percent_decode_str(outer).collect::<Vec<u8>>());
    let decoded = std::str::from_utf8(&decoded).unwrap_or_default();
    Zeroizing::new(decoded.trim_matches(is_wrapping).to_owned())
}

fn is_wrapping(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '"' | '\'' | '`' | '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_the_newer_generation_tells_its_account() {
        // Published vectors; those of temporary credentials are built by hand, since they are refused as input.
        let cases = [
            ("ASIAY34FZKBOKMUTVV7A", Some("609629065308")),
            ("AKIASP2TPHJSQH3FJRUX", Some("171436882533")),
            ("ASIAQNZGKIQY56JQ7WML", Some("029608264753")),
            ("AKIAIOSFODNN7EXAMPLE", None),
            ("AKIA7777777777777777", None),
        ];
        for (id, account) in cases {
            assert_eq!(AccessKeyId(id.to_owned()).account_id().as_deref(), account, "{id}");
        }
    }

    #[test]
    fn only_ids_of_long_term_keys_are_taken() {
        let cases = [
            ("AKIASP2TPHJSQH3FJRUX", Ok(())),
            ("ASIAY34FZKBOKMUTVV7A", Err(InvalidAccessKeyId::Temporary)),
            ("ABIAY34FZKBOKMUTVV7A", Err(InvalidAccessKeyId::Shape)),
            ("AKIASP2TPHJSQH3FJRU", Err(InvalidAccessKeyId::Shape)),
            ("AKIASP2TPHJSQH3FJRU1", Err(InvalidAccessKeyId::Shape)),
            ("AKIÄSP2TPHJSQH3FJRU", Err(InvalidAccessKeyId::Shape)),
            ("", Err(InvalidAccessKeyId::Shape)),
        ];
        for (id, expected) in cases {
            assert_eq!(AccessKeyId::from_pasted(id).map(drop), expected, "{id}");
        }
    }

    #[test]
    fn what_pasting_leaves_around_a_key_is_taken_off() {
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
        assert_eq!(
            AccessKeyId::from_pasted("\t'AKIASP2TPHJSQH3FJRUX' "),
            Ok(AccessKeyId("AKIASP2TPHJSQH3FJRUX".to_owned()))
        );
        assert!(SecretAccessKey::from_pasted("abcdefghijklmnopqrst vwxyzABCDEFGHIJ+/0123").is_err());
    }

    #[test]
    fn a_shown_id_is_shortened() {
        let id = AccessKeyId("AKIASP2TPHJSQH3FJRUX".to_owned());
        assert_eq!(id.masked(), "AKIA…JRUX");
    }
}
