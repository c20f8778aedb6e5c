//! What SES refuses of a mail's content and of what it names beside its sender, and what of it is in the inbox.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fakecloud_ses::{EmailTemplate, SesState};
use serde_json::{Value, json};

use super::operation::sender_identity;
use super::{mailbox, template};
use crate::service::ServiceError;

/// The largest message, with its attachments and encoded: "40MB total message size limit"
/// (<https://docs.aws.amazon.com/ses/latest/dg/attachments.html>).
const MAX_MESSAGE_BYTES: usize = 40 * 1024 * 1024;

/// SES API v2, Attachment: FileName, ContentId and ContentType.
const MAX_FILE_NAME_CHARACTERS: usize = 255;
const MAX_PARAMETER_CHARACTERS: usize = 78;

/// What SES takes under no file name: <https://docs.aws.amazon.com/ses/latest/dg/mime-types.html>.
const DENIED_EXTENSIONS: &str = include_str!("denied_extensions.txt");

/// Where a mail comes from: what names of resources in it are completed with.
pub(super) struct MailOrigin<'a> {
    /// The account.
    pub(super) account_id: &'a str,
    /// The Region.
    pub(super) region: &'a str,
}

/// Checks a mail's content, and that what it names is there.
///
/// # Errors
/// SES's refusal.
pub(super) fn check(mail: &Value, ses: Option<&SesState>, origin: &MailOrigin<'_>) -> Result<(), ServiceError> {
    let content = &mail["Content"];
    let parts = [&content["Simple"], &content["Template"]];
    let attachments: Vec<&Value> = parts.iter().filter_map(|part| part["Attachments"].as_array()).flatten().collect();
    for attachment in &attachments {
        check_attachment(attachment)?;
    }
    let size =
        content_bytes(content) + attachments.iter().map(|attachment| attachment_bytes(attachment)).sum::<usize>();
    if size > MAX_MESSAGE_BYTES {
        // The text is [U].
        return Err(bad_request(format!("Message length is more than {MAX_MESSAGE_BYTES} bytes long: '{size}'.")));
    }
    check_template(&content["Template"], ses)?;
    check_list(&mail["ListManagementOptions"], ses)?;
    check_endpoint(&mail["EndpointId"], ses)?;
    check_tenant(mail, ses, origin)
}

/// What of the content is in the inbox, as fields of one object.
pub(super) fn in_inbox(mail: &Value, ses: Option<&SesState>) -> Value {
    let content = &mail["Content"];
    let template = &content["Template"];
    let part = if template.is_object() { template } else { &content["Simple"] };
    let attachments: Vec<Value> =
        part["Attachments"].as_array().into_iter().flatten().map(attachment_in_inbox).collect();
    let mut received = json!({
        "subject": content["Simple"]["Subject"]["Data"],
        "text": content["Simple"]["Body"]["Text"]["Data"],
        "html": content["Simple"]["Body"]["Html"]["Data"],
        "raw": content["Raw"]["Data"],
        "attachments": attachments,
        "headers": headers(part),
        "list_management": mail["ListManagementOptions"],
        "tenant_name": mail["TenantName"],
        "endpoint_id": mail["EndpointId"],
        "return_path": mail["FeedbackForwardingEmailAddress"],
    });
    if template.is_object() {
        received["template"] = json!(template_name(template));
        let data = template["TemplateData"].as_str().unwrap_or_default();
        match find_template(template, ses).map(|found| template::render(found, data)) {
            Some(Ok(rendered)) => {
                for (field, text) in [("subject", rendered.subject), ("text", rendered.text), ("html", rendered.html)] {
                    received[field] = json!(text);
                }
            }
            Some(Err(failure)) => received["rendering_failure"] = json!(failure),
            None => {}
        }
    }
    received
}

fn headers(part: &Value) -> Value {
    let headers = part["Headers"].as_array().into_iter().flatten();
    let pairs = headers.filter_map(|pair| Some((pair["Name"].as_str()?.to_owned(), pair["Value"].clone())));
    Value::Object(pairs.collect())
}

fn attachment_in_inbox(attachment: &Value) -> Value {
    json!({
        "name": attachment["FileName"],
        "content_type": attachment["ContentType"],
        "content_id": attachment["ContentId"],
        "disposition": attachment["ContentDisposition"],
        "transfer_encoding": attachment["ContentTransferEncoding"],
        "size": decoded(attachment).map(|content| content.len()),
        "content": attachment["RawContent"],
    })
}

fn check_attachment(attachment: &Value) -> Result<(), ServiceError> {
    let text = |field: &str| attachment[field].as_str().unwrap_or_default();
    let name = text("FileName");
    let limits = [
        ("fileName", name, MAX_FILE_NAME_CHARACTERS),
        ("contentId", text("ContentId"), MAX_PARAMETER_CHARACTERS),
        ("contentType", text("ContentType"), MAX_PARAMETER_CHARACTERS),
    ];
    for (field, value, most) in limits {
        if value.chars().count() > most {
            return Err(bad_request(format!(
                "1 validation error detected: Value at 'attachment.{field}' failed to satisfy constraint: Member must have length \
                 less than or equal to {most}"
            )));
        }
    }
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    // The text is [U].
    if name.is_empty()
        || extension.is_some_and(|extension| DENIED_EXTENSIONS.split_whitespace().any(|one| one == extension))
    {
        return Err(bad_request(format!("Illegal filename '{name}'.")));
    }
    match decoded(attachment) {
        Some(_) => Ok(()),
        None => Err(bad_request("RawContent is not base64.".to_owned())),
    }
}

