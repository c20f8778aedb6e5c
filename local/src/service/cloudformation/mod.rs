//! CloudFormation: DescribeStacks of the one stack.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};

use super::call::Call;
use super::error::ServiceError;
use super::interface::{ServiceDefinition, StandInService};
use super::permission::RequiredPermission;
use super::request::ServiceRequest;
use super::response::ServiceResponse;
use crate::random;
use crate::template::Stack;

pub(super) const SERVICE: ServiceDefinition =
    ServiceDefinition { resource_types: &[], start: |_, _| Ok(Arc::new(CloudFormation::default())) };

/// CloudFormation's API.
#[derive(Default)]
struct CloudFormation {
    deployed: OnceLock<StackDescription>,
}

/// The stack, as it is described.
struct StackDescription {
    name: String,
    arn: String,
    outputs: Vec<(String, String)>,
    created_at: DateTime<Utc>,
}

#[async_trait]
impl StandInService for CloudFormation {
    fn names(&self) -> &'static [&'static str] {
        &["cloudformation"]
    }

    async fn provision(&self, stack: &Stack) -> anyhow::Result<()> {
        let Stack { name, account_id, region, .. } = stack;
        self.deployed.get_or_init(|| StackDescription {
            name: name.clone(),
            arn: format!("arn:aws:cloudformation:{region}:{account_id}:stack/{name}/{}", random::uuid()),
            outputs: stack.outputs.clone().into_iter().collect(),
            created_at: Utc::now(),
        });
        Ok(())
    }

    /// Service authorization reference, "Actions, resources, and condition keys for AWS CloudFormation": the stack's ARN. A call
    /// without a name lists all stacks.
    fn required_permissions(&self, request: &ServiceRequest<'_>) -> Vec<RequiredPermission> {
        if request.call.operation != "DescribeStacks" {
            return Vec::new();
        }
        let resource = match (stack_name(request.call), self.deployed.get()) {
            (None, _) => "*".to_owned(),
            (Some(name), Some(stack)) if stack.is_called(name) => stack.arn.clone(),
            (Some(name), _) => {
                format!("arn:aws:cloudformation:{}:{}:stack/{name}/*", request.region, request.account_id)
            }
        };
        vec![RequiredPermission::new("cloudformation:DescribeStacks", resource)]
    }

    async fn handle(&self, request: &ServiceRequest<'_>) -> Result<ServiceResponse, ServiceError> {
        let call = request.call;
        let name = stack_name(call);
        let deployed = self.deployed.get().filter(|stack| name.is_none_or(|name| stack.is_called(name)));
        match (deployed, name) {
            // The text: boto/boto3#2807.
            (None, Some(name)) => Err(ServiceError::Other {
                status: StatusCode::BAD_REQUEST,
                code: "ValidationError",
                message: format!("Stack with id {name} does not exist"),
            }),
            (deployed, _) => Ok(ServiceResponse::xml(call, describe(call, deployed))),
        }
    }
}

impl StackDescription {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.arn == name
    }
}

fn stack_name(call: &Call) -> Option<&str> {
    call.parameters.get("StackName").map(String::as_str)
}

/// CloudFormation API reference, "DescribeStacks".
fn describe(call: &Call, stack: Option<&StackDescription>) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let member = stack.map(|stack| {
        let outputs: String = stack
            .outputs
            .iter()
            .map(|(name, value)| {
                format!("<member><OutputKey>{name}</OutputKey><OutputValue>{}</OutputValue></member>", escape(value))
            })
            .collect();
        format!(
            "<member><StackName>{}</StackName><StackId>{}</StackId><CreationTime>{}</CreationTime>\
             <StackStatus>CREATE_COMPLETE</StackStatus><Outputs>{outputs}</Outputs></member>",
            stack.name,
            stack.arn,
            stack.created_at.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
        )
    });
    format!(
        "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeStacksResult><Stacks>{}\
         </Stacks></DescribeStacksResult><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></DescribeStacksResponse>",
        member.unwrap_or_default(),
        call.request_id
    )
}
