//! Excess probes that list what other services hold: one small signed request each.
//!
//! There is no SDK client for these services here: six clients that are used for one call each would cost minutes of
//! compile time and megabytes in every function. The requests are built by hand (`RequestSigner`).

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use super::write_tracker::WriteTracker;
use super::{Clients, Credential, Denial, Failure, FailureKind, Region};
use crate::runtime::{RequestSigner, USER_AGENT};

/// The longest that one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// A call that lists what a service holds and changes nothing. Every key that may do much in a service may also list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListProbe {
    /// `s3:ListAllMyBuckets`
    Buckets,
    /// `secretsmanager:ListSecrets`
    Secrets,
    /// `lambda:ListFunctions`
    Functions,
    /// `ec2:DescribeRegions` as a dry run, which only says whether it would be allowed.
    Regions,
    /// `kms:ListKeys`
    Keys,
    /// `dynamodb:ListTables`
    Tables,
}

/// The request of a probe.
struct ProbeRequest {
    /// The service, as in host names and signatures.
    service: &'static str,
    method: &'static str,
    path: &'static str,
    content_type: &'static str,
    /// The operation of the JSON protocols.
    target: &'static str,
    body: &'static str,
}

impl ListProbe {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Buckets, Self::Secrets, Self::Functions, Self::Regions, Self::Keys, Self::Tables];

    /// The IAM action that the call needs.
    pub fn action(self) -> &'static str {
        match self {
            Self::Buckets => "s3:ListAllMyBuckets",
            Self::Secrets => "secretsmanager:ListSecrets",
            Self::Functions => "lambda:ListFunctions",
            Self::Regions => "ec2:DescribeRegions",
            Self::Keys => "kms:ListKeys",
            Self::Tables => "dynamodb:ListTables",
        }
    }

    /// Each asks for one item at most, where the service has such a limit, and the names in it are not read.
    fn request(self) -> ProbeRequest {
        let get = |service, path| ProbeRequest { service, method: "GET", path, content_type: "", target: "", body: "" };
        let json = |service, content_type, target, body| ProbeRequest {
            service,
            method: "POST",
            path: "/",
            content_type,
            target,
            body,
        };
        match self {
            Self::Buckets => get("s3", "/?max-buckets=1&x-id=ListBuckets"),
            Self::Functions => get("lambda", "/2015-03-31/functions/?MaxItems=1"),
            Self::Secrets => json(
                "secretsmanager",
                "application/x-amz-json-1.1",
                "secretsmanager.ListSecrets",
                r#"{"MaxResults":1}"#,
            ),
            Self::Keys => json("kms", "application/x-amz-json-1.1", "TrentService.ListKeys", r#"{"Limit":1}"#),
            Self::Tables => {
                json("dynamodb", "application/x-amz-json-1.0", "DynamoDB_20120810.ListTables", r#"{"Limit":1}"#)
            }
            Self::Regions => json(
                "ec2",
                "application/x-www-form-urlencoded",
                "",
                "Action=DescribeRegions&DryRun=true&Version=2016-11-15",
            ),
        }
    }
}

impl Clients {
    /// Makes the call in the credential's Region. `Ok` means that the key may list, so it may do too much.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn probe_list(&self, credential: &Credential, probe: ListProbe) -> Result<(), Failure> {
        let written = WriteTracker::default();
        let request = probe.request();
        let endpoint = self.endpoint_url.clone().unwrap_or_else(|| endpoint(request.service, credential.region));
        let Credential { access_key_id, secret_access_key, region } = credential;
        let signer = RequestSigner {
            credentials: Credentials::new(access_key_id.as_str(), secret_access_key.expose(), None, None, "Tenant"),
            region: region.to_string(),
            service: request.service,
            body: request.body.to_owned(),
        };
        let operation = signer
            .operation(probe.action(), self.http.clone(), &endpoint)
            .standard_retry(&RetryConfig::standard().with_max_attempts(3))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(2))
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .build(),
            )
            .interceptor(written.clone())
            .serializer(move |(): ()| unsigned(&request))
            .deserializer(read_response)
            .build();
        let answer = operation.invoke(()).await.map_err(|error| Failure::from_sdk_error(&error, &written));
        match answer {
            // EC2's answer to a dry run that would have been allowed (AWS: EC2 API reference, "Common client errors").
            Err(failure) if failure.code.as_deref() == Some("DryRunOperation") => Ok(()),
            // S3's and EC2's words for a key that they do not know (S3 API reference, "Error responses"; EC2 API reference,
            // "Common client errors"): perhaps not yet.
            Err(failure) if matches!(failure.code.as_deref(), Some("InvalidAccessKeyId" | "AuthFailure")) => {
                Err(Failure { kind: FailureKind::KeyRefused, ..failure })
            }
            // EC2's denial. Its text names the action and the kind of policy in accounts that see so (mondoohq/mql#5143),
            // and is only "You are not authorized to perform this operation." in others (aws/aws-parallelcluster#3140).
            Err(failure)
                if failure.code.as_deref() == Some("UnauthorizedOperation")
                    && !matches!(failure.kind, FailureKind::Denied(_)) =>
            {
                Err(Failure { kind: FailureKind::Denied(Denial::parse("")), ..failure })
            }
            answer => answer,
        }
    }
}

