//! What became of the mails of a run, by the ledger, by SES's inbox and by the log of requests.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use operator::verdict::{self, BrokenPromise, RunFate, RunMail, broken_promise, fullest_second, over_rate_seconds};
use reqwest::Method;

use super::schedule::Tally;
use crate::requests::{self, SendRequests};
use crate::stack::{RunStack, RunTenant, string};

/// The most mails that are named.
const MAX_NAMED: usize = 50;

/// What a run has shown.
pub(crate) struct Report {
    mails: Vec<(RunMail, RunFate)>,
    /// Mails that were taken over after a doubt.
    doubted: usize,
    /// Seconds in which an account was sent more than its rate, by account.
    over_rate: BTreeMap<String, Vec<i64>>,
    /// The fullest second of the account that came closest to its rate: requests, and the rate.
    fullest: (usize, u32),
    /// Requests to the tenants' SES by how they were answered.
    answers: BTreeMap<String, usize>,
    /// Events by their detail-type.
    events: BTreeMap<String, usize>,
    /// What `send` asked for.
    requests: SendRequests,
}

/// Whether nothing more happens to any of these mails.
pub(crate) async fn is_settled(stack: &RunStack, mails: &[RunMail]) -> bool {
    let rows = ledger(stack).await;
    mails
        .iter()
        .all(|mail| rows.get(&mail.mail_id).is_some_and(|row| verdict::is_settled(text(row, "state").as_deref())))
}

/// How many mails wait for the daily quota.
pub(crate) async fn over_quota(stack: &RunStack) -> usize {
    let rows = ledger(stack).await;
    rows.values().filter(|row| text(row, "reason").as_deref() == Some("daily_quota")).count()
}

