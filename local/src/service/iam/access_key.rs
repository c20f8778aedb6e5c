//! Access key ids that hold their account, as AWS makes them since 2019.
//!
//! The sixteen characters after the prefix are RFC 4648 base32 of ten bytes; the first six bytes, read as a
//! big-endian number, hold the account in bits 7 to 46 under a set top bit. The top bit is what makes the fifth
//! character one of `Q` to `Z` or `2` to `7`; ids of the older generation have it clear and hold no account.

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The largest account that twelve digits can write.
const MAX_ACCOUNT: u64 = 999_999_999_999;

/// The prefix of a long-term key.
pub(super) const LONG_TERM: &str = "AKIA";

/// The prefix of a session's key.
pub(super) const SESSION: &str = "ASIA";

/// An id that decodes to `account`; `random` fills the bits that mean nothing.
///
/// Returns `None` for an account that is not twelve digits.
pub(super) fn encode(prefix: &str, account: &str, random: [u8; 5]) -> Option<String> {
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let account: u64 = account.parse().ok()?;
    let head = (1 << 47) | (account << 7) | u64::from(random[4] & 0x7f);
    let mut bytes = [0; 10];
    bytes[..6].copy_from_slice(&head.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&random[..4]);

    let mut id = String::from(prefix);
    for quintet in 0..16 {
        let bit = quintet * 5;
        let pair = u16::from_be_bytes([bytes[bit / 8], *bytes.get(bit / 8 + 1).unwrap_or(&0)]);
        let index = usize::from((pair >> (11 - bit % 8)) & 0x1f);
        id.push(char::from(ALPHABET[index]));
    }
    Some(id)
}

/// The account an id holds: `None` for the older generation and for what is no access key id at all.
pub(crate) fn account(id: &str) -> Option<String> {
    let characters = id.as_bytes().get(4..20).filter(|_| id.len() == 20)?;
    let mut head: u64 = 0;
    for character in &characters[..10] {
        let index = ALPHABET.iter().position(|letter| letter == character)?;
        head = (head << 5) | index as u64;
    }
    // Ten characters are fifty bits; the number is the first forty-eight.
    let head = head >> 2;
    if head >> 47 == 0 {
        return None;
    }
    let account = (head & 0x7fff_ffff_ff80) >> 7;
    (account <= MAX_ACCOUNT).then(|| format!("{account:012}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_ids_decode_to_their_accounts() {
        for (id, expected) in [
            ("ASIAY34FZKBOKMUTVV7A", Some("609629065308")),
            ("AKIASP2TPHJSQH3FJRUX", Some("171436882533")),
            ("ASIAQNZGKIQY56JQ7WML", Some("029608264753")),
            ("AKIAIOSFODNN7EXAMPLE", None),
            ("AKIA7777777777777777", None),
            ("AKIA", None),
        ] {
            assert_eq!(account(id).as_deref(), expected, "{id}");
        }
    }

    #[test]
    fn an_encoded_id_decodes_to_its_account() {
        for number in ["000000000000", "000000000001", "029608264753", "999999999999"] {
            for random in [[0; 5], [0xff; 5], [1, 2, 3, 4, 5]] {
                let id = encode(LONG_TERM, number, random).unwrap();
                assert_eq!(id.len(), 20);
                assert_eq!(account(&id).as_deref(), Some(number), "{id}");
            }
        }
    }

    #[test]
    fn only_twelve_digits_are_an_account() {
        for number in ["", "12345", "1234567890123", "12345678901x"] {
            assert_eq!(encode(LONG_TERM, number, [0; 5]), None, "{number}");
        }
    }
}
