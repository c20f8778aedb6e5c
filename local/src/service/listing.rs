//! A service of which the stand-in has one operation: a list, always empty. Probes ask for it to learn what a key may do.

use async_trait::async_trait;

use super::call::Call;
use super::error::{ErrorWording, ServiceError};
use super::interface::StandInService;
use super::permission::RequiredPermission;
use super::request::ServiceRequest;
use super::response::ServiceResponse;

/// A service with one operation.
pub(super) struct ListingService {
    /// The name that requests are signed for.
    pub(super) names: &'static [&'static str],
    /// The operation.
    pub(super) operation: &'static str,
    /// Whether a call is of this operation, where no header or parameter says its name.
    pub(super) is_asked: fn(&Call) -> bool,
    /// `service:Action`, on `*`.
    pub(super) action: &'static str,
    /// The service's words for errors.
    pub(super) wording: ErrorWording,
    /// The answer to a request that is allowed.
    pub(super) answer: fn(&Call) -> Result<ServiceResponse, ServiceError>,
}

#[async_trait]
impl StandInService for ListingService {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn name_operation(&self, call: &mut Call) {
        if call.operation.is_empty() && (self.is_asked)(call) {
            self.operation.clone_into(&mut call.operation);
        }
    }

    fn error_wording(&self) -> ErrorWording {
        self.wording
    }

    fn required_permissions(&self, request: &ServiceRequest<'_>) -> Vec<RequiredPermission> {
        let is_known = request.call.operation == self.operation;
        is_known.then(|| RequiredPermission::new(self.action, "*")).into_iter().collect()
    }

    async fn handle(&self, request: &ServiceRequest<'_>) -> Result<ServiceResponse, ServiceError> {
        (self.answer)(request.call)
    }
}