impl Report {
    /// Reads what there is to know.
    pub(crate) async fn collect(stack: &RunStack, handed: Vec<RunMail>, since: Timestamp) -> Self {
        let mut copies: HashMap<(String, String), usize> = HashMap::new();
        let (mut over_rate, mut answers) = (BTreeMap::new(), BTreeMap::new());
        let mut fullest = (0, 1);
        for RunTenant { tenant, rate, .. } in &stack.tenants {
            for accepted in stack.operator.inbox(&tenant.account_id).await.unwrap() {
                let mail_id = accepted["subject"].as_str().unwrap_or_default().to_owned();
                *copies.entry((tenant.account_id.clone(), mail_id)).or_default() += 1;
            }
            let sends = stack.sends(&tenant.account_id, since).await;
            let times: Vec<i64> = sends.iter().map(|(at, _)| *at).collect();
            for (_, answer) in sends {
                *answers.entry(answer).or_default() += 1;
            }
            let seconds = over_rate_seconds(&times, f64::from(*rate));
            if !seconds.is_empty() {
                over_rate.insert(tenant.account_id.clone(), seconds);
            }
            let most = fullest_second(&times);
            if most as f64 / f64::from(*rate) > fullest.0 as f64 / f64::from(fullest.1) {
                fullest = (most, *rate);
            }
        }
        let rows = ledger(stack).await;
        let doubted = rows.values().filter(|row| number(row, "takeovers") > 0).count();
        let fate = |mail: &RunMail| RunFate {
            state: rows.get(&mail.mail_id).and_then(|row| text(row, "state")),
            reason: rows.get(&mail.mail_id).and_then(|row| text(row, "reason")),
            copies: copies.get(&(mail.account_id.clone(), mail.mail_id.clone())).copied().unwrap_or_default(),
        };
        let mails = handed
            .into_iter()
            .map(|mail| {
                let fate = fate(&mail);
                (mail, fate)
            })
            .collect();
        let requests = SendRequests::count(stack).await;
        let mut events = BTreeMap::new();
        let passed = stack.operator.local_api(Method::GET, "/events", None).await.unwrap().body;
        for event in passed["events"].as_array().unwrap() {
            *events.entry(event["detail-type"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        Self { mails, doubted, over_rate, fullest, answers, events, requests }
    }

    /// Whether `send` has kept what it promises.
    pub(crate) fn has_kept_promises(&self) -> bool {
        self.over_rate.is_empty() && self.mails.iter().all(|(mail, fate)| broken_promise(mail, fate).is_none())
    }

    /// Prints the table.
    pub(crate) fn print(&self, tally: &Tally) {
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        for (_, fate) in &self.mails {
            let state = fate.state.clone().unwrap_or_else(|| "no row".to_owned());
            let reason = fate.reason.as_ref().filter(|_| state != "sent").map(|reason| format!(" ({reason})"));
            *states.entry(state + reason.as_deref().unwrap_or_default()).or_default() += 1;
        }
        let copies: usize = self.mails.iter().map(|(_, fate)| fate.copies).sum();
        let twice = self.mails.iter().filter(|(_, fate)| fate.copies > 1).count();
        let (killed, frozen) = (tally.killed.load(Ordering::Relaxed), tally.frozen.load(Ordering::Relaxed));
        println!("processes       {killed} killed at work, {frozen} frozen at work");
        println!("daily quota     {} mails waited when it was raised", tally.over_quota.load(Ordering::Relaxed));
        println!("answers of SES  {}", listed(&self.answers));
        println!("answers of ours {}", listed(&self.requests.failed));
        println!("events          {}", listed(&self.events));
        println!("mails           {}: {}", self.mails.len(), listed(&states));
        println!("lost            {}", self.name(BrokenPromise::Lost));
        println!("copies          {copies} accepted, {twice} mails twice, {} taken over after a doubt", self.doubted);
        println!("too many copies {}", self.name(BrokenPromise::TooManyCopies));
        let seconds: usize = self.over_rate.values().map(Vec::len).sum();
        let (most, rate) = self.fullest;
        println!("over rate       {seconds} s; the fullest second had {most} of {rate}");
        for (account_id, seconds) in &self.over_rate {
            println!("                {account_id} at {seconds:?}");
        }
        let SendRequests { ours, tenants, .. } = &self.requests;
        requests::print("our", ours, self.mails.len());
        requests::print("tenants'", tenants, self.mails.len());
        requests::print_cost(ours, self.mails.len());
    }

    /// How many mails fared so, and which.
    fn name(&self, promise: BrokenPromise) -> String {
        let broken: Vec<String> = self
            .mails
            .iter()
            .filter(|(mail, fate)| broken_promise(mail, fate) == Some(promise))
            .map(|(mail, fate)| {
                let state = fate.state.as_deref().unwrap_or("no row");
                format!(
                    "\n                {} of {}: {state}, {} copies of {}",
                    mail.mail_id, mail.account_id, fate.copies, mail.max_copies
                )
            })
            .collect();
        let named: String = broken.iter().take(MAX_NAMED).map(String::as_str).collect();
        format!("{}{named}", broken.len())
    }
}

fn listed(counts: &BTreeMap<String, usize>) -> String {
    counts.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}

/// The rows of the ledger by their mail.
async fn ledger(stack: &RunStack) -> HashMap<String, HashMap<String, AttributeValue>> {
    let scan = stack.dynamodb.scan().table_name(&stack.mails_table).filter_expression("begins_with(pk, :pk)");
    let pages = scan.expression_attribute_values(":pk", string("mail#")).into_paginator().items().send();
    let rows = pages.collect::<Result<Vec<_>, _>>().await.unwrap();
    rows.into_iter().filter_map(|row| Some((text(&row, "mail_id")?, row))).collect()
}

fn text(row: &HashMap<String, AttributeValue>, name: &str) -> Option<String> {
    row.get(name)?.as_s().ok().cloned()
}

fn number(row: &HashMap<String, AttributeValue>, name: &str) -> u64 {
    row.get(name).and_then(|value| value.as_n().ok()?.parse().ok()).unwrap_or_default()
}
