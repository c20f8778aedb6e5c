//! Resource patterns: `*`, ARNs with wildcards and variables, and the short ARNs that IAM completes.

use crate::budget::Budget;
use crate::context::Context;
use crate::glob::{Glob, Token};
use crate::problem::Level;
use crate::truth::Truth;
use crate::variable::{Filled, Piece, Template};

/// Fields before the resource: `arn`, partition, service, region, account.
const HEAD: usize = 5;

/// A pattern of `Resource` or `NotResource`, compared with case (AWS: IAM user guide, "IAM JSON policy elements:
/// Resource").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResourcePattern {
    raw: String,
    template: Template,
    /// Without variables: the pattern in either reach, made once.
    fixed: Option<[Glob; 2]>,
}

/// How far a star reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// As AWS documents it: within its segment, and beyond colons when it is the segment's last character.
    Documented,
    /// Each of the six segments on its own. What matches here, matches under any reading of the documentation.
    Segments,
}

/// A resource pattern with its variables replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The variables are known.
    Exact(Glob),
    /// A variable is unknown: at most these resources.
    AtMost(Glob),
    /// A variable has no value: no resource.
    Nothing,
}

impl Scope {
    pub(crate) fn matches(&self, resource: &str, budget: &Budget) -> Truth {
        match self {
            Self::Exact(glob) => budget.matches(glob, resource).into(),
            Self::AtMost(glob) if budget.matches(glob, resource) => Truth::Unknown,
            Self::AtMost(_) | Self::Nothing => Truth::False,
        }
    }
}

impl ResourcePattern {
    /// Takes a string of a policy; see [`fault`] for its format.
    pub(crate) fn new(raw: &str, template: Template) -> Self {
        let fixed = match template.fill(&Context::partial()) {
            Filled::Exact(pieces) if raw != "*" => {
                Some([Reach::Documented, Reach::Segments].map(|reach| to_glob(&pieces, reach, true)))
            }
            _ => None,
        };
        Self { raw: raw.to_owned(), template, fixed }
    }

    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.raw == "*"
    }

    /// The partition, if the pattern names one.
    pub(crate) fn partition(&self) -> Option<&str> {
        self.raw.split(':').nth(1).filter(|partition| !partition.contains(['*', '?', '$']))
    }

    /// What it costs to make the [`Scope`], in nanoseconds.
    pub(crate) fn effort(&self) -> usize {
        if self.fixed.is_some() || self.is_everything() { 20 } else { 20 * self.template.size() }
    }

    /// Replaces the variables and completes a short ARN with `*`, as IAM does (`arn:aws:iam` is `arn:aws:iam:*:*:*`).
    pub(crate) fn scope(&self, context: &Context, reach: Reach) -> Scope {
        if self.is_everything() {
            return Scope::Exact(Glob::anything());
        }
        if let Some([documented, segments]) = &self.fixed {
            return Scope::Exact(if reach == Reach::Documented { documented.clone() } else { segments.clone() });
        }
        match self.template.fill(context) {
            Filled::Exact(pieces) => Scope::Exact(to_glob(&pieces, reach, true)),
            Filled::Loose(pieces) => Scope::AtMost(to_glob(&pieces, reach, true)),
            Filled::Nothing => Scope::Nothing,
        }
    }
}

/// The pattern of an `Arn…` condition value: each of the six segments is compared on its own, nothing is completed.
pub(crate) fn condition_glob(pieces: &[Piece]) -> Glob {
    if pieces == [Piece::Many] { Glob::anything() } else { to_glob(pieces, Reach::Segments, false) }
}

