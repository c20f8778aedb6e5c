//! What became of a batch's mails.

/// What became of a message that is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// SES took the mail.
    Sent,
    /// Its fate was known already.
    Settled,
    /// It will never be sent.
    Rejected,
    /// It was not sent in time.
    Expired,
    /// Nobody can say whether SES took it.
    InDoubt,
    /// A copy of it is in the queue.
    PutBack,
}

/// The counts of a batch's line in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Messages.
    pub(crate) mails: u32,
    /// Taken by SES.
    pub(crate) sent: u32,
    /// Known before.
    pub(crate) settled: u32,
    /// Rejected.
    pub(crate) rejected: u32,
    /// Expired.
    pub(crate) expired: u32,
    /// In doubt.
    pub(crate) in_doubt: u32,
    /// Put back into the queue.
    pub(crate) requeued: u32,
    /// Not acknowledged.
    pub(crate) failed: u32,
}

impl Tally {
    /// Counts a message; without a fate it failed.
    pub(crate) fn count(&mut self, fate: Option<Fate>) {
        self.mails += 1;
        *match fate {
            Some(Fate::Sent) => &mut self.sent,
            Some(Fate::Settled) => &mut self.settled,
            Some(Fate::Rejected) => &mut self.rejected,
            Some(Fate::Expired) => &mut self.expired,
            Some(Fate::InDoubt) => &mut self.in_doubt,
            Some(Fate::PutBack) => &mut self.requeued,
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
        let fates = [Fate::Sent, Fate::Settled, Fate::Rejected, Fate::Expired, Fate::InDoubt, Fate::PutBack];
        fates.into_iter().map(Some).chain([None]).for_each(|fate| tally.count(fate));
        let Tally { mails, sent, settled, rejected, expired, in_doubt, requeued, failed } = tally;
        assert_eq!(mails, 7);
        assert_eq!([sent, settled, rejected, expired, in_doubt, requeued, failed], [1; 7]);
    }
}
