//! Rows in DynamoDB.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use jiff::Timestamp;
use shared::id::{MailId, TenantId};
use shared::record::{LedgerRow, Mails, RecordError, mail_pk};

use super::{Claimant, claimed_row, waiting_row};

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
        let waiting = waiting_row(&claimed_row(claimant, 0, 0, now), reason, eta, now);
        if let RowWrite::Lost(Some(found)) = self.write(&waiting, None).await?
            && found.state == waiting.state
            && found.digest == waiting.digest
        {
            // How often it was claimed is not this write's to say.
            let again = LedgerRow { attempts: found.attempts, takeovers: found.takeovers, ..waiting };
            self.write(&again, Some(&found)).await?;
        }
        Ok(())
    }

    /// Replaces the row `was` by `row`. Repeating it is harmless: if the response to a write is lost, the SDK's retry finds
    /// the row that it wrote, and that counts as done.
    pub(crate) async fn write(&self, row: &LedgerRow, was: Option<&LedgerRow>) -> Result<RowWrite, RecordError> {
        let row = &self.with_ttl(row);
        let pk = mail_pk(&row.tenant_id, &row.mail_id);
        let request = self
            .mails
            .put_row(row, was)?
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        // Boxed, so that the futures around it stay small: each of them is moved when it is awaited.
        let error = match Box::pin(request.send()).await {
            Ok(_) => return Ok(RowWrite::Done),
            Err(error) => error,
        };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(RecordError::dynamodb("PutItem", pk)(error));
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
