//! Policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'nobody'}`, and the escapes `${*}`, `${?}`, `${$}`.
//!
//! AWS: IAM user guide, "IAM policy elements: Variables and tags".

use crate::context::{ContextLookup, RequestContext};

/// A string of a policy, which may contain variables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PolicyString {
    parts: Vec<StringPart>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum StringPart {
    Piece(Piece),
    Variable { key: String, default: Option<String> },
}

/// One piece of a string: a character or a wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Piece {
    /// A character of the policy's own text.
    Text(char),
    /// A character of a variable's value or of an escape: never a wildcard, never a separator of an ARN.
    Value(char),
    One,
    Many,
    /// The value of a variable that is not known: any text, colons included.
    Unknown,
}

/// A string with its variables resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResolvedString {
    /// All variables have a value.
    Exact(Vec<Piece>),
    /// A variable is not known; [`Piece::Unknown`] takes its place.
    Loose(Vec<Piece>),
    /// A variable has no value and no default: the string matches nothing.
    Nothing,
}

/// The length assumed for the value of a variable when costs are estimated. Names and ARNs of users are shorter.
const ASSUMED_VALUE_LENGTH: usize = 200;

/// Why a string with variables does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VariableError {
    Unclosed,
    Empty,
    Space,
    Quote,
    Symbol,
}

impl VariableError {
    /// What is wrong and what to do: two sentences.
    pub(crate) const fn explain(self) -> (&'static str, &'static str) {
        match self {
            Self::Unclosed => ("A policy variable is not closed.", "Add the missing \"}\" after the variable's name."),
            Self::Empty => {
                ("A policy variable is empty.", "Name a context key between \"${\" and \"}\", or remove both.")
            }
            Self::Space => (
                "A policy variable contains a space.",
                "Remove the space; only a default may have one before it: ${key, 'default'}.",
            ),
            Self::Quote => {
                ("The default of a policy variable is not quoted.", "Put it in single quotes: ${key, 'default'}.")
            }
            Self::Symbol => (
                "A policy variable contains another \"$\", \"{\" or wildcard.",
                "Variables cannot be nested; name one context key.",
            ),
        }
    }
}

impl PolicyString {
    /// Parses a string of a document with `Version` 2012-10-17. `*` and `?` are wildcards.
    pub(crate) fn parse(text: &str) -> Result<Self, VariableError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            parts.extend(rest[..start].chars().map(StringPart::plain));
            let inside = &rest[start + 2..];
            let end = find_end(inside).ok_or(VariableError::Unclosed)?;
            parts.push(parse_variable(&inside[..end])?);
            rest = &inside[end + 1..];
        }
        parts.extend(rest.chars().map(StringPart::plain));
        Ok(Self { parts })
    }

    /// Parses a string of a document without `Version` or with 2008-10-17: there are no variables, and `${` is text.
    pub(crate) fn parse_plain(text: &str) -> Self {
        Self { parts: text.chars().map(StringPart::plain).collect() }
    }

    /// The estimated length once variables are resolved.
    pub(crate) fn size(&self) -> usize {
        self.parts.iter().map(|part| if matches!(part, StringPart::Piece(_)) { 1 } else { ASSUMED_VALUE_LENGTH }).sum()
    }

    /// Replaces the variables with their values in the context.
    pub(crate) fn resolve(&self, context: &RequestContext) -> ResolvedString {
        let mut pieces = Vec::with_capacity(self.parts.len());
        let mut loose = false;
        for part in &self.parts {
            match part {
                StringPart::Piece(piece) => pieces.push(*piece),
                StringPart::Variable { key, default } => match (context.look_up(key), default) {
                    (ContextLookup::One(value), _) => pieces.extend(value.chars().map(Piece::Value)),
                    (ContextLookup::Absent, Some(value)) => pieces.extend(value.chars().map(Piece::Value)),
                    (ContextLookup::Unknown, _) => {
                        loose = true;
                        pieces.push(Piece::Unknown);
                    }
                    // Only single-valued keys can be used in a variable.
                    (ContextLookup::Many(_) | ContextLookup::Absent, _) => return ResolvedString::Nothing,
                },
            }
        }
        if loose { ResolvedString::Loose(pieces) } else { ResolvedString::Exact(pieces) }
    }

    /// The string's own characters, for checks of its format; a variable counts as one wildcard.
    pub(crate) fn skeleton(&self) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                StringPart::Piece(Piece::Text(character) | Piece::Value(character)) => *character,
                StringPart::Piece(Piece::One) => '?',
                StringPart::Piece(Piece::Many | Piece::Unknown) | StringPart::Variable { .. } => '*',
            })
            .collect()
    }
}

