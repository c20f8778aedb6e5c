//! SES v2: an identity's verification, its DKIM and its MAIL FROM domain, which the embedded service takes for done.

use chrono::Utc;
use fakecloud_ses::EmailIdentity;
use serde_json::{Value, json};

use super::Ses;
use crate::service::{ServiceRequest, ServiceResponse};

/// Where SES publishes the public keys of Easy DKIM in most Regions (SES developer guide, "Easy DKIM in Amazon SES").
const SIGNING_HOSTED_ZONE: &str = "dkim.amazonses.com";

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
    /// Puts the verification of identities into ListEmailIdentities' answer.
    pub(super) fn amend_identity_list(
        &self,
        request: &ServiceRequest<'_>,
        response: ServiceResponse,
    ) -> ServiceResponse {
        let Ok(mut answer) = serde_json::from_slice::<Value>(&response.body) else { return response };
        if response.error.is_some() {
            return response;
        }
        for listed in answer["EmailIdentities"].as_array_mut().into_iter().flatten() {
            let name = listed["IdentityName"].as_str().unwrap_or_default();
            let verified = self.identity(request.account_id, name).is_some_and(|identity| identity.verified);
            listed["SendingEnabled"] = json!(verified);
        }
        ServiceResponse::json(request.call, &answer)
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
