//! AWS as far as one onboarding needs it, on the wire and without a socket: tenants' STS, IAM, SES and DynamoDB, and
//! our own DynamoDB, KMS and EventBridge. It starts as a good key under the hardened policy; tests replace answers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::{Value, json};

/// The account of [`KEY_ID`].
pub(crate) const ACCOUNT: &str = "171436882533";

/// An id that tells [`ACCOUNT`].
pub(crate) const KEY_ID: &str = "AKIASP2TPHJSQH3FJRUX";

/// An answer: status and body.
pub(crate) type Answer = (u16, String);

/// The fake, shared with the clients that talk to it.
#[derive(Clone)]
pub(crate) struct FakeAws(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Replaced answers; of several, the last one stays.
    replaced: HashMap<&'static str, Vec<Answer>>,
    /// How long operations take whose names begin so; the last one that fits counts.
    slow: Vec<(&'static str, Duration)>,
    /// What was asked, in order.
    calls: Vec<String>,
    /// Bodies of what was asked of our own account.
    own_bodies: Vec<String>,
    /// Our tables, by table and key.
    items: HashMap<String, Value>,
}

impl FakeAws {
    /// A good key of a fresh account, and empty tables.
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// As the connector of a handler.
    pub(crate) fn http(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// From now on, this operation is answered so.
    pub(crate) fn answer(&self, operation: &'static str, answer: Answer) {
        self.answers(operation, vec![answer]);
    }

    /// From now on, this operation is answered so, one after the other; the last answer stays.
    pub(crate) fn answers(&self, operation: &'static str, answers: Vec<Answer>) {
        self.state().replaced.insert(operation, answers);
    }

    /// From now on, operations whose names begin so take this long.
    pub(crate) fn slow_down(&self, operations: &'static str, by: Duration) {
        self.state().slow.push((operations, by));
    }

    /// What was asked so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// How often this was asked.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.state().calls.iter().filter(|call| *call == operation).count()
    }

    /// Everything that was sent to our own account, and everything that is stored there.
    pub(crate) fn own_traffic(&self) -> (Vec<String>, String) {
        let state = self.state();
        (state.own_bodies.clone(), serde_json::to_string(&state.items).unwrap())
    }

    /// Puts an item into a table as if it had always been there.
    pub(crate) fn put_item(&self, table: &str, item: Value) {
        let key = key_of(table, &item);
        self.state().items.insert(key, item);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn time_of(&self, operation: &str) -> Duration {
        let state = self.state();
        let slow = state.slow.iter().rev().find(|(prefix, _)| operation.starts_with(prefix));
        slow.map_or(Duration::ZERO, |(_, time)| *time)
    }

    fn serve(&self, operation: &str, own: bool, body: &str) -> Answer {
        let mut state = self.state();
        state.calls.push(operation.to_owned());
        if own {
            state.own_bodies.push(body.to_owned());
        }
        if let Some(answers) = state.replaced.get_mut(operation) {
            return if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        }
        match operation {
            "own:GetItem" => state.get_item(body),
            "own:TransactWriteItems" => state.transact(body),
            "own:Query" => state.query(),
            "own:Encrypt" => (200, json!({"CiphertextBlob": "c2VhbGVk", "KeyId": "key"}).to_string()),
            "own:PutEvents" => (200, json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}).to_string()),
            "own:UpdateItem" => (200, "{}".to_owned()),
            _ => tenant(operation),
        }
    }
}

impl State {
    fn get_item(&self, body: &str) -> Answer {
        let request: Value = serde_json::from_str(body).unwrap();
        let key = key_of(request["TableName"].as_str().unwrap(), &request["Key"]);
        let answer = self.items.get(&key).map_or_else(|| json!({}), |item| json!({"Item": item}));
        (200, answer.to_string())
    }

    fn query(&self) -> Answer {
        let mut items: Vec<_> = self.items.values().filter(|item| item["sk"]["S"] == "provider").collect();
        items.sort_by_key(|item| item["provider_id"]["S"].as_str().unwrap().to_owned());
        (200, json!({"Items": items, "Count": items.len()}).to_string())
    }

    /// Puts, all or nothing; the only condition there is here is that the item must be absent.
    fn transact(&mut self, body: &str) -> Answer {
        let request: Value = serde_json::from_str(body).unwrap();
        let puts: Vec<_> = request["TransactItems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|write| {
                let put = &write["Put"];
                let key = key_of(put["TableName"].as_str().unwrap(), &put["Item"]);
                (key, put["Item"].clone(), put["ConditionExpression"].is_string())
            })
            .collect();
        let reasons: Vec<_> = puts
            .iter()
            .map(|(key, _, conditional)| match self.items.get(key) {
                Some(item) if *conditional => json!({"Code": "ConditionalCheckFailed", "Item": item}),
                _ => json!({"Code": "None"}),
            })
            .collect();
        if reasons.iter().any(|reason| reason["Code"] != "None") {
            return cancelled(&reasons);
        }
        self.items.extend(puts.into_iter().map(|(key, item, _)| (key, item)));
        (200, "{}".to_owned())
    }
}

/// A cancelled transaction.
pub(crate) fn cancelled(reasons: &[Value]) -> Answer {
    let body = json!({"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled", "CancellationReasons": reasons});
    (400, body.to_string())
}

/// An error of STS or IAM.
pub(crate) fn query_error(status: u16, code: &str, text: &str) -> Answer {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    );
    (status, body)
}

