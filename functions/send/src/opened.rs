//! Secrets that this process has opened.
//!
//! A secret is kept for exactly the ciphertext and the holder that it was opened for, and is only found by them: a batch
//! that reads no ciphertext has no secret, and a ciphertext that was copied to another provider's item goes to KMS,
//! which refuses it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use shared::custody::{Custody, CustodyError, Holder, Sealed};
use shared::record::Provider;
use shared::tenant::{Credential, SecretAccessKey};
use tokio::sync::OnceCell;

/// How many secrets a process keeps; the oldest goes first. Each is some hundred bytes.
const MOST_KEPT: usize = 512;

type Fingerprint = [u8; 32];
type Cell = Arc<OnceCell<SecretAccessKey>>;

/// Opened secrets. They are wiped when they are dropped.
pub(crate) struct OpenedSecrets {
    custody: Custody,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    cells: HashMap<Fingerprint, Cell>,
    order: VecDeque<Fingerprint>,
}

impl OpenedSecrets {
    /// None yet.
    pub(crate) fn new(custody: Custody) -> Self {
        Self { custody, kept: Mutex::default() }
    }

    /// The provider's credential, opened through KMS where this process has not opened it before. Mails that ask for the
    /// same one at once wait for one call.
    pub(crate) async fn open(&self, provider: &Provider, sealed: &Sealed) -> Result<Credential, CustodyError> {
        let cell = self.kept.lock().unwrap_or_else(PoisonError::into_inner).cell(fingerprint(provider, sealed));
        let secret = cell.get_or_try_init(|| self.custody.open(holder(provider), sealed)).await?;
        Ok(credential(provider, secret))
    }

    /// The same without waiting: `None` where it is not open.
    pub(crate) fn opened(&self, provider: &Provider, sealed: &Sealed) -> Option<Credential> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = kept.cells.get(&fingerprint(provider, sealed))?.get()?;
        Some(credential(provider, secret))
    }
}

impl Kept {
    fn cell(&mut self, fingerprint: Fingerprint) -> Cell {
        if let Some(cell) = self.cells.get(&fingerprint) {
            return Arc::clone(cell);
        }
        if self.order.len() >= MOST_KEPT
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

/// Over the ciphertext and all that KMS binds it to.
fn fingerprint(provider: &Provider, sealed: &Sealed) -> Fingerprint {
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
    use crate::snapshot::tests::provider;

    #[test]
    fn a_ciphertext_is_another_one_in_other_hands() {
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
    fn the_oldest_goes_when_there_are_too_many() {
        let mut kept = Kept::default();
        for number in 0..=MOST_KEPT {
            let mut fingerprint = [0; 32];
            fingerprint[..8].copy_from_slice(&number.to_be_bytes());
            kept.cell(fingerprint);
        }
        assert_eq!((kept.cells.len(), kept.order.len()), (MOST_KEPT, MOST_KEPT));
        assert!(!kept.cells.contains_key(&[0; 32]));
    }
}
