//! The environment variables of an execution environment (Lambda developer guide, "Defined runtime environment variables").

use std::collections::BTreeMap;

use fakecloud_core::auth::SessionCredentials;

use crate::serverless::FunctionResource;

/// The endpoints of the functions' SDK clients.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    /// The endpoint of our own account's services (`AWS_ENDPOINT_URL`).
    pub(crate) aws: String,
    /// The endpoint of the tenants' accounts (`TENANT_AWS_ENDPOINT_URL`); `None` is the real AWS.
    pub(crate) tenant_aws: Option<String>,
}

/// All variables of an execution environment. Nothing of `local`'s own environment is passed on.
pub(super) fn environment_variables(
    function: &FunctionResource,
    region: &str,
    endpoints: &Endpoints,
    credentials: &SessionCredentials,
    runtime_api: &str,
    task_root: &str,
    log_stream: &str,
) -> BTreeMap<String, String> {
    let memory = function.memory_mb.to_string();
    let reserved = [
        ("_HANDLER", function.handler.as_str()),
        ("AWS_ACCESS_KEY_ID", &credentials.access_key_id),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_FUNCTION_NAME", &function.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &function.log_group),
        ("AWS_LAMBDA_LOG_STREAM_NAME", log_stream),
        ("AWS_LAMBDA_RUNTIME_API", runtime_api),
        ("AWS_REGION", region),
        ("AWS_SECRET_ACCESS_KEY", &credentials.secret_access_key),
        ("AWS_SESSION_TOKEN", &credentials.session_token),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LAMBDA_TASK_ROOT", task_root),
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("TZ", ":UTC"),
        ("AWS_ENDPOINT_URL", &endpoints.aws),
    ];
    let mut variables = function.environment.clone();
    variables.extend(reserved.map(|(name, value)| (name.to_owned(), value.to_owned())));
    if let Some(tenant_aws) = &endpoints.tenant_aws {
        variables.insert("TENANT_AWS_ENDPOINT_URL".to_owned(), tenant_aws.clone());
    }
    variables
}
