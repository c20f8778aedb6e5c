//! `DELETE /tenants/{tenant_id}/data`: erases what is kept about a tenant that has left.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::http::{Problem, Request, RequestLog, Response, body, invalid, respond, signer};
use shared::id::{ProviderId, TenantId};
use shared::record::{Erasure, RecordError, StatusName, VerifiedProvider};
use tokio::task::JoinSet;

use super::path_parameter;
use crate::Verify;

/// How long a call goes on. The function has 29 s, a page of the table takes up to a second, and S3 is given up after some eight.
const TIME: SignedDuration = SignedDuration::from_secs(15);

/// How much of it for the dead letters, which may all be of others.
const DEAD_LETTER_TIME: SignedDuration = SignedDuration::from_secs(5);

/// How many providers are listed at once.
const PAGE: i32 = 100;

/// How many files are deleted at the same time.
const DELETIONS: usize = 16;

/// What stays, as every answer says.
const STAYS: &str = "Ids of tenant, providers, accounts, keys and orders, what proves revocations, audit trails, and the names in \
                     onboarding links stay. Mail that is still in the send queue is rejected as it comes, and its row then lives as \
                     long as any.";

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErasureRequest {
    confirm: String,
}

/// How far it is.
#[derive(Serialize)]
struct ErasureView<'a> {
    state: &'static str,
    tenant_id: &'a TenantId,
    asked_by: &'a str,
    asked_at: Timestamp,
    finished_at: Option<Timestamp>,
    dead_letters: u64,
    parked_mails: u64,
    files: u64,
    rows: u64,
    providers: u64,
    stays: &'static str,
}

/// A provider that is not revoked.
#[derive(Serialize)]
struct LiveProvider<'a> {
    provider_id: &'a ProviderId,
    status: StatusName,
}

impl Verify {
    /// Erases for as long as a call may take: 202 while something is left, and the same call goes on; 200 when nothing is. A later call
    /// begins again, for what has come since.
    pub(crate) async fn erase_tenant(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let tenant_id = TenantId::parse(path_parameter(request, "tenant_id")?);
        let tenant_id = tenant_id.map_err(|_| Problem::not_found("tenant"))?;
        log.tenant(&tenant_id);
        let signer = signer(request).ok_or_else(|| Problem::new(403, "The request has no signer."))?;
        if body::<ErasureRequest>(request)?.confirm != tenant_id.as_str() {
            return Err(invalid("confirm", "must be the tenant's id once more: what is erased does not come back"));
        }
        let providers = self.providers_of(&tenant_id).await?;
        check_revoked(&providers, log)?;
        let until = self.ambient.now() + TIME;
        let begun = self.providers.erasure(&tenant_id).await?.filter(|erasure| erasure.finished_at.is_none());
        let mut erasure = begun.unwrap_or_else(|| Erasure::begins(tenant_id, signer.to_owned(), self.ambient.now()));
        // Before anything is gone: who wanted it.
        self.providers.keep_erasure(&erasure).await?;
        let is_done = self.erase(&mut erasure, &providers, until).await;
        if matches!(is_done, Ok(true)) {
            erasure.finished_at = Some(self.ambient.now());
        }
        self.providers.keep_erasure(&erasure).await?;
        let status = if is_done? { 200 } else { 202 };
        log.outcome(if status == 200 { "erased" } else { "erasing" });
        tracing::info!(
            tenant_id = %erasure.tenant_id,
            finished = status == 200,
            dead_letters = erasure.dead_letters,
            parked_mails = erasure.parked_mails,
            files = erasure.files,
            rows = erasure.rows,
            providers = erasure.providers,
            asked_by = signer,
            "data of a tenant erased"
        );
        Ok(respond(status, &ErasureView::from(&erasure)))
    }

