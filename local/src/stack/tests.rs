//! Templates, from text to stack.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{EMBEDDED, load, resource_types};
use crate::serverless::{Authorizer, FunctionResource, HttpApiResource, RecursiveLoop};
use crate::service::dynamodb::{Projection, TableResource};
use crate::service::events::{BusStatementResource, RuleResource};
use crate::service::iam::RoleResource;
use crate::service::kms::KmsKeyResource;
use crate::service::sqs::QueueResource;
use crate::template::{Settings, Stack, TemplateError};

fn settings(parameters: &[(&str, &str)]) -> Settings {
    Settings {
        stack_name: "mail".to_owned(),
        account_id: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
        aws_endpoint: "http://127.0.0.1:4566".to_owned(),
        api_endpoint: "http://127.0.0.1:9000".to_owned(),
        parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    }
}

fn read(text: &str) -> Result<Stack, TemplateError> {
    load(text, &settings(&[]))
}

fn reason(text: &str) -> String {
    read(text).map(|_| ()).unwrap_err().to_string()
}

fn named<'a>(stack: &'a Stack, name: &str) -> &'a FunctionResource {
    stack.all::<FunctionResource>().find(|function| function.name == name).unwrap()
}

/// A queue whose name is the expression under test, and an output that shows it.
fn value_of(expression: &str) -> Result<String, TemplateError> {
    let text = format!(
        "Parameters:\n  Stage: {{Type: String, Default: prod}}\nConditions:\n  IsProd: !Equals [!Ref Stage, prod]\n  \
         IsTest: !Not [!Condition IsProd]\n  Either: !Or [!Condition IsProd, !Condition IsTest]\n  Both: !And [!Condition IsProd, \
         !Condition IsTest]\nResources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties: {{QueueName: mails}}\nOutputs:\n  \
         X: {{Value: {expression}}}\n"
    );
    Ok(read(&text)?.outputs["X"].clone())
}

#[test]
fn the_project_s_own_template_comes_up_whole() {
    let stack = read(EMBEDDED).unwrap();
    assert_eq!(stack.outputs["ApiUrl"], "http://127.0.0.1:9000");
    assert!(stack.outputs["SendQueueUrl"].starts_with("http://127.0.0.1:4566/123456789012/mail-SendQueue-"));
    let providers = stack.all::<TableResource>().find(|table| table.logical_id == "ProvidersTable").unwrap();
    assert!(providers.point_in_time_recovery && providers.deletion_protection);
    assert_eq!(providers.key.range.as_deref(), Some("sk"));
    assert!(providers.indexes.iter().any(|index| index.projection == Projection::KeysOnly));
    let send = named(&stack, "mail-send");
    assert_eq!(send.binary, "send");
    assert_eq!(send.recursive_loop, RecursiveLoop::Allow);
    assert_eq!(send.mappings[0].maximum_concurrency, Some(50));
    assert!(send.mappings[0].report_batch_item_failures);
    assert_eq!(send.environment["PROVIDERS_TABLE"], providers.name);
    assert!(send.environment.contains_key("SECRETS_TABLE"), "Globals and own variables are merged");
    let verify = named(&stack, "mail-verify");
    let is_open = |path: &str| path.starts_with("/connect/");
    assert!(verify.routes.iter().all(|route| is_open(&route.path) == (route.authorizer == Authorizer::None)));
    let revoke = named(&stack, "mail-revoke");
    assert_eq!(revoke.schedules[0].period, Some(Duration::from_secs(60)));
    let rule = stack.all::<RuleResource>().next().unwrap();
    assert_eq!(rule.pattern["account"][0], "123456789012");
    assert_eq!(rule.bus, "mail");
    for queue in stack.all::<QueueResource>() {
        assert!(queue.policy.is_some(), "{}", queue.logical_id);
    }
}

