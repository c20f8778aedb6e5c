//! What became of the messages of a batch.

/// What became of a message that is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// SES accepted the mail.
    Sent,
    /// The ledger already had the mail's final state.
    Settled,
    /// It will never be sent.
    Rejected,
    /// It was not sent in time.
    Expired,
    /// SES may or may not have accepted it.
    InDoubt,
    /// A copy of it is in the queue.
    Requeued,
    /// It is parked until it may go out.
    Parked,
}

/// The counts in a batch's log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// All messages.
    pub(crate) mails: u32,
    /// Accepted by SES.
    pub(crate) sent: u32,
    /// Settled before.
    pub(crate) settled: u32,
    /// Rejected.
    pub(crate) rejected: u32,
    /// Expired.
    pub(crate) expired: u32,
    /// In doubt.
    pub(crate) in_doubt: u32,
    /// Requeued.
    pub(crate) requeued: u32,
    /// Parked.
    pub(crate) parked: u32,
    /// Not acknowledged: SQS delivers them again.
    pub(crate) failed: u32,
}

impl Tally {
    /// Counts a message; `None` counts as failed.
    pub(crate) fn count(&mut self, disposition: Option<Disposition>) {
        self.mails += 1;
        *match disposition {
            Some(Disposition::Sent) => &mut self.sent,
            Some(Disposition::Settled) => &mut self.settled,
            Some(Disposition::Rejected) => &mut self.rejected,
            Some(Disposition::Expired) => &mut self.expired,
            Some(Disposition::InDoubt) => &mut self.in_doubt,
            Some(Disposition::Requeued) => &mut self.requeued,
            Some(Disposition::Parked) => &mut self.parked,
            None => &mut self.failed,
        } += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_counted_once() {
        let mut tally = Tally::default();
        let dispositions = [
            Disposition::Sent,
            Disposition::Settled,
            Disposition::Rejected,
            Disposition::Expired,
            Disposition::InDoubt,
            Disposition::Requeued,
            Disposition::Parked,
        ];
        dispositions.into_iter().map(Some).chain([None]).for_each(|disposition| tally.count(disposition));
        let Tally { mails, sent, settled, rejected, expired, in_doubt, requeued, parked, failed } = tally;
        assert_eq!(mails, 8);
        assert_eq!([sent, settled, rejected, expired, in_doubt, requeued, parked, failed], [1; 8]);
    }
}