    /// Erases until this time. Whether nothing is left. What cannot be found again without them comes before the providers.
    async fn erase(
        &self,
        erasure: &mut Erasure,
        providers: &[VerifiedProvider],
        until: Timestamp,
    ) -> Result<bool, Problem> {
        let ids: HashSet<ProviderId> = providers.iter().map(|record| record.provider.provider_id.clone()).collect();
        let letters_until = until.min(self.ambient.now() + DEAD_LETTER_TIME);
        let (deleted, has_no_letters) = self.erase_dead_letters(&erasure.tenant_id, letters_until).await?;
        erasure.dead_letters += deleted;
        for provider_id in &ids {
            loop {
                let (deleted, has_more) = self.mails.erase_parked(provider_id).await?;
                erasure.parked_mails += deleted;
                if self.ambient.now() >= until {
                    return Ok(false);
                }
                if !has_more {
                    break;
                }
            }
        }
        if !self.erase_files(erasure, until).await? {
            return Ok(false);
        }
        while !erasure.all_rows_read {
            let (deleted, next) = self.mails.erase_rows(&erasure.tenant_id, &ids, erasure.read_up_to.as_ref()).await?;
            erasure.rows += deleted;
            erasure.all_rows_read = next.is_none();
            erasure.read_up_to = next;
            // Killed, the next call goes on from here.
            self.providers.keep_erasure(erasure).await?;
            if self.ambient.now() >= until {
                return Ok(false);
            }
        }
        for record in providers {
            erasure.providers +=
                u64::from(self.providers.erase_provider(record, &erasure.asked_by, &self.ambient).await?);
            if self.ambient.now() >= until {
                return Ok(false);
            }
        }
        Ok(has_no_letters)
    }

    /// Deletes the tenant's files in the bucket until this time. Whether none is left.
    async fn erase_files(&self, erasure: &mut Erasure, until: Timestamp) -> Result<bool, Problem> {
        let Some(prefix) = erasure.tenant_id.file_prefix() else { return Ok(true) };
        let mut deleted = HashSet::new();
        loop {
            let keys =
                self.attachments.list(&prefix).await.map_err(|error| Problem::unavailable().caused_by(&error))?;
            if keys.is_empty() {
                return Ok(true);
            }
            if keys.iter().any(|key| deleted.contains(key)) {
                tracing::error!(tenant_id = %erasure.tenant_id, "a file of a tenant is listed again after its deletion");
                return Err(Problem::unavailable());
            }
            for some in keys.chunks(DELETIONS) {
                let deletions: JoinSet<_> = some
                    .iter()
                    .map(|key| {
                        let (bucket, key) = (Arc::clone(&self.attachments), key.clone());
                        async move { bucket.delete(&key).await }
                    })
                    .collect();
                let ended = deletions.join_all().await;
                erasure.files += u64::try_from(ended.iter().filter(|ended| ended.is_ok()).count()).unwrap_or(0);
                ended
                    .into_iter()
                    .collect::<Result<(), _>>()
                    .map_err(|error| Problem::unavailable().caused_by(&error))?;
                if self.ambient.now() >= until {
                    return Ok(false);
                }
            }
            // Killed, the next call counts from here.
            self.providers.keep_erasure(erasure).await?;
            deleted.extend(keys);
        }
    }

    /// All providers of a tenant, each read consistently.
    async fn providers_of(&self, tenant_id: &TenantId) -> Result<Vec<VerifiedProvider>, RecordError> {
        let (mut providers, mut after) = (Vec::new(), None);
        loop {
            let page = self.providers.list(tenant_id, after.as_ref(), PAGE).await?;
            let ids: Vec<_> = page.providers.iter().map(|record| record.provider.provider_id.clone()).collect();
            providers.extend(self.providers.verified_providers(&ids).await?);
            after = page.next;
            if after.is_none() {
                return Ok(providers);
            }
        }
    }
}

/// Only what can send nothing any more is erased, and whose key is dead: the names are needed until then.
fn check_revoked(providers: &[VerifiedProvider], log: &mut RequestLog) -> Result<(), Problem> {
    if providers.is_empty() {
        return Err(Problem::not_found("tenant"));
    }
    let live = providers.iter().map(|record| &record.provider).filter(|it| it.status.status != StatusName::Revoked);
    let live: Vec<_> = live.map(|it| LiveProvider { provider_id: &it.provider_id, status: it.status.status }).collect();
    if live.is_empty() {
        return Ok(());
    }
    log.outcome("live");
    let problem =
        Problem::new(409, "Providers of the tenant are not revoked. Off-board them, and erase once they are.");
    Err(problem.kind("providers-not-revoked").with("providers", &live))
}

impl<'a> From<&'a Erasure> for ErasureView<'a> {
    fn from(erasure: &'a Erasure) -> Self {
        Self {
            state: if erasure.finished_at.is_some() { "erased" } else { "erasing" },
            tenant_id: &erasure.tenant_id,
            asked_by: &erasure.asked_by,
            asked_at: erasure.asked_at,
            finished_at: erasure.finished_at,
            dead_letters: erasure.dead_letters,
            parked_mails: erasure.parked_mails,
            files: erasure.files,
            rows: erasure.rows,
            providers: erasure.providers,
            stays: STAYS,
        }
    }
}
