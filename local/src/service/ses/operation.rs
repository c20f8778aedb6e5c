//! SES v2 over REST: the operation of a method and a path, and the permissions it needs.
//!
//! Paths are those of the model of aws-sdk-sesv2; recent SDKs list identities with a POST, older ones with a GET.
//! Actions and resource types are those of
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsimpleemailservicev2.html>.
//! Only the account's root may call an operation that is not listed here.

use std::collections::HashMap;

use axum::http::Method;
use fakecloud_core::protocol::AwsProtocol;
use fakecloud_ses::{SesState, SharedSesState};
use serde_json::Value;

use super::mailbox;
use crate::service::{Call, RequiredPermission, ServiceRequest};

/// What an operation's resource is.
#[derive(Clone, Copy)]
enum SesResource {
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
    /// What the body names in a field: its type and that field.
    New(&'static str, &'static str),
    /// Those of a mail.
    Mail,
}

/// Method, path below `/v2/email/` with `*` for a segment that varies, operation, resource.
const OPERATIONS: &[(Method, &str, &str, SesResource)] = &[
    (Method::GET, "account", "GetAccount", SesResource::Any),
    (Method::POST, "account/details", "PutAccountDetails", SesResource::Any),
    (Method::PUT, "account/sending", "PutAccountSendingAttributes", SesResource::Any),
    (Method::PUT, "account/suppression", "PutAccountSuppressionAttributes", SesResource::Any),
    (Method::POST, "identities", "CreateEmailIdentity", SesResource::NewIdentity),
    (Method::GET, "identities", "ListEmailIdentities", SesResource::Any),
    (Method::POST, "list-identities", "ListEmailIdentities", SesResource::Any),
    (Method::GET, "identities/*", "GetEmailIdentity", SesResource::Identity),
    (Method::DELETE, "identities/*", "DeleteEmailIdentity", SesResource::Identity),
    (Method::GET, "identities/*/policies", "GetEmailIdentityPolicies", SesResource::Identity),
    (Method::POST, "identities/*/policies/*", "CreateEmailIdentityPolicy", SesResource::Identity),
    (Method::PUT, "identities/*/policies/*", "UpdateEmailIdentityPolicy", SesResource::Identity),
    (Method::DELETE, "identities/*/policies/*", "DeleteEmailIdentityPolicy", SesResource::Identity),
    (Method::PUT, "identities/*/mail-from", "PutEmailIdentityMailFromAttributes", SesResource::Identity),
    (Method::PUT, "identities/*/feedback", "PutEmailIdentityFeedbackAttributes", SesResource::Identity),
    (Method::PUT, "identities/*/dkim", "PutEmailIdentityDkimAttributes", SesResource::Identity),
    (
        Method::PUT,
        "identities/*/configuration-set",
        "PutEmailIdentityConfigurationSetAttributes",
        SesResource::Identity,
    ),
    (Method::POST, "configuration-sets", "CreateConfigurationSet", SesResource::NewConfigurationSet),
    (Method::GET, "configuration-sets", "ListConfigurationSets", SesResource::Any),
    (Method::POST, "list-configuration-sets", "ListConfigurationSets", SesResource::Any),
    (Method::GET, "configuration-sets/*", "GetConfigurationSet", SesResource::ConfigurationSet),
    (Method::DELETE, "configuration-sets/*", "DeleteConfigurationSet", SesResource::ConfigurationSet),
    (Method::PUT, "configuration-sets/*/sending", "PutConfigurationSetSendingOptions", SesResource::ConfigurationSet),
    (
        Method::PUT,
        "configuration-sets/*/delivery-options",
        "PutConfigurationSetDeliveryOptions",
        SesResource::ConfigurationSet,
    ),
    (
        Method::PUT,
        "configuration-sets/*/suppression-options",
        "PutConfigurationSetSuppressionOptions",
        SesResource::ConfigurationSet,
    ),
    (
        Method::POST,
        "configuration-sets/*/event-destinations",
        "CreateConfigurationSetEventDestination",
        SesResource::ConfigurationSet,
    ),
    (
        Method::GET,
        "configuration-sets/*/event-destinations",
        "GetConfigurationSetEventDestinations",
        SesResource::ConfigurationSet,
    ),
    (
        Method::PUT,
        "configuration-sets/*/event-destinations/*",
        "UpdateConfigurationSetEventDestination",
        SesResource::ConfigurationSet,
    ),
    (
        Method::DELETE,
        "configuration-sets/*/event-destinations/*",
        "DeleteConfigurationSetEventDestination",
        SesResource::ConfigurationSet,
    ),
    (Method::GET, "suppression/addresses", "ListSuppressedDestinations", SesResource::Any),
    (Method::PUT, "suppression/addresses", "PutSuppressedDestination", SesResource::Any),
    (Method::GET, "suppression/addresses/*", "GetSuppressedDestination", SesResource::Any),
    (Method::DELETE, "suppression/addresses/*", "DeleteSuppressedDestination", SesResource::Any),
    (Method::POST, "templates", "CreateEmailTemplate", SesResource::New("template", "TemplateName")),
    (Method::POST, "contact-lists", "CreateContactList", SesResource::New("contact-list", "ContactListName")),
    (Method::POST, "tenants", "CreateTenant", SesResource::New("tenant", "TenantName")),
    (Method::POST, "tenants/resources", "CreateTenantResourceAssociation", SesResource::New("tenant", "TenantName")),
    (Method::POST, "multi-region-endpoints", "CreateMultiRegionEndpoint", SesResource::Any),
    (Method::POST, "outbound-emails", "SendEmail", SesResource::Mail),
    (Method::GET, "insights/*", "GetMessageInsights", SesResource::Any),
];

