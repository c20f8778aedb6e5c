//! SES v2 over REST: which operation a method and a path are, and what it needs to be allowed.
//!
//! Paths are those of the model of aws-sdk-sesv2; recent SDKs list identities with a POST, older ones with a GET.
//! Actions and resource types are those of
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsimpleemailservicev2.html>.
//! What is not listed here is nobody's to call but the account's root.

use axum::http::Method;
use fakecloud_core::protocol::AwsProtocol;
use fakecloud_ses::{SesState, SharedSesState};
use serde_json::Value;

use super::call::Call;
use super::mailbox;
use super::need::Need;

/// What an operation's resource is.
#[derive(Clone, Copy)]
enum Resource {
    /// None: allowed on `*`.
    Any,
    /// The identity named by the path's fourth segment.
    Identity,
    /// The configuration set named by the path's fourth segment.
    ConfigurationSet,
    /// The identity of the body's EmailIdentity.
    NewIdentity,
    /// The configuration set of the body's ConfigurationSetName.
    NewConfigurationSet,
    /// Those of a mail.
    Mail,
}

/// Method, path below `/v2/email/` with `*` for a segment that varies, operation, resource.
const OPERATIONS: &[(Method, &str, &str, Resource)] = &[
    (Method::GET, "account", "GetAccount", Resource::Any),
    (Method::POST, "account/details", "PutAccountDetails", Resource::Any),
    (Method::PUT, "account/sending", "PutAccountSendingAttributes", Resource::Any),
    (Method::PUT, "account/suppression", "PutAccountSuppressionAttributes", Resource::Any),
    (Method::POST, "identities", "CreateEmailIdentity", Resource::NewIdentity),
    (Method::GET, "identities", "ListEmailIdentities", Resource::Any),
    (Method::POST, "list-identities", "ListEmailIdentities", Resource::Any),
    (Method::GET, "identities/*", "GetEmailIdentity", Resource::Identity),
    (Method::DELETE, "identities/*", "DeleteEmailIdentity", Resource::Identity),
    (Method::GET, "identities/*/policies", "GetEmailIdentityPolicies", Resource::Identity),
    (Method::POST, "identities/*/policies/*", "CreateEmailIdentityPolicy", Resource::Identity),
    (Method::PUT, "identities/*/policies/*", "UpdateEmailIdentityPolicy", Resource::Identity),
    (Method::DELETE, "identities/*/policies/*", "DeleteEmailIdentityPolicy", Resource::Identity),
    (Method::PUT, "identities/*/mail-from", "PutEmailIdentityMailFromAttributes", Resource::Identity),
    (Method::PUT, "identities/*/feedback", "PutEmailIdentityFeedbackAttributes", Resource::Identity),
    (Method::PUT, "identities/*/dkim", "PutEmailIdentityDkimAttributes", Resource::Identity),
    (Method::PUT, "identities/*/configuration-set", "PutEmailIdentityConfigurationSetAttributes", Resource::Identity),
    (Method::POST, "configuration-sets", "CreateConfigurationSet", Resource::NewConfigurationSet),
    (Method::GET, "configuration-sets", "ListConfigurationSets", Resource::Any),
    (Method::POST, "list-configuration-sets", "ListConfigurationSets", Resource::Any),
    (Method::GET, "configuration-sets/*", "GetConfigurationSet", Resource::ConfigurationSet),
    (Method::DELETE, "configuration-sets/*", "DeleteConfigurationSet", Resource::ConfigurationSet),
    (Method::PUT, "configuration-sets/*/sending", "PutConfigurationSetSendingOptions", Resource::ConfigurationSet),
    (
        Method::POST,
        "configuration-sets/*/event-destinations",
        "CreateConfigurationSetEventDestination",
        Resource::ConfigurationSet,
    ),
    (
        Method::GET,
        "configuration-sets/*/event-destinations",
        "GetConfigurationSetEventDestinations",
        Resource::ConfigurationSet,
    ),
    (
        Method::PUT,
        "configuration-sets/*/event-destinations/*",
        "UpdateConfigurationSetEventDestination",
        Resource::ConfigurationSet,
    ),
    (
        Method::DELETE,
        "configuration-sets/*/event-destinations/*",
        "DeleteConfigurationSetEventDestination",
        Resource::ConfigurationSet,
    ),
    (Method::GET, "suppression/addresses", "ListSuppressedDestinations", Resource::Any),
    (Method::PUT, "suppression/addresses", "PutSuppressedDestination", Resource::Any),
    (Method::GET, "suppression/addresses/*", "GetSuppressedDestination", Resource::Any),
    (Method::DELETE, "suppression/addresses/*", "DeleteSuppressedDestination", Resource::Any),
    (Method::POST, "outbound-emails", "SendEmail", Resource::Mail),
];

