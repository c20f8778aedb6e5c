//! The policy: the document to paste, and what each of its statements lets us do and keeps from us.

use std::fmt::Write as _;

use shared::policy::{PolicyStyle, published};

use super::StepView;
use crate::page::markup::escape;
use crate::page::query::{PageQuery, PageStep};

/// The statements of the current hardened policy, by their Sid. A test compares them with the document.
const HARDENED: [&str; 9] = [
    "SesAccountLevel",
    "SesSend",
    "SesEvents",
    "OwnUser",
    "ReadGroups",
    "ReadPolicies",
    "NothingElse",
    "NoOtherUser",
    "NoSessions",
];

/// Those of the classic one, which have no Sid.
const CLASSIC: [&str; 2] = ["classic.1", "classic.2"];

impl StepView<'_> {
    /// The policy of the style that is chosen, or the question for the account that it has to name.
    pub(crate) fn policy(&self) -> String {
        let (words, style) = (self.words, self.query.style);
        let classic = style == PolicyStyle::Classic;
        let mut html = format!("<p>{}</p>\n", self.fill(if classic { "policy.why.classic" } else { "policy.why" }));
        let document = published(style.version()).and_then(|policy| match (style, self.account_id()) {
            (PolicyStyle::Classic, _) => policy.document(""),
            (PolicyStyle::Hardened, account_id) => policy.document(account_id?),
        });
        let Some(document) = document else {
            html.push_str(&self.account_form());
            html.push_str(&self.other_style());
            return html;
        };
        if let (false, Some(account_id)) = (classic, self.account_id()) {
            let is = words.fill("policy.account.is", &[("account", account_id)]);
            let change = match self.link.purpose.account_id {
                Some(_) => String::new(),
                None => {
                    let query = PageQuery { account: None, ..self.query.to(PageStep::Policy) };
                    format!(" <a href=\"{}\">{}</a>", query.to_href(), words.say("policy.account.change"))
                }
            };
            let _ = writeln!(html, "<p>{is}{change}</p>");
        }
        let link = self.console("/iam/home#/policies/create", words.say("policy.do.link"));
        let _ = write!(
            html,
            "<ol class=\"guide\">\n<li>{} {link}</li>\n<li>{}\n{}</li>\n<li>{}</li>\n</ol>\n",
            words.say("policy.do.open"),
            words.say("policy.do.json"),
            self.copied(&document),
            words.say("policy.do.next"),
        );
        html.push_str(&match PageStep::of(self.link.purpose.intent).contains(&PageStep::User) {
            true => self.next(PageStep::User, words.say("step.user")),
            false => self.next(PageStep::Paste, words.say("step.paste")),
        });
        html.push_str(&self.other_style());
        html.push_str(&self.statements(if classic { &CLASSIC } else { &HARDENED }));
        html
    }

    fn account_form(&self) -> String {
        let words = self.words;
        let wrong = match self.query.account.as_deref() {
            Some(typed) if !typed.is_empty() => {
                format!("<p class=\"wrong\" id=\"account-wrong\">{}</p>\n", words.say("policy.account.wrong"))
            }
            _ => String::new(),
        };
        let language = self
            .query
            .language
            .map(|language| format!("<input type=\"hidden\" name=\"lang\" value=\"{}\">", language.code()));
        format!(
            "<form method=\"get\"><input type=\"hidden\" name=\"step\" value=\"policy\">{}\n\
             <label for=\"account\">{}</label>\n<p class=\"hint\" id=\"account-hint\">{}</p>\n{wrong}\
             <input id=\"account\" name=\"account\" inputmode=\"numeric\" autocomplete=\"off\" maxlength=\"20\" required aria-describedby=\"account-hint\"{}>\n\
             <p><button>{}</button></p></form>\n",
            language.unwrap_or_default(),
            words.say("policy.account"),
            words.say("policy.account.hint"),
            if wrong.is_empty() { "" } else { " aria-invalid=\"true\"" },
            words.say("policy.account.show"),
        )
    }

    /// The document, with a button that copies it where there is a script.
    fn copied(&self, document: &str) -> String {
        let words = self.words;
        format!(
            "<pre id=\"policy\" tabindex=\"0\" role=\"region\" aria-label=\"{}\" lang=\"en\" translate=\"no\">{}</pre>\n\
             <button type=\"button\" class=\"second\" data-copies=\"policy\" data-done=\"{}\" data-selected=\"{}\" hidden>{}</button> \
             <span role=\"status\"></span>",
            words.say("policy.document"),
            escape(document),
            words.say("copy.done"),
            words.say("copy.selected"),
            words.say("copy"),
        )
    }

    fn other_style(&self) -> String {
        let (text, to, style) = match self.query.style {
            PolicyStyle::Hardened => ("policy.classic", "policy.to.classic", PolicyStyle::Classic),
            PolicyStyle::Classic => ("policy.recommended", "policy.to.hardened", PolicyStyle::Hardened),
        };
        let query = PageQuery { style, ..self.query.to(PageStep::Policy) };
        format!(
            "<p class=\"quiet\">{} <a href=\"{}\">{}</a></p>\n",
            self.words.say(text),
            query.to_href(),
            self.words.say(to)
        )
    }

    fn statements(&self, sids: &[&str]) -> String {
        let words = self.words;
        let mut html = format!("<h2>{}</h2>\n<dl class=\"says\">\n", words.say("policy.says"));
        for (number, sid) in sids.iter().enumerate() {
            let name = if sid.starts_with("classic") { (number + 1).to_string() } else { (*sid).to_owned() };
            let lets = words.say("says.lets").replace("{text}", words.say(&format!("says.{sid}.lets")));
            let keeps = words.say("says.keeps").replace("{text}", words.say(&format!("says.{sid}.keeps")));
            let _ = writeln!(html, "<dt><code lang=\"en\">{name}</code></dt><dd>{lets}</dd><dd>{keeps}</dd>");
        }
        html.push_str("</dl>\n");
        html
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::page::Language;
    use crate::page::words::Words;

    #[test]
    fn every_statement_of_both_policies_is_explained_in_every_language() {
        let document = |style: PolicyStyle| -> Value {
            let text = published(style.version()).unwrap().document("171436882533").unwrap();
            serde_json::from_str(&text).unwrap()
        };
        let hardened = document(PolicyStyle::Hardened);
        let sids: Vec<_> =
            hardened["Statement"].as_array().unwrap().iter().map(|one| one["Sid"].as_str().unwrap()).collect();
        assert_eq!(sids, HARDENED);
        assert_eq!(document(PolicyStyle::Classic)["Statement"].as_array().unwrap().len(), CLASSIC.len());
        for language in Language::ALL {
            for sid in HARDENED.iter().chain(&CLASSIC) {
                for part in ["lets", "keeps"] {
                    let key = format!("says.{sid}.{part}");
                    assert_ne!(Words::of(language).say(&key), key, "{language:?}");
                }
            }
        }
    }
}
