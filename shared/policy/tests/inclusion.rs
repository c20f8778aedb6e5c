//! Does one policy allow anything that another does not? Small pairs, each for one rule of the comparison.

use policy::{Finding, PolicyDocument, Principal, excess_over};

/// A policy of these statements, written without `Version` and quotes around elements that never change.
fn policy(statements: &[&str]) -> [PolicyDocument; 1] {
    let text = format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}", statements.join(","));
    [PolicyDocument::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"))]
}

/// Whether the candidate allows nothing but what the reference allows.
fn is_included(candidate: &[&str], reference: &[&str]) -> bool {
    !excess_over(&policy(candidate), &policy(reference), &Principal::default()).iter().any(Finding::is_excess)
}

/// `s3:*` on resources, with an effect and perhaps conditions.
fn s3(effect: &str, element: &str, resources: &str, condition: &str) -> String {
    let condition = if condition.is_empty() { String::new() } else { format!(",\"Condition\":{{{condition}}}") };
    format!("{{\"Effect\":\"{effect}\",\"Action\":\"s3:*\",\"{element}\":{resources}{condition}}}")
}

const TEAM: &str = "\"arn:aws:s3:::${aws:PrincipalTag/team}/*\"";
const BOTH: &str = "[\"arn:aws:s3:::${aws:PrincipalTag/team}/*\",\"arn:aws:s3:::${aws:PrincipalTag/group}/*\"]";
const FILES: &str = "\"arn:aws:s3:::a/*\"";
const SECURE: &str = "\"Bool\":{\"aws:SecureTransport\":\"true\"}";
const TAGGED: &str = "\"StringEquals\":{\"aws:PrincipalTag/x\":\"y\"}";

#[test]
fn an_unknown_variable_is_only_the_same_as_itself() {
    let team = s3("Allow", "Resource", TEAM, "");
    let both = s3("Allow", "Resource", BOTH, "");
    assert!(is_included(&[&team], &[&team]));
    assert!(is_included(&[&team], &[&both]));
    assert!(!is_included(&[&both], &[&team]));
    assert!(!is_included(&[&s3("Allow", "Resource", FILES, "")], &[&team]));
    assert!(!is_included(&[&team], &[&s3("Allow", "Resource", FILES, "")]));
    assert!(is_included(&[&team], &[&s3("Allow", "Resource", "\"arn:aws:s3:::*\"", "")]));
}

#[test]
fn an_exception_is_not_what_it_excepts() {
    let all_but = s3("Allow", "NotResource", TEAM, "");
    assert!(is_included(&[&all_but], &[&all_but]));
    assert!(!is_included(&[&all_but], &[&s3("Allow", "Resource", TEAM, "")]));
    assert!(!is_included(&[&s3("Allow", "Resource", TEAM, "")], &[&all_but]));
    assert!(is_included(&[&s3("Allow", "NotResource", "\"*\"", "")], &[&s3("Allow", "Resource", FILES, "")]));
    let guarded = s3("Deny", "NotResource", TEAM, "");
    let everything = s3("Allow", "Resource", "\"*\"", "");
    assert!(is_included(&[&everything, &guarded], &[&everything]));
    assert!(!is_included(&[&everything], &[&everything, &guarded]));
}

#[test]
fn a_condition_is_only_the_same_as_itself() {
    let (secure, tagged) = (s3("Allow", "Resource", FILES, SECURE), s3("Allow", "Resource", FILES, TAGGED));
    let plain = s3("Allow", "Resource", FILES, "");
    assert!(is_included(&[&secure], &[&secure]));
    assert!(is_included(&[&secure], &[&plain]));
    assert!(!is_included(&[&plain], &[&secure]));
    assert!(!is_included(&[&secure], &[&tagged]));
    assert!(!is_included(&[&secure], &[&s3("Allow", "Resource", TEAM, SECURE)]));
    assert!(!is_included(&[&s3("Allow", "Resource", TEAM, "")], &[&s3("Allow", "Resource", TEAM, SECURE)]));
}

#[test]
fn values_of_a_condition_are_a_set_and_no_text() {
    let tagged = |values: &str| {
        s3("Allow", "Resource", FILES, &format!("\"StringEquals\":{{\"aws:PrincipalTag/x\":[{values}]}}"))
    };
    assert!(is_included(&[&tagged("\"a\",\"b\"")], &[&tagged("\"b\",\"a\",\"b\"")]));
    for other in ["\"ab\"", "\"a\\u0000b\"", "\"a,b\"", "\"a\\n\",\"b\""] {
        assert!(!is_included(&[&tagged("\"a\",\"b\"")], &[&tagged(other)]), "{other}");
        assert!(!is_included(&[&tagged(other)], &[&tagged("\"a\",\"b\"")]), "{other}");
    }
}

#[test]
fn a_deny_subtracts_only_where_it_certainly_applies() {
    let everything = s3("Allow", "Resource", "\"*\"", "");
    let files = s3("Allow", "Resource", FILES, "");
    let rest = |condition| s3("Deny", "NotResource", FILES, condition);
    assert!(is_included(&[&everything, &rest("")], &[&files]));
    assert!(!is_included(&[&everything, &rest(SECURE)], &[&files]));
    assert!(!is_included(&[&everything, &s3("Deny", "NotResource", TEAM, "")], &[&files]));
    // What the reference denies is excess, unless the candidate denies it as well, whatever the conditions are.
    let denied = s3("Deny", "Resource", FILES, SECURE);
    assert!(!is_included(&[&everything], &[&everything, &denied]));
    assert!(is_included(&[&everything, &denied], &[&everything, &denied]));
    assert!(!is_included(&[&everything, &denied], &[&everything, &s3("Deny", "Resource", FILES, "")]));
}

#[test]
fn patterns_are_compared_as_languages() {
    let on = |resources: &str| s3("Allow", "Resource", resources, "");
    for (candidate, reference, included) in [
        ("\"arn:aws:s3:::a*b\"", "\"arn:aws:s3:::a*\"", true),
        ("\"arn:aws:s3:::a*\"", "\"arn:aws:s3:::a*b\"", false),
        ("\"arn:aws:s3:::??*\"", "\"arn:aws:s3:::?*?\"", true),
        ("\"arn:aws:s3:::*a*\"", "[\"arn:aws:s3:::a*\",\"arn:aws:s3:::?*a*\"]", true),
        ("\"arn:aws:s3:::*a*\"", "[\"arn:aws:s3:::a*\",\"arn:aws:s3:::?a*\"]", false),
        ("\"arn:aws:s3:::a*/b\"", "\"arn:aws:s3:::*/b\"", true),
    ] {
        assert_eq!(is_included(&[&on(candidate)], &[&on(reference)]), included, "{candidate} in {reference}");
    }
}
