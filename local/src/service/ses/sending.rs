//! SES v2: what the embedded service gets wrong about an account and about sending, put right.

use axum::http::StatusCode;
use chrono::{SecondsFormat, Utc};
use fakecloud_ses::SesState;
use serde_json::{Value, json};

use super::content::{self, MailOrigin};
use super::operation::sender_identity;
use super::{Ses, input, mailbox};
use crate::faults::{Enforcement, PauseWording};
use crate::service::{ServiceError, ServiceRequest, ServiceResponse};

/// "You can send each message to up to 50 recipients":
/// <https://docs.aws.amazon.com/ses/latest/dg/quotas.html>.
const MAX_RECIPIENTS: usize = 50;

impl Ses {
    /// Whether SES takes the mail, as far as the account has a say in it.
    ///
    /// # Errors
    /// SES refuses the mail.
    pub(super) fn check_mail(&self, request: &ServiceRequest<'_>) -> Result<(), ServiceError> {
        let ServiceRequest { call, account_id, region, .. } = *request;
        let faults = self.setup.faults.of_account(account_id);
        let limits = self.accounts.limits(account_id);
        let recipients: Vec<&str> = mailbox::recipients(&call.json).collect();
        let refuse = |status, code, message: String| Err(ServiceError::Other { status, code, message });

        if let Err(message) = input::check(&call.json) {
            return refuse(StatusCode::BAD_REQUEST, "BadRequestException", message);
        }
        if recipients.len() > MAX_RECIPIENTS {
            let message = "Recipient count exceeds 50.".to_owned();
            return refuse(StatusCode::BAD_REQUEST, "BadRequestException", message);
        }
        if faults.enforcement == Some(Enforcement::Shutdown) {
            let message = "Your account's ability to send email has been permanently restricted.".to_owned();
            return refuse(StatusCode::BAD_REQUEST, "AccountSuspendedException", message);
        }
        match faults.paused.or_else(|| self.is_paused(account_id).then_some(PauseWording::MessageRejected)) {
            Some(PauseWording::MessageRejected) => {
                let message = "Sending paused for this account. For more information, please check the inbox of the email \
                               address associated with your AWS account.";
                return refuse(StatusCode::BAD_REQUEST, "MessageRejected", message.to_owned());
            }
            Some(PauseWording::SendingPausedException) => {
                let message = "Email sending for the account is paused.".to_owned();
                return refuse(StatusCode::BAD_REQUEST, "SendingPausedException", message);
            }
            None => {}
        }
        if faults.enforce_max_send_rate && !self.accounts.admit(account_id, recipients.len()) {
            return Err(ServiceError::Throttled);
        }
        if self.accounts.sent_last_24_hours(account_id) + recipients.len() > limits.max_24_hour_send as usize {
            let message = "Daily message quota exceeded.".to_owned();
            return refuse(StatusCode::BAD_REQUEST, "LimitExceededException", message);
        }
        let states = self.state.read();
        let state = states.get(account_id);
        if let Some(set) = call.json["ConfigurationSetName"].as_str()
            && !state.is_some_and(|state| state.configuration_sets.contains_key(set))
        {
            let message = format!("Configuration set <{set}> does not exist.");
            return refuse(StatusCode::NOT_FOUND, "NotFoundException", message);
        }
        let set = call.json["ConfigurationSetName"].as_str();
        if let Some(set) = state.and_then(|state| state.configuration_sets.get(set?)).filter(|set| !set.sending_enabled)
        {
            let message = format!("Sending is paused for the configuration set {}", set.name);
            return refuse(StatusCode::BAD_REQUEST, "SendingPausedException", message);
        }
        let from = call.json["FromEmailAddress"].as_str().unwrap_or_default();
        let to_simulator = |mailbox: &&str| mailbox::address(mailbox).is_some_and(mailbox::is_simulator);
        let recipients = recipients.into_iter().filter(|mailbox| limits.sandbox && !to_simulator(mailbox));
        // "Any addresses that you use as From, Source, Sender or Return-Path" (SES developer guide, "Verified identities").
        let return_path = call.json["FeedbackForwardingEmailAddress"].as_str();
        // SES prints them as they were written, with their names.
        let failed: Vec<&str> = std::iter::once(from)
            .chain(return_path)
            .chain(recipients)
            .filter(|mailbox| {
                let identity = verified_identity(state, mailbox::address(mailbox).unwrap_or(mailbox));
                !identity.is_some_and(|name| self.identity_regions.contain(account_id, name, region))
            })
            .collect();
        if !failed.is_empty() && !from.is_empty() {
            let message = format!(
                "Email address is not verified. The following identities failed the check in region {}: {}",
                region.to_uppercase(),
                failed.join(", ")
            );
            return refuse(StatusCode::BAD_REQUEST, "MessageRejected", message);
        }
        content::check(&call.json, state, &MailOrigin { account_id, region })
    }

