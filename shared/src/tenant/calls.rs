//! The calls that are made with a tenant's key. Each answers a plain value or a [`Failure`]; no SDK error gets out.

use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag};
use aws_smithy_types::retry::RetryConfig;
use aws_types::request_id::RequestId;

use super::clients::send_once;
use super::written::Written;
use super::{Clients, Credential, Failure};
use crate::id::AccessKeyId;

/// Who a key is, by STS. Every live key may ask.
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
}

/// What SES says of the account in a Region.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountStatus {
    /// Out of the sandbox.
    pub production_access: bool,
    /// Sending is not paused.
    pub sending_enabled: bool,
    /// `HEALTHY`, `PROBATION` or `SHUTDOWN`.
    pub enforcement: String,
    /// Recipients a second.
    pub max_send_rate: f64,
    /// Recipients in 24 hours; -1 = unlimited.
    pub max_24_hour_send: f64,
}

/// An identity of SES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A domain or an address.
    pub name: String,
    /// Whether mail can be sent from it.
    pub sending_enabled: bool,
}

/// A mail as SES takes it. Addresses and content, so it has no `Debug`.
#[derive(Clone, Default)]
pub struct Mail {
    /// The From header.
    pub from: String,
    /// To, Cc and Bcc.
    pub to: Vec<String>,
    /// Visible copies.
    pub cc: Vec<String>,
    /// Hidden copies.
    pub bcc: Vec<String>,
    /// Reply-To.
    pub reply_to: Vec<String>,
    /// The Subject header.
    pub subject: String,
    /// The plain-text body.
    pub text: Option<String>,
    /// The HTML body.
    pub html: Option<String>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Message tags.
    pub tags: Vec<(String, String)>,
    /// The configuration set.
    pub configuration_set: Option<String>,
}

/// Overrides of one call: this tenant's credential and Region. No identity cache: it would keep secrets, and grow with
/// every tenant.
macro_rules! of_tenant {
    ($sdk:ident, $credential:expr) => {
        $sdk::Config::builder()
            .credentials_provider($credential.provider())
            .region($credential.sdk_region())
            .identity_cache($sdk::config::IdentityCache::no_cache())
    };
}
pub(super) use of_tenant;

/// Sends a call with such overrides, and classifies its failure by whether it can have been written.
macro_rules! sent {
    ($call:expr, $overrides:expr) => {{
        let written = Written::default();
        $call
            .customize()
            .config_override($overrides)
            .interceptor(written.clone())
            .send()
            .await
            .map_err(|error| Failure::of(&error, &written))
    }};
}
pub(super) use sent;

