//! What deliveries share: the services of a process, the invocation and the state of a batch.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use lambda_runtime::Context;
use shared::custody::{Custody, Lane};
use shared::id::ProviderId;
use shared::queue::{Deadline, Queue};
use shared::record::{Mails, Providers, Secrets};
use shared::runtime::{Ambient, ColdStart, MissingVariable};
use shared::telemetry::Bus;
use shared::tenant::Clients;
use tokio::sync::Mutex;

use crate::delay::Delay;
use crate::denied_resource::DeniedResources;
use crate::files::Files;
use crate::ledger::Ledger;
use crate::opened_secrets::OpenedSecrets;
use crate::parking::Parking;
use crate::preparation::Preparation;
use crate::put_backs::PutBacks;
use crate::rate::Rates;
use crate::rotation::Rotations;
use crate::sent_mails::SentMails;
use crate::snapshot::{SnapshotTables, Snapshots};
use crate::suspicion::Suspicions;

/// What a cold start builds once.
pub(crate) struct Services {
    /// Clock and randomness.
    pub(crate) ambient: Ambient,
    /// Halt, providers and sealed secrets.
    pub(crate) tables: SnapshotTables,
    /// Secrets that this process has opened.
    pub(crate) secrets: OpenedSecrets,
    /// The ledger.
    pub(crate) ledger: Ledger,
    /// The send rates of accounts.
    pub(crate) rates: Rates,
    /// How long mails need from their wake-up to their request.
    pub(crate) preparation: Preparation,
    /// How long a mail in doubt waits for its second attempt.
    pub(crate) doubt_delay: Delay,
    /// Keys that are being replaced.
    pub(crate) rotations: Rotations,
    /// What AWS holds against providers.
    pub(crate) suspicions: Suspicions,
    /// Identities and configuration sets that keys may not use.
    pub(crate) denied_resources: DeniedResources,
    /// Files of the stack's bucket.
    pub(crate) files: Files,
    /// Mail that waits for long.
    pub(crate) parking: Parking,
    /// Copies that go back to the send queue.
    pub(crate) put_backs: PutBacks,
    /// The queue that mail comes from and is requeued to.
    pub(crate) send_queue: Queue,
    /// The queue for mail that can never be sent.
    pub(crate) dead_letter_queue: Queue,
    /// Our event bus.
    pub(crate) bus: Bus,
    /// Whether operators are told of each mail that was sent.
    pub(crate) tells_of_sent_mail: bool,
    /// The clients of the tenants' accounts.
    pub(crate) tenants: Clients,
}

/// Which invocation it is and when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Lambda's id of the invocation, which is unique.
    pub request_id: String,
    /// When Lambda ends it.
    pub deadline: Deadline,
}

/// What the deliveries of a batch share.
pub(crate) struct BatchContext {
    /// The invocation's id.
    pub(crate) request_id: String,
    /// When Lambda ends the invocation.
    pub(crate) deadline: Deadline,
    /// Halt, providers and secrets as they were read last.
    pub(crate) snapshots: Snapshots,
    /// Providers that this batch has suspended or found suspended.
    pub(crate) suspended: Mutex<HashSet<ProviderId>>,
    /// Suspended providers that a mail of this batch has looked at.
    pub(crate) looked_at: Mutex<HashSet<ProviderId>>,
    /// The longest that a mail of the batch has slept until its start.
    pub(crate) waited_ms: AtomicU64,
    /// The mails that SES has accepted, if operators are told of them.
    pub(crate) sent_mails: SentMails,
}

impl Services {
    /// Builds the clients of our own account and of the tenants' with one connector.
    pub(crate) fn new(start: &ColdStart) -> Result<Self, MissingVariable> {
        let (dynamodb, sqs, environment) = (start.dynamodb()?, start.sqs()?, &start.environment);
        let mails = Mails::new(dynamodb.clone(), environment)?;
        let send_queue = Queue::new(sqs.clone(), start.required("SEND_QUEUE_URL")?, "send");
        Ok(Self {
            ambient: start.ambient,
            tables: SnapshotTables::new(
                Providers::new(dynamodb.clone(), environment)?,
                Secrets::new(dynamodb, environment)?,
            ),
            secrets: OpenedSecrets::new(Custody::new(start.kms()?, environment, Lane::Send)?),
            ledger: Ledger::new(mails.clone()),
            rates: Rates::new(mails.clone()),
            preparation: Preparation::default(),
            doubt_delay: environment
                .optional("DOUBT_DELAY_S")
                .and_then(|seconds| seconds.parse().ok())
                .map_or(Delay::DOUBT, Delay::from_seconds),
            rotations: Rotations::default(),
            suspicions: Suspicions::new(mails.clone()),
            files: Files::new(start)?,
            denied_resources: DeniedResources::new(mails.clone()),
            parking: Parking::new(mails),
            put_backs: PutBacks::new(send_queue.clone()),
            send_queue,
            dead_letter_queue: Queue::new(sqs, start.required("SEND_DEAD_LETTER_QUEUE_URL")?, "send dead-letter"),
            bus: start.bus("sendingbee.send")?,
            tells_of_sent_mail: environment.optional("MAIL_SENT_EVENTS") == Some("on"),
            tenants: Clients::new(environment, &start.http),
        })
    }
}

impl BatchContext {
    /// The context of a batch whose mails name these providers.
    pub(crate) fn new(
        services: &Services,
        request_id: String,
        deadline: Deadline,
        provider_ids: HashSet<ProviderId>,
    ) -> Self {
        Self {
            request_id,
            deadline,
            snapshots: Snapshots::new(services.tables.clone(), provider_ids),
            suspended: Mutex::default(),
            looked_at: Mutex::default(),
            waited_ms: AtomicU64::new(0),
            sent_mails: SentMails::new(services.tells_of_sent_mail),
        }
    }

    /// How long a delivery may still run, so that the response gets out in time.
    pub(crate) fn remaining(&self, ambient: &Ambient) -> Duration {
        self.deadline.remaining(ambient.now())
    }
}

impl Invocation {
    /// The invocation as Lambda describes it.
    pub(crate) fn from_context(context: &Context) -> Self {
        Self { request_id: context.request_id.clone(), deadline: Deadline::from_millis(context.deadline) }
    }
}
