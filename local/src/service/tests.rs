//! The services' words for errors.

use fakecloud_core::protocol::AwsProtocol;

use super::*;

fn setup() -> Setup {
    Setup {
        account_id: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: "http://aws".to_owned(),
        faults: Default::default(),
    }
}

fn denial(wording: ErrorWording, action: &str, resource: &str, reason: DenialReason) -> String {
    let denied = AccessDenied {
        principal: "arn:aws:iam::123456789012:user/team/mailer".to_owned(),
        action: action.to_owned(),
        resource: resource.to_owned(),
        reason,
    };
    (wording.denial)(&denied)
}

#[test]
fn denials_read_as_aws_words_them() {
    assert_eq!(
        denial(
            iam::WORDING,
            "iam:DeleteAccessKey",
            "arn:aws:iam::123456789012:user/team/mailer",
            DenialReason::ExplicitIdentity
        ),
        "User: arn:aws:iam::123456789012:user/team/mailer is not authorized to perform: iam:DeleteAccessKey on \
         resource: user mailer with an explicit deny in an identity-based policy"
    );
    assert_eq!(
        denial(ses::WORDING, "ses:GetAccount", "*", DenialReason::Implicit),
        "User: arn:aws:iam::123456789012:user/team/mailer is not authorized to perform: ses:GetAccount on resource: \
         * because no identity-based policy allows the ses:GetAccount action"
    );
    assert_eq!(
        denial(
            ses::WORDING,
            "ses:SendRawEmail",
            "arn:aws:ses:us-east-1:123456789012:identity/example.com",
            DenialReason::Implicit
        ),
        "User `arn:aws:iam::123456789012:user/team/mailer' is not authorized to perform `ses:SendRawEmail' on \
         resource `arn:aws:ses:us-east-1:123456789012:identity/example.com'"
    );
}

#[test]
fn an_unknown_key_has_another_code_in_each_family() {
    let setup = setup();
    let services = start(&setup).unwrap();
    for (name, protocol, expected) in [
        ("iam", AwsProtocol::Query, "InvalidClientTokenId"),
        ("sts", AwsProtocol::Query, "InvalidClientTokenId"),
        ("ses", AwsProtocol::RestJson, "UnrecognizedClientException"),
        ("dynamodb", AwsProtocol::Json, "UnrecognizedClientException"),
        ("sqs", AwsProtocol::Json, "InvalidClientTokenId"),
    ] {
        let wording = services.named(name).unwrap().error_wording();
        assert_eq!(ServiceError::UnknownKey.describe(&wording, protocol).1, expected, "{name}");
    }
}

#[test]
fn a_service_is_found_by_each_of_its_names() {
    let mut names: Vec<&str> = Vec::new();
    let setup = setup();
    for service in start(&setup).unwrap().iter() {
        names.extend(service.names());
    }
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "cloudformation",
            "dynamodb",
            "ec2",
            "events",
            "iam",
            "kms",
            "lambda",
            "s3",
            "secretsmanager",
            "ses",
            "sqs",
            "sts"
        ]
    );
    assert!(start(&setup).unwrap().named("sns").is_err());
}
