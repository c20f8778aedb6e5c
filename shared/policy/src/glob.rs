//! Globs: IAM's patterns with `*` and `?`, and matching a text in bounded time.

use std::sync::Arc;

/// One token of a glob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Token {
    /// This character.
    Literal(char),
    /// `?`: any one character.
    One,
    /// `*`: any characters, or none.
    Many,
    /// `?` inside a segment of an ARN: any one character but a colon.
    OneInSegment,
    /// `*` inside a segment of an ARN: any characters but colons, or none.
    ManyInSegment,
}

impl Token {
    /// Whether the token can consume this character.
    pub(crate) fn takes(self, character: char) -> bool {
        match self {
            Self::Literal(literal) => literal == character,
            Self::One | Self::Many => true,
            Self::OneInSegment | Self::ManyInSegment => character != ':',
        }
    }

    /// Whether the token is a star: it may consume any number of characters, or none.
    pub(crate) const fn repeats(self) -> bool {
        matches!(self, Self::Many | Self::ManyInSegment)
    }
}

/// A whole pattern. Adjacent stars are merged into one, so globs that match the same texts are usually equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Glob {
    tokens: Arc<[Token]>,
    /// What every match begins with. Most texts differ there already.
    prefix: Arc<str>,
    /// Whether a star stays inside its segment.
    segmented: bool,
    /// Whether there are no wildcards.
    literal: bool,
}

impl Glob {
    /// A glob of these tokens.
    pub(crate) fn new(all: impl IntoIterator<Item = Token>) -> Self {
        let mut tokens: Vec<Token> = Vec::new();
        for token in all {
            match (tokens.last_mut(), token) {
                (Some(Token::Many), Token::Many | Token::ManyInSegment)
                | (Some(Token::ManyInSegment), Token::ManyInSegment) => {}
                (Some(last @ Token::ManyInSegment), Token::Many) => *last = Token::Many,
                _ => tokens.push(token),
            }
        }
        let literal = tokens.iter().all(|token| matches!(token, Token::Literal(_)));
        let prefix: String = tokens
            .iter()
            .map_while(|token| if let Token::Literal(literal) = token { Some(*literal) } else { None })
            .collect();
        Self {
            segmented: tokens.contains(&Token::ManyInSegment),
            literal,
            prefix: prefix.into(),
            tokens: tokens.into(),
        }
    }

    /// Parses `*` and `?` as wildcards and everything else literally.
    pub(crate) fn parse(text: &str) -> Self {
        Self::new(text.chars().map(|character| match character {
            '*' => Token::Many,
            '?' => Token::One,
            literal => Token::Literal(literal),
        }))
    }

    /// The glob that matches everything.
    pub(crate) fn anything() -> Self {
        Self::new([Token::Many])
    }

    pub(crate) fn is_anything(&self) -> bool {
        *self.tokens == [Token::Many]
    }

    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The one text that it matches, if it has no wildcards.
    pub(crate) fn literal(&self) -> Option<&str> {
        self.literal.then_some(&*self.prefix)
    }