fn decoded(attachment: &Value) -> Option<Vec<u8>> {
    STANDARD.decode(attachment["RawContent"].as_str()?).ok()
}

/// As long as it is in the message, where it is encoded as base64 in lines.
fn attachment_bytes(attachment: &Value) -> usize {
    let base64 = attachment["RawContent"].as_str().map_or(0, str::len);
    base64 + base64 / 76 * 2
}

fn content_bytes(content: &Value) -> usize {
    let raw = content["Raw"]["Data"].as_str().map_or(0, |data| data.len() / 4 * 3);
    let body = &content["Simple"]["Body"];
    raw + ["Text", "Html"].iter().filter_map(|part| body[part]["Data"].as_str()).map(str::len).sum::<usize>()
}

fn template_name(template: &Value) -> Option<&str> {
    let by_arn = || template["TemplateArn"].as_str()?.split_once(":template/").map(|(_, name)| name);
    template["TemplateName"].as_str().or_else(by_arn)
}

fn find_template<'a>(template: &Value, ses: Option<&'a SesState>) -> Option<&'a EmailTemplate> {
    ses?.templates.get(template_name(template)?)
}

/// A variable that has no value is no error: SES accepts the mail and reports that it could not be rendered by an event only
/// (SES developer guide, "Using templates to send personalized email"; aws/aws-sdk-js#2239).
fn check_template(template: &Value, ses: Option<&SesState>) -> Result<(), ServiceError> {
    if !template.is_object() {
        return Ok(());
    }
    if find_template(template, ses).is_none() {
        // The words of GetEmailTemplate, and of floci-io/floci#573 for SendEmail; of SES v2 [U].
        return Err(not_found(format!("Template {} does not exist", template_name(template).unwrap_or_default())));
    }
    let data = template["TemplateData"].as_str().unwrap_or("{}");
    match serde_json::from_str::<Value>(data) {
        Ok(Value::Object(_)) => Ok(()),
        _ => Err(bad_request("Template data is not a valid JSON object".to_owned())),
    }
}

/// Codes as floci-io/floci#1875 has seen them of SES; the texts are not confirmed.
fn check_list(options: &Value, ses: Option<&SesState>) -> Result<(), ServiceError> {
    let Some(name) = options["ContactListName"].as_str() else { return Ok(()) };
    let Some(list) = ses.and_then(|ses| ses.contact_lists.get(name)) else {
        return Err(not_found(format!("List with name: {name} doesn't exist.")));
    };
    match options["TopicName"].as_str() {
        Some(topic) if list.topics.iter().all(|one| one.topic_name != topic) => {
            Err(bad_request(format!("List: {name} doesn't contain Topic: {topic}")))
        }
        _ => Ok(()),
    }
}

/// On AWS the endpoint's name is part of the host, and one that does not exist has no address, which nobody has confirmed.
fn check_endpoint(endpoint_id: &Value, ses: Option<&SesState>) -> Result<(), ServiceError> {
    let Some(id) = endpoint_id.as_str() else { return Ok(()) };
    let is_known =
        ses.is_some_and(|ses| ses.multi_region_endpoints.values().any(|endpoint| endpoint.endpoint_id == id));
    if is_known { Ok(()) } else { Err(not_found(format!("Multi-region endpoint <{id}> does not exist."))) }
}

/// "The email sending operation will only succeed if all referenced resources (identities, configuration sets, and templates) are
/// associated with this tenant" (SES API v2, SendEmail). The text as SES answers it: PostHog/posthog#75863,
/// floci-io/floci#2815.
fn check_tenant(mail: &Value, ses: Option<&SesState>, origin: &MailOrigin<'_>) -> Result<(), ServiceError> {
    let Some(name) = mail["TenantName"].as_str() else { return Ok(()) };
    let Some(ses) = ses.filter(|ses| ses.tenants.contains_key(name)) else {
        return Err(not_found(format!("Tenant <{name}> does not exist.")));
    };
    let arn = |kind: &str, name: &str| format!("arn:aws:ses:{}:{}:{kind}/{name}", origin.region, origin.account_id);
    let from = mail["FromEmailAddress"].as_str().unwrap_or_default();
    let identity = sender_identity(ses, mailbox::address(from).unwrap_or(from));
    let used = [
        identity.map(|identity| arn("identity", identity)),
        mail["ConfigurationSetName"].as_str().map(|set| arn("configuration-set", set)),
        template_name(&mail["Content"]["Template"]).map(|template| arn("template", template)),
    ];
    let associated = ses.tenant_resource_associations.get(name);
    let is_associated =
        |arn: &String| associated.is_some_and(|resources| resources.iter().any(|one| one.resource_arn == *arn));
    let missing: Vec<String> = used.into_iter().flatten().filter(|arn| !is_associated(arn)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(ServiceError::Other {
        status: StatusCode::FORBIDDEN,
        code: "AccessDeniedException",
        message: format!("Tenant not associated with resources [{}].", missing.join(", ")),
    })
}

fn bad_request(message: String) -> ServiceError {
    ServiceError::Other { status: StatusCode::BAD_REQUEST, code: "BadRequestException", message }
}

fn not_found(message: String) -> ServiceError {
    ServiceError::Other { status: StatusCode::NOT_FOUND, code: "NotFoundException", message }
}
