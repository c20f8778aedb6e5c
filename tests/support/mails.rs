//! Mails, and what a test asks and sets around them.

use std::time::Duration;

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use shared::id::{MailId, ProviderId};
use shared::record::{LedgerRow, Mails};
use shared::runtime::Environment;

use super::{Stack, until};
use operator::{self, Tenant};

/// A valid mail of the tenant `acme` with nothing but what a mail must have. Its subject is its id, by which its copies
/// are counted.
pub(crate) fn mail(provider_id: &str, mail_id: &str) -> Value {
    mail_with(provider_id, mail_id, &json!({}))
}

/// A mail with these fields put in or, where they are `null`, taken out.
pub(crate) fn mail_with(provider_id: &str, mail_id: &str, fields: &Value) -> Value {
    let mut mail = json!({
        "version": 1,
        "tenant_id": "acme",
        "provider_id": provider_id,
        "mail_id": mail_id,
        "from": "Jane <jane@example.com>",
        "to": ["ann@example.org"],
        "subject": mail_id,
        "text": "Thank you.",
    });
    for (name, value) in fields.as_object().unwrap() {
        match value {
            Value::Null => drop(mail.as_object_mut().unwrap().remove(name)),
            value => mail[name] = value.clone(),
        }
    }
    mail
}

/// How many messages a queue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Ready to be received.
    pub visible: u32,
    /// Received and not deleted.
    pub in_flight: u32,
    /// Sent with a delay that is not over.
    pub delayed: u32,
}

impl Stack {
    /// Hands these bodies over in as few requests as SQS takes. Answers the messages' ids in their order.
    pub(crate) async fn hand_over<B: ToString>(&self, bodies: &[B]) -> Vec<String> {
        let mut ids = Vec::new();
        for chunk in bodies.chunks(10) {
            let entries = chunk.iter().enumerate().map(|(place, body)| {
                SendMessageBatchRequestEntry::builder()
                    .id(place.to_string())
                    .message_body(body.to_string())
                    .build()
                    .unwrap()
            });
            let answer = self
                .sqs
                .send_message_batch()
                .queue_url(&self.outputs.send_queue_url)
                .set_entries(Some(entries.collect()))
                .send()
                .await
                .unwrap();
            assert!(answer.failed().is_empty(), "{:?}", answer.failed());
            let mut sent: Vec<(usize, String)> = answer
                .successful()
                .iter()
                .map(|entry| (entry.id().parse().unwrap(), entry.message_id().to_owned()))
                .collect();
            sent.sort();
            ids.extend(sent.into_iter().map(|(_, id)| id));
        }
        ids
    }

    /// Replaces the faults of a tenant's account.
    pub(crate) async fn faults(&self, tenant: &Tenant, faults: &Value) {
        let path = format!("/tenants/{}/faults", tenant.account_id);
        let answer = self.local(Method::PUT, &path, Some(faults)).await.unwrap();
        assert!(answer.status.is_success(), "{}", answer.text);
    }

    /// What SES was asked to send with a tenant's key, as `GET /_local/requests` has it. Probes of `verify` are left out:
    /// SES refuses all of them.
    pub(crate) async fn sends(&self, tenant: &Tenant) -> Vec<Value> {
        let path = format!("/requests?account_id={}", tenant.account_id);
        let answer = self.local(Method::GET, &path, None).await.unwrap();
        let requests = answer.body["requests"].as_array().unwrap();
        requests
            .iter()
            .filter(|request| request["operation"] == "SendEmail" && request["error"] != "MessageRejected")
            .cloned()
            .collect()
    }

    /// How many copies of a mail SES took.
    pub(crate) async fn copies(&self, tenant: &Tenant, mail_id: &str) -> usize {
        self.inbox(&tenant.account_id).await.unwrap().iter().filter(|mail| mail["subject"] == mail_id).count()
    }

    /// The event about a mail, once there is one.
    pub(crate) async fn mail_event(&self, detail_type: &str, provider_id: &str, mail_id: &str) -> Value {
        until(&format!("{detail_type} of {mail_id}"), || async {
            self.events_of(detail_type)
                .await
                .unwrap()
                .into_iter()
                .map(|mut event| event["detail"].take())
                .find(|detail| detail["provider_id"] == provider_id && detail["mail_id"] == mail_id)
        })
        .await
    }

    /// How many mails wait.
    pub(crate) async fn waiting(&self) -> Waiting {
        let answer = self
            .sqs
            .get_queue_attributes()
            .queue_url(&self.outputs.send_queue_url)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .unwrap();
        let count = |name: QueueAttributeName| answer.attributes().unwrap()[&name].parse().unwrap();
        Waiting {
            visible: count(QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        }
    }

    /// Waits until all mails are dealt with and these are delayed.
    pub(crate) async fn until_delayed(&self, delayed: u32) {
        let expected = Waiting { visible: 0, in_flight: 0, delayed };
        until(&format!("{expected:?}"), || async { (self.waiting().await == expected).then_some(()) }).await;
    }

    /// A mail's row in the ledger.
    pub(crate) async fn row(&self, provider_id: &str, mail_id: &str) -> Option<LedgerRow> {
        let (dynamodb, table) = self.table("MailsTable").await;
        let mails = Mails::new(dynamodb, &Environment::from_variables(&[("MAILS_TABLE", &table)])).unwrap();
        mails.get(&ProviderId::parse(provider_id).unwrap(), &MailId::parse(mail_id).unwrap()).await.unwrap()
    }

    /// The table of this logical id, with a client that the operator signs for.
    pub(crate) async fn table(&self, logical_id: &str) -> (DynamoDb, String) {
        let dynamodb = DynamoDb::new(&operator::config(&self.aws_url()));
        let tables = dynamodb.list_tables().send().await.unwrap();
        let name = tables.table_names().iter().find(|name| name.contains(logical_id)).unwrap().clone();
        (dynamodb, name)
    }

    /// Where the stand-in for AWS listens.
    pub(crate) fn aws_url(&self) -> String {
        let mut url: reqwest::Url = self.outputs.send_queue_url.parse().unwrap();
        url.set_path("");
        url.to_string()
    }

    /// The line that `send` wrote of each batch.
    pub(crate) async fn batches(&self) -> Vec<Value> {
        let answer = self.local(Method::GET, "/logs?function=sendingbee-send", None).await.unwrap();
        let lines = answer.body["lines"].as_array().unwrap();
        lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line["line"].as_str()?).ok())
            .filter(|line| line["message"] == "batch processed")
            .collect()
    }
}

/// How long before `later` a request of the log was answered; negative where it was later.
pub(crate) fn answered_before(request: &Value, later: Timestamp) -> f64 {
    let at: Timestamp = request["at"].as_str().unwrap().parse().unwrap();
    later.duration_since(at).as_secs_f64()
}

/// The machine's clock, which the stand-in's request log goes by.
#[expect(clippy::disallowed_methods, reason = "a test compares with the times in the request log")]
pub(crate) fn clock() -> Timestamp {
    Timestamp::now()
}

/// Parameters with which a mail whose worker died comes back soon: the least that an invocation may take, and 5 s more, for
/// as long as a claim is behind it. The six-fold of AWS's advice is for batches that are throttled, and here none is.
pub(crate) const SOON_AGAIN: [&str; 4] = ["--parameter", "SendTimeout=18", "--parameter", "SendVisibilityTimeout=24"];

/// For what must not happen: how long a test looks on.
pub(crate) async fn look_on(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}
