//! Input that means harm or is merely broken: a clear error or a bounded answer, never a panic.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use policy::{Class, Document, FindingKind, Level, Problem, Subject, Verdict, check};

fn first_problem(text: impl AsRef<[u8]>) -> Problem {
    Document::parse(text).unwrap_err().problems()[0].clone()
}

fn policy_with(statement: &str) -> String {
    format!("{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {statement}\n  ]\n}}")
}

#[test]
fn depth_and_size_are_refused_before_they_cost_anything() {
    let started = Instant::now();
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        let problem = first_problem(open.repeat(100_000 / open.len()));
        assert_eq!(problem.class, Class::DataType, "{open}");
    }
    assert_eq!(first_problem("[".repeat(10_000_000)).class, Class::OverSize);
    assert_eq!(first_problem(format!("{{\"a\":\"{}\"}}", "x".repeat(10_000_000))).class, Class::OverSize);
    assert_eq!(first_problem(format!("[{}1]", "1,".repeat(100_000))).class, Class::OverSize);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn text_that_is_not_utf8_is_refused_where_it_breaks() {
    let problem = first_problem(b"{\n \"Version\": \"\xff\"}");
    assert_eq!((problem.class, problem.line, problem.column), (Class::JsonSyntax, 2, 14));
    assert_eq!(first_problem("\u{feff}{}").class, Class::JsonSyntax);
    assert_eq!(first_problem("").class, Class::JsonSyntax);
}

#[test]
fn a_problem_names_its_place_and_the_remedy() {
    for (statement, class, pointer, line) in [
        ("{\"Effect\":\"Allow\",\"Action\":5,\"Resource\":\"*\"}", Class::DataType, "/Statement/0/Action", 4),
        (
            "{\"Effect\":\"Allow\",\"Action\":[\"*\",\n5],\"Resource\":\"*\"}",
            Class::DataType,
            "/Statement/0/Action/1",
            5,
        ),
        ("{\"effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}", Class::UnknownElement, "/Statement/0/effect", 4),
        (
            "{\"Effect\":\"Allow\",\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\"}",
            Class::DuplicateKey,
            "/Statement/0/Effect",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"StringLikes\":{\"a\":\"b\"}}}",
            Class::InvalidOperator,
            "/Statement/0/Condition/StringLikes",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"StringLike\":{\"a/b\":null}}}",
            Class::DataType,
            "/Statement/0/Condition/StringLike/a~1b",
            4,
        ),
        ("{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":[]}", Class::EmptyArray, "/Statement/0/Resource", 4),
        ("{\"Effect\":\"Allow\",\"NotAction\":[],\"Resource\":\"*\"}", Class::EmptyArray, "/Statement/0/NotAction", 4),
        (
            "{\"Sid\":\"not so\",\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}",
            Class::SidFormat,
            "/Statement/0/Sid",
            4,
        ),
        ("{\"Effect\":\"Allow\",\"Action\":\"ses\",\"Resource\":\"*\"}", Class::ActionFormat, "/Statement/0/Action", 4),
        ("{\"Effect\":\"Allow\",\"Action\":\"\",\"Resource\":\"*\"}", Class::ActionFormat, "/Statement/0/Action", 4),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"a a:B\",\"Resource\":\"*\"}",
            Class::ActionFormat,
            "/Statement/0/Action",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"\"}",
            Class::ResourceFormat,
            "/Statement/0/Resource",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:aws\"}",
            Class::ResourceFormat,
            "/Statement/0/Resource",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:error:s3:::b\"}",
            Class::ResourceFormat,
            "/Statement/0/Resource",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:aws:s3::b\"}",
            Class::ResourceFormat,
            "/Statement/0/Resource",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:aws::::b\"}",
            Class::ResourceFormat,
            "/Statement/0/Resource",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:aws:s3:::${}\"}",
            Class::VariableSyntax,
            "/Statement/0/Resource",
            4,
        ),
        ("\"afd\"", Class::DataType, "/Statement/0", 4),
    ] {
        let problem = first_problem(policy_with(statement));
        assert_eq!((problem.class, problem.pointer.as_str(), problem.line), (class, pointer, line), "{problem}");
        assert!(
            problem.level == Level::Error && problem.message.ends_with('.') && problem.remedy.ends_with('.'),
            "{problem}"
        );
    }
}

