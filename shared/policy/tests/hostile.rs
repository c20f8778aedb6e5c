//! Malicious or broken input: a clear error or a bounded result, never a panic.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use policy::{
    DocumentProblem, FindingKind, MAX_CHARACTERS, MAX_FINDINGS, PolicyDocument, PolicyReport, Principal, ProblemClass,
    ProblemLevel, Verdict, check,
};

fn first_problem(text: impl AsRef<[u8]>) -> DocumentProblem {
    PolicyDocument::parse(text).unwrap_err().problems()[0].clone()
}

fn policy_with(statement: &str) -> String {
    format!("{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {statement}\n  ]\n}}")
}

#[test]
fn depth_and_size_are_rejected_before_they_cost_anything() {
    let started = Instant::now();
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        let problem = first_problem(open.repeat(100_000 / open.len()));
        assert_eq!(problem.class, ProblemClass::DataType, "{open}");
    }
    assert_eq!(first_problem("[".repeat(10_000_000)).class, ProblemClass::OverSize);
    assert_eq!(first_problem(format!("{{\"a\":\"{}\"}}", "x".repeat(10_000_000))).class, ProblemClass::OverSize);
    assert_eq!(first_problem(format!("[{}1]", "1,".repeat(100_000))).class, ProblemClass::OverSize);
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn text_that_is_not_utf8_is_rejected_where_it_breaks() {
    let problem = first_problem(b"{\n \"Version\": \"\xff\"}");
    assert_eq!((problem.class, problem.line, problem.column), (ProblemClass::JsonSyntax, 2, 14));
    assert_eq!(first_problem("\u{feff}{}").class, ProblemClass::JsonSyntax);
    assert_eq!(first_problem("").class, ProblemClass::JsonSyntax);
}

#[test]
fn a_problem_names_its_position_and_the_remedy() {
    for (statement, class, pointer, line) in [
        ("{\"Effect\":\"Allow\",\"Action\":5,\"Resource\":\"*\"}", ProblemClass::DataType, "/Statement/0/Action", 4),
        (
            "{\"Effect\":\"Allow\",\"Action\":[\"*\",\n5],\"Resource\":\"*\"}",
            ProblemClass::DataType,
            "/Statement/0/Action/1",
            5,
        ),
        (
            "{\"effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}",
            ProblemClass::UnknownElement,
            "/Statement/0/effect",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\"}",
            ProblemClass::DuplicateKey,
            "/Statement/0/Effect",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"StringLikes\":{\"a\":\"b\"}}}",
            ProblemClass::InvalidOperator,
            "/Statement/0/Condition/StringLikes",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"StringLike\":{\"a/b\":null}}}",
            ProblemClass::DataType,
            "/Statement/0/Condition/StringLike/a~1b",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":[]}",
            ProblemClass::EmptyArray,
            "/Statement/0/Resource",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"NotAction\":[],\"Resource\":\"*\"}",
            ProblemClass::EmptyArray,
            "/Statement/0/NotAction",
            4,
        ),
        (
            "{\"Sid\":\"not so\",\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}",
            ProblemClass::SidFormat,
            "/Statement/0/Sid",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"ses\",\"Resource\":\"*\"}",
            ProblemClass::ActionFormat,
            "/Statement/0/Action",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"\",\"Resource\":\"*\"}",
            ProblemClass::ActionFormat,
            "/Statement/0/Action",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"a a:B\",\"Resource\":\"*\"}",
            ProblemClass::ActionFormat,
            "/Statement/0/Action",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"\"}",
            ProblemClass::ResourceFormat,
            "/Statement/0/Resource",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:aws\"}",
            ProblemClass::ResourceFormat,
            "/Statement/0/Resource",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:error:s3:::b\"}",
            ProblemClass::ResourceFormat,
            "/Statement/0/Resource",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:aws:s3::b\"}",
            ProblemClass::ResourceFormat,
            "/Statement/0/Resource",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:aws::::b\"}",
            ProblemClass::ResourceFormat,
            "/Statement/0/Resource",
            4,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:aws:s3:::${}\"}",
            ProblemClass::VariableSyntax,
            "/Statement/0/Resource",
            4,
        ),
        ("\"afd\"", ProblemClass::DataType, "/Statement/0", 4),
    ] {
        let problem = first_problem(policy_with(statement));
        assert_eq!((problem.class, problem.pointer.as_str(), problem.line), (class, pointer, line), "{problem}");
        assert!(
            problem.level == ProblemLevel::Error && problem.message.ends_with('.') && problem.remedy.ends_with('.'),
            "{problem}"
        );
    }
}

