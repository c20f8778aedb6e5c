//! Lambda's event source mappings, by the product's own client.

use aws_credential_types::provider::ProvideCredentials as _;
use shared::queue::{EventSourceMapping, MappingState};
use shared::runtime::{ColdStart, Environment};

use super::fixtures::*;
use crate::stack;

/// The mapping that `revoke` is given, as a session with these credentials sees it.
async fn mapping(world: &World, credentials: Credentials) -> EventSourceMapping {
    let credentials = credentials.provide_credentials().await.unwrap();
    let environment = Environment::from_variables(&[
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", world.stand_in.endpoint()),
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id()),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key()),
        ("AWS_SESSION_TOKEN", credentials.session_token().unwrap_or_default()),
    ]);
    let http = aws_smithy_http_client::Builder::new().build_http();
    let start = ColdStart { environment, ambient: shared::runtime::Ambient::system(), http };
    let settings = crate::template::Settings {
        stack_name: "mail".to_owned(),
        account_id: OPERATOR.to_owned(),
        region: "us-east-1".to_owned(),
        aws_endpoint: "http://aws".to_owned(),
        api_endpoint: "http://api".to_owned(),
        parameters: std::collections::BTreeMap::new(),
    };
    let stack = stack::load(stack::EMBEDDED, &settings).unwrap();
    let revoke = stack.all::<crate::serverless::FunctionResource>().find(|function| function.binary == "revoke");
    start.event_source_mapping(&revoke.unwrap().environment["SEND_MAPPING_ID"]).unwrap()
}

fn role(name: &str) -> String {
    format!("arn:aws:iam::{OPERATOR}:role/mail-us-east-1-{name}")
}

#[tokio::test]
async fn revoke_alone_switches_the_mapping_of_the_send_queue() {
    let world = World::with(stack::EMBEDDED).await;
    let revoke = mapping(&world, world.session(&role("revoke"))).await;
    assert_eq!(revoke.state().await.unwrap(), MappingState::Enabled);
    assert_eq!(revoke.set_enabled(false).await.unwrap().as_str(), "Disabling");
    // One change at a time.
    let refused = revoke.set_enabled(true).await.unwrap_err();
    assert!(refused.is_in_use(), "{refused}");
    while revoke.state().await.unwrap() != MappingState::Disabled {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(revoke.set_enabled(true).await.unwrap().as_str(), "Enabling");

    for other in ["send", "verify", "revoke-worker"] {
        let mapping = mapping(&world, world.session(&role(other))).await;
        for error in [mapping.state().await.unwrap_err(), mapping.set_enabled(false).await.unwrap_err()] {
            assert!(error.to_string().ends_with("(AccessDeniedException)"), "{other}: {error}");
        }
    }
}

#[tokio::test]
async fn a_fault_of_our_account_keeps_the_mapping_as_it_is() {
    let world = World::with(stack::EMBEDDED).await;
    let revoke = mapping(&world, world.session(&role("revoke"))).await;
    world.own_faults(json!([{"on": ["lambda:UpdateEventSourceMapping"], "server_error": 1.0}])).await;
    let error = revoke.set_enabled(false).await.unwrap_err();
    assert!(error.to_string().contains("UpdateEventSourceMapping"), "{error}");
    assert_eq!(revoke.state().await.unwrap(), MappingState::Enabled);
}
