//! The words of the page, a file for each language, and the remedies of checks in them.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Language;
use super::markup::escape;
use super::remedy::Remedies;

/// The words of one language. A text may contain HTML; what is filled in is escaped.
pub(crate) struct Words {
    /// The language.
    pub(crate) language: Language,
    texts: HashMap<&'static str, &'static str>,
    remedies: Remedies,
}

static WORDS: LazyLock<[Words; Language::ALL.len()]> = LazyLock::new(|| Language::ALL.map(Words::new));

impl Words {
    /// The words of a language.
    pub(crate) fn of(language: Language) -> &'static Self {
        let index = Language::ALL.iter().position(|known| *known == language).unwrap_or(0);
        &WORDS[index]
    }

    fn new(language: Language) -> Self {
        let texts =
            language.texts().lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
        Self { language, texts: texts.collect(), remedies: Remedies::new(language.remedies()) }
    }

    /// The text of a key. One that is missing is its own key; a test says which those are.
    pub(crate) fn say<'a>(&self, key: &'a str) -> &'a str {
        self.texts.get(key).copied().unwrap_or(key)
    }

    /// The text of a key that is put together from a family and a word.
    pub(crate) fn text(&self, family: &str, word: &'static str) -> &'static str {
        self.texts.get(format!("{family}{word}").as_str()).copied().unwrap_or(word)
    }

    /// The text of a key, with names filled in.
    pub(crate) fn fill(&self, key: &str, names: &[(&str, &str)]) -> String {
        names
            .iter()
            .fold(self.say(key).to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), &escape(value)))
    }

    /// What can be done about a check, as plain text: a text of the API in this language. Where there is none, English says it
    /// as the API does, and every other language what can be done in general.
    pub(crate) fn remedy(&self, text: &str) -> String {
        match self.remedies.find(text) {
            Some(found) => found,
            None if self.language == Language::English => text.to_owned(),
            None => self.say("mend.any").to_owned(),
        }
    }

    /// Whether there is a text for exactly this remedy.
    #[cfg(test)]
    pub(crate) fn knows_remedy(&self, text: &str) -> bool {
        self.remedies.find(text).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::record::{CheckName, CheckOutcome};

    use super::*;

    /// The sources that say something.
    const SOURCES: [&str; 14] = [
        include_str!("../route/get_page.rs"),
        include_str!("step/mod.rs"),
        include_str!("layout.rs"),
        include_str!("problem_page.rs"),
        include_str!("remedy.rs"),
        include_str!("words.rs"),
        include_str!("step/checks.rs"),
        include_str!("step/closed.rs"),
        include_str!("step/guide.rs"),
        include_str!("step/paste.rs"),
        include_str!("step/policy.rs"),
        include_str!("step/repair.rs"),
        include_str!("step/result.rs"),
        include_str!("step/start.rs"),
    ];

    fn names(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_language_says_the_same_things_with_the_same_names() {
        let english = Words::of(Language::English);
        for language in Language::ALL {
            let words = Words::of(language);
            let missing: Vec<_> = english.texts.keys().filter(|key| !words.texts.contains_key(*key)).collect();
            let unknown: Vec<_> = words.texts.keys().filter(|key| !english.texts.contains_key(*key)).collect();
            assert!(missing.is_empty() && unknown.is_empty(), "{language:?}: {missing:?} {unknown:?}");
            for (key, text) in &words.texts {
                assert_eq!(names(text), names(english.texts[key]), "{language:?} {key}");
                assert!(!text.trim().is_empty(), "{language:?} {key}");
            }
        }
    }

    #[test]
    fn every_text_that_the_page_asks_for_is_there_and_no_other() {
        let english = Words::of(Language::English);
        let mut asked = BTreeSet::new();
        for source in SOURCES {
            let source = source.split("#[cfg(test)]").next().unwrap();
            for call in ["say(\"", "fill(\"", "key: \""] {
                let calls = source.split(call).skip(1).filter_map(|rest| rest.split_once('"'));
                asked.extend(calls.map(|(key, _)| key.to_owned()));
            }
        }
        for key in &asked {
            assert!(english.texts.contains_key(key.as_str()), "{key} is said and there is no text");
        }
        for name in CheckName::ALL {
            asked.insert(format!("check.{}", name.as_str()));
        }
        for outcome in CheckOutcome::ALL {
            asked.insert(format!("outcome.{}", outcome.as_str()));
        }
        // Put together from a word of a state, a result or a status.
        let families = [
            "says.",
            "wrong.",
            "closed.",
            "error.",
            "result.",
            "step.",
            "start.",
            "asks",
            "policy.",
            "repair.",
            "reason.",
            "checking.",
        ];
        for key in english.texts.keys() {
            let known = asked.contains(*key) || families.iter().any(|family| key.starts_with(family));
            assert!(known, "{key} is a text that nobody says");
        }
    }

    #[test]
    fn what_is_filled_in_is_no_markup() {
        let words = Words::of(Language::English);
        let text = words.fill("start.who", &[("operator", "<script>"), ("name", "a & \"b\"")]);
        assert!(text.starts_with("<b>&lt;script&gt;</b>") && text.contains("a &amp; &quot;b&quot;"), "{text}");
    }
}
