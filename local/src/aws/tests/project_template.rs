//! The project's own template in the stand-in.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::Blob;

use super::fixtures::*;
use crate::stack;

#[tokio::test]
async fn everything_in_the_project_s_template_comes_up() {
    let world = World::with(stack::EMBEDDED).await;
    let sqs = client!(aws_sdk_sqs, world, operator());
    for queue in ["SendQueueUrl", "SendDeadLetterQueueUrl", "RevocationQueueUrl"] {
        sqs.receive_message().queue_url(world.output(queue)).send().await.unwrap();
    }
    let tables = client!(aws_sdk_dynamodb, world, operator()).list_tables().send().await.unwrap();
    assert_eq!(tables.table_names().len(), 3);
}

#[tokio::test]
async fn send_may_write_of_a_provider_no_more_than_a_suspension_does() {
    let world = World::with(stack::EMBEDDED).await;
    let tables = client!(aws_sdk_dynamodb, world, operator()).list_tables().send().await.unwrap();
    let table = tables.table_names().iter().find(|name| name.contains("ProvidersTable")).unwrap();
    let send = world.session("arn:aws:iam::123456789012:role/mail-us-east-1-send");
    let dynamodb = client!(aws_sdk_dynamodb, world, send);
    let text = |text: &str| AttributeValue::S(text.to_owned());

    let set = |attribute: &str| {
        dynamodb
            .update_item()
            .table_name(table)
            .key("pk", text("provider#prv_1"))
            .key("sk", text("provider"))
            .update_expression("SET #attribute = :value, updated_at = :value")
            .condition_expression("attribute_not_exists(access_key_id)")
            .expression_attribute_names("#attribute", attribute)
            .expression_attribute_values(":value", text("x"))
            .send()
    };
    set("status").await.unwrap();
    set("reason").await.unwrap();
    assert_eq!(code(set("tenant_id").await), "AccessDeniedException");

    let put = |attribute: &str| {
        let item = dynamodb.put_item().table_name(table).item("pk", text("provider#prv_1")).item("sk", text("audit#1"));
        item.item(attribute, text("x")).send()
    };
    put("event").await.unwrap();
    assert_eq!(code(put("access_key_id").await), "AccessDeniedException");
}

#[tokio::test]
async fn a_lane_is_opened_only_from_within_its_function_and_by_no_way_around() {
    let world = World::with(stack::EMBEDDED).await;
    let kms = client!(aws_sdk_kms, world, operator());
    let keys = kms.list_keys().send().await.unwrap();
    let mut lane = String::new();
    for key in keys.keys() {
        let described = kms.describe_key().key_id(key.key_id().unwrap()).send().await.unwrap();
        if described.key_metadata().unwrap().description().unwrap().contains("send lane") {
            key.key_arn().unwrap().clone_into(&mut lane);
        }
    }
    let role = |name: &str| format!("arn:aws:iam::{OPERATOR}:role/mail-us-east-1-{name}");
    let client =
        |role_name: &str, session: &str| client!(aws_sdk_kms, world, world.named_session(&role(role_name), session));
    let verify = client("verify", "mail-verify");
    let sealed = verify.encrypt().key_id(&lane).plaintext(Blob::new("secret")).encryption_context("lane", "send");
    let sealed = sealed.send().await.unwrap().ciphertext_blob.unwrap();
    let decrypt = |client: aws_sdk_kms::Client| {
        client.decrypt().key_id(&lane).ciphertext_blob(sealed.clone()).encryption_context("lane", "send").send()
    };
    assert_eq!(decrypt(client("send", "mail-send")).await.unwrap().plaintext.unwrap().as_ref(), b"secret");
    // The role's credentials without its function: as an operator would assume the role, or Lambda's own poller.
    let (denial, message) = said(decrypt(client("send", "somebody")).await);
    assert_eq!(denial, "AccessDeniedException");
    assert!(message.ends_with("with an explicit deny in a resource-based policy"), "{message}");
    assert_eq!(code(decrypt(client("revoke-worker", "mail-revoke-worker")).await), "AccessDeniedException");

    let admin = world.tenant(json!({
        "account_id": OPERATOR,
        "policies": [{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}],
    }));
    let admin = client!(aws_sdk_kms, world, admin.credentials());
    let grant = admin.create_grant().key_id(&lane).grantee_principal(role("revoke-worker"));
    assert_eq!(code(grant.operations("Decrypt".into()).send().await), "AccessDeniedException");
    let again = admin.re_encrypt().ciphertext_blob(sealed.clone()).source_key_id(&lane).destination_key_id(&lane);
    assert_eq!(code(again.source_encryption_context("lane", "send").send().await), "AccessDeniedException");
}
