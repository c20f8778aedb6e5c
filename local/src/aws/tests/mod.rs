//! The stand-in over the wire, by ordinary AWS clients.

mod custody;
mod events;
mod faults;
mod identity;
mod local_routes;
mod presigned;
mod project_template;
mod queues;
mod records;
mod sending;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use serde_json::{Value, json};

use super::StandIn;
use super::tenant::NewTenant;
use crate::faults::Faults;
use crate::template::{self, Settings};

/// The operator of the tests.
const OPERATOR: &str = "123456789012";

/// The policy that tenants have been told to use.
const CLASSIC: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["ses:*"],"Resource":"*"},
    {"Effect":"Allow","Action":["iam:GetUser","iam:DeleteAccessKey"],"Resource":"arn:aws:iam::*:user/*"}]}"#;

/// A stack with one of everything.
const TEMPLATE: &str = include_str!("template.yaml");

/// A running stand-in.
struct World {
    stand_in: Arc<StandIn>,
}

/// A tenant's key.
struct Tenant {
    account_id: String,
    user_arn: String,
    access_key_id: String,
    secret_access_key: String,
}

impl World {
    async fn start() -> Self {
        Self::with(TEMPLATE).await
    }

    async fn with(template: &str) -> Self {
        let listener = super::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let settings = Settings {
            stack_name: "mail".to_owned(),
            account_id: OPERATOR.to_owned(),
            region: "us-east-1".to_owned(),
            aws_endpoint: format!("http://{}", listener.local_addr().unwrap()),
            api_endpoint: "http://127.0.0.1:9000".to_owned(),
            parameters: BTreeMap::new(),
        };
        let stack = template::load(template, &settings).unwrap();
        Self { stand_in: StandIn::start(&stack, listener).await.unwrap() }
    }

    fn output(&self, name: &str) -> String {
        self.stand_in.outputs()[name].clone()
    }

    fn tenant(&self, json: Value) -> Tenant {
        let made = self.stand_in.engine.create_tenant(NewTenant::parse(json.to_string().as_bytes()).unwrap()).unwrap();
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        Tenant {
            account_id: text("account_id"),
            user_arn: text("user_arn"),
            access_key_id: text("access_key_id"),
            secret_access_key: text("secret_access_key"),
        }
    }

    /// A tenant as most are: classic policy, a verified domain.
    fn classic(&self) -> Tenant {
        let policy: Value = serde_json::from_str(CLASSIC).unwrap();
        self.tenant(json!({"policies": [policy], "identities": ["example.com"]}))
    }

    async fn faults(&self, tenant: &Tenant, json: Value) {
        self.stand_in
            .engine
            .set_faults(&tenant.account_id, Faults::parse(json.to_string().as_bytes()).unwrap())
            .await
            .unwrap();
    }

    fn session(&self, role_arn: &str) -> Credentials {
        let issuer = self.stand_in.credential_issuer();
        let made = issuer.issue(role_arn, "test", chrono::Duration::hours(1));
        Credentials::new(made.access_key_id, made.secret_access_key, Some(made.session_token), None, "test")
    }

    fn inbox(&self, tenant: &Tenant) -> Vec<Arc<Value>> {
        self.stand_in.engine.accounts.inbox(Some(&tenant.account_id))
    }
}

impl Tenant {
    fn credentials(&self) -> Credentials {
        Credentials::new(&self.access_key_id, &self.secret_access_key, None, None, "test")
    }
}

fn operator() -> Credentials {
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
use client;

/// The code and message of an error that a service answered.
fn said<T: Debug, E: ProvideErrorMetadata + Debug>(result: Result<T, SdkError<E, HttpResponse>>) -> (String, String) {
    let error = result.unwrap_err();
    (error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned())
}

fn code<T: Debug, E: ProvideErrorMetadata + Debug>(result: Result<T, SdkError<E, HttpResponse>>) -> String {
    said(result).0
}
