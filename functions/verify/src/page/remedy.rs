//! Remedies of checks in other words than the API's. The API's own text finds them, so what a check says stands in one place:
//! where it is decided.

/// The blocks of one file.
pub(crate) struct Remedies(Vec<(&'static str, &'static str)>);

impl Remedies {
    /// Reads a file: blocks of two lines, the API's text and ours, with empty lines between them and comments.
    pub(crate) fn new(file: &'static str) -> Self {
        let mut lines = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut blocks = Vec::new();
        while let (Some(api), Some(ours)) = (lines.next(), lines.next()) {
            blocks.push((api, ours));
        }
        Self(blocks)
    }

    /// Our text for a text of the API's. What a text names is carried over, in our words if there are some.
    pub(crate) fn find(&self, text: &str) -> Option<String> {
        let (names, ours) = self.0.iter().find_map(|(api, ours)| matched(api, text).map(|names| (names, *ours)))?;
        Some(names.into_iter().fold(ours.to_owned(), |ours, (name, value)| {
            let value = self.find(value).unwrap_or_else(|| value.to_owned());
            ours.replace(&format!("{{{name}}}"), &value)
        }))
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
            "# x\n\nAllow {action} on {resource}.\nErlaube {action} auf {resource}!\n\nits own user\nsich\n\nEnd{more}\nEnde{more}\n",
        );
        assert_eq!(remedies.find("Allow a:B on its own user.").unwrap(), "Erlaube a:B auf sich!");
        assert_eq!(remedies.find("Allow a:B on *.").unwrap(), "Erlaube a:B auf *!");
        assert_eq!(remedies.find("End. And so on").unwrap(), "Ende. And so on");
        assert_eq!(remedies.find("End").unwrap(), "Ende");
        for other in ["Allow a:B on x", "Allow a:B.", "allow a on b.", ""] {
            assert_eq!(remedies.find(other), None, "{other}");
        }
    }
}
