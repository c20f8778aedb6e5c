//! GuardDuty: a key is used as its owner would not.

use serde_json::{Map, Value};
use shared::http::FieldError;
use shared::id::{AccessKeyId, InvalidAccessKeyId};

use super::{NoticeContent, NoticeReaction, NoticeSubject, finding, text, time};

/// Finding types that revoke, up to the `/`. Their keys are ours alone, and what they say is no way in which we use a key:
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-iam.html>. What is not listed is for people:
/// `Stealth` and `Policy` say what an account's settings have become, and types that are new are not known yet.
const REVOKING: [&str; 10] = [
    "AttackSequence:IAM",
    "CredentialAccess:IAMUser",
    "DefenseEvasion:IAMUser",
    "Exfiltration:IAMUser",
    "Impact:IAMUser",
    "InitialAccess:IAMUser",
    "PenTest:IAMUser",
    "Persistence:IAMUser",
    "PrivilegeEscalation:IAMUser",
    "UnauthorizedAccess:IAMUser",
];

/// Types that look for something, as an onboarding's probes do. Their findings within a day of it say nothing.
const LOOKING: [&str; 2] = ["Discovery:IAMUser", "Recon:IAMUser"];

/// Types whose calls an onboarding's probes make too: CreateAccessKey, and AddUserToGroup and PutUserPolicy, as the page above
/// lists them. Denied calls count, and a new user has no past to compare them with.
const PROBED: [&str; 2] = ["Persistence:IAMUser/AnomalousBehavior", "PrivilegeEscalation:IAMUser/AnomalousBehavior"];

/// Somebody came through Tor. We never do.
const THROUGH_TOR: &str = "/TorIPCaller";

/// A finding type, such as `Recon:IAMUser/TorIPCaller`.
pub(super) struct FindingType<'a>(&'a str);

impl<'a> FindingType<'a> {
    pub(super) fn new(name: &'a str) -> Self {
        Self(name)
    }

    /// What to do about a provider that it reaches. `own_probes_possible`: it was onboarded less than a day before or after.
    pub(super) fn reaction(&self, own_probes_possible: bool) -> NoticeReaction {
        let purpose = self.0.split('/').next().unwrap_or_default();
        if LOOKING.contains(&purpose) && own_probes_possible && !self.0.ends_with(THROUGH_TOR) {
            NoticeReaction::Ignore
        } else if PROBED.contains(&self.0) && own_probes_possible {
            NoticeReaction::Alert("own_probes_possible")
        } else if REVOKING.contains(&purpose) {
            NoticeReaction::Revoke
        } else {
            NoticeReaction::Alert("finding_type")
        }
    }
}

/// Reads a detail, the format of which is in
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings_eventbridge.html>. A finding is sent again, with its own
/// id, when it recurs.
///
/// # Errors
/// It has no type.
pub(super) fn parse(detail: &Map<String, Value>) -> Result<NoticeContent, FieldError> {
    let name = text(detail, "type").ok_or_else(|| FieldError::new("detail.type", "is missing"))?;
    let key = detail.get("resource").and_then(|resource| resource.get("accessKeyDetails")).and_then(Value::as_object);
    Ok(NoticeContent {
        finding: finding(name),
        subjects: key.map(subject).into_iter().collect(),
        alert_only: None,
        copies_id: text(detail, "id").map(str::to_owned),
        copies_time: time(detail, "createdAt"),
    })
}

