//! The routes of the API that this function answers, one file for each operation.

mod cancel_mail;
mod cancel_mails;
mod cancel_rotation;
mod check_again;
mod check_policy;
mod create_mails;
mod create_onboarding_link;
mod create_provider;
mod create_rotation;
mod create_test_mail;
mod create_verification;
mod delete_configuration;
mod erase_tenant;
mod get_configuration;
pub(crate) mod get_forwarding;
mod get_mail;
pub(crate) mod get_mail_schema;
mod get_page;
pub(crate) mod get_page_asset;
pub(crate) mod get_policy;
mod get_progress;
mod get_provider;
mod get_queues;
mod get_rotation;
mod get_verification;
mod list_dead_letters;
mod list_mails;
mod list_onboarding_links;
mod list_providers;
mod open_page;
mod put_configuration;
mod redrive_dead_letters;
mod resend_mails;
mod revoke_onboarding_link;
mod submit_key;

pub(crate) use create_rotation::DEFAULT_GRACE_S;
use shared::http::{Problem, Request, RequestLog};
use shared::id::{LinkId, ProviderId, RotationId};
use shared::record::Provider;

/// One operation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    CreateProvider,
    ListProviders,
    GetProvider,
    CreateMails,
    ListMails,
    GetMail,
    CancelMail,
    CancelMails,
    ResendMails,
    EraseTenant,
    GetMailSchema,
    CreateRotation,
    GetRotation,
    CancelRotation,
    CreateTestMail,
    PutConfiguration,
    GetConfiguration,
    DeleteConfiguration,
    GetQueues,
    ListDeadLetters,
    RedriveDeadLetters,
    CreateVerification,
    GetVerification,
    GetPolicy,
    GetForwarding,
    CheckPolicy,
    CreateOnboardingLink,
    ListOnboardingLinks,
    RevokeOnboardingLink,
    GetPageAsset,
    GetPage,
    OpenPage,
    SubmitKey,
    CheckAgain,
    GetProgress,
}

/// The route keys of API Gateway that this function answers. `template.yaml` has exactly these.
pub const ROUTES: &[&str] = &{
    let mut keys = [""; Route::ALL.len()];
    let mut index = 0;
    while index < keys.len() {
        keys[index] = Route::ALL[index].key();
        index += 1;
    }
    keys
};

impl Route {
    const ALL: [Self; 35] = [
        Self::CreateProvider,
        Self::ListProviders,
        Self::GetProvider,
        Self::CreateMails,
        Self::ListMails,
        Self::GetMail,
        Self::CancelMail,
        Self::CancelMails,
        Self::ResendMails,
        Self::EraseTenant,
        Self::GetMailSchema,
        Self::CreateRotation,
        Self::GetRotation,
        Self::CancelRotation,
        Self::CreateTestMail,
        Self::PutConfiguration,
        Self::GetConfiguration,
        Self::DeleteConfiguration,
        Self::GetQueues,
        Self::ListDeadLetters,
        Self::RedriveDeadLetters,
        Self::CreateVerification,
        Self::GetVerification,
        Self::GetPolicy,
        Self::GetForwarding,
        Self::CheckPolicy,
        Self::CreateOnboardingLink,
        Self::ListOnboardingLinks,
        Self::RevokeOnboardingLink,
        Self::GetPageAsset,
        Self::GetPage,
        Self::OpenPage,
        Self::SubmitKey,
        Self::CheckAgain,
        Self::GetProgress,
    ];

