//! Why a text is not one mailbox that SES accepts.

use thiserror::Error;

use crate::mail::encoded_word::EncodedWordError;

/// Why a text is refused as a mailbox, in words that follow the field's name. They never have the address in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum MailboxError {
    #[error("is empty")]
    Empty,
    #[error("must not contain control characters or line breaks")]
    ControlCharacter,
    #[error("must be one address, not a list")]
    List,
    #[error("must be one address, not a group (`name: a, b;`)")]
    Group,
    #[error("must not contain a comment in parentheses; parentheses of a name have to be in quotation marks")]
    Comment,
    #[error(
        "must have one address in one pair of angle brackets, as in `Jane Doe <a@example.com>`, and nothing after it"
    )]
    Brackets,
    #[error("has a quotation mark that is not closed")]
    UnclosedQuote,
    #[error("has a name that is only partly in quotation marks")]
    PartlyQuotedName,
    #[error("has a name with punctuation that has to be in quotation marks, as in `\"Doe, Jane\" <a@example.com>`")]
    UnquotedName,
    #[error(transparent)]
    EncodedName(#[from] EncodedWordError),
    #[error("has an encoded word (`=?…?=`) that decodes to control characters or line breaks")]
    EncodedControlCharacter,
    #[error(
        "has a name that is too long: SES accepts 320 bytes for name and address together, counted as they are written, where every 3 bytes of a name outside ASCII count 4"
    )]
    NameTooLong,
    #[error("has no `@`")]
    MissingAt,
    #[error("has more than one `@`")]
    SeveralAts,
    #[error("has a blank in the address")]
    Blank,
    #[error("has nothing before the `@`")]
    MissingLocalPart,
    #[error(
        "has a quoted part before the `@` that SES may read in another way; only one that needs no quotation marks is accepted"
    )]
    QuotedLocalPart,
    #[error("has a character outside ASCII before the `@`, which SES does not accept")]
    LocalPartNotAscii,
    #[error("has more than 64 characters before the `@`")]
    LocalPartTooLong,
    #[error("has a dot at the beginning or the end of the part before the `@`, or two dots in a row")]
    LocalPartDots,
    #[error("has an encoded word (`=?…?=`) before the `@`, which some mail programs decode")]
    EncodedLocalPart,
    #[error("has a character before the `@` that is not allowed there")]
    LocalPartCharacter,
    #[error("has nothing after the `@`")]
    MissingDomain,
    #[error("has an IP address after the `@`; it must be a domain")]
    AddressLiteral,
    #[error("has a domain that starts with a dot")]
    DomainStartsWithDot,
    #[error("has a domain that ends with a dot")]
    DomainEndsWithDot,
    #[error("has two dots in a row in the domain")]
    DomainDotDot,
    #[error("has a domain without a dot")]
    DomainWithoutDot,
    #[error("has a character in the domain other than letters, digits, `-` and `.`")]
    DomainCharacter,
    #[error("has a part of the domain that starts or ends with `-`")]
    DomainHyphen,
    #[error("has a part of the domain of more than 63 characters, counted in Punycode")]
    LabelTooLong,
    #[error("has an international domain that has no Punycode form (UTS 46)")]
    InternationalDomain,
    #[error("has an address of more than 254 characters, counted in Punycode")]
    AddressTooLong,
}