    /// Whether it matches the whole text.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.matches_within(text, &mut { u64::MAX })
    }

    /// The same, and takes its cost in nanoseconds off `left`, at most about |pattern| × |text|. The result means
    /// nothing once none is left.
    pub(crate) fn matches_within(&self, text: &str, left: &mut u64) -> bool {
        *left = left.saturating_sub(10);
        if !text.starts_with(&*self.prefix) {
            return false;
        }
        if self.literal {
            return text.len() == self.prefix.len();
        }
        if self.segmented {
            *left = left.saturating_sub(2 * self.tokens.len() as u64);
            self.matches_by_segment(text, left).unwrap_or_else(|| self.matches_by_position(text, left))
        } else {
            matches_greedily(&self.tokens, text, left)
        }
    }

    /// Matches segments one by one, as long as none of their tokens can take a colon; `None` if what remains has both
    /// kinds of stars.
    fn matches_by_segment(&self, text: &str, left: &mut u64) -> Option<bool> {
        let (mut tokens, mut rest) = (&*self.tokens, text);
        let mut fits = true;
        while let Some(colon) = tokens.iter().position(|token| *token == Token::Literal(':')) {
            let (segment, after) = (&tokens[..colon], &tokens[colon + 1..]);
            if segment.iter().any(|token| matches!(token, Token::One | Token::Many)) {
                // Only the tail may contain tokens that take colons.
                break;
            }
            match rest.split_once(':') {
                Some((part, remainder)) => {
                    fits &= matches_greedily(segment, part, left);
                    rest = remainder;
                }
                None => fits = false,
            }
            tokens = after;
        }
        if tokens.contains(&Token::ManyInSegment) {
            if tokens.iter().any(|token| matches!(token, Token::One | Token::Many)) {
                return None;
            }
            fits &= !rest.contains(':');
        }
        Some(fits && matches_greedily(tokens, rest, left))
    }

    /// Tracks all positions that the pattern can be in, character by character.
    fn matches_by_position(&self, text: &str, left: &mut u64) -> bool {
        let mut at = vec![false; self.tokens.len() + 1];
        let mut next = at.clone();
        at[0] = true;
        self.pass_stars(&mut at);
        for character in text.chars() {
            *left = left.saturating_sub(3 * self.tokens.len() as u64);
            if *left == 0 {
                return false;
            }
            next.fill(false);
            for (position, token) in self.tokens.iter().enumerate().filter(|(position, _)| at[*position]) {
                if token.takes(character) {
                    next[if token.repeats() { position } else { position + 1 }] = true;
                }
            }
            self.pass_stars(&mut next);
            std::mem::swap(&mut at, &mut next);
        }
        at[self.tokens.len()]
    }

    fn pass_stars(&self, at: &mut [bool]) {
        for (position, token) in self.tokens.iter().enumerate() {
            if token.repeats() && at[position] {
                at[position + 1] = true;
            }
        }
    }

    /// A cheap proof that this glob matches every text that `other` matches: `false` means "not proven", not "no".
    pub(crate) fn plainly_covers(&self, other: &Self) -> bool {
        self == other
            || self.is_prefix_of(other)
            || (!self.literal && other.literal().is_some_and(|text| self.matches(text)))
    }

    /// `a*b*` covers every pattern that begins with `a*b`.
    fn is_prefix_of(&self, other: &Self) -> bool {
        self.tokens.split_last().is_some_and(|(last, start)| *last == Token::Many && other.tokens.starts_with(start))
    }

    /// A text that it matches: stars become `star`, question marks `one`.
    pub(crate) fn example(&self, star: &str, one: char) -> String {
        let mut text = String::new();
        for token in self.tokens.iter() {
            match token {
                Token::Literal(literal) => text.push(*literal),
                Token::One | Token::OneInSegment => text.push(one),
                Token::Many | Token::ManyInSegment => text.push_str(star),
            }
        }
        text
    }
}

/// With one kind of star, remembering the last star is enough: giving an earlier one more text never helps.
fn matches_greedily(tokens: &[Token], text: &str, left: &mut u64) -> bool {
    let (mut token, mut rest) = (0, text);
    let mut retry: Option<(usize, &str)> = None;
    while *left > 0 {
        *left = left.saturating_sub(3);
        match (tokens.get(token), rest.chars().next()) {
            (Some(step), _) if step.repeats() => {
                token += 1;
                retry = Some((token, rest));
            }
            (Some(step), Some(character)) if step.takes(character) => {
                token += 1;
                rest = &rest[character.len_utf8()..];
            }
            (None, None) => return true,
            _ => {
                let Some((after_star, from)) = retry else { return false };
                let Some(given) = from.chars().next() else { return false };
                rest = &from[given.len_utf8()..];
                retry = Some((after_star, rest));
                token = after_star;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_is_any_text_and_question_mark_is_one_character() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a:b/c", true),
            ("?", "", false),
            ("?", "é", true),
            ("?", "ab", false),
            ("a*c", "abbc", true),
            ("a*c", "ab", false),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxcxxb", false),
            ("*?*?", "a", false),
            ("*?*?", "ab", true),
            ("a**b", "ab", true),
            ("*ab", "aab", true),
            ("a?c*", "abc", true),
        ] {
            assert_eq!(Glob::parse(pattern).matches(text), fits, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_star_in_a_segment_stops_at_the_colon() {
        let glob = Glob::new([Token::Literal('a'), Token::ManyInSegment, Token::Literal('b'), Token::Many]);
        assert!(glob.matches("axxb:c"));
        assert!(!glob.matches("a:b"));
        assert!(glob.matches("ab"));
    }

    #[test]
    fn matching_by_segment_is_matching_by_position() {
        let tokens = [Token::Literal('a'), Token::Literal(':'), Token::ManyInSegment, Token::OneInSegment, Token::Many];
        let texts = ["", "a", "a:", "aa", "a:a", "a:aa", ":", "a::", "a:a:a", "aa:a", "a:a:", "::a", ":a:a"];
        for number in 0..5_usize.pow(4) {
            let glob = Glob::new((0..4).map(|place| tokens[number / 5_usize.pow(place) % 5]));
            for text in texts {
                assert_eq!(
                    glob.matches(text),
                    glob.matches_by_position(text, &mut { u64::MAX }),
                    "{glob:?} on {text:?}"
                );
            }
        }
    }

    #[test]
    fn a_long_hostile_pattern_is_matched_in_bounded_time() {
        let pattern = Glob::parse(&"*a".repeat(3_000));
        assert!(!pattern.matches(&"a".repeat(2_000)));
        assert!(pattern.matches(&"a".repeat(3_000)));
    }
}
