//! The one log line about a request.

use jiff::SignedDuration;
use shared::http::Response;
use shared::id::{AccessKeyId, ProviderId, TenantId};

use crate::report::Report;
use crate::route::Route;

/// What the log line will say: ids, names of checks and our own words, nothing that a tenant typed.
#[derive(Default)]
pub(crate) struct Line {
    route: Option<&'static str>,
    tenant_id: Option<TenantId>,
    provider_id: Option<ProviderId>,
    access_key_id: Option<String>,
    outcome: Option<&'static str>,
    failed_checks: Option<String>,
    unknown_checks: Option<String>,
}

impl Line {
    /// Notes the route.
    pub(crate) fn route(&mut self, route: &Route) {
        self.route = Some(route.as_str());
    }

    /// Notes the tenant.
    pub(crate) fn tenant(&mut self, tenant_id: &TenantId) {
        self.tenant_id = Some(tenant_id.clone());
    }

    /// Notes the provider.
    pub(crate) fn provider(&mut self, provider_id: &ProviderId) {
        self.provider_id = Some(provider_id.clone());
    }

    /// Notes the key, shortened.
    pub(crate) fn key(&mut self, access_key_id: &AccessKeyId) {
        self.access_key_id = Some(access_key_id.masked());
    }

    /// Notes how it ended, in a word of ours.
    pub(crate) fn outcome(&mut self, outcome: &'static str) {
        self.outcome = Some(outcome);
    }

    /// Notes what a report found.
    pub(crate) fn report(&mut self, report: &Report) {
        self.outcome = Some(report.verdict().as_str());
        self.failed_checks = Some(report.failed().collect::<Vec<_>>().join(","));
        self.unknown_checks = Some(report.undecided().collect::<Vec<_>>().join(","));
    }

    /// Writes the line.
    pub(crate) fn write(&self, response: &Response, duration: SignedDuration) {
        tracing::info!(
            route = self.route.unwrap_or("none"),
            status = response.status_code,
            outcome = self.outcome,
            tenant_id = self.tenant_id.as_ref().map(TenantId::as_str),
            provider_id = self.provider_id.as_ref().map(ProviderId::as_str),
            access_key_id = self.access_key_id.as_deref(),
            failed_checks = self.failed_checks.as_deref().filter(|names| !names.is_empty()),
            unknown_checks = self.unknown_checks.as_deref().filter(|names| !names.is_empty()),
            duration_ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX),
            "request answered"
        );
    }
}