/// The endpoint of one of these services (AWS General Reference, "Service endpoints and quotas"). All of them have the
/// same form in the partitions of [`Region`].
fn endpoint(service: &str, region: Region) -> String {
    format!("https://{service}.{region}.amazonaws.com")
}

fn unsigned(request: &ProbeRequest) -> Result<HttpRequest, BoxError> {
    let mut http = HttpRequest::new(SdkBody::from(request.body));
    http.set_method(request.method)?;
    http.set_uri(request.path)?;
    let headers = http.headers_mut();
    headers.insert("user-agent", USER_AGENT);
    if !request.content_type.is_empty() {
        headers.insert("content-type", request.content_type);
    }
    if !request.target.is_empty() {
        headers.insert("x-amz-target", request.target);
    }
    if !request.body.is_empty() {
        headers.insert("content-length", request.body.len().to_string());
    }
    Ok(http)
}

/// Nothing of an answer is kept: 2xx says it all. Of a refusal, code and text are read in each service's form.
fn read_response(response: &HttpResponse) -> Result<(), OrchestratorError<ErrorMetadata>> {
    if response.status().is_success() {
        return Ok(());
    }
    let body = response.body().bytes().unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    let typed = response.headers().get("x-amzn-errortype").unwrap_or_default();
    let (code, text) = refusal(typed, &body);
    let mut metadata = ErrorMetadata::builder().message(text);
    if !code.is_empty() {
        metadata = metadata.code(code);
    }
    Err(OrchestratorError::operation(metadata.build()))
}