#[test]
fn a_drill_is_scheduled_by_rate_or_cron_and_not_at_all_without_the_parameter() {
    let rate = Duration::from_secs(7 * 86_400);
    let cases = [("", None), ("rate(7 days)", Some(Some(rate))), ("cron(0 9 ? * MON *)", Some(None))];
    for (schedule, expected) in cases {
        let stack = load(EMBEDDED, &settings(&[("DrillSchedule", schedule)])).unwrap();
        let drills = named(&stack, "mail-revoke").schedules.iter().filter(|schedule| schedule.input.is_some());
        let [drill] = drills.collect::<Vec<_>>()[..] else { panic!("not one schedule of drills") };
        assert_eq!(drill.enabled.then_some(drill.period), expected, "{schedule}");
    }
}

#[test]
fn physical_ids_are_the_same_at_every_start() {
    let (one, two) = (read(EMBEDDED).unwrap(), read(EMBEDDED).unwrap());
    let ids = |stack: &Stack| -> Vec<String> {
        let keys = stack.all::<KmsKeyResource>().map(|key| key.id.clone());
        keys.chain(stack.all::<RoleResource>().map(|role| role.arn.clone())).collect()
    };
    assert_eq!(ids(&one), ids(&two));
    assert_eq!(one.all::<KmsKeyResource>().next().unwrap().id.len(), 36);
    assert_eq!(one.all::<RoleResource>().next().unwrap().arn, "arn:aws:iam::123456789012:role/mail-us-east-1-verify");
}

