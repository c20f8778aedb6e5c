//! What nobody has confirmed about AWS, and what AWS says about it when it is asked.
//!
//! Each of these is an assumption that the code names in one place. What an answer means is decided here, pure.

use serde::Serialize;
use serde_json::Value;
use shared::tenant::Denial;

use super::aws_answer::AwsAnswer;

/// An assumption about AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fact {
    /// Its name.
    pub(super) name: &'static str,
    /// What is assumed.
    pub(super) statement: &'static str,
    /// What has to change if it is otherwise.
    pub(super) change: &'static str,
    /// How a person can see it, where an API does not tell.
    pub(super) look: &'static str,
}

/// What was seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FactVerdict {
    /// It is so.
    Confirmed,
    /// It is not.
    Otherwise,
    /// Nothing that was answered decides it.
    NotObservable,
}

/// A fact with what was seen of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Observation {
    #[serde(flatten)]
    pub(super) fact: Fact,
    pub(super) verdict: FactVerdict,
    /// What was answered; empty where nothing can be asked.
    pub(super) said: String,
}

/// DeleteAccessKey of a key id that cannot exist, without any policy.
pub(super) const DENIED_BEFORE_LOOK_UP: Fact = Fact {
    name: "deletion-denied-before-look-up",
    statement: "a user without iam:DeleteAccessKey is denied (AccessDenied) also for a key id that does not exist",
    change: "shared/src/tenant/calls.rs (probe_delete_access_key) and functions/verify/src/check/user.rs \
             (check_delete_access_key): NoSuchEntity does not show that the key may delete itself",
    look: "the answer was neither AccessDenied nor NoSuchEntity: run the drill again",
};

/// The same on the own user, with the policy that allows it.
pub(super) const ALLOWED_IS_NO_SUCH_ENTITY: Fact = Fact {
    name: "deletion-allowed-is-no-such-entity",
    statement: "a user with iam:DeleteAccessKey on itself is told NoSuchEntity for a key id of its own that does not exist",
    change: "shared/src/tenant/calls.rs (probe_delete_access_key), functions/verify/src/check/user.rs \
             (check_delete_access_key): the probe fails keys that are good",
    look: "the answer was neither AccessDenied nor NoSuchEntity: run the drill again",
};

/// The same on another user, which the hardened policy denies explicitly.
pub(super) const OTHER_USER_DENIED: Fact = Fact {
    name: "deletion-of-other-user-denied",
    statement: "the hardened policy denies iam:DeleteAccessKey on another user before IAM looks whether there is one",
    change: "functions/verify/src/check/user.rs (check_breadth) and shared/policy's hardened document: the breadth of a key is \
             not seen by this probe",
    look: "the answer was neither AccessDenied nor NoSuchEntity: run the drill again",
};

/// SendEmail with a template, without any policy.
pub(super) const TEMPLATE_ACTION: Fact = Fact {
    name: "template-content-action",
    statement: "SendEmail with a template needs the IAM action ses:SendTemplatedEmail",
    change: "local/src/service/ses/operation.rs (mail_permissions) and shared/policy/src/bounds.rs (TEMPLATE_ACTIONS); the hardened \
             policy too, if it is none of the actions that it allows",
    look: "the answer decides nothing: run the drill again",
};

/// A mail to a recipient that SES suppresses.
pub(super) const SUPPRESSED_ACCEPTED: Fact = Fact {
    name: "suppressed-recipient-accepted",
    statement: "SES accepts a mail to a suppressed recipient",
    change: "functions/send/src/failure_action.rs and shared/src/tenant/failure.rs: the refusal is a reason of its own",
    look: "GET /providers/{provider_id}/mails/{mail_id} says what became of it",
};

/// What follows.
pub(super) const SUPPRESSED_BOUNCES: Fact = Fact {
    name: "suppressed-recipient-bounces",
    statement: "a Bounce follows for the suppressed recipient",
    change: "README.md, \"The API\": nothing but the address's owner says that such a mail was not delivered",
    look: "the mailbox of --from gets a delivery status notification within minutes, unless the identity forwards no feedback; \
           with Virtual Deliverability Manager switched on, GetMessageInsights has the event: run the drill again",
};

