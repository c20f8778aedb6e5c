//! Mails, and what becomes of them.

use jiff::{SignedDuration, Timestamp};
use operator::Tenant;
use reqwest::Method;
use serde_json::{Value, json};
use shared::id::{MailId, ProviderId, TenantId};
use shared::record::{LedgerRow, Mails, ParkedLane, ParkedMail};
use shared::runtime::Environment;

use super::tenants::tenant_of;
use super::{Stack, eventually, now, string, string_of};

/// Parameters with which the mail of a worker that died is delivered again soon: the shortest allowed timeout of an
/// invocation, and the 5 s more for which its claims are valid. AWS's advice of six times the timeout is for batches that
/// are throttled, and none is here.
pub(crate) const FAST_REDELIVERY: [&str; 4] =
    ["--parameter", "SendTimeout=18", "--parameter", "SendVisibilityTimeout=24"];

/// Parameters with which a mail in doubt gets its second attempt soon.
pub(crate) const SHORT_DOUBT_DELAY: [&str; 2] = ["--parameter", "SendDoubtDelay=5"];

/// A valid mail of the provider's tenant with only the required fields. Its subject is its id, by which its copies are counted.
pub(crate) fn mail(provider_id: &str, mail_id: &str) -> Value {
    mail_with(provider_id, mail_id, &json!({}))
}

/// A mail with these fields added, replaced or, if they are `null`, removed.
pub(crate) fn mail_with(provider_id: &str, mail_id: &str, fields: &Value) -> Value {
    let mut mail = json!({
        "version": 1,
        "tenant_id": tenant_of(provider_id),
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

impl Stack {
    /// Puts mails into the send queue in as few requests as SQS allows. Returns the ids of the messages in their order.
    pub(crate) async fn enqueue_mails<B: ToString>(&self, mails: &[B]) -> Vec<String> {
        self.send_messages(&self.outputs.send_queue_url, mails).await
    }

    /// A mail as `GET /providers/{id}/mails/{id}` shows it, once it has one of these states.
    pub(crate) async fn mail_in_state(&self, provider_id: &str, mail_id: &str, states: &[&str]) -> Value {
        let path = format!("/providers/{provider_id}/mails/{mail_id}");
        eventually(&format!("{mail_id} of {provider_id} in one of the states {states:?}"), || async {
            let response = self.api(Method::GET, &path, None).await.unwrap();
            states.iter().any(|state| response.body["state"] == *state).then_some(response.body)
        })
        .await
    }

    /// A mail's row in the ledger.
    pub(crate) async fn ledger_row(&self, provider_id: &str, mail_id: &str) -> Option<LedgerRow> {
        let (client, table) = self.table("MailsTable").await;
        let mails = Mails::new(client, &Environment::from_variables(&[("MAILS_TABLE", &table)])).unwrap();
        let tenant_id = TenantId::parse(&tenant_of(provider_id)).unwrap();
        mails.get(&tenant_id, &MailId::parse(mail_id).unwrap()).await.unwrap()
    }

    /// Parks a message under a mail's id, as `send` does.
    pub(crate) async fn park(&self, provider_id: &str, mail_id: &str, body: String) {
        let (client, table) = self.table("MailsTable").await;
        let mails = Mails::new(client, &Environment::from_variables(&[("MAILS_TABLE", &table)])).unwrap();
        let parked = ParkedMail {
            provider_id: ProviderId::parse(provider_id).unwrap(),
            tenant_id: TenantId::parse(&tenant_of(provider_id)).unwrap(),
            mail_id: MailId::parse(mail_id).unwrap(),
            lane: ParkedLane::Normal,
            order: now(),
            recipients: 1,
            expires: "2126-01-01T00:00:00Z".parse().unwrap(),
            hops: 0,
            body,
        };
        mails.park(&parked).await.unwrap();
        mails.note_parking(&parked.provider_id, now()).await.unwrap();
    }

    /// How many copies of a mail SES accepted.
    pub(crate) async fn accepted_copies(&self, tenant: &Tenant, mail_id: &str) -> usize {
        self.inbox(&tenant.account_id).await.unwrap().iter().filter(|mail| mail["subject"] == mail_id).count()
    }

    /// The requests that asked SES to send a mail with a tenant's key. The probes of `verify` are left out: SES rejects all
    /// of them.
    pub(crate) async fn send_requests(&self, tenant: &Tenant) -> Vec<Value> {
        let mut requests = self.requests(tenant).await;
        requests.retain(|request| request["operation"] == "SendEmail" && request["error"] != "MessageRejected");
        requests
    }
}

/// Whether a request of the request log was answered after this time.
pub(crate) fn was_answered_after(request: &Value, time: Timestamp) -> bool {
    let answered: Timestamp = request["at"].as_str().unwrap().parse().unwrap();
    answered > time
}

/// The parked mail of a provider, in the order in which it is released.
pub(crate) async fn parked(stack: &Stack, provider_id: &str) -> Vec<String> {
    let (client, table) = stack.table("MailsTable").await;
    let query = client.query().table_name(table).key_condition_expression("pk = :pk");
    let found =
        query.expression_attribute_values(":pk", string(&format!("parked#{provider_id}"))).send().await.unwrap();
    found.items.unwrap_or_default().iter().map(|item| string_of(item, "mail_id")).collect()
}

/// Holds a provider, or lifts its hold.
pub(crate) async fn change_hold(stack: &Stack, method: Method, provider_id: &str) {
    let body = json!({ "reason": "complaints" });
    let response = stack.api(method, &format!("/providers/{provider_id}/hold"), Some(&body)).await.unwrap();
    assert_eq!(response.status, 200, "{}", response.text);
}

/// Makes a hold so old that mail is parked for it.
pub(crate) async fn age_hold(stack: &Stack, provider_id: &str) {
    let (client, table) = stack.table("ProvidersTable").await;
    let update = client
        .update_item()
        .table_name(table)
        .key("pk", string(&format!("provider#{provider_id}")))
        .key("sk", string("provider"))
        .update_expression("SET #hold.held_at = :time")
        .expression_attribute_names("#hold", "hold")
        .expression_attribute_values(":time", string(&(now() - SignedDuration::from_mins(3)).to_string()));
    update.send().await.unwrap();
}