/// The pattern of a resource type: `${Partition}` is given, other variables are stars; `colons` says whether names may
/// hold a colon.
pub(crate) fn type_glob(arn: &str, partition: &str, colons: bool) -> Glob {
    let mut tokens = Vec::new();
    let mut rest = arn;
    let mut segment = 0;
    while !rest.is_empty() {
        if let Some((name, after)) = rest.strip_prefix("${").and_then(|inside| inside.split_once('}')) {
            match name {
                "Partition" => tokens.extend(partition.chars().map(Token::Literal)),
                _ if segment >= HEAD && colons => tokens.push(Token::Many),
                _ => tokens.push(Token::ManyInSegment),
            }
            rest = after;
        } else if let Some(character) = rest.chars().next() {
            segment += usize::from(character == ':');
            tokens.push(if character == '*' { Token::Many } else { Token::Literal(character) });
            rest = &rest[character.len_utf8()..];
        }
    }
    Glob::new(tokens)
}

fn to_glob(pieces: &[Piece], reach: Reach, complete: bool) -> Glob {
    let colons = pieces.iter().filter(|piece| **piece == Piece::Text(':')).count();
    let missing = if complete { HEAD.saturating_sub(colons) } else { 0 };
    let completion = std::iter::repeat_n([Piece::Text(':'), Piece::Many], missing).flatten();
    let pieces: Vec<Piece> = pieces.iter().copied().chain(completion).collect();

    let mut segment = 0;
    Glob::new(pieces.iter().enumerate().map(|(at, piece)| match piece {
        Piece::Text(character) => {
            segment += usize::from(*character == ':');
            Token::Literal(*character)
        }
        Piece::Value(character) => Token::Literal(*character),
        Piece::One if segment < HEAD => Token::OneInSegment,
        Piece::One => Token::One,
        Piece::Many if segment >= HEAD => Token::Many,
        Piece::Many => {
            let last = matches!(pieces.get(at + 1), None | Some(Piece::Text(':')));
            if last && reach == Reach::Documented { Token::Many } else { Token::ManyInSegment }
        }
    }))
}

/// AWS's partitions (AWS: "Amazon Resource Names", and the sovereign and isolated ones in the SDKs' partition table).
const PARTITIONS: [&str; 8] =
    ["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"];

/// What the resource part of an IAM ARN may start with. The message of IAM's refusal lists them (recorded in moto's
/// test vectors); the last ones are newer (AWS: Service Authorization Reference, IAM).
const IAM_PATHS: [&str; 17] = [
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
    "u2f/",
    "assumed-role/",
    "delegation-request/",
    "contextProvider/",
];

/// What is wrong with a resource's format, how badly, and what to do; `None` if IAM takes it.
pub(crate) fn fault(raw: &str, template: &Template) -> Option<(Level, String, String)> {
    let error = |message: String, remedy: &str| Some((Level::Error, message, remedy.to_owned()));
    let warning = |message: String, remedy: &str| Some((Level::Warning, message, remedy.to_owned()));
    if raw == "*" {
        return None;
    }
    let skeleton = template.skeleton();
    let fields: Vec<&str> = skeleton.splitn(HEAD + 1, ':').collect();
    if fields.len() < 2 || fields[0] != "arn" {
        return error(
            format!("The resource {raw:?} is not an ARN."),
            "Write an ARN (arn:partition:service:region:account:resource) or \"*\".",
        );
    }
    if !PARTITIONS.contains(&fields[1]) && fields[1] != "*" {
        return error(
            format!("The resource {raw:?} names no partition of AWS."),
            "Write \"aws\" there, or \"aws-cn\", \"aws-us-gov\" and the like.",
        );
    }
    let service = fields.get(2).copied().unwrap_or_default();
    if service.is_empty() {
        return error(
            format!("The resource {raw:?} names no service."),
            "Name the service after the partition: arn:aws:ses:….",
        );
    }
    if fields.len() <= HEAD && skeleton.contains("::") {
        return error(
            format!("The resource {raw:?} has too few fields."),
            "An ARN has six fields: arn:partition:service:region:account:resource.",
        )
        .filter(|_| !short_arn_is_plain(&fields));
    }
    if service.contains(['*', '?']) {
        return warning(
            format!("The resource {raw:?} has a wildcard in place of the service."),
            "Name the service, or write \"*\" alone.",
        );
    }
    let region = fields.get(3).copied().unwrap_or_default();
    let account = fields.get(4).copied().unwrap_or_default();
    let path = fields.get(HEAD).copied().unwrap_or("*");
    if service.contains(|character: char| character.is_ascii_uppercase()) {
        return warning(
            format!("The resource {raw:?} names a service in upper case, and ARNs are compared with case."),
            "Write the service in lower case.",
        );
    }
    if !names_account(account) {
        return warning(
            format!("The resource {raw:?} names an account that is not twelve digits."),
            "Write the account's twelve digits, or \"*\".",
        );
    }
    if service == "iam" && !region.is_empty() && region != "*" {
        return warning(
            format!("The resource {raw:?} names a region, which IAM does not have."),
            "Leave the field empty: arn:aws:iam::….",
        );
    }
    if service == "s3" && !region.is_empty() && region != "*" && account.is_empty() {
        return warning(
            format!("The resource {raw:?} names a region, which buckets do not have."),
            "Leave the field empty: arn:aws:s3:::….",
        );
    }
    if service == "iam" && path != "*" && !IAM_PATHS.iter().any(|start| path.starts_with(start)) {
        let level =
            if path.split('/').next().unwrap_or_default().contains(['*', '?']) { Level::Warning } else { Level::Error };
        let message = format!("The resource {raw:?} is no kind of resource that IAM has.");
        return Some((
            level,
            message,
            "Write \"*\" or a path such as user/NAME or role/NAME after the account.".to_owned(),
        ));
    }
    None
}