/// The quarantine policy whose document nobody has seen.
pub(super) const QUARANTINE_V4: Fact = Fact {
    name: "quarantine-v4",
    statement: "AWSCompromisedKeyQuarantineV4 denies iam:DeleteAccessKey, as V2 and V3 do",
    change: "local/src/faults (Quarantine) and functions/verify/src/check/quarantine.rs: V4 leaves a key its deletion",
    look: "IAM console, Policies, AWSCompromisedKeyQuarantineV4, JSON; or \
           `aws iam get-policy --policy-arn arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV4`",
};

/// What no API tells, or nobody can provoke.
pub(super) const FOR_PEOPLE: [Fact; 3] = [
    Fact {
        name: "recursive-loop-detection",
        statement: "Lambda counts hops of a queue to itself for functions that use the Rust SDK too, so RecursiveLoop has to be Allow",
        change: "nothing: `RecursiveLoop: Allow` in template.yaml does no harm where Lambda does not count",
        look: "Lambda developer guide, \"Use Lambda recursive loop detection\", \"Supported AWS services and SDKs\", lists Rust or not; \
               `aws lambda get-function-recursion-config --function-name STACK-send` has to say Allow, and so has STACK-revoke-worker; the \
               metric RecursiveInvocationsDropped of both stays empty",
    },
    Fact {
        name: "console-labels",
        statement: "the console's labels are as the onboarding texts say, and its links open what they name",
        change: "functions/verify/page/words and the links in functions/verify/src/page/step, functions/revoke/src/tenant_notice.rs, \
                 functions/verify/src/check/pasted.rs and identity.rs, README.md",
        look: "with a browser, in English and in German: IAM, Policies, Create policy, JSON; Users, Create user, Attach policies directly; the \
               user, Security credentials, Create access key, Third-party service, Show, Download .csv file; iam/home#/users/create, \
               iam/home#/policies/create, ses/home?region=REGION#/account, #/identities and #/configuration-sets; \
               https://console.aws.amazon.com/iam/home#/users/details/USER?section=security_credentials",
    },
    Fact {
        name: "health-and-quarantine",
        statement: "AWS Health's events of a leaked key and the attachment of a quarantine policy look as the sample events do",
        change: "events/revoke-aws-health.json, events/revoke-quarantine-attached.json, functions/revoke/src/intake/aws_notice",
        look: "cannot be provoked but by leaking a key: keep the first real notice (`notice of AWS handled` in the log of revoke) and \
               compare it with the samples",
    },
];

impl Observation {
    /// What no API tells.
    pub(super) fn for_people(fact: Fact) -> Self {
        Self { fact, verdict: FactVerdict::NotObservable, said: String::new() }
    }

    /// A fact with what an answer shows of it.
    pub(super) fn new(fact: Fact, verdict: FactVerdict, said: impl Into<String>) -> Self {
        Self { fact, verdict, said: said.into() }
    }

    /// DeleteAccessKey where it is not allowed, of what does not exist.
    pub(super) fn of_denied_deletion(fact: Fact, answer: &AwsAnswer) -> Self {
        let verdict = match answer.code.as_str() {
            _ if answer.is_denied() => FactVerdict::Confirmed,
            "NoSuchEntity" => FactVerdict::Otherwise,
            _ => FactVerdict::NotObservable,
        };
        Self::new(fact, verdict, answer.said())
    }

    /// DeleteAccessKey where it is allowed, of what does not exist.
    pub(super) fn of_allowed_deletion(answer: &AwsAnswer) -> Self {
        let verdict = match answer.code.as_str() {
            "NoSuchEntity" => FactVerdict::Confirmed,
            _ if answer.is_denied() || answer.is_success() => FactVerdict::Otherwise,
            _ => FactVerdict::NotObservable,
        };
        Self::new(ALLOWED_IS_NO_SUCH_ENTITY, verdict, answer.said())
    }

    /// SendEmail with a template that does not exist, where nothing is allowed.
    pub(super) fn of_template(answer: &AwsAnswer) -> Self {
        let action = Denial::parse(&answer.message).action;
        let verdict = match action.as_deref() {
            Some("ses:SendTemplatedEmail") if answer.is_denied() => FactVerdict::Confirmed,
            Some(_) if answer.is_denied() => FactVerdict::Otherwise,
            _ if answer.is_denied() || answer.is_passing() => FactVerdict::NotObservable,
            // SES looked for the template: the action that was checked is allowed.
            _ if answer.is_success() || answer.code.starts_with("NotFound") => FactVerdict::Otherwise,
            _ => FactVerdict::NotObservable,
        };
        Self::new(TEMPLATE_ACTION, verdict, answer.said())
    }

