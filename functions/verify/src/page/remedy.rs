//! Remedies of checks in other words than the API's. The API's own text finds them, so what a check says stands in one place:
//! where it is decided.

/// The blocks of one file.
pub(crate) struct Remedies {
    /// Whole texts.
    texts: Vec<(&'static str, &'static str)>,
    /// Sentences of texts that are put together from several.
    sentences: Vec<(&'static str, &'static str)>,
    /// What texts and sentences name.
    names: Vec<(&'static str, &'static str)>,
}

/// What the first line of a block begins with that is a sentence.
const SENTENCE: char = '…';

/// What the first line of a block begins with that is a name.
const NAME: char = '=';

impl Remedies {
    /// Reads a file: blocks of two lines, the API's text and ours, with empty lines between them and comments. A block whose first
    /// line begins with `…` is a sentence, one with `=` a name.
    pub(crate) fn new(file: &'static str) -> Self {
        let mut lines = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (mut texts, mut sentences, mut names) = (Vec::new(), Vec::new(), Vec::new());
        while let (Some(api), Some(ours)) = (lines.next(), lines.next()) {
            match (api.strip_prefix(SENTENCE), api.strip_prefix(NAME)) {
                (Some(sentence), _) => sentences.push((sentence, ours)),
                (None, Some(name)) => names.push((name, ours)),
                (None, None) => texts.push((api, ours)),
            }
        }
        Self { texts, sentences, names }
    }

    /// Our text for a text of the API's, or for each of its sentences. What a text names is carried over, in our words if there
    /// are some.
    pub(crate) fn find(&self, text: &str) -> Option<String> {
        self.find_in(&self.texts, text).or_else(|| self.find_sentences(text))
    }

    fn find_in(&self, blocks: &[(&'static str, &'static str)], text: &str) -> Option<String> {
        let (names, ours) = blocks.iter().find_map(|(api, ours)| matched(api, text).map(|names| (names, *ours)))?;
        Some(
            names
                .into_iter()
                .fold(ours.to_owned(), |ours, (name, value)| ours.replace(&format!("{{{name}}}"), &self.value(value))),
        )
    }

    /// A text of which each sentence is known. Values of policies may hold what looks like the end of one, so a sentence ends
    /// where it is first known.
    fn find_sentences(&self, text: &str) -> Option<String> {
        let (mut found, mut rest) = (Vec::new(), text);
        loop {
            let ends = rest.match_indices(". ").map(|(place, _)| place + 1).chain([rest.len()]);
            let (end, ours) =
                ends.into_iter().find_map(|end| Some((end, self.find_in(&self.sentences, &rest[..end])?)))?;
            found.push(ours);
            match rest.get(end + 1..) {
                Some(others) => rest = others,
                None => return Some(found.join(" ")),
            }
        }
    }

    /// What a text names: one thing, or several behind each other.
    fn value(&self, value: &str) -> String {
        let each = |one: &str| self.find_in(&self.names, one).unwrap_or_else(|| one.to_owned());
        value.split("; ").map(each).collect::<Vec<_>>().join("; ")
    }
}

/// What `{…}` in a template stand for, if the text is of that form.
fn matched<'a>(template: &'static str, text: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
    let mut parts = template.split('{');
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut names = Vec::new();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let (name, literal) = part.split_once('}')?;
        let end = match (parts.peek(), literal) {
            (None, literal) => rest.strip_suffix(literal)?.len(),
            (Some(_), literal) => rest.find(literal)?,
        };
        names.push((name, &rest[..end]));
        rest = &rest[end + literal.len()..];
    }
    rest.is_empty().then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_by_its_form_and_what_it_names_is_carried_over() {
        let remedies = Remedies::new(
            "# x\n\nAllow {action} on {resource}.\nErlaube {action} auf {resource}!\n\n=its own user\nsich\n\nEnd{more}\nEnde{more}\n",
        );
        assert_eq!(remedies.find("Allow a:B on its own user.").unwrap(), "Erlaube a:B auf sich!");
        assert_eq!(remedies.find("Allow a:B on *.").unwrap(), "Erlaube a:B auf *!");
        assert_eq!(remedies.find("End. And so on").unwrap(), "Ende. And so on");
        assert_eq!(remedies.find("End").unwrap(), "Ende");
        for other in ["Allow a:B on x", "Allow a:B.", "allow a on b.", ""] {
            assert_eq!(remedies.find(other), None, "{other}");
        }
    }

    #[test]
    fn a_text_of_several_sentences_is_found_by_each_of_them() {
        let remedies = Remedies::new(
            "…{by} has \"{condition}\".\n„{condition}“ steht in {by}.\n\n…Mend it.\nÄndern Sie es.\n\n=line {number}\nZeile {number}\n",
        );
        for (text, expected) in [
            ("line 3 has \"x\". Mend it.", Some("„x“ steht in Zeile 3. Ändern Sie es.")),
            ("line 3; line 4 has \"a. b\". Mend it.", Some("„a. b“ steht in Zeile 3; Zeile 4. Ändern Sie es.")),
            ("Mend it.", Some("Ändern Sie es.")),
            ("Mend it. Or not.", None),
            ("Or not. Mend it.", None),
        ] {
            assert_eq!(remedies.find(text).as_deref(), expected, "{text}");
        }
    }
}
