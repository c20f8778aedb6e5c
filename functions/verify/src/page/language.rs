//! The languages of the page.

/// A language that the page speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// English, which every check is written in.
    English,
    /// German.
    German,
}

impl Language {
    /// All of them, the first being what a browser gets that asks for none of them.
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::German];

    /// The language tag.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The language of a tag, by its first part.
    pub(crate) fn parse(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(primary))
    }

    /// All tags, for people.
    pub(crate) fn codes() -> String {
        Self::ALL.map(|language| format!("`{}`", language.code())).join(", ")
    }
}
