//! Whose a request is: IAM and STS.

use super::fixtures::*;
use crate::aws::SignedRequest;
use crate::service::ServiceError;
use crate::service::iam::account_of_key;

#[tokio::test]
async fn a_key_says_who_it_is_and_deletes_itself() {
    let world = World::start().await;
    let tenant = world.tenant(json!({
        "user_path": "/team/",
        "policies": [{"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Action": ["iam:GetUser", "iam:DeleteAccessKey"],
            "Resource": ["arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::*:user/*/${aws:username}"],
        }]}],
    }));
    // Another user of the account, before ours in the alphabet, must not be mistaken for the caller.
    world.tenant(json!({"account_id": tenant.account_id, "user_name": "aaa"}));

    let sts = client!(aws_sdk_sts, world, tenant.credentials());
    let identity = sts.get_caller_identity().send().await.unwrap();
    assert_eq!(identity.account(), Some(tenant.account_id.as_str()));
    assert_eq!(identity.arn(), Some(tenant.user_arn.as_str()));

    let iam = client!(aws_sdk_iam, world, tenant.credentials());
    let user = iam.get_user().send().await.unwrap().user.unwrap();
    assert_eq!(user.arn(), tenant.user_arn);
    assert_eq!(user.path(), "/team/");

    iam.delete_access_key().access_key_id(&tenant.access_key_id).send().await.unwrap();
    assert_eq!(code(sts.get_caller_identity().send().await), "InvalidClientTokenId");
    assert_eq!(code(iam.get_user().send().await), "InvalidClientTokenId");
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    assert_eq!(code(ses.get_account().send().await), "UnrecognizedClientException");
}

#[tokio::test]
async fn a_user_that_is_made_by_the_api_has_a_key_as_aws_makes_them_and_goes_when_all_of_it_is_gone() {
    let world = World::start().await;
    let administrator = world.tenant(json!({"policies": [{"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Resource": "*", "Action": [
            "iam:CreateUser", "iam:CreateAccessKey", "iam:PutUserPolicy", "iam:DeleteUserPolicy", "iam:DeleteUser", "iam:GetPolicy"],
    }]}]}));
    let iam = client!(aws_sdk_iam, world, administrator.credentials());
    // Who tags needs another permission.
    let tag = aws_sdk_iam::types::Tag::builder().key("a").value("b").build().unwrap();
    let (denied, message) = said(iam.create_user().user_name("made").tags(tag).send().await);
    assert_eq!(denied, "AccessDenied");
    assert!(message.contains("iam:TagUser"), "{message}");
    iam.create_user().user_name("made").send().await.unwrap();
    let key = iam.create_access_key().user_name("made").send().await.unwrap().access_key.unwrap();
    assert_eq!(account_of_key(key.access_key_id()).as_deref(), Some(administrator.account_id.as_str()));
    assert!(key.secret_access_key().len() == 40 && !key.secret_access_key().contains("fake"));

    let made = Credentials::new(key.access_key_id(), key.secret_access_key(), None, None, "test");
    let sts = client!(aws_sdk_sts, world, made.clone());
    let identity = sts.get_caller_identity().send().await.unwrap();
    assert_eq!(identity.arn(), Some(format!("arn:aws:iam::{}:user/made", administrator.account_id).as_str()));
    let own = client!(aws_sdk_iam, world, made);
    let policy =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:DeleteAccessKey","Resource":"*"}]}"#;
    iam.put_user_policy().user_name("made").policy_name("own").policy_document(policy).send().await.unwrap();
    assert_eq!(code(iam.delete_user().user_name("made").send().await), "DeleteConflict");
    own.delete_access_key().access_key_id(key.access_key_id()).send().await.unwrap();
    assert_eq!(code(sts.get_caller_identity().send().await), "InvalidClientTokenId");
    assert_eq!(code(iam.delete_user().user_name("made").send().await), "DeleteConflict");
    iam.delete_user_policy().user_name("made").policy_name("own").send().await.unwrap();
    iam.delete_user().user_name("made").send().await.unwrap();

    // AWS's own policies are in each account.
    let arn = "arn:aws:iam::aws:policy/NoSuchPolicy";
    assert_eq!(code(iam.get_policy().policy_arn(arn).send().await), "NoSuchEntity");
}

