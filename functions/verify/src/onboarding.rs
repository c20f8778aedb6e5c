//! `POST /providers`: from what a tenant pasted to a provider, or to a report that says why not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use shared::custody::Holder;
use shared::http::{Problem, Request, Response, respond};
use shared::record::{
    AuditEvent, Idempotency, Key, ONBOARDING_ATTEMPTS, Onboarded, Onboarding, Owner, Plane, Provider, ProviderId,
    Receipt, RecordError, Status, StatusName, TenantId,
};
use shared::telemetry::{Event, ProviderEvent, chain};
use shared::tenant::{AccountStatus, Credential};

use crate::Verify;
use crate::budget::Budget;
use crate::check::identity::{Caller, shape};
use crate::check::{Check, CheckName};
use crate::examination::Examination;
use crate::idempotency::{IdempotencyKey, fingerprint};
use crate::line::Line;
use crate::provider_view::ProviderView;
use crate::report::{Draft, Report, Verdict};
use crate::submission::Submission;

/// The longest that sealing and storing may take after the checks: with their 24 s below the function's 29.
const STORING: Duration = Duration::from_secs(4);

/// When an undecided verification is worth another try, in seconds.
const RETRY_UNDECIDED_S: u64 = 30;

/// When our own services are worth another try, in seconds.
const RETRY_OWN_S: u64 = 5;

/// Set where the answer is that of an earlier request.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A caller's `Idempotency-Key` and what it stands for.
struct Once {
    key: IdempotencyKey,
    fingerprint: String,
}

/// What we know of a key before it is taken.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing.
    Free,
    /// It was reported before anybody handed it over.
    Reported,
    /// This tenant handed it over before.
    Own(ProviderId),
    /// Another tenant did.
    Others,
}

impl Verify {
    /// Takes a key, or says why not.
    pub(crate) async fn onboard(&self, request: &mut Request, line: &mut Line) -> Result<Response, Problem> {
        let budget = Budget::start();
        let idempotency_key = IdempotencyKey::of(request)?;
        let submission = Submission::take(request)?;
        line.tenant(&submission.tenant_id);
        let mut draft = Draft::default();
        let (checks, key) = shape(&submission);
        checks.into_iter().for_each(|check| draft.add(check));
        let Some((access_key_id, secret_access_key)) = key else {
            return Err(self.refuse(draft, line));
        };
        line.key(&access_key_id);
        let once = idempotency_key.map(|key| Once { key, fingerprint: fingerprint(&submission, &access_key_id) });
        if let Some(replay) = self.replay(&submission.tenant_id, once.as_ref(), line).await? {
            return Ok(replay);
        }
        let attempt = self
            .providers
            .count_attempt(&submission.tenant_id, &access_key_id, ONBOARDING_ATTEMPTS, self.ambient.now())
            .await;
        if let Some(retry_after_s) = attempt.map_err(|error| unavailable(&error))? {
            line.outcome("too_many_attempts");
            return Err(too_many_attempts(retry_after_s));
        }

        let credential = Credential { access_key_id, secret_access_key, region: submission.region };
        let examination =
            Examination { clients: &self.tenants, credential: &credential, budget: &budget, ambient: &self.ambient };
        let Some(identity) = examination.identify(&mut draft).await else {
            return Err(self.refuse(draft, line));
        };
        let known = self.providers.key(&credential.access_key_id).await.map_err(|error| unavailable(&error))?;
        match standing(known.as_ref(), &submission.tenant_id) {
            Standing::Free => draft.add(Check::passed(CheckName::NotReported, "no report of this key is known")),
            Standing::Reported => {
                draft.add(reported());
                return Err(self.refuse(draft, line));
            }
            taken => return self.taken(taken, &submission.tenant_id, once.as_ref(), line).await,
        }
        let Some(caller) = examination.place(&identity, &mut draft) else {
            return Err(self.refuse(draft, line));
        };
        let account = examination.examine(&caller, &mut draft).await;
        let report = draft.close(self.ambient.now());
        let (Verdict::Accepted, Some(account)) = (report.verdict(), account) else {
            return Err(refusal(&report, line));
        };
        line.report(&report);
        let provider = self.provider_of(&submission, &credential, caller, &account, &report);
        line.provider(&provider.provider_id);
        let stored = tokio::time::timeout(STORING, self.store(provider, &credential, once.as_ref())).await;
        let stored = stored.map_err(|_| {
            tracing::error!("storing took too long");
            Problem::unavailable(RETRY_OWN_S)
        })??;
        match stored {
            Stored::Provider(provider) => {
                self.tell(&provider).await;
                line.outcome("onboarded");
                Ok(respond(201, &ProviderView::whole(&provider)))
            }
            Stored::Taken(key) => {
                let standing = standing(Some(&key), &submission.tenant_id);
                if standing == Standing::Reported {
                    let mut draft = Draft::default();
                    draft.add(reported());
                    return Err(self.refuse(draft, line));
                }
                self.taken(standing, &submission.tenant_id, once.as_ref(), line).await
            }
            Stored::KeyUsed => match self.replay(&submission.tenant_id, once.as_ref(), line).await? {
                Some(replay) => Ok(replay),
                None => Err(Problem::unavailable(RETRY_OWN_S)),
            },
        }
    }