    /// Whether the account's owner has paused its sending.
    fn is_paused(&self, account_id: &str) -> bool {
        self.state.read().get(account_id).is_some_and(|state| !state.account_settings.sending_enabled)
    }

    /// Adds a mail that SES accepted to the inbox.
    pub(super) fn deliver(&self, request: &ServiceRequest<'_>, response: &ServiceResponse) {
        let ServiceRequest { call, caller, .. } = *request;
        let answer: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        let mail = &call.json;
        let list = |value: &Value| if value.is_array() { value.clone() } else { json!([]) };
        let tags: serde_json::Map<String, Value> = pairs(&mail["EmailTags"]).collect();
        let mut received = json!({
            "message_id": answer["MessageId"],
            "account_id": caller.account_id(),
            "access_key_id": caller.access_key_id,
            "received_at": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            "from": mail["FromEmailAddress"],
            "to": list(&mail["Destination"]["ToAddresses"]),
            "cc": list(&mail["Destination"]["CcAddresses"]),
            "bcc": list(&mail["Destination"]["BccAddresses"]),
            "reply_to": list(&mail["ReplyToAddresses"]),
            "tags": tags,
            "configuration_set": mail["ConfigurationSetName"],
        });
        let content = content::in_inbox(mail, self.state.read().get(request.account_id));
        if let (Some(received), Value::Object(content)) = (received.as_object_mut(), content) {
            received.extend(content);
        }
        self.accounts.deliver(caller.account_id(), received, mailbox::recipients(mail).count());
    }

    /// Puts the account's own limits into GetAccount's answer.
    pub(super) fn amend_account(&self, request: &ServiceRequest<'_>, response: ServiceResponse) -> ServiceResponse {
        let account_id = request.account_id;
        let Ok(mut account) = serde_json::from_slice::<Value>(&response.body) else { return response };
        let limits = self.accounts.limits(account_id);
        account["ProductionAccessEnabled"] = json!(!limits.sandbox);
        account["SendQuota"] = json!({
            "Max24HourSend": f64::from(limits.max_24_hour_send),
            "MaxSendRate": limits.max_send_rate,
            "SentLast24Hours": self.accounts.sent_last_24_hours(account_id),
        });
        if let Some(enforcement) = self.setup.faults.of_account(account_id).enforcement {
            account["EnforcementStatus"] = json!(enforcement.as_str());
        }
        ServiceResponse::json(request.call, &account)
    }
}

/// The identity that an address is verified by, whatever its Region.
fn verified_identity<'a>(ses: Option<&'a SesState>, address: &str) -> Option<&'a str> {
    let identity = ses.and_then(|ses| ses.identities.get(sender_identity(ses, address)?))?;
    identity.verified.then_some(identity.identity_name.as_str())
}

fn pairs(list: &Value) -> impl Iterator<Item = (String, Value)> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|pair| Some((pair["Name"].as_str()?.to_owned(), pair["Value"].clone())))
}
