//! What halt, providers and sealed secrets say right now.
//!
//! A stop is a write to these items, so no request to SES begins on a read that began more than [`FRESH`] ago: after any
//! wait the batch reads again, once for all its mails.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use shared::custody::{Lane, Sealed};
use shared::id::{AccessKeyId, ProviderId};
use shared::record::{HALT_PK, HALT_SK, Halt, Item, Provider, Providers, RecordError, Secrets, StatusName};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::mail::Mail;

/// How old a read may be when a request to SES begins, from the beginning of its first part.
pub(crate) const FRESH: Duration = Duration::from_millis(500);

/// How often a read is begun anew because it took longer than it may be old.
const MOST_READS: u32 = 3;

/// How often keys that DynamoDB left over are asked for again, and how long to wait the first time.
const MOST_ROUNDS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Nobody can say whether mail may go out, so none does.
#[derive(Debug, Error)]
pub(crate) enum SnapshotError {
    /// DynamoDB did not answer.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// DynamoDB left keys over again and again.
    #[error("BatchGetItem of {table} left keys over")]
    Unprocessed {
        /// The table.
        table: String,
    },
    /// Every read took longer than it may be old.
    #[error("reads of halt and providers take too long")]
    Slow,
}

/// One consistent read.
pub(crate) struct Snapshot {
    begun: Instant,
    halt: Halt,
    /// A provider whose item cannot be read is `None`: it is there, and it does not say that it may send.
    providers: HashMap<ProviderId, Option<Arc<Provider>>>,
    sealed: HashMap<AccessKeyId, Sealed>,
}

/// Whether a mail may go out.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// It may.
    Good(Arc<Provider>),
    /// Its provider is active, and has no secret: halves of two writes were read.
    Torn,
    /// There is no such provider.
    Unknown,
    /// The provider is another tenant's.
    Foreign,
    /// All sending is stopped.
    Halted,
    /// The provider is suspended.
    Suspended,
    /// The provider was stopped for good.
    Stopped,
    /// The provider's item cannot be read.
    Unreadable,
}

impl Snapshot {
    /// Whether a request to SES may begin on it.
    pub(crate) fn is_fresh(&self) -> bool {
        self.begun.elapsed() < FRESH
    }

    /// Whether the mail may go out. Whose it is comes first: nothing of another tenant's provider is told or touched.
    pub(crate) fn standing(&self, mail: &Mail) -> Standing {
        let provider = match self.providers.get(&mail.provider_id) {
            None => return Standing::Unknown,
            Some(None) => return Standing::Unreadable,
            Some(Some(provider)) => provider,
        };
        if provider.tenant_id != mail.tenant_id {
            return Standing::Foreign;
        }
        if self.halt == Halt::Halted {
            return Standing::Halted;
        }
        match provider.status.status {
            StatusName::Active if self.sealed.contains_key(&provider.access_key_id) => {
                Standing::Good(Arc::clone(provider))
            }
            StatusName::Active => Standing::Torn,
            StatusName::Suspended => Standing::Suspended,
            StatusName::Reported | StatusName::Revoking | StatusName::Revoked | StatusName::RevocationBlocked => {
                Standing::Stopped
            }
        }
    }

    /// The provider of this id, if it could be read.
    pub(crate) fn provider(&self, provider_id: &ProviderId) -> Option<&Arc<Provider>> {
        self.providers.get(provider_id)?.as_ref()
    }

    /// The sealed secret of a provider's key.
    pub(crate) fn sealed(&self, provider: &Provider) -> Option<&Sealed> {
        self.sealed.get(&provider.access_key_id)
    }
}

/// The tables that snapshots are read from.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    /// Halt and providers.
    pub(crate) providers: Providers,
    /// Sealed secrets.
    pub(crate) secrets: Secrets,
}

/// A batch's view of the records it needs.
pub(crate) struct View {
    records: Records,
    wanted: HashSet<ProviderId>,
    current: Mutex<Option<Arc<Snapshot>>>,
}

impl View {
    /// A view of halt and these providers. Nothing is read yet. A batch has at most 49 of them: one request takes 100
    /// keys (DynamoDB API, `BatchGetItem`).
    pub(crate) fn new(records: Records, wanted: HashSet<ProviderId>) -> Self {
        Self { records, wanted, current: Mutex::new(None) }
    }