    /// What became of a mail to a suppressed recipient.
    pub(super) fn of_suppressed(mail: &Value) -> Self {
        let text = |field: &str| mail[field].as_str().unwrap_or_default();
        let verdict = match text("state") {
            "sent" => FactVerdict::Confirmed,
            "rejected" => FactVerdict::Otherwise,
            _ => FactVerdict::NotObservable,
        };
        let said = ["state", "reason", "ses_message_id"].map(text);
        let said: Vec<&str> = said.into_iter().filter(|word| !word.is_empty()).collect();
        Self::new(SUPPRESSED_ACCEPTED, verdict, said.join(" "))
    }

    /// The events of such a mail.
    pub(super) fn of_insights(answer: &AwsAnswer) -> Self {
        let json = answer.json();
        let insights = json["Insights"].as_array().into_iter().flatten();
        let events = insights.filter_map(|insight| insight["Events"].as_array()).flatten();
        let events: Vec<&str> = events.filter_map(|event| event["Type"].as_str()).collect();
        let verdict = if events.contains(&"BOUNCE") {
            FactVerdict::Confirmed
        } else if events.contains(&"DELIVERY") {
            FactVerdict::Otherwise
        } else {
            FactVerdict::NotObservable
        };
        let said = if answer.is_success() { format!("200 {}", events.join(" ")) } else { answer.said() };
        Self::new(SUPPRESSED_BOUNCES, verdict, format!("GetMessageInsights: {}", said.trim_end()))
    }

    /// A quarantine policy's document; `Err` where it cannot be read.
    pub(super) fn of_quarantine(document: Result<&str, &AwsAnswer>) -> Self {
        let document = match document {
            Ok(document) => document,
            Err(answer) => return Self::new(QUARANTINE_V4, FactVerdict::NotObservable, answer.said()),
        };
        let policy: Value = serde_json::from_str(document).unwrap_or(Value::Null);
        let Some(actions) = denied_actions(&policy) else {
            return Self::new(
                QUARANTINE_V4,
                FactVerdict::NotObservable,
                "its document has a form that is not known here",
            );
        };
        let denies = actions.iter().any(|action| {
            let action = action.to_ascii_lowercase();
            ["iam:deleteaccesskey", "iam:delete*", "iam:*", "*"].contains(&action.as_str())
        });
        let verdict = if denies { FactVerdict::Confirmed } else { FactVerdict::Otherwise };
        Self::new(QUARANTINE_V4, verdict, format!("its Deny statements list {} actions", actions.len()))
    }
}

