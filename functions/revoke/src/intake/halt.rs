//! The fleet-wide stop, and what operators are told of it.

use shared::record::{HaltItem, RecordError};
use shared::telemetry::{Event, HaltEvent, chain};

use super::Intake;

impl Intake {
    /// Writes the halt item, and tells operators. The event is put once: whether all sending is stopped stands in the item.
    ///
    /// # Errors
    /// DynamoDB did not answer: the item may or may not have been written.
    pub(super) async fn change_halt(&self, halt: &HaltItem) -> Result<(), RecordError> {
        self.providers.set_halt(halt, &self.ambient).await?;
        tracing::warn!(halted = halt.halted, changed_by = halt.changed_by, reason = halt.reason, "halt item changed");
        let event = HaltEvent {
            reason: halt.reason.clone(),
            changed_by: halt.changed_by.clone(),
            order_id: halt.order_id.clone(),
        };
        let event = if halt.halted { Event::SendingHalted(event) } else { Event::SendingResumed(event) };
        if let Err(error) = self.bus.put(&event, self.ambient.now()).await {
            tracing::error!(
                halted = halt.halted,
                error = chain(&error),
                "operators not told of a change of the halt item"
            );
        }
        Ok(())
    }
}
