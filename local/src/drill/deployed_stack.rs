//! The deployed stack: where its outputs say that it is, and its API.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::aws_answer::{AwsAnswer, element};
use super::aws_client::AwsClient;
use super::aws_service::AwsService;

/// A stack that CloudFormation has.
pub(super) struct DeployedStack {
    /// Its name.
    pub(super) name: String,
    /// The operator, who signs all requests to it.
    operator: AwsClient,
    api_url: String,
    send_queue_url: String,
}

impl DeployedStack {
    /// Reads the stack's outputs.
    ///
    /// # Errors
    /// There is no such stack, or it is not of this project.
    pub(super) async fn find(operator: &AwsClient, name: &str) -> Result<Self> {
        let answer = operator
            .repeatable(AwsService::CloudFormation, "DescribeStacks", &[("StackName", name)])
            .await
            .with_context(|| format!("find the stack {name} in {} (--stack, --region)", operator.region()))?;
        let output = |wanted: &str| {
            // Neither an output's key nor its value has markup in it.
            let outputs = element(&answer.body, "Outputs")?.split("<member>").skip(1);
            outputs
                .filter(|output| element(output, "OutputKey") == Some(wanted))
                .find_map(|output| element(output, "OutputValue").map(str::to_owned))
        };
        let required = |wanted: &str| {
            output(wanted).with_context(|| {
                format!("the stack {name} has no output {wanted}: it is none of this project, or its template is older")
            })
        };
        Ok(Self {
            name: name.to_owned(),
            operator: operator.clone(),
            api_url: required("ApiUrl")?.trim_end_matches('/').to_owned(),
            send_queue_url: required("SendQueueUrl")?,
        })
    }

    /// Base URL of the API.
    pub(super) fn api_url(&self) -> &str {
        &self.api_url
    }

    /// Calls a route. Every answer is `Ok`.
    ///
    /// # Errors
    /// Nobody answered.
    pub(super) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<AwsAnswer> {
        self.operator.api(&self.api_url, method, path, body).await
    }

    /// Reads what a route shows.
    ///
    /// # Errors
    /// Anything but a success.
    pub(super) async fn show(&self, path: &str) -> Result<Value> {
        Ok(self.call("GET", path, None).await?.successful(&format!("GET {path}"))?.json())
    }

    /// Hands a mail over.
    ///
    /// # Errors
    /// SQS does not take it.
    pub(super) async fn enqueue(&self, mail: &Value) -> Result<()> {
        let message = json!({
            "QueueUrl": self.send_queue_url,
            "MessageBody": mail.to_string(),
            "MessageGroupId": mail["provider_id"],
        });
        let answer = self.operator.json(AwsService::Sqs, "POST", "/", "AmazonSQS.SendMessage", Some(&message)).await?;
        answer.successful("SendMessage to the send queue").map(drop)
    }

    /// The id and the status of the provider that the throw-away user's key was handed over as, if it was. From an index: a
    /// provider of a moment ago may be missing.
    ///
    /// # Errors
    /// The API does not say.
    pub(super) async fn provider_of(&self, tenant_id: &str) -> Result<Option<String>> {
        let list = self.show(&format!("/providers?tenant_id={tenant_id}")).await?;
        Ok(list["providers"][0]["provider_id"].as_str().map(str::to_owned))
    }

    /// Refuses a stack that sends nothing.
    ///
    /// # Errors
    /// Sending is halted, or the API does not say.
    pub(super) async fn check_open(&self) -> Result<()> {
        let halt = self.show("/halt").await.context("ask whether sending is halted")?;
        ensure!(
            halt["halted"] == false,
            "all sending is halted, so no mail of the drill would be sent: lift the halt first (README, \"Deploy\": DELETE /halt)"
        );
        Ok(())
    }
}
