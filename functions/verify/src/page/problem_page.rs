//! Problems as a person sees them: the page with what to do, in the place of `application/problem+json`.

use shared::http::{Request, Response};

use super::layout::Layout;
use super::query::PageQuery;
use super::words::Words;
use super::{Language, PageSettings};

/// The answer to show instead of a problem. It has the problem's status and `Retry-After`, and no words of the API.
pub(crate) fn problem_page(problem: Response, request: &Request, settings: &PageSettings) -> Response {
    let query = PageQuery::from_request(request);
    let language = query.language.or_else(|| Language::of_browser(request)).unwrap_or(Language::English);
    let words = Words::of(language);
    let status = u16::try_from(problem.status_code).unwrap_or(500);
    let text = words.say(match status {
        404 => "error.404",
        403 => "error.403",
        429 => "error.429",
        503 => "error.503",
        400..500 => "error.400",
        _ => "error.500",
    });
    let layout = Layout {
        settings,
        words,
        query: &query,
        steps: None,
        heading: words.say("error.title").to_owned(),
        refresh_s: None,
    };
    let again = match request.path_parameters.get("link_id") {
        Some(_) if status >= 500 => {
            format!("<p><a class=\"button\" href=\"{}\">{}</a></p>\n", link_path(request), words.say("error.again"))
        }
        _ => String::new(),
    };
    let mut response = layout.response(status, &format!("<div class=\"note bad\"><p>{text}</p></div>\n{again}"));
    if let Some(after) = problem.headers.get(http::header::RETRY_AFTER) {
        response.headers.insert(http::header::RETRY_AFTER, after.clone());
    }
    response
}

/// The path of the link's page, of which only an id is taken over.
fn link_path(request: &Request) -> String {
    let id = request.path_parameters.get("link_id").map(String::as_str).unwrap_or_default();
    shared::id::LinkId::parse(id).map_or_else(|_| "/".to_owned(), |id| format!("/connect/{id}"))
}
