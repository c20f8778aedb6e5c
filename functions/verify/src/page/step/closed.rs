//! A link that cannot be opened, and why.

use shared::record::{LinkEnd, LinkState};

use super::StepView;

impl StepView<'_> {
    /// Why, and whether this browser may go on all the same: after a click in a mail it does not send its session along, but
    /// with a form of the page itself it does.
    pub(crate) fn closed(&self, state: LinkState) -> String {
        let text = self.fill(match state {
            LinkState::Unopened | LinkState::Opened => "closed.used",
            LinkState::Completed => "closed.completed",
            LinkState::Expired => "closed.expired",
            LinkState::Ended(LinkEnd::Replaced) => "closed.replaced",
            LinkState::Ended(LinkEnd::Revoked) => "closed.revoked",
            LinkState::Ended(LinkEnd::Abandoned) => "closed.abandoned",
        });
        let go_on = match state {
            LinkState::Opened | LinkState::Completed => format!(
                "<form method=\"post\" action=\"{}\"><p><button>{}</button></p></form>\n",
                self.action("session"),
                self.words.say("closed.continue"),
            ),
            _ => String::new(),
        };
        format!("<div class=\"note\"><p>{text}</p></div>\n{go_on}")
    }
}
