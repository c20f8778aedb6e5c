//! What every function builds once, before its first invocation.

use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::{Ambient, Bucket, Connector, Environment, MissingVariable, lean_client, own_config};
use crate::queue::EventSourceMapping;
use crate::telemetry::{self, Bus};

/// The environment, clock and connector of a process, and the clients of our own account that use them.
pub struct ColdStart {
    /// The environment variables.
    pub environment: Environment,
    /// Clock and randomness.
    pub ambient: Ambient,
    /// The one HTTP connector, for our own account and for the tenants' accounts.
    pub http: SharedHttpClient,
}

impl ColdStart {
    /// Reads the environment of this process, starts logging and opens the connector. Each `run()` calls this once.
    pub fn begin() -> Self {
        let environment = Environment::from_process();
        telemetry::init(environment.optional("LOG_LEVEL"));
        let ambient = Ambient::system();
        Self { environment, ambient, http: SharedHttpClient::new(Connector::new(ambient)) }
    }

    /// The variable's value.
    ///
    /// # Errors
    /// [`MissingVariable`] names it.
    pub fn required(&self, name: &str) -> Result<String, MissingVariable> {
        self.environment.required(name)
    }

    /// DynamoDB of our own account.
    ///
    /// # Errors
    /// A variable that Lambda sets is missing.
    pub fn dynamodb(&self) -> Result<aws_sdk_dynamodb::Client, MissingVariable> {
        Ok(lean_client!(aws_sdk_dynamodb, &own_config(&self.environment, &self.http, "DYNAMODB")?))
    }

    /// KMS of our own account.
    ///
    /// # Errors
    /// A variable that Lambda sets is missing.
    pub fn kms(&self) -> Result<aws_sdk_kms::Client, MissingVariable> {
        Ok(lean_client!(aws_sdk_kms, &own_config(&self.environment, &self.http, "KMS")?))
    }

    /// SQS of our own account.
    ///
    /// # Errors
    /// A variable that Lambda sets is missing.
    pub fn sqs(&self) -> Result<aws_sdk_sqs::Client, MissingVariable> {
        Ok(lean_client!(aws_sdk_sqs, &own_config(&self.environment, &self.http, "SQS")?))
    }

    /// The bucket that a variable names.
    ///
    /// # Errors
    /// A variable is missing.
    pub fn bucket(&self, variable: &str) -> Result<Bucket, MissingVariable> {
        Bucket::new(&self.environment, &self.http, &self.required(variable)?)
    }

    /// An event source mapping of our own account, by its id.
    ///
    /// # Errors
    /// A variable that Lambda sets is missing.
    pub fn event_source_mapping(&self, uuid: &str) -> Result<EventSourceMapping, MissingVariable> {
        Ok(EventSourceMapping::new(own_config(&self.environment, &self.http, "LAMBDA")?, uuid))
    }

    /// The bus that `BUS_NAME` names. `source`, such as `sendingbee.send`, is the event source that the function's role may
    /// use.
    ///
    /// # Errors
    /// A variable is missing.
    pub fn bus(&self, source: &'static str) -> Result<Bus, MissingVariable> {
        let client = lean_client!(aws_sdk_eventbridge, &own_config(&self.environment, &self.http, "EVENTBRIDGE")?);
        Ok(Bus::new(client, self.required("BUS_NAME")?, source))
    }
}
