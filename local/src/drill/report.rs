//! What a drill has to say at its end.

use serde_json::{Value, json};

use super::fact::{FactVerdict, Observation};

/// How far lines below the first are indented, so that they stand under its text.
const INDENT: &str = "\n                    ";

/// A drill that was run to its end.
pub(super) struct DrillReport {
    /// What it ran against.
    pub(super) against: String,
    pub(super) region: &'static str,
    pub(super) stack: String,
    pub(super) observations: Vec<Observation>,
    /// As `GET /drills/{drill_id}` shows it.
    pub(super) times: Value,
}

impl DrillReport {
    /// The report for machines.
    pub(super) fn to_json(&self) -> String {
        let report = json!({
            "against": self.against,
            "region": self.region,
            "stack": self.stack,
            "drill": self.times,
            "facts": self.observations,
        });
        format!("{report:#}\n")
    }

    /// One line.
    pub(super) fn summary(&self) -> String {
        let seconds = self.times["dead_after_ms"].as_f64().unwrap_or_default() / 1000.0;
        format!(
            "against {}: the key was dead {seconds:.1} s after the report; {} facts confirmed, {} otherwise, {} not observable",
            self.against,
            self.count(FactVerdict::Confirmed),
            self.count(FactVerdict::Otherwise),
            self.count(FactVerdict::NotObservable)
        )
    }

    /// What to do next.
    pub(super) fn next(&self, is_aws: bool) -> String {
        match (is_aws, self.count(FactVerdict::Otherwise)) {
            (false, _) => {
                "run it against AWS (README, \"Drill a deployed stack\"), without AWS_ENDPOINT_URL".to_owned()
            }
            (true, 0) => "look at what is not observable (`look` above), then hand over a canary and set DrillSchedule"
                .to_owned(),
            (true, _) => "change what the lines `change` above name, and the assumption beside it".to_owned(),
        }
    }

    fn count(&self, verdict: FactVerdict) -> usize {
        self.observations.iter().filter(|observation| observation.verdict == verdict).count()
    }
}

/// An observation in some lines.
pub(super) fn describe(observation: &Observation, from_aws: bool) -> String {
    let Observation { fact, verdict, said } = observation;
    let (word, advice) = match verdict {
        FactVerdict::Confirmed => ("confirmed", None),
        FactVerdict::Otherwise => ("otherwise", Some(("change", fact.change))),
        FactVerdict::NotObservable => ("not observable here", Some(("look", fact.look))),
    };
    let who = if from_aws { "AWS" } else { "the stand-in" };
    let mut lines = format!("{word}: {}: {}", fact.name, fact.statement);
    if !said.is_empty() {
        lines.push_str(&format!("{INDENT}{who} said: {said}"));
    }
    if let Some((kind, advice)) = advice {
        lines.push_str(&format!("{INDENT}{kind}: {advice}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::fact::TEMPLATE_ACTION;

    #[test]
    fn an_observation_says_what_follows_from_it() {
        let lines =
            |verdict, said: &str, from_aws| describe(&Observation::new(TEMPLATE_ACTION, verdict, said), from_aws);
        let confirmed = lines(FactVerdict::Confirmed, "403 AccessDeniedException", true);
        assert!(confirmed.contains("confirmed: template-content-action: ") && !confirmed.contains("change:"));
        assert!(confirmed.contains("AWS said: 403 AccessDeniedException"), "{confirmed}");
        let otherwise = lines(FactVerdict::Otherwise, "404 NotFoundException", false);
        assert!(otherwise.contains("the stand-in said: 404") && otherwise.contains("change: local/src"), "{otherwise}");
        let open = lines(FactVerdict::NotObservable, "", true);
        assert!(open.contains("look: ") && !open.contains("said:"), "{open}");
    }
}
