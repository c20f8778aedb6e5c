//! SES v2: what the embedded service gets wrong about an account and about sending, put right.

use axum::http::StatusCode;
use chrono::{SecondsFormat, Utc};
use fakecloud_ses::{SesState, SharedSesState};
use serde_json::{Value, json};

use super::account::Accounts;
use super::answer::Answer;
use super::call::Call;
use super::caller::Caller;
use super::mailbox;
use super::refusal::Refusal;
use super::ses_operation::sender_identity;
use crate::faults::Enforcement;

/// "You can send each message to up to 50 recipients":
/// <https://docs.aws.amazon.com/ses/latest/dg/quotas.html>.
const MOST_RECIPIENTS: usize = 50;

/// Whether SES takes the mail, as far as the account has a say in it.
pub(crate) fn check(
    call: &Call,
    accounts: &Accounts,
    ses: &SharedSesState,
    account_id: &str,
    region: &str,
) -> Result<(), Refusal> {
    let limits = accounts.limits(account_id);
    let recipients: Vec<&str> = mailbox::recipients(&call.json).collect();
    let refuse = |status, code, message: String| Err(Refusal::Other { status, code, message });

    if accounts.faults(account_id).enforcement == Some(Enforcement::Shutdown) {
        let message = "Your account's ability to send email has been permanently restricted.".to_owned();
        return refuse(StatusCode::BAD_REQUEST, "AccountSuspendedException", message);
    }
    if !accounts.admit(account_id, recipients.len()) {
        return Err(Refusal::throttled("ses"));
    }
    if accounts.sent_last_24_hours(account_id) + recipients.len() > limits.max_24_hour_send as usize {
        let message = "Daily message quota exceeded.".to_owned();
        return refuse(StatusCode::BAD_REQUEST, "LimitExceededException", message);
    }
    if recipients.len() > MOST_RECIPIENTS {
        let message = "Recipient count exceeds 50.".to_owned();
        return refuse(StatusCode::BAD_REQUEST, "BadRequestException", message);
    }

    let states = ses.read();
    let state = states.get(account_id);
    if let Some(set) = call.json["ConfigurationSetName"].as_str()
        && !state.is_some_and(|state| state.configuration_sets.contains_key(set))
    {
        let message = format!("Configuration set <{set}> does not exist.");
        return refuse(StatusCode::NOT_FOUND, "NotFoundException", message);
    }
    let from = call.json["FromEmailAddress"].as_str().unwrap_or_default();
    let to_be_verified = std::iter::once(from).chain(recipients.into_iter().filter(|_| limits.sandbox));
    let failed: Vec<&str> = to_be_verified
        .map(|mailbox| mailbox::address(mailbox).unwrap_or(mailbox))
        .filter(|address| !is_verified(state, address))
        .collect();
    if !failed.is_empty() && !from.is_empty() {
        let message = format!(
            "Email address is not verified. The following identities failed the check in region {}: {}",
            region.to_uppercase(),
            failed.join(", ")
        );
        return refuse(StatusCode::BAD_REQUEST, "MessageRejected", message);
    }
    Ok(())
}

/// Takes a mail that SES accepted into the inbox.
pub(crate) fn deliver(call: &Call, answer: &Answer, caller: &Caller, accounts: &Accounts) {
    let answer: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let mail = &call.json;
    let list = |value: &Value| if value.is_array() { value.clone() } else { json!([]) };
    let simple = &mail["Content"]["Simple"];
    let headers: serde_json::Map<String, Value> = pairs(&simple["Headers"]).collect();
    let tags: serde_json::Map<String, Value> = pairs(&mail["EmailTags"]).collect();
    let received = json!({
        "message_id": answer["MessageId"],
        "account_id": caller.account_id(),
        "access_key_id": caller.access_key_id,
        "received_at": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
        "from": mail["FromEmailAddress"],
        "to": list(&mail["Destination"]["ToAddresses"]),
        "cc": list(&mail["Destination"]["CcAddresses"]),
        "bcc": list(&mail["Destination"]["BccAddresses"]),
        "reply_to": list(&mail["ReplyToAddresses"]),
        "subject": simple["Subject"]["Data"],
        "text": simple["Body"]["Text"]["Data"],
        "html": simple["Body"]["Html"]["Data"],
        "raw": mail["Content"]["Raw"]["Data"],
        "headers": headers,
        "tags": tags,
        "configuration_set": mail["ConfigurationSetName"],
    });
    accounts.deliver(caller.account_id(), received, mailbox::recipients(mail).count());
}

/// Puts the account's own limits into GetAccount's answer.
pub(crate) fn amend_account(call: &Call, answer: Answer, accounts: &Accounts, account_id: &str) -> Answer {
    let Ok(mut account) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
    let limits = accounts.limits(account_id);
    account["ProductionAccessEnabled"] = json!(!limits.sandbox);
    account["SendQuota"] = json!({
        "Max24HourSend": f64::from(limits.max_24_hour_send),
        "MaxSendRate": limits.max_send_rate,
        "SentLast24Hours": accounts.sent_last_24_hours(account_id),
    });
    if let Some(enforcement) = accounts.faults(account_id).enforcement {
        account["EnforcementStatus"] = json!(enforcement.as_str());
    }
    Answer::json(call, &account)
}

fn is_verified(ses: Option<&SesState>, address: &str) -> bool {
    ses.and_then(|ses| ses.identities.get(sender_identity(ses, address)?)).is_some_and(|identity| identity.verified)
}

fn pairs(list: &Value) -> impl Iterator<Item = (String, Value)> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|pair| Some((pair["Name"].as_str()?.to_owned(), pair["Value"].clone())))
}
