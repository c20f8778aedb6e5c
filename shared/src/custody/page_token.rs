//! What proves to the onboarding page who asks: the token of a link, and the session that it is exchanged for. Neither is
//! stored: the table has their digests.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::runtime::fill_secret;

/// 256 bits: nobody guesses one, so guesses are not counted.
const TOKEN_BYTES: usize = 32;

/// A token of the onboarding page. It is zeroized on drop and has neither `Debug`, `Display` nor `Serialize`.
pub struct PageToken(Zeroizing<[u8; TOKEN_BYTES]>);

impl PageToken {
    /// A new token, from the operating system's source of randomness.
    ///
    /// # Errors
    /// The source of randomness failed.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        fill_secret(bytes.as_mut_slice())?;
        Ok(Self(bytes))
    }

    /// The token as a person pasted it or a browser sent it: 43 letters, digits, `-` and `_`. `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        let text = text.trim().trim_start_matches('#');
        let length = URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut_slice()).ok()?;
        (length == TOKEN_BYTES).then_some(Self(bytes))
    }

    /// The token's text.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }

    /// What is stored of it, and compared: nobody gets from a digest to the token, however long a comparison takes.
    pub fn digest(&self) -> String {
        base16ct::lower::encode_string(&Sha256::digest(self.0.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is_one() {
        let token = PageToken::generate().unwrap();
        let text = token.to_text();
        assert_eq!(text.len(), 43);
        for pasted in [text.to_string(), format!("#{}", *text), format!(" {}\n", *text)] {
            assert_eq!(PageToken::parse(&pasted).unwrap().digest(), token.digest());
        }
        assert_ne!(PageToken::generate().unwrap().digest(), token.digest());
        for other in ["", "#", &text[..42], &format!("{}A", *text), &text.replace(|_| true, "+"), &"=".repeat(43)] {
            assert!(PageToken::parse(other).is_none(), "{other}");
        }
    }
}
