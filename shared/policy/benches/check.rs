//! What a check costs: time, and with the counting allocator the peak memory ("max alloc").
//!
//! `cargo bench -p policy`. Aims: the classic policy below 200 µs; the worst of the others below 50 ms and 32 MB.

use std::fmt::Write as _;

use divan::{AllocProfiler, Bencher, black_box};
use policy::{MAX_CHARACTERS, PolicyDocument, Principal, check, classic, hardened};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    // The first check of a process also parses the list of actions.
    divan::main();
}

fn read_and_check(texts: &[String]) -> policy::PolicyReport {
    let documents: Vec<PolicyDocument> = texts.iter().filter_map(|text| PolicyDocument::parse(text).ok()).collect();
    assert_eq!(documents.len(), texts.len(), "a bench document is not a policy");
    check(&documents, &Principal::default())
}

#[divan::bench]
fn classic_policy(bencher: Bencher) {
    let texts = [classic().to_owned()];
    bencher.bench(|| read_and_check(black_box(&texts)));
}

#[divan::bench]
fn hardened_policy(bencher: Bencher) {
    let texts = [hardened("123456789012").unwrap_or_default()];
    bencher.bench(|| read_and_check(black_box(&texts)));
}

#[divan::bench]
fn administrator(bencher: Bencher) {
    let texts = [policy_of(&[statement("Allow", "\"*\"", "\"*\"")])];
    bencher.bench(|| read_and_check(black_box(&texts)));
}

/// 6,144 characters of wildcards, where they cost most.
#[divan::bench(args = ["one action", "one resource", "many actions", "many resources", "exponential", "exponential denies", "exponential names"])]
fn adversarial_wildcards(bencher: Bencher, kind: &str) {
    let texts = [adversarial(kind)];
    bencher.bench(|| read_and_check(black_box(&texts)));
}

#[divan::bench(args = ["distinct services", "everything on distinct buckets", "denies against allows", "distinct roles", "letters on distinct roles", "harmless on distinct identities"])]
fn ten_documents_of_fifty_statements(bencher: Bencher, kind: &str) {
    let texts: Vec<String> = (0..10).map(|document| statements(kind, document, 50)).collect();
    bencher.bench(|| read_and_check(black_box(&texts)));
}

#[divan::bench(args = ["letters against digits", "distinct roles", "letters on distinct roles", "own names"], sample_count = 10)]
fn forty_full_documents(bencher: Bencher, kind: &str) {
    let texts: Vec<String> = (0..40).map(|document| full_document(kind, document)).collect();
    bencher.bench(|| read_and_check(black_box(&texts)));
}

#[divan::bench]
fn parse_six_thousand_characters(bencher: Bencher) {
    let text = adversarial("many actions");
    bencher.bench(|| PolicyDocument::parse(black_box(&text)));
}

#[divan::bench]
fn reject_a_hundred_thousand_nested_lists(bencher: Bencher) {
    let text = "[".repeat(100_000);
    bencher.bench(|| PolicyDocument::parse(black_box(&text)));
}

fn policy_of(statements: &[String]) -> String {
    format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}", statements.join(","))
}

fn statement(effect: &str, actions: &str, resources: &str) -> String {
    format!("{{\"Effect\":\"{effect}\",\"Action\":[{actions}],\"Resource\":[{resources}]}}")
}