    /// A fresh snapshot: the one there is, or a new one. Mails that ask while it is being read get the same.
    pub(crate) async fn fresh(&self) -> Result<Arc<Snapshot>, SnapshotError> {
        let mut current = self.current.lock().await;
        if let Some(snapshot) = current.as_ref().filter(|snapshot| snapshot.is_fresh()) {
            return Ok(Arc::clone(snapshot));
        }
        self.renew(&mut current).await
    }

    /// A snapshot that began after `older`.
    pub(crate) async fn newer(&self, older: &Snapshot) -> Result<Arc<Snapshot>, SnapshotError> {
        let mut current = self.current.lock().await;
        if let Some(snapshot) = current.as_ref().filter(|snapshot| snapshot.begun > older.begun && snapshot.is_fresh())
        {
            return Ok(Arc::clone(snapshot));
        }
        self.renew(&mut current).await
    }

    async fn renew(&self, current: &mut Option<Arc<Snapshot>>) -> Result<Arc<Snapshot>, SnapshotError> {
        for _ in 0..MOST_READS {
            let known = current.as_ref().map(|snapshot| snapshot.keys()).unwrap_or_default();
            let snapshot = Arc::new(self.records.read(&self.wanted, known).await?);
            *current = Some(Arc::clone(&snapshot));
            if snapshot.is_fresh() {
                return Ok(snapshot);
            }
        }
        Err(SnapshotError::Slow)
    }
}

impl Snapshot {
    fn keys(&self) -> HashSet<AccessKeyId> {
        self.providers.values().flatten().map(|provider| provider.access_key_id.clone()).collect()
    }
}

impl Records {
    /// Reads halt and providers, and beside them the secrets of `known` keys; then the secrets of keys that turned out
    /// to be others. A mail names its provider and not the key, so the first read of a batch takes both steps.
    ///
    /// One request a table and not one for both: the role's condition on leading keys is for the one table alone.
    async fn read(&self, wanted: &HashSet<ProviderId>, known: HashSet<AccessKeyId>) -> Result<Snapshot, SnapshotError> {
        let begun = Instant::now();
        let (items, mut sealed) = tokio::try_join!(self.items(wanted), self.secrets(&known))?;
        let (halt, providers) = sorted(items, wanted);
        let keys: HashSet<AccessKeyId> = providers
            .values()
            .flatten()
            .filter(|provider| provider.status.status == StatusName::Active)
            .map(|provider| provider.access_key_id.clone())
            .filter(|key| !known.contains(key))
            .collect();
        sealed.extend(self.secrets(&keys).await?);
        Ok(Snapshot { begun, halt, providers, sealed })
    }

    async fn items(&self, wanted: &HashSet<ProviderId>) -> Result<Vec<Item>, SnapshotError> {
        let key = |pk: String, sk: &str| {
            Item::from([("pk".to_owned(), AttributeValue::S(pk)), ("sk".to_owned(), AttributeValue::S(sk.to_owned()))])
        };
        let mut keys = vec![key(HALT_PK.to_owned(), HALT_SK)];
        keys.extend(wanted.iter().map(|provider_id| key(Provider::pk(provider_id), Provider::SK)));
        batch_get(&self.providers.client, &self.providers.table, keys).await
    }

    async fn secrets(&self, keys: &HashSet<AccessKeyId>) -> Result<HashMap<AccessKeyId, Sealed>, SnapshotError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let asked = keys.iter().map(|key| Secrets::key(key, Lane::Send)).collect();
        let items = batch_get(&self.secrets.client, &self.secrets.table, asked).await?;
        Ok(items
            .iter()
            .filter_map(|item| {
                let key = AccessKeyId::from_pasted(item.get("access_key_id")?.as_s().ok()?).ok()?;
                Some((key, Secrets::sealed(item)?))
            })
            .collect())
    }
}

/// Tells the halt item from providers. One whose item is there and cannot be read is `None`.
fn sorted(items: Vec<Item>, wanted: &HashSet<ProviderId>) -> (Halt, HashMap<ProviderId, Option<Arc<Provider>>>) {
    let mut by_pk: HashMap<String, Item> =
        items.into_iter().filter_map(|item| Some((item.get("pk")?.as_s().ok()?.clone(), item))).collect();
    let halt = Halt::from_item(by_pk.get(HALT_PK));
    let providers = wanted
        .iter()
        .filter_map(|provider_id| {
            let item = by_pk.remove(&Provider::pk(provider_id))?;
            Some((provider_id.clone(), Provider::from_item(item).ok().map(Arc::new)))
        })
        .collect();
    (halt, providers)
}