impl Clients {
    /// `sts:GetCallerIdentity`, the liveness probe: it needs no permission and cannot be denied. Asked in the
    /// partition's home Region, where no account can be without STS.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn get_caller_identity(&self, credential: &Credential) -> Result<CallerIdentity, Failure> {
        let call = self.sts.get_caller_identity();
        let answer = sent!(call, of_tenant!(aws_sdk_sts, credential).region(credential.sdk_home_region()))?;
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
        let answer = sent!(call, of_tenant!(aws_sdk_iam, credential))?;
        let user = answer.user();
        Ok(User {
            name: user.map(|user| user.user_name().to_owned()).unwrap_or_default(),
            arn: user.map(|user| user.arn().to_owned()).unwrap_or_default(),
            has_console_login: user.is_some_and(|user| user.password_last_used().is_some()),
        })
    }

    /// `iam:DeleteAccessKey` of the signing key itself, without UserName: IAM takes the caller's own user, so a renamed
    /// user cannot turn into a NoSuchEntity that looks like a dead key. Answers AWS's request id.
    ///
    /// Tried exactly once: after a 200 that was lost, the SDK's next try would be refused, and that refusal is all that
    /// would get out.
    ///
    /// Only for a key whose identity is known to be an IAM user: with root's key it would manage root's keys.
    ///
    /// # Errors
    /// The refusal, classified. [`super::Kind::NotFound`] = the key is gone already.
    pub async fn delete_own_access_key(&self, credential: &Credential) -> Result<Option<String>, Failure> {
        self.delete_access_key(credential, None, &credential.access_key_id, RetryConfig::disabled()).await
    }

    /// Probes whether `iam:DeleteAccessKey` is allowed on a user, with a key id that cannot exist:
    /// [`super::Kind::NotFound`] = allowed. There is no parameter for the key id, so that no mistake deletes a real one.
    ///
    /// # Errors
    /// Always, on AWS; the kind is the answer.
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
        let answer = sent!(call, of_tenant!(aws_sdk_iam, credential).retry_config(retries))?;
        Ok(answer.request_id().map(str::to_owned))
    }

    /// `iam:SimulatePrincipalPolicy` on the key's own user: an excess probe, so success is bad news.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn simulate_principal_policy(&self, credential: &Credential, user_arn: &str) -> Result<(), Failure> {
        let call = self.iam.simulate_principal_policy().policy_source_arn(user_arn).action_names("iam:CreateUser");
        sent!(call, of_tenant!(aws_sdk_iam, credential)).map(drop)
    }

    /// `iam:ListUsers`, one of them: an excess probe, so success is bad news.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn list_users(&self, credential: &Credential) -> Result<(), Failure> {
        let call = self.iam.list_users().max_items(1);
        sent!(call, of_tenant!(aws_sdk_iam, credential)).map(drop)
    }

    /// `dynamodb:ListTables`, one of them: an excess probe, so success is bad news.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn list_tables(&self, credential: &Credential) -> Result<(), Failure> {
        let call = self.dynamodb.list_tables().limit(1);
        sent!(call, of_tenant!(aws_sdk_dynamodb, credential)).map(drop)
    }

    /// `ses:GetAccount` in the credential's Region: the second plane on which a key is seen alive or dead.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn get_account(&self, credential: &Credential) -> Result<AccountStatus, Failure> {
        let call = self.ses.get_account();
        let answer = sent!(call, of_tenant!(aws_sdk_sesv2, credential))?;
        let quota = answer.send_quota();
        Ok(AccountStatus {
            production_access: answer.production_access_enabled(),
            sending_enabled: answer.sending_enabled(),
            enforcement: answer.enforcement_status().unwrap_or_default().to_owned(),
            max_send_rate: quota.map(|quota| quota.max_send_rate()).unwrap_or_default(),
            max_24_hour_send: quota.map(|quota| quota.max24_hour_send()).unwrap_or_default(),
        })
    }

    /// `ses:ListEmailIdentities`, the first page.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn list_identities(&self, credential: &Credential) -> Result<Vec<Identity>, Failure> {
        let call = self.ses.list_email_identities().page_size(100);
        let answer = sent!(call, of_tenant!(aws_sdk_sesv2, credential))?;
        Ok(answer
            .email_identities()
            .iter()
            .map(|identity| Identity {
                name: identity.identity_name().unwrap_or_default().to_owned(),
                sending_enabled: identity.sending_enabled(),
            })
            .collect())
    }

    /// Probes whether `ses:SendEmail` is allowed from an address, with a mail that SES cannot take: its return path is no
    /// verified identity, which SES refuses as it refuses such a sender (AWS re:Post, "Message rejected … Email address
    /// is not verified"). There is no parameter for recipient or content; the recipient is SES's mailbox simulator, so
    /// that not even a mail taken by mistake reaches anybody.
    ///
    /// # Errors
    /// Always, on AWS; the kind is the answer. [`super::Kind::NotVerified`] = allowed.
    pub async fn probe_send_email(&self, credential: &Credential, from: &str) -> Result<(), Failure> {
        let (retries, timeouts) = send_once();
        let body = Body::builder().text(content("probe")?).build();
        let call = self
            .ses
            .send_email()
            .from_email_address(from)
            .feedback_forwarding_email_address("invalid@invalid")
            .destination(Destination::builder().to_addresses("success@simulator.amazonses.com").build())
            .content(
                EmailContent::builder()
                    .simple(Message::builder().subject(content("probe")?).body(body).build())
                    .build(),
            );
        sent!(call, of_tenant!(aws_sdk_sesv2, credential).retry_config(retries).timeout_config(timeouts)).map(drop)
    }

    /// `ses:SendEmail` with Simple content, tried exactly once. Answers SES's message id.
    ///
    /// # Errors
    /// The refusal, classified. [`super::Kind::Unknown`] = SES may have taken it; every other kind proves that it did not.
    pub async fn send_email(&self, credential: &Credential, mail: &Mail) -> Result<String, Failure> {
        let (retries, timeouts) = send_once();
        let call = self
            .ses
            .send_email()
            .from_email_address(&mail.from)
            .destination(
                Destination::builder()
                    .set_to_addresses(some(&mail.to))
                    .set_cc_addresses(some(&mail.cc))
                    .set_bcc_addresses(some(&mail.bcc))
                    .build(),
            )
            .set_reply_to_addresses(some(&mail.reply_to))
            .content(EmailContent::builder().simple(message(mail)?).build())
            .set_email_tags(tags(mail)?)
            .set_configuration_set_name(mail.configuration_set.clone());
        let answer = sent!(call, of_tenant!(aws_sdk_sesv2, credential).retry_config(retries).timeout_config(timeouts))?;
        // Accepted without an id is accepted all the same.
        Ok(answer.message_id().unwrap_or_default().to_owned())
    }
}

fn message(mail: &Mail) -> Result<Message, Failure> {
    let body = Body::builder()
        .set_text(mail.text.as_deref().map(content).transpose()?)
        .set_html(mail.html.as_deref().map(content).transpose()?)
        .build();
    let headers = mail
        .headers
        .iter()
        .map(|(name, value)| MessageHeader::builder().name(name).value(value).build().map_err(|_| unbuilt()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Message::builder()
        .subject(content(&mail.subject)?)
        .body(body)
        .set_headers((!headers.is_empty()).then_some(headers))
        .build())
}

fn content(data: &str) -> Result<Content, Failure> {
    Content::builder().data(data).charset("UTF-8").build().map_err(|_| unbuilt())
}

fn tags(mail: &Mail) -> Result<Option<Vec<MessageTag>>, Failure> {
    let tags = mail
        .tags
        .iter()
        .map(|(name, value)| MessageTag::builder().name(name).value(value).build().map_err(|_| unbuilt()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((!tags.is_empty()).then_some(tags))
}

/// A request that could not even be built was never written.
fn unbuilt() -> Failure {
    Failure { kind: super::Kind::BadRequest, code: None, status: None, request_id: None }
}

fn some(addresses: &[String]) -> Option<Vec<String>> {
    (!addresses.is_empty()).then(|| addresses.to_vec())
}
