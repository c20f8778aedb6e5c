//! The one log line of a request.

use jiff::SignedDuration;

use super::{Problem, Response};
use crate::id::{AccessKeyId, LinkId, OrderId, ProviderId, TenantId};
use crate::record::SenderName;

/// The fields of a request's log line: ids and words of ours, nothing that a caller typed.
#[derive(Default)]
pub struct RequestLog {
    route: Option<&'static str>,
    tenant_id: Option<TenantId>,
    provider_id: Option<ProviderId>,
    order_id: Option<OrderId>,
    access_key_id: Option<String>,
    webhook: Option<SenderName>,
    link_id: Option<LinkId>,
    outcome: Option<&'static str>,
    failed_checks: String,
    unknown_checks: String,
}

impl RequestLog {
    /// Records the route by its name in the function.
    pub fn route(&mut self, route: &'static str) {
        self.route = Some(route);
    }

    /// Records the tenant.
    pub fn tenant(&mut self, tenant_id: &TenantId) {
        self.tenant_id = Some(tenant_id.clone());
    }

    /// Records the provider.
    pub fn provider(&mut self, provider_id: &ProviderId) {
        self.provider_id = Some(provider_id.clone());
    }

    /// Records the order.
    pub fn order(&mut self, order_id: &OrderId) {
        self.order_id = Some(order_id.clone());
    }

    /// Records the access key id, shortened.
    pub fn access_key(&mut self, access_key_id: &AccessKeyId) {
        self.access_key_id = Some(access_key_id.masked());
    }

    /// Records the sender of webhooks that the request is about or of.
    pub fn webhook(&mut self, name: &SenderName) {
        self.webhook = Some(name.clone());
    }

    /// Records the onboarding link.
    pub fn link(&mut self, link_id: &LinkId) {
        self.link_id = Some(link_id.clone());
    }

    /// Records how the request ended, in a word of ours.
    pub fn outcome(&mut self, outcome: &'static str) {
        self.outcome = Some(outcome);
    }

    /// Records the checks of a verification that failed, and the required ones that remained unknown.
    pub fn checks(&mut self, failed: &[&str], unknown: &[&str]) {
        self.failed_checks = failed.join(",");
        self.unknown_checks = unknown.join(",");
    }

    /// Writes the line and returns the response. A problem with a cause on our side is logged as an error together with
    /// the cause, which is not in the response.
    pub fn finish(self, result: Result<Response, Problem>, duration: SignedDuration) -> Response {
        let cause = result.as_ref().err().and_then(Problem::cause).map(str::to_owned);
        let response = result.unwrap_or_else(Response::from);
        let duration_ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        // Both lines need the same fields, and `tracing` takes the level only as a constant.
        macro_rules! line {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    route = self.route.unwrap_or("none"),
                    status = response.status_code,
                    outcome = self.outcome,
                    tenant_id = self.tenant_id.as_ref().map(TenantId::as_str),
                    provider_id = self.provider_id.as_ref().map(ProviderId::as_str),
                    order_id = self.order_id.as_ref().map(OrderId::as_str),
                    access_key_id = self.access_key_id.as_deref(),
                    webhook = self.webhook.as_ref().map(SenderName::as_str),
                    link_id = self.link_id.as_ref().map(LinkId::as_str),
                    failed_checks = Some(self.failed_checks.as_str()).filter(|names| !names.is_empty()),
                    unknown_checks = Some(self.unknown_checks.as_str()).filter(|names| !names.is_empty()),
                    error = cause.as_deref(),
                    duration_ms,
                    $message
                )
            };
        }
        match cause {
            Some(_) => line!(error, "request failed on our side"),
            None => line!(info, "request answered"),
        }
        response
    }
}
