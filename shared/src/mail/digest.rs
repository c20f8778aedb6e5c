//! The digest of a mail's content: other content under the same id is another mail.

use sha2::{Digest as _, Sha256};

use crate::mail::mailbox::Mailbox;
use crate::mail::{Mail, OnDoubt};

/// The version of what is digested and how. Rows outlive it. It has to change when the digest of an existing mail would.
const VERSION: &str = "2";

/// The digest of a message that could not be parsed.
pub const UNPARSED_DIGEST: &str = "0:";

/// How the digest of a row compares with that of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestMatch {
    /// The same mail, or the row's digest has another version, so that they cannot be compared.
    Same,
    /// Another mail under the same id.
    Other,
}

/// The digest of a mail, `2:` and 64 hexadecimal digits.
///
/// It covers what the recipients get and what the caller was promised (`on_doubt`), as parsed: the spelling of the JSON,
/// of a domain (its case, Punycode) and of a name (quotes, encoded words), and fields that are absent or have their default
/// make no difference. It omits `first_seen` and `expires_at`: a caller
/// that hands the same mail over again may set other times.
///
/// The pattern has no `..`: a new field of [`Mail`] does not compile until it is decided here whether it is content, and
/// in `ses_request` whether SES gets it.
pub fn digest(mail: &Mail) -> String {
    let Mail {
        tenant_id: _,
        provider_id: _,
        mail_id: _,
        first_seen: _,
        carries_first_seen: _,
        on_doubt,
        priority: _,
        expires_at: _,
        from,
        to,
        cc,
        bcc,
        reply_to,
        subject,
        text,
        html,
        headers,
        tags,
        configuration_set,
    } = mail;
    let mut hasher = ContentHasher(Sha256::new());
    hasher.add_mailboxes("from", std::slice::from_ref(from));
    hasher.add_mailboxes("to", to);
    hasher.add_mailboxes("cc", cc);
    hasher.add_mailboxes("bcc", bcc);
    hasher.add_mailboxes("reply_to", reply_to);
    hasher.add_texts("subject", Some(subject.as_str()).filter(|subject| !subject.is_empty()));
    hasher.add_texts("text", text.as_deref());
    hasher.add_texts("html", html.as_deref());
    hasher.add_texts("headers", headers.iter().flat_map(|(name, value)| [name.as_str(), value]));
    hasher.add_texts("tags", tags.iter().flat_map(|(name, value)| [name.as_str(), value]));
    hasher.add_texts("configuration_set", configuration_set.as_deref());
    hasher.add_texts("on_doubt", (*on_doubt == OnDoubt::Hold).then_some("hold"));
    let hex: String = hasher.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{VERSION}:{hex}")
}

/// Compares a row's digest with a mail's.
pub fn compare(row: &str, mail: &str) -> DigestMatch {
    let comparable = row.split_once(':').is_some_and(|(version, _)| version == VERSION);
    if comparable && row != mail { DigestMatch::Other } else { DigestMatch::Same }
}

struct ContentHasher(Sha256);

impl ContentHasher {
    /// Adds every text after its length, so that no two lists of texts look alike; an empty list adds nothing.
    fn add_texts<'a>(&mut self, field: &str, texts: impl IntoIterator<Item = &'a str>) {
        let texts: Vec<&str> = texts.into_iter().collect();
        if texts.is_empty() {
            return;
        }
        self.add_text(field);
        self.0.update(u64::try_from(texts.len()).unwrap_or(u64::MAX).to_be_bytes());
        for text in texts {
            self.add_text(text);
        }
    }

    fn add_mailboxes(&mut self, field: &str, mailboxes: &[Mailbox]) {
        let texts = mailboxes
            .iter()
            .flat_map(|mailbox| [mailbox.name().unwrap_or_default().to_owned(), mailbox.canonical_address()]);
        let texts: Vec<String> = texts.collect();
        self.add_texts(field, texts.iter().map(String::as_str));
    }

    fn add_text(&mut self, text: &str) {
        self.0.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::mail::{sample, sample_with};

    #[test]
    fn the_digest_of_the_sample_stays_what_it_is() {
        // Rows in the table have it: if this changes, VERSION has to.
        assert_eq!(digest(&sample()), "2:30685020582b5d65f0e2bfc92fc58abe6c921d2504ff3b808e70e9d745612664");
    }

    #[test]
    fn absent_and_default_fields_make_no_difference() {
        let full =
            json!({"cc": [], "bcc": [], "reply_to": [], "on_doubt": "resend", "html": "", "headers": {}, "tags": {}});
        let bare = json!({"cc": null, "bcc": null, "reply_to": null, "on_doubt": null, "html": null, "headers": null, "tags": null});
        assert_eq!(digest(&sample_with(full)), digest(&sample_with(bare)));
        let again = json!({"first_seen": "2026-11-20T10:00:00Z", "expires_at": "2026-12-02T00:00:00Z"});
        assert_eq!(digest(&sample()), digest(&sample_with(again)));
        let one = json!({"headers": {"X-A": "1", "X-B": "2"}});
        let other = json!({"headers": {"X-B": "2", "X-A": "1"}});
        assert_eq!(digest(&sample_with(one)), digest(&sample_with(other)));
    }

    #[test]
    fn the_spelling_of_an_address_makes_no_difference() {
        let spellings = [
            json!({"from": "Jörg <info@bücher.example>", "to": ["Ann <ann@example.org>"], "subject": "Grüße"}),
            json!({"from": "\"Jörg\" <info@BÜCHER.example>", "to": ["\"Ann\" <ann@EXAMPLE.org>"], "subject": "Grüße"}),
            json!({
                "from": "=?utf-8?q?J=C3=B6rg?= <info@xn--bcher-kva.example>", "to": ["Ann <\"ann\"@example.org>"],
                "subject": "=?utf-8?q?Gr=C3=BC=C3=9Fe?=",
            }),
        ];
        let digests = spellings.map(|spelling| digest(&sample_with(spelling)));
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
        let other = json!({"from": "Jörg <Info@bücher.example>", "to": ["Ann <ann@example.org>"], "subject": "Grüße"});
        assert_ne!(digest(&sample_with(other)), digests[0]);
    }

    #[test]
    fn every_field_of_the_content_makes_a_difference() {
        let changes = [
            json!({"from": "Jane <jane2@example.com>"}),
            json!({"from": "Joan <jane@example.com>"}),
            json!({"to": ["b@example.org"]}),
            json!({"to": [], "cc": ["a@example.org"]}),
            json!({"to": [], "bcc": ["a@example.org"]}),
            json!({"reply_to": ["a@example.org"]}),
            json!({"subject": "x"}),
            json!({"text": "x"}),
            json!({"html": "x"}),
            json!({"headers": {"X-Campaign": "autumn"}}),
            json!({"tags": {"campaign": "autumn"}}),
            json!({"configuration_set": "x"}),
            json!({"on_doubt": "hold"}),
        ];
        let mut seen = std::collections::BTreeSet::from([digest(&sample())]);
        for change in changes {
            assert!(seen.insert(digest(&sample_with(change.clone()))), "{change}");
        }
    }

    #[test]
    fn digests_of_different_versions_are_not_compared() {
        assert_eq!(compare("2:aa", "2:aa"), DigestMatch::Same);
        assert_eq!(compare("2:aa", "2:bb"), DigestMatch::Other);
        assert_eq!(compare("1:aa", "2:bb"), DigestMatch::Same);
        assert_eq!(compare(UNPARSED_DIGEST, "2:bb"), DigestMatch::Same);
    }
}
