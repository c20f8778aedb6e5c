//! The form for the key. With a script it is checked for what people paste by mistake before anything is sent.

use std::fmt::Write as _;

use shared::record::{LinkSubmission, OnboardingLink, RegionSuggestion};
use shared::tenant::Region;

use super::StepView;
use crate::page::markup::escape;

/// The form's word for a Region that the key's account is to show.
pub(crate) const FIND_REGION: &str = "find";

/// The Regions that a link's tenant may choose from.
pub(crate) fn offered_regions(link: &OnboardingLink) -> Vec<Region> {
    let regions = &link.purpose.regions;
    if regions.is_empty() { Region::all().collect() } else { regions.clone() }
}

impl StepView<'_> {
    /// The form, and the place for the checks. `latest` is the submission before: its checks are not shown again, and the Region that
    /// it suggests is.
    pub(crate) fn paste(&self, latest: Option<&LinkSubmission>) -> String {
        let words = self.words;
        let mut html = format!("<p>{}</p>\n", words.say("paste.why"));
        let wrong = ["swapped", "temporary", "id", "smtp", "session", "secret", "csv", "root"];
        let data: String = wrong.iter().fold(String::new(), |mut data, name| {
            let _ = write!(data, " data-{name}=\"{}\"", escape(words.say(&format!("wrong.{name}"))));
            data
        });
        let _ = write!(
            html,
            "<form id=\"key\" method=\"post\" action=\"{}\" autocomplete=\"off\">\n\
             <p id=\"wrong\" class=\"wrong\" role=\"alert\" hidden{data}></p>\n\
             <label for=\"access-key-id\">{}</label>\n<p class=\"hint\" id=\"id-hint\">{}</p>\n\
             <input id=\"access-key-id\" name=\"access_key_id\" required aria-describedby=\"id-hint wrong\" maxlength=\"200\" spellcheck=\"false\" autocapitalize=\"none\" autocomplete=\"off\">\n\
             <label for=\"secret\">{}</label>\n<p class=\"hint\" id=\"secret-hint\">{}</p>\n\
             <input id=\"secret\" name=\"secret_access_key\" type=\"password\" required aria-describedby=\"secret-hint wrong\" maxlength=\"1000\" autocomplete=\"off\">\n\
             <div hidden><label for=\"csv\">{}</label>\n<p class=\"hint\" id=\"csv-hint\">{}</p>\n\
             <input id=\"csv\" type=\"file\" accept=\".csv,text/csv\" aria-describedby=\"csv-hint\"></div>\n",
            self.action("key"),
            words.say("paste.id"),
            words.say("paste.id.hint"),
            words.say("paste.secret"),
            words.say("paste.secret.hint"),
            words.say("paste.csv"),
            words.say("paste.csv.hint"),
        );
        let report = latest.and_then(|latest| latest.result.as_ref()?.report.as_ref());
        html.push_str(&self.region_field(report.and_then(|report| report.region_suggestion.as_ref())));
        let _ = write!(
            html,
            "<p><button>{}</button></p>\n</form>\n\
             <section id=\"checking\" aria-labelledby=\"checking-title\" hidden>\n<h2 id=\"checking-title\" tabindex=\"-1\" class=\"busy\">{}</h2>\n<p>{}</p>\n\
             <ul id=\"checks\" class=\"checks\" aria-live=\"polite\" aria-relevant=\"additions\" data-progress=\"{}\" data-next=\"{}\" data-before=\"{}\"></ul>\n</section>\n",
            words.say("paste.send"),
            words.say("checking.title"),
            words.say("checking.why"),
            self.action("progress"),
            self.result_path(),
            latest.map(|latest| latest.submission.as_str()).unwrap_or_default(),
        );
        html
    }

    /// Asked only if more than one Region may be meant. The one is chosen in advance in which the key was seen to have identities.
    fn region_field(&self, suggestion: Option<&RegionSuggestion>) -> String {
        let words = self.words;
        if let [region] = self.link.purpose.regions.as_slice() {
            let one = words.fill("paste.region.one", &[("region", region.as_str())]);
            return format!("<p>{one}</p>\n");
        }
        let verified_in = suggestion.map(|suggestion| suggestion.verified_in.as_slice()).unwrap_or_default();
        let mut html = String::new();
        if let Some(doubted) = suggestion.and_then(|suggestion| suggestion.chosen) {
            let _ = writeln!(html, "<input type=\"hidden\" name=\"doubted_region\" value=\"{doubted}\">");
        }
        let hint = match verified_in {
            [] => words.say("paste.region.hint").to_owned(),
            regions => {
                let names: Vec<&str> = regions.iter().map(|region| region.as_str()).collect();
                words.fill("paste.region.verified", &[("regions", &names.join(", "))])
            }
        };
        let chosen = match verified_in {
            [region] => Some(*region),
            _ => None,
        };
        let first = match suggestion {
            None => format!("<option value=\"{FIND_REGION}\">{}</option>", words.say("paste.region.find")),
            Some(_) => format!("<option value=\"\">{}</option>", words.say("paste.region.choose")),
        };
        let option = |region: Region| {
            let selected = if chosen == Some(region) { " selected" } else { "" };
            format!("<option{selected}>{region}</option>")
        };
        let options: String = offered_regions(self.link).into_iter().map(option).collect();
        let _ = write!(
            html,
            "<label for=\"region\">{}</label>\n<p class=\"hint\" id=\"region-hint\">{hint}</p>\n\
             <select id=\"region\" name=\"region\" required aria-describedby=\"region-hint\">{first}{options}</select>\n",
            words.say("paste.region"),
        );
        html
    }
}