#[test]
fn all_problems_of_a_document_are_reported_at_once() {
    let error = PolicyDocument::parse(policy_with(
        "{\"Effect\":\"allow\",\"Action\":\"ses\",\"Resource\":\"x\",\"Principal\":\"*\"}",
    ))
    .unwrap_err();
    let classes: Vec<ProblemClass> = error.problems().iter().map(|problem| problem.class).collect();
    assert_eq!(
        classes,
        [
            ProblemClass::PrincipalInIdentityPolicy,
            ProblemClass::InvalidEffect,
            ProblemClass::ActionFormat,
            ProblemClass::ResourceFormat
        ]
    );
    assert!(error.to_string().ends_with("(and 3 more)"), "{error}");
}

#[test]
fn what_iam_accepts_is_accepted() {
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
        let document = PolicyDocument::parse(policy_with(statement)).unwrap();
        assert!(document.warnings().iter().all(|problem| problem.level == ProblemLevel::Suggestion), "{statement}");
    }
}

#[test]
fn what_never_matches_is_a_warning_and_still_parsed() {
    for (statement, class) in [
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/40\"}}}",
            ProblemClass::ConditionValue,
        ),
        (
            "{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"DateLessThan\":{\"aws:CurrentTime\":\"soon\"}}}",
            ProblemClass::ConditionValue,
        ),
        ("{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:aws:s*:::b\"}", ProblemClass::ResourceFormat),
    ] {
        assert_eq!(PolicyDocument::parse(policy_with(statement)).unwrap().warnings()[0].class, class, "{statement}");
    }
}

#[test]
fn an_arn_with_forty_colons_is_compared_like_any_other() {
    let arn = format!("arn:aws:s3:::{}x", "a:".repeat(36));
    let text = policy_with(&format!("{{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"{arn}\"}}"));
    let report = check(&[PolicyDocument::parse(text).unwrap()], &Principal::default());
    assert_eq!(report.missing.len(), 8);
}