impl StringPart {
    const fn plain(character: char) -> Self {
        Self::Piece(match character {
            '*' => Piece::Many,
            '?' => Piece::One,
            text => Piece::Text(text),
        })
    }
}

/// The position of the closing brace. A brace inside the quotes of a default does not count.
fn find_end(inside: &str) -> Option<usize> {
    let mut quoted = false;
    for (at, character) in inside.char_indices() {
        match character {
            '\'' => quoted = !quoted,
            '}' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn parse_variable(inside: &str) -> Result<StringPart, VariableError> {
    match inside {
        "*" => return Ok(StringPart::Piece(Piece::Value('*'))),
        "?" => return Ok(StringPart::Piece(Piece::Value('?'))),
        "$" => return Ok(StringPart::Piece(Piece::Value('$'))),
        _ => {}
    }
    let (key, default) = match inside.split_once(',') {
        Some((key, default)) => (key, Some(parse_default(default.trim())?)),
        None => (inside, None),
    };
    if key.is_empty() {
        return Err(VariableError::Empty);
    }
    if key.contains(char::is_whitespace) {
        return Err(VariableError::Space);
    }
    if key.contains(['$', '{', '*', '?', '\'']) {
        return Err(VariableError::Symbol);
    }
    Ok(StringPart::Variable { key: key.to_owned(), default })
}

fn parse_default(text: &str) -> Result<String, VariableError> {
    let inner = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).ok_or(VariableError::Quote)?;
    if inner.contains('\'') { Err(VariableError::Quote) } else { Ok(inner.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(resolved: &ResolvedString) -> Option<String> {
        let ResolvedString::Exact(pieces) = resolved else { return None };
        Some(
            pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(character) | Piece::Value(character) => *character,
                    Piece::One => '?',
                    Piece::Many | Piece::Unknown => '*',
                })
                .collect(),
        )
    }

    #[test]
    fn a_default_stands_in_only_for_an_absent_key() {
        let string = PolicyString::parse("a-${aws:PrincipalTag/team, 'no}body'}-b").unwrap();
        assert_eq!(text_of(&string.resolve(&RequestContext::new())).unwrap(), "a-no}body-b");
        assert_eq!(text_of(&string.resolve(&RequestContext::new().with("AWS:principaltag/TEAM", ""))).unwrap(), "a--b");
        assert!(matches!(string.resolve(&RequestContext::partial()), ResolvedString::Loose(_)));
    }

    #[test]
    fn a_value_is_never_a_wildcard() {
        let resolved =
            PolicyString::parse("${aws:username}").unwrap().resolve(&RequestContext::new().with("aws:username", "*"));
        assert_eq!(resolved, ResolvedString::Exact(vec![Piece::Value('*')]));
    }

    #[test]
    fn a_variable_without_value_matches_nothing() {
        assert_eq!(
            PolicyString::parse("x${aws:username}*").unwrap().resolve(&RequestContext::new()),
            ResolvedString::Nothing
        );
    }

    #[test]
    fn broken_variables_are_refused() {
        for (text, error) in [
            ("${aws:username", VariableError::Unclosed),
            ("${}", VariableError::Empty),
            ("${aws: username}", VariableError::Space),
            ("${a, b}", VariableError::Quote),
            ("${a, 'b}", VariableError::Unclosed),
            ("${a${b}}", VariableError::Symbol),
            ("${a*}", VariableError::Symbol),
            ("${, 'x'}", VariableError::Empty),
        ] {
            assert_eq!(PolicyString::parse(text), Err(error), "{text}");
        }
        assert!(PolicyString::parse("$ {x} $x }").is_ok());
    }
}
