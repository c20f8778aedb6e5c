//! Secrets that this process has opened.
//!
//! A secret is cached under the ciphertext and the holder that it was opened for, and is found by these only: a batch that
//! reads no ciphertext has no secret, and a ciphertext that was copied to another provider's item is sent to KMS, which
//! refuses it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use shared::custody::{Custody, CustodyError, Holder, Sealed};
use shared::record::Provider;
use shared::tenant::{Credential, SecretAccessKey};
use tokio::sync::OnceCell;

/// The most secrets that a process caches; the oldest is dropped first. Each has some hundred bytes.
const MAX_CACHED: usize = 512;

type SecretFingerprint = [u8; 32];
type SecretCell = Arc<OnceCell<SecretAccessKey>>;

/// Opened secrets. They are zeroized on drop.
pub(crate) struct OpenedSecrets {
    custody: Custody,
    cache: Mutex<SecretCache>,
}

#[derive(Default)]
struct SecretCache {
    cells: HashMap<SecretFingerprint, SecretCell>,
    order: VecDeque<SecretFingerprint>,
}

impl OpenedSecrets {
    /// An empty cache in front of KMS.
    pub(crate) fn new(custody: Custody) -> Self {
        Self { custody, cache: Mutex::default() }
    }

    /// The provider's credential. KMS opens it, unless this process has it open already. Mails that need the same one at
    /// the same time wait for one call.
    pub(crate) async fn open(&self, provider: &Provider, sealed: &Sealed) -> Result<Credential, CustodyError> {
        let cell = self.cache.lock().unwrap_or_else(PoisonError::into_inner).cell(fingerprint(provider, sealed));
        let secret = cell.get_or_try_init(|| self.custody.open(holder(provider), sealed)).await?;
        Ok(credential(provider, secret))
    }

    /// The same without waiting; `None` if it is not open.
    pub(crate) fn get(&self, provider: &Provider, sealed: &Sealed) -> Option<Credential> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = cache.cells.get(&fingerprint(provider, sealed))?.get()?;
        Some(credential(provider, secret))
    }
}

impl SecretCache {
    fn cell(&mut self, fingerprint: SecretFingerprint) -> SecretCell {
        if let Some(cell) = self.cells.get(&fingerprint) {
            return Arc::clone(cell);
        }
        if self.order.len() >= MAX_CACHED
            && let Some(oldest) = self.order.pop_front()
        {
            self.cells.remove(&oldest);
        }
        self.order.push_back(fingerprint);
        Arc::clone(self.cells.entry(fingerprint).or_default())
    }
}

fn holder(provider: &Provider) -> Holder<'_> {
    Holder {
        tenant_id: &provider.tenant_id,
        provider_id: &provider.provider_id,
        access_key_id: &provider.access_key_id,
    }
}

fn credential(provider: &Provider, secret: &SecretAccessKey) -> Credential {
    Credential {
        access_key_id: provider.access_key_id.clone(),
        secret_access_key: secret.clone(),
        region: provider.region,
    }
}

/// A hash of the ciphertext and of everything that KMS binds it to.
fn fingerprint(provider: &Provider, sealed: &Sealed) -> SecretFingerprint {
    let mut hash = Sha256::new_with_prefix(sealed.digest());
    for part in [provider.tenant_id.as_str(), provider.provider_id.as_str(), provider.access_key_id.as_str()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use shared::id::{ProviderId, TenantId};
    use shared::record::{Status, StatusName};

    use super::*;
    use crate::fixtures::provider;

    #[test]
    fn a_ciphertext_of_another_holder_has_another_fingerprint() {
        let mine = provider(Status::plain(StatusName::Active));
        let sealed = Sealed::new(vec![1, 2, 3]);
        let theirs = [
            Provider { tenant_id: TenantId::parse("mallory").unwrap(), ..mine.clone() },
            Provider { provider_id: ProviderId::parse("prv_01BX5ZZKBKACTAV9WEVGEMMVRZ").unwrap(), ..mine.clone() },
        ];
        for other in theirs {
            assert_ne!(fingerprint(&mine, &sealed), fingerprint(&other, &sealed));
        }
        assert_ne!(fingerprint(&mine, &sealed), fingerprint(&mine, &Sealed::new(vec![1, 2])));
        assert_eq!(fingerprint(&mine, &sealed), fingerprint(&mine.clone(), &Sealed::new(vec![1, 2, 3])));
    }

    #[test]
    fn the_oldest_secret_is_dropped_when_there_are_too_many() {
        let mut cache = SecretCache::default();
        for number in 0..=MAX_CACHED {
            let mut fingerprint = [0; 32];
            fingerprint[..8].copy_from_slice(&number.to_be_bytes());
            cache.cell(fingerprint);
        }
        assert_eq!((cache.cells.len(), cache.order.len()), (MAX_CACHED, MAX_CACHED));
        assert!(!cache.cells.contains_key(&[0; 32]));
    }
}
