//! The calls that configure SES in a tenant's account: a configuration set of our own, and what the account's identities
//! still need.
//!
//! SES takes each of these operations once a second for an account and Region (SES developer guide, "Service quotas", and the v1 reference
//! of each operation), so whoever calls waits for a turn, and the SDK tries nothing twice.

use aws_sdk_sesv2::types::{
    BehaviorOnMxFailure, DeliveryOptions, DkimStatus, IdentityType, MailFromDomainStatus, SuppressionListReason,
    SuppressionOptions, Tag, TlsPolicy,
};
use aws_smithy_types::retry::RetryConfig;

use super::calls::{for_tenant, send};
use super::write_tracker::WriteTracker;
use super::{Clients, Credential, Failure};

/// The key of the tag that makes a configuration set ours; its value is the provider's id.
pub const CONFIGURATION_TAG: &str = "sendingbee-provider";

/// Identities that are listed: one page, the most that SES has on one (SES API v2 reference, `ListEmailIdentities`).
const PAGE_SIZE: i32 = 1000;

/// A configuration set as SES has it.
#[derive(Clone, Debug)]
pub struct ConfigurationSet {
    /// The value of our tag; `None` on a set that is not ours.
    pub tag: Option<String>,
    /// Whether mail is delivered over TLS only.
    pub requires_tls: bool,
    /// Whether addresses that bounce are put on the account's suppression list, and not sent to any more.
    pub suppresses_bounces: bool,
    /// Whether addresses that complain are.
    pub suppresses_complaints: bool,
    /// What SES keeps beside these; a change of one option must not reset the others, because SES replaces them together.
    kept: KeptOptions,
}

#[derive(Clone, Debug, Default)]
struct KeptOptions {
    delivery: Option<DeliveryOptions>,
    suppression: Option<SuppressionOptions>,
}

/// An identity in a list. The name may be an address.
#[derive(Clone, PartialEq, Eq)]
pub struct ListedIdentity {
    /// A domain or an address.
    pub name: String,
    /// Whether it is a domain.
    pub is_domain: bool,
    /// Whether mail can be sent from it.
    pub sending_enabled: bool,
}

/// The identities of the account in the credential's Region, as far as one page goes.
pub struct IdentityList {
    /// The identities.
    pub identities: Vec<ListedIdentity>,
    /// Whether there are no more.
    pub complete: bool,
}

/// What SES knows of a domain that mail is sent from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainIdentity {
    /// Whether SES has verified it.
    pub verified: bool,
    /// Whether SES has found the DKIM records.
    pub dkim: DnsFound,
    /// How DKIM is set up.
    pub dkim_keys: DkimKeys,
    /// The custom MAIL FROM domain, if there is one.
    pub mail_from: Option<MailFromDomain>,
}

/// Whether SES has found what it looks for in DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsFound {
    /// It has.
    Yes,
    /// Not yet, or not any more.
    No,
    /// It does not look: this was never set up.
    NotStarted,
}

/// The keys that a domain's mail is signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DkimKeys {
    /// SES's own: a CNAME for each token points into this zone.
    OfSes {
        /// The tokens; none if DKIM was never set up.
        tokens: Vec<String>,
        /// Where SES publishes the public keys; `None` if it does not say.
        zone: Option<String>,
    },
    /// The tenant's own key pair with this selector, whose public key only the tenant knows.
    OfTenant {
        /// The selector.
        selector: String,
    },
}

/// A custom MAIL FROM domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFromDomain {
    /// The domain.
    pub domain: String,
    /// Whether SES has found its MX record.
    pub mx_found: bool,
    /// Whether SES refuses mail as long as it has not.
    pub refuses_mail: bool,
}

impl Clients {
    /// `ses:GetConfigurationSet`. SES answers the tags with it.
    ///
    /// # Errors
    /// The refusal, classified. [`super::FailureKind::NotFound`] = there is no such set.
    pub async fn get_configuration_set(
        &self,
        credential: &Credential,
        name: &str,
    ) -> Result<ConfigurationSet, Failure> {
        let call = self.ses.get_configuration_set().configuration_set_name(name);
        let answer = send!(call, for_tenant!(aws_sdk_sesv2, credential).retry_config(RetryConfig::disabled()))?;
        let tag = answer.tags().iter().find(|tag| tag.key() == CONFIGURATION_TAG).map(|tag| tag.value().to_owned());
        let reasons = answer.suppression_options().map(SuppressionOptions::suppressed_reasons).unwrap_or_default();
        Ok(ConfigurationSet {
            tag,
            requires_tls: answer.delivery_options().and_then(DeliveryOptions::tls_policy) == Some(&TlsPolicy::Require),
            suppresses_bounces: reasons.contains(&SuppressionListReason::Bounce),
            suppresses_complaints: reasons.contains(&SuppressionListReason::Complaint),
            kept: KeptOptions {
                delivery: answer.delivery_options().cloned(),
                suppression: answer.suppression_options().cloned(),
            },
        })
    }

    /// `ses:CreateConfigurationSet` with TLS, suppression and our tag. Tags at the creation are reported to need `ses:TagResource`
    /// too (of CreateTenant; of configuration sets nobody has confirmed it).
    ///
    /// # Errors
    /// The refusal, classified. [`Failure::says_exists`] = there is one with this name.
    pub async fn create_configuration_set(
        &self,
        credential: &Credential,
        name: &str,
        tag: &str,
    ) -> Result<(), Failure> {
        let tag = Tag::builder().key(CONFIGURATION_TAG).value(tag).build().map_err(|_| super::calls::unbuilt())?;
        let call = self
            .ses
            .create_configuration_set()
            .configuration_set_name(name)
            .delivery_options(DeliveryOptions::builder().tls_policy(TlsPolicy::Require).build())
            .suppression_options(
                SuppressionOptions::builder()
                    .suppressed_reasons(SuppressionListReason::Bounce)
                    .suppressed_reasons(SuppressionListReason::Complaint)
                    .build(),
            )
            .tags(tag);
        send!(call, for_tenant!(aws_sdk_sesv2, credential).retry_config(RetryConfig::disabled())).map(drop)
    }

