//! Work items: the messages on the revocation queue.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::http::{FieldError, decode};
use shared::id::{AccessKeyId, OrderId};
use shared::queue::{Outgoing, Queue, QueueError};
use shared::record::{Order, OrderPage};

/// What `revoke-worker` has to do. Messages hold ids and no state; the state is in the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum WorkItem {
    /// Revoke an order's keys. It carries the whole order, so that the worker need not read it first. If the order is for more
    /// than one provider: list them on.
    Order(Order),
    /// Revoke the keys on a page of an order. It carries both.
    Page(PageOfOrder),
    /// Take the next steps of one key.
    Key(AccessKeyId),
    /// Look whether the revocation of a live key would work.
    Look(AccessKeyId),
}

/// A page and its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageOfOrder {
    pub(crate) order: Order,
    pub(crate) page: OrderPage,
}

/// A [`WorkItem`] with the version of its format.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WorkMessage {
    version: u32,
    work: WorkItem,
}

/// The message format version that this code writes, and the only one that it accepts.
const VERSION: u32 = 1;

/// The group of the fair queue for keys that no order of the moment is about. It waits behind new orders.
const SWEEP_GROUP: &str = "sweep";

impl WorkItem {
    /// Reads a message's body.
    ///
    /// # Errors
    /// The field that is wrong, without its value.
    pub(crate) fn parse(body: &str) -> Result<Self, FieldError> {
        let message: WorkMessage = decode(body.as_bytes())?;
        if message.version != VERSION {
            return Err(FieldError::new("version", format!("must be {VERSION}")));
        }
        Ok(message.work)
    }

    fn into_body(self) -> serde_json::Result<String> {
        serde_json::to_string(&WorkMessage { version: VERSION, work: self })
    }

    async fn send(self, queue: &Queue, group: &str, delay: Duration) -> Result<(), QueueError> {
        let subject = match &self {
            Self::Order(order) => order.order_id.to_string(),
            Self::Page(PageOfOrder { order, page }) => format!("page {} of {}", page.page, order.order_id),
            Self::Key(access_key_id) | Self::Look(access_key_id) => access_key_id.masked(),
        };
        let body = self.into_body().map_err(|_| QueueError {
            subject: subject.clone(),
            queue: "revocation",
            code: "not serialized".to_owned(),
        })?;
        queue.send(Outgoing { subject: &subject, body: &body, group, delay, hops: None, lined_up: false }).await
    }
}

/// Enqueues an order. Each order is a group of the fair queue, so a large one does not delay the next.
pub(crate) async fn enqueue_order(queue: &Queue, order: &Order) -> Result<(), QueueError> {
    WorkItem::Order(order.clone()).send(queue, order.order_id.as_str(), Duration::ZERO).await
}

/// Enqueues a page of an order.
pub(crate) async fn enqueue_page(queue: &Queue, order: &Order, page: &OrderPage) -> Result<(), QueueError> {
    let item = WorkItem::Page(PageOfOrder { order: order.clone(), page: page.clone() });
    item.send(queue, order.order_id.as_str(), Duration::ZERO).await
}

/// Enqueues a key's next step. `order_id` names the order that it belongs to, if it is one of the moment's; `delay` is at
/// most 15 minutes.
pub(crate) async fn enqueue_key(
    queue: &Queue,
    access_key_id: &AccessKeyId,
    order_id: Option<&OrderId>,
    delay: Duration,
) -> Result<(), QueueError> {
    let group = order_id.map_or(SWEEP_GROUP, OrderId::as_str);
    WorkItem::Key(access_key_id.clone()).send(queue, group, delay).await
}

/// Enqueues a look at a live key, in the queue for looks.
pub(crate) async fn enqueue_look(queue: &Queue, access_key_id: &AccessKeyId) -> Result<(), QueueError> {
    WorkItem::Look(access_key_id.clone()).send(queue, SWEEP_GROUP, Duration::ZERO).await
}

#[cfg(test)]
mod tests {
    use shared::queue::Batch;

    use super::*;

    #[test]
    fn a_message_is_parsed_in_its_one_form() {
        let sample = serde_json::from_str(include_str!("../../../events/revoke-worker-order.json")).unwrap();
        let body = &Batch::from_json(sample, jiff::Timestamp::UNIX_EPOCH).unwrap().messages[0].body;
        let WorkItem::Order(order) = WorkItem::parse(body).unwrap() else { panic!("not an order") };
        assert_eq!(order.access_key_ids.len(), 1);
        let again = WorkItem::Order(order.clone()).into_body().unwrap();
        assert_eq!(WorkItem::parse(&again).unwrap(), WorkItem::Order(order));

        let key = r#"{"version":1,"work":{"key":"AKIASP2TPHJSQH3FJRUX"}}"#;
        assert_eq!(
            WorkItem::parse(key).unwrap(),
            WorkItem::Key(AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap())
        );

        let sample = serde_json::from_str(include_str!("../../../events/revoke-worker-look.json")).unwrap();
        let body = &Batch::from_json(sample, jiff::Timestamp::UNIX_EPOCH).unwrap().messages[0].body;
        let look = WorkItem::Look(AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap());
        assert_eq!(WorkItem::parse(body).unwrap(), look);
        assert_eq!(WorkItem::parse(&look.clone().into_body().unwrap()).unwrap(), look);

        let cases = [
            ("", "body"),
            ("garbage", "body"),
            (r#"{"version":2,"work":{"key":"AKIASP2TPHJSQH3FJRUX"}}"#, "version"),
            (r#"{"version":1}"#, "work"),
            (r#"{"version":1,"work":{"key":"AKIASP2TPHJSQH3FJRUX"},"more":1}"#, "more"),
            (r#"{"version":1,"work":{"keys":"AKIASP2TPHJSQH3FJRUX"}}"#, "work"),
        ];
        for (body, field) in cases {
            let error = WorkItem::parse(body).unwrap_err();
            assert!(error.field.starts_with(field), "{body}: {error}");
        }
    }
}