/// The operation of an SES call: v1 says it as a parameter, v2 by method and path. `None` for an unknown one.
pub(super) fn name(call: &Call) -> Option<String> {
    if call.protocol == AwsProtocol::Query {
        return Some(call.operation.clone());
    }
    find(call).map(|(_, _, operation, _)| (*operation).to_owned())
}

/// Whether a call is about one configuration set.
pub(super) fn is_about_configuration_set(call: &Call) -> bool {
    find(call).is_some_and(|(_, _, _, resource)| {
        matches!(resource, SesResource::ConfigurationSet | SesResource::NewConfigurationSet)
    })
}

/// The permissions that a request needs. Empty for an unknown operation.
pub(super) fn required_permissions(
    request: &ServiceRequest<'_>,
    ses: &SharedSesState,
    is_sandbox: bool,
) -> Vec<RequiredPermission> {
    let is_v1 = request.call.protocol == AwsProtocol::Query;
    let mut permissions = if is_v1 {
        vec![RequiredPermission::new(format!("ses:{}", request.call.operation), "*")]
    } else {
        v2_permissions(request, ses, is_sandbox)
    };
    // Each call says which API it is of (service authorization reference, "Condition keys for Amazon SES v2").
    for permission in &mut permissions {
        let version = if is_v1 { "1" } else { "2" };
        permission.condition_keys.insert("ses:apiversion".to_owned(), vec![version.to_owned()]);
    }
    permissions
}

fn v2_permissions(request: &ServiceRequest<'_>, ses: &SharedSesState, is_sandbox: bool) -> Vec<RequiredPermission> {
    let ServiceRequest { call, account_id, region, .. } = *request;
    let Some((_, _, operation, resource)) = find(call) else { return Vec::new() };
    let arn = |kind: &str, name: &str| format!("arn:aws:ses:{region}:{account_id}:{kind}/{name}");
    let action = format!("ses:{operation}");
    let segment = call.segments.get(3).map(String::as_str).unwrap_or_default();
    let text = |field: &str| call.json[field].as_str().unwrap_or_default();
    match resource {
        SesResource::Any => vec![RequiredPermission::new(action, "*")],
        SesResource::Identity => vec![RequiredPermission::new(action, arn("identity", segment))],
        SesResource::ConfigurationSet => {
            let mut permission = RequiredPermission::new(action, arn("configuration-set", segment));
            permission.resource_tags = tags_of(ses, account_id, &permission.resource);
            vec![permission]
        }
        SesResource::New(kind, field) => vec![RequiredPermission::new(action, arn(kind, text(field)))],
        SesResource::NewIdentity => vec![RequiredPermission::new(action, arn("identity", text("EmailIdentity")))],
        SesResource::NewConfigurationSet => {
            let mut permission =
                RequiredPermission::new(action, arn("configuration-set", text("ConfigurationSetName")));
            let tags = pairs(&call.json["Tags"]);
            if tags.is_empty() {
                return vec![permission];
            }
            // Tags at the creation are authorized as such. Seen of CreateTenant, whose denial names ses:TagResource; [U] of others.
            permission.request_tags = Some(tags);
            let tagging = RequiredPermission { action: "ses:TagResource".to_owned(), ..permission.clone() };
            vec![permission, tagging]
        }
        SesResource::Mail => {
            let accounts = ses.read();
            mail_permissions(&call.json, accounts.get(account_id), is_sandbox, arn)
        }
    }
}

