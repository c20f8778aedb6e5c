//! Halt, providers and sealed secrets as they are now.
//!
//! A stop is a write to these items, so no request to SES is written on an old read: after any wait the batch reads again,
//! once for all its mails, and the request itself asks once more when it has its connection ([`Snapshot::is_fresh`]).
//!
//! How old is old? A read's age counts from its beginning, because a stop may be committed right after DynamoDB has looked.
//! A read is good for [`MAX_AGE`]. One that itself took almost as long or longer, because the tables are slow, would never
//! be good for anything, and all mail would wait for the tables: it is good for [`USE_WITHIN`] after its end, which is only
//! enough for what waits for it, and never for longer than [`MAX_AGE_OF_SLOW_READ`] from its beginning: the promise is that
//! sending stops within a second of the order. A read slower than that is good for nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use shared::custody::{Lane, Sealed};
use shared::id::{AccessKeyId, ProviderId};
use shared::record::{HALT_PK, HALT_SK, Halt, Item, Provider, Providers, RecordError, Secrets, StatusName};
use thiserror::Error;
use tokio::sync;
use tokio::time::Instant;

use shared::mail::Mail;

/// How old a read may be when a request to SES is written.
const MAX_AGE: Duration = Duration::from_millis(500);

/// How long after its end a slow read may be used.
const USE_WITHIN: Duration = Duration::from_millis(100);

/// How old a slow read may be when a request to SES is written.
const MAX_AGE_OF_SLOW_READ: Duration = Duration::from_secs(1);

/// How often a read is started because the one before was too slow. The first read of a provider takes two steps and the
/// others one, so tables may need up to almost a second for a call.
const MAX_READS: u32 = 3;

/// The most providers whose keys a process remembers. They only save a step, so all may be forgotten at once.
const MAX_KNOWN: usize = 4_096;

/// It is unknown whether mail may go out, so none does.
#[derive(Debug, Error)]
pub(crate) enum SnapshotError {
    /// DynamoDB did not answer.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Every read took longer than [`MAX_AGE_OF_SLOW_READ`].
    #[error("reads of halt and providers take too long")]
    Slow,
}

/// One consistent read.
pub(crate) struct Snapshot {
    begun: Instant,
    /// Until when a request may be written on it.
    good_until: Instant,
    halt: Halt,
    /// A provider whose item cannot be read is `None`: it exists, and nothing says that it may send.
    providers: HashMap<ProviderId, Option<Arc<Provider>>>,
    sealed: HashMap<AccessKeyId, Sealed>,
}

/// Whether a mail may go out.
#[derive(Clone, Debug)]
pub(crate) enum Eligibility {
    /// It may.
    Eligible(Arc<Provider>),
    /// Its provider is active and has no secret: the read may have fallen between two writes.
    SecretMissing,
    /// There is no such provider.
    ProviderUnknown,
    /// The provider belongs to another tenant.
    TenantMismatch,
    /// All sending is stopped.
    Halted,
    /// The provider is suspended.
    Suspended(Arc<Provider>),
    /// The operator holds the provider, or a hold or suspension of it has just ended: the mail is looked at again then.
    Held(Timestamp, Arc<Provider>),
    /// The provider was stopped for good.
    Stopped,
    /// The provider's item cannot be read.
    ProviderUnreadable,
}

impl Snapshot {
    /// Whether a request to SES may be written on this read.
    pub(crate) fn is_fresh(&self) -> bool {
        Instant::now() < self.good_until
    }

    /// Whether the mail may go out. The tenant is checked first, so that nothing about another tenant's provider is
    /// revealed or changed.
    pub(crate) fn eligibility(&self, mail: &Mail, now: Timestamp) -> Eligibility {
        self.eligibility_with(mail, &mail.provider_id, now)
    }

