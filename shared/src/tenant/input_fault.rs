//! What SES finds wrong with the input of a send, read from its text.

/// The part of a mail that SES refused as malformed. SES repeats addresses and values in its texts, so only this is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFault {
    /// An address, for a reason that is not classified further.
    Address,
    /// An address is longer than 320 bytes, with its name and as it is written.
    AddressTooLong,
    /// An address has nothing after its `@`, or no `@`.
    MissingDomain,
    /// An address has nothing before its `@`.
    MissingLocalPart,
    /// The part of an address before its `@`.
    LocalPart,
    /// The part of an address after its `@`.
    Domain,
    /// The number of recipients.
    Recipients,
    /// A message tag.
    Tag,
    /// A header field.
    Header,
    /// The size of the mail.
    MessageSize,
}

/// SES's wordings, without the values in them.
///
/// SES checks addresses with the texts of JavaMail's `InternetAddress.checkAddress` (jakartaee/mail-api). Seen from SES:
/// "Missing final '@domain'" (anymail/django-anymail#281), "Missing domain" (brave/accounts#35), "Missing local name"
/// (arithmetric/aws-lambda-ses-forwarder#103), "Local address contains illegal character" (boto/botocore#1774), "Local
/// address contains control or whitespace" (rdunlop/unicycling-registration#749), "Domain contains control or whitespace"
/// (monde-sistemas/delphi-aws-ses#22). The others of that function are taken over from it by their beginnings.
///
/// From SES v2: "Illegal address" (awsdocs/aws-doc-sdk-examples#5191) and "Invalid email address ." with the address
/// before the full stop (domdomegg/aws-ses-v2-local#44). "Address length is more than 320 bytes long" counts encoded words
/// (zulip/zulip#17558). Tags: recorded from SES by localstack (tests/aws/services/ses/test_ses.snapshot.json, July 2024).
/// Headers: aws/aws-sdk-js#4121, arithmetric/aws-lambda-ses-forwarder#51, jmhobbs/Swiftmailer-Transport--AWS-SES#13,
/// aws/aws-sdk-php#981. "Message length is more than 10485760 bytes long": aws/aws-sdk-go-v2#1774. "Recipient count
/// exceeds 50.": SES developer guide, "Amazon SES email sending errors". The paths are those of AWS's validation errors
/// ("Value '…' at 'content.simple.headers.1.member.value' failed to satisfy constraint: …").
const WORDINGS: [(&str, InputFault); 32] = [
    ("Address length is more than", InputFault::AddressTooLong),
    ("Missing final '@domain'", InputFault::MissingDomain),
    ("Missing domain", InputFault::MissingDomain),
    ("Missing local name", InputFault::MissingLocalPart),
    ("Local address contains", InputFault::LocalPart),
    ("Local address starts with", InputFault::LocalPart),
    ("Local address ends with", InputFault::LocalPart),
    ("Quoted local address contains", InputFault::LocalPart),
    ("Quote not at", InputFault::LocalPart),
    ("Unterminated quote", InputFault::LocalPart),
    ("Domain contains", InputFault::Domain),
    ("Domain starts with", InputFault::Domain),
    ("Domain ends with", InputFault::Domain),
    ("Domain literal", InputFault::Domain),
    ("Empty address", InputFault::Address),
    ("Illegal address", InputFault::Address),
    ("Illegal route-addr", InputFault::Address),
    ("Invalid email address", InputFault::Address),
    ("at 'destination.", InputFault::Address),
    ("Recipient count exceeds", InputFault::Recipients),
    ("Invalid tag", InputFault::Tag),
    ("Tag name cannot exceed", InputFault::Tag),
    ("Tag value cannot exceed", InputFault::Tag),
    ("The tag name must be specified", InputFault::Tag),
    ("The tag value must be specified", InputFault::Tag),
    ("at 'emailTags.", InputFault::Tag),
    ("Empty header names", InputFault::Header),
    ("Illegal header", InputFault::Header),
    ("Duplicate header", InputFault::Header),
    ("Header section too long", InputFault::Header),
    ("at 'content.simple.headers.", InputFault::Header),
    ("Message length is more than", InputFault::MessageSize),
];

impl InputFault {
    /// Reads SES's text. `None` if it is none of the known ones.
    pub fn from_text(text: &str) -> Option<Self> {
        // What SES repeats of the mail stands behind its own words, so the first known wording is SES's.
        let found = WORDINGS.iter().filter_map(|(wording, fault)| Some((text.find(wording)?, *fault)));
        found.min_by_key(|(at, _)| *at).map(|(_, fault)| fault)
    }

    /// A stable word for reasons.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::AddressTooLong => "address_too_long",
            Self::MissingDomain => "missing_domain",
            Self::MissingLocalPart => "missing_local_part",
            Self::LocalPart => "local_part",
            Self::Domain => "domain",
            Self::Recipients => "recipients",
            Self::Tag => "tag",
            Self::Header => "header",
            Self::MessageSize => "message_size",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wordings_of_ses_are_read() {
        let cases = [
            ("Missing final '@domain'", Some("missing_domain")),
            ("Transaction failed: Missing final '@domain'", Some("missing_domain")),
            ("Missing domain", Some("missing_domain")),
            ("Missing local name", Some("missing_local_part")),
            ("Local address contains control or whitespace", Some("local_part")),
            ("Local address contains illegal character", Some("local_part")),
            ("Local address contains dot-dot", Some("local_part")),
            ("Local address starts with dot", Some("local_part")),
            ("Quote not at end of local address", Some("local_part")),
            ("Domain contains illegal character", Some("domain")),
            ("Domain contains control or whitespace", Some("domain")),
            ("Domain starts with dot", Some("domain")),
            ("Domain ends with dot", Some("domain")),
            ("Domain literal not at start of domain", Some("domain")),
            ("Illegal address", Some("address")),
            ("Invalid email address .", Some("address")),
            ("Invalid email address Missing domain <a@b>.", Some("address")),
            ("Address length is more than 320 bytes long: '=?utf-8?b?Zc?= <a@example.com>'", Some("address_too_long")),
            ("Recipient count exceeds 50.", Some("recipients")),
            ("Invalid tag name <a:b>: only alphanumeric ASCII characters, '_',  '-' are allowed.", Some("tag")),
            (
                "Invalid tag value <a:b>: only alphanumeric ASCII characters, '_',  '-' , '.', '@' are allowed.",
                Some("tag"),
            ),
            ("Tag name cannot exceed 255 characters.", Some("tag")),
            ("Tag value cannot exceed 255 characters.", Some("tag")),
            ("The tag name must be specified.", Some("tag")),
            ("Empty header names are illegal.", Some("header")),
            ("Duplicate header 'Content-Type'.", Some("header")),
            (
                "1 validation error detected: Value '' at 'content.simple.headers.1.member.value' failed to satisfy constraint: Member must have length greater than or equal to 1",
                Some("header"),
            ),
            (
                "1 validation error detected: Value 'a b' at 'emailTags.1.member.value' failed to satisfy constraint: Member must satisfy regular expression pattern: x",
                Some("tag"),
            ),
            ("Message length is more than 10485760 bytes long: '12078147'.", Some("message_size")),
            ("Something that SES has never said", None),
            ("", None),
        ];
        for (text, word) in cases {
            assert_eq!(InputFault::from_text(text).map(InputFault::as_str), word, "{text}");
        }
    }
}
