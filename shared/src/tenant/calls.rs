//! The calls that are made with a tenant's key. Each returns a plain value or a [`Failure`]; no SDK error leaves this
//! module, because SES repeats addresses in its error texts.

use aws_sdk_sesv2::error::BuildError;
use aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use aws_smithy_types::retry::RetryConfig;
use aws_types::request_id::RequestId;

use super::clients::send_once;
use super::write_tracker::{WritePermit, WriteTracker};
use super::{Clients, Credential, Failure, Region};
use crate::id::AccessKeyId;

/// Whom STS says that a key belongs to. Every live key may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The account, 12 digits.
    pub account_id: String,
    /// The caller's ARN; root's ends in `:root`.
    pub arn: String,
}

/// The IAM user a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's name; root has none.
    pub name: String,
    /// The user's ARN, with its path.
    pub arn: String,
    /// Whether the user has a console password that was used.
    pub has_console_login: bool,
    /// The ARN of the user's permissions boundary, if it has one.
    pub permissions_boundary: Option<String>,
}

/// What SES reports about the account in a Region.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountStatus {
    /// Whether the account is out of the sandbox.
    pub production_access: bool,
    /// Whether sending is not paused.
    pub sending_enabled: bool,
    /// `HEALTHY`, `PROBATION` or `SHUTDOWN`.
    pub enforcement: String,
    /// Recipients a second.
    pub max_send_rate: f64,
    /// Recipients in 24 hours; -1 = unlimited.
    pub max_24_hour_send: f64,
    /// Recipients of the last 24 hours, of all that send in this account and Region.
    pub sent_last_24_hours: f64,
}

/// An SES identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailIdentity {
    /// A domain or an address.
    pub name: String,
    /// Whether mail can be sent from it.
    pub sending_enabled: bool,
}

/// The config overrides of one call: this tenant's credential and Region. Without an identity cache, which would keep
/// secrets in memory and grow with every tenant.
macro_rules! for_tenant {
    ($sdk:ident, $credential:expr) => {
        $sdk::Config::builder()
            .credentials_provider($credential.provider())
            .region($credential.sdk_region())
            .identity_cache($sdk::config::IdentityCache::no_cache())
    };
}
pub(super) use for_tenant;

/// Sends a call with these overrides, and classifies its failure, also by whether the request can have been written.
macro_rules! send {
    ($call:expr, $overrides:expr) => {
        send!($call, $overrides, WriteTracker::default())
    };
    ($call:expr, $overrides:expr, $tracker:expr) => {{
        let tracker = $tracker;
        let call = $call.customize().config_override($overrides).interceptor(tracker.clone());
        // Boxed, so that the futures around it stay small: each of them is moved when it is awaited.
        Box::pin(call.send()).await.map_err(|error| Failure::from_sdk_error(&error, &tracker))
    }};
}
pub(super) use send;

