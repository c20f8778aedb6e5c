//! Rows in DynamoDB.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;
use shared::id::{MailId, TenantId};
use shared::record::{LedgerRow, Mails, RecordError, mail_pk};

use super::{Claimant, claimed_row, epoch, waiting_row};

/// There is no row.
const IF_ABSENT: &str = "attribute_not_exists(pk)";

/// The row still has the epoch that the decision was made on.
const IF_SAME_EPOCH: &str = "#state = :was_state AND #attempts = :was_attempts AND #takeovers = :was_takeovers";

/// Attributes that a row may lack; a write removes those that the new row lacks.
const OPTIONAL: [&str; 6] = ["owner", "lease_until", "ses_message_id", "reason", "eta", "listing"];

/// The ledger.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    mails: Mails,
}

/// The result of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RowWrite {
    /// The row is written.
    Done,
    /// Another delivery was first: this is the row now.
    Lost(Option<Box<LedgerRow>>),
}

impl Ledger {
    /// The ledger in this table.
    pub(crate) fn new(mails: Mails) -> Self {
        Self { mails }
    }

    /// A mail's row, read consistently.
    pub(crate) async fn read(&self, tenant_id: &TenantId, mail_id: &MailId) -> Result<Option<LedgerRow>, RecordError> {
        self.mails.get(tenant_id, mail_id).await
    }

    /// Says of a mail that nobody has claimed yet what it waits for. A row in another state, or of other content, stays: it says
    /// more.
    pub(crate) async fn note_waiting(
        &self,
        claimant: &Claimant,
        reason: &str,
        eta: Timestamp,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let pk = mail_pk(&claimant.tenant_id, &claimant.mail_id);
        let unclaimed = claimed_row(claimant, 0, 0, now);
        let update = RowUpdate::from_row(&self.with_ttl(&waiting_row(&unclaimed, reason, eta, now)));
        let update = update.ok_or_else(|| RecordError::Shape { pk: pk.clone() })?;
        // How often it was claimed is not this write's to say.
        let expression = ["attempts", "takeovers"].iter().fold(update.expression, |expression, name| {
            expression.replace(&format!("#{name} = :{name}"), &format!("#{name} = if_not_exists(#{name}, :{name})"))
        });
        let request = self
            .mails
            .update(&pk)
            .update_expression(expression)
            .condition_expression("attribute_not_exists(pk) OR (#state = :state AND #digest = :digest)")
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values));
        match Box::pin(request.send()).await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(RecordError::dynamodb("UpdateItem", pk)(error)),
            },
        }
    }

    /// Replaces the row `was` by `row`. Repeating it is harmless: if the response to a write is lost, the SDK's retry finds
    /// the row that it wrote, and that counts as done.
    pub(crate) async fn write(&self, row: &LedgerRow, was: Option<&LedgerRow>) -> Result<RowWrite, RecordError> {
        let row = &self.with_ttl(row);
        let pk = mail_pk(&row.tenant_id, &row.mail_id);
        let update = RowUpdate::from_row(row).ok_or_else(|| RecordError::Shape { pk: pk.clone() })?;
        let mut request = self
            .mails
            .update(&pk)
            .update_expression(update.expression)
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        request = match was.map(epoch) {
            None => request.condition_expression(IF_ABSENT),
            Some((state, attempts, takeovers)) => request
                .condition_expression(IF_SAME_EPOCH)
                .expression_attribute_values(
                    ":was_state",
                    serde_dynamo::to_attribute_value(state).unwrap_or_else(|_| null()),
                )
                .expression_attribute_values(":was_attempts", AttributeValue::N(attempts.to_string()))
                .expression_attribute_values(":was_takeovers", AttributeValue::N(takeovers.to_string())),
        };
        // Boxed, so that the futures around it stay small: each of them is moved when it is awaited.
        let error = match Box::pin(request.send()).await {
            Ok(_) => return Ok(RowWrite::Done),
            Err(error) => error,
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(RecordError::dynamodb("UpdateItem", pk)(error));
        };
        let found: Option<Box<LedgerRow>> = failed
            .item()
            .cloned()
            .map(serde_dynamo::from_item)
            .transpose()
            .map_err(|_| RecordError::Shape { pk: pk.clone() })?;
        Ok(if found.as_deref() == Some(row) { RowWrite::Done } else { RowWrite::Lost(found) })
    }

    /// A row lives for so long after its last write.
    fn with_ttl(&self, row: &LedgerRow) -> LedgerRow {
        LedgerRow { expires_at: self.mails.expiry(row.updated_at), ..row.clone() }
    }
}

/// An update expression that makes an item equal to a row. `#state` and the like name attributes that are reserved
/// words or appear in the condition.
struct RowUpdate {
    expression: String,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl RowUpdate {
    fn from_row(row: &LedgerRow) -> Option<Self> {
        let attributes: HashMap<String, AttributeValue> = serde_dynamo::to_item(row).ok()?;
        let absent: Vec<&str> = OPTIONAL.into_iter().filter(|name| !attributes.contains_key(*name)).collect();
        let mut set: Vec<String> = attributes.keys().map(|name| format!("#{name} = :{name}")).collect();
        set.sort();
        let mut expression = format!("SET {}", set.join(", "));
        if !absent.is_empty() {
            let removed: Vec<String> = absent.iter().map(|name| format!("#{name}")).collect();
            expression.push_str(&format!(" REMOVE {}", removed.join(", ")));
        }
        let names = attributes
            .keys()
            .map(String::as_str)
            .chain(absent)
            .map(|name| (format!("#{name}"), name.to_owned()))
            .collect();
        let values = attributes.into_iter().map(|(name, value)| (format!(":{name}"), value)).collect();
        Some(Self { expression, names, values })
    }
}

fn null() -> AttributeValue {
    AttributeValue::Null(true)
}

#[cfg(test)]
mod tests {
    use shared::id::ProviderId;

    use super::*;
    use crate::ledger::unparsed_row;
    use crate::rejection::{RejectionCode, RejectionReason};

    #[test]
    fn a_write_sets_what_the_row_has_and_removes_what_it_lacks() {
        let provider_id = ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let (tenant_id, mail_id) = (TenantId::parse("acme").unwrap(), MailId::parse("m").unwrap());
        let now = Timestamp::UNIX_EPOCH;
        let code = RejectionCode::new(RejectionReason::Invalid, "to");
        let row = unparsed_row(tenant_id, provider_id, mail_id, code, now, now);
        let update = RowUpdate::from_row(&row).unwrap();
        assert_eq!(
            update.expression,
            "SET #attempts = :attempts, #digest = :digest, #expires_at = :expires_at, #first_seen = :first_seen, \
             #listing = :listing, #mail_id = :mail_id, #provider_id = :provider_id, #reason = :reason, #state = :state, \
             #takeovers = :takeovers, #tenant_id = :tenant_id, #updated_at = :updated_at \
             REMOVE #owner, #lease_until, #ses_message_id, #eta"
        );
        for name in ["#state", "#attempts", "#takeovers"] {
            assert!(update.names.contains_key(name), "the condition uses {name}");
        }
        assert_eq!(update.values[":state"], AttributeValue::S("rejected".to_owned()));
        let item =
            update.values.into_iter().map(|(name, value)| (name[1..].to_owned(), value)).collect::<HashMap<_, _>>();
        assert_eq!(serde_dynamo::from_item::<_, LedgerRow>(item).unwrap(), row);
    }
}
