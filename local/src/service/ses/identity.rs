//! SES v2: an identity's verification, its DKIM and its MAIL FROM domain, which the embedded service takes for done.

use std::collections::{BTreeSet, HashMap};

use axum::http::StatusCode;
use chrono::Utc;
use fakecloud_ses::EmailIdentity;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::Ses;
use crate::service::{ServiceError, ServiceRequest, ServiceResponse};

/// Where SES publishes the public keys of Easy DKIM in most Regions (SES developer guide, "Easy DKIM in Amazon SES").
const SIGNING_HOSTED_ZONE: &str = "dkim.amazonses.com";

/// In which Regions each account has its identities, which the embedded service keeps once for all of them. "To send email from the
/// same domain or email address in more than one AWS Region, you must create and verify a separate identity for each Region":
/// <https://docs.aws.amazon.com/ses/latest/dg/creating-identities.html>.
#[derive(Default)]
pub(super) struct IdentityRegions(Mutex<HashMap<(String, String), BTreeSet<String>>>);

impl IdentityRegions {
    /// Notes that an account has an identity in a Region.
    pub(super) fn add(&self, account_id: &str, name: &str, region: &str) {
        let identity = (account_id.to_owned(), name.to_owned());
        self.0.lock().entry(identity).or_default().insert(region.to_owned());
    }

    /// Whether an account has an identity in a Region.
    pub(super) fn contain(&self, account_id: &str, name: &str, region: &str) -> bool {
        let regions = self.0.lock();
        regions.get(&(account_id.to_owned(), name.to_owned())).is_some_and(|regions| regions.contains(region))
    }
}

/// An identity whose owner has, or has not yet, done what verification asks. A verified one has its DKIM off, as one that was
/// verified by a TXT record: signing would only cost time here.
pub(super) fn seeded_identity(name: &str, verified: bool) -> EmailIdentity {
    EmailIdentity {
        identity_name: name.to_owned(),
        identity_type: if name.contains('@') { "EMAIL_ADDRESS" } else { "DOMAIN" }.to_owned(),
        verified,
        created_at: Utc::now(),
        dkim_signing_enabled: !verified,
        dkim_signing_attributes_origin: "AWS_SES".to_owned(),
        dkim_domain_signing_private_key: None,
        dkim_domain_signing_selector: None,
        dkim_next_signing_key_length: None,
        dkim_public_key_b64: None,
        email_forwarding_enabled: true,
        mail_from_domain: None,
        mail_from_behavior_on_mx_failure: "USE_DEFAULT_VALUE".to_owned(),
        mail_from_domain_status: "NotStarted".to_owned(),
        configuration_set_name: None,
        bounce_topic: None,
        complaint_topic: None,
        delivery_topic: None,
        verification_token: None,
    }
}

impl Ses {
    /// Leaves the identities of the Region in ListEmailIdentities' answer, and puts their verification into it.
    pub(super) fn amend_identity_list(
        &self,
        request: &ServiceRequest<'_>,
        response: ServiceResponse,
    ) -> ServiceResponse {
        let Ok(mut answer) = serde_json::from_slice::<Value>(&response.body) else { return response };
        if response.error.is_some() {
            return response;
        }
        let is_here = |listed: &Value| {
            let name = listed["IdentityName"].as_str().unwrap_or_default();
            self.identity_regions.contain(request.account_id, name, request.region)
        };
        if let Some(listed) = answer["EmailIdentities"].as_array_mut() {
            listed.retain(is_here);
        }
        for listed in answer["EmailIdentities"].as_array_mut().into_iter().flatten() {
            let name = listed["IdentityName"].as_str().unwrap_or_default();
            let verified = self.identity(request.account_id, name).is_some_and(|identity| identity.verified);
            listed["SendingEnabled"] = json!(verified);
        }
        ServiceResponse::json(request.call, &answer)
    }

    /// Whether an identity that is asked for is one of the Region's.
    ///
    /// # Errors
    /// It is not; the code is of the SES API reference, the text nobody has seen.
    pub(super) fn check_identity(&self, request: &ServiceRequest<'_>) -> Result<(), ServiceError> {
        let name = request.call.segments.get(3).map(String::as_str).unwrap_or_default();
        if self.identity_regions.contain(request.account_id, name, request.region) {
            return Ok(());
        }
        let message = format!("Email identity {name} does not exist.");
        Err(ServiceError::Other { status: StatusCode::NOT_FOUND, code: "NotFoundException", message })
    }

    /// Puts an identity's verification, DKIM and MAIL FROM domain into GetEmailIdentity's answer. What its owner has not done yet
    /// is pending, all of it.
    pub(super) fn amend_identity(&self, request: &ServiceRequest<'_>, response: ServiceResponse) -> ServiceResponse {
        let name = request.call.segments.get(3).map(String::as_str).unwrap_or_default();
        let Some(identity) = self.identity(request.account_id, name) else { return response };
        let Ok(mut answer) = serde_json::from_slice::<Value>(&response.body) else { return response };
        let status = if identity.verified { "SUCCESS" } else { "PENDING" };
        answer["VerifiedForSendingStatus"] = json!(identity.verified);
        answer["VerificationStatus"] = json!(status);
        let dkim = &mut answer["DkimAttributes"];
        if !identity.dkim_signing_enabled && identity.dkim_domain_signing_selector.is_none() {
            dkim["Status"] = json!("NOT_STARTED");
            dkim["Tokens"] = json!([]);
        } else {
            dkim["Status"] = json!(status);
            dkim["SigningHostedZone"] = json!(SIGNING_HOSTED_ZONE);
        }
        // The embedded service writes these words otherwise, and says more than AWS does.
        let behavior = json!(identity.mail_from_behavior_on_mx_failure);
        answer["MailFromAttributes"] = match identity.mail_from_domain.filter(|domain| !domain.is_empty()) {
            Some(domain) => json!({
                "MailFromDomain": domain, "MailFromDomainStatus": status, "BehaviorOnMxFailure": behavior,
            }),
            None => json!({ "BehaviorOnMxFailure": behavior }),
        };
        ServiceResponse::json(request.call, &answer)
    }

    fn identity(&self, account_id: &str, name: &str) -> Option<EmailIdentity> {
        self.state.read().get(account_id)?.identities.get(name).cloned()
    }
}
