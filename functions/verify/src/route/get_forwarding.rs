//! `GET /policy/forwarding?account_id=`: the CloudFormation template with which a tenant's account forwards AWS's notices.

use aws_lambda_events::encodings::Body;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use shared::http::{Problem, QueryParameters, Request, Response, invalid};

/// Whether and where this deployment takes notices: the template's parameter `TenantNotices`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoticeBus {
    Off,
    /// The bus's ARN.
    On(String),
}

impl NoticeBus {
    /// What the environment's variable says: an ARN, or `off`.
    pub(crate) fn from_variable(value: String) -> Self {
        if value == "off" { Self::Off } else { Self::On(value) }
    }
}

/// Answers with the template itself as the body, so that it can be written to a file and deployed:
/// `aws cloudformation deploy --capabilities CAPABILITY_IAM --stack-name … --template-file …`.
pub(crate) fn get_forwarding(request: &Request, bus: &NoticeBus) -> Result<Response, Problem> {
    let query = QueryParameters::from_request(request, &["account_id"])?;
    let account_id = query.required("account_id")?;
    if account_id.len() != 12 || !account_id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid("account_id", "must be 12 digits"));
    }
    let NoticeBus::On(bus_arn) = bus else {
        return Err(Problem::new(
            409,
            "This deployment takes no notices from tenants' accounts: the parameter TenantNotices of its template is `off`.",
        ));
    };
    let mut response = Response::default();
    response.status_code = 200;
    response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.body = Some(Body::Text(format!("{:#}\n", document(&account_id, bus_arn))));
    Ok(response)
}

/// The template. Its rule matches what the rules on the notice bus take and nothing else: what goes over the bus costs both.
///
/// A rule whose target is a bus of another account puts events there as a role: AWS recommends "always using IAM roles when
/// the target of a rule is an event bus", and asks for them where the bus admits an organization.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-perms.html>,
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html>
fn document(account_id: &str, bus_arn: &str) -> Value {
    let mut parts = bus_arn.split(':').skip(1).step_by(2);
    let (partition, region) = (parts.next().unwrap_or("aws"), parts.next().unwrap_or_default());
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": format!(
            "Forwards AWS's own notices about exposed, compromised and quarantined access keys of account {account_id} to \
             the event bus {bus_arn}, whose owner then revokes the keys that it was given."
        ),
        "Metadata": {"Notes": notes(partition, region)},
        "Resources": {
            "ForwardingRole": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "Description": "Lets EventBridge put the events of the rule on the bus in the other account, and nothing else",
                    "AssumeRolePolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [{
                            "Effect": "Allow",
                            "Principal": {"Service": "events.amazonaws.com"},
                            "Action": "sts:AssumeRole"
                        }]
                    },
                    "Policies": [{
                        "PolicyName": "forward-notices",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [{"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus_arn}]
                        }
                    }]
                }
            },
            "NoticeRule": {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "Description": "AWS's notices about access keys, to whoever was given one",
                    "EventPattern": pattern(account_id, partition),
                    "Targets": [{
                        "Id": "notice-bus",
                        "Arn": bus_arn,
                        "RoleArn": {"Fn::GetAtt": ["ForwardingRole", "Arn"]}
                    }]
                }
            }
        }
    })
}

/// The account's own notices. An account that others forward theirs to does not pass them on: the envelope keeps their account.
fn pattern(account_id: &str, partition: &str) -> Value {
    json!({
        "account": [account_id],
        "$or": [
            {"source": ["aws.health"], "detail": {"eventTypeCode": [{"prefix": "AWS_RISK_"}]}},
            {
                "source": ["aws.guardduty"],
                "detail-type": ["GuardDuty Finding"],
                "detail": {"resource": {"accessKeyDetails": {"accessKeyId": [{"exists": true}]}}}
            },
            {
                "source": ["aws.iam"],
                "detail-type": ["AWS API Call via CloudTrail"],
                "detail": {
                    "eventName": ["AttachUserPolicy"],
                    "requestParameters": {
                        "policyArn": [{"prefix": format!("arn:{partition}:iam::aws:policy/AWSCompromisedKeyQuarantine")}]
                    }
                }
            }
        ]
    })
}

