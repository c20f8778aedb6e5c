//! `POST /revocations?dry_run=`: a breach report becomes an order.

use serde::Serialize;
use shared::http::{FieldError, Problem, QueryParameters, Request, RequestLog, Response, body, invalid, respond};
use shared::id::{AccessKeyId, OrderId};
use shared::record::{BreachScope, ListedProvider};

use super::order_response::{order_not_written, order_response};
use super::signer;
use crate::intake::Intake;
use crate::intake::breach_report::{BreachReport, RevocationRequest};
use crate::intake::order_execution::OrderError;

/// Providers in the response to a dry run.
const MAX_DRY_RUN: usize = 1_000;

/// Providers that a dry run reads at a time.
const DRY_RUN_PAGE: i32 = 200;

/// What an order would cover.
#[derive(Serialize)]
struct DryRun<'a> {
    scope: &'a BreachScope,
    /// Keys that are named without a provider.
    access_key_ids: Vec<AccessKeyId>,
    /// Providers whose key would be revoked; those whose key is dead are left out.
    providers: Vec<DryRunProvider>,
    /// Whether there are more than these.
    truncated: bool,
}

/// A provider that an order would reach.
#[derive(Serialize)]
struct DryRunProvider {
    #[serde(flatten)]
    listed: ListedProvider,
    /// The other key of a running rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_access_key_id: Option<AccessKeyId>,
}

impl From<ListedProvider> for DryRunProvider {
    fn from(listed: ListedProvider) -> Self {
        let is_running = listed.rotation.as_ref().is_some_and(|rotation| rotation.phase.is_running());
        let other_access_key_id = listed.other_keys().next().filter(|_| is_running).cloned();
        Self { listed, other_access_key_id }
    }
}

impl Intake {
    pub(super) async fn create_revocation(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let signer = signer(request)?;
        let report = body::<RevocationRequest>(request)?
            .into_report(signer)
            .map_err(|invalid| Problem::bad_request(&invalid))?;
        if let BreachScope::All(_) = report.scope {
            return Err(invalid("scope", "must not be `all` on this route; send the report to POST /revocations/all"));
        }
        self.answer_report(request, report, log).await
    }

    /// Places the order of a report, or says what it would cover.
    pub(super) async fn answer_report(
        &self,
        request: &Request,
        report: BreachReport,
        log: &mut RequestLog,
    ) -> Result<Response, Problem> {
        let query = QueryParameters::from_request(request, &["dry_run"])?;
        match query.get("dry_run").as_deref() {
            None | Some("false") => {}
            Some("true") => return self.dry_run(&report.scope, log).await,
            Some(_) => return Err(invalid("dry_run", "must be true or false")),
        }
        let execution =
            self.order_revocation(OrderId::new(&self.ambient), report).await.map_err(|error| match error {
                OrderError::UnknownProvider => {
                    Problem::bad_request(&FieldError::new("scope.provider_id", "names no provider"))
                }
                OrderError::Record(error) => order_not_written(&error),
            })?;
        order_response(&execution, log)
    }

    async fn dry_run(&self, scope: &BreachScope, log: &mut RequestLog) -> Result<Response, Problem> {
        log.outcome("dry_run");
        let mut run = DryRun { scope, access_key_ids: Vec::new(), providers: Vec::new(), truncated: false };
        match scope {
            BreachScope::AccessKeyId(access_key_id) => run.access_key_ids.push(access_key_id.clone()),
            BreachScope::ProviderId(provider_id) => {
                let provider = self.providers.provider(provider_id).await?;
                let provider = provider.ok_or_else(|| invalid("scope.provider_id", "names no provider"))?;
                run.providers.push(ListedProvider::from(&provider).into());
            }
            BreachScope::TenantId(_) | BreachScope::AccountId(_) | BreachScope::All(_) => {
                let mut after = None;
                loop {
                    let page = self.providers.list_scope(scope, after.as_ref(), DRY_RUN_PAGE).await?;
                    let may_live = page.providers.into_iter().filter(ListedProvider::may_live);
                    run.providers.extend(may_live.map(DryRunProvider::from));
                    after = page.next;
                    if after.is_none() || run.providers.len() > MAX_DRY_RUN {
                        break;
                    }
                }
                run.truncated = run.providers.len() > MAX_DRY_RUN;
                run.providers.truncate(MAX_DRY_RUN);
            }
        }
        Ok(respond(200, &run))
    }
}
