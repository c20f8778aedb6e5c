//! The conditions that keep a request from being allowed, and what they are about.

use serde::Serialize;

use crate::budget::Budget;
use crate::condition::Condition;
use crate::context::RequestContext;
use crate::document::Effect;
use crate::evaluate::{Applies, LocatedStatement, StatementRef};

/// The most values that are repeated of one condition.
const MAX_VALUES: usize = 8;

/// The longest value that is repeated in an explanation.
const MAX_VALUE: usize = 100;

/// A condition that stands in the way of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockingCondition {
    /// The statement that has it.
    pub statement: StatementRef,
    /// `Allow` or `Deny`.
    pub effect: &'static str,
    /// The operator as written, such as `BoolIfExists`.
    pub operator: String,
    /// The context key as written.
    pub key: String,
    /// Its values; at most 8.
    pub values: Vec<String>,
    /// Whether it holds for the request.
    pub holds: Applies,
    /// What it is about.
    pub topic: ConditionTopic,
    /// All that in a sentence.
    pub explanation: String,
}

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConditionTopic {
    /// Multi-factor authentication.
    Mfa,
    /// The network address that requests come from.
    SourceAddress,
    /// The Region of the call.
    Region,
    /// The version of the SES API.
    SesApiVersion,
    /// The sender's address or display name.
    Sender,
    /// The recipients of a mail.
    Recipients,
    /// The address for bounces and complaints.
    ReturnPath,
    /// The time of the request.
    Time,
    /// Whether the credentials are temporary.
    Session,
    /// Tags of the user, the resource or the request.
    Tags,
    /// Anything else.
    Other,
}

impl ConditionTopic {
    fn of_key(key: &str) -> Self {
        let key = key.to_ascii_lowercase();
        match key.as_str() {
            "aws:multifactorauthpresent" | "aws:multifactorauthage" => Self::Mfa,
            "aws:sourceip" | "aws:vpcsourceip" | "aws:sourcevpc" | "aws:sourcevpce" => Self::SourceAddress,
            "aws:requestedregion" => Self::Region,
            "ses:apiversion" => Self::SesApiVersion,
            "ses:fromaddress" | "ses:fromdisplayname" => Self::Sender,
            "ses:recipients" => Self::Recipients,
            "ses:feedbackaddress" => Self::ReturnPath,
            "aws:currenttime" | "aws:epochtime" => Self::Time,
            "aws:tokenissuetime" => Self::Session,
            _ if key.contains("tag/") || key == "aws:tagkeys" => Self::Tags,
            _ => Self::Other,
        }
    }

    /// What is so about the requests that the product makes.
    const fn fact(self) -> &'static str {
        match self {
            Self::Mfa => "a request signed with an access key never carries MFA",
            Self::SourceAddress => "the address that our requests come from is not one to rely on",
            Self::Region => "the Region of the call is given",
            Self::SesApiVersion => "calls of the SES API v2 carry version 2",
            Self::Sender => "the sender differs from mail to mail",
            Self::Recipients => "the recipients differ from mail to mail",
            Self::ReturnPath => "the address for bounces is not always given",
            Self::Time => "the key has to work at any time",
            Self::Session => "an access key has no session",
            Self::Tags => "tags are not known",
            Self::Other => "its value is not known or is another one",
        }
    }

    /// What to do about the condition of a statement that would allow the request.
    pub(super) const fn remedy_of_allow(self) -> &'static str {
        match self {
            Self::Mfa => "Remove the MFA condition from that statement for this user: a key cannot give MFA.",
            Self::SourceAddress => "Remove the condition on the address from that statement.",
            Self::Region => {
                "Let the condition on aws:RequestedRegion cover the Region in which mail is sent, and for IAM us-east-1."
            }
            Self::SesApiVersion => {
                "Let the condition on ses:ApiVersion cover \"2\", and keep it off statements about IAM."
            }
            Self::Sender => {
                "Remove the condition on the sender, or keep it to ses:SendEmail and ses:SendRawEmail and check the senders yourself."
            }
            Self::Recipients => "Remove the condition on the recipients.",
            Self::ReturnPath => "Remove the condition on ses:FeedbackAddress.",
            Self::Time => "Remove the condition on the time, or extend it.",
            Self::Session => "Remove the condition on aws:TokenIssueTime.",
            Self::Tags | Self::Other => "Remove the condition from that statement, or state the permission without it.",
        }
    }

    /// What to do about the condition of a statement that denies the request.
    pub(super) const fn remedy_of_deny(self) -> &'static str {
        match self {
            Self::Mfa => "It asks for MFA, which a key cannot give: except this user from it.",
            Self::SourceAddress => "It depends on the address that requests come from: except this user from it.",
            Self::Region => "Except the Region in which mail is sent, and for IAM us-east-1, from it.",
            Self::SesApiVersion => "Except ses:ApiVersion \"2\" from it.",
            Self::Sender => "It depends on the sender: except this user from it.",
            Self::Recipients => "It depends on the recipients: except this user from it.",
            Self::ReturnPath => "It depends on ses:FeedbackAddress: except this user from it.",
            Self::Time => "It depends on the time: except this user from it.",
            Self::Session => "It depends on aws:TokenIssueTime: let it deny only where that key is present.",
            Self::Tags | Self::Other => {
                "It depends on a condition that is not known not to hold: except this user from it."
            }
        }
    }
}

/// The conditions of a statement that stand in the way: of an allow those that do not hold for certain, of a deny those
/// that hold or may hold.
pub(super) fn blocking_conditions(
    located: LocatedStatement<'_>,
    context: &RequestContext,
    budget: &Budget,
) -> Vec<BlockingCondition> {
    let effect = located.statement.effect();
    let all = located
        .statement
        .conditions()
        .iter()
        .map(|condition| (condition, Applies::from(condition.holds(context, budget))));
    all.filter(|(_, holds)| *holds != if effect == Effect::Allow { Applies::Yes } else { Applies::No })
        .map(|(condition, holds)| describe(located, condition, holds))
        .collect()
}

fn describe(located: LocatedStatement<'_>, condition: &Condition, holds: Applies) -> BlockingCondition {
    let statement = StatementRef::from(located);
    let (operator, key) = (condition.operator().to_string(), condition.key().to_owned());
    let topic = ConditionTopic::of_key(&key);
    let values: Vec<String> = condition.values().take(MAX_VALUES).map(str::to_owned).collect();
    let shown: Vec<String> = values
        .iter()
        .map(|value| value.chars().take(MAX_VALUE).collect::<String>())
        .map(|value| format!("{value:?}"))
        .collect();
    let more = if condition.values().count() > MAX_VALUES { ", …" } else { "" };
    let word = match holds {
        Applies::Yes => "holds",
        Applies::No => "does not hold",
        Applies::Unknown => "may or may not hold",
    };
    let mut by = statement.to_string();
    by[..1].make_ascii_uppercase();
    let explanation = format!(
        "{by} has the condition {operator} on {key} ({}{more}), which {word}: {}.",
        shown.join(", "),
        topic.fact()
    );
    BlockingCondition {
        effect: located.statement.effect().as_str(),
        statement,
        operator,
        key,
        values,
        holds,
        topic,
        explanation,
    }
}
