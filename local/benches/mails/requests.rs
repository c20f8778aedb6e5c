//! The requests that `send` makes, and what they cost in US dollars in us-east-1.

use std::collections::BTreeMap;

use reqwest::Method;

use crate::stack::RunStack;

/// Requests by service and operation.
pub(crate) type Requests = BTreeMap<(String, String), u64>;

/// A million write request units; an item up to 1 KB is one (<https://aws.amazon.com/dynamodb/pricing/on-demand/>). Rows of the ledger are
/// smaller; parked mail and index entries cost more than is counted here.
const DYNAMODB_WRITES: f64 = 0.625;
/// A million read request units; a consistent read up to 4 KB is one (same page).
const DYNAMODB_READS: f64 = 0.125;
/// A million requests to a standard queue of up to 64 KB (<https://aws.amazon.com/sqs/pricing/>), and what a fair queue adds.
const SQS: f64 = 0.40 + 0.10;
/// A million requests (<https://aws.amazon.com/kms/pricing/>: $0.03 for 10,000).
const KMS: f64 = 3.0;
/// A million custom events (<https://aws.amazon.com/eventbridge/pricing/>). A request counts as one.
const EVENTBRIDGE: f64 = 1.0;

/// Items that a BatchGetItem of `send` reads at least: the halt, a provider, its secret.
const ITEMS_OF_A_BATCH: f64 = 3.0;
/// A transaction writes each item twice; `send` makes those of two items.
const UNITS_OF_A_TRANSACTION: f64 = 4.0;

/// What `send` has asked for since the stack's start.
#[derive(Clone, Default)]
pub(crate) struct SendRequests {
    /// Of our own account.
    pub(crate) ours: Requests,
    /// Of the tenants' SES.
    pub(crate) tenants: Requests,
    /// Of those of our own account, what failed, by service and error.
    pub(crate) failed: BTreeMap<String, usize>,
}

impl SendRequests {
    /// Counts them.
    pub(crate) async fn count(stack: &RunStack) -> Self {
        let counted = stack.operator.local_api(Method::GET, "/requests/counts", None).await.unwrap().body;
        let mut requests = Self::default();
        for kind in counted["counts"].as_array().unwrap() {
            let field = |name: &str| kind[name].as_str().unwrap_or_default().to_owned();
            let is_tenants = stack.tenants.iter().any(|one| one.tenant.account_id == field("account_id"));
            let is_sender = field("principal").split('/').nth(1).is_some_and(|role| role.ends_with("-send"));
            let count = kind["count"].as_u64().unwrap();
            let counts = match (is_tenants, is_sender) {
                (true, _) if field("service") == "ses" => &mut requests.tenants,
                (false, true) => &mut requests.ours,
                _ => continue,
            };
            *counts.entry((field("service"), field("operation"))).or_default() += count;
            // A condition that fails is an answer.
            if let Some(error) =
                kind["error"].as_str().filter(|error| !is_tenants && *error != "ConditionalCheckFailedException")
            {
                let failed = requests.failed.entry(format!("{} {error}", field("service")));
                *failed.or_default() += usize::try_from(count).unwrap();
            }
        }
        requests
    }

    /// Those of our own account that came after these.
    pub(crate) fn ours_after(&self, before: &Self) -> Requests {
        let earlier = |kind| before.ours.get(kind).copied().unwrap_or_default();
        self.ours.iter().map(|(kind, count)| (kind.clone(), count - earlier(kind))).filter(|(_, n)| *n > 0).collect()
    }
}

/// Prints how many there are for each mail, and what a million mails cost if they are of our own account.
pub(crate) fn print(whose: &str, requests: &Requests, mails: usize) {
    let a_mail = |count: u64| count as f64 / mails as f64;
    let mut services: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    for ((service, operation), count) in requests {
        services.entry(service).or_default().push((operation, *count));
    }
    for (service, operations) in services {
        let sum = operations.iter().map(|(_, count)| count).sum();
        let operations: Vec<String> =
            operations.iter().map(|(name, count)| format!("{name} {:.2}", a_mail(*count))).collect();
        println!("requests a mail {:>6.2} {whose} {service}: {}", a_mail(sum), operations.join(", "));
    }
}

/// Prints what a million mails cost at least, if as many requests of our own account are made for each as for `mails` here.
pub(crate) fn print_cost(requests: &Requests, mails: usize) {
    let costs = per_million(requests, mails);
    let parts: Vec<String> = costs.iter().map(|(service, cost)| format!("{service} {cost:.2}")).collect();
    println!("cost a million  ${:.2} at least: {}", costs.values().sum::<f64>(), parts.join(", "));
}

/// What a million mails cost by service, if as many requests are made for each as for `mails` here.
fn per_million(requests: &Requests, mails: usize) -> BTreeMap<&'static str, f64> {
    let mut costs = BTreeMap::new();
    for ((service, operation), count) in requests {
        let (name, price) = match (service.as_str(), operation.as_str()) {
            ("dynamodb", "GetItem" | "Query" | "Scan") => ("DynamoDB", DYNAMODB_READS),
            ("dynamodb", "BatchGetItem") => ("DynamoDB", DYNAMODB_READS * ITEMS_OF_A_BATCH),
            ("dynamodb", "TransactWriteItems") => ("DynamoDB", DYNAMODB_WRITES * UNITS_OF_A_TRANSACTION),
            ("dynamodb", _) => ("DynamoDB", DYNAMODB_WRITES),
            ("sqs", _) => ("SQS", SQS),
            ("kms", _) => ("KMS", KMS),
            ("events", _) => ("EventBridge", EVENTBRIDGE),
            // Requests to Lambda and STS are free.
            _ => continue,
        };
        *costs.entry(name).or_insert(0.0) += *count as f64 / mails as f64 * price;
    }
    costs
}
