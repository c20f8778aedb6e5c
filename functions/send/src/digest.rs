//! The digest of a mail's content: another content under the same id is another mail.

use sha2::{Digest as _, Sha256};

use crate::mail::{Mail, OnDoubt};
use crate::mailbox::Mailbox;

/// Version of what the digest is over and how. It changes with every field that is added to a mail, and rows outlive it.
const VERSION: &str = "1";

/// The digest of a message that was refused before it was understood.
pub(crate) const NEVER_UNDERSTOOD: &str = "0:";

/// How the digest of a row compares with that of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// The same mail, or nothing can be said because another version made the row's digest.
    Same,
    /// Another mail under the same id.
    Other,
}

/// The digest of a mail, `1:` and 64 hexadecimal digits.
///
/// It is over what the recipients get and what the caller was promised (`on_doubt`), as parsed: the spelling of the JSON
/// and fields that are absent or have their default make no difference. `first_seen` and `expires_at` are left out: they
/// are about one handing over, and a caller that repeats it may well set them anew.
pub(crate) fn digest(mail: &Mail) -> String {
    let mut content = Content(Sha256::new());
    content.mailboxes("from", std::slice::from_ref(&mail.from));
    content.mailboxes("to", &mail.to);
    content.mailboxes("cc", &mail.cc);
    content.mailboxes("bcc", &mail.bcc);
    content.mailboxes("reply_to", &mail.reply_to);
    content.texts("subject", std::iter::once(mail.subject.as_str()).filter(|subject| !subject.is_empty()));
    content.texts("text", mail.text.as_deref());
    content.texts("html", mail.html.as_deref());
    content.texts("headers", mail.headers.iter().flat_map(|(name, value)| [name.as_str(), value]));
    content.texts("tags", mail.tags.iter().flat_map(|(name, value)| [name.as_str(), value]));
    content.texts("configuration_set", mail.configuration_set.as_deref());
    content.texts("on_doubt", (mail.on_doubt == OnDoubt::Hold).then_some("hold"));
    let hex: String = content.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{VERSION}:{hex}")
}

/// Compares a row's digest with a mail's.
pub(crate) fn compare(row: &str, mail: &str) -> Comparison {
    let comparable = row.split_once(':').is_some_and(|(version, _)| version == VERSION);
    if comparable && row != mail { Comparison::Other } else { Comparison::Same }
}

struct Content(Sha256);

impl Content {
    /// Every text goes in behind its length, so that no two lists of texts look alike; an empty list leaves no trace.
    fn texts<'a>(&mut self, field: &str, texts: impl IntoIterator<Item = &'a str>) {
        let texts: Vec<&str> = texts.into_iter().collect();
        if texts.is_empty() {
            return;
        }
        self.text(field);
        self.0.update(u64::try_from(texts.len()).unwrap_or(u64::MAX).to_be_bytes());
        for text in texts {
            self.text(text);
        }
    }

    fn mailboxes(&mut self, field: &str, mailboxes: &[Mailbox]) {
        self.texts(field, mailboxes.iter().flat_map(|mailbox| [mailbox.name().unwrap_or_default(), mailbox.address()]));
    }

    fn text(&mut self, text: &str) {
        self.0.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mail::tests::{sample, sample_with};

    #[test]
    fn the_digest_of_the_sample_stays_what_it_is() {
        // Rows in the table have it: if this changes, VERSION has to.
        assert_eq!(digest(&sample()), "1:30685020582b5d65f0e2bfc92fc58abe6c921d2504ff3b808e70e9d745612664");
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
    fn every_content_makes_a_difference() {
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
    fn another_version_compares_nothing() {
        assert_eq!(compare("1:aa", "1:aa"), Comparison::Same);
        assert_eq!(compare("1:aa", "1:bb"), Comparison::Other);
        assert_eq!(compare("2:aa", "1:bb"), Comparison::Same);
        assert_eq!(compare(NEVER_UNDERSTOOD, "1:bb"), Comparison::Same);
    }
}