    /// Whether the mail may go out through this provider.
    pub(crate) fn eligibility_with(&self, mail: &Mail, provider_id: &ProviderId, now: Timestamp) -> Eligibility {
        let provider = match self.providers.get(provider_id) {
            None => return Eligibility::ProviderUnknown,
            Some(None) => return Eligibility::ProviderUnreadable,
            Some(Some(provider)) => provider,
        };
        if provider.tenant_id != mail.tenant_id {
            return Eligibility::TenantMismatch;
        }
        if self.halt == Halt::Halted {
            return Eligibility::Halted;
        }
        let held_until = provider.waits_until(mail.first_seen, now);
        match (provider.status.status, held_until) {
            (StatusName::Active, Some(until)) => Eligibility::Held(until, Arc::clone(provider)),
            (StatusName::Active, None)
                if provider.keys_in_use().into_iter().any(|key| self.sealed.contains_key(key)) =>
            {
                Eligibility::Eligible(Arc::clone(provider))
            }
            (StatusName::Active, None) => Eligibility::SecretMissing,
            (StatusName::Suspended, _) => Eligibility::Suspended(Arc::clone(provider)),
            (
                StatusName::UnknownKey
                | StatusName::Revoking
                | StatusName::Revoked
                | StatusName::RefusedUnproven
                | StatusName::RevocationBlocked,
                _,
            ) => Eligibility::Stopped,
        }
    }

    /// The provider of this id, if it could be read.
    pub(crate) fn provider(&self, provider_id: &ProviderId) -> Option<&Arc<Provider>> {
        self.providers.get(provider_id)?.as_ref()
    }

    /// The keys that may sign a mail of a provider now and whose secrets were read, the first one first: each as the provider
    /// that sends with it. `is_refused`: the new key of its rotation was refused a moment ago.
    pub(crate) fn signers(&self, provider: &Arc<Provider>, is_refused: bool, now: Timestamp) -> Vec<Arc<Provider>> {
        let order = provider.signing_order(is_refused, now);
        let mut keys: Vec<_> = [Some(order.first), order.fallback]
            .into_iter()
            .flatten()
            .filter(|key| self.sealed.contains_key(key))
            .collect();
        if keys.is_empty() {
            // The secret of the one whose turn it is may be missing, and the other's not.
            keys = provider.keys_in_use();
            keys.retain(|key| self.sealed.contains_key(key));
        }
        keys.into_iter()
            .map(|key| match *key == provider.access_key_id {
                true => Arc::clone(provider),
                false => Arc::new(Provider { access_key_id: key.clone(), ..Provider::clone(provider) }),
            })
            .collect()
    }

    /// Whether a request that this key has signed may still go out for a provider.
    pub(crate) fn may_sign(&self, provider: &Provider, access_key_id: &AccessKeyId) -> bool {
        provider.keys_in_use().contains(&access_key_id) && self.sealed.contains_key(access_key_id)
    }

    /// Whether all sending is stopped.
    pub(crate) fn is_halted(&self) -> bool {
        self.halt == Halt::Halted
    }

    /// The sealed secret of a provider's key.
    pub(crate) fn sealed(&self, provider: &Provider) -> Option<&Sealed> {
        self.sealed.get(&provider.access_key_id)
    }
}

/// The tables that snapshots are read from.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotTables {
    /// Halt and providers.
    pub(crate) providers: Providers,
    /// Sealed secrets.
    secrets: Secrets,
    known_keys: Arc<KnownKeys>,
}

/// The keys that providers had when this process read them last: which secrets to ask for before their providers are read.
/// What was known wrongly costs a second request and nothing else, because a secret is used only for a provider that was
/// read with its key.
#[derive(Debug, Default)]
struct KnownKeys(Mutex<HashMap<ProviderId, Vec<AccessKeyId>>>);

/// The snapshots of a batch.
pub(crate) struct Snapshots {
    tables: SnapshotTables,
    provider_ids: HashSet<ProviderId>,
    current: sync::Mutex<Option<Arc<Snapshot>>>,
}

impl Snapshots {
    /// Snapshots of halt and these providers. Nothing is read yet. A batch has at most 49 providers: one request takes 100
    /// keys (DynamoDB API, `BatchGetItem`). That of the Providers table has the halt item and the providers, 50; that of the
    /// Secrets table has two secrets of each provider at most, those of both keys of a rotation, 98.
    pub(crate) fn new(tables: SnapshotTables, provider_ids: HashSet<ProviderId>) -> Self {
        Self { tables, provider_ids, current: sync::Mutex::new(None) }
    }