    const fn key(self) -> &'static str {
        match self {
            Self::CreateProvider => "POST /providers",
            Self::ListProviders => "GET /providers",
            Self::GetProvider => "GET /providers/{provider_id}",
            Self::CreateMails => "POST /providers/{provider_id}/mails",
            Self::ListMails => "GET /providers/{provider_id}/mails",
            Self::GetMail => "GET /providers/{provider_id}/mails/{mail_id}",
            Self::CancelMail => "DELETE /providers/{provider_id}/mails/{mail_id}",
            Self::CancelMails => "POST /providers/{provider_id}/mails/cancel",
            Self::ResendMails => "POST /providers/{provider_id}/mails/resend",
            Self::EraseTenant => "DELETE /tenants/{tenant_id}/data",
            Self::GetMailSchema => "GET /mails/schema",
            Self::CreateRotation => "POST /providers/{provider_id}/rotations",
            Self::GetRotation => "GET /providers/{provider_id}/rotations/{rotation_id}",
            Self::CancelRotation => "DELETE /providers/{provider_id}/rotations/{rotation_id}",
            Self::CreateTestMail => "POST /providers/{provider_id}/test-mails",
            Self::PutConfiguration => "PUT /providers/{provider_id}/configuration",
            Self::GetConfiguration => "GET /providers/{provider_id}/configuration",
            Self::DeleteConfiguration => "DELETE /providers/{provider_id}/configuration",
            Self::GetQueues => "GET /queues",
            Self::ListDeadLetters => "GET /dead-letters",
            Self::RedriveDeadLetters => "POST /dead-letters/redrive",
            Self::CreateVerification => "POST /providers/{provider_id}/verifications",
            Self::GetVerification => "GET /providers/{provider_id}/verifications/{verification_id}",
            Self::GetPolicy => "GET /policy",
            Self::GetForwarding => "GET /policy/forwarding",
            Self::CheckPolicy => "POST /policy/check",
            Self::CreateOnboardingLink => "POST /onboarding-links",
            Self::ListOnboardingLinks => "GET /onboarding-links",
            Self::RevokeOnboardingLink => "DELETE /onboarding-links/{link_id}",
            Self::GetPageAsset => "GET /connect/assets/{asset}",
            Self::GetPage => "GET /connect/{link_id}",
            Self::OpenPage => "POST /connect/{link_id}/session",
            Self::SubmitKey => "POST /connect/{link_id}/key",
            Self::CheckAgain => "POST /connect/{link_id}/verification",
            Self::GetProgress => "GET /connect/{link_id}/progress",
        }
    }

    /// The route of the key that API Gateway matched; `None` if this function does not answer it.
    pub(crate) fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.key() == key)
    }

    /// Whether it is of the onboarding page: whoever reads its answers is a person.
    pub(crate) fn is_page(self) -> bool {
        matches!(
            self,
            Self::GetPageAsset
                | Self::GetPage
                | Self::OpenPage
                | Self::SubmitKey
                | Self::CheckAgain
                | Self::GetProgress
        )
    }

    /// The route's name in log lines, which is also the name of its file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CreateProvider => "create_provider",
            Self::ListProviders => "list_providers",
            Self::GetProvider => "get_provider",
            Self::CreateMails => "create_mails",
            Self::ListMails => "list_mails",
            Self::GetMail => "get_mail",
            Self::CancelMail => "cancel_mail",
            Self::CancelMails => "cancel_mails",
            Self::ResendMails => "resend_mails",
            Self::EraseTenant => "erase_tenant",
            Self::GetMailSchema => "get_mail_schema",
            Self::CreateRotation => "create_rotation",
            Self::GetRotation => "get_rotation",
            Self::CancelRotation => "cancel_rotation",
            Self::CreateTestMail => "create_test_mail",
            Self::PutConfiguration => "put_configuration",
            Self::GetConfiguration => "get_configuration",
            Self::DeleteConfiguration => "delete_configuration",
            Self::GetQueues => "get_queues",
            Self::ListDeadLetters => "list_dead_letters",
            Self::RedriveDeadLetters => "redrive_dead_letters",
            Self::CreateVerification => "create_verification",
            Self::GetVerification => "get_verification",
            Self::GetPolicy => "get_policy",
            Self::GetForwarding => "get_forwarding",
            Self::CheckPolicy => "check_policy",
            Self::CreateOnboardingLink => "create_onboarding_link",
            Self::ListOnboardingLinks => "list_onboarding_links",
            Self::RevokeOnboardingLink => "revoke_onboarding_link",
            Self::GetPageAsset => "get_page_asset",
            Self::GetPage => "get_page",
            Self::OpenPage => "open_page",
            Self::SubmitKey => "submit_key",
            Self::CheckAgain => "check_again",
            Self::GetProgress => "get_progress",
        }
    }
}

/// A path parameter.
///
/// HTTP APIs hand path parameters over decoded (AWS: "AWS Lambda proxy integrations for HTTP APIs", payload format 2.0),
/// so they are not decoded again: an id may contain a percent sign.
fn path_parameter<'a>(request: &'a Request, name: &str) -> Result<&'a str, Problem> {
    request.path_parameters.get(name).map(String::as_str).ok_or_else(|| Problem::not_found("route"))
}

/// The provider id in the path. A text that cannot be one is answered like an id that does not exist.
fn provider_id(request: &Request) -> Result<ProviderId, Problem> {
    ProviderId::parse(path_parameter(request, "provider_id")?).map_err(|_| Problem::not_found("provider"))
}