    /// `ses:PutConfigurationSetDeliveryOptions`: TLS is required. A dedicated IP pool and a time limit stay as they were seen.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn require_tls(
        &self,
        credential: &Credential,
        name: &str,
        seen: &ConfigurationSet,
    ) -> Result<(), Failure> {
        let kept = seen.kept.delivery.as_ref();
        let call = self
            .ses
            .put_configuration_set_delivery_options()
            .configuration_set_name(name)
            .tls_policy(TlsPolicy::Require)
            .set_sending_pool_name(kept.and_then(|kept| kept.sending_pool_name.clone()))
            .set_max_delivery_seconds(kept.and_then(|kept| kept.max_delivery_seconds));
        send!(call, for_tenant!(aws_sdk_sesv2, credential).retry_config(RetryConfig::disabled())).map(drop)
    }

    /// `ses:PutConfigurationSetSuppressionOptions`: addresses that bounce or complain are suppressed. Scope and validation stay as they
    /// were seen.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn suppress(&self, credential: &Credential, name: &str, seen: &ConfigurationSet) -> Result<(), Failure> {
        let kept = seen.kept.suppression.as_ref();
        let call = self
            .ses
            .put_configuration_set_suppression_options()
            .configuration_set_name(name)
            .suppressed_reasons(SuppressionListReason::Bounce)
            .suppressed_reasons(SuppressionListReason::Complaint)
            .set_suppression_scope(kept.and_then(|kept| kept.suppression_scope.clone()))
            .set_validation_options(kept.and_then(|kept| kept.validation_options.clone()));
        send!(call, for_tenant!(aws_sdk_sesv2, credential).retry_config(RetryConfig::disabled())).map(drop)
    }

    /// `ses:DeleteConfigurationSet`.
    ///
    /// # Errors
    /// The refusal, classified. [`super::FailureKind::NotFound`] = it is gone already.
    pub async fn delete_configuration_set(&self, credential: &Credential, name: &str) -> Result<(), Failure> {
        let call = self.ses.delete_configuration_set().configuration_set_name(name);
        send!(call, for_tenant!(aws_sdk_sesv2, credential).retry_config(RetryConfig::disabled())).map(drop)
    }

    /// `ses:ListEmailIdentities`: the first page.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn list_identity_states(&self, credential: &Credential) -> Result<IdentityList, Failure> {
        let call = self.ses.list_email_identities().page_size(PAGE_SIZE);
        let answer = send!(call, for_tenant!(aws_sdk_sesv2, credential).retry_config(RetryConfig::disabled()))?;
        let complete = answer.next_token().is_none_or(str::is_empty);
        let identities = answer.email_identities.unwrap_or_default().into_iter().filter_map(|identity| {
            Some(ListedIdentity {
                name: identity.identity_name?,
                is_domain: identity.identity_type != Some(IdentityType::EmailAddress),
                sending_enabled: identity.sending_enabled,
            })
        });
        Ok(IdentityList { identities: identities.collect(), complete })
    }

    /// `ses:GetEmailIdentity` of a domain.
    ///
    /// # Errors
    /// The refusal, classified. [`super::FailureKind::NotFound`] = there is no such identity any more.
    pub async fn get_domain_identity(&self, credential: &Credential, domain: &str) -> Result<DomainIdentity, Failure> {
        let call = self.ses.get_email_identity().email_identity(domain);
        let answer = send!(call, for_tenant!(aws_sdk_sesv2, credential).retry_config(RetryConfig::disabled()))?;
        let dkim = answer.dkim_attributes();
        let tokens = dkim.map(|dkim| dkim.tokens().to_vec()).unwrap_or_default();
        let is_of_tenant =
            dkim.and_then(|dkim| dkim.signing_attributes_origin()).is_some_and(|origin| origin.as_str() == "EXTERNAL");
        let dkim_keys = match tokens.first() {
            Some(selector) if is_of_tenant => DkimKeys::OfTenant { selector: selector.clone() },
            _ => DkimKeys::OfSes { zone: dkim.and_then(|dkim| dkim.signing_hosted_zone.clone()), tokens },
        };
        Ok(DomainIdentity {
            verified: answer.verified_for_sending_status(),
            dkim: match dkim.and_then(|dkim| dkim.status()) {
                Some(DkimStatus::Success) => DnsFound::Yes,
                None | Some(DkimStatus::NotStarted) => DnsFound::NotStarted,
                Some(_) => DnsFound::No,
            },
            dkim_keys,
            mail_from: answer.mail_from_attributes().filter(|set| !set.mail_from_domain.is_empty()).map(|set| {
                MailFromDomain {
                    domain: set.mail_from_domain.clone(),
                    mx_found: set.mail_from_domain_status == MailFromDomainStatus::Success,
                    refuses_mail: set.behavior_on_mx_failure == BehaviorOnMxFailure::RejectMessage,
                }
            }),
        })
    }
}

impl Failure {
    /// Whether SES says that there is a resource of this name already.
    pub fn says_exists(&self) -> bool {
        self.code.as_deref().is_some_and(|code| code.rsplit('#').next() == Some("AlreadyExistsException"))
    }
}
