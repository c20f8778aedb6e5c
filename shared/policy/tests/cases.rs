//! The case files: documented decisions of IAM, verdicts, and documents that are or are not policies.

use policy::{PolicyDocument, ProblemLevel, run_cases};
use serde::Deserialize;
use serde_json::json;

/// Every case of a file passes.
#[track_caller]
fn assert_all_pass(text: &str, at_least: usize) {
    let outcomes = run_cases(text);
    let failures: Vec<String> =
        outcomes.iter().filter_map(|outcome| Some(format!("{}: {}", outcome.id, outcome.failure.as_ref()?))).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert!(outcomes.len() >= at_least, "only {} cases were run", outcomes.len());
}

#[test]
fn requests_are_decided_as_documented() {
    assert_all_pass(include_str!("cases/policy_cases.jsonl"), 149);
    assert_all_pass(include_str!("cases/own_policy_cases.jsonl"), 718);
}

#[test]
fn verdicts_follow_the_rules() {
    assert_all_pass(include_str!("cases/overprivilege_cases.jsonl"), 53);
    assert_all_pass(include_str!("cases/own_overprivilege_cases.jsonl"), 151);
}

/// Inputs of public reports, under the ids of those reports, and others of their kinds.
#[test]
fn what_was_reported_is_right() {
    assert_all_pass(include_str!("cases/reported_policy_cases.jsonl"), 75);
}

#[test]
fn malformed_documents_are_rejected() {
    assert_all_pass(include_str!("cases/malformed_cases.jsonl"), 33);
    assert_all_pass(include_str!("cases/own_malformed_cases.jsonl"), 241);
}

#[derive(Deserialize)]
struct Malformed {
    id: String,
    document: String,
    class: Option<String>,
    level: Option<String>,
}

#[test]
fn the_first_problem_is_of_the_class_and_level_that_the_case_names() {
    let files = [include_str!("cases/malformed_cases.jsonl"), include_str!("cases/own_malformed_cases.jsonl")];
    for line in files.into_iter().flat_map(str::lines) {
        let case: Malformed = serde_json::from_str(line).unwrap();
        let problem = match PolicyDocument::parse(&case.document) {
            Ok(document) => document.warnings().iter().find(|problem| problem.level >= ProblemLevel::Warning).cloned(),
            Err(error) => error.problems().first().cloned(),
        };
        assert_eq!(problem.as_ref().map(|problem| problem.class.as_str()), case.class.as_deref(), "{}", case.id);
        let level =
            problem.as_ref().map(|problem| if problem.level == ProblemLevel::Error { "error" } else { "warning" });
        assert_eq!(level, case.level.as_deref(), "{}", case.id);
        assert!(problem.is_none_or(|problem| !problem.message.is_empty() && !problem.remedy.is_empty()), "{}", case.id);
    }
}

#[test]
fn a_line_that_is_not_a_case_fails_and_hides_no_other() {
    let good = include_str!("cases/malformed_cases.jsonl").lines().next().unwrap();
    let text = format!(
        "\u{feff}{good}\r\n\r\nnonsense\n{{\"id\":\"x\"}}\n{{\"id\":\"y\",\"document\":\"\",\"valid\":null}}\n{good}"
    );
    let failed: Vec<(String, bool)> =
        run_cases(&text).into_iter().map(|outcome| (outcome.id, outcome.failure.is_some())).collect();
    let expected = [("ok-array", false), ("line 3", true), ("x", true), ("y", true), ("ok-array", false)];
    assert_eq!(failed, expected.map(|(id, failed)| (id.to_owned(), failed)));
    assert!(run_cases("\n\n").is_empty());
}

/// A runner that passes everything would be worth nothing.
#[test]
fn a_case_that_expects_something_else_fails() {
    let lines =
        [include_str!("cases/policy_cases.jsonl"), include_str!("cases/overprivilege_cases.jsonl")].map(str::lines);
    let mut tried = 0;
    for line in lines.into_iter().flatten().chain(include_str!("cases/malformed_cases.jsonl").lines()) {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        for (field, other) in [
            ("expected", json!(if case["expected"] == "allow" { "implicitDeny" } else { "allow" })),
            ("valid", json!(case["valid"] != true)),
            ("verdict", json!(if case["verdict"] == "minimal" { "sufficient" } else { "minimal" })),
            ("missing", json!(["ses:DeleteTenant"])),
            ("excess", json!([{"action": "ses:SendEmail", "resource": "*"}])),
        ] {
            let mut changed = case.clone();
            if changed.get(field).is_none() {
                continue;
            }
            changed[field] = other;
            let outcomes = run_cases(&changed.to_string());
            assert!(outcomes[0].failure.is_some(), "{} with another {field}", case["id"]);
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
}
