//! SES v2: accounts that send, their identities and limits, and the mail they sent.

mod account;
mod configuration_set;
mod content;
mod identity;
mod input;
mod mailbox;
mod operation;
mod send_rate;
mod sending;
mod template;

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::StatusCode;
use fakecloud_ses::{SesV2Service, SharedSesState};
use serde_json::{Value, json};

use self::account::SendingAccounts;
use self::identity::{IdentityRegions, seeded_identity};
use super::call::Call;
use super::embedded::Embedded;
use super::error::{AccessDenied, DenialReason, ErrorWording, FixedError, ServiceError};
use super::interface::{ServiceDefinition, ServiceList, Setup, StandInService};
use super::permission::RequiredPermission;
use super::request::ServiceRequest;
use super::response::ServiceResponse;
use crate::faults::AccountFaults;
use crate::random;

pub(super) const SERVICE: ServiceDefinition = ServiceDefinition { resource_types: &[], start: Ses::start };

pub(super) const WORDING: ErrorWording = ErrorWording {
    throttled: FixedError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "TooManyRequestsException",
        "Maximum sending rate exceeded.",
    ),
    denial,
    ..ErrorWording::DEFAULT
};

/// SES of all accounts.
pub(crate) struct Ses {
    embedded: Embedded,
    state: SharedSesState,
    accounts: SendingAccounts,
    identity_regions: IdentityRegions,
    setup: Setup,
}

impl Ses {
    fn start(setup: &Setup, _services: &ServiceList) -> anyhow::Result<Arc<dyn StandInService>> {
        let state: SharedSesState = setup.state();
        Ok(Arc::new(Self {
            embedded: Embedded::new(SesV2Service::new(state.clone())),
            state,
            accounts: SendingAccounts::default(),
            identity_regions: IdentityRegions::default(),
            setup: setup.clone(),
        }))
    }

    /// Sets of an account's limits what is given, and adds identities, each with its Region and whether it is verified.
    pub(crate) fn set_up_account<'a>(
        &self,
        account_id: &str,
        sandbox: Option<bool>,
        limits: (Option<f64>, Option<u32>),
        identities: impl Iterator<Item = (&'a str, &'a String, bool)>,
    ) {
        let limits = self.accounts.change_limits(account_id, sandbox, limits);
        let mut accounts = self.state.write();
        let state = accounts.get_or_create(account_id);
        state.account_settings.production_access_enabled = !limits.sandbox;
        for (region, name, verified) in identities {
            self.identity_regions.add(account_id, name, region);
            state.identities.insert(name.clone(), seeded_identity(name, verified));
        }
    }

    /// An account's identities, limits and what it sent, as fields of one object.
    pub(crate) fn describe_account(&self, account_id: &str) -> Value {
        let identities: Vec<String> = {
            let accounts = self.state.read();
            accounts.get(account_id).map(|state| state.identities.keys().cloned().collect()).unwrap_or_default()
        };
        let limits = self.accounts.limits(account_id);
        json!({
            "identities": identities,
            "sandbox": limits.sandbox,
            "max_send_rate": limits.max_send_rate,
            "max_24_hour_send": limits.max_24_hour_send,
            "sent_last_24_hours": self.accounts.sent_last_24_hours(account_id),
        })
    }

    /// The mail that one account sent, or all of them.
    pub(crate) fn inbox(&self, account_id: Option<&str>) -> Vec<Arc<Value>> {
        self.accounts.inbox(account_id)
    }
}

#[async_trait]
impl StandInService for Ses {
    fn names(&self) -> &'static [&'static str] {
        &["ses"]
    }

    fn name_operation(&self, call: &mut Call) {
        if let Some(operation) = operation::name(call) {
            call.operation = operation;
        }
    }

    fn error_wording(&self) -> ErrorWording {
        WORDING
    }

    fn required_permissions(&self, request: &ServiceRequest<'_>) -> Vec<RequiredPermission> {
        let is_sandbox = self.accounts.limits(request.account_id).sandbox;
        operation::required_permissions(request, &self.state, is_sandbox)
    }

    async fn handle(&self, request: &ServiceRequest<'_>) -> Result<ServiceResponse, ServiceError> {
        let call = request.call;
        match call.operation.as_str() {
            "SendEmail" if call.json.is_object() => {
                self.check_mail(request)?;
                let content = &call.json["Content"];
                let has_content = ["Simple", "Raw", "Template"].iter().any(|kind| content[kind].is_object());
                // The embedded service does not know the subdomains and plus-addresses of an identity.
                let response = if has_content {
                    ServiceResponse::json(call, &json!({"MessageId": new_message_id()}))
                } else {
                    self.embedded.handle(request).await
                };
                if response.error.is_none() {
                    self.deliver(request, &response);
                }
                Ok(response)
            }
            // An account without Virtual Deliverability Manager has none; the code is of the SES API reference, the text [U].
            "GetMessageInsights" => Err(ServiceError::Other {
                status: StatusCode::NOT_FOUND,
                code: "NotFoundException",
                message: "The message does not exist.".to_owned(),
            }),
            "GetAccount" => {
                let response = self.embedded.handle(request).await;
                Ok(self.amend_account(request, response))
            }
            "ListEmailIdentities" => {
                let response = self.embedded.handle(request).await;
                Ok(self.amend_identity_list(request, response))
            }
            "CreateEmailIdentity" => {
                let response = self.embedded.handle(request).await;
                if let (None, Some(name)) = (&response.error, call.json["EmailIdentity"].as_str()) {
                    self.identity_regions.add(request.account_id, name, request.region);
                }
                Ok(response)
            }
            "GetEmailIdentity" => {
                self.check_identity(request)?;
                let response = self.embedded.handle(request).await;
                Ok(self.amend_identity(request, response))
            }
            _ if operation::is_about_configuration_set(call) => {
                self.check_configuration_set(request)?;
                Ok(self.embedded.handle(request).await)
            }
            _ => Ok(self.embedded.handle(request).await),
        }
    }

    fn apply_faults(&self, account_id: &str, previous: &AccountFaults, faults: &AccountFaults) {
        // Sending changes only when the fault comes or goes: the account's owner may have paused it, too.
        if faults.paused.is_some() != previous.paused.is_some() {
            self.state.write().get_or_create(account_id).account_settings.sending_enabled = faults.paused.is_none();
        }
        self.accounts.refill(account_id);
    }
}

/// SES's sending actions have kept an older sentence, without a reason.
fn denial(denied: &AccessDenied) -> String {
    let AccessDenied { principal, action, resource, reason } = denied;
    if action.starts_with("ses:Send") && *reason == DenialReason::Implicit {
        return format!("User `{principal}' is not authorized to perform `{action}' on resource `{resource}'");
    }
    denied.sentence()
}

/// An id as SES makes them: `0100` and more hexadecimal digits, in groups, with a counter at the end.
fn new_message_id() -> String {
    format!("0100{}-{}-000000", random::text::<12>(b"0123456789abcdef"), random::uuid())
}