#[test]
fn a_policy_of_a_thousand_statements_is_rejected_or_checked_soon() {
    let statements: Vec<String> = (0..1_000)
        .map(|number| {
            format!("{{\"Effect\":\"Allow\",\"Action\":\"s3:G*{number}\",\"Resource\":\"arn:aws:s3:::b{number}/*\"}}")
        })
        .collect();
    let text = policy_with(&statements.join(","));
    assert_eq!(first_problem(&text).class, ProblemClass::OverSize);
    let started = Instant::now();
    let report = check(&[PolicyDocument::parse_with_limit(&text, usize::MAX).unwrap()], &Principal::default());
    assert_eq!(report.verdict, Verdict::Overprivileged);
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

/// What cannot be decided counts as too much. Here the denies cover every name, but the search for one that they leave
/// out goes through exponentially many states.
#[test]
fn what_cannot_be_decided_is_overprivileged() {
    let allow = format!("{{\"Effect\":\"Allow\",\"Action\":\"s3:*a{}\",\"Resource\":\"*\"}}", "?".repeat(30));
    let denies = ["a", "?"].map(|letter| {
        format!("{{\"Effect\":\"Deny\",\"Action\":\"s3:*{letter}{}\",\"Resource\":\"*\"}}", "?".repeat(30))
    });
    let text = policy_with(&[allow, denies[0].clone(), denies[1].clone()].join(","));
    let started = Instant::now();
    let report = check(&[PolicyDocument::parse(text).unwrap()], &Principal::default());
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    // Every name is denied, so "nothing is too much" is right as well; a wrong witness would not be.
    let findings: Vec<FindingKind> = report.findings.iter().map(|finding| finding.kind).collect();
    assert!(findings.iter().all(|kind| *kind == FindingKind::Undecided), "{findings:?}");
    assert_eq!(report.verdict == Verdict::Overprivileged, !findings.is_empty());
}

/// Documents with as many statements as each may have.
fn full_documents(count: usize, statement: impl Fn(usize, usize) -> String) -> Vec<PolicyDocument> {
    let full = |document: usize| {
        let mut text = String::new();
        for number in 0.. {
            let statement = statement(document, number);
            // 60: what `policy_with` puts around the statements.
            if text.len() + statement.len() + 60 > MAX_CHARACTERS {
                break;
            }
            let comma = if text.is_empty() { "" } else { "," };
            text = text + comma + &statement;
        }
        PolicyDocument::parse(policy_with(&text)).unwrap()
    };
    (0..count).map(full).collect()
}

fn statement(effect: &str, actions: &str, resource: &str) -> String {
    format!("{{\"Effect\":\"{effect}\",\"Action\":[{actions}],\"Resource\":\"{resource}\"}}")
}

/// Checks, and asserts what holds for every full document: the key is overprivileged, the report is no longer than
/// promised, and it does not take too long.
#[track_caller]
fn check_full(documents: &[PolicyDocument]) -> PolicyReport {
    let started = Instant::now();
    let report = check(documents, &Principal::default());
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    assert_eq!(report.verdict, Verdict::Overprivileged);
    assert!(report.findings.len() <= MAX_FINDINGS);
    assert!(serde_json::to_string(&report).unwrap().len() < 1 << 20);
    report
}

#[test]
fn of_countless_findings_the_most_severe_are_listed_and_the_others_counted() {
    let assume = |document: usize, number: usize| {
        statement("Allow", "\"sts:AssumeRole\"", &format!("arn:aws:iam::*:role/{document}x{number}"))
    };
    let report = check_full(&full_documents(10, assume));
    assert_eq!(report.findings.len(), MAX_FINDINGS);
    assert!(report.findings.iter().all(|finding| finding.kind == FindingKind::Excess), "all of them are decided");
    let statements: usize = full_documents(10, assume).iter().map(|document| document.statements().len()).sum();
    assert_eq!(report.findings_omitted, statements - MAX_FINDINGS);

    let patterns = "\"iam:*a*\",\"iam:*e*\",\"iam:*i*\",\"s3:*\"";
    let report = check_full(&full_documents(20, |document, number| {
        statement("Allow", patterns, &format!("arn:aws:iam::*:*x{document}y{number}*"))
    }));
    assert!(report.findings_omitted > 0);
    assert!(report.findings.is_sorted_by_key(|finding| std::cmp::Reverse(finding.severity)));
}

#[test]
fn no_number_of_latent_findings_hides_an_excess() {
    // `DeleteAccessKey` with other letters open in each pattern.
    let latent = |number: usize| {
        let open = |(place, letter)| if number >> place & 1 == 1 { '?' } else { letter };
        format!("\"iam:Delete{}y\"", "AccessKe".chars().enumerate().map(open).collect::<String>())
    };
    let own = "arn:aws:iam::*:user/${aws:username}";
    let latent =
        full_documents(5, |document, number| statement("Allow", &latent(document * 50 + number % 50 + 1), own));
    let excess = PolicyDocument::parse(policy_with(&statement("Allow", "\"nowhere:Be\"", "*"))).unwrap();
    let documents: Vec<PolicyDocument> = latent.into_iter().chain([excess]).collect();
    let report = check(&documents, &Principal::default());
    assert!(report.findings_omitted > 0, "{}", report.findings.len());
    assert_eq!((report.verdict, report.findings[0].action.as_str()), (Verdict::Overprivileged, "nowhere:Be"));
}

#[test]
fn what_the_budget_does_not_cover_counts_as_too_much() {
    let letters_against_digits = |document: usize, number: usize| match number % 2 {
        0 => {
            let resource = format!("arn:aws:iam::*:user/*{document}x{number}*");
            statement("Allow", &format!("\"iam:*a{}*b\"", document % 10), &resource)
        }
        _ => statement("Deny", &format!("\"iam:*{document}\""), &format!("arn:aws:iam::*:user/{document}x{number}*")),
    };
    let letters = |document: usize, number: usize| {
        let letters = "\"sts:*a\",\"sts:*b\",\"sts:*c\",\"sts:*d\",\"sts:*e\"";
        statement("Allow", letters, &format!("arn:aws:*:{document}x{number}*"))
    };
    let own_names = |document: usize, number: usize| {
        statement("Allow", "\"*\"", &format!("arn:aws:*:*:*:user/${{aws:username}}{document}x{number}"))
    };
    // No letter twice, in all documents together.
    let letter = |number: usize| char::from_u32(0x1_0000 + u32::try_from(number).unwrap()).unwrap();
    let escaped = |letter: char| -> String {
        letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    };
    let every_letter = |document: usize, number: usize| {
        let name: String = (0..40).map(|place| escaped(letter(document * 8_000 + number * 40 + place))).collect();
        statement("Allow", "\"s3:GetObject\"", &format!("arn:aws:s3:::{name}*"))
    };
    for documents in [
        full_documents(150, letters_against_digits),
        full_documents(150, letters),
        full_documents(150, own_names),
        full_documents(80, every_letter),
    ] {
        check_full(&documents);
    }
}

/// Checks this many documents of fifty statements each, and another document.
fn check_fifties(count: usize, statement: &dyn Fn(usize) -> String, other: &str) -> PolicyReport {
    let fifty = |document: usize| {
        let statements: Vec<String> = (document * 50..document * 50 + 50).map(statement).collect();
        PolicyDocument::parse(policy_with(&statements.join(","))).unwrap()
    };
    let documents: Vec<PolicyDocument> = (0..count).map(fifty).chain([PolicyDocument::parse(other).unwrap()]).collect();
    check(&documents, &Principal::default())
}

fn identity(number: usize) -> String {
    format!("arn:aws:ses:*:123456789012:identity/{number}")
}

#[test]
fn harmless_statements_do_not_exhaust_the_budget() {
    let (two, three) = ("\"ses:Get*\",\"ses:List*\"", "\"ses:Get*\",\"ses:List*\",\"ses:Send*\"");
    let shapes: [&dyn Fn(usize) -> String; 6] = [
        &|_| statement("Allow", two, "*"),
        &|_| statement("Allow", three, "*"),
        &|number| statement("Allow", two, &identity(number)),
        &|number| statement("Allow", three, &identity(number)),
        &|number| statement("Allow", &format!("\"ses:Get*\",\"ses:Send*{number}\""), "*"),
        &|number| statement("Allow", "\"ses:*\",\"iam:GetUser\"", &format!("arn:aws:iam::*:user/{number}")),
    ];
    for (shape, statement) in shapes.into_iter().enumerate() {
        let report = check_fifties(10, statement, policy::classic());
        assert_eq!((report.verdict, report.findings), (Verdict::Sufficient, vec![]), "{shape}");
    }
}

#[test]
fn a_minimal_key_of_many_statements_is_still_minimal() {
    let send = "\"ses:SendEmail\",\"ses:SendRawEmail\"";
    let shapes: [&dyn Fn(usize) -> String; 2] =
        [&|_| statement("Allow", send, "*"), &|number| statement("Allow", send, &identity(number))];
    let needed = "\"ses:GetAccount\",\"ses:SendEmail\",\"ses:SendRawEmail\",\"ses:ListEmailIdentities\",\"ses:CreateConfigurationSet\",\"ses:CreateConfigurationSetEventDestination\"";
    let own = statement("Allow", "\"iam:GetUser\",\"iam:DeleteAccessKey\"", "arn:aws:iam::123456789012:user/mailer");
    let rest = policy_with(&format!("{},{own}", statement("Allow", needed, "*")));
    for (shape, statement) in shapes.into_iter().enumerate() {
        let report = check_fifties(36, statement, &rest);
        assert_eq!((report.verdict, report.findings), (Verdict::Minimal, vec![]), "{shape}");
    }
}

#[test]
fn a_match_that_backtracks_again_and_again_is_charged() {
    let name = "a".repeat(1_500);
    let documents = full_documents(40, |document, number| match number % 2 {
        0 => {
            statement("Allow", "\"ses:SendEmail\",\"s3:GetObject\"", &format!("arn:aws:s3:::{name}{document}x{number}"))
        }
        _ => statement("Deny", "\"*\"", &format!("arn:aws:s3:::*{}b{document}", &name[..700])),
    });
    check_full(&documents);
}

#[test]
fn resolving_a_variable_many_times_is_charged() {
    let own = "${aws:PrincipalArn}".repeat(300);
    let statement = statement("Allow", "\"*\"", &format!("arn:aws:s3:::{own}"));
    let documents = full_documents(40, |_, _| statement.clone());
    let principal = Principal { user_path: Some(format!("/{}/", "p".repeat(510))), ..Principal::default() };
    let started = Instant::now();
    assert_eq!(check(&documents, &principal).verdict, Verdict::Overprivileged);
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}
