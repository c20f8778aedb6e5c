//! User and access key: what to click in the console, in its words.

use std::fmt::Write as _;

use super::StepView;
use crate::page::query::PageStep;

impl StepView<'_> {
    /// Create the user.
    pub(crate) fn user(&self) -> String {
        let words = self.words;
        let link = self.console("/iam/home#/users/create", words.say("user.do.link"));
        format!(
            "<p>{}</p>\n<ol class=\"guide\">\n<li>{} {link}</li>\n<li>{}</li>\n<li>{}</li>\n<li>{}</li>\n</ol>\n{}",
            self.fill("user.why"),
            words.say("user.do.open"),
            words.say("user.do.name"),
            words.say("user.do.attach"),
            words.say("user.do.create"),
            self.next(PageStep::Key, words.say("step.key")),
        )
    }

    /// Create the access key.
    pub(crate) fn access_key(&self) -> String {
        let words = self.words;
        let link = self.console("/iam/home#/users", words.say("key.do.link"));
        let mut html = format!("<p>{}</p>\n", words.say("key.why"));
        if self.replaces_key() {
            let _ = writeln!(html, "<p>{}</p>", words.say("key.rotate"));
        }
        let _ = write!(
            html,
            "<ol class=\"guide\">\n<li>{} {link}</li>\n<li>{}</li>\n<li>{}</li>\n<li>{}</li>\n</ol>\n\
             <div class=\"note\"><p>{}</p></div>\n{}",
            words.say("key.do.open"),
            words.say("key.do.third"),
            words.say("key.do.tag"),
            words.say("key.do.show"),
            words.say("key.lost"),
            self.next(PageStep::Paste, words.say("step.paste")),
        );
        html
    }
}
