//! ARNs as globs.

use crate::glob::{Glob, Token};
use crate::variable::Piece;

/// Fields before the resource: `arn`, partition, service, Region, account.
pub(super) const FIELDS_BEFORE_RESOURCE: usize = 5;

/// How far a star reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// As AWS documents it: within its segment, and beyond colons if it is the last character of its segment.
    Documented,
    /// Each of the six segments on its own. What matches this way matches under any reading of the documentation.
    Segments,
}

/// The glob of an `Arn…` condition value: each of the six segments is compared on its own, and nothing is completed.
pub(crate) fn condition_glob(pieces: &[Piece]) -> Glob {
    if pieces == [Piece::Many] { Glob::anything() } else { to_glob(pieces, Reach::Segments) }
}

/// The globs of a resource type: `${Partition}` is given, other variables are stars.
///
/// Names may contain colons. Of an IAM resource only the path may, not the name after it (AWS: IAM API reference,
/// `pathType` takes any character from `!` to DEL, `userNameType` no colon): `user/a:b/name` exists, `user/a:b` does
/// not. So such a type has one glob without path and one with.
pub(crate) fn type_globs(arn: &str, partition: &str) -> Vec<Glob> {
    let Some(start) = arn.strip_suffix("WithPath}").and_then(|name| name.rfind("${")) else {
        return vec![Glob::new(type_tokens(arn, partition))];
    };
    let without_name = type_tokens(&arn[..start], partition);
    [&[Token::ManyInSegment][..], &[Token::Many, Token::Literal('/'), Token::ManyInSegment]]
        .map(|name| Glob::new(without_name.iter().chain(name).copied()))
        .into()
}

fn type_tokens(arn: &str, partition: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = arn;
    let mut segment = 0;
    while !rest.is_empty() {
        if let Some((name, after)) = rest.strip_prefix("${").and_then(|inside| inside.split_once('}')) {
            match name {
                "Partition" => tokens.extend(partition.chars().map(Token::Literal)),
                _ if segment >= FIELDS_BEFORE_RESOURCE => tokens.push(Token::Many),
                _ => tokens.push(Token::ManyInSegment),
            }
            rest = after;
        } else if let Some(character) = rest.chars().next() {
            segment += usize::from(character == ':');
            tokens.push(if character == '*' { Token::Many } else { Token::Literal(character) });
            rest = &rest[character.len_utf8()..];
        }
    }
    tokens
}

/// The glob of a resource pattern: missing fields at the end are completed with `*`.
///
/// The value of an unknown variable may contain colons. AWS does not say whether they count as fields, so such a pattern
/// is completed with anything.
pub(super) fn completed_glob(pieces: &[Piece], reach: Reach) -> Glob {
    let colons = pieces.iter().filter(|piece| **piece == Piece::Text(':')).count();
    let missing = FIELDS_BEFORE_RESOURCE.saturating_sub(colons);
    if missing > 0 && pieces.contains(&Piece::Unknown) {
        return to_glob(&pieces.iter().copied().chain([Piece::Unknown]).collect::<Vec<_>>(), reach);
    }
    let completion = std::iter::repeat_n([Piece::Text(':'), Piece::Many], missing).flatten();
    to_glob(&pieces.iter().copied().chain(completion).collect::<Vec<_>>(), reach)
}

fn to_glob(pieces: &[Piece], reach: Reach) -> Glob {
    let mut segment = 0;
    Glob::new(pieces.iter().enumerate().map(|(at, piece)| match piece {
        Piece::Text(character) => {
            segment += usize::from(*character == ':');
            Token::Literal(*character)
        }
        Piece::Value(character) => Token::Literal(*character),
        Piece::Unknown => Token::Many,
        Piece::One if segment < FIELDS_BEFORE_RESOURCE => Token::OneInSegment,
        Piece::One => Token::One,
        Piece::Many if segment >= FIELDS_BEFORE_RESOURCE => Token::Many,
        Piece::Many => {
            let last = matches!(pieces.get(at + 1), None | Some(Piece::Text(':')));
            if last && reach == Reach::Documented { Token::Many } else { Token::ManyInSegment }
        }
    }))
}