/// As many distinct patterns as fit into `room`, each made of `unit`.
fn patterns(prefix: &str, unit: &str, length: usize, room: usize) -> String {
    let mut list = String::new();
    for number in 0.. {
        let mut item = String::new();
        let _ = write!(item, "\"{prefix}{}{number}*\"", unit.repeat(length / unit.len()));
        if list.len() + item.len() + 1 > room {
            break;
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(&item);
    }
    list
}

fn adversarial(kind: &str) -> String {
    let room = 5_900;
    match kind {
        "one action" => policy_of(&[statement("Allow", &format!("\"iam:{}\"", "*a".repeat(room / 2)), "\"*\"")]),
        "one resource" => policy_of(&[statement(
            "Allow",
            "\"iam:GetUser\"",
            &format!("\"arn:aws:iam::*:user/{}\"", "*a".repeat(room / 2)),
        )]),
        "many actions" => policy_of(&[statement("Allow", &patterns("iam:", "*a", 30, room), "\"*\"")]),
        "many resources" => {
            policy_of(&[statement("Allow", "\"iam:*\"", &patterns("arn:aws:iam::*:user/", "*?*a", 40, room))])
        }
        "exponential" => policy_of(&[statement(
            "Allow",
            "\"iam:GetUser\",\"iam:DeleteAccessKey\"",
            &patterns("arn:aws:iam::*:user/*a", "?", 40, room),
        )]),
        "exponential denies" => policy_of(&[
            statement("Allow", "\"iam:*\"", "\"*\""),
            statement(
                "Deny",
                "\"*\"",
                &format!("\"arn:aws:iam::*:user/*\",{}", patterns("arn:aws:iam::*:*a", "?", 40, room - 200)),
            ),
        ]),
        _ => policy_of(&[
            statement("Allow", "\"ses:*\"", "\"*\""),
            statement("Deny", &patterns("ses:*a", "?", 30, room / 2), "\"*\""),
            statement("Allow", &patterns("ses:*b", "?", 30, room / 3), "\"*\""),
        ]),
    }
}

/// As many statements as a document may have.
fn full_document(kind: &str, document: usize) -> String {
    (1..)
        .map(|count| statements(kind, document, count))
        .take_while(|text| text.len() <= MAX_CHARACTERS)
        .last()
        .unwrap_or_default()
}

fn statements(kind: &str, document: usize, count: usize) -> String {
    const SERVICES: [&str; 10] = ["s3", "sns", "sqs", "kms", "ec2", "ecs", "ses", "lambda", "dynamodb", "logs"];
    let statements: Vec<String> = (0..count)
        .map(|number| {
            let place = format!("{document}x{number}");
            match kind {
                "distinct services" => statement(
                    "Allow",
                    &format!("\"{}:G*{number}\"", SERVICES[document]),
                    &format!("\"arn:aws:{}:::r{number}/*\"", SERVICES[document]),
                ),
                "everything on distinct buckets" => {
                    statement("Allow", "\"*\"", &format!("\"arn:aws:s3:::b{place}/*\""))
                }
                "distinct roles" => {
                    statement("Allow", "\"sts:AssumeRole\"", &format!("\"arn:aws:iam::*:role/{place}\""))
                }
                "letters on distinct roles" => {
                    statement("Allow", "\"sts:*a\",\"sts:*e\",\"iam:*e*\",\"s3:*\"", &format!("\"arn:aws:*:{place}*\""))
                }
                "harmless on distinct identities" => statement(
                    "Allow",
                    "\"ses:Get*\",\"ses:List*\",\"ses:Send*\"",
                    &format!("\"arn:aws:ses:*:123456789012:identity/{place}\""),
                ),
                "own names" => statement("Allow", "\"*\"", &format!("\"arn:aws:*:*:*:user/${{aws:username}}{place}\"")),
                "letters against digits" if number % 2 == 0 => statement(
                    "Allow",
                    &format!("\"iam:*a{}*b\"", document % 10),
                    &format!("\"arn:aws:iam::*:user/*{place}*\""),
                ),
                "letters against digits" => {
                    statement("Deny", &format!("\"iam:*{document}\""), &format!("\"arn:aws:iam::*:user/{place}*\""))
                }
                _ if number % 2 == 0 => statement("Allow", "\"iam:*\"", &format!("\"arn:aws:iam::*:*/u{place}*\"")),
                _ => statement("Deny", "\"iam:*\"", &format!("\"arn:aws:iam::*:*/u{document}x{}*\"", number - 1)),
            }
        })
        .collect();
    policy_of(&statements)
}