/// An error of SES, DynamoDB, KMS or EventBridge.
pub(crate) fn json_error(status: u16, code: &str, text: &str) -> Answer {
    (status, json!({"__type": code, "message": text}).to_string())
}

/// A denial by IAM.
pub(crate) fn denied(action: &str, tail: &str) -> Answer {
    query_error(403, "AccessDenied", &denial(action, "user mailer", tail))
}

/// AWS's wording of a denial.
pub(crate) fn denial(action: &str, resource: &str, tail: &str) -> String {
    format!(
        "User: arn:aws:iam::{ACCOUNT}:user/mailer is not authorized to perform: {action} on resource: {resource} {tail}"
    )
}

/// STS's answer for a caller.
pub(crate) fn caller(arn: &str) -> Answer {
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>AIDAEXAMPLE</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    (200, body)
}

/// An answer of IAM's with these elements in its result.
pub(crate) fn iam(operation: &str, result: &str) -> Answer {
    let xml = format!(
        "<{operation}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{operation}Result>{result}</{operation}Result></{operation}Response>"
    );
    (200, xml)
}

/// SES's answer about the account.
pub(crate) fn account(production: bool, sending: bool, enforcement: &str) -> Answer {
    let body = json!({"ProductionAccessEnabled": production, "SendingEnabled": sending,
        "EnforcementStatus": enforcement,
        "SendQuota": {"Max24HourSend": 50000.0, "MaxSendRate": 14.0, "SentLast24Hours": 0.0}});
    (200, body.to_string())
}

/// SES's identities of the account.
pub(crate) fn identities(names: &[&str]) -> Answer {
    let list: Vec<_> = names
        .iter()
        .map(|name| json!({"IdentityType": "DOMAIN", "IdentityName": name, "SendingEnabled": true}))
        .collect();
    (200, json!({"EmailIdentities": list}).to_string())
}

/// IAM's answer for the delete probe, where the policy allows it.
pub(crate) fn no_such_key() -> Answer {
    query_error(404, "NoSuchEntity", "The Access Key with id AKIA7777777777777777 cannot be found.")
}

/// SES's answer for the send probe, where the policy allows it.
pub(crate) fn not_verified() -> Answer {
    json_error(
        400,
        "MessageRejected",
        "Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: invalid@invalid",
    )
}

/// How a good key under the hardened policy is answered.
fn tenant(operation: &str) -> Answer {
    let no = "with an explicit deny in an identity-based policy";
    match operation {
        "tenant:GetCallerIdentity" => caller(&format!("arn:aws:iam::{ACCOUNT}:user/mailer")),
        "tenant:GetUser" => (
            200,
            format!(
                "<GetUserResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetUserResult><User><Path>/</Path><UserName>mailer</UserName><UserId>AIDAEXAMPLE</UserId><Arn>arn:aws:iam::{ACCOUNT}:user/mailer</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></User></GetUserResult></GetUserResponse>"
            ),
        ),
        "tenant:DeleteAccessKey" => no_such_key(),
        "tenant:DeleteAccessKey elsewhere" => denied("iam:DeleteAccessKey", no),
        "tenant:ListUserPolicies" => denied("iam:ListUserPolicies", no),
        "tenant:SimulatePrincipalPolicy" => denied("iam:SimulatePrincipalPolicy", no),
        "tenant:ListUsers" => denied("iam:ListUsers", no),
        "tenant:ListTables" => json_error(400, "AccessDeniedException", &denial("dynamodb:ListTables", "*", no)),
        "tenant:GetAccount" => account(true, true, "HEALTHY"),
        "tenant:SendEmail" => not_verified(),
        "tenant:ListEmailIdentities" => identities(&["example.com"]),
        other => panic!("nobody should ask for {other}"),
    }
}

/// What a request asks for, and of whom.
fn operation(request: &HttpRequest, body: &str) -> (String, bool) {
    let own = request.uri().contains("own.test");
    let whose = if own { "own" } else { "tenant" };
    if let Some(target) = request.headers().get("x-amz-target") {
        let name = target.rsplit('.').next().unwrap();
        return (format!("{whose}:{name}"), own);
    }
    let form = |name: &str| body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    if let Some(action) = form("Action") {
        let elsewhere = action == "DeleteAccessKey" && form("UserName") != Some("mailer");
        return (format!("{whose}:{action}{}", if elsewhere { " elsewhere" } else { "" }), own);
    }
    let name = match request.uri() {
        uri if uri.contains("/v2/email/account") => "GetAccount",
        uri if uri.contains("/v2/email/outbound-emails") => "SendEmail",
        uri if uri.contains("identities") => "ListEmailIdentities",
        uri => panic!("nobody should ask for {uri}"),
    };
    (format!("{whose}:{name}"), own)
}

fn key_of(table: &str, item: &Value) -> String {
    let part = |name: &str| item[name]["S"].as_str().unwrap_or_default();
    format!("{table}/{}{}/{}", part("pk"), part("lane"), part("sk"))
}

impl HttpConnector for FakeAws {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let fake = self.clone();
        HttpConnectorFuture::new(async move {
            let body = std::mem::replace(request.body_mut(), SdkBody::taken());
            let body = ByteStream::new(body).collect().await.unwrap().into_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            let (operation, own) = operation(&request, &body);
            tokio::time::sleep(fake.time_of(&operation)).await;
            let (status, answer) = fake.serve(&operation, own, &body);
            Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(answer)))
        })
    }
}

impl HttpClient for FakeAws {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl fmt::Debug for FakeAws {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FakeAws")
    }
}