/// The actions of a policy's Deny statements; `None` where it is not read by its Action.
fn denied_actions(policy: &Value) -> Option<Vec<&str>> {
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.iter().collect(),
        statement @ Value::Object(_) => vec![statement],
        _ => return None,
    };
    let mut actions = Vec::new();
    for statement in statements.into_iter().filter(|statement| statement["Effect"] == "Deny") {
        match &statement["Action"] {
            Value::String(action) => actions.push(action.as_str()),
            Value::Array(list) => actions.extend(list.iter().filter_map(Value::as_str)),
            _ => return None,
        }
    }
    Some(actions)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, code: &str, message: &str) -> AwsAnswer {
        AwsAnswer::new(status, code, json!({ "message": message }).to_string())
    }

    const CONFIRMED: FactVerdict = FactVerdict::Confirmed;
    const OTHERWISE: FactVerdict = FactVerdict::Otherwise;
    const OPEN: FactVerdict = FactVerdict::NotObservable;

    #[test]
    fn a_deletion_says_by_its_code_what_was_looked_at_first() {
        let cases = [
            (answer(403, "AccessDenied", "no"), CONFIRMED, OTHERWISE),
            (answer(404, "NoSuchEntity", "no such key"), OTHERWISE, CONFIRMED),
            (answer(400, "Throttling", "slow"), OPEN, OPEN),
            (answer(403, "InvalidClientTokenId", "who"), OPEN, OPEN),
            (answer(500, "InternalFailure", ""), OPEN, OPEN),
        ];
        for (answer, denied, allowed) in cases {
            assert_eq!(Observation::of_denied_deletion(DENIED_BEFORE_LOOK_UP, &answer).verdict, denied, "{answer:?}");
            assert_eq!(Observation::of_allowed_deletion(&answer).verdict, allowed, "{answer:?}");
        }
    }

    #[test]
    fn a_template_is_denied_by_the_action_that_it_needs() {
        let denied = |action: &str| {
            let text = format!(
                "User: arn:aws:iam::1:user/u is not authorized to perform: {action} on resource: arn:aws:ses:::x"
            );
            answer(403, "AccessDeniedException", &text)
        };
        let cases = [
            (denied("ses:SendTemplatedEmail"), CONFIRMED),
            (denied("ses:SendEmail"), OTHERWISE),
            (answer(404, "NotFoundException", "Template x does not exist"), OTHERWISE),
            (answer(200, "", ""), OTHERWISE),
            (answer(403, "AccessDeniedException", "no"), OPEN),
            (answer(400, "MessageRejected", "Email address is not verified."), OPEN),
            (answer(429, "TooManyRequestsException", ""), OPEN),
        ];
        for (answer, expected) in cases {
            assert_eq!(Observation::of_template(&answer).verdict, expected, "{answer:?}");
        }
    }

    #[test]
    fn a_suppressed_recipient_is_seen_by_the_mails_state_and_its_events() {
        for (state, expected) in [("sent", CONFIRMED), ("rejected", OTHERWISE), ("in_doubt", OPEN)] {
            assert_eq!(Observation::of_suppressed(&json!({ "state": state })).verdict, expected);
        }
        let events = |types: &[&str]| {
            let events: Vec<Value> = types.iter().map(|event| json!({ "Type": event })).collect();
            AwsAnswer::new(200, "", json!({ "Insights": [{ "Events": events }] }).to_string())
        };
        let cases = [
            (events(&["SEND", "BOUNCE"]), CONFIRMED),
            (events(&["SEND", "DELIVERY"]), OTHERWISE),
            (events(&["SEND"]), OPEN),
            (answer(404, "NotFoundException", "no"), OPEN),
        ];
        for (answer, expected) in cases {
            assert_eq!(Observation::of_insights(&answer).verdict, expected, "{answer:?}");
        }
    }

    #[test]
    fn a_quarantine_policy_is_read_by_its_deny_statements() {
        let deny = |actions: Value| json!({ "Statement": [{ "Effect": "Deny", "Action": actions }] }).to_string();
        let cases = [
            (deny(json!(["iam:CreateUser", "iam:DeleteAccessKey"])), CONFIRMED),
            (deny(json!("iam:*")), CONFIRMED),
            (deny(json!(["iam:CreateUser"])), OTHERWISE),
            (json!({ "Statement": { "Effect": "Allow", "Action": "iam:DeleteAccessKey" } }).to_string(), OTHERWISE),
            (json!({ "Statement": { "Effect": "Deny", "NotAction": "s3:*" } }).to_string(), OPEN),
            ("not JSON".to_owned(), OPEN),
        ];
        for (document, expected) in cases {
            assert_eq!(Observation::of_quarantine(Ok(&document)).verdict, expected, "{document}");
        }
        assert_eq!(Observation::of_quarantine(Err(&answer(404, "NoSuchEntity", ""))).verdict, OPEN);
    }

    #[test]
    fn every_file_that_a_fact_names_is_there() {
        let facts = [
            DENIED_BEFORE_LOOK_UP,
            ALLOWED_IS_NO_SUCH_ENTITY,
            OTHER_USER_DENIED,
            TEMPLATE_ACTION,
            SUPPRESSED_ACCEPTED,
            SUPPRESSED_BOUNCES,
            QUARANTINE_V4,
        ];
        for fact in facts.into_iter().chain(FOR_PEOPLE) {
            let words = fact.change.split([' ', ',', ':', '`', ';']);
            let is_path = |word: &&str| {
                let tops = ["shared/", "functions/", "local/", "events/", "template.yaml", "README.md"];
                tops.iter().any(|top| word.starts_with(top))
            };
            let paths: Vec<&str> = words.filter(is_path).map(|word| word.trim_end_matches("'s")).collect();
            assert!(!paths.is_empty(), "{} names no file", fact.name);
            for path in paths {
                let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
                assert!(std::path::Path::new(root).join(path).exists(), "{}: {path}", fact.name);
            }
        }
    }
}