/// The key. A session of an IAM user was minted with one of the user's keys, and all of those are meant.
fn subject(key: &Map<String, Value>) -> NoticeSubject {
    let user = text(key, "userName").filter(|_| text(key, "userType").is_some_and(|of| of == "IAMUser"));
    match (AccessKeyId::from_pasted(text(key, "accessKeyId").unwrap_or_default()), user) {
        (Ok(id), _) => NoticeSubject::Key(id),
        (Err(InvalidAccessKeyId::Temporary), Some(user)) => NoticeSubject::User(user.to_owned()),
        (Err(_), _) => NoticeSubject::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::AwsNotice;
    use super::super::tests::{message, sample};
    use super::*;

    const REVOKE: NoticeReaction = NoticeReaction::Revoke;
    const ALERT: NoticeReaction = NoticeReaction::Alert("finding_type");
    const PROBES: NoticeReaction = NoticeReaction::Alert("own_probes_possible");
    const IGNORE: NoticeReaction = NoticeReaction::Ignore;

    #[test]
    fn each_documented_type_has_its_reaction_later_and_on_the_first_day() {
        let cases = [
            ("AttackSequence:IAM/CompromisedCredentials", REVOKE, REVOKE),
            ("CredentialAccess:IAMUser/AnomalousBehavior", REVOKE, REVOKE),
            ("DefenseEvasion:IAMUser/AnomalousBehavior", REVOKE, REVOKE),
            ("Discovery:IAMUser/AnomalousBehavior", ALERT, IGNORE),
            ("Exfiltration:IAMUser/AnomalousBehavior", REVOKE, REVOKE),
            ("Impact:IAMUser/AnomalousBehavior", REVOKE, REVOKE),
            ("InitialAccess:IAMUser/AnomalousBehavior", REVOKE, REVOKE),
            ("PenTest:IAMUser/KaliLinux", REVOKE, REVOKE),
            ("Persistence:IAMUser/AnomalousBehavior", REVOKE, PROBES),
            ("PrivilegeEscalation:IAMUser/AnomalousBehavior", REVOKE, PROBES),
            ("Policy:IAMUser/RootCredentialUsage", ALERT, ALERT),
            ("Recon:IAMUser/MaliciousIPCaller", ALERT, IGNORE),
            ("Recon:IAMUser/UserPermissions", ALERT, IGNORE),
            ("Recon:IAMUser/TorIPCaller", ALERT, ALERT),
            ("Stealth:IAMUser/CloudTrailLoggingDisabled", ALERT, ALERT),
            ("UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom", REVOKE, REVOKE),
            ("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS", REVOKE, REVOKE),
            ("UnauthorizedAccess:EC2/TorClient", ALERT, ALERT),
            ("UnauthorizedAccess:IAMUserOfALaterKind/X", ALERT, ALERT),
            ("Something:New/Else", ALERT, ALERT),
            ("", ALERT, ALERT),
        ];
        for (name, later, first_day) in cases {
            let finding_type = FindingType::new(name);
            assert_eq!((finding_type.reaction(false), finding_type.reaction(true)), (later, first_day), "{name}");
        }
    }

    #[test]
    fn a_day_after_the_onboarding_probes_explain_nothing() {
        let mut event = sample(include_str!("../../../../../events/revoke-guard-duty.json"));
        event["detail"]["type"] = json!("Recon:IAMUser/UserPermissions");
        event["time"] = json!("2026-11-23T10:00:00Z");
        let notice = AwsNotice::parse(&message(&event)).unwrap();
        let reaction = |onboarded_at: &str| notice.reaction(onboarded_at.parse().unwrap());
        assert_eq!(reaction("2026-11-22T10:00:01Z"), IGNORE);
        assert_eq!(reaction("2026-11-22T10:00:00Z"), ALERT);
        // Attempts to onboard the key that failed had probes too.
        assert_eq!(reaction("2026-11-23T11:00:00Z"), IGNORE);
        assert_eq!(reaction("2026-11-24T10:00:00Z"), ALERT);
    }

    #[test]
    fn the_key_is_read_and_of_a_users_session_the_user() {
        let key = NoticeSubject::Key(AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap());
        let session = |user_type: &str| json!({"accessKeyId": "ASIASP2TPHJSQH3FJRUX", "userType": user_type, "userName": "mailer"});
        let cases = [
            (json!({"accessKeyId": "AKIASP2TPHJSQH3FJRUX"}), key.clone()),
            (json!({"accessKeyId": "AKIASP2TPHJSQH3FJRUX", "userName": 7, "userType": "Root"}), key),
            (session("IAMUser"), NoticeSubject::User("mailer".to_owned())),
            (session("AssumedRole"), NoticeSubject::Unreadable),
            (
                json!({"accessKeyId": "GeneratedFindingAccessKeyId", "userType": "IAMUser", "userName": "x"}),
                NoticeSubject::Unreadable,
            ),
            (json!({}), NoticeSubject::Unreadable),
            (json!("AKIASP2TPHJSQH3FJRUX"), NoticeSubject::Unreadable),
        ];
        for (details, expected) in cases {
            let mut event = sample(include_str!("../../../../../events/revoke-guard-duty.json"));
            event["detail"]["resource"]["accessKeyDetails"] = details.clone();
            assert_eq!(AwsNotice::parse(&message(&event)).unwrap().subjects, [expected], "{details}");
        }
    }
}