/// The operation of an SES call: v1 says it as a parameter, v2 by method and path. `None` for an unknown one.
pub(crate) fn name(call: &Call) -> Option<String> {
    if call.protocol == AwsProtocol::Query {
        return Some(call.operation.clone());
    }
    find(call).map(|(_, _, operation, _)| (*operation).to_owned())
}

/// What an SES call needs. Empty for an unknown operation.
pub(crate) fn needs(call: &Call, ses: &SharedSesState, account_id: &str, region: &str) -> Vec<Need> {
    if call.protocol == AwsProtocol::Query {
        return vec![Need::new(format!("ses:{}", call.operation), "*")];
    }
    let Some((_, _, operation, resource)) = find(call) else { return Vec::new() };
    let arn = |kind: &str, name: &str| format!("arn:aws:ses:{region}:{account_id}:{kind}/{name}");
    let action = format!("ses:{operation}");
    let segment = call.segments.get(3).map(String::as_str).unwrap_or_default();
    let text = |field: &str| call.json[field].as_str().unwrap_or_default();
    match resource {
        Resource::Any => vec![Need::new(action, "*")],
        Resource::Identity => vec![Need::new(action, arn("identity", segment))],
        Resource::ConfigurationSet => vec![Need::new(action, arn("configuration-set", segment))],
        Resource::NewIdentity => vec![Need::new(action, arn("identity", text("EmailIdentity")))],
        Resource::NewConfigurationSet => {
            vec![Need::new(action, arn("configuration-set", text("ConfigurationSetName")))]
        }
        Resource::Mail => {
            let accounts = ses.read();
            mail_needs(&call.json, accounts.get(account_id), arn)
        }
    }
}

/// A mail needs its content's action on the sender's identity and, if one is used, on the configuration set: the one it
/// names or the identity's default.
fn mail_needs(mail: &Value, ses: Option<&SesState>, arn: impl Fn(&str, &str) -> String) -> Vec<Need> {
    let content = &mail["Content"];
    let action = if content["Raw"].is_object() {
        "ses:SendRawEmail"
    } else if content["Template"].is_object() {
        "ses:SendTemplatedEmail"
    } else {
        "ses:SendEmail"
    };
    let from = mail["FromEmailAddress"].as_str().unwrap_or_default();
    let sender = mailbox::address(from).unwrap_or(from);
    let identity = ses.and_then(|ses| sender_identity(ses, sender));
    let mut need = Need::new(action, arn("identity", identity.unwrap_or(sender)));
    need.keys.insert("ses:fromaddress".to_owned(), vec![sender.to_owned()]);
    let recipients = mailbox::recipients(mail).filter_map(mailbox::address).map(str::to_owned).collect();
    need.keys.insert("ses:recipients".to_owned(), recipients);
    let mut needs = vec![need];
    let default_set = identity
        .and_then(|identity| ses?.identities.get(identity))
        .and_then(|identity| identity.configuration_set_name.as_deref());
    if let Some(set) = mail["ConfigurationSetName"].as_str().or(default_set) {
        needs.push(Need { resource: arn("configuration-set", set), ..needs[0].clone() });
    }
    if let Some(template) = content["Template"]["TemplateName"].as_str() {
        needs.push(Need { resource: arn("template", template), ..needs[0].clone() });
    }
    needs
}

/// The identity a mail from `sender` is sent with: the address if it is one, else its domain.
pub(crate) fn sender_identity<'a>(ses: &'a SesState, sender: &str) -> Option<&'a str> {
    let domain = sender.rsplit_once('@').map_or("", |(_, domain)| domain);
    [sender, domain].iter().find_map(|name| ses.identities.get(*name)).map(|identity| identity.identity_name.as_str())
}

fn find(call: &Call) -> Option<&'static (Method, &'static str, &'static str, Resource)> {
    let [version, email, path @ ..] = call.segments.as_slice() else { return None };
    if version != "v2" || email != "email" {
        return None;
    }
    OPERATIONS.iter().find(|(method, pattern, _, _)| {
        let mut pattern = pattern.split('/');
        *method == call.method
            && path.iter().all(|segment| pattern.next().is_some_and(|part| part == "*" || part == segment))
            && pattern.next().is_none()
    })
}