/// Refuses what is asked for a provider that an order has stopped.
fn check_not_stopped(provider: &Provider, log: &mut RequestLog) -> Result<(), Problem> {
    if !provider.is_stopped() {
        return Ok(());
    }
    log.outcome("stopped");
    let problem =
        Problem::new(409, "An order has stopped the provider: it sends nothing any more. Look at its status.");
    Err(problem
        .kind("provider-stopped")
        .with("provider_status", &provider.status.status)
        .with("reason", &provider.status.reason))
}

/// The rotation id in the path, likewise.
fn rotation_id(request: &Request) -> Result<RotationId, Problem> {
    RotationId::parse(path_parameter(request, "rotation_id")?).map_err(|_| Problem::not_found("rotation"))
}

/// The link's id in the path, likewise.
fn link_id(request: &Request) -> Result<LinkId, Problem> {
    LinkId::parse(path_parameter(request, "link_id")?).map_err(|_| Problem::not_found("onboarding link"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_event_finds_its_route() {
        let samples = [
            (include_str!("../../../../events/verify-create-provider.json"), "create_provider"),
            (include_str!("../../../../events/verify-list-providers.json"), "list_providers"),
            (include_str!("../../../../events/verify-get-provider.json"), "get_provider"),
            (include_str!("../../../../events/verify-create-mails.json"), "create_mails"),
            (include_str!("../../../../events/verify-list-mails.json"), "list_mails"),
            (include_str!("../../../../events/verify-get-mail.json"), "get_mail"),
            (include_str!("../../../../events/verify-cancel-mail.json"), "cancel_mail"),
            (include_str!("../../../../events/verify-cancel-mails.json"), "cancel_mails"),
            (include_str!("../../../../events/verify-resend-mails.json"), "resend_mails"),
            (include_str!("../../../../events/verify-erase-tenant.json"), "erase_tenant"),
            (include_str!("../../../../events/verify-get-mail-schema.json"), "get_mail_schema"),
            (include_str!("../../../../events/verify-create-rotation.json"), "create_rotation"),
            (include_str!("../../../../events/verify-get-rotation.json"), "get_rotation"),
            (include_str!("../../../../events/verify-cancel-rotation.json"), "cancel_rotation"),
            (include_str!("../../../../events/verify-create-test-mail.json"), "create_test_mail"),
            (include_str!("../../../../events/verify-put-configuration.json"), "put_configuration"),
            (include_str!("../../../../events/verify-get-configuration.json"), "get_configuration"),
            (include_str!("../../../../events/verify-delete-configuration.json"), "delete_configuration"),
            (include_str!("../../../../events/verify-get-queues.json"), "get_queues"),
            (include_str!("../../../../events/verify-list-dead-letters.json"), "list_dead_letters"),
            (include_str!("../../../../events/verify-redrive-dead-letters.json"), "redrive_dead_letters"),
            (include_str!("../../../../events/verify-create-verification.json"), "create_verification"),
            (include_str!("../../../../events/verify-get-verification.json"), "get_verification"),
            (include_str!("../../../../events/verify-get-policy.json"), "get_policy"),
            (include_str!("../../../../events/verify-get-forwarding.json"), "get_forwarding"),
            (include_str!("../../../../events/verify-check-policy.json"), "check_policy"),
            (include_str!("../../../../events/verify-create-onboarding-link.json"), "create_onboarding_link"),
            (include_str!("../../../../events/verify-list-onboarding-links.json"), "list_onboarding_links"),
            (include_str!("../../../../events/verify-revoke-onboarding-link.json"), "revoke_onboarding_link"),
            (include_str!("../../../../events/verify-get-page-asset.json"), "get_page_asset"),
            (include_str!("../../../../events/verify-get-page.json"), "get_page"),
            (include_str!("../../../../events/verify-open-page.json"), "open_page"),
            (include_str!("../../../../events/verify-submit-key.json"), "submit_key"),
            (include_str!("../../../../events/verify-check-again.json"), "check_again"),
            (include_str!("../../../../events/verify-get-progress.json"), "get_progress"),
        ];
        assert_eq!(samples.len(), ROUTES.len());
        for ((event, name), key) in samples.into_iter().zip(ROUTES) {
            let request: Request = serde_json::from_str(event).unwrap();
            assert_eq!(request.route_key.as_deref(), Some(*key));
            assert_eq!(Route::from_key(key).map(Route::name), Some(name));
        }
    }

    #[test]
    fn a_route_of_another_function_is_not_answered() {
        assert_eq!(Route::from_key("DELETE /providers/{provider_id}"), None);
        assert_eq!(Route::from_key(""), None);
    }
}
