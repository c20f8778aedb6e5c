//! AWS KMS.

use aws_smithy_types::Blob;

use super::fixtures::*;

#[tokio::test]
async fn the_key_policy_and_its_encryption_context_are_enforced() {
    let world = World::start().await;
    let kms = client!(aws_sdk_kms, world, world.session(&world.output("Worker")));
    let key = world.output("Key");
    let encrypt =
        |lane: &str| kms.encrypt().key_id(&key).plaintext(Blob::new("secret")).encryption_context("lane", lane).send();
    let sealed = encrypt("send").await.unwrap().ciphertext_blob.unwrap();
    assert_eq!(code(encrypt("revoke").await), "AccessDeniedException");
    assert_eq!(code(kms.encrypt().key_id(&key).plaintext(Blob::new("secret")).send().await), "AccessDeniedException");

    let decrypt =
        |lane: &str| kms.decrypt().key_id(&key).ciphertext_blob(sealed.clone()).encryption_context("lane", lane).send();
    assert_eq!(decrypt("send").await.unwrap().plaintext.unwrap().as_ref(), b"secret");
    assert_eq!(code(decrypt("revoke").await), "InvalidCiphertextException");

    // The key policy lets nobody but its role decrypt, whatever an identity policy says.
    let admin = world.tenant(json!({
        "account_id": OPERATOR,
        "policies": [{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}],
    }));
    let kms = client!(aws_sdk_kms, world, admin.credentials());
    let refused = kms.decrypt().key_id(&key).ciphertext_blob(sealed).encryption_context("lane", "send").send().await;
    let (code, message) = said(refused);
    assert_eq!(code, "AccessDeniedException");
    assert!(message.ends_with("because no resource-based policy allows the kms:Decrypt action"), "{message}");
    kms.describe_key().key_id(&key).send().await.unwrap();
}
