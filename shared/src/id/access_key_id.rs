//! The id of an access key, and the account that it encodes.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::pasted::unwrap_pasted;

/// Why a text is not the id of a user's long-term access key. The texts are shown to tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidAccessKeyId {
    /// `ASIA…`: temporary credentials.
    #[error("is the id of temporary credentials (ASIA…); create an access key of an IAM user, which starts with AKIA")]
    Temporary,
    /// Another prefix, length or alphabet.
    #[error("is not an access key id: AKIA and 16 characters of A-Z and 2-7")]
    Shape,
}

/// The id of a long-term access key: `AKIA` and 16 characters. It is not a secret, but people see it shortened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// The id in a text that a person pasted. Blanks, quotes and URL encoding are removed.
    ///
    /// # Errors
    /// [`InvalidAccessKeyId`] says what the text is instead.
    pub fn from_pasted(text: &str) -> Result<Self, InvalidAccessKeyId> {
        let id = unwrap_pasted(text);
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

    /// The shortened form for people: `AKIA…` and the last four characters.
    pub fn masked(&self) -> String {
        format!("AKIA…{}", &self.0[self.0.len() - 4..])
    }

    /// An id of the right shape that AWS cannot have issued: the account that it encodes has more than twelve digits.
    pub(crate) fn impossible() -> Self {
        Self("AKIA7777777777777777".to_owned())
    }

    /// The account that the id encodes, 12 digits. `None` for ids of the older generation, which encode none.
    ///
    /// The 16 characters after the prefix are base32 of 10 bytes; bits 7 to 46 of the first 48 are the account. Ids made
    /// before 2019 have a letter up to P as the first of these characters and encode no account.
    pub fn account_id(&self) -> Option<String> {
        let encoded = &self.0.as_bytes()[4..];
        if !matches!(encoded[0], b'Q'..=b'Z' | b'2'..=b'7') {
            return None;
        }
        // The first 48 bits are the first ten characters without their last two bits.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_the_newer_generation_encodes_its_account() {
        // Published vectors. The ids of temporary credentials are built directly, because parsing refuses them.
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
    fn only_ids_of_long_term_keys_are_accepted() {
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
    fn quotes_and_blanks_around_a_pasted_id_are_removed() {
        assert_eq!(
            AccessKeyId::from_pasted("\t'AKIASP2TPHJSQH3FJRUX' "),
            Ok(AccessKeyId("AKIASP2TPHJSQH3FJRUX".to_owned()))
        );
    }

    #[test]
    fn a_shown_id_is_shortened() {
        let id = AccessKeyId("AKIASP2TPHJSQH3FJRUX".to_owned());
        assert_eq!(id.masked(), "AKIA…JRUX");
    }
}
