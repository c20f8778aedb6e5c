//! Policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'nobody'}`, and the escapes `${*}`, `${?}`, `${$}`.
//!
//! AWS: IAM user guide, "IAM policy elements: Variables and tags".

use crate::context::{Context, Known};

/// A string of a policy in which variables may stand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Piece(Piece),
    Variable { key: String, default: Option<String> },
}

/// A step of a string whose variables are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Piece {
    /// A character of the policy's own text.
    Text(char),
    /// A character that came out of a variable or an escape: never a wildcard, never a separator of an ARN.
    Value(char),
    One,
    Many,
}

/// A template with its variables replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// All variables have a value.
    Exact(Vec<Piece>),
    /// A variable is not known; a star stands in its place.
    Loose(Vec<Piece>),
    /// A variable has no value and no default: the string matches nothing.
    Nothing,
}

/// What is reckoned with for a variable's value: names and ARNs of users are shorter.
const MAX_VALUE: usize = 200;

/// Why a template cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VariableFault {
    Unclosed,
    Empty,
    Space,
    Quote,
    Symbol,
}

impl VariableFault {
    /// What is wrong and what to do, as two sentences.
    pub(crate) const fn explain(self) -> (&'static str, &'static str) {
        match self {
            Self::Unclosed => ("A policy variable is not closed.", "Add the missing \"}\" after the variable's name."),
            Self::Empty => {
                ("A policy variable is empty.", "Name a context key between \"${\" and \"}\", or remove both.")
            }
            Self::Space => (
                "A policy variable holds a space.",
                "Remove the space; one may only stand before a default: ${key, 'default'}.",
            ),
            Self::Quote => {
                ("The default of a policy variable is not quoted.", "Put it in single quotes: ${key, 'default'}.")
            }
            Self::Symbol => (
                "A policy variable holds another \"$\", \"{\" or wildcard.",
                "Variables cannot be nested; name one context key.",
            ),
        }
    }
}

impl Template {
    /// Reads a string of a document with `Version` 2012-10-17. `*` and `?` are wildcards.
    pub(crate) fn parse(text: &str) -> Result<Self, VariableFault> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            parts.extend(rest[..start].chars().map(Part::plain));
            let inside = &rest[start + 2..];
            let end = find_end(inside).ok_or(VariableFault::Unclosed)?;
            parts.push(parse_variable(&inside[..end])?);
            rest = &inside[end + 1..];
        }
        parts.extend(rest.chars().map(Part::plain));
        Ok(Self { parts })
    }

    /// Reads a string of a document without `Version` or with 2008-10-17: there are no variables, `${` is text.
    pub(crate) fn parse_plain(text: &str) -> Self {
        Self { parts: text.chars().map(Part::plain).collect() }
    }

    /// How long it may become when it is filled.
    pub(crate) fn size(&self) -> usize {
        self.parts.iter().map(|part| if matches!(part, Part::Piece(_)) { 1 } else { MAX_VALUE }).sum()
    }

    /// Replaces the variables by what the context holds.
    pub(crate) fn fill(&self, context: &Context) -> Filled {
        let mut pieces = Vec::with_capacity(self.parts.len());
        let mut loose = false;
        for part in &self.parts {
            match part {
                Part::Piece(piece) => pieces.push(*piece),
                Part::Variable { key, default } => match (context.look_up(key), default) {
                    (Known::One(value), _) => pieces.extend(value.chars().map(Piece::Value)),
                    (Known::Absent, Some(value)) => pieces.extend(value.chars().map(Piece::Value)),
                    (Known::Unknown, _) => {
                        loose = true;
                        pieces.push(Piece::Many);
                    }
                    // Only single-valued keys can stand in a variable.
                    (Known::Many(_) | Known::Absent, _) => return Filled::Nothing,
                },
            }
        }
        if loose { Filled::Loose(pieces) } else { Filled::Exact(pieces) }
    }

    /// The template's own characters, for checks of format; a variable counts as one wildcard.
    pub(crate) fn skeleton(&self) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Piece(Piece::Text(character) | Piece::Value(character)) => *character,
                Part::Piece(Piece::One) => '?',
                Part::Piece(Piece::Many) | Part::Variable { .. } => '*',
            })
            .collect()
    }
}

impl Part {
    const fn plain(character: char) -> Self {
        Self::Piece(match character {
            '*' => Piece::Many,
            '?' => Piece::One,
            text => Piece::Text(text),
        })
    }
}

/// The closing brace; one inside the quotes of a default does not count.
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

fn parse_variable(inside: &str) -> Result<Part, VariableFault> {
    match inside {
        "*" => return Ok(Part::Piece(Piece::Value('*'))),
        "?" => return Ok(Part::Piece(Piece::Value('?'))),
        "$" => return Ok(Part::Piece(Piece::Value('$'))),
        _ => {}
    }
    let (key, default) = match inside.split_once(',') {
        Some((key, default)) => (key, Some(parse_default(default.trim())?)),
        None => (inside, None),
    };
    if key.is_empty() {
        return Err(VariableFault::Empty);
    }
    if key.contains(char::is_whitespace) {
        return Err(VariableFault::Space);
    }
    if key.contains(['$', '{', '*', '?', '\'']) {
        return Err(VariableFault::Symbol);
    }
    Ok(Part::Variable { key: key.to_owned(), default })
}

fn parse_default(text: &str) -> Result<String, VariableFault> {
    let inner = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).ok_or(VariableFault::Quote)?;
    if inner.contains('\'') { Err(VariableFault::Quote) } else { Ok(inner.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(filled: &Filled) -> Option<String> {
        let Filled::Exact(pieces) = filled else { return None };
        Some(
            pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(character) | Piece::Value(character) => *character,
                    Piece::One => '?',
                    Piece::Many => '*',
                })
                .collect(),
        )
    }

    #[test]
    fn a_default_stands_in_only_for_an_absent_key() {
        let template = Template::parse("a-${aws:PrincipalTag/team, 'no}body'}-b").unwrap();
        assert_eq!(text_of(&template.fill(&Context::new())).unwrap(), "a-no}body-b");
        assert_eq!(text_of(&template.fill(&Context::new().with("AWS:principaltag/TEAM", ""))).unwrap(), "a--b");
        assert!(matches!(template.fill(&Context::partial()), Filled::Loose(_)));
    }

    #[test]
    fn a_value_is_never_a_wildcard() {
        let filled = Template::parse("${aws:username}").unwrap().fill(&Context::new().with("aws:username", "*"));
        assert_eq!(filled, Filled::Exact(vec![Piece::Value('*')]));
    }

    #[test]
    fn a_variable_without_value_matches_nothing() {
        assert_eq!(Template::parse("x${aws:username}*").unwrap().fill(&Context::new()), Filled::Nothing);
    }

    #[test]
    fn broken_variables_are_refused() {
        for (text, fault) in [
            ("${aws:username", VariableFault::Unclosed),
            ("${}", VariableFault::Empty),
            ("${aws: username}", VariableFault::Space),
            ("${a, b}", VariableFault::Quote),
            ("${a, 'b}", VariableFault::Unclosed),
            ("${a${b}}", VariableFault::Symbol),
            ("${a*}", VariableFault::Symbol),
            ("${, 'x'}", VariableFault::Empty),
        ] {
            assert_eq!(Template::parse(text), Err(fault), "{text}");
        }
        assert!(Template::parse("$ {x} $x }").is_ok());
    }
}
