//! The page around a step: head, languages, the list of steps, and the promise at its foot.

use aws_lambda_events::encodings::Body;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use shared::http::Response;

use super::asset::Assets;
use super::markup::escape;
use super::query::{PageQuery, PageStep};
use super::words::Words;
use super::{Language, PageSettings};

/// The one document.
const DOCUMENT: &str = include_str!("../../page/page.html");

/// What a page is made of.
pub(crate) struct Layout<'a> {
    /// Whose page it is.
    pub(crate) settings: &'a PageSettings,
    /// In which words.
    pub(crate) words: &'static Words,
    /// What its own links carry along.
    pub(crate) query: &'a PageQuery,
    /// The steps that it lists, and the one that is shown.
    pub(crate) steps: Option<(&'static [PageStep], PageStep)>,
    /// Its heading, which its title begins with.
    pub(crate) heading: String,
    /// After how many seconds a browser without a script loads it again.
    pub(crate) refresh_s: Option<u32>,
}

impl Layout<'_> {
    /// The answer with this status and this content below the heading. What is put in is HTML.
    pub(crate) fn response(&self, status: u16, content: &str) -> Response {
        let Self { settings, words, .. } = self;
        let operator = settings.operator_name.as_str();
        let assets = Assets::get();
        let logo = settings.logo_url.as_deref().map(|url| format!("<img src=\"{}\" alt=\"\">", escape(url)));
        let refresh = self
            .refresh_s
            .map(|seconds| format!("<noscript><meta http-equiv=\"refresh\" content=\"{seconds}\"></noscript>\n"));
        let heading = &self.heading;
        let plain = heading.replace("<b>", "").replace("</b>", "");
        let document = Fill(DOCUMENT)
            .with("language", words.language.code())
            .with("title", &format!("{plain} · {}", words.fill("title", &[("operator", operator)])))
            .with("icon", &assets.icon.path())
            .with("css_integrity", &assets.css.integrity)
            .with("css", &assets.css.path())
            .with("js_integrity", &assets.js.integrity)
            .with("js", &assets.js.path())
            .with("refresh", &refresh.unwrap_or_default())
            .with("skip", words.say("skip"))
            .with("operator", &format!("{}{}", logo.unwrap_or_default(), escape(operator)))
            .with("languages_label", words.say("languages"))
            .with("languages", &self.languages())
            .with("steps", &self.list_of_steps())
            .with("main", &format!("<h1>{heading}</h1>\n{content}"))
            .with("promise", &words.fill("promise", &[("operator", operator)]))
            .finish();
        html(status, document)
    }

    /// A link for every language but the one that is shown, each in its own words.
    fn languages(&self) -> String {
        let others = Language::ALL.into_iter().filter(|language| *language != self.words.language);
        let link = |language: Language| {
            let query = PageQuery { language: Some(language), ..self.query.clone() };
            let (code, name) = (language.code(), Words::of(language).say("language"));
            format!("<a href=\"{}\" lang=\"{code}\" hreflang=\"{code}\">{name}</a>", query.to_href())
        };
        others.map(link).collect()
    }

    fn list_of_steps(&self) -> String {
        let Some((steps, current)) = self.steps else { return String::new() };
        let item = |step: &PageStep| {
            let name = self.words.say(match step {
                PageStep::Policy => "step.policy",
                PageStep::User => "step.user",
                PageStep::Key => "step.key",
                PageStep::Paste => "step.paste",
                PageStep::Result => "step.result",
            });
            match *step {
                step if step == current => format!("<li><a aria-current=\"step\">{name}</a></li>"),
                // There is none before something was submitted.
                PageStep::Result => format!("<li>{name}</li>"),
                step => format!("<li><a href=\"{}\">{name}</a></li>", self.query.to(step).to_href()),
            }
        };
        let items: String = steps.iter().map(item).collect();
        format!("<nav aria-label=\"{}\"><ol class=\"steps\">{items}</ol></nav>\n", self.words.say("steps"))
    }
}

/// A document whose `{{names}}` are filled in one after the other; what was filled in is not looked at again, because each
/// name stands in it before all that follow.
struct Fill<'a>(&'a str);

impl<'a> Fill<'a> {
    fn with(self, name: &str, value: &str) -> Filled<'a> {
        Filled { done: String::with_capacity(8_192), rest: self.0 }.with(name, value)
    }
}

/// What is filled in so far, and what is left.
struct Filled<'a> {
    done: String,
    rest: &'a str,
}

impl Filled<'_> {
    fn with(mut self, name: &str, value: &str) -> Self {
        let marker = format!("{{{{{name}}}}}");
        if let Some((before, after)) = self.rest.split_once(marker.as_str()) {
            self.done.push_str(before);
            self.done.push_str(value);
            self.rest = after;
        }
        self
    }

    fn finish(mut self) -> String {
        self.done.push_str(self.rest);
        self.done
    }
}

/// An answer with a document.
fn html(status: u16, document: String) -> Response {
    let mut response = Response::default();
    response.status_code = i64::from(status);
    response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.body = Some(Body::Text(document));
    response
}