    /// The answer to the same request before, where its `Idempotency-Key` was used. No secret is asked for again: the
    /// answer has nothing that the tenant's other requests would not tell.
    async fn replay(
        &self,
        tenant_id: &TenantId,
        once: Option<&Once>,
        line: &mut Line,
    ) -> Result<Option<Response>, Problem> {
        let Some(once) = once else { return Ok(None) };
        let used = self.providers.idempotency(tenant_id, once.key.as_str()).await;
        let Some(used) = used.map_err(|error| unavailable(&error))? else { return Ok(None) };
        line.provider(&used.provider_id);
        if used.fingerprint != once.fingerprint {
            line.outcome("idempotency_key_reused");
            return Err(Problem::new(
                422,
                "This Idempotency-Key was used for another request. Use a new one, or none.",
            )
            .kind("idempotency-key-reused"));
        }
        let provider = self.providers.provider(&used.provider_id).await.map_err(|error| unavailable(&error))?;
        let provider = provider.ok_or_else(Problem::internal)?;
        line.outcome("replayed");
        let mut response = respond(201, &ProviderView::whole(&provider));
        response.headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        Ok(Some(response))
    }

    /// Says that a key is taken, only ever to somebody whose secret STS has accepted. A concurrent request with the
    /// same `Idempotency-Key` may have taken it: then this is that one's answer.
    async fn taken(
        &self,
        standing: Standing,
        tenant_id: &TenantId,
        once: Option<&Once>,
        line: &mut Line,
    ) -> Result<Response, Problem> {
        let Standing::Own(provider_id) = standing else {
            line.outcome("taken_by_another_tenant");
            return Err(Problem::new(409, "This access key is taken.").kind("key-taken"));
        };
        if let Some(replay) = self.replay(tenant_id, once, line).await? {
            return Ok(replay);
        }
        line.outcome("already_onboarded");
        line.provider(&provider_id);
        Err(Problem::new(409, "This access key was onboarded before; `provider_id` has it.")
            .kind("already-onboarded")
            .with("provider_id", &provider_id))
    }

    fn refuse(&self, draft: Draft, line: &mut Line) -> Problem {
        refusal(&draft.close(self.ambient.now()), line)
    }

    fn provider_of(
        &self,
        submission: &Submission,
        credential: &Credential,
        caller: Caller,
        account: &AccountStatus,
        report: &Report,
    ) -> Provider {
        let now = self.ambient.now();
        Provider {
            provider_id: ProviderId::new(&self.ambient),
            tenant_id: submission.tenant_id.clone(),
            name: submission.name.clone(),
            region: submission.region,
            account_id: caller.account_id,
            user_name: caller.user_name,
            user_arn: caller.user_arn,
            access_key_id: credential.access_key_id.clone(),
            status: Status::plain(StatusName::Active),
            max_send_rate: account.max_send_rate,
            max_24_hour_send: account.max_24_hour_send,
            sandbox: !account.production_access,
            report: serde_json::to_value(report).unwrap_or_default(),
            created_at: now,
            updated_at: now,
        }
    }

    /// Seals the secret twice and stores everything, or nothing.
    async fn store(&self, provider: Provider, credential: &Credential, once: Option<&Once>) -> Result<Stored, Problem> {
        let holder = Holder {
            tenant_id: &provider.tenant_id,
            provider_id: &provider.provider_id,
            access_key_id: &provider.access_key_id,
        };
        let sealed = tokio::try_join!(
            self.send_lane.seal(holder, &credential.secret_access_key),
            self.revoke_lane.seal(holder, &credential.secret_access_key),
        );
        let (send_lane, revoke_lane) = sealed.map_err(|error| {
            tracing::error!(error = chain(&error), "sealing failed");
            Problem::unavailable(RETRY_OWN_S)
        })?;
        let onboarding = Onboarding {
            key: key_of(&provider),
            send_lane,
            revoke_lane,
            audit: AuditEvent { event: "onboarded", at: provider.created_at, by: "verify".to_owned(), reason: None },
            idempotency: once.map(|once| {
                let (provider_id, fingerprint) = (provider.provider_id.clone(), once.fingerprint.clone());
                (once.key.as_str().to_owned(), Idempotency { provider_id, fingerprint })
            }),
            provider,
        };
        Ok(match self.commit(&onboarding).await? {
            Onboarded::Stored => Stored::Provider(Box::new(onboarding.provider)),
            // Our own commit, whose answer was lost.
            Onboarded::KeyExists(key) if owns(&key, &onboarding.provider.provider_id) => {
                Stored::Provider(Box::new(onboarding.provider))
            }
            Onboarded::KeyExists(key) => Stored::Taken(key),
            Onboarded::IdempotencyKeyExists => Stored::KeyUsed,
        })
    }

