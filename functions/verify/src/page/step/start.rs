//! Before the link is opened: who asks for what, and the click that opens it. A program that follows links in mails does not
//! click.

use shared::record::LinkIntent;

use super::StepView;

impl StepView<'_> {
    /// The heading.
    pub(crate) fn start_heading(&self) -> String {
        self.fill(match self.link.purpose.intent {
            LinkIntent::Connect => "asks",
            LinkIntent::Rotate => "asks.rotate",
            LinkIntent::Repair => "asks.repair",
        })
    }

    /// Who asks, and the form that exchanges the code.
    pub(crate) fn start(&self) -> String {
        let (who, how) = match self.link.purpose.intent {
            LinkIntent::Connect => ("start.who", "start.how"),
            LinkIntent::Rotate => ("start.who.rotate", "start.how.rotate"),
            LinkIntent::Repair => ("start.who.repair", "start.how.repair"),
        };
        let direct = match self.repairs() {
            true => String::new(),
            false => format!("<p>{}</p>\n", self.fill("start.direct")),
        };
        let name = self.link.purpose.name.as_str();
        let who = self.words.fill(who, &[("operator", self.operator), ("name", name)]);
        let wrong = match self.query.wrong_code {
            true => format!("<div class=\"note bad\" role=\"alert\"><p>{}</p></div>\n", self.fill("closed.code")),
            false => String::new(),
        };
        let expires = self.link.expires_at.strftime("%Y-%m-%d %H:%M UTC").to_string();
        format!(
            "{wrong}<p>{who}</p>\n<p>{}</p>\n{direct}{}<p class=\"quiet\">{}</p>\n",
            self.words.say(how),
            self.code_form("start.begin"),
            self.words.fill("start.once", &[("expires", &expires)]),
        )
    }

    /// The form: with a script the code comes from the address bar, without one it is pasted.
    pub(super) fn code_form(&self, button: &str) -> String {
        let words = self.words;
        format!(
            "<form id=\"begin\" method=\"post\" action=\"{}\" autocomplete=\"off\">\n\
             <div id=\"code-field\"><label for=\"code\">{}</label>\n\
             <p class=\"hint\" id=\"code-hint\">{}</p>\n\
             <input id=\"code\" name=\"code\" aria-describedby=\"code-hint\" maxlength=\"60\" spellcheck=\"false\" autocapitalize=\"none\"></div>\n\
             <p><button>{}</button></p>\n</form>\n",
            self.action("session"),
            words.say("start.code"),
            words.say("start.code.hint"),
            words.say(button),
        )
    }
}