/// A mail needs its content's action on the sender's identity and, if one is used, on the configuration set: the one it
/// names or the identity's default; in the sandbox also on each recipient's identity (cloudposse/terraform-aws-ses#40).
fn mail_permissions(
    mail: &Value,
    ses: Option<&SesState>,
    is_sandbox: bool,
    arn: impl Fn(&str, &str) -> String,
) -> Vec<RequiredPermission> {
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
    let mut permission = RequiredPermission::new(action, arn("identity", identity.unwrap_or(sender)));
    permission.condition_keys.insert("ses:fromaddress".to_owned(), vec![sender.to_owned()]);
    let recipients = mailbox::recipients(mail).filter_map(mailbox::address).map(str::to_owned).collect();
    permission.condition_keys.insert("ses:recipients".to_owned(), recipients);
    if let Some(name) = mailbox::display_name(from) {
        permission.condition_keys.insert("ses:fromdisplayname".to_owned(), vec![name.to_owned()]);
    }
    if let Some(address) = mail["FeedbackForwardingEmailAddress"].as_str() {
        permission.condition_keys.insert("ses:feedbackaddress".to_owned(), vec![address.to_owned()]);
    }
    let mut permissions = vec![permission];
    let default_set = identity
        .and_then(|identity| ses?.identities.get(identity))
        .and_then(|identity| identity.configuration_set_name.as_deref());
    if let Some(set) = mail["ConfigurationSetName"].as_str().or(default_set) {
        permissions.push(RequiredPermission { resource: arn("configuration-set", set), ..permissions[0].clone() });
    }
    if is_sandbox {
        let recipients = mailbox::recipients(mail).filter_map(mailbox::address);
        for recipient in recipients.filter(|recipient| !mailbox::is_simulator(recipient)) {
            let identity = ses.and_then(|ses| sender_identity(ses, recipient)).unwrap_or(recipient);
            let resource = arn("identity", identity);
            if permissions.iter().all(|permission| permission.resource != resource) {
                permissions.push(RequiredPermission { resource, ..permissions[0].clone() });
            }
        }
    }
    let template = &content["Template"];
    let template_arn = template["TemplateName"].as_str().map(|name| arn("template", name));
    if let Some(resource) = template_arn.or_else(|| template["TemplateArn"].as_str().map(str::to_owned)) {
        permissions.push(RequiredPermission { resource, ..permissions[0].clone() });
    }
    permissions
}

/// The identity a mail from `sender` is sent with: the address if it is one, else its domain or the nearest domain above it.
///
/// A label after a plus belongs to the address, and a verified domain covers its subdomains; local parts are compared as they are
/// written, domains in any case: <https://docs.aws.amazon.com/ses/latest/dg/verify-addresses-and-domains.html>.
pub(super) fn sender_identity<'a>(ses: &'a SesState, sender: &str) -> Option<&'a str> {
    let (local, domain) = sender.rsplit_once('@').unwrap_or((sender, ""));
    let domain = domain.to_ascii_lowercase();
    let plain = local.split_once('+').map_or(local, |(plain, _)| plain);
    let of_name = |name: &str| {
        let is_named = |identity: &str| match identity.rsplit_once('@') {
            Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()) == name,
            None => identity.eq_ignore_ascii_case(name),
        };
        ses.identities.values().map(|identity| identity.identity_name.as_str()).find(|identity| is_named(identity))
    };
    let domains = std::iter::successors(Some(domain.as_str()), |domain| Some(domain.split_once('.')?.1));
    let names = [format!("{local}@{domain}"), format!("{plain}@{domain}")].into_iter();
    names.chain(domains.map(str::to_owned)).filter(|name| !name.is_empty()).find_map(|name| of_name(&name))
}

fn pairs(tags: &Value) -> HashMap<String, String> {
    let tags = tags.as_array().into_iter().flatten();
    tags.filter_map(|tag| Some((tag["Key"].as_str()?.to_owned(), tag["Value"].as_str()?.to_owned()))).collect()
}

fn tags_of(ses: &SharedSesState, account_id: &str, arn: &str) -> Option<HashMap<String, String>> {
    let accounts = ses.read();
    Some(accounts.get(account_id)?.tags.get(arn)?.clone().into_iter().collect())
}

fn find(call: &Call) -> Option<&'static (Method, &'static str, &'static str, SesResource)> {
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