impl Clients {
    /// `sts:GetCallerIdentity`, the liveness probe: it needs no permission and cannot be denied. Called in the
    /// partition's home Region, where every account has STS.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn get_caller_identity(&self, credential: &Credential) -> Result<CallerIdentity, Failure> {
        let call = self.sts.get_caller_identity();
        let answer = send!(call, for_tenant!(aws_sdk_sts, credential).region(credential.sdk_home_region()))?;
        Ok(CallerIdentity {
            account_id: answer.account().unwrap_or_default().to_owned(),
            arn: answer.arn().unwrap_or_default().to_owned(),
        })
    }

    /// `iam:GetUser` of the caller.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn get_user(&self, credential: &Credential) -> Result<User, Failure> {
        let call = self.iam.get_user();
        let answer = send!(call, for_tenant!(aws_sdk_iam, credential))?;
        let user = answer.user();
        Ok(User {
            name: user.map(|user| user.user_name().to_owned()).unwrap_or_default(),
            arn: user.map(|user| user.arn().to_owned()).unwrap_or_default(),
            has_console_login: user.is_some_and(|user| user.password_last_used().is_some()),
            permissions_boundary: user
                .and_then(|user| user.permissions_boundary()?.permissions_boundary_arn())
                .map(str::to_owned),
        })
    }

    /// `iam:DeleteAccessKey` of the signing key itself, without UserName: IAM then uses the caller's own user, so a
    /// renamed user cannot cause a NoSuchEntity that looks like a dead key. Returns AWS's request id.
    ///
    /// Tried exactly once: if a 200 is lost, the SDK's next attempt is refused, and the caller would see that refusal only.
    ///
    /// Only for a key that is known to belong to an IAM user: with root's key it would manage root's keys.
    ///
    /// # Errors
    /// The refusal, classified. [`super::FailureKind::NotFound`] = the key is gone already.
    pub async fn delete_own_access_key(&self, credential: &Credential) -> Result<Option<String>, Failure> {
        self.delete_access_key(credential, None, &credential.access_key_id, RetryConfig::disabled()).await
    }

    /// Probes whether `iam:DeleteAccessKey` is allowed on a user, with a key id that cannot exist:
    /// [`super::FailureKind::NotFound`] = allowed. The key id is no parameter, so that no mistake deletes a real key.
    ///
    /// # Errors
    /// AWS always refuses; the kind of the failure is the result.
    pub async fn probe_delete_access_key(&self, credential: &Credential, user_name: &str) -> Result<(), Failure> {
        let nobody = AccessKeyId::impossible();
        if nobody == credential.access_key_id {
            return Ok(());
        }
        self.delete_access_key(credential, Some(user_name), &nobody, RetryConfig::standard()).await.map(drop)
    }

    async fn delete_access_key(
        &self,
        credential: &Credential,
        user_name: Option<&str>,
        access_key_id: &AccessKeyId,
        retries: RetryConfig,
    ) -> Result<Option<String>, Failure> {
        let call = self
            .iam
            .delete_access_key()
            .set_user_name(user_name.map(str::to_owned))
            .access_key_id(access_key_id.as_str());
        let answer = send!(call, for_tenant!(aws_sdk_iam, credential).retry_config(retries))?;
        Ok(answer.request_id().map(str::to_owned))
    }

    /// `ses:GetAccount` in the credential's Region: the second plane, after STS, that shows whether a key is alive.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn get_account(&self, credential: &Credential) -> Result<AccountStatus, Failure> {
        let call = self.ses.get_account();
        let answer = send!(call, for_tenant!(aws_sdk_sesv2, credential))?;
        let quota = answer.send_quota();
        Ok(AccountStatus {
            production_access: answer.production_access_enabled(),
            sending_enabled: answer.sending_enabled(),
            enforcement: answer.enforcement_status().unwrap_or_default().to_owned(),
            max_send_rate: quota.map(|quota| quota.max_send_rate()).unwrap_or_default(),
            max_24_hour_send: quota.map(|quota| quota.max24_hour_send()).unwrap_or_default(),
            sent_last_24_hours: quota.map(|quota| quota.sent_last24_hours()).unwrap_or_default(),
        })
    }

    /// `ses:ListEmailIdentities` in this Region, the first page.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn list_identities(
        &self,
        credential: &Credential,
        region: Region,
    ) -> Result<Vec<EmailIdentity>, Failure> {
        let call = self.ses.list_email_identities().page_size(100);
        let answer = send!(call, for_tenant!(aws_sdk_sesv2, credential).region(region.to_sdk()))?;
        Ok(answer
            .email_identities()
            .iter()
            .map(|identity| EmailIdentity {
                name: identity.identity_name().unwrap_or_default().to_owned(),
                sending_enabled: identity.sending_enabled(),
            })
            .collect())
    }

    /// Probes whether `ses:SendEmail` is allowed from an address, with a mail that SES cannot accept: its return path is no
    /// verified identity, which SES refuses in the same way as such a sender (AWS re:Post, "Message rejected … Email
    /// address is not verified"). Recipient and content are no parameters; the recipient is SES's mailbox simulator, so
    /// that even a mail that SES accepts by mistake reaches nobody.
    ///
    /// # Errors
    /// AWS always refuses; the kind of the failure is the result. [`super::FailureKind::NotVerified`] = allowed.
    pub async fn probe_send_email(&self, credential: &Credential, from: &str) -> Result<(), Failure> {
        self.probe_send_email_with(credential, from, None).await
    }

    /// [`Clients::probe_send_email`] with a configuration set, which is authorized too.
    ///
    /// # Errors
    /// As there; a configuration set that does not exist is [`super::FailureKind::NotFound`].
    pub async fn probe_send_email_with(
        &self,
        credential: &Credential,
        from: &str,
        configuration_set: Option<&str>,
    ) -> Result<(), Failure> {
        let (retries, timeouts) = send_once();
        let body = Body::builder().text(utf8("probe")?).build();
        let call = self
            .ses
            .send_email()
            .from_email_address(from)
            .set_configuration_set_name(configuration_set.map(str::to_owned))
            .feedback_forwarding_email_address("invalid@invalid")
            .destination(Destination::builder().to_addresses("success@simulator.amazonses.com").build())
            .content(
                EmailContent::builder().simple(Message::builder().subject(utf8("probe")?).body(body).build()).build(),
            );
        send!(call, for_tenant!(aws_sdk_sesv2, credential).retry_config(retries).timeout_config(timeouts)).map(drop)
    }

    /// `ses:SendEmail`, tried exactly once. `fill` sets what is sent on the SDK's request; the mail's own type stays with
    /// its caller. `permit` is asked right before the request is written. Returns SES's message id, which may be empty.
    ///
    /// # Errors
    /// The refusal, classified. [`super::FailureKind::Unknown`] = SES may have accepted the mail; every other kind proves
    /// that it did not. A request that is not permitted is [`super::FailureKind::NotWritten`].
    pub async fn send_email(
        &self,
        credential: &Credential,
        fill: impl FnOnce(SendEmailFluentBuilder) -> Result<SendEmailFluentBuilder, BuildError>,
        permit: WritePermit,
    ) -> Result<String, Failure> {
        let (retries, timeouts) = send_once();
        let call = fill(self.ses.send_email()).map_err(|_| unbuilt())?;
        let overrides = for_tenant!(aws_sdk_sesv2, credential).retry_config(retries).timeout_config(timeouts);
        let answer = send!(call, overrides, WriteTracker::with_permit(permit))?;
        // SES accepted the mail even if its response has no id.
        Ok(answer.message_id().unwrap_or_default().to_owned())
    }
}

fn utf8(text: &str) -> Result<Content, Failure> {
    Content::builder().data(text).charset("UTF-8").build().map_err(|_| unbuilt())
}

/// A request that could not be built was never written.
pub(super) fn unbuilt() -> Failure {
    Failure { kind: super::FailureKind::BadRequest, code: None, status: None, request_id: None }
}
