//! Laws that hold for all policies, tested on generated ones.

use policy::{
    AuthorizationRequest, Decision, Effect, FindingKind, PolicyDocument, Principal, RequestContext, Verdict, check,
    evaluate, excess_over, is_excess, may_allow,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const USER: &str = "arn:aws:iam::123456789012:user/mailer";

fn actions() -> impl Strategy<Value = Vec<String>> {
    let one = prop_oneof![
        4 => prop::sample::select(vec![
            "*", "ses:*", "ses:SendEmail", "ses:Get*", "iam:GetUser", "iam:*AccessKey*", "iam:DeleteAccessKey", "iam:?etUser", "s3:*", "s3:GetObject",
            "sts:AssumeRole", "sesv2:*", "*:*", "iam:Get*", "iam:P*U*rPolicy", "sns:Pub*h",
        ]).prop_map(str::to_owned),
        1 => "(ses|iam|s3|zz):[GSu*?]{1,6}",
    ];
    prop::collection::vec(one, 1..4)
}

fn resources() -> impl Strategy<Value = Vec<String>> {
    let one = prop_oneof![
        4 => prop::sample::select(vec![
            "*", "arn:aws:iam::*:user/*", USER, "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::*:user/*/${aws:username}", "arn:aws:iam", "arn:aws:s3:::b/*",
            "arn:aws:s3:::${aws:PrincipalTag/team}/*", "arn:aws:s3:::${aws:PrincipalTag/team, 'x'}", "arn:aws:ses:*:123456789012:identity/*",
            "arn:aws:sns:*:*:a*c:d", "arn:aws:s3:*:b*d:x", "arn:aws:iam::1*2:role/?",
        ]).prop_map(str::to_owned),
        1 => "arn:aws:(s3|sns|logs):[a*]{0,2}:[1*]{0,2}:[ab:*?]{1,6}",
    ];
    prop::collection::vec(one, 1..4)
}

fn conditions() -> impl Strategy<Value = Option<Value>> {
    prop::option::weighted(
        0.3,
        prop::sample::select(vec![
            json!({"Bool": {"aws:SecureTransport": "true"}}),
            json!({"StringEquals": {"aws:PrincipalTag/team": ["a", "b"]}}),
            json!({"NotIpAddress": {"aws:SourceIp": "198.51.100.0/24"}}),
            json!({"Null": {"aws:TokenIssueTime": "false"}, "StringLike": {"aws:username": "m*"}}),
            json!({"ForAnyValue:StringLike": {"aws:TagKeys": "${aws:username}*"}, "DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}),
        ]),
    )
}

fn statement() -> impl Strategy<Value = Value> {
    (
        prop::bool::weighted(0.7),
        prop::bool::weighted(0.85),
        prop::bool::weighted(0.85),
        actions(),
        resources(),
        conditions(),
    )
        .prop_map(|(allow, plain_action, plain_resource, actions, resources, condition)| {
            let mut statement = json!({"Effect": if allow { "Allow" } else { "Deny" }});
            statement[if plain_action { "Action" } else { "NotAction" }] = json!(actions);
            statement[if plain_resource { "Resource" } else { "NotResource" }] = json!(resources);
            if let Some(condition) = condition {
                statement["Condition"] = condition;
            }
            statement
        })
}

fn text_of(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// Statements that IAM accepts; without the filter, a generated ARN may lack a field.
fn statements() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(statement(), 1..5)
        .prop_filter("IAM would reject it", |statements| PolicyDocument::parse(text_of(statements)).is_ok())
}

fn request() -> impl Strategy<Value = (String, String, RequestContext)> {
    let action = prop::sample::select(vec![
        "ses:SendEmail",
        "iam:GetUser",
        "iam:CreateAccessKey",
        "s3:GetObject",
        "sts:AssumeRole",
        "iam:PutUserPolicy",
        "sns:Publish",
        "zz:Gu",
    ]);
    let resource = prop::sample::select(vec![
        "*",
        USER,
        "arn:aws:iam::123456789012:user/p/mailer",
        "arn:aws:iam::123456789012:role/R",
        "arn:aws:s3:::b/k",
        "arn:aws:sns:r:1:abc:d",
        "arn:aws:s3:::x",
        "arn:aws:ses:us-east-1:123456789012:identity/example.com",
    ]);
    let context = prop::collection::btree_map(
        prop::sample::select(vec![
            "aws:username",
            "aws:SourceIp",
            "aws:SecureTransport",
            "aws:PrincipalTag/team",
            "aws:TagKeys",
            "aws:TokenIssueTime",
        ]),
        prop::sample::select(vec!["mailer", "198.51.100.10", "true", "a", "2026-01-01T00:00:00Z"]),
        0..6,
    );
    (action, resource, context).prop_map(|(action, resource, values)| {
        let context = values.into_iter().fold(RequestContext::new(), |context, (key, value)| context.with(key, value));
        (action.to_owned(), resource.to_owned(), context)
    })
}

fn decide(documents: &[PolicyDocument], (action, resource, context): &(String, String, RequestContext)) -> Decision {
    evaluate(documents, &AuthorizationRequest { action, resource, context }).decision
}

/// A context with every key that the conditions and variables of the generated statements use.
fn full_context(team: Option<&str>, address: &str) -> RequestContext {
    let context = [
        ("aws:username", "mailer"),
        ("aws:SecureTransport", "true"),
        ("aws:SourceIp", address),
        ("aws:TagKeys", "mailer"),
        ("aws:CurrentTime", "2026-01-01T00:00:00Z"),
    ]
    .into_iter()
    .fold(RequestContext::new(), |context, (key, value)| context.with(key, value));
    match team {
        Some(team) => context.with("aws:PrincipalTag/team", team),
        None => context,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_added_deny_never_widens(statements in statements(), extra in statement(), request in request()) {
        let before = PolicyDocument::parse(text_of(&statements)).unwrap();
        let mut denied = statements;
        denied.push(extra);
        denied.last_mut().unwrap()["Effect"] = json!("Deny");
        let Ok(after) = PolicyDocument::parse(text_of(&denied)) else { return Ok(()) };
        prop_assert!(after.statements().last().unwrap().effect() == Effect::Deny);
        let (before, after) = (decide(&[before], &request), decide(&[after], &request));
        prop_assert!(after != Decision::Allowed || before == Decision::Allowed);
        prop_assert!(before != Decision::ExplicitDeny || after == Decision::ExplicitDeny);
    }

    #[test]
    fn a_policy_is_included_in_itself_and_in_everything(statements in statements()) {
        let own = [PolicyDocument::parse(text_of(&statements)).unwrap()];
        let everything = [PolicyDocument::parse(text_of(&[json!({"Effect": "Allow", "Action": "*", "Resource": "*"})])).unwrap()];
        prop_assert_eq!(excess_over(&own, &own, &Principal::default()), vec![]);
        prop_assert_eq!(excess_over(&own, &everything, &Principal::default()), vec![]);
    }

    #[test]
    fn a_witness_is_confirmed_by_the_evaluator(candidate in statements(), reference in statements()) {
        let principal = Principal { account_id: Some("123456789012".to_owned()), user_name: Some("mailer".to_owned()), ..Principal::default() };
        let candidate = [PolicyDocument::parse(text_of(&candidate)).unwrap()];
        let reference = [PolicyDocument::parse(text_of(&reference)).unwrap()];
        for finding in excess_over(&candidate, &reference, &principal) {
            prop_assert!(finding.kind == FindingKind::Undecided || finding.resource.is_some());
            let context = RequestContext::partial().with("aws:username", "mailer");
            for witness in finding.witnesses() {
                let request = AuthorizationRequest { action: &witness.action, resource: &witness.resource, context: &context };
                prop_assert!(may_allow(&candidate, &request), "{:?}", witness);
                if !finding.conditional {
                    // Nothing on the candidate's side is unknown: AWS allows it unless a conditional deny applies.
                    let evaluation = evaluate(&candidate, &AuthorizationRequest { context: &RequestContext::new().with("aws:username", "mailer"), ..request });
                    prop_assert!(evaluation.decision != Decision::ImplicitDeny, "{:?}", witness);
                }
            }
        }
    }

    /// The comparison may not miss anything: if it says included, the reference allows every request that the candidate
    /// allows.
    #[test]
    fn what_is_included_is_never_allowed_by_the_candidate_alone(candidate in statements(), reference in statements(), requests in prop::collection::vec(request(), 20)) {
        let principal = Principal { account_id: Some("123456789012".to_owned()), user_name: Some("mailer".to_owned()), ..Principal::default() };
        let candidate = [PolicyDocument::parse(text_of(&candidate)).unwrap()];
        let reference = [PolicyDocument::parse(text_of(&reference)).unwrap()];
        if excess_over(&candidate, &reference, &principal).iter().any(policy::Finding::is_excess) {
            return Ok(());
        }
        for request in &requests {
            // Only requests that can exist, made by the principal.
            let possible = !(request.1 == "*" || request.0 == "zz:Gu");
            let real = match request.0.split(':').next().unwrap() {
                "iam" => request.1.contains(":user/"),
                "sts" => request.1.contains(":role/"),
                "s3" => request.1.contains(":s3:::b/"),
                "sns" => false,
                _ => request.1.contains(":identity/"),
            };
            if possible && real {
                let context = request.2.clone().with("aws:username", "mailer").with("aws:SecureTransport", "true").without("aws:TokenIssueTime");
                let request = (request.0.clone(), request.1.clone(), context);
                prop_assert!(decide(&candidate, &request) != Decision::Allowed || decide(&reference, &request) == Decision::Allowed, "{:?}", request);
            }
        }
    }

    /// The verdict may not miss anything either: a request that is excess, and that the evaluator allows in some
    /// context, makes a key overprivileged. The contexts matter: an allow and a deny that depend on the same unknown
    /// value look like excess to `is_excess`, although one never applies without the other.
    #[test]
    fn an_excess_that_the_evaluator_allows_is_in_the_verdict(statements in statements()) {
        let principal = Principal { account_id: Some("123456789012".to_owned()), user_name: Some("mailer".to_owned()), ..Principal::default() };
        let documents = [PolicyDocument::parse(text_of(&statements)).unwrap()];
        let users = [USER, "arn:aws:iam::123456789012:user/other", "arn:aws:iam::123456789012:user/p/mailer"];
        let objects = ["arn:aws:s3:::b/k", "arn:aws:s3:::x/y", "arn:aws:s3:::team/a:b"];
        let topics = ["arn:aws:sns:us-east-1:123456789012:abc", "arn:aws:sns:us-east-1:123456789012:d"];
        let contexts: Vec<RequestContext> = [None, Some("a"), Some("b"), Some("x"), Some("team")]
            .into_iter()
            .flat_map(|team| ["198.51.100.10", "192.0.2.1"].map(|address| full_context(team, address)))
            .collect();
        let report = check(&documents, &principal);
        for (actions, resources) in [
            (&["iam:CreateAccessKey", "iam:PutUserPolicy", "iam:GetUserPolicy", "iam:ListAccessKeys", "iam:UpdateUser"][..], &users[..]),
            (&["iam:ListUsers", "iam:GetAccountSummary", "ec2:DescribeInstances", "sts:GetSessionToken"][..], &["*"][..]),
            (&["s3:GetObject", "s3:PutObject"][..], &objects[..]),
            (&["sns:Publish"][..], &topics[..]),
            (&["sts:AssumeRole", "iam:PassRole"][..], &["arn:aws:iam::123456789012:role/R"][..]),
            (&["zz:Gu", "sesv2:SendEmail"][..], &["*", "arn:aws:zz:r:1:x"][..]),
        ] {
            for (action, resource) in actions.iter().flat_map(|action| resources.iter().map(move |resource| (action, resource))) {
                let allowed = contexts.iter().any(|context| {
                    evaluate(&documents, &AuthorizationRequest { action, resource, context }).decision == Decision::Allowed
                });
                let found = allowed && is_excess(&documents, &principal, action, resource);
                prop_assert!(!found || report.verdict == Verdict::Overprivileged, "{} on {}", action, resource);
            }
        }
        for action in &report.missing {
            prop_assert!(report.gaps.iter().any(|gap| gap.action == *action));
        }
    }

    #[test]
    fn what_is_printed_parses_the_same(statements in statements()) {
        let first = PolicyDocument::parse(text_of(&statements)).unwrap();
        let printed = first.to_json();
        let second = PolicyDocument::parse_with_limit(&printed, usize::MAX).unwrap();
        prop_assert_eq!(&printed, &second.to_json());
        prop_assert_eq!(first.statements(), second.statements());
    }

    #[test]
    fn the_case_of_actions_never_matters(statements in statements(), request in request()) {
        let turn = |statement: &Value, turn: fn(&str) -> String| {
            let mut turned = statement.clone();
            for element in ["Action", "NotAction"] {
                if let Some(actions) = turned.get_mut(element).and_then(Value::as_array_mut) {
                    for action in actions {
                        *action = json!(turn(action.as_str().unwrap()));
                    }
                }
            }
            turned
        };
        let documents: Vec<[PolicyDocument; 1]> = [str::to_ascii_lowercase as fn(&str) -> String, str::to_ascii_uppercase]
            .map(|case| [PolicyDocument::parse(text_of(&statements.iter().map(|statement| turn(statement, case)).collect::<Vec<_>>())).unwrap()])
            .into();
        let own = [PolicyDocument::parse(text_of(&statements)).unwrap()];
        let loud = (request.0.to_ascii_uppercase(), request.1.clone(), request.2.clone());
        for documents in &documents {
            prop_assert_eq!(decide(documents, &request), decide(&own, &request));
            prop_assert_eq!(decide(documents, &loud), decide(&own, &request));
            prop_assert_eq!(check(documents, &Principal::default()).verdict, check(&own, &Principal::default()).verdict);
        }
    }

    #[test]
    fn any_text_is_parsed_or_rejected(text in "\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = PolicyDocument::parse(&text);
        let _ = PolicyDocument::parse(&bytes);
        let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": text, "Resource": text}}).to_string();
        if let Ok(document) = PolicyDocument::parse(policy) {
            let _ = check(&[document], &Principal::default());
        }
    }

    /// Text that is almost a policy: pieces of the grammar in any order.
    #[test]
    fn almost_policies_are_parsed_or_rejected(pieces in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"Version\":\"2012-10-17\",", "\"Statement\":", "\"Effect\":\"Allow\",", "\"Action\":\"*\",", "\"Resource\":\"*\"", "\"Condition\":",
        "\"${aws:username\"", "\"arn:aws:iam::*:user/${a, 'b'}\"", "\"\\ud800\"", "1e9", "null", "true", " \n", "\"StringLike\":{\"a\":[\"*\"]}", "\"NotAction\":[\"a:b\"]",
    ]), 0..30)) {
        let text = pieces.concat();
        if let Err(error) = PolicyDocument::parse(&text) {
            prop_assert!(!error.problems().is_empty());
            prop_assert!(error.problems().iter().all(|problem| problem.line >= 1 && problem.column >= 1));
        }
        prop_assert_eq!(serde_json::from_str::<Value>(&text).is_err(), PolicyDocument::parse(&text).is_err_and(|error| error.problems()[0].class == policy::ProblemClass::JsonSyntax));
    }
}

proptest! {
    // Each costs up to the whole budget of a comparison: half a second in a debug build.
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_globs_are_compared_in_bounded_time(action in "iam:[a*?]{1,40}", name in "[a*?/:]{1,60}", deny in "[a*?]{1,40}") {
        let user = format!("arn:aws:iam::*:user/{name}");
        let text = text_of(&[
            json!({"Effect": "Allow", "Action": [action, "iam:GetUser"], "Resource": user}),
            json!({"Effect": "Deny", "Action": format!("iam:{deny}"), "Resource": format!("arn:aws:iam::*:user/{deny}")}),
        ]);
        let documents = [PolicyDocument::parse(text).unwrap()];
        prop_assert_eq!(excess_over(&documents, &documents, &Principal::default()), vec![]);
        let _ = check(&documents, &Principal::default());
    }
}
