//! `POST /policy/check`: what policies allow, before anybody creates a key. It calls nothing and stores nothing.

use serde::Deserialize;
use serde_json::value::RawValue;
use shared::http::{FieldError, Problem, Request, RequestLog, Response, body, respond};
use shared::policy::{CheckOutput, LocatedProblem, MAX_PROBLEMS, ParseError, PolicyDocument, Principal, check};
use shared::tenant::Region;

use crate::Verify;
use crate::verification::own_policies::MAX_DOCUMENTS;

/// The largest body in bytes, as it is transported: more than all policies that IAM's quotas allow a user.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyCheckRequest {
    /// As written: only the text shows duplicate keys, and the line of every problem.
    policies: Vec<Box<RawValue>>,
    account_id: Option<String>,
    user_name: Option<String>,
    user_path: Option<String>,
    /// Where mail will be sent, which also determines the partition. If it is absent, the Regions that the policies name.
    region: Option<Region>,
}

impl Verify {
    /// Answers with what these policies allow together.
    pub(crate) fn check_policy(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let asked = PolicyCheckRequest::from_request(request)?;
        let documents = asked.documents().inspect_err(|_| log.outcome("unreadable"))?;
        let subject = Principal { now: Some(self.ambient.now().to_string()), ..asked.subject() };
        let report = check(&documents, &subject);
        log.outcome(report.verdict.as_str());
        Ok(respond(200, &CheckOutput::new(&report, &documents)))
    }
}

impl PolicyCheckRequest {
    fn from_request(request: &Request) -> Result<Self, Problem> {
        if request.body.as_deref().is_some_and(|body| body.len() > MAX_BODY_BYTES) {
            return Err(
                Problem::new(413, format!("`body` is larger than {MAX_BODY_BYTES} bytes.")).with("field", &"body")
            );
        }
        let asked: Self = body(request)?;
        if !(1..=MAX_DOCUMENTS).contains(&asked.policies.len()) {
            return Err(Problem::bad_request(&FieldError::new(
                "policies",
                format!("must be 1 to {MAX_DOCUMENTS} policy documents"),
            )));
        }
        if let Some((field, problem)) = asked.subject().invalid_field() {
            return Err(Problem::bad_request(&FieldError::new(field, problem)));
        }
        Ok(asked)
    }

    /// All documents, or the problems of all that cannot be read.
    fn documents(&self) -> Result<Vec<PolicyDocument>, Problem> {
        let mut documents = Vec::with_capacity(self.policies.len());
        let mut unreadable = Vec::new();
        for (index, raw) in self.policies.iter().enumerate() {
            match parse_document(index, raw.get())? {
                Ok(document) => documents.push(document),
                Err(error) => unreadable.push((index, error)),
            }
        }
        if unreadable.is_empty() {
            return Ok(documents);
        }
        let problems: Vec<_> = unreadable
            .iter()
            .flat_map(|(document, error)| {
                error.problems().iter().map(|problem| LocatedProblem { document: *document, problem })
            })
            .take(MAX_PROBLEMS)
            .collect();
        let (count, all) = (unreadable.len(), self.policies.len());
        Err(Problem::new(
            422,
            format!("{count} of {all} documents cannot be read. `problems` says what is wrong, where, and what to do."),
        )
        .kind("policy-unreadable")
        .with("problems", &problems))
    }

    fn subject(&self) -> Principal {
        Principal {
            account_id: self.account_id.clone(),
            user_name: self.user_name.clone(),
            user_path: self.user_path.clone(),
            region: self.region.map(|region| region.as_str().to_owned()),
            ..Principal::default()
        }
    }
}

