//! The languages of the page. To add one: a variant, its tag, and its two files.

use shared::http::Request;

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

    /// Its texts.
    pub(super) const fn texts(self) -> &'static str {
        match self {
            Self::English => include_str!("../../page/words/en.txt"),
            Self::German => include_str!("../../page/words/de.txt"),
        }
    }

    /// Its remedies.
    pub(super) const fn remedies(self) -> &'static str {
        match self {
            Self::English => include_str!("../../page/words/remedies.en.txt"),
            Self::German => include_str!("../../page/words/remedies.de.txt"),
        }
    }

    /// The language of a tag, by its first part.
    pub(crate) fn parse(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(primary))
    }

    /// The language that a browser prefers among these.
    pub(crate) fn of_browser(request: &Request) -> Option<Self> {
        let header = request.headers.get("accept-language")?.to_str().ok()?;
        let ranked = header.split(',').filter_map(|entry| {
            let (tag, quality) = entry.split_once(";q=").unwrap_or((entry, "1"));
            let quality = quality.trim().parse::<f32>().ok().filter(|quality| *quality > 0.0)?;
            Some((Self::parse(tag)?, quality))
        });
        // The first of equals, which `max_by` would not give.
        ranked
            .fold(None, |best: Option<(Self, f32)>, next| match best {
                Some(best) if best.1 >= next.1 => Some(best),
                _ => Some(next),
            })
            .map(|(language, _)| language)
    }

    /// All tags, for people.
    pub(crate) fn codes() -> String {
        Self::ALL.map(|language| format!("`{}`", language.code())).join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_the_language_that_it_prefers_of_those_there_are() {
        for (header, expected) in [
            ("de-DE,de;q=0.9,en;q=0.8", Some(Language::German)),
            ("fr-FR,fr;q=0.9,en;q=0.5,de;q=0.7", Some(Language::German)),
            ("en-GB,de", Some(Language::English)),
            ("de;q=0,en;q=0.1", Some(Language::English)),
            ("fr", None),
            ("", None),
        ] {
            let mut request = Request::default();
            request.headers.insert("accept-language", header.parse().unwrap());
            assert_eq!(Language::of_browser(&request), expected, "{header}");
        }
        assert_eq!(Language::of_browser(&Request::default()), None);
    }
}