    /// The transaction, and where it failed without a verdict, what became of it: two concurrent onboardings of a key
    /// can cancel each other with a conflict, and an answer can be lost after the commit.
    async fn commit(&self, onboarding: &Onboarding) -> Result<Onboarded, Problem> {
        let error = match self.providers.onboard(onboarding, &self.secrets, &self.ambient).await {
            Ok(onboarded) => return Ok(onboarded),
            Err(error) => error,
        };
        tracing::warn!(error = chain(&error), "onboarding is tried again");
        match self.providers.key(&onboarding.key.access_key_id).await {
            Ok(Some(key)) => Ok(Onboarded::KeyExists(Box::new(key))),
            Ok(None) => self
                .providers
                .onboard(onboarding, &self.secrets, &self.ambient)
                .await
                .map_err(|error| unavailable(&error)),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Tells operators. The provider is stored, so a failure here is logged and fails nothing.
    async fn tell(&self, provider: &Provider) {
        let event = Event::ProviderVerified(ProviderEvent {
            tenant_id: provider.tenant_id.clone(),
            provider_id: provider.provider_id.clone(),
            account_id: provider.account_id.clone(),
            reason: None,
        });
        if let Err(error) = self.bus.put(&event, self.ambient.now()).await {
            tracing::error!(error = chain(&error), "the provider is stored, the event was not told");
        }
    }
}

/// How storing ended.
enum Stored {
    /// It is ours now.
    Provider(Box<Provider>),
    /// Somebody was faster.
    Taken(Box<Key>),
    /// A request with the same `Idempotency-Key` was faster.
    KeyUsed,
}

/// A failed read or write of our own tables, logged here, as a problem without a word about the inside.
pub(crate) fn unavailable(error: &RecordError) -> Problem {
    tracing::error!(error = chain(error), "records are out of reach");
    Problem::unavailable(RETRY_OWN_S)
}

/// A report as the problem that it is: 422 where the key is at fault, 503 where AWS or we are.
fn refusal(report: &Report, line: &mut Line) -> Problem {
    line.report(report);
    let problem = match report.verdict() {
        Verdict::Refused => {
            Problem::new(422, "The key was not taken and nothing was stored. The report says what to mend.")
                .kind("credential-refused")
        }
        Verdict::Accepted | Verdict::Undecided => Problem::new(
            503,
            "The key could not be checked to the end, and nothing was stored. Nothing is wrong with it as far as was seen; try again later.",
        )
        .kind("credential-undecided")
        .retry_after(RETRY_UNDECIDED_S),
    };
    problem.with("report", report)
}

fn too_many_attempts(retry_after_s: u64) -> Problem {
    Problem::new(429, "Too many attempts with this key or tenant. Try again after the time in Retry-After.")
        .kind("too-many-attempts")
        .retry_after(retry_after_s)
}

fn reported() -> Check {
    Check::failed(
        CheckName::NotReported,
        "this key was reported as known to others",
        "Delete this access key in IAM, look in CloudTrail for what was done with it, and hand over a new one.",
    )
}

fn standing(key: Option<&Key>, tenant_id: &TenantId) -> Standing {
    let Some(key) = key else { return Standing::Free };
    match &key.owner {
        None => Standing::Reported,
        Some(owner) if owner.tenant_id == *tenant_id => Standing::Own(owner.provider_id.clone()),
        Some(_) => Standing::Others,
    }
}

fn owns(key: &Key, provider_id: &ProviderId) -> bool {
    key.owner.as_ref().is_some_and(|owner| owner.provider_id == *provider_id)
}

fn key_of(provider: &Provider) -> Key {
    Key {
        access_key_id: provider.access_key_id.clone(),
        owner: Some(Owner {
            provider_id: provider.provider_id.clone(),
            tenant_id: provider.tenant_id.clone(),
            account_id: provider.account_id.clone(),
            region: provider.region,
        }),
        state: Status::plain(StatusName::Active),
        updated_at: provider.created_at,
        orders: BTreeSet::new(),
        seen_alive: BTreeMap::from([(Plane::Sts, provider.created_at), (Plane::Ses, provider.created_at)]),
        receipt: Receipt::default(),
        attempts: 0,
        next_attempt_at: None,
        sweep: None,
        untold: false,
    }
}