#[test]
fn all_problems_of_a_document_are_told_at_once() {
    let error = Document::parse(policy_with(
        "{\"Effect\":\"allow\",\"Action\":\"ses\",\"Resource\":\"x\",\"Principal\":\"*\"}",
    ))
    .unwrap_err();
    let classes: Vec<Class> = error.problems().iter().map(|problem| problem.class).collect();
    assert_eq!(
        classes,
        [Class::PrincipalInIdentityPolicy, Class::InvalidEffect, Class::ActionFormat, Class::ResourceFormat]
    );
    assert!(error.to_string().ends_with("(and 3 more)"), "{error}");
}

#[test]
fn what_iam_takes_is_taken() {
    for statement in [
        "{\"Effect\":\"Allow\",\"Action\":\"iam: asdf safdsf af \",\"Resource\":\"*\"}",
        "{\"Effect\":\"Allow\",\"Action\":\"s3:ListBucket\",\"Resource\":\"arn:aws:fdsasf\"}",
        "{\"Effect\":\"Allow\",\"Action\":\"s3:ListBucket\",\"Resource\":\"arn:aws:iam:::user/example\"}",
        "{\"Effect\":\"Allow\",\"Action\":\"s3:ListBucket\",\"Resource\":\"arn:aws:s3:us-west-2:123456789012:accesspoint/a\"}",
        "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{}}",
        "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"x\":{}}}",
        "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"DateGreaterThan\":{\"a\":[]}}}",
        "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"Bool\":{\"aws:SecureTransport\":true}}}",
        "{\"Sid\":\"\",\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"},{\"Sid\":\"\",\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\"}",
    ] {
        let document = Document::parse(policy_with(statement)).unwrap();
        assert!(document.warnings().iter().all(|problem| problem.level == Level::Suggestion), "{statement}");
    }
}

#[test]
fn what_never_matches_is_warned_of_and_still_read() {
    for (statement, class) in [
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/40\"}}}",
            Class::ConditionValue,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"DateLessThan\":{\"aws:CurrentTime\":\"soon\"}}}",
            Class::ConditionValue,
        ),
        ("{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:aws:s*:::b\"}", Class::ResourceFormat),
    ] {
        assert_eq!(Document::parse(policy_with(statement)).unwrap().warnings()[0].class, class, "{statement}");
    }
}

#[test]
fn an_arn_with_forty_colons_is_compared_like_any_other() {
    let arn = format!("arn:aws:s3:::{}x", "a:".repeat(36));
    let text = policy_with(&format!("{{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"{arn}\"}}"));
    let report = check(&[Document::parse(text).unwrap()], &Subject::default());
    assert_eq!(report.missing.len(), 8);
}

#[test]
fn a_policy_of_a_thousand_statements_is_refused_or_answered_soon() {
    let statements: Vec<String> = (0..1_000)
        .map(|number| {
            format!("{{\"Effect\":\"Allow\",\"Action\":\"s3:G*{number}\",\"Resource\":\"arn:aws:s3:::b{number}/*\"}}")
        })
        .collect();
    let text = policy_with(&statements.join(","));
    assert_eq!(first_problem(&text).class, Class::OverSize);
    let started = Instant::now();
    let report = check(&[Document::parse_with_limit(&text, usize::MAX).unwrap()], &Subject::default());
    assert_eq!(report.verdict, Verdict::Overprivileged);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

/// What cannot be decided counts as too much: here a set of denies that leaves out just one name of exponentially many.
#[test]
fn what_cannot_be_decided_is_overprivileged() {
    let allow = format!("{{\"Effect\":\"Allow\",\"Action\":\"s3:*a{}\",\"Resource\":\"*\"}}", "?".repeat(30));
    let denies = ["a", "?"].map(|letter| {
        format!("{{\"Effect\":\"Deny\",\"Action\":\"s3:*{letter}{}\",\"Resource\":\"*\"}}", "?".repeat(30))
    });
    let text = policy_with(&[allow, denies[0].clone(), denies[1].clone()].join(","));
    let started = Instant::now();
    let report = check(&[Document::parse(text).unwrap()], &Subject::default());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // Every name is denied, so "nothing is too much" is right as well; a wrong witness would not be.
    let findings: Vec<FindingKind> = report.findings.iter().map(|finding| finding.kind).collect();
    assert!(findings.iter().all(|kind| *kind == FindingKind::Undecided), "{findings:?}");
    assert_eq!(report.verdict == Verdict::Overprivileged, !findings.is_empty());
}