/// All of these items that exist, read consistently.
async fn batch_get(client: &Client, table: &str, keys: Vec<Item>) -> Result<Vec<Item>, SnapshotError> {
    let request = KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .consistent_read(true)
        .build()
        .map_err(RecordError::dynamodb("build BatchGetItem", table))?;
    let mut left = HashMap::from([(table.to_owned(), request)]);
    let mut items = Vec::new();
    for round in 0..MOST_ROUNDS {
        if round > 0 {
            sleep(FIRST_PAUSE * 2_u32.pow(round - 1)).await;
        }
        let answer = client
            .batch_get_item()
            .set_request_items(Some(left))
            .send()
            .await
            .map_err(RecordError::dynamodb("BatchGetItem", table))?;
        items.extend(answer.responses.unwrap_or_default().into_values().flatten());
        left = answer.unprocessed_keys.unwrap_or_default();
        if left.is_empty() {
            return Ok(items);
        }
    }
    Err(SnapshotError::Unprocessed { table: table.to_owned() })
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;
    use shared::record::Status;

    use super::*;
    use crate::mail::tests::{sample, sample_with};

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

    fn snapshot(halt: Halt, status: Status, with_secret: bool) -> Snapshot {
        let provider = provider(status);
        let sealed = with_secret.then(|| (provider.access_key_id.clone(), Sealed::new(vec![1])));
        Snapshot {
            begun: Instant::now(),
            halt,
            providers: HashMap::from([(provider.provider_id.clone(), Some(Arc::new(provider)))]),
            sealed: sealed.into_iter().collect(),
        }
    }

    #[test]
    fn only_an_active_provider_with_its_secret_sends_and_only_while_nothing_is_halted() {
        let name = |standing| match standing {
            Standing::Good(_) => "good",
            Standing::Torn => "torn",
            Standing::Halted => "halted",
            Standing::Suspended => "suspended",
            Standing::Stopped => "stopped",
            Standing::Unknown | Standing::Foreign | Standing::Unreadable => "other",
        };
        let cases = [
            (Halt::Open, StatusName::Active, true, "good"),
            (Halt::Open, StatusName::Active, false, "torn"),
            (Halt::Halted, StatusName::Active, true, "halted"),
            (Halt::Open, StatusName::Suspended, true, "suspended"),
            (Halt::Open, StatusName::Reported, true, "stopped"),
            (Halt::Open, StatusName::Revoking, true, "stopped"),
            (Halt::Open, StatusName::Revoked, true, "stopped"),
            (Halt::Open, StatusName::RevocationBlocked, true, "stopped"),
        ];
        for (halt, status, with_secret, expected) in cases {
            let snapshot = snapshot(halt, Status::plain(status), with_secret);
            assert_eq!(name(snapshot.standing(&sample())), expected, "{status:?}");
        }
    }

    #[test]
    fn another_tenants_provider_tells_nothing() {
        let snapshot = snapshot(Halt::Halted, Status::plain(StatusName::Revoked), true);
        let foreign = sample_with(json!({"tenant_id": "mallory"}));
        assert!(matches!(snapshot.standing(&foreign), Standing::Foreign));
        let unknown = sample_with(json!({"provider_id": "prv_01BX5ZZKBKACTAV9WEVGEMMVRZ"}));
        assert!(matches!(snapshot.standing(&unknown), Standing::Unknown));
    }

    #[test]
    fn an_item_that_cannot_be_read_is_not_a_missing_one() {
        let wanted = HashSet::from([sample().provider_id]);
        let pk = AttributeValue::S(Provider::pk(&sample().provider_id));
        let (halt, providers) = sorted(vec![Item::from([("pk".to_owned(), pk)])], &wanted);
        assert_eq!(halt, Halt::Halted);
        assert_eq!(providers.get(&sample().provider_id), Some(&None));
        let (_, providers) = sorted(Vec::new(), &wanted);
        assert!(providers.is_empty());
    }
}