#[tokio::test]
async fn deletion_is_authorized_before_the_key_is_looked_for() {
    let world = World::start().await;
    let tenant = world.tenant(json!({
        "user_path": "/team/",
        "policies": [{"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "iam:DeleteAccessKey", "Resource": "arn:aws:iam::*:user/*/${aws:username}",
        }]}],
    }));
    let iam = client!(aws_sdk_iam, world, tenant.credentials());
    let delete = |user: &str| iam.delete_access_key().user_name(user).access_key_id("AKIAAAAAAAAAAAAAAAAA").send();
    assert_eq!(code(delete("mailer").await), "NoSuchEntity");
    let (code, message) = said(delete("nobody-9f2c").await);
    assert_eq!(code, "AccessDenied");
    assert_eq!(
        message,
        format!(
            "User: {} is not authorized to perform: iam:DeleteAccessKey on resource: user nobody-9f2c because no \
             identity-based policy allows the iam:DeleteAccessKey action",
            tenant.user_arn
        )
    );

    let classic = world.classic();
    let iam = client!(aws_sdk_iam, world, classic.credentials());
    let delete = iam.delete_access_key().user_name("nobody-9f2c").access_key_id("AKIAAAAAAAAAAAAAAAAA").send();
    assert_eq!(super::fixtures::code(delete.await), "NoSuchEntity");
}

#[tokio::test]
async fn caller_identity_cannot_be_denied() {
    let world = World::start().await;
    let tenant = world.tenant(json!({
        "policies": [{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}],
    }));
    let sts = client!(aws_sdk_sts, world, tenant.credentials());
    sts.get_caller_identity().send().await.unwrap();
    let (code, message) = said(sts.get_session_token().send().await);
    assert_eq!(code, "AccessDenied");
    assert!(message.ends_with("with an explicit deny in an identity-based policy"), "{message}");
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_key_are_told_apart_in_each_service_s_words() {
    let world = World::start().await;
    let tenant = world.classic();
    let wrong = Credentials::new(&tenant.access_key_id, "x".repeat(40), None, None, "test");
    let unknown = Credentials::new("AKIASP2TPHJSQH3FJRUX", "x".repeat(40), None, None, "test");
    for (credentials, query, json) in [
        (wrong, "SignatureDoesNotMatch", "InvalidSignatureException"),
        (unknown, "InvalidClientTokenId", "UnrecognizedClientException"),
    ] {
        let sts = client!(aws_sdk_sts, world, credentials.clone());
        assert_eq!(code(sts.get_caller_identity().send().await), query);
        let iam = client!(aws_sdk_iam, world, credentials.clone());
        assert_eq!(code(iam.get_user().send().await), query);
        let ses = client!(aws_sdk_sesv2, world, credentials);
        assert_eq!(code(ses.get_account().send().await), json);
    }
    // The operator's root has a secret like everybody else.
    let sts = client!(aws_sdk_sts, world, Credentials::new("test", "guess", None, None, "test"));
    assert_eq!(code(sts.get_caller_identity().send().await), "SignatureDoesNotMatch");
}

#[tokio::test]
async fn a_root_key_is_a_root_s() {
    let world = World::start().await;
    let tenant = world.tenant(json!({"principal": "root"}));
    assert_eq!(tenant.user_arn, format!("arn:aws:iam::{}:root", tenant.account_id));
    let iam = client!(aws_sdk_iam, world, tenant.credentials());
    let user = iam.get_user().send().await.unwrap().user.unwrap();
    assert_eq!(user.arn(), tenant.user_arn);
    assert_eq!(user.user_id(), tenant.account_id);
    assert_eq!(user.user_name(), "");
    iam.list_users().send().await.unwrap();
    iam.delete_access_key().access_key_id(&tenant.access_key_id).send().await.unwrap();
    assert_eq!(code(iam.get_user().send().await), "InvalidClientTokenId");
}

#[tokio::test]
async fn a_key_may_decode_to_another_account_than_its_own() {
    let world = World::start().await;
    let tenant = world.tenant(json!({"account_id": "111122223333", "key_account_id": "444455556666"}));
    assert_eq!(account_of_key(&tenant.access_key_id).as_deref(), Some("444455556666"));
    let sts = client!(aws_sdk_sts, world, tenant.credentials());
    assert_eq!(sts.get_caller_identity().send().await.unwrap().account(), Some("111122223333"));
}

#[tokio::test]
async fn a_session_opens_nothing_without_its_token() {
    let world = World::start().await;
    let session = world.session(&world.output("Worker"));
    let sts = client!(aws_sdk_sts, world, session.clone());
    let arn = sts.get_caller_identity().send().await.unwrap().arn.unwrap();
    assert!(arn.starts_with("arn:aws:sts::123456789012:assumed-role/mail-Worker-") && arn.ends_with("/test"), "{arn}");
    let bare = Credentials::new(session.access_key_id(), session.secret_access_key(), None, None, "test");
    let sts = client!(aws_sdk_sts, world, bare);
    assert_eq!(code(sts.get_caller_identity().send().await), "InvalidClientTokenId");
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_not_a_wrong_secret() {
    let world = World::start().await;
    let url = world.stand_in.endpoint();
    let host = url.trim_start_matches("http://");
    let mut headers = axum::http::HeaderMap::new();
    headers.insert("host", host.parse().unwrap());
    headers.insert("x-amz-date", "20200101T000000Z".parse().unwrap());
    let authorization = "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/execute-api/aws4_request, \
                         SignedHeaders=host;x-amz-date, Signature=00";
    headers.insert("authorization", authorization.parse().unwrap());
    let request = SignedRequest { method: "GET", path: "/", query: "", headers: &headers, body: b"" };
    let refused = world.stand_in.authenticate("execute-api", &request).unwrap_err();
    assert!(matches!(refused, ServiceError::Stale { .. }), "{refused:?}");
}