/// What whoever deploys it has to know.
///
/// AWS Health, "Creating EventBridge rules for AWS Region coverage": notices about IAM appear in these Regions, and copies in the
/// backup Region, <https://docs.aws.amazon.com/health/latest/ug/choosing-a-region.html>. IAM's calls are recorded in the
/// partition's home Region: <https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html>.
fn notes(partition: &str, region: &str) -> Value {
    let (home, backup) = match partition {
        "aws-us-gov" => ("us-gov-west-1", None),
        "aws-cn" => ("cn-north-1", Some("cn-northwest-1")),
        _ => ("us-east-1", Some("us-west-2")),
    };
    let copies = backup.map(|backup| {
        format!(" Copies of AWS Health's appear in {backup} too; deployed there, it serves as a backup.")
    });
    json!([
        format!(
            "Deploy it in {home}: AWS Health's notices about keys and IAM's events appear there.{}",
            copies.unwrap_or_default()
        ),
        format!(
            "Deploy it in each Region that SES is used in too, such as {region}: GuardDuty's findings appear where they are made."
        ),
        "It makes an IAM role, so it needs the capability CAPABILITY_IAM.",
        "GuardDuty's findings come only from Regions where GuardDuty is on, quarantines only where a CloudTrail trail records management events.",
        "Only events about the account itself are taken, and only for keys that were handed over from it."
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUS_ARN: &str = "arn:aws:events:eu-central-1:111122223333:event-bus/keeper-notices";

    fn get(parameters: Value, bus: &NoticeBus) -> Result<Value, u16> {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../events/verify-get-forwarding.json")).unwrap();
        event["queryStringParameters"] = parameters;
        let request: Request = serde_json::from_value(event).unwrap();
        let response = get_forwarding(&request, bus).map_err(|problem| problem.status())?;
        let Some(Body::Text(document)) = response.body else { panic!("no body") };
        Ok(serde_json::from_str(&document).unwrap())
    }

    fn on(arn: &str) -> NoticeBus {
        NoticeBus::from_variable(arn.to_owned())
    }

    #[test]
    fn the_rule_forwards_the_accounts_own_notices_by_a_role_that_may_do_nothing_else() {
        let document = get(json!({"account_id": "171436882533"}), &on(BUS_ARN)).unwrap();
        let rule = &document["Resources"]["NoticeRule"]["Properties"];
        assert_eq!(rule["Targets"][0]["Arn"], BUS_ARN);
        assert_eq!(rule["Targets"][0]["RoleArn"], json!({"Fn::GetAtt": ["ForwardingRole", "Arn"]}));
        assert_eq!(rule["EventPattern"]["account"], json!(["171436882533"]));
        let statements =
            &document["Resources"]["ForwardingRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
        assert_eq!(statements, &json!([{"Effect": "Allow", "Action": "events:PutEvents", "Resource": BUS_ARN}]));
    }

    #[test]
    fn a_tenant_in_another_partition_is_told_its_regions() {
        for (arn, home, policies) in [
            (BUS_ARN, "us-east-1", "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine"),
            (
                "arn:aws-us-gov:events:us-gov-east-1:111122223333:event-bus/x",
                "us-gov-west-1",
                "arn:aws-us-gov:iam::aws:policy/AWSCompromisedKeyQuarantine",
            ),
            (
                "arn:aws-cn:events:cn-northwest-1:111122223333:event-bus/x",
                "cn-north-1",
                "arn:aws-cn:iam::aws:policy/AWSCompromisedKeyQuarantine",
            ),
        ] {
            let document = get(json!({"account_id": "171436882533"}), &on(arn)).unwrap();
            let notes = document["Metadata"]["Notes"].to_string();
            assert!(notes.contains(home) && notes.contains(arn.split(':').nth(3).unwrap()), "{notes}");
            assert!(document.to_string().contains(policies), "{document}");
        }
    }

    #[test]
    fn a_bad_account_is_a_bad_request_and_a_deployment_without_the_bus_a_conflict() {
        for parameters in [
            json!({}),
            json!({"account_id": "17143688253"}),
            json!({"account_id": "17143688253x"}),
            json!({"account": "1"}),
        ] {
            assert_eq!(get(parameters.clone(), &on(BUS_ARN)), Err(400), "{parameters}");
        }
        assert_eq!(get(json!({"account_id": "171436882533"}), &on("off")), Err(409));
    }
}