/// A document of the body: JSON, or a string that contains JSON. What the AWS CLI prints around it is removed.
fn parse_document(index: usize, raw: &str) -> Result<Result<PolicyDocument, ParseError>, Problem> {
    if !raw.starts_with('"') {
        return Ok(PolicyDocument::read(raw));
    }
    let text: String = serde_json::from_str(raw).map_err(|_| {
        Problem::bad_request(&FieldError::new(
            format!("policies[{index}]"),
            "is a string with an escape of no character",
        ))
    })?;
    Ok(PolicyDocument::read(text))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::policy;

    use super::*;

    const BAD: &str = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {\"effect\": \"Allow\", \"Effect\": \"Allow\", \"Action\": \"ses:*\", \"Resource\": \"*\"}\n  ]\n}";

    fn request(body: &str) -> Request {
        let event = include_str!("../../../../events/verify-check-policy.json");
        let mut request: Request = serde_json::from_str(event).unwrap();
        request.body = Some(body.to_owned());
        request
    }

    fn problem_of(problem: Problem) -> (u16, Value) {
        let status = problem.status();
        let Some(aws_lambda_events::encodings::Body::Text(text)) = Response::from(problem).body else {
            panic!("no body")
        };
        (status, serde_json::from_str(&text).unwrap())
    }

    fn refused(body: &str) -> (u16, Value) {
        match PolicyCheckRequest::from_request(&request(body)).and_then(|asked| asked.documents()) {
            Ok(_) => panic!("{body} was accepted"),
            Err(problem) => problem_of(problem),
        }
    }

    #[test]
    fn a_request_is_valid_as_a_whole_or_its_fault_is_named() {
        let with = |field: &str, value: Value| {
            let mut body = json!({"policies": [{}]});
            body[field] = value;
            body.to_string()
        };
        let cases = [
            ("{}".to_owned(), "policies"),
            (with("policies", json!([])), "policies"),
            (with("policies", json!({})), "policies"),
            (with("policies", json!(vec![1; MAX_DOCUMENTS + 1])), "policies"),
            (r#"{"policies":["\ud800"]}"#.to_owned(), "policies[0]"),
            (with("account_id", json!("12345678901")), "account_id"),
            (with("account_id", json!(123_456_789_012_u64)), "account_id"),
            (with("account_id", json!("12345678901x")), "account_id"),
            (with("user_name", json!("")), "user_name"),
            (with("user_name", json!("a/b")), "user_name"),
            (with("user_name", json!("x".repeat(65))), "user_name"),
            (with("user_path", json!("team")), "user_path"),
            (with("user_path", json!("/a b/")), "user_path"),
            (with("user_path", json!(format!("/{}/", "x".repeat(511)))), "user_path"),
            (with("region", json!("mars-1")), "region"),
            (with("users", json!("x")), "users"),
            (r#"{"policies":[{]}"#.to_owned(), "body"),
            (String::new(), "body"),
        ];
        for (body, field) in cases {
            let (status, problem) = refused(&body);
            assert_eq!((status, problem["field"].as_str()), (400, Some(field)), "{body}");
        }
    }

    #[test]
    fn output_of_the_aws_cli_is_unwrapped_and_the_answer_says_so() {
        let printed = format!(r#"{{"PolicyVersion":{{"VersionId":"v1","Document":{}}}}}"#, policy::classic());
        let body = format!(r#"{{"policies":[{},{printed},{}]}}"#, policy::classic(), json!(printed));
        let asked = PolicyCheckRequest::from_request(&request(&body)).unwrap();
        let documents = asked.documents().unwrap();
        let output = serde_json::to_value(CheckOutput::new(&check(&documents, &asked.subject()), &documents)).unwrap();
        let unwrapped: Vec<_> =
            output["unwrapped"].as_array().unwrap().iter().map(|read| (&read["document"], &read["part"])).collect();
        let part = json!("PolicyVersion.Document");
        assert_eq!(unwrapped, [(&json!(1), &part), (&json!(2), &part)]);

        let (status, problem) = refused(r#"{"policies":[{"Policy":{"Arn":"a:b","DefaultVersionId":"v2"}}]}"#);
        assert_eq!((status, &problem["problems"][0]["class"]), (422, &json!("no-document")));
        let remedy = problem["problems"][0]["remedy"].as_str().unwrap();
        assert!(remedy.contains("get-policy-version --policy-arn a:b --version-id v2"), "{remedy}");
    }

    #[test]
    fn the_region_is_the_one_given_or_those_that_the_policies_name() {
        let allow = |resource: &str| json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ses:*", "Resource": resource}});
        let policies =
            json!([allow("arn:aws:ses:eu-central-1:123456789012:*"), allow("arn:aws:ses:eu-west-1:123456789012:*")]);
        let mut body = json!({"policies": policies});
        let report = |body: &Value| {
            let asked = PolicyCheckRequest::from_request(&request(&body.to_string())).unwrap();
            let documents = asked.documents().unwrap();
            serde_json::to_value(CheckOutput::new(&check(&documents, &asked.subject()), &documents)).unwrap()
        };
        let open = report(&body);
        assert_eq!(open["questions"][0]["choices"], json!(["eu-central-1", "eu-west-1"]));
        body["region"] = json!("eu-west-1");
        let decided = report(&body);
        assert_eq!((&decided["subject"]["region"], &decided["questions"]), (&json!("eu-west-1"), &Value::Null));
        assert_eq!(
            decided["missing"],
            json!(["ses:GetAccount", "ses:ListEmailIdentities", "iam:GetUser", "iam:DeleteAccessKey"])
        );
    }

    #[test]
    fn a_body_that_is_too_large_is_not_read() {
        let (status, problem) = refused(&format!("[{}]", " ".repeat(MAX_BODY_BYTES)));
        assert_eq!((status, &problem["field"]), (413, &json!("body")));
    }

    #[test]
    fn an_object_and_a_string_have_the_same_problems_in_the_same_places() {
        let (status, object) = refused(&format!("{{\"policies\": [{BAD}]}}"));
        let (_, string) = refused(&json!({"policies": [BAD]}).to_string());
        assert_eq!((status, &object["problems"]), (422, &string["problems"]));
        assert_eq!(object["type"], "urn:sendingbee:problem:policy-unreadable");
        let first = &object["problems"][0];
        assert_eq!((&first["document"], &first["class"]), (&json!(0), &json!("unknown-element")));
        assert_eq!((&first["pointer"], &first["line"]), (&json!("/Statement/0/effect"), &json!(4)));
        assert!(first["column"].is_u64() && first["message"].is_string() && first["remedy"].is_string());
    }

    #[test]
    fn the_problems_of_all_documents_are_listed_up_to_a_limit() {
        let twice = r#"{"Version":"2012-10-17","Version":"2012-10-17"}"#;
        let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let body = format!("{{\"policies\": [{}, {twice}, 7, {nested}, null]}}", policy::classic());
        let (status, problem) = refused(&body);
        let classes: Vec<_> = problem["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|problem| (problem["document"].as_u64().unwrap(), problem["class"].as_str().unwrap()))
            .collect();
        assert_eq!(status, 422);
        assert_eq!(
            classes,
            [(1, "duplicate-key"), (1, "missing-statement"), (2, "data-type"), (3, "data-type"), (4, "data-type")]
        );
        assert!(problem["detail"].as_str().unwrap().starts_with("4 of 5 documents"), "{problem}");

        let (_, problem) = refused(
            &json!({"policies": vec![json!({"Version": "2012-10-17", "Statement": [1, 2, 3]}); MAX_DOCUMENTS]})
                .to_string(),
        );
        assert_eq!(problem["problems"].as_array().unwrap().len(), MAX_PROBLEMS);
    }
}