#[test]
fn intrinsics_have_their_values() {
    let table = [
        ("!Ref Q", "http://127.0.0.1:4566/123456789012/mails"),
        ("!GetAtt Q.Arn", "arn:aws:sqs:us-east-1:123456789012:mails"),
        ("{Fn::GetAtt: [Q, QueueName]}", "mails"),
        ("{Ref: AWS::AccountId}", "123456789012"),
        ("!Sub \"${AWS::StackName}-${Q.QueueName}-${!aws:username}\"", "mail-mails-${aws:username}"),
        ("!Sub [\"${a}/${Stage}\", {a: !Ref AWS::Region}]", "us-east-1/prod"),
        ("{Fn::Sub: \"${Stage}\"}", "prod"),
        ("!Join [\"-\", [a, !Ref Stage, !Ref AWS::NoValue]]", "a-prod"),
        ("!If [IsProd, yes1, no1]", "yes1"),
        ("!If [IsTest, yes1, no1]", "no1"),
        ("!If [Either, yes1, no1]", "yes1"),
        ("{Fn::If: [Both, yes1, no1]}", "no1"),
    ];
    for (expression, expected) in table {
        assert_eq!(value_of(expression).as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn what_cannot_be_resolved_is_an_error() {
    for (expression, expected) in [
        ("!Ref Nothing", "no parameter or resource Nothing"),
        ("!GetAtt Q.Colour", "the attribute Colour of AWS::SQS::Queue is not known"),
        ("!ImportValue x", "the intrinsic ImportValue is not known"),
        ("{Fn::Select: [0, [a]]}", "the intrinsic Select is not known"),
        ("!If [Nobody, a, b]", "no such condition"),
        ("!Sub \"${Nothing}\"", "no parameter or resource Nothing"),
        ("!Ref AWS::StackId", "AWS::StackId is not known"),
    ] {
        let error = value_of(expression).unwrap_err().to_string();
        assert!(error.contains(expected), "{expression}: {error}");
    }
}

#[test]
fn an_unknown_property_fails_with_resource_path_and_line() {
    let text = "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      FifoQueue: true\n";
    assert_eq!(reason(text), "line 5: Resources.Q.Properties.FifoQueue: this property is not known to local");
    let nested = "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      RedrivePolicy:\n        \
                  deadLetterTargetArn: a\n        maxReceiveCount: 3\n        colour: red\n";
    assert_eq!(
        reason(nested),
        "line 8: Resources.Q.Properties.RedrivePolicy.colour: this property is not known to local"
    );
}

#[test]
fn an_unknown_type_section_or_attribute_fails() {
    assert!(reason("Resources:\n  B:\n    Type: AWS::SNS::Topic\n").contains("AWS::SNS::Topic are not known"));
    assert!(reason("Mappings: {}\nResources: {}\n").contains("this section is not known"));
    let attribute = "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    CreationPolicy: {}\n";
    assert!(reason(attribute).contains("CreationPolicy is not known"));
}

#[test]
fn an_attribute_that_cloudformation_would_refuse_fails() {
    let queue = |attribute: &str| format!("Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    {attribute}\n");
    for attribute in ["DependsOn: Q", "DependsOn: [Q]", "DeletionPolicy: Retain", "UpdateReplacePolicy: Delete"] {
        read(&queue(attribute)).unwrap();
    }
    assert!(reason(&queue("DependsOn: Nowhere")).contains("there is no resource Nowhere"));
    assert!(reason(&queue("DependsOn: [Q, Nowhere]")).contains("there is no resource Nowhere"));
    assert!(reason(&queue("DeletionPolicy: Whatever")).contains("DeletionPolicy is Delete or Retain"));
    assert!(reason(&queue("UpdateReplacePolicy: RetainExceptOnCreate")).contains("UpdateReplacePolicy is"));
}

#[test]
fn a_rule_is_on_a_bus_and_for_queues_of_the_template() {
    let rule = |more: &str| {
        format!(
            "Resources:\n  R:\n    Type: AWS::Events::Rule\n    Properties: {{EventPattern: {{source: [a]}}, {more}}}\n  Q: {{Type: \
             AWS::SQS::Queue}}\n"
        )
    };
    assert_eq!(
        read(&rule("Targets: [{Id: q, Arn: !GetAtt Q.Arn}]"))
            .unwrap()
            .all::<RuleResource>()
            .next()
            .unwrap()
            .targets
            .len(),
        1
    );
    let elsewhere = "arn:aws:sqs:us-east-1:123456789012:elsewhere";
    assert!(
        reason(&rule(&format!("Targets: [{{Id: q, Arn: \"{elsewhere}\"}}]"))).contains("the template has no queue")
    );
    let dead_letters = format!("Targets: [{{Id: q, Arn: !GetAtt Q.Arn, DeadLetterConfig: {{Arn: \"{elsewhere}\"}}}}]");
    assert!(reason(&rule(&dead_letters)).contains("the template has no queue"));
    assert!(reason(&rule("EventBusName: elsewhere")).contains("the template has no bus elsewhere"));
    let topic = "Targets: [{Id: people, Arn: \"arn:aws:sns:us-east-1:123456789012:alarms\"}]";
    assert!(read(&rule(topic)).unwrap().all::<RuleResource>().next().unwrap().targets.is_empty());
    assert!(
        reason(&rule("ScheduleExpression: rate(1 minute)")).contains("ScheduleExpression: this property is not known")
    );
}

#[test]
fn a_statement_of_a_bus_s_policy_is_for_that_bus_and_written_out() {
    let policy = |bus: &str, more: &str, resource: &str| {
        format!(
            "Resources:\n  B: {{Type: AWS::Events::EventBus, Properties: {{Name: b}}}}\n  P:\n    Type: AWS::Events::EventBusPolicy\n    \
             Properties:\n      EventBusName: {bus}\n      StatementId: One\n      {more}\n      Statement: {{Effect: Allow, \
             Principal: \"*\", Action: events:PutEvents, Resource: {resource}}}\n"
        )
    };
    let stack = read(&policy("!Ref B", "", "!GetAtt B.Arn")).unwrap();
    let statement = &stack.all::<BusStatementResource>().next().unwrap().statement;
    assert_eq!((&statement["Sid"], &statement["Effect"]), (&"One".into(), &"Allow".into()));
    assert!(reason(&policy("default", "", "!GetAtt B.Arn")).contains("the template has no bus default"));
    assert!(reason(&policy("!Ref B", "", "\"*\"")).contains("Resource is not the bus itself"));
    assert!(reason(&policy("!Ref B", "Principal: \"123456789012\"", "!GetAtt B.Arn")).contains("Principal"));
    let twice = policy("!Ref B", "", "!GetAtt B.Arn");
    let (head, statement) = twice.split_once("  P:\n").unwrap();
    assert!(reason(&format!("{head}  P:\n{statement}  Q:\n{statement}")).contains("a statement One already"));
}

#[test]
fn a_statement_of_a_queue_s_policy_takes_one_resource() {
    let policy = |resource: &str| {
        format!(
            "Resources:\n  Q: {{Type: AWS::SQS::Queue}}\n  P:\n    Type: AWS::SQS::QueuePolicy\n    Properties:\n      Queues: [!Ref \
             Q]\n      PolicyDocument: {{Version: \"2012-10-17\", Statement: [{{Effect: Deny, Principal: \"*\", Action: \
             \"sqs:*\", Resource: {resource}}}]}}\n"
        )
    };
    read(&policy("!GetAtt Q.Arn")).unwrap();
    assert!(reason(&policy("[!GetAtt Q.Arn, \"arn:aws:sqs:*:*:*\"]")).contains("takes one resource"));
}

#[test]
fn a_condition_that_nothing_uses_is_resolved_too() {
    let text = "Conditions:\n  Bad: !Nonsense [a]\nResources: {}\n";
    assert_eq!(reason(text), "line 2: Conditions.Bad: Nonsense is not known to local in a condition");
}

#[test]
fn an_ignored_resource_is_still_resolved() {
    let text = "Resources:\n  A:\n    Type: AWS::CloudWatch::Alarm\n    Properties: {Anything: !Ref Nothing}\n";
    assert!(reason(text).contains("no parameter or resource Nothing"));
}

#[test]
fn a_circle_ends_in_an_error() {
    let text = "Resources:\n  A:\n    Type: AWS::SQS::Queue\n    Properties: {QueueName: !GetAtt B.QueueName}\n  B:\n    \
                Type: AWS::SQS::Queue\n    Properties: {QueueName: !GetAtt A.QueueName}\n";
    assert!(reason(text).contains("it depends on itself"));
}

#[test]
fn a_resource_whose_condition_fails_is_not_there() {
    let text =
        "Conditions:\n  Never: !Equals [a, b]\nResources:\n  A:\n    Type: AWS::SQS::Queue\n    Condition: Never\n";
    assert!(read(text).unwrap().all::<QueueResource>().next().is_none());
    let referred = format!("{text}Outputs:\n  X: {{Value: !Ref A}}\n");
    assert!(reason(&referred).contains("left out by its condition"));
}

#[test]
fn parameters_keep_to_their_bounds() {
    let text = "Parameters:\n  N: {Type: Number, Default: 5, MinValue: 2, MaxValue: 9}\n  S: {Type: String, Default: a, AllowedValues: \
                [a, b]}\n  P: {Type: String, Default: x1, AllowedPattern: \"x[0-9]\"}\nResources: {}\nOutputs:\n  O: {Value: \
                !Ref N}\n";
    assert_eq!(load(text, &settings(&[("N", "9")])).unwrap().outputs["O"], "9");
    for (name, value, expected) in [
        ("N", "1", "beyond MinValue 2"),
        ("N", "10", "beyond MaxValue 9"),
        ("N", "x", "not a number"),
        ("S", "c", "not one of a, b"),
        ("P", "x1x1", "does not match"),
        ("Q", "1", "no such parameter"),
    ] {
        let error = load(text, &settings(&[(name, value)])).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}={value}: {error}");
    }
    assert!(reason("Parameters:\n  N: {Type: String}\nResources: {}\n").contains("no default"));
}

/// A function that takes messages of a queue, with everything it needs and no more.
fn mapped(queue: &str, event: &str) -> String {
    format!(
        r#"
Resources:
  R:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{{Effect: Allow, Principal: {{Service: lambda.amazonaws.com}}, Action: sts:AssumeRole}}]
      Policies:
        - PolicyName: f
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - {{Effect: Allow, Action: [logs:CreateLogStream, logs:PutLogEvents], Resource: !GetAtt L.Arn}}
              - {{Effect: Allow, Action: [sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes], Resource: !GetAtt Q.Arn}}
  L: {{Type: AWS::Logs::LogGroup}}
  Q:
    Type: AWS::SQS::Queue
    Properties: {{{queue}}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/f/
      Runtime: provided.al2023
      Handler: bootstrap
      Timeout: 20
      Role: !GetAtt R.Arn
      LoggingConfig: {{LogGroup: !Ref L}}
      Events:
        E: {{Type: SQS, Properties: {{Queue: !GetAtt Q.Arn, {event}}}}}
"#
    )
}

#[test]
fn what_a_function_s_role_does_not_allow_fails_the_start() {
    let template = mapped("VisibilityTimeout: 120", "BatchSize: 5");
    for (written, instead, expected) in [
        ("lambda.amazonaws.com", "ec2.amazonaws.com", "does not let lambda.amazonaws.com assume it"),
        ("sts:AssumeRole", "sts:TagSession", "does not let lambda.amazonaws.com assume it"),
        (", logs:PutLogEvents", "", "does not allow logs:PutLogEvents on arn:aws:logs:"),
        (", sqs:GetQueueAttributes", "", "does not allow sqs:GetQueueAttributes on arn:aws:sqs:"),
        ("Resource: !GetAtt Q.Arn", "Resource: !GetAtt L.Arn", "does not allow sqs:ReceiveMessage on arn:aws:sqs:"),
    ] {
        assert_eq!(template.matches(written).count(), 1, "{written}");
        let reason = reason(&template.replace(written, instead));
        assert!(reason.contains("Resources.F.Properties: Role: ") && reason.contains(expected), "{reason}");
    }
}

#[test]
fn a_policy_that_aws_would_not_take_fails_the_start() {
    let statement = "Effect: Allow, Principal: {AWS: \"*\"}, Action: sqs:SendMessage, Resource: \"*\"";
    let template = |statement: &str| {
        format!(
            "Resources:\n  Q: {{Type: AWS::SQS::Queue}}\n  P:\n    Type: AWS::SQS::QueuePolicy\n    Properties:\n      Queues: \
             [!Ref Q]\n      PolicyDocument: {{Version: \"2012-10-17\", Statement: [{{{statement}}}]}}\n"
        )
    };
    read(&template(statement)).unwrap();
    read(&template(&format!("Sid: Enable IAM User Permissions, {statement}"))).unwrap();
    for (written, instead, expected) in [
        ("Effect", "Efect", "There is no element \"Efect\""),
        ("Principal: {AWS: \"*\"}, ", "", "each statement has a Principal"),
        ("AWS:", "Aws:", "each statement has a Principal"),
        ("Action", "Actions", "There is no element \"Actions\""),
        (", Resource: \"*\"", "", "neither Resource nor NotResource"),
        ("Resource: \"*\"", "Resource: \"*\", Condition: {\"ForAllValues:StringLikeX\": {a: b}}", "StringLikeX"),
    ] {
        let reason = reason(&template(&statement.replace(written, instead)));
        assert!(reason.contains("Resources.P.Properties: PolicyDocument: ") && reason.contains(expected), "{reason}");
    }
    let role = mapped("VisibilityTimeout: 120", "BatchSize: 5");
    for (written, instead) in [
        ("Effect: Allow, Action: [logs", "Efect: Allow, Action: [logs"),
        ("Effect: Allow, Action: [logs", "Sid: Write the log, Effect: Allow, Action: [logs"),
        ("Action: sts:AssumeRole", "Action: sts:AssumeRole, Resource: \"*\""),
        ("Resource: !GetAtt L.Arn", "Resource: !GetAtt L.Arn, Principal: \"*\""),
    ] {
        assert_eq!(role.matches(written).count(), 1, "{written}");
        let reason = reason(&role.replace(written, instead));
        assert!(reason.contains("Resources.R.Properties"), "{reason}");
    }
}

#[test]
fn the_settings_of_a_route_are_whole_and_known() {
    let api = |settings: &str| {
        format!(
            "Resources:\n  A:\n    Type: AWS::Serverless::HttpApi\n    Properties: {{RouteSettings: {{\"GET /a\": {{{settings}}}}}}}\n"
        )
    };
    let stack = read(&api("ThrottlingRateLimit: 2, ThrottlingBurstLimit: 3")).unwrap();
    let throttling = HttpApiResource::find(&stack).unwrap().route_throttling["GET /a"];
    assert_eq!((throttling.rate, throttling.burst), (2, 3));
    assert!(reason(&api("ThrottlingRateLimit: 2")).contains("go together"));
    assert!(reason(&api("DetailedMetricsEnabled: true")).contains("this property is not known"));
}

#[test]
fn a_mapping_that_lambda_would_refuse_is_refused() {
    let template = mapped;
    let stack = read(&template("VisibilityTimeout: 120", "BatchSize: 5")).unwrap();
    let function = stack.all::<FunctionResource>().next().unwrap();
    assert_eq!(function.timeout, Duration::from_secs(20));
    assert_eq!(function.mappings[0].batch_size, 5);
    assert!(reason(&template("VisibilityTimeout: 10", "BatchSize: 5")).contains("shorter than the function's Timeout"));
    assert!(reason(&template("VisibilityTimeout: 120", "BatchSize: 11")).contains("above 10"));
    let filter = template("VisibilityTimeout: 120", "FilterCriteria: {}");
    assert!(reason(&filter).contains("FilterCriteria: this property is not known"));
}

#[test]
fn queue_attributes_are_as_createqueue_names_them() {
    let stack = read(EMBEDDED).unwrap();
    let queue = stack.all::<QueueResource>().find(|queue| queue.logical_id == "SendQueue").unwrap();
    let attributes: BTreeMap<String, String> = queue.attributes();
    assert_eq!(attributes["VisibilityTimeout"], "120");
    assert_eq!(attributes["MessageRetentionPeriod"], "1209600");
    assert!(attributes["RedrivePolicy"].contains("\"maxReceiveCount\":100"));
    assert!(attributes["Policy"].contains("OnlyThisAccount"));
}

#[test]
fn everything_left_out_has_a_reason_and_is_listed_once() {
    for resource_type in resource_types() {
        for (index, left_out) in resource_type.left_out.iter().enumerate() {
            let name = format!("{} {}", resource_type.name, left_out.property);
            assert!(!left_out.reason.is_empty(), "{name}");
            let again = resource_type.left_out[..index].iter().any(|other| other.property == left_out.property);
            assert!(!again, "{name} is listed twice");
        }
    }
}

#[test]
fn every_type_is_there_once() {
    let mut names: Vec<&str> = resource_types().iter().map(|known| known.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn a_function_s_mapping_is_referred_to_by_the_name_that_sam_gives_it_and_nothing_else_is() {
    let outputs = |name: &str| format!("{EMBEDDED}  Mapping:\n    Value: !Ref {name}\n");
    let stack = read(&outputs("SendFunctionMail")).unwrap();
    let mapping = &stack.all::<FunctionResource>().find(|function| function.binary == "send").unwrap().mappings[0];
    assert_eq!(stack.outputs["Mapping"], mapping.uuid);
    // A route and a schedule make other resources, and an event that does not exist makes none.
    for name in ["RevokeFunctionSweep", "RevokeFunctionGetHalt", "SendFunctionPost", "Mail"] {
        assert!(reason(&outputs(name)).contains("there is no parameter or resource"), "{name}");
    }
}
