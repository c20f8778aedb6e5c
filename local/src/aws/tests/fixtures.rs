//! A stand-in to test, its clients, and the errors that they see.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

pub(super) use aws_credential_types::Credentials;
pub(super) use aws_sdk_sqs::config::http::HttpResponse;
pub(super) use aws_sdk_sqs::error::SdkError;
pub(super) use serde_json::{Value, json};

use aws_sdk_sesv2::operation::send_email::{SendEmailError, SendEmailOutput};
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use aws_sdk_sqs::error::ProvideErrorMetadata;

use crate::aws::tenant::NewTenant;
use crate::aws::{StandIn, bind};
use crate::faults::AccountFaults;
use crate::stack;
use crate::template::Settings;

/// The operator of the tests.
pub(super) const OPERATOR: &str = "123456789012";

/// The policy that tenants have been told to use.
pub(super) const CLASSIC: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["ses:*"],"Resource":"*"},
    {"Effect":"Allow","Action":["iam:GetUser","iam:DeleteAccessKey"],"Resource":"arn:aws:iam::*:user/*"}]}"#;

/// A stack with one of everything.
pub(super) const TEMPLATE: &str = include_str!("template.yaml");

/// A running stand-in.
pub(super) struct World {
    pub(super) stand_in: Arc<StandIn>,
}

/// A tenant's key.
pub(super) struct Tenant {
    pub(super) account_id: String,
    pub(super) user_arn: String,
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
}

impl World {
    pub(super) async fn start() -> Self {
        Self::with(TEMPLATE).await
    }

    pub(super) async fn with(template: &str) -> Self {
        let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let settings = Settings {
            stack_name: "mail".to_owned(),
            account_id: OPERATOR.to_owned(),
            region: "us-east-1".to_owned(),
            aws_endpoint: format!("http://{}", listener.local_addr().unwrap()),
            api_endpoint: "http://127.0.0.1:9000".to_owned(),
            parameters: BTreeMap::new(),
        };
        let stack = stack::load(template, &settings).unwrap();
        Self { stand_in: StandIn::start(&stack, listener).await.unwrap() }
    }

    pub(super) fn output(&self, name: &str) -> String {
        self.stand_in.outputs()[name].clone()
    }

    pub(super) fn tenant(&self, json: Value) -> Tenant {
        let made = self.stand_in.create_tenant(&NewTenant::parse(json.to_string().as_bytes()).unwrap()).unwrap();
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        Tenant {
            account_id: text("account_id"),
            user_arn: text("user_arn"),
            access_key_id: text("access_key_id"),
            secret_access_key: text("secret_access_key"),
        }
    }

    /// A tenant as most are: classic policy, a verified domain.
    pub(super) fn classic(&self) -> Tenant {
        let policy: Value = serde_json::from_str(CLASSIC).unwrap();
        self.tenant(json!({"policies": [policy], "identities": ["example.com"]}))
    }

    pub(super) async fn faults(&self, tenant: &Tenant, json: Value) {
        let faults = AccountFaults::parse_tenant(json.to_string().as_bytes()).unwrap();
        self.stand_in.set_tenant_faults(&tenant.account_id, faults).await.unwrap();
    }

    pub(super) async fn own_faults(&self, rules: Value) {
        let json = json!({"rules": rules}).to_string();
        self.stand_in.set_own_faults(AccountFaults::parse_own(json.as_bytes()).unwrap()).await;
    }

    pub(super) fn session(&self, role_arn: &str) -> Credentials {
        self.named_session(role_arn, "test")
    }

    /// A session of a role; Lambda names those of a function's code after the function.
    pub(super) fn named_session(&self, role_arn: &str, name: &str) -> Credentials {
        let issuer = self.stand_in.credential_issuer();
        let made = issuer.issue(role_arn, name, chrono::Duration::hours(1));
        Credentials::new(made.access_key_id, made.secret_access_key, Some(made.session_token), None, "test")
    }

    pub(super) fn inbox(&self, tenant: &Tenant) -> Vec<Arc<Value>> {
        self.stand_in.inbox(Some(&tenant.account_id))
    }
}

impl Tenant {
    pub(super) fn credentials(&self) -> Credentials {
        Credentials::new(&self.access_key_id, &self.secret_access_key, None, None, "test")
    }
}

pub(super) fn operator() -> Credentials {
    Credentials::new("test", "test", None, None, "test")
}

/// A client of an SDK for the stand-in, without retries.
macro_rules! client {
    ($sdk:ident, $world:expr, $credentials:expr) => {
        $sdk::Client::from_conf(
            $sdk::Config::builder()
                .behavior_version($sdk::config::BehaviorVersion::latest())
                .endpoint_url($world.stand_in.endpoint())
                .region($sdk::config::Region::new("us-east-1"))
                .credentials_provider($credentials)
                .retry_config($sdk::config::retry::RetryConfig::disabled())
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .build(),
        )
    };
}
pub(super) use client;

/// The code and message of an error that a service answered.
pub(super) fn said<T: Debug, E: ProvideErrorMetadata + Debug>(
    result: Result<T, SdkError<E, HttpResponse>>,
) -> (String, String) {
    let error = result.unwrap_err();
    (error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned())
}

pub(super) fn code<T: Debug, E: ProvideErrorMetadata + Debug>(result: Result<T, SdkError<E, HttpResponse>>) -> String {
    said(result).0
}

/// A mail's content.
pub(super) fn simple() -> EmailContent {
    let text = |text: &str| Content::builder().data(text).build().unwrap();
    let body = Body::builder().text(text("Hello")).build();
    EmailContent::builder().simple(Message::builder().subject(text("Hi")).body(body).build()).build()
}

pub(super) async fn send(
    ses: &aws_sdk_sesv2::Client,
    from: &str,
    to: &[&str],
) -> Result<SendEmailOutput, SdkError<SendEmailError, HttpResponse>> {
    let to = Destination::builder().set_to_addresses(Some(to.iter().map(ToString::to_string).collect())).build();
    ses.send_email().from_email_address(from).destination(to).content(simple()).send().await
}
