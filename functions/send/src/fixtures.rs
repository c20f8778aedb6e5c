//! Mails, messages and providers of the unit tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use shared::queue::Message;
use shared::record::{Mails, Provider, Status};
use shared::runtime::{Ambient, ColdStart, Environment};
pub(crate) use shared::testing::mail::{SAMPLE, changed, sample, sample_with, time};
use shared::testing::{FakeRequest, fake_aws};

/// A message that is received for the first time.
pub(crate) fn message(body: String) -> Message {
    Message {
        message_id: "059f36b4-87a3-44ab-83d2-661975830a7d".to_owned(),
        body,
        sent_at: time("2026-11-23T10:00:00Z"),
        receives: 1,
        hops: 0,
        lined_up: false,
        queue_arn: None,
    }
}

/// The provider of the sample.
pub(crate) fn provider(status: Status) -> Provider {
    let status = serde_json::to_value(status).unwrap();
    let mut provider = json!({
        "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "tenant_id": "acme", "name": "n", "region": "eu-central-1",
        "account_id": "171436882533", "user_name": "u", "user_arn": "arn:aws:iam::171436882533:user/u",
        "access_key_id": "AKIASP2TPHJSQH3FJRUX", "max_send_rate": 14.0, "max_24_hour_send": 50000.0,
        "sandbox": false, "report": {}, "created_at": "2026-11-23T09:00:00Z", "updated_at": "2026-11-23T09:00:00Z",
    });
    provider.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
    serde_json::from_value(provider).unwrap()
}

/// The text of template.yaml that declares a resource.
pub(crate) fn template_resource(logical_id: &str) -> &'static str {
    let template = include_str!("../../../template.yaml");
    let start = template.find(&format!("\n  {logical_id}:\n")).unwrap() + 1;
    let rest = &template[start..];
    let end = rest
        .match_indices("\n  ")
        .map(|(at, _)| at)
        .find(|at| rest[at + 3..].starts_with(|c: char| c.is_ascii_alphanumeric()));
    &rest[..end.unwrap_or(rest.len())]
}

/// The Mails table with conditions and updates as `suspicion` and `denied_resource` write them, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeMails(Arc<Mutex<FakeMailsState>>);

#[derive(Debug, Default)]
struct FakeMailsState {
    items: BTreeMap<String, BTreeMap<String, Value>>,
    updates: usize,
    is_failing: bool,
}

impl FakeMails {
    /// The table's client.
    pub(crate) fn mails(&self) -> Mails {
        let environment = Environment::from_variables(&[
            ("AWS_ACCESS_KEY_ID", "own"),
            ("AWS_SECRET_ACCESS_KEY", "own"),
            ("AWS_REGION", "eu-central-1"),
            ("MAILS_TABLE", "mails"),
        ]);
        let table = self.clone();
        let http = fake_aws(move |request| {
            let answer = table.answer(&request);
            async move { answer }
        });
        let ambient = Ambient::new(|| time("2026-11-23T10:00:00Z"), || 7);
        let start = ColdStart { environment, ambient, http };
        Mails::new(start.dynamodb().unwrap(), &start.environment).unwrap()
    }

    /// How many updates were asked for.
    pub(crate) fn updates(&self) -> usize {
        self.0.lock().unwrap().updates
    }

    /// From now on every request is refused, or none.
    pub(crate) fn set_failing(&self, is_failing: bool) {
        self.0.lock().unwrap().is_failing = is_failing;
    }

    fn answer(&self, request: &FakeRequest) -> (u16, String) {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let mut state = self.0.lock().unwrap();
        if state.is_failing {
            return (400, json!({"__type": "com.amazonaws.dynamodb.v20120810#AccessDeniedException"}).to_string());
        }
        let item = state.items.entry(body["Key"]["pk"]["S"].as_str().unwrap().to_owned()).or_default();
        if request.target == "GetItem" {
            return (200, json!({"Item": item}).to_string());
        }
        let name = |word: &str| {
            let real = body["ExpressionAttributeNames"][word].as_str();
            real.unwrap_or(word).to_owned()
        };
        let value = |word: &str| body["ExpressionAttributeValues"][word].clone();
        let number = |value: &Value| value["N"].as_str().map(|number| number.parse::<i64>().unwrap());
        let condition = body["ConditionExpression"].as_str().unwrap_or_default();
        let holds = |condition: &str| match condition.split_whitespace().collect::<Vec<_>>()[..] {
            [] => true,
            [left, comparison, right] => {
                let (left, right) = (item.get(&name(left)).and_then(number), number(&value(right)).unwrap());
                left.is_some_and(|left| if comparison == ">=" { left >= right } else { left < right })
            }
            [call] => {
                let (function, attribute) = call.trim_end_matches(')').split_once('(').unwrap();
                item.contains_key(&name(attribute)) == (function == "attribute_exists")
            }
            _ => panic!("{condition} was not expected"),
        };
        let alternatives = condition.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(condition);
        let is_met = alternatives.split(" OR ").any(holds);
        let expression = body["UpdateExpression"].as_str().unwrap().to_owned();
        let (sets, removals) = expression.split_once("REMOVE").unwrap_or((&expression, ""));
        let sets = sets.trim().trim_start_matches("SET ").split(", ").filter_map(|set| set.split_once(" = "));
        let sets: Vec<_> = sets.map(|(left, right)| (name(left.trim()), value(right.trim()))).collect();
        let removals: Vec<_> = removals.split(',').map(|removed| name(removed.trim())).collect();
        if is_met {
            item.extend(sets);
            item.retain(|attribute, _| !removals.contains(attribute));
        }
        let answer = match is_met {
            true => (200, json!({"Attributes": item}).to_string()),
            false => {
                let failed = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
                (400, json!({"__type": failed}).to_string())
            }
        };
        state.updates += 1;
        answer
    }
}
