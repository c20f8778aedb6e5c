//! The form for the key. With a script it is checked for what people paste by mistake before anything is sent.

use std::fmt::Write as _;

use shared::tenant::Region;

use super::StepView;
use crate::page::markup::escape;

impl StepView<'_> {
    /// The form, and the place for the checks. `latest` is the submission before, whose checks are not shown again.
    pub(crate) fn paste(&self, latest: Option<&str>) -> String {
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
        html.push_str(&self.region_field());
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
            latest.unwrap_or_default(),
        );
        html
    }

    /// Asked only if more than one Region may be meant.
    fn region_field(&self) -> String {
        let words = self.words;
        let regions = &self.link.purpose.regions;
        if let [region] = regions.as_slice() {
            let one = words.fill("paste.region.one", &[("region", region.as_str())]);
            return format!("<p>{one}</p>\n");
        }
        let offered: Vec<Region> = if regions.is_empty() { Region::all().collect() } else { regions.clone() };
        let options: String = offered.iter().map(|region| format!("<option>{region}</option>")).collect();
        format!(
            "<label for=\"region\">{}</label>\n<p class=\"hint\" id=\"region-hint\">{}</p>\n\
             <select id=\"region\" name=\"region\" required aria-describedby=\"region-hint\"><option value=\"\">{}</option>{options}</select>\n",
            words.say("paste.region"),
            words.say("paste.region.hint"),
            words.say("paste.region.choose"),
        )
    }
}