    /// A fresh snapshot: the current one, or a new one. Mails that need one while it is being read get the same.
    pub(crate) async fn fresh(&self) -> Result<Arc<Snapshot>, SnapshotError> {
        let mut current = self.current.lock().await;
        if let Some(snapshot) = current.as_ref().filter(|snapshot| snapshot.is_fresh()) {
            return Ok(Arc::clone(snapshot));
        }
        self.read_again(&mut current).await
    }

    /// A fresh snapshot that began after `older`.
    pub(crate) async fn newer_than(&self, older: &Snapshot) -> Result<Arc<Snapshot>, SnapshotError> {
        let mut current = self.current.lock().await;
        if let Some(snapshot) = current.as_ref().filter(|snapshot| snapshot.begun > older.begun && snapshot.is_fresh())
        {
            return Ok(Arc::clone(snapshot));
        }
        self.read_again(&mut current).await
    }

    async fn read_again(&self, current: &mut Option<Arc<Snapshot>>) -> Result<Arc<Snapshot>, SnapshotError> {
        for _ in 0..MAX_READS {
            let snapshot = Arc::new(self.tables.read(&self.provider_ids).await?);
            *current = Some(Arc::clone(&snapshot));
            if snapshot.is_fresh() {
                return Ok(snapshot);
            }
        }
        Err(SnapshotError::Slow)
    }
}

impl KnownKeys {
    fn of(&self, provider_ids: &HashSet<ProviderId>) -> HashSet<AccessKeyId> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        provider_ids.iter().filter_map(|provider_id| known.get(provider_id)).flatten().cloned().collect()
    }

    fn learn(&self, read: &HashMap<ProviderId, Option<Arc<Provider>>>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        for (provider_id, provider) in read {
            let keys = provider.as_ref().map(|provider| provider.keys_in_use()).unwrap_or_default();
            if !known.get(provider_id).is_some_and(|known| known.iter().eq(keys.iter().copied())) {
                known.insert(provider_id.clone(), keys.into_iter().cloned().collect());
            }
        }
    }
}

impl SnapshotTables {
    /// The tables, of whose contents nothing is known.
    pub(crate) fn new(providers: Providers, secrets: Secrets) -> Self {
        Self { providers, secrets, known_keys: Arc::default() }
    }

    /// Reads halt and providers, and at the same time the secrets of the keys that these are known to have; then the secrets
    /// of providers that have other keys. A mail names its provider and not the key, so the first read of a provider in a
    /// process takes both steps.
    ///
    /// One request for each table and not one for both: the role's condition on leading keys applies to one table only.
    pub(crate) async fn read(&self, provider_ids: &HashSet<ProviderId>) -> Result<Snapshot, SnapshotError> {
        let begun = Instant::now();
        let known_keys = self.known_keys.of(provider_ids);
        let (items, mut sealed) =
            tokio::try_join!(self.provider_items(provider_ids), self.sealed_secrets(&known_keys))?;
        let (halt, providers) = read_items(items, provider_ids);
        self.known_keys.learn(&providers);
        let other_keys: HashSet<AccessKeyId> = providers
            .values()
            .flatten()
            // A suspended provider's secret is for the look whether its suspension is over.
            .filter(|provider| matches!(provider.status.status, StatusName::Active | StatusName::Suspended))
            .flat_map(|provider| provider.keys_in_use())
            .filter(|key| !known_keys.contains(*key))
            .cloned()
            .collect();
        sealed.extend(self.sealed_secrets(&other_keys).await?);
        Ok(Snapshot { begun, good_until: begun + max_age(begun.elapsed()), halt, providers, sealed })
    }