/// Nothing, twelve digits, something with wildcards, or a name of AWS's own (`arn:aws:iam::aws:policy/…`,
/// `arn:aws:iam::cloudfront:user/…`).
fn names_account(account: &str) -> bool {
    account.is_empty()
        || account.contains(['*', '?'])
        || matches!(account, "aws" | "cloudfront")
        || (account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit()))
}

/// `arn:aws:iam::123456789012` lacks only its end and is completed; `arn:aws:s3::bucket` lacks a field in the middle.
fn short_arn_is_plain(fields: &[&str]) -> bool {
    fields.get(4).is_none_or(|account| {
        account.is_empty()
            || *account == "*"
            || account.chars().all(|digit| digit.is_ascii_digit() || matches!(digit, '*' | '?'))
    }) && fields.len() == HEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(raw: &str, reach: Reach) -> Glob {
        let Scope::Exact(glob) = ResourcePattern::new(raw, Template::parse(raw).unwrap()).scope(&Context::new(), reach)
        else {
            panic!("no variables here")
        };
        glob
    }

    #[test]
    fn a_star_at_the_end_of_a_segment_reaches_over_colons() {
        let resource = "arn:aws:sns:us-east-1:123456789012:a:topic";
        assert!(glob("arn:aws:sns:us-east-1:*:topic", Reach::Documented).matches(resource));
        assert!(!glob("arn:aws:sns:us-east-1:*:topic", Reach::Segments).matches(resource));
        assert!(!glob("arn:aws:sns:us-east-1:1*a:topic", Reach::Documented).matches(resource));
        assert!(glob("arn:aws:logs:*:*:log-group:a*c", Reach::Segments).matches("arn:aws:logs:r:1:log-group:a:b:c"));
    }

    #[test]
    fn a_short_arn_is_completed() {
        for raw in ["arn:aws:iam", "arn:aws:iam:", "arn:aws:iam::", "arn:aws:iam::123456789012", "arn:aws:iam::*"] {
            for reach in [Reach::Documented, Reach::Segments] {
                assert!(glob(raw, reach).matches("arn:aws:iam::123456789012:user/a") || raw.ends_with("::"), "{raw}");
            }
        }
        assert!(!glob("arn:aws:iam::111111111111", Reach::Documented).matches("arn:aws:iam::123456789012:user/a"));
    }
}
