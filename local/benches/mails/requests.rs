//! What the requests of a run cost, in US dollars in us-east-1.

use std::collections::BTreeMap;

/// Requests of our own account by service and operation.
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

/// What a million mails cost by service, if as many requests are made for each as for `mails` here.
pub(crate) fn per_million(requests: &Requests, mails: usize) -> BTreeMap<&'static str, f64> {
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