    async fn provider_items(&self, provider_ids: &HashSet<ProviderId>) -> Result<Vec<Item>, RecordError> {
        let key = |pk: String, sk: &str| {
            Item::from([("pk".to_owned(), AttributeValue::S(pk)), ("sk".to_owned(), AttributeValue::S(sk.to_owned()))])
        };
        let mut keys = vec![key(HALT_PK.to_owned(), HALT_SK)];
        keys.extend(provider_ids.iter().map(|provider_id| key(Provider::pk(provider_id), Provider::SK)));
        self.providers.batch_get_without_reports(keys).await
    }

    async fn sealed_secrets(&self, keys: &HashSet<AccessKeyId>) -> Result<HashMap<AccessKeyId, Sealed>, RecordError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let items = self.secrets.batch_get(keys.iter().map(|key| Secrets::key(key, Lane::Send)).collect()).await?;
        Ok(items
            .iter()
            .filter_map(|item| Some((Secrets::access_key_id(item, Lane::Send)?, Secrets::sealed(item)?)))
            .collect())
    }
}

/// How old a read that took so long may get.
fn max_age(took: Duration) -> Duration {
    (took + USE_WITHIN).clamp(MAX_AGE, MAX_AGE_OF_SLOW_READ)
}

/// Reads the halt item and the providers. A provider whose item exists and cannot be read is `None`.
fn read_items(
    items: Vec<Item>,
    provider_ids: &HashSet<ProviderId>,
) -> (Halt, HashMap<ProviderId, Option<Arc<Provider>>>) {
    let mut by_pk: HashMap<String, Item> =
        items.into_iter().filter_map(|item| Some((item.get("pk")?.as_s().ok()?.clone(), item))).collect();
    let halt = Halt::from_item(by_pk.get(HALT_PK));
    let providers = provider_ids
        .iter()
        .filter_map(|provider_id| {
            let item = by_pk.remove(&Provider::pk(provider_id))?;
            Some((provider_id.clone(), Provider::from_item(item).ok().map(Arc::new)))
        })
        .collect();
    (halt, providers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::record::{Hold, Status};

    use super::*;
    use crate::fixtures::{provider, sample, sample_with, time};

    const NOW: &str = "2026-11-23T11:00:00Z";

    fn snapshot(halt: Halt, status: Status, with_secret: bool) -> Snapshot {
        let provider = provider(status);
        let sealed = with_secret.then(|| (provider.access_key_id.clone(), Sealed::new(vec![1])));
        Snapshot {
            begun: Instant::now(),
            good_until: Instant::now() + MAX_AGE,
            halt,
            providers: HashMap::from([(provider.provider_id.clone(), Some(Arc::new(provider)))]),
            sealed: sealed.into_iter().collect(),
        }
    }

    #[test]
    fn the_keys_that_a_provider_was_read_with_last_are_known() {
        let known = KnownKeys::default();
        let mut provider = provider(Status::plain(StatusName::Active));
        let (provider_id, first_key) = (provider.provider_id.clone(), provider.access_key_id.clone());
        let provider_ids = HashSet::from([provider_id.clone()]);
        let of = |known: &KnownKeys| known.of(&provider_ids).into_iter().collect::<Vec<_>>();
        assert_eq!(of(&known), []);
        known.learn(&HashMap::from([(provider_id.clone(), Some(Arc::new(provider.clone())))]));
        assert_eq!(of(&known), [first_key]);
        provider.access_key_id = AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUY").unwrap();
        known.learn(&HashMap::from([(provider_id.clone(), Some(Arc::new(provider.clone())))]));
        assert_eq!(of(&known), [provider.access_key_id]);
        known.learn(&HashMap::from([(provider_id, None)]));
        assert_eq!(of(&known), []);
        let others = HashSet::from([ProviderId::parse("prv_01BX5ZZKBKACTAV9WEVGEMMVRZ").unwrap()]);
        assert_eq!(known.of(&others), HashSet::new());
    }

    #[test]
    fn only_an_active_provider_with_its_secret_sends_and_only_while_nothing_is_halted() {
        let name = |eligibility| match eligibility {
            Eligibility::Eligible(_) => "good",
            Eligibility::SecretMissing => "torn",
            Eligibility::Halted => "halted",
            Eligibility::Suspended(_) => "suspended",
            Eligibility::Held(..) => "held",
            Eligibility::Stopped => "stopped",
            Eligibility::ProviderUnknown | Eligibility::TenantMismatch | Eligibility::ProviderUnreadable => "other",
        };
        let cases = [
            (Halt::Open, StatusName::Active, true, "good"),
            (Halt::Open, StatusName::Active, false, "torn"),
            (Halt::Halted, StatusName::Active, true, "halted"),
            (Halt::Open, StatusName::Suspended, true, "suspended"),
            (Halt::Open, StatusName::UnknownKey, true, "stopped"),
            (Halt::Open, StatusName::RefusedUnproven, true, "stopped"),
            (Halt::Open, StatusName::Revoking, true, "stopped"),
            (Halt::Open, StatusName::Revoked, true, "stopped"),
            (Halt::Open, StatusName::RevocationBlocked, true, "stopped"),
        ];
        for (halt, status, with_secret, expected) in cases {
            let snapshot = snapshot(halt, Status::plain(status), with_secret);
            assert_eq!(name(snapshot.eligibility(&sample(), time(NOW))), expected, "{status:?}");
        }
    }

    #[test]
    fn a_hold_keeps_an_active_provider_from_sending_and_no_other_state_from_anything() {
        let held = |status, with_secret, halt, lifted_at: Option<&str>| {
            let mut snapshot = snapshot(halt, Status::plain(status), with_secret);
            let mut provider = provider(Status::plain(status));
            provider.hold = Some(Hold {
                reason: "a complaint".to_owned(),
                held_by: "arn:aws:iam::111122223333:user/ops".to_owned(),
                held_at: time("2026-11-23T10:30:00Z"),
                lifted_at: lifted_at.map(time),
            });
            snapshot.providers = HashMap::from([(provider.provider_id.clone(), Some(Arc::new(provider)))]);
            format!("{:?}", snapshot.eligibility(&sample(), time(NOW)))
        };
        let cases = [
            (StatusName::Active, true, Halt::Open, None, "Held(2026-11-23T11:00:40Z,"),
            (StatusName::Active, false, Halt::Open, None, "Held(2026-11-23T11:00:40Z,"),
            (StatusName::Active, true, Halt::Open, Some("2026-11-23T11:00:00Z"), "Held(2026-11-23T11:00:40Z,"),
            (StatusName::Active, true, Halt::Open, Some("2026-11-23T10:50:00Z"), "Eligible"),
            (StatusName::Active, true, Halt::Halted, None, "Halted"),
            (StatusName::Suspended, true, Halt::Open, None, "Suspended"),
            (StatusName::Revoking, true, Halt::Open, None, "Stopped"),
            (StatusName::Revoked, false, Halt::Open, None, "Stopped"),
        ];
        for (status, with_secret, halt, lifted_at, expected) in cases {
            let shown = held(status, with_secret, halt, lifted_at);
            assert!(shown.starts_with(expected), "{status:?} {lifted_at:?}: {shown}");
        }
    }

    /// A snapshot of a provider in rotation, with the secrets of these keys.
    fn in_rotation(phase: &str, with_secrets: &[&str]) -> (Snapshot, Arc<Provider>) {
        let key = |id: &str| json!({"access_key_id": id, "user_name": "u", "user_arn": "arn"});
        let mut provider = provider(Status::plain(StatusName::Active));
        provider.rotation = Some(
            serde_json::from_value(json!({
                "rotation_id": "rot_01KAQX9Z3K5M7P9R1T3V5X7Z9B", "phase": phase, "old_key": key(OLD), "new_key": key(NEW),
                "grace_seconds": 600, "started_at": "2026-11-23T10:00:00Z",
            }))
            .unwrap(),
        );
        let id = |id: &&str| AccessKeyId::from_pasted(id).unwrap();
        let provider = Arc::new(provider);
        let snapshot = Snapshot {
            begun: Instant::now(),
            good_until: Instant::now() + MAX_AGE,
            halt: Halt::Open,
            providers: HashMap::from([(provider.provider_id.clone(), Some(Arc::clone(&provider)))]),
            sealed: with_secrets.iter().map(|key| (id(key), Sealed::new(vec![1]))).collect(),
        };
        (snapshot, provider)
    }

    const OLD: &str = "AKIASP2TPHJSQH3FJRUX";
    const NEW: &str = "AKIASP2TPHJSQH3FJRUY";

    #[test]
    fn what_signs_has_its_secret_and_a_stop_of_one_key_leaves_the_other() {
        let now = "2026-11-23T10:01:00Z".parse().unwrap();
        let cases: [(&str, &[&str], bool, &[&str]); 7] = [
            ("candidate", &[OLD, NEW], false, &[NEW, OLD]),
            ("candidate", &[OLD, NEW], true, &[OLD]),
            ("candidate", &[OLD], false, &[OLD]),
            ("candidate", &[NEW], false, &[NEW]),
            ("candidate", &[NEW], true, &[NEW]),
            ("cancelled", &[OLD, NEW], false, &[OLD]),
            ("candidate", &[], false, &[]),
        ];
        for (phase, with_secrets, is_refused, expected) in cases {
            let (snapshot, provider) = in_rotation(phase, with_secrets);
            let signers = snapshot.signers(&provider, is_refused, now);
            let ids: Vec<_> = signers.iter().map(|signer| signer.access_key_id.as_str()).collect();
            assert_eq!(ids, expected, "{phase} {with_secrets:?} {is_refused}");
            let is_eligible =
                matches!(snapshot.eligibility(&sample(), Timestamp::UNIX_EPOCH), Eligibility::Eligible(_));
            assert_eq!(is_eligible, !expected.is_empty(), "{phase} {with_secrets:?}");
            for key in [OLD, NEW] {
                let may_sign = snapshot.may_sign(&provider, &AccessKeyId::from_pasted(key).unwrap());
                let is_in_use = phase == "candidate" || key == OLD;
                assert_eq!(may_sign, is_in_use && with_secrets.contains(&key), "{phase} {with_secrets:?} {key}");
            }
        }
    }

    /// Two requests read a batch; each takes 100 keys at most.
    #[test]
    fn a_batch_of_providers_in_rotation_fits_into_its_requests() {
        let batch_size: usize = crate::fixtures::template_resource("SendFunction")
            .lines()
            .find_map(|line| line.trim().strip_prefix("BatchSize: ")?.parse().ok())
            .unwrap();
        assert!(batch_size <= 49, "halt and providers: {}, secrets: {}", 1 + batch_size, 2 * batch_size);
    }

    #[test]
    fn a_read_gets_half_a_second_old_and_a_slow_one_a_second_at_most() {
        for (took_ms, max_age_ms) in [(0, 500), (5, 500), (400, 500), (600, 700), (899, 999), (900, 1000), (5000, 1000)]
        {
            assert_eq!(max_age(Duration::from_millis(took_ms)), Duration::from_millis(max_age_ms), "{took_ms}");
        }
    }

    #[test]
    fn nothing_about_another_tenants_provider_is_revealed() {
        let snapshot = snapshot(Halt::Halted, Status::plain(StatusName::Revoked), true);
        let foreign = sample_with(json!({"tenant_id": "mallory"}));
        assert!(matches!(snapshot.eligibility(&foreign, time(NOW)), Eligibility::TenantMismatch));
        let unknown = sample_with(json!({"provider_id": "prv_01BX5ZZKBKACTAV9WEVGEMMVRZ"}));
        assert!(matches!(snapshot.eligibility(&unknown, time(NOW)), Eligibility::ProviderUnknown));
    }

    #[test]
    fn an_item_that_cannot_be_read_is_not_a_missing_one() {
        let provider_ids = HashSet::from([sample().provider_id]);
        let pk = AttributeValue::S(Provider::pk(&sample().provider_id));
        let (halt, providers) = read_items(vec![Item::from([("pk".to_owned(), pk)])], &provider_ids);
        assert_eq!(halt, Halt::Halted);
        assert_eq!(providers.get(&sample().provider_id), Some(&None));
        let (_, providers) = read_items(Vec::new(), &provider_ids);
        assert!(providers.is_empty());
    }
}