/// Code and text of a refusal. Lambda sends the code in a header, DynamoDB, KMS and Secrets Manager as `__type` in JSON,
/// S3 as `Error/Code` and EC2 as `Response/Errors/Error/Code` in XML.
fn refusal(typed: &str, body: &str) -> (String, String) {
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(body) {
        let field =
            |names: &[&str]| names.iter().find_map(|name| json.get(name)?.as_str()).unwrap_or_default().to_owned();
        let code = if typed.is_empty() { field(&["__type", "code", "Code"]) } else { typed.to_owned() };
        let code = code.rsplit('#').next().unwrap_or_default();
        let code = code.split(':').next().unwrap_or_default();
        return (code.to_owned(), field(&["message", "Message"]));
    }
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text.to_owned())
    };
    (element("Code").unwrap_or_else(|| typed.to_owned()), element("Message").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::id::AccessKeyId;
    use crate::runtime::Environment;
    use crate::tenant::SecretAccessKey;
    use crate::testing::{FakeRequest, fake_aws};

    const SECRET: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ+/01";

    fn credential() -> Credential {
        Credential {
            access_key_id: AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap(),
            secret_access_key: SecretAccessKey::from_pasted(SECRET).unwrap(),
            region: Region::parse("eu-central-1").unwrap(),
        }
    }

    /// The answer to a probe, and the requests that it made.
    async fn probe(probe: ListProbe, status: u16, body: &str) -> (Result<(), Failure>, Vec<FakeRequest>) {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, body) = (Arc::clone(&requests), body.to_owned());
        let http = fake_aws(move |request| {
            seen.lock().unwrap().push(request);
            std::future::ready((status, body.clone()))
        });
        let answer = Clients::new(&Environment::from_variables(&[]), &http).probe_list(&credential(), probe).await;
        let requests = std::mem::take(&mut *requests.lock().unwrap());
        (answer, requests)
    }

    /// A list, or a dry run: no request names anything, and none can change anything.
    #[tokio::test(start_paused = true)]
    async fn each_probe_is_one_signed_list_call_at_its_own_service() {
        let expected = [
            "https://s3.eu-central-1.amazonaws.com/?max-buckets=1&x-id=ListBuckets  ",
            "https://secretsmanager.eu-central-1.amazonaws.com/ ListSecrets {\"MaxResults\":1}",
            "https://lambda.eu-central-1.amazonaws.com/2015-03-31/functions/?MaxItems=1  ",
            "https://ec2.eu-central-1.amazonaws.com/  Action=DescribeRegions&DryRun=true&Version=2016-11-15",
            "https://kms.eu-central-1.amazonaws.com/ ListKeys {\"Limit\":1}",
            "https://dynamodb.eu-central-1.amazonaws.com/ ListTables {\"Limit\":1}",
        ];
        for (list, expected) in ListProbe::ALL.into_iter().zip(expected) {
            let (answer, requests) = probe(list, 200, "{}").await;
            assert!(answer.is_ok(), "{answer:?}");
            let [FakeRequest { uri, target, body, .. }] = &requests[..] else { panic!("{} requests", requests.len()) };
            assert_eq!(format!("{uri} {target} {body}"), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_read_in_each_services_form() {
        let text = "User: arn:aws:iam::1:user/u is not authorized to perform: x:Y on resource: * because no identity-based policy allows the x:Y action";
        let json = |code: &str| format!(r#"{{"__type":"com.amazonaws.kms#{code}","Message":"{text}"}}"#);
        let s3 = |code: &str, text: &str| {
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{text}</Message></Error>")
        };
        let ec2 = |code: &str, text: &str| {
            format!("<Response><Errors><Error><Code>{code}</Code><Message>{text}</Message></Error></Errors></Response>")
        };
        let dry = ec2("DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
        let cases = [
            (ListProbe::Keys, 400, json("AccessDeniedException"), "denied"),
            (ListProbe::Functions, 403, format!(r#"{{"Message":"{text}"}}"#), "denied"),
            (ListProbe::Buckets, 403, s3("AccessDenied", text), "denied"),
            (ListProbe::Buckets, 403, s3("AccessDenied", "Access Denied"), "denied"),
            (
                ListProbe::Regions,
                403,
                ec2("UnauthorizedOperation", &format!("You are not authorized to perform this operation. {text}")),
                "denied",
            ),
            (
                ListProbe::Regions,
                403,
                ec2("UnauthorizedOperation", "You are not authorized to perform this operation."),
                "denied",
            ),
            (ListProbe::Regions, 412, dry, "allowed"),
            (
                ListProbe::Buckets,
                403,
                s3("NotSignedUp", "Your account is not signed up for the Amazon S3 service."),
                "forbidden",
            ),
            (
                ListProbe::Buckets,
                403,
                s3("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist"),
                "key_refused",
            ),
            (
                ListProbe::Regions,
                401,
                ec2("AuthFailure", "AWS was not able to validate the provided access credentials"),
                "key_refused",
            ),
            (ListProbe::Tables, 400, json("ThrottlingException"), "throttled"),
            (ListProbe::Secrets, 500, String::new(), "unknown"),
        ];
        for (list, status, body, expected) in cases {
            let (answer, requests) = probe(list, status, &body).await;
            let word = answer.as_ref().map_or_else(|failure| failure.kind.as_str(), |()| "allowed");
            assert_eq!(word, expected, "{body}");
            assert_eq!(requests.len(), if status == 500 { 3 } else { 1 }, "{body}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_is_dropped_unread_and_no_text_of_aws_is_kept() {
        let (answer, _) =
            probe(ListProbe::Buckets, 403, &format!("<Code>AccessDenied</Code><Message>{SECRET}</Message>")).await;
        assert!(!format!("{answer:?}").contains(SECRET), "{answer:?}");
    }
}
