//! The digest of a mail's content: other content under the same id is another mail.

use sha2::{Digest as _, Sha256};

use crate::mail::mailbox::Mailbox;
use crate::mail::{FileSource, Mail, MailAttachment, MailContent, OnDoubt, TemplateReference};

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
/// make no difference. It omits `first_seen`, `not_before` and `expires_at`: a caller
/// that hands the same mail over again may set other times.
///
/// Of a file in the bucket, it covers what the message says of it: without a version, other bytes under the same key are the
/// same mail.
///
/// The pattern has no `..`: a new field of [`Mail`] does not compile until it is decided here whether it is content, and
/// in `ses_request` whether SES gets it.
pub fn digest(mail: &Mail) -> String {
    let Mail {
        tenant_id: _,
        provider_id: _,
        provider_ids: _,
        patience_s: _,
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
        content,
        attachments,
        headers,
        tags,
        configuration_set,
        list_management,
        tenant_name,
        endpoint_id,
        return_path,
        not_before: _,
    } = mail;
    let mut hasher = ContentHasher(Sha256::new());
    hasher.add_mailboxes("from", std::slice::from_ref(from));
    hasher.add_mailboxes("to", to);
    hasher.add_mailboxes("cc", cc);
    hasher.add_mailboxes("bcc", bcc);
    hasher.add_mailboxes("reply_to", reply_to);
    match content {
        MailContent::Text(content) => {
            hasher.add_texts("subject", Some(content.subject.as_str()).filter(|subject| !subject.is_empty()));
            hasher.add_texts("text", content.text.as_deref());
            hasher.add_texts("html", content.html.as_deref());
        }
        MailContent::Raw(content) => hasher.add_texts("raw", [hex(&content.data).as_str()]),
        MailContent::Template(content) => {
            let reference = match &content.reference {
                TemplateReference::Name(name) => ["name", name],
                TemplateReference::Arn(arn) => ["arn", arn],
            };
            hasher.add_texts("template", reference.into_iter().chain([content.data.as_str()]));
        }
    }
    hasher.add_texts(
        "attachments",
        attachments.iter().flat_map(file_texts).collect::<Vec<_>>().iter().map(String::as_str),
    );
    hasher.add_texts("headers", headers.iter().flat_map(|(name, value)| [name.as_str(), value]));
    hasher.add_texts("tags", tags.iter().flat_map(|(name, value)| [name.as_str(), value]));
    hasher.add_texts("configuration_set", configuration_set.as_deref());
    let list =
        list_management.iter().flat_map(|list| [list.contact_list.as_str(), list.topic.as_deref().unwrap_or_default()]);
    hasher.add_texts("list_management", list);
    hasher.add_texts("tenant_name", tenant_name.as_deref());
    hasher.add_texts("endpoint_id", endpoint_id.as_deref());
    hasher.add_mailboxes("return_path", return_path.as_slice());
    hasher.add_texts("on_doubt", (*on_doubt == OnDoubt::Hold).then_some("hold"));
    let hex = base16ct::lower::encode_string(&hasher.0.finalize());
    format!("{VERSION}:{hex}")
}

/// What a file is digested by: always five texts.
fn file_texts(attachment: &MailAttachment) -> [String; 5] {
    let MailAttachment { name, content_type, content_id, source } = attachment;
    let (kind, place) = match source {
        FileSource::Message(bytes) => ("content", hex(bytes)),
        FileSource::Bucket(file) => ("s3", format!("{}\n{}", file.key, file.version.as_deref().unwrap_or_default())),
    };
    [name.clone(), content_type.clone(), content_id.clone().unwrap_or_default(), kind.to_owned(), place]
}

fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(bytes))
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

    /// The sample with other content than text.
    fn instead(content: serde_json::Value) -> serde_json::Value {
        let mut changes = json!({"subject": null, "text": null, "html": null, "headers": null});
        changes.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        changes
    }

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
        let names =
            ["attachments", "raw", "template", "list_unsubscribe", "list_management", "tenant_name", "endpoint_id"];
        let mut nulls: serde_json::Value = serde_json::from_str(crate::testing::mail::SAMPLE).unwrap();
        names.into_iter().chain(["return_path"]).for_each(|name| nulls[name] = serde_json::Value::Null);
        let nulls = Mail::parse(&nulls.to_string(), crate::testing::mail::time("2026-11-23T10:00:00Z")).ok().unwrap();
        assert_eq!(digest(&nulls), digest(&sample()));
        assert_eq!(digest(&sample_with(json!({"attachments": []}))), digest(&sample()));
        let data =
            |data: serde_json::Value| digest(&sample_with(instead(json!({"template": {"name": "a", "data": data}}))));
        assert_eq!(data(json!({"x": 1, "y": 2})), data(json!({"y": 2, "x": 1})));
        assert_eq!(data(json!({})), data(json!(null)));
        let again = json!({
            "first_seen": "2026-11-20T10:00:00Z", "not_before": "2026-11-21T10:00:00Z", "expires_at": "2026-12-02T00:00:00Z",
        });
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
            json!({"list_management": {"contact_list": "a"}}),
            json!({"list_management": {"contact_list": "a", "topic": "b"}}),
            json!({"list_unsubscribe": {"url": "https://example.com/u"}}),
            json!({"tenant_name": "a"}),
            json!({"endpoint_id": "a.b"}),
            json!({"return_path": "a@example.com"}),
            json!({"attachments": [{"name": "a", "content_type": "a/b", "content": "AAAA"}]}),
            json!({"attachments": [{"name": "a", "content_type": "a/b", "content": "AAAB"}]}),
            json!({"attachments": [{"name": "b", "content_type": "a/b", "content": "AAAA"}]}),
            json!({"attachments": [{"name": "a", "content_type": "a/c", "content": "AAAA"}]}),
            json!({"attachments": [{"name": "a", "content_type": "a/b", "content": "AAAA", "content_id": "c"}]}),
            json!({"attachments": [{"name": "a", "content_type": "a/b", "s3": {"key": "acme/a"}}]}),
            json!({"attachments": [{"name": "a", "content_type": "a/b", "s3": {"key": "acme/b"}}]}),
            json!({"attachments": [{"name": "a", "content_type": "a/b", "s3": {"key": "acme/a", "version": "1"}}]}),
            instead(json!({"template": {"name": "a"}})),
            instead(json!({"template": {"name": "b"}})),
            instead(json!({"template": {"name": "a", "data": {"x": 1}}})),
            instead(json!({"template": {"arn": "arn:aws:ses:eu-central-1:123456789012:template/a"}})),
            instead(json!({"raw": "RnJvbTogamFuZUBleGFtcGxlLmNvbQoKYQ==", "from": "jane@example.com"})),
            instead(json!({"raw": "RnJvbTogamFuZUBleGFtcGxlLmNvbQoKYg==", "from": "jane@example.com"})),
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
